"""The supervisor of `kis serve`: keeps API, worker and the embedded PostgreSQL running.

It holds the listening socket, so that connections wait while the API is replaced. A child's
standard input is a pipe whose other end is here: when the supervisor is killed the children end.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import ipaddress
import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from prometheus_client.multiprocess import mark_process_dead
from psycopg import pq

from kis_estimator.errors import KisError
from kis_estimator.store.postgres import EmbeddedPostgres

_QUICK_SEC = 10
_QUICK_DEATHS = 5
_FIRST_WAIT_SEC, _LONGEST_WAIT_SEC = 0.25, 10.0
_STOP_SEC = 45  # longer than either child drains
_LOOK_SEC = 2.0
_BACKLOG = 2048

Tell = Callable[[str, Mapping[str, object]], None]


# ---------------------------------------------------------------- one serve for a home


@contextmanager
def only_one(home: Path) -> Iterator[IO[str]]:
    """Hold an installation; raises SERVE_RUNNING where another `kis serve` does."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / "serve.lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            found = json.loads(lock.read() or "{}")
            raise KisError.of(
                "SERVE_RUNNING",
                home=str(home),
                pid=str(found.get("pid", "?")),
                url=found.get("url", "…"),
            ) from None
        yield lock
        lock.truncate(0)


def note_holder(lock: IO[str], url: str) -> None:
    """Write down who holds the installation, for whoever comes second."""
    lock.seek(0)
    lock.truncate()
    json.dump({"pid": os.getpid(), "url": url}, lock)
    lock.flush()


def new_run_folder(home: Path) -> Path:
    """Return an empty folder for what lasts as long as this start; earlier ones go."""
    runs = home / "run"
    shutil.rmtree(runs, ignore_errors=True)
    folder = runs / str(os.getpid())
    for name in ("metrics", "scratch"):
        (folder / name).mkdir(mode=0o700, parents=True)
    return folder


# ---------------------------------------------------------------- children


@dataclass(frozen=True, slots=True)
class Watch:
    """How a supervisor is told to stop, and tells what happens: a code and its parameters."""

    stop: asyncio.Event
    tell: Tell


@dataclass(slots=True, kw_only=True)
class Child:
    """A child process: how it is started, and the one that runs now."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    descriptors: tuple[int, ...] = ()
    log: Path | None = None
    _process: asyncio.subprocess.Process | None = field(default=None, repr=False)

    async def keep(self, tell: Tell, metrics: Path) -> None:
        """Run it, and again when it ends; return when it has died too often too quickly."""
        quick = 0
        while True:
            began = time.monotonic()
            code = await self._run(metrics)
            quick = quick + 1 if time.monotonic() - began < _QUICK_SEC else 1
            if quick == _QUICK_DEATHS:
                return
            tell("SERVE_CHILD_ENDED", {"name": self.name, "status": code})
            await asyncio.sleep(min(_FIRST_WAIT_SEC * 2**quick, _LONGEST_WAIT_SEC))

    async def _run(self, metrics: Path) -> int:
        log = None if self.log is None else self.log.open("ab")
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self.environment,
                pass_fds=self.descriptors,
                start_new_session=True,  # the terminal's Ctrl-C comes here alone
            )
        finally:
            if log is not None:
                log.close()
        code = await self._process.wait()
        mark_process_dead(self._process.pid, str(metrics))  # type: ignore[no-untyped-call]
        return code

    async def stop(self) -> None:
        """Let it drain and end; kill it where it does not."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_SEC):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def supervise(
    children: Sequence[Child], postgres: EmbeddedPostgres | None, metrics: Path, watch: Watch
) -> str | None:
    """Keep everything running until told to stop, then stop the children one after the other.

    Returns the name of a child that could not be kept.
    """
    keeping = {asyncio.create_task(c.keep(watch.tell, metrics), name=c.name) for c in children}
    watching = asyncio.create_task(_keep_postgres(postgres, watch.tell))
    stopping = asyncio.create_task(watch.stop.wait())
    done, _ = await asyncio.wait({*keeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in (*keeping, watching, stopping):
        task.cancel()
    for child in children:
        await child.stop()
    lost = [task for task in keeping if task in done]
    for task in lost:
        task.result()
    return lost[0].get_name() if lost else None


async def _keep_postgres(postgres: EmbeddedPostgres | None, tell: Tell) -> None:
    """Start the embedded server again where it was killed."""
    while postgres is not None:
        await asyncio.sleep(_LOOK_SEC)
        if not await asyncio.to_thread(_answers, postgres):
            tell("SERVE_DATABASE_AGAIN", {})
            with suppress(KisError):  # tried again; API and worker say what they miss
                await asyncio.to_thread(_restart, postgres)


def _restart(postgres: EmbeddedPostgres) -> None:
    postgres.stop()  # gives up the use of the dead one
    postgres.start()


def _answers(postgres: EmbeddedPostgres) -> bool:
    try:
        dsn = postgres.dsn("kis_api")
    except OSError:
        return False
    return pq.PGconn.ping(dsn.encode()) != pq.Ping.NO_RESPONSE


# ---------------------------------------------------------------- the socket


def listen(host: str, port: int, *, public: bool) -> socket.socket:
    """Return a listening socket; `public` lets it be reached from other machines.

    Raises HOST_UNKNOWN, HOST_PUBLIC or PORT_TAKEN.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError):
        raise KisError.of("HOST_UNKNOWN", host=host) from None
    if not (public or ipaddress.ip_address(address[0]).is_loopback):
        raise KisError.of("HOST_PUBLIC", host=host)
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise KisError.of("HOST_UNKNOWN", host=host) from None
        raise KisError.of("PORT_TAKEN", port=port, reason=error.strerror) from None
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the address that a listening socket answers at."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
