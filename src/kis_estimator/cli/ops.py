"""`kis ops`: check the environment, watch a service after a deployment, report on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kis_estimator.cli.common import WRONG, AsJson, print_json, terminal_locale

if TYPE_CHECKING:
    from kis_deploy.problems import Problem

_DAY_MINUTES = 24 * 60
_YEAR_HOURS = 366 * 24
_ROLLBACK_SEC = 900
_SCRIPT = "DEPLOYMENT_SCRIPT.sh"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="운영 중인 서비스를 점검합니다. Check, watch and report on a service in production.",
)

Urls = Annotated[
    list[str] | None,
    typer.Option(
        "--url", metavar="URL", help="호스트마다 한 번 / once per host  [DEPLOY_BASE_URL]"
    ),
]
Checkout = Annotated[
    Path, typer.Option(metavar="DIR", help="out/과 배포 스크립트가 있는 곳 / where out/ is")
]


@app.command("check-env")
def check_env(as_json: AsJson = False) -> None:
    """배포 변수를 점검합니다. Check every variable of a deployment; no value is printed.

    고칠 것이 있으면 2로 끝납니다. Ends with 2 where one is wrong.
    """
    from kis_deploy.problems import Problem
    from kis_deploy.variables import BY_NAME, check_variables
    from kis_estimator.settings import check_settings
    from kis_estimator.terminal.console import print_said

    locale = terminal_locale()
    problems = check_variables(os.environ)
    told = {problem.what for problem in problems}
    for notice in check_settings(os.environ):
        name = str(notice.params["name"])
        if name not in told:
            remedy = BY_NAME[name].remedy if name in BY_NAME else notice.hint(locale) or ""
            problems.append(Problem(name, notice.message(locale), remedy))
    if as_json:
        print_json({"ok": not problems, "problems": [problem.as_json() for problem in problems]})
    elif problems:
        _print_problems(problems)
    else:
        print_said("ENVIRONMENT_GOOD", locale, count=len(BY_NAME))
    raise typer.Exit(WRONG if problems else 0)


@app.command()
def watch(
    urls: Urls = None,
    minutes: Annotated[float, typer.Option(min=0.01, max=_DAY_MINUTES)] = 60,
    interval: Annotated[float, typer.Option(min=0.1, max=300, help="초 / seconds")] = 5,
    auto_rollback: Annotated[
        bool,
        typer.Option("--auto-rollback", help="스스로 한 번 되돌림 / roll back by itself, once"),
    ] = False,
    checkout: Checkout = Path(),
    as_json: AsJson = False,
) -> None:
    """배포한 서비스를 지켜봅니다. Watch a service for no-go triggers, and write a report.

    0 조용함, 1 경보, 2 잘못된 호출, 3 판단 못 함(중단 포함), 4 스스로 되돌림.
    0 quiet, 1 a trigger fired, 2 a wrong call, 3 not judged or cut short, 4 rolled back by itself.
    """
    import sys

    from kis_deploy.watching.probe import checked_urls
    from kis_deploy.watching.watch import Plan, Screen, Stop, stopped_by_signals
    from kis_deploy.watching.watch import watch as run

    stop = Stop()
    screen = Screen(sys.stderr if as_json else sys.stdout)
    with _deploy_problems_end_it():
        addresses = checked_urls(urls or [_base_url(checkout)])
        folder = checkout / "out/watch" / f"{datetime.now().astimezone():%Y%m%d_%H%M%S_%f}"
        plan = Plan(
            urls=addresses,
            folder=folder,
            minutes=minutes,
            interval_sec=interval,
            roll_back=_rollback(checkout, folder) if auto_rollback else None,
        )
        with stopped_by_signals(stop):
            outcome = run(plan, screen, stop)
    if as_json:
        print_json(outcome.as_json())
    else:
        screen.line(f"\n{outcome.text()}Report: {folder}")
    raise typer.Exit(outcome.exit_code)


@app.command()
def report(
    urls: Urls = None,
    hours: Annotated[float, typer.Option(min=0.01, max=_YEAR_HOURS)] = 24,
    access_logs: Annotated[
        list[Path] | None,
        typer.Option("--access-log", metavar="FILE", help="프록시 로그 / log of the proxy, or .gz"),
    ] = None,
    checkout: Checkout = Path(),
    as_json: AsJson = False,
) -> None:
    """최근 24시간을 보고합니다. Report on the last 24 hours: requests, deployments, triggers.

    모르는 값은 0이 아니라 not known입니다. A figure that nothing tells is "not known".
    """
    import time

    from kis_deploy.watching import report as reporting
    from kis_deploy.watching.access_log import read_access_logs
    from kis_deploy.watching.probe import Target, checked_urls

    with _deploy_problems_end_it():
        since = reporting.since_hours(hours)
        addresses = checked_urls(urls or [_base_url(checkout)])
        told = reporting.report(
            reporting.Sources(
                hours=hours,
                watched=reporting.read_watches(checkout / "out/watch", since, addresses),
                deployments=reporting.read_deployments(checkout / "out/prod_deploy", since),
                seen={url: Target(url).see(time.monotonic()) for url in addresses},
                access=read_access_logs(access_logs, since) if access_logs else None,
            )
        )
    if as_json:
        print_json(told)
    else:
        typer.echo(reporting.report_text(told), nl=False)


def _base_url(checkout: Path) -> str:
    from kis_deploy.config import Config

    return Config(os.environ, checkout).base_url


def _rollback(checkout: Path, folder: Path) -> Callable[[Callable[[str], None]], None]:
    """Return what brings the release before back. Raises DeployError where there is no script."""
    from kis_deploy.config import Config
    from kis_deploy.problems import DeployError, Problem
    from kis_deploy.runner import Redactor, Runner

    script = (checkout / _SCRIPT).resolve()
    if not os.access(script, os.X_OK):
        raise DeployError.of(
            "--auto-rollback",
            f"there is no {_SCRIPT} to run here",
            "Call it in a checkout, or name that with --checkout",
        )

    def roll_back(tell: Callable[[str], None]) -> None:
        runner = Runner(Redactor(Config(os.environ, checkout).secrets))
        with suppress(OSError):  # a full disk must not keep it from going back
            runner.open_log(folder / "rollback.log")
        try:
            done = runner.run(
                [str(script), "--rollback", "--yes"],
                cwd=script.parent,
                timeout_sec=_ROLLBACK_SEC,
                tell=tell,
            )
        finally:
            runner.close()
        if done.code:
            cause = f"ended with {done.code}"
            raise DeployError(Problem(_SCRIPT, cause, f"Read {folder / 'rollback.log'}"))

    return roll_back


@contextmanager
def _deploy_problems_end_it() -> Iterator[None]:
    """Print what the deployer's code finds wrong with a call, then end it."""
    from kis_deploy.problems import DeployError

    try:
        yield
    except DeployError as error:
        _print_problems(error.problems)
        raise typer.Exit(WRONG) from None


def _print_problems(problems: Iterable[Problem]) -> None:
    from kis_estimator.terminal.console import print_line, stderr

    for problem in problems:
        print_line(stderr(), str(problem), "❌")
