"""Is it alive, is it ready, how is it doing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

import structlog
from anyio import to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from kis_estimator import __version__
from kis_estimator.errors import KisError
from kis_estimator.web.errors import problems
from kis_estimator.web.metrics import exposition, pool_sample
from kis_estimator.web.openapi import openapi_sha256
from kis_estimator.web.services import Needs, Services

router = APIRouter(tags=["service"])
_T = TypeVar("_T")
_PROBE_SEC = 3.0
_GRACE_SEC = 1.0  # for the probe to say by itself that time is over
_SHARED_SEC = 1.0
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
Part = Literal["ok", "unavailable"]


class Health(BaseModel):
    """The process answers; nothing else was asked."""

    status: Literal["ok"]
    version: str
    openapi_sha256: Annotated[str, Field(alias="openapiSha256")]
    ts: str
    trace_id: Annotated[str, Field(alias="traceId")]


class Readiness(BaseModel):
    """Whether the database answered a query and the storage kept and gave back a file."""

    status: Part
    db: Part
    storage: Part
    ts: str
    trace_id: Annotated[str, Field(alias="traceId")]


@router.get("/healthz", summary="Is the process alive", response_model=Health, responses=problems())
async def healthz(request: Request) -> Response:
    """Answer without touching a database, storage or network."""
    return JSONResponse(
        {
            "status": "ok",
            "version": __version__,
            "openapiSha256": openapi_sha256(request.app),
            "ts": _now(),
            "traceId": request.state.trace_id,
        }
    )


@router.get(
    "/readyz",
    summary="Can requests be served",
    response_model=Readiness,
    responses={
        503: {"model": Readiness, "description": "Database or storage do not answer"},
        **problems(),
    },
)
async def readyz(request: Request, services: Needs) -> Response:
    """Ask the database and the storage, both at once; who asks meanwhile gets the same answer."""
    prober: Prober = request.app.state.prober
    db, storage = await prober.ask(services)
    status: Part = "ok" if (db, storage) == ("ok", "ok") else "unavailable"
    answer = {
        "status": status,
        "db": db,
        "storage": storage,
        "ts": _now(),
        "traceId": request.state.trace_id,
    }
    return JSONResponse(answer, 200 if status == "ok" else 503)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={
        200: {
            "description": "Prometheus text format",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        **problems(),
    },
)
async def metrics(services: Needs) -> Response:
    """Return counters and histograms, and what can be looked up now."""
    samples = [lambda: pool_sample(services.database.stats()), *services.samples]
    found: dict[str, float] = {}
    for sample in await asyncio.gather(*(_within(_PROBE_SEC, sample) for sample in samples)):
        found.update(sample or {})
    return Response(await to_thread.run_sync(exposition, found), headers={"content-type": _TEXT})


class Prober:
    """Asks once for all who want to know at the same time: a probe costs writes and queries."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._asked_at = float("-inf")
        self._answer: tuple[Part, Part] = ("unavailable", "unavailable")

    async def ask(self, services: Services) -> tuple[Part, Part]:
        """Return how database and storage are, as of a second ago at most."""
        async with self._lock:
            if time.monotonic() - self._asked_at > _SHARED_SEC:
                self._answer = await asyncio.gather(
                    _part(services.database.ping),
                    _part(services.blobs.probe),
                )
                self._asked_at = time.monotonic()
        return self._answer


async def _part(probe: Callable[[float], None]) -> Part:
    def passed() -> Literal["ok"]:
        probe(_PROBE_SEC)
        return "ok"

    return await _within(_PROBE_SEC + _GRACE_SEC, passed) or "unavailable"


async def _within(seconds: float, call: Callable[[], _T]) -> _T | None:
    """Return what a blocking call gives in that time; None, and a log line, where it gives nothing.

    A call that hangs keeps its thread and nothing else.
    """
    try:
        return await asyncio.wait_for(to_thread.run_sync(call, abandon_on_cancel=True), seconds)
    except Exception as error:  # noqa: BLE001 - whatever it is: what we ask for is not there
        structlog.get_logger().warning("probe failed", error=repr(error), reason=_reason(error))
        return None


def _reason(error: BaseException) -> str:
    """Return what is missing and the remedy, for whoever reads the log."""
    told = error.__cause__ if isinstance(error.__cause__, KisError) else error
    return told.notices[0].explained("en-US") if isinstance(told, KisError) else repr(told)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
