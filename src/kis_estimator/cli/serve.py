"""`kis serve`, `kis worker` and `kis token`."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kis_estimator.cli.common import problems_end_it, terminal_locale
from kis_estimator.errors import KisError, Locale, say
from kis_estimator.settings import Settings, require_service_settings

if TYPE_CHECKING:
    from kis_estimator.assembly import Addresses
    from kis_estimator.supervisor import Child, Tell

_DAY_SEC = 86_400
_MOST_WORKERS = 256

_WORKERS_HELP = "동시 견적 수, 기본은 코어 수 / estimates at a time, one per core by default"
Supervised = Annotated[bool, typer.Option("--supervised", hidden=True)]


def serve(
    host: Annotated[str, typer.Option(help="수신 주소 / address to listen at")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="0 = 빈 포트 / a free one  [APP_PORT]"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, max=_MOST_WORKERS, help=_WORKERS_HELP)
    ] = None,
) -> None:
    """API와 작업기를 실행합니다. Run the API and a worker; --workers 0 runs the API alone."""
    from kis_estimator import supervisor
    from kis_estimator.assembly import prepare_database, reached
    from kis_estimator.processes import cores

    locale = terminal_locale()
    tell = _teller(locale)
    with problems_end_it(locale):
        settings = require_service_settings(os.environ)
        authenticated = bool(settings.supabase_url or settings.jwt_secret)
        with (
            supervisor.only_one(settings.home) as lock,
            closing(
                supervisor.listen(
                    host, settings.port if port is None else port, public=authenticated
                )
            ) as listener,
        ):
            supervisor.note_holder(lock, supervisor.url_of(listener))
            if settings.embedded and not (settings.home / "postgres" / "data").exists():
                tell("SERVE_FIRST_START", {"home": str(settings.home)})
            with reached(settings) as addresses:
                prepare_database(settings, addresses)
                processes = cores() if workers is None else workers
                _supervise(settings, addresses, listener, processes, tell)


def worker(
    workers: Annotated[
        int | None, typer.Option(min=1, max=_MOST_WORKERS, help=_WORKERS_HELP)
    ] = None,
    supervised: Supervised = False,
) -> None:
    """대기열의 견적을 처리합니다. Work on the estimates of the queue, on any number of hosts."""
    from kis_estimator.processes import cores, run_worker

    with problems_end_it(terminal_locale()):
        settings = require_service_settings(os.environ)
        run_worker(settings, workers or cores(), supervised=supervised)


def api(
    listener: Annotated[int, typer.Option(help="the number of an open listening socket")],
    supervised: Supervised = False,
) -> None:
    """Answer requests: the child of `kis serve`."""
    from kis_estimator.processes import run_api

    with problems_end_it(terminal_locale()):
        settings = require_service_settings(os.environ)
        run_api(settings, socket.socket(fileno=listener), supervised=supervised)


def token(
    role: Annotated[
        Literal["viewer", "estimator", "admin"], typer.Option(help="역할 / role")
    ] = "admin",
    days: Annotated[int, typer.Option(min=1, max=3650, help="유효 일수 / valid for days")] = 30,
) -> None:
    """이 설치의 API 토큰을 출력합니다. Print a token for the API of this installation."""
    from kis_estimator.assembly import local_principal, local_secret
    from kis_estimator.web.auth import mint_token

    with problems_end_it(terminal_locale()):
        settings = require_service_settings(os.environ)
        secret = local_secret(settings)
        typer.echo(mint_token(secret, local_principal(settings.home, role), days * _DAY_SEC))


# ---------------------------------------------------------------- serving


def _supervise(
    settings: Settings, addresses: Addresses, listener: socket.socket, processes: int, tell: Tell
) -> None:
    from kis_estimator import supervisor

    folder = supervisor.new_run_folder(settings.home)
    children = _children(folder, listener, processes)
    url = supervisor.url_of(listener)

    async def run() -> str | None:
        loop = asyncio.get_running_loop()
        watch = supervisor.Watch(asyncio.Event(), tell)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, watch.stop.set)
        greeting = asyncio.create_task(_greet(url, settings, tell))
        lost = await supervisor.supervise(children, addresses.server, folder / "metrics", watch)
        greeting.cancel()
        return lost

    lost = asyncio.run(run())
    if lost is not None:
        raise KisError.of("SERVE_GAVE_UP", name=lost)
    tell("SERVE_STOPPED", {})


def _children(folder: Path, listener: socket.socket, processes: int) -> list[Child]:
    """Return the children in the order in which they are stopped."""
    from kis_estimator.assembly import SCRATCH
    from kis_estimator.supervisor import Child

    environment = {
        **os.environ,
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
        SCRATCH: str(folder / "scratch"),
    }
    command = (sys.executable, "-P", "-m", "kis_estimator.cli")
    # On a terminal the lines of the log would hide what this command says.
    logs = folder if sys.stderr.isatty() else None
    number = listener.fileno()
    children = [
        Child(
            name="api",
            argv=(*command, "api", "--listener", str(number), "--supervised"),
            environment=environment,
            descriptors=(number,),
            log=logs and logs / "api.log",
        )
    ]
    if processes:
        children.append(
            Child(
                name="worker",
                argv=(*command, "worker", "--workers", str(processes), "--supervised"),
                environment=environment,
                log=logs and logs / "worker.log",
            )
        )
    return children


async def _greet(url: str, settings: Settings, tell: Tell) -> None:
    """Say where the service is as soon as it is ready."""
    while not await asyncio.to_thread(_ready, url):  # noqa: ASYNC110 - another process decides
        await asyncio.sleep(0.1)
    tell("SERVE_READY", {"url": url, "home": str(settings.home)})
    if settings.supabase_url is None:
        tell("SERVE_TOKEN", {})


def _ready(url: str) -> bool:
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection(url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200  # noqa: PLR2004 - OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


# ---------------------------------------------------------------- what is said


def _teller(locale: Locale) -> Tell:
    from kis_estimator.terminal.console import print_line, stderr

    def tell(code: str, params: Mapping[str, object]) -> None:
        print_line(stderr(), say(code, locale, **params))

    return tell
