"""Steps 3 and 4: is the database what it should be; snapshot, rehearsal, migrations."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from threading import Timer

from kis_deploy import database
from kis_deploy.hosts import Host
from kis_deploy.problems import DeployError, Problem
from kis_deploy.run import INSTALL_SEC, Run

_SNAPSHOT_SEC = 3600.0
_REFERENCE_SEC, _GONE_SEC = 900.0, 60.0


def install(run: Run) -> None:
    """Put the release beside the ones that are there, on every host and for the commands here."""
    release = run.deployed()

    def put(host: Host, root: str) -> None:
        host.send_release(release.folder, root, release.version, run.progress)
        run.call(host, "install", INSTALL_SEC, version=release.version, root=root)

    run.each_host(lambda host: put(host, run.config["DEPLOY_ROOT"]))
    host, root = run.tools()
    if root != run.config["DEPLOY_ROOT"]:
        put(host, root)


def validate(run: Run) -> None:
    """Step 3: lint, pending migrations, and what differs from what the migrations make."""
    release, head = run.deployed(), database.head(run.config, run.runner)
    waiting = database.pending(run.config, run.runner, _workdir(run))
    run.told(f"Pending migrations: {', '.join(waiting) or 'none'}")
    if head:
        database.lint(run.config, run.runner)
        run.told("Database lint: no errors")
    if run.dry:
        run.progress("The comparison with a fresh database needs the release installed: not run")
        return
    install(run)
    run.told(f"{release.tag} is installed beside what serves")
    if head and not list((release.folder / "supabase/migrations").glob(f"{head}_*.sql")):
        run.told(f"The database has migration {head} of a newer release: not compared")
    elif head:
        _compare(run, head)
    else:
        run.told("The database is empty: nothing to compare")


def _workdir(run: Run) -> Path:
    """Return a copy of the release's `supabase/`: the command line writes into it."""
    copy = run.report.folder / "supabase"
    if not copy.exists():
        shutil.copytree(run.deployed().folder / "supabase", copy)
    return run.report.folder


def _compare(run: Run, head: str) -> None:
    with _reference(run, head) as url:
        drift = database.difference(run.config, run.runner, url)
    if drift:
        raise DeployError.of(
            "Schema",
            f"the database is not what its migrations make\n{drift}",
            "Take these changes back, or put them into a migration",
        )
    run.told("The database is what its migrations make")


@contextmanager
def _reference(run: Run, head: str, limit_sec: float = _REFERENCE_SEC) -> Iterator[str]:
    """Lend the address of a fresh database with the migrations up to one of them.

    The limit is of its making alone: the comparison has one of its own.
    """
    command = [str(run.kis(run.deployed().version)), "db", "reference", "--until", head]
    run.runner.note("$ " + shlex.join(command))
    with (
        TemporaryFile("w+", encoding="utf-8", errors="replace") as messages,
        subprocess.Popen(  # noqa: S603 - the release's own program
            command,
            env=database_environment(run),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=messages,
            text=True,
        ) as process,
    ):
        limit = Timer(limit_sec, _stop, (process,))
        limit.start()
        try:
            line = process.stdout.readline().strip() if process.stdout else ""
            limit.cancel()
            if line:
                yield line
        finally:
            limit.cancel()
            _end(process)
            messages.seek(0)
            told = run.runner.redact(messages.read().strip())
            run.runner.note(f"  {told}\n  exit {process.poll()}")
        if not line:
            cause = told or f"gave no address in {limit_sec:g} s (exit {process.poll()})"
            raise DeployError.of("kis db reference", cause, "Read the log of step 3")


def _stop(process: subprocess.Popen[str]) -> None:
    """End a `kis db reference` whose time is over; it cleans up after SIGTERM too."""
    process.terminate()
    _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """End a `kis db reference`: it does so, and cleans up, when its standard input ends."""
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(_GONE_SEC)
    except subprocess.TimeoutExpired:
        process.kill()


# ---------------------------------------------------------------- step 4


def push(run: Run) -> None:
    """Step 4: snapshot, rehearsal on a copy, confirmation, migrations."""
    release = run.deployed()
    run.statuses()
    if not run.kis(release.version).exists():
        install(run)
    if database.head(run.config, run.runner):
        run.snapshot = _snapshot(run)
        _rehearse(run, run.snapshot)
    else:
        run.told("The database is empty: no snapshot, and nothing to rehearse on")
    waiting = database.pending(run.config, run.runner, _workdir(run))
    if waiting:
        run.say("⚠️  PRODUCTION DATABASE MIGRATION ⚠️" if run.config.production else "")
        run.confirm(
            f"Are you sure you want to push {len(waiting)} migrations to"
            f" {run.config['APP_ENV'].upper()}?"
        )
        done = database.push(run.config, run.runner, _workdir(run))
        run.told(f"Database migrations pushed: {', '.join(done)}")
    else:
        run.told("No migration is pending")
    database.claim_installation(run.config, run.runner)


def database_environment(run: Run) -> dict[str, str]:
    """Return the environment of `kis db`: the owner's address, and where snapshots are."""
    config = run.config
    home = run.report.folder.parents[1] / "kis"
    return config.commands(
        APP_ENV="development",  # a tool of this machine, which needs no production settings
        KIS_HOME=str(home),
        SUPABASE_DIRECT_URL=config["SUPABASE_OWNER_URL"],
        SUPABASE_URL=config["SUPABASE_URL"],
        SUPABASE_SERVICE_ROLE_KEY=config["SUPABASE_SERVICE_ROLE_KEY"],
        LANG="en_US.UTF-8",
    )


def _snapshot(run: Run) -> str:
    output = run.runner.check(
        [str(run.kis(run.deployed().version)), "db", "snapshot", "--json"],
        Problem("Snapshot", "was not made", "Nothing was changed; read the log of step 4"),
        environment=database_environment(run),
        timeout_sec=_SNAPSHOT_SEC,
    )
    told = json.loads(output[output.index("{") :])
    run.report.figures["Snapshot"] = told["id"]
    run.told(f"Snapshot {told['id']}: {told['rows']} rows")
    return str(told["id"])


def _rehearse(run: Run, snapshot: str) -> None:
    """Restore the snapshot elsewhere, migrate it, and run both releases on it."""
    release, previous = run.deployed(), run.report.previous
    serving = run.kis(previous) if previous and previous != release.version else None
    programs = [run.kis(release.version)]
    if serving is not None and serving.exists():
        programs.append(serving)
    elif serving is not None:
        run.progress(f"v{previous} is not installed here: not rehearsed on the new schema")
    folder = release.folder / "supabase/migrations"
    command = [str(programs[0]), "db", "rehearse", snapshot, "--migrations", str(folder)]
    command += ["--ready-sec", run.config["DEPLOY_READY_SEC"]]
    run.runner.check(
        [*command, *(part for program in programs for part in ("--serve", str(program)))],
        Problem(
            "Rehearsal",
            "the release does not work on a copy of the database",
            "The database was not touched and what served goes on; mend the release",
        ),
        environment=database_environment(run),
        timeout_sec=database.APPLY_SEC,
    )
    told = " and ".join(f"{program.parents[2].name}" for program in programs)
    run.told(f"Rehearsed on a copy of the database: migrations, then {told}")
