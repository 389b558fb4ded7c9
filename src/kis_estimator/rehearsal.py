"""A rehearsal: releases are started on a copy of a snapshot, and each works out an estimate.

So a migration that fails, and a release that does not start or work on the new schema, are found
while the database itself is untouched.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from kis_estimator.store.migrate import migrate
from kis_estimator.store.scratch import scratch_installation, signals_held
from kis_estimator.store.snapshot_file import SnapshotKey
from kis_estimator.store.snapshot_restore import load
from kis_estimator.store.snapshots import Snapshot

_ESTIMATE_SEC, _COMMAND_SEC = 300, 60
_STOP_SEC = 5  # what does not end by then is killed: whoever ends a rehearsal waits for 20 s
_LOOK_SEC = 0.25
_LOG_LINES = 20
_ORDER = {
    "customer": {"name": "rehearsal"},
    "panels": [
        {
            "name": "LP-1",
            "breakers": [
                {"role": "main", "category": "MCCB", "poles": 4, "ratedCurrentA": 75},
                {"role": "branch", "category": "ELB", "poles": 2, "ratedCurrentA": 20},
            ],
        }
    ],
}

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What became of one release: how far it came, and where it failed why and its last lines."""

    executable: str
    version: str = ""
    ready: bool = False
    estimate: str | None = None
    gates_run: int = 0
    seconds: float = 0
    problem: str | None = None
    log: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether it started, and completed an estimate whose gates were run."""
        return self.problem is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """The migrations that were applied to the copy, and each release on it."""

    applied: tuple[str, ...]
    trials: tuple[Trial, ...]

    @property
    def passed(self) -> bool:
        """Whether every release passed."""
        return all(trial.passed for trial in self.trials)


class _TrialError(Exception):
    """A release did not do what it should."""


def rehearse(
    snapshot: Snapshot,
    key: SnapshotKey,
    folder: Path,
    executables: Sequence[str],
    scratch: Path,
    ready_sec: float,
) -> Rehearsal:
    """Restore a snapshot below `scratch`, apply the migrations of a folder, try each executable.

    One that is not ready within `ready_sec` seconds of its start has failed. Raises what restoring
    and migrating the copy raise; everything is removed afterwards.
    """
    with scratch_installation(scratch) as (home, server):
        load(server.dsn("postgres"), snapshot, key)
        applied = migrate(server.dsn("postgres"), folder)
        trials = tuple(_try(executable, home, ready_sec) for executable in executables)
    return Rehearsal(applied=tuple(m.file for m in applied), trials=trials)


def _try(executable: str, home: Path, ready_sec: float) -> Trial:
    began, log = time.monotonic(), home / "serve.log"
    log.write_bytes(b"")
    told: dict[str, Any] = {}
    try:
        told["version"] = _said(executable, home, "--version").removeprefix("kis ")
        with _serving(executable, home, log, ready_sec) as url:
            told["ready"] = True
            told |= _estimated(url, _said(executable, home, "token"))
        if told["estimate"] != "completed" or not told["gates_run"]:
            told["problem"] = f"the estimate is {told['estimate']}, gates run: {told['gates_run']}"
    except (_TrialError, OSError, httpx.HTTPError, subprocess.SubprocessError) as error:
        told["problem"] = str(error) or type(error).__name__
    if "problem" in told:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        told["log"] = tuple(lines[-_LOG_LINES:])
    return Trial(executable=executable, seconds=round(time.monotonic() - began, 1), **told)


def _said(executable: str, home: Path, *arguments: str) -> str:
    """Return what a short command of a release prints."""
    done = subprocess.run(  # noqa: S603 - the release that the caller names
        [executable, *arguments],
        env=_environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=_COMMAND_SEC,
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise _TrialError(f"{arguments[0]} ended with {done.returncode}: {''.join(last)}")
    return done.stdout.strip()


def _environment(home: Path) -> dict[str, str]:
    """Return an environment that leads to the copy and to nothing else."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "LANG": "en_US.UTF-8", "KIS_HOME": str(home), "APP_ENV": "development"}


@contextmanager
def _serving(executable: str, home: Path, log: Path, ready_sec: float) -> Iterator[str]:
    """Run a release on the copy; lend its address when it is ready."""
    with (
        log.open("wb") as output,
        subprocess.Popen(  # noqa: S603 - the release that the caller names
            [executable, "serve", "--port", "0", "--workers", "1"],
            env=_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield _awaited(lambda: _ready(process, home), ready_sec, "it did not become ready")
        finally:
            with signals_held():
                process.terminate()
                try:
                    process.wait(_STOP_SEC)
                except subprocess.TimeoutExpired:
                    process.kill()


def _ready(process: subprocess.Popen[bytes], home: Path) -> str | None:
    """Return the address that answers; the release writes it down for whoever comes second."""
    if process.poll() is not None:
        raise _TrialError(f"serve ended with {process.returncode}")
    with suppress(FileNotFoundError, ValueError, KeyError, httpx.TransportError):
        url = str(json.loads((home / "serve.lock").read_text(encoding="utf-8"))["url"])
        if httpx.get(f"{url}/readyz", timeout=5).is_success:
            return url
    return None


def _estimated(url: str, token: str) -> dict[str, Any]:
    """Order a small estimate and wait for its end."""
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
        ordered = client.post("/v1/estimate", json=_ORDER).raise_for_status().json()
        place = f"/v1/estimate/{ordered['id']}"

        def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = client.get(place).raise_for_status().json()
            return found if found["status"] in {"completed", "failed"} else None

        found = _awaited(ended, _ESTIMATE_SEC, "the estimate was not worked out")
    gates = [gate for gate in found.get("gates") or () if gate["passed"] is not None]
    return {"estimate": found["status"], "gates_run": len(gates)}


def _awaited(look: Callable[[], Found | None], limit_sec: float, otherwise: str) -> Found:
    """Look until there is something to be found."""
    deadline = time.monotonic() + limit_sec
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise _TrialError(f"{otherwise} within {limit_sec} s")
        time.sleep(_LOOK_SEC)
    return found
