"""Going back by hand: the application to an earlier release, the database to a snapshot."""

from __future__ import annotations

import json
import re
from contextlib import suppress

from kis_deploy.config import read_release
from kis_deploy.crosscheck import other_installations
from kis_deploy.deployment import DONE, FAILED, Step, check, do, interrupted, logs, recorded
from kis_deploy.problems import CancelledError, DeployError, Problem
from kis_deploy.report import ended_runs
from kis_deploy.run import Run
from kis_deploy.steps import application, schema

_RESTORE_SEC = 3600.0


def rollback(run: Run, tag: str | None, snapshot: str | None) -> int:
    """Serve an earlier release; then, where one is named, restore a snapshot of the database.

    Without a tag it is the release that served before. Everything is looked at before anything
    changes.
    """
    steps = [
        Step(0, "Pre-flight Checks", lambda run: _look(run, tag, snapshot)),
        Step(1, "Creating deployment logs directory", logs),
        Step(6, "Rolling back the application", _back),
    ]
    if snapshot:
        steps.append(Step(4, "Restoring the database", lambda run: _restore(run, snapshot)))
    return _all(run, [*steps, Step(7, "Post-Rollback Validation", check)])


def restore(run: Run, snapshot: str, *, only_check: bool) -> int:
    """Restore a snapshot of the database and leave the application as it is."""
    steps = [
        Step(
            0, "Pre-flight Checks", lambda run: _look_at_snapshot(run, snapshot, ask=not only_check)
        ),
        Step(1, "Creating deployment logs directory", logs),
        Step(4, "Restoring the database", lambda run: _restore(run, snapshot)),
        Step(7, "Post-Rollback Validation", check),
    ]
    return _all(run, steps[:2] if only_check else steps)


def _all(run: Run, steps: list[Step]) -> int:
    with recorded(run):
        try:
            for step in steps:
                do(run, step)
        except CancelledError:
            run.report.result = "cancelled"
            return FAILED
        except DeployError:
            restoring = any(step.number == 4 for step in run.report.steps)  # noqa: PLR2004
            changed = run.switched or restoring
            run.report.result = "rollback failed" if changed else "failed"
            return FAILED
        except KeyboardInterrupt:
            interrupted(run)
            raise
        run.report.result = "successful"
    return DONE


def _back(run: Run) -> None:
    application.serve(run, str(run.report.version), back=True)
    run.told(f"v{run.report.version} serves again")


def _look(run: Run, tag: str | None, snapshot: str | None) -> None:
    run.report.version = _target(run, tag)
    run.told(f"v{run.report.version} is installed on every host")
    ours = [e for e in ended_runs(run.report.folder.parent) if e["version"] == run.report.version]
    if ours and ours[-1]["result"] == "rolled back":
        run.say(f"⚠️  v{run.report.version} was taken back at {ours[-1]['at']}: it had failed")
    with suppress(DeployError):  # without its folder the contract's checksum is not compared
        evidence = run.config.checkout / "out/evidence"
        run.release = read_release(evidence / f"v{run.report.version}")
    if snapshot:
        _look_at_snapshot(run, snapshot, ask=True)


def _target(run: Run, tag: str | None) -> str:
    """Return the version to go back to. Raises DeployError where it is not on every host."""
    named = (
        None if tag is None else re.fullmatch(r"v?(\d+\.\d+\.\d+[-.a-z0-9]*?)(-estimator)?", tag)
    )
    if tag is not None and named is None:
        raise DeployError.of("--to-tag", "is no release's tag", "Write it as v2.0.0")
    wanted = named and named[1]
    found, versions = run.statuses(), set()
    problems = other_installations(run.config, found, "APP_ENV", "SUPABASE_URL")
    for name, status in found.items():
        previous = status["previous"]
        version = wanted if wanted is not None else previous and previous["version"]
        if version is None:
            cause, remedy = "has no earlier release", "Name one with --to-tag, or deploy one"
            problems.append(Problem(name, cause, remedy))
        elif version not in status["releases"]:
            there = ", ".join(f"v{found}" for found in status["releases"]) or "nothing"
            remedy = f"Installed: {there}. Choose one of these, or deploy the release anew"
            problems.append(Problem(name, f"has no release v{version}", remedy))
        versions.add(str(version))
    if not problems and len(versions) > 1:
        cause = f"would go back to different releases: {', '.join(sorted(versions))}"
        problems.append(Problem("Hosts", cause, "Name one with --to-tag"))
    if problems:
        raise DeployError(*problems)
    return versions.pop()


def _look_at_snapshot(run: Run, snapshot: str, *, ask: bool) -> None:
    output = _restore_by(run, snapshot, "--check", "--json")
    migration = json.loads(output[output.index("{") :])["migration"] or ""
    serving = {str(found["version"]) for found in run.before.values() if found}
    for version in {run.report.version} if run.report.version else serving:
        _check_age(run, snapshot, migration, str(version))
    run.told(f"Snapshot {snapshot} is whole, of this database, and can be restored")
    if ask:
        run.confirm(f"Replace the database by snapshot {snapshot}?", everywhere=True)


def _check_age(run: Run, snapshot: str, migration: str, version: str) -> None:
    """See that a release can serve the schema of a snapshot. Raises DeployError."""
    needed = _newest_migration(run, version)
    if needed <= migration:
        return
    fitting = [v for v in _installed(run) if _newest_migration(run, v) <= migration]
    tag = f"v{fitting[-1]}" if fitting else "of a release of that time"
    raise DeployError.of(
        f"Snapshot {snapshot}",
        f"ends with migration {migration or 'none'}, and v{version} needs {needed}",
        "Go back with both: ./DEPLOYMENT_SCRIPT.sh --rollback"
        f" --to-tag {tag} --snapshot {snapshot}",
    )


def _newest_migration(run: Run, version: str) -> str:
    """Return the newest migration that a release has with it; none where it is not installed."""
    release = run.kis(version).parents[2]
    files = release.glob("venv/lib/python*/site-packages/kis_estimator/migrations/*.sql")
    return max((file.name.partition("_")[0] for file in files), default="")


def _restore(run: Run, snapshot: str) -> None:
    for line in _restore_by(run, snapshot, "--yes").splitlines():
        run.told(line)


def _restore_by(run: Run, snapshot: str, *options: str) -> str:
    installed = _installed(run)
    program = run.kis(installed[-1]) if installed else run.config.checkout / "script/kis"
    cause = "cannot be restored" if "--check" in options else "was not restored"
    return run.runner.check(
        [str(program), "db", "restore", snapshot, *options],
        Problem(f"Snapshot {snapshot}", cause, "The database is as it was"),
        environment=schema.database_environment(run),
        timeout_sec=_RESTORE_SEC,
    )


def _installed(run: Run) -> list[str]:
    """Return the versions that are installed on this machine, the newest last."""
    found = {version for status in run.statuses().values() for version in status["releases"]}
    return sorted((version for version in found if run.kis(version).exists()), key=_age)


def _age(version: str) -> tuple[list[int], bool]:
    """Return what versions are sorted by; a candidate comes before its release."""
    numbers, _, candidate = version.partition("-")
    return [int(part) for part in re.findall(r"\d+", numbers)], not candidate
