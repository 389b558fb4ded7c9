"""One deployment at a time: on this machine by a file, between machines by the database."""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from threading import Timer

from kis_deploy.config import Config
from kis_deploy.database import psql_call
from kis_deploy.problems import TakenError
from kis_deploy.runner import Redactor, Runner

_ANSWER_SEC = 20.0
_NUMBER = 0x6B69_7364  # any number, as long as every deployer takes the same


@contextmanager
def local_lock(folder: Path) -> Iterator[None]:
    """Hold the folder of the logs. Raises TakenError where another deployment here does."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise _taken(f" on this machine ({file.read(100).strip()})") from None
        file.truncate(0)
        since = datetime.now().astimezone().isoformat(timespec="seconds")
        file.write(f"process {os.getpid()} since {since}")
        file.flush()
        yield


def _taken(where: str = "") -> TakenError:
    return TakenError.of(
        "Lock",
        f"another deployment of this project is under way{where}",
        "Wait for its end; where it was killed the lock is free again",
    )


@contextmanager
def database_lock(
    config: Config, runner: Runner | None = None, limit_sec: float = _ANSWER_SEC
) -> Iterator[bool]:
    """Hold an advisory lock of the database for the time of the block; it ends with its session.

    Yields whether there is a lock: False where the database does not answer in time, since a
    rollback has to work there too. Raises TakenError where another deployment holds it.
    """
    if not config["SUPABASE_OWNER_URL"]:  # which going back does without
        yield False
        return
    runner = runner or Runner(Redactor(config.secrets))
    command, environment = psql_call(config, config["SUPABASE_OWNER_URL"])
    runner.note("$ " + shlex.join(command))
    with TemporaryFile("w+", encoding="utf-8", errors="replace") as messages:
        try:
            session = subprocess.Popen(  # noqa: S603 - psql, with arguments of this package
                command,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=messages,
                text=True,
                start_new_session=True,  # Ctrl-C must not free the lock
            )
        except OSError:
            yield False  # the pre-flight tells that there is no psql
            return
        with session:
            try:
                answer = _asked(session, limit_sec)
                messages.seek(0)
                runner.note(f"  {messages.read()}{answer or 'no answer'}")
                if answer == "f":
                    raise _taken()
                yield answer == "t"
            finally:
                session.kill()


def _asked(session: subprocess.Popen[str], limit_sec: float) -> str:
    """Return whether the lock was taken, t or f; nothing where there is no database.

    A server may let a session in and keep silent ever after: psql itself would wait for it.
    """
    if session.stdin is None or session.stdout is None:
        return ""
    limit = Timer(limit_sec, session.kill)
    limit.start()
    try:
        session.stdin.write(f"select pg_try_advisory_lock({_NUMBER});\n")
        session.stdin.flush()
        return session.stdout.readline().strip()
    except BrokenPipeError:
        return ""
    finally:
        limit.cancel()
