"""Installations for a moment: a folder with an embedded server, of which nothing remains."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kis_estimator.errors import KisError
from kis_estimator.store.postgres import EmbeddedPostgres

_LOCK = "in-use.lock"


@contextmanager
def scratch_installation(parent: Path) -> Iterator[tuple[Path, EmbeddedPostgres]]:
    """Lend a home below `parent` and its running server; what a killed process left there goes.

    Raises SCRATCH_FOLDER, and what the server's start raises.
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
            with EmbeddedPostgres(home / "postgres") as server:
                yield home, server
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _remove_if_left(folder: Path) -> None:
    """Stop what still runs in a folder that nobody holds, and remove it."""
    with suppress(FileNotFoundError), (folder / _LOCK).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        _end_service(folder / "serve.lock")
        if (folder / "postgres/data/postmaster.pid").exists():
            with suppress(KisError), EmbeddedPostgres(folder / "postgres"):
                pass  # taken over, so that it is stopped
        shutil.rmtree(folder, ignore_errors=True)


def _end_service(held: Path) -> None:
    """End the `kis serve` that holds an installation, and wait until it has."""
    with suppress(FileNotFoundError), held.open("r", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            os.kill(json.load(lock)["pid"], signal.SIGTERM)
            fcntl.flock(lock, fcntl.LOCK_SH)
