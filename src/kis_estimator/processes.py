"""The processes of the service, each from its settings to its end: the API, and a worker."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from threading import Thread

import structlog

from kis_estimator.assembly import LIMITS, Limits, api_services, reached, workshop
from kis_estimator.settings import Settings
from kis_estimator.web.logs import configure_logs
from kis_estimator.worker import PACE, Line, Pace, Stop, work

_KEEP_ALIVE_SEC = 75  # longer than proxies keep theirs, so that the proxy is the one who closes
_DRAIN_SEC = 10


def run_api(settings: Settings, listener: socket.socket, *, supervised: bool) -> None:
    """Answer requests on a listening socket until SIGTERM or SIGINT; then end what is under way."""
    import uvicorn  # noqa: PLC0415 - a worker needs no server

    from kis_estimator.web.app import create_app  # noqa: PLC0415 - as above
    from kis_estimator.web.protocol import Protocol  # noqa: PLC0415 - as above

    configure_logs(sys.stderr, debug=settings.debug)
    _forget_secrets()
    _exit_on_signals()  # the server takes a signal, and raises it again when it has drained
    if supervised:
        _when_supervisor_ends(lambda: os.kill(os.getpid(), signal.SIGTERM))
    with reached(settings) as addresses, api_services(settings, addresses) as services:
        config = uvicorn.Config(
            create_app(settings, services),
            loop="uvloop",
            http=Protocol,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SEC,
            timeout_graceful_shutdown=_DRAIN_SEC,
        )
        uvicorn.Server(config).run(sockets=[listener])


def run_worker(
    settings: Settings,
    processes: int,
    *,
    supervised: bool = False,
    pace: Pace = PACE,
    limits: Limits = LIMITS,
) -> None:
    """Do jobs until SIGTERM or SIGINT; then end what is under way, within the time to drain."""
    configure_logs(sys.stderr, debug=settings.debug)
    _forget_secrets()
    _exit_on_signals()
    with (
        reached(settings) as addresses,
        workshop(settings, addresses, processes, limits) as shop,
    ):
        line = Line(dsn=addresses.queue, listen=addresses.session is not None)

        async def run() -> None:
            loop = asyncio.get_running_loop()
            stop = Stop(shop, pace.drain_sec)
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, stop.drain)
            if supervised:
                _when_supervisor_ends(lambda: loop.call_soon_threadsafe(stop.halt))
            structlog.get_logger("worker").info("working", processes=processes, listen=line.listen)
            await work(shop, line, processes, stop, pace)

        asyncio.run(run())


def _forget_secrets() -> None:
    """Leave no secret in the environment that children inherit, who open what strangers send."""
    for name in [name for name in os.environ if name.startswith("SUPABASE_")]:
        del os.environ[name]


def cores() -> int:
    """Return how many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _exit_on_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))


def _when_supervisor_ends(act: Callable[[], object]) -> None:
    """Act when standard input ends: its other end is the supervisor's, and ends with it."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        act()

    Thread(target=wait, name="supervisor", daemon=True).start()
