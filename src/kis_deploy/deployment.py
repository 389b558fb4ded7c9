"""The order of the steps, what is told of each, and what follows when one fails."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from kis_deploy import storage, supabase
from kis_deploy.lock import database_lock
from kis_deploy.problems import CancelledError, DeployError, Problem
from kis_deploy.report import StepReport, audit
from kis_deploy.run import Run
from kis_deploy.steps import application, preflight, schema
from kis_deploy.validate import Limits, validate
from kis_deploy.verdict import verdict

DONE, FAILED, WRONG = 0, 1, 2
_SERVING = {6, 8}  # the steps that change what serves


@dataclass(frozen=True, slots=True)
class Step:
    """A step as operators know it by its number."""

    number: int
    title: str
    act: Callable[[Run], None]
    changes: bool = False  # left out of a dry run


def logs(run: Run) -> None:
    """Step 1: the folder is there from the first line on; now the operator knows it."""
    run.told(f"Deployment directory created: {run.report.folder}")


def _link(run: Run) -> None:
    run.told(supabase.login_and_link(run.config, run.runner))


def _storage(run: Run) -> None:
    for text in storage.ensure_bucket(run.config, run.runner):
        run.told(text)
    run.told("Storage bucket initialized")


def check(run: Run) -> None:
    """Step 7: the definition of done, every line of it. Raises DeployError."""
    openapi = run.release.openapi_sha256 if run.release else None
    problems = []
    limits = Limits(p95_ms=float(run.config["DEPLOY_P95_MS"]))
    version = run.report.version
    for found in validate(
        run.config.base_url, openapi, run.config, run.progress, version=version, limits=limits
    ):
        state = {True: "passed", False: "failed", None: "not run"}[found.passed]
        limit = found.limit and f" (limit {found.limit})"
        run.report.figures[found.name] = f"{found.value or state}{limit}"
        if found.passed:
            run.told(f"{found.name}: {found.value}{limit}")
        elif openapi is None and found.name == "openapi":
            run.progress(f"{found.name}: not run, the folder of the release is not here")
        else:
            cause = " ".join(filter(None, (state, found.value, limit.strip(), found.detail)))
            problems.append(Problem(found.name, cause, "See the log of step 7 and docs/Runbook.md"))
    if problems:
        raise DeployError(*problems)


DEPLOY = (
    Step(0, "Pre-flight Checks", preflight.step),
    Step(1, "Creating deployment logs directory", logs),
    Step(2, "Supabase Login and Project Link", _link, changes=True),
    Step(3, "Database Schema Validation", schema.validate),
    Step(4, "Snapshot, rehearsal and Database Migrations", schema.push, changes=True),
    Step(5, "Initializing Storage Buckets", _storage, changes=True),
    Step(6, "Deploying Application", application.deploy, changes=True),
    Step(7, "Post-Deployment Validation", check, changes=True),
)


def deploy(run: Run, only: Sequence[int] = ()) -> int:
    """Run the steps (or those of these numbers), then 8 where one failed, then 9; return the exit.

    A step that fails before the proxy was switched leaves what served; after that step 8 goes back.
    """
    steps = [step for step in DEPLOY if not only or step.number in only or _is_looked(step, only)]
    with recorded(run):
        code = _all(run, steps)
        if code == DONE and not run.dry and any(step.number == 7 for step in steps):  # noqa: PLR2004
            with suppress(DeployError):  # what is left over is told by the next run
                application.prune(run)
    return code


def asks(only: Sequence[int]) -> bool:
    """Whether these steps, or all, ask before they change production."""
    return not only or 4 in only  # noqa: PLR2004 - the migrations


def _is_looked(step: Step, only: Sequence[int]) -> bool:
    """Whether it is the pre-flight: it comes before every step that does something."""
    return step.number == 0 and max(only) > 1


def _all(run: Run, steps: Sequence[Step]) -> int:
    try:
        for step in steps:
            if run.dry and step.changes:
                _skipped(run, step)
            else:
                do(run, step)
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, KeyboardInterrupt):
            interrupted(run)
        if run.switched:
            return _go_back(run)
        if isinstance(error, KeyboardInterrupt):
            raise
        run.report.result = "cancelled" if isinstance(error, CancelledError) else "failed"
        return FAILED
    run.report.result = "successful"
    return DONE


def interrupted(run: Run) -> None:
    """Say that a person or a signal ended it; clean up what was begun beside what serves."""
    step = run.report.steps[-1].name if run.report.steps else "the first step"
    _tell(run, DeployError.of(step, "was interrupted by a person or a signal", "Run it again"))
    begun = {step.number for step in run.report.steps} & {3, 4, 6}
    going_back = run.switched and run.report.mode != "rollback"  # which cleans up, too
    if begun and not run.dry and not going_back:
        with suppress(DeployError):  # the next run does it, too
            application.settle(run)


def _go_back(run: Run) -> int:
    """Step 8: serve on every switched host what it served before."""
    step = Step(8, "Automatic rollback", _back_on_switched)
    try:
        do(run, step)
    except (Exception, KeyboardInterrupt):  # noqa: BLE001 - told by `do`
        run.report.result = "rollback failed"
        return FAILED
    run.report.result = "rolled back"
    return FAILED


def _back_on_switched(run: Run) -> None:
    """Go back on each switched host on its own: one that is away keeps no other from it."""
    problems: list[Problem] = []
    for host in (host for host in run.config.hosts if host.name in run.switched):
        try:
            application.restore_served(run, host)
        except DeployError as error:
            problems += error.problems
    if problems:
        raise DeployError(*problems)
    if run.snapshot:
        run.progress(
            "The migrations stay: the release before runs on them. To go back to the database as"
            f" it was: ops/rollback/db_restore_to_snapshot.sh {run.snapshot}"
        )


# ---------------------------------------------------------------- telling


@contextmanager
def recorded(run: Run) -> Iterator[None]:
    """Hold the database's lock, write the audit lines, report what came of it, whatever happens."""
    logs = run.report.folder.parent
    _written(run, lambda: audit(logs, run.report, "started"))
    _written(run, lambda: run.runner.open_log(run.report.folder / "lock.log"))
    try:
        with database_lock(run.config, run.runner) as locked:
            if not locked:
                run.say("⚠️  The database does not answer: no lock between machines")
            yield
    except DeployError as error:  # of the lock
        _tell(run, error)
        run.report.result = "failed"
        raise
    finally:
        if run.report.result == "running":
            run.report.result = "interrupted"
        _summarize(run)
        _written(run, lambda: audit(logs, run.report, "finished"))
        run.runner.close()


def do(run: Run, step: Step) -> None:
    """Run a step with its log and its line in the report. Raises what it raises."""
    report = StepReport(step.number, step.title)
    run.report.steps.append(report)
    _written(run, lambda: run.runner.open_log(run.report.folder / f"step-{step.number}.log"))
    _written(run, run.report.write)
    run.say(f"\nℹ Step {step.number}: {step.title}")
    began = time.monotonic()
    try:
        step.act(run)
        report.status = "done"
    except Exception as error:  # noqa: BLE001 - a defect, too, must not end a deployment half-way
        report.status = "cancelled" if isinstance(error, CancelledError) else "failed"
        told = error if isinstance(error, DeployError) else _unexpected(run, error)
        _tell(run, told)
        raise told from None
    except BaseException:
        report.status = "interrupted"
        raise
    finally:
        report.seconds = time.monotonic() - began
        _written(run, run.report.write)


def _written(run: Run, write: Callable[[], object]) -> None:
    """Write to the log folder; a disk that is full must not end a deployment half-way."""
    try:
        write()
    except OSError as error:
        run.say(f"⚠️  The logs cannot be written ({error.strerror}): going on without them")


def _unexpected(run: Run, error: Exception) -> DeployError:
    """Return a defect as an error like others, so that what was switched is taken back, too."""
    for line in traceback.format_exception(error):
        run.runner.note(line.rstrip())
    cause = f"{type(error).__name__}: {run.runner.redact(str(error))}"
    return DeployError.of("Deployer", cause, "This should not happen: report it with the log")


def _skipped(run: Run, step: Step) -> None:
    run.report.steps.append(StepReport(step.number, step.title, "not run"))
    run.say(f"\nℹ Step {step.number}: {step.title}: not run (dry run)")


def _tell(run: Run, error: DeployError) -> None:
    for problem in error.problems:
        text = run.runner.redact(str(problem))
        run.runner.note(text)
        run.say(f"❌ {text}")
        told = {name: run.runner.redact(value) for name, value in problem.as_json().items()}
        run.report.problems.append(told)


def _summarize(run: Run) -> None:
    """Step 9: text and JSON, and what to do next."""
    begun = any(step.number in _SERVING for step in run.report.steps)
    if begun and run.report.result != "successful":
        run.report.figures["Serving now"] = _who_serves(run)
    text = f"{run.report.summary()}\n\n{verdict(run.report, dry=run.dry)}"
    summary = run.report.folder / "summary.txt"
    _written(run, run.report.write)
    _written(run, lambda: summary.write_text(text + "\n", encoding="utf-8"))
    run.say("\nℹ Step 9: Deployment Summary")
    run.say(text)


def _who_serves(run: Run) -> str:
    try:
        serving = {name: found["serving"] for name, found in run.statuses().items()}
    except (DeployError, KeyboardInterrupt):
        return "not known: a host does not answer"
    return ", ".join(
        f"{name} v{found['version']}" if found else f"{name} nothing"
        for name, found in serving.items()
    )


def logs_folder(checkout: Path) -> Path:
    """Return where the folders of all deployments are."""
    return checkout / "out/prod_deploy"
