"""Installations for a moment: a folder with an embedded server, of which nothing remains."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import current_thread, main_thread

from kis_estimator.errors import KisError
from kis_estimator.store.postgres import EmbeddedPostgres

_LOCK = "in-use.lock"
_GONE_SEC, _LOOK_SEC = 5.0, 0.02


_ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def signals_held() -> Iterator[None]:
    """Let a signal that ends the process wait for the end of what it must not cut in half."""
    if current_thread() is not main_thread():  # where no signal arrives
        yield
        return
    came: list[int] = []
    before = {s: signal.signal(s, lambda number, _: came.append(number)) for s in _ENDING}
    try:
        yield
    finally:
        for held, handler in before.items():
            signal.signal(held, handler)
        if came:
            signal.raise_signal(came[0])


@contextmanager
def running_server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """Lend the running server of a folder; no signal leaves one half started or half stopped.

    Raises what the server's start raises.
    """
    server = EmbeddedPostgres(folder)
    try:
        with signals_held():
            server.start()
        yield server
    finally:
        with signals_held():
            server.stop()


@contextmanager
def scratch_installation(parent: Path) -> Iterator[tuple[Path, EmbeddedPostgres]]:
    """Lend a home below `parent` and its running server; what a killed process left there goes.

    At the end whatever still works for this home is killed. Raises SCRATCH_FOLDER, and what the
    server's start raises.
    """
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in parent.iterdir():
            _remove_if_left(folder)
        home = Path(tempfile.mkdtemp(dir=parent))
    except OSError as error:
        raise KisError.of("SCRATCH_FOLDER", path=str(parent), reason=error.strerror) from error
    try:
        with (home / _LOCK).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with running_server(home / "postgres") as server:
                try:
                    yield home, server
                finally:
                    _kill_users(home)  # first: they would keep the server
    finally:
        with signals_held():
            shutil.rmtree(home, ignore_errors=True)


def _kill_users(home: Path) -> None:
    """Kill every process whose installation this is, and wait until none holds its server."""
    ours = b"KIS_HOME=" + os.fsencode(home)
    deadline = time.monotonic() + _GONE_SEC
    with signals_held():
        while (found := _with_variable(ours)) and time.monotonic() < deadline:
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_LOOK_SEC)


def _with_variable(variable: bytes) -> list[int]:
    """Return the processes with a variable in their environment; a dead one has none."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if variable in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


def _remove_if_left(folder: Path) -> None:
    """Stop what still runs in a folder that nobody holds, and remove it."""
    with suppress(FileNotFoundError), (folder / _LOCK).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        _kill_users(folder)
        if (folder / "postgres/data/postmaster.pid").exists():
            with suppress(KisError), running_server(folder / "postgres"):
                pass  # taken over, so that it is stopped
        shutil.rmtree(folder, ignore_errors=True)
