"""One deployment at a time: on this machine by a file, between machines by the database."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kis_deploy.config import Config
from kis_deploy.database import psql_call
from kis_deploy.problems import DeployError

_NUMBER = 0x6B69_7364  # any number, as long as every deployer takes the same
_TAKEN = DeployError.of(
    "Lock",
    "another deployment of this project is under way",
    "Wait for its end; where it was killed the lock is free again",
)


@contextmanager
def local_lock(folder: Path) -> Iterator[None]:
    """Hold the folder of the logs. Raises DeployError where another deployment here does."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _TAKEN from None
        yield


@contextmanager
def database_lock(config: Config) -> Iterator[bool]:
    """Hold an advisory lock of the database for the time of the block; it ends with its session.

    Yields whether there is a lock: False where the database cannot be reached, since a rollback has
    to work there too. Raises DeployError where another deployment holds it.
    """
    command, environment = psql_call(config, config["SUPABASE_OWNER_URL"])
    try:
        session = subprocess.Popen(  # noqa: S603 - psql, with arguments of this package
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C must not free the lock
        )
    except OSError:
        yield False  # the pre-flight tells that there is no psql
        return
    with session:
        try:
            answer = _asked(session)
            if answer == "f":
                raise _TAKEN
            yield answer == "t"
        finally:
            session.kill()


def _asked(session: subprocess.Popen[str]) -> str:
    """Return whether the lock was taken, t or f; nothing where there is no database."""
    if session.stdin is None or session.stdout is None:
        return ""
    try:
        session.stdin.write(f"select pg_try_advisory_lock({_NUMBER});\n")
        session.stdin.flush()
    except BrokenPipeError:
        return ""
    return session.stdout.readline().strip()
