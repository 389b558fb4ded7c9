"""The command line of the deployer."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from kis_deploy import deployment
from kis_deploy.config import Config, Release, read_config, read_release
from kis_deploy.deployment import DONE, FAILED, WRONG
from kis_deploy.lock import local_lock
from kis_deploy.overview import overview
from kis_deploy.problems import DeployError, Problem, TakenError
from kis_deploy.report import Report, unfinished
from kis_deploy.rollback import restore, rollback
from kis_deploy.run import Run, require_terminal
from kis_deploy.runner import Redactor, Runner
from kis_deploy.variables import GOING_BACK, VARIABLES

_STEPS = """\
steps:
  0 pre-flight checks      4 snapshot, rehearsal, migrations
  1 log folder             5 storage bucket
  2 Supabase login, link   6 application
  3 schema validation      7 validation
  8 goes back when 6 or 7 fails after the switch, 9 is the summary

exit codes: 0 done, 1 failed, cancelled or locked (the last lines say what serves), 2 the call
or the environment is wrong. .env.production.example tells every variable, docs/Deployment.md
every step, docs/Runbook.md what to do when.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the deployer; return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if (options.to_tag or options.snapshot) and not options.rollback:
        parser.error("--to-tag and --snapshot need --rollback")
    if options.check and not options.restore:
        parser.error("--check needs --restore")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever the terminal can show
            stream.reconfigure(errors="replace")
    alone = options.status or (options.rollback and not options.snapshot)
    needed = GOING_BACK if alone else VARIABLES
    checkout = Path(options.checkout).resolve()
    try:
        config = read_config(os.environ, checkout, needed)
        if options.check_env:
            print(f"✅ Environment variables validated ({config['APP_ENV']})")  # noqa: T201 - its answer
            return DONE
        if options.status:
            return _status(config)
        return _run(config, options)
    except DeployError as error:
        for problem in error.problems:
            print(f"❌ {problem}", file=sys.stderr)  # noqa: T201 - its answer
        return FAILED if isinstance(error, TakenError) else WRONG
    except OSError as error:
        what, remedy = error.filename or str(checkout), "Check the disk, and whose file it is"
        problem = Problem(str(what), str(error.strerror or error), remedy)
        print(f"❌ {problem}", file=sys.stderr)  # noqa: T201 - its answer
        return WRONG


def _status(config: Config) -> int:
    """Look at the hosts; nothing is written, not even a log."""
    logs = deployment.logs_folder(config.checkout)
    report = Report(logs, config["APP_ENV"], "status")
    run = Run(config, Runner(Redactor(config.secrets)), report, None, say=_say)
    return DONE if overview(run, logs) else FAILED


def _run(config: Config, options: argparse.Namespace) -> int:
    logs = deployment.logs_folder(config.checkout)
    back = options.rollback or options.restore
    release = None if back else _release(config)
    if not options.yes and _asks(config, options):
        require_terminal()
    with local_lock(logs):
        killed = unfinished(logs)
        run = _new_run(config, options, release)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _stop)
        if killed:
            run.say(f"⚠️  The deployment {killed}; step 6 cleans up what it began")
        try:
            if options.restore:
                return restore(run, options.restore, only_check=options.check)
            if options.rollback:
                return rollback(run, options.to_tag, options.snapshot)
            return deployment.deploy(run, options.step or ())
        except DeployError:
            return FAILED  # told already
        except KeyboardInterrupt:
            return FAILED


def _asks(config: Config, options: argparse.Namespace) -> bool:
    """Whether a run will ask for a yes: better said now than after half an hour."""
    if options.restore or options.check:
        return not options.check
    if options.rollback:
        return bool(options.snapshot)
    return config.production and not options.dry_run and deployment.asks(options.step or ())


def _new_run(config: Config, options: argparse.Namespace, release: Release | None) -> Run:
    logs = deployment.logs_folder(config.checkout)
    named = {
        "rollback": options.rollback,
        "check of a snapshot": options.check,
        "restore": options.restore,
        "dry run": options.dry_run,
        f"step {', '.join(map(str, options.step or ()))}": options.step,
    }
    mode = next((name for name, asked in named.items() if asked), "deploy")
    folder = _new_folder(logs)
    runner = Runner(Redactor(config.secrets))
    report = Report(folder, config["APP_ENV"], mode, release.version if release else None)
    return Run(config, runner, report, release, options.yes, options.dry_run, say=_say)


def _release(config: Config) -> Release:
    named = config["DEPLOY_RELEASE"]
    return read_release(Path(named) if named else _newest(config.checkout / "out/evidence"))


def _newest(folder: Path) -> Path:
    """Return the release cut last. Raises DeployError where there is none."""
    cut = [path.parent for path in folder.glob("v*/SHA256SUMS")]
    if not cut:
        raise DeployError.of(
            str(folder), "holds no release", "Cut one with `script/kis release cut vX.Y.Z`"
        )
    return max(cut, key=lambda path: (path / "SHA256SUMS").stat().st_mtime)


def _new_folder(logs: Path) -> Path:
    """Make the folder of this run, named by its time; a second one in the same second waits."""
    number = 0
    while True:
        name = f"{datetime.now().astimezone():%Y%m%d_%H%M%S}" + (f"_{number}" if number else "")
        try:
            (logs / name).mkdir(mode=0o700)
        except FileExistsError:
            number += 1
        else:
            return logs / name


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    with suppress(OSError):  # a terminal that is gone must not end a deployment half-way
        print(text, flush=True)  # noqa: T201 - how it talks


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="DEPLOYMENT_SCRIPT.sh",
        description="Deploy a release of KIS Estimator, or go back to the one before.",
        epilog=_STEPS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check-env", action="store_true", help="check the variables, nothing else")
    mode.add_argument("--status", action="store_true", help="say who serves, change nothing")
    mode.add_argument("--dry-run", action="store_true", help="look at everything, change nothing")
    mode.add_argument("--rollback", action="store_true", help="serve the release before")
    mode.add_argument("--restore", metavar="ID", help="restore a snapshot, the database alone")
    mode.add_argument(
        "--step",
        type=int,
        action="append",
        choices=range(8),
        help="run this step alone; repeatable",
    )
    parser.add_argument("--to-tag", metavar="TAG", help="with --rollback: the release to serve")
    parser.add_argument(
        "--snapshot", metavar="ID", help="with --rollback: restore the database, too"
    )
    parser.add_argument("--check", action="store_true", help="with --restore: change nothing")
    parser.add_argument("--yes", action="store_true", help="answer the questions with yes")
    parser.add_argument("--checkout", default=".", help=argparse.SUPPRESS)
    return parser
