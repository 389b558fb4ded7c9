"""The outermost layer: every request gets a trace id, a log line, its metrics and safe headers.

Plain ASGI: a layer that hands requests over to another task would cost more than the rest.
"""

from __future__ import annotations

import logging
import re
import time
from uuid import UUID, uuid4

import structlog
from opentelemetry import trace
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kis_estimator.errors import KisError
from kis_estimator.web import metrics
from kis_estimator.web.errors import respond, route_of, too_large

_TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CLIENT_GONE = 499
_SERVER_ERROR = 500
_TOO_LARGE = 413
_Headers = list[tuple[bytes, bytes]]
_HEADERS: _Headers = [
    (
        b"content-security-policy",
        (
            b"default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
            b"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
_HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
_log = structlog.get_logger()


class Observed:
    """Watches the application: nothing that happens in it goes unlogged, unmeasured or untraced."""

    def __init__(self, app: ASGIApp, *, hsts: bool) -> None:
        self._app = app
        self._headers = [*_HEADERS, _HSTS] if hsts else _HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request; what it raises becomes an answer of the one shape."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        state = scope.setdefault("state", {})
        state["trace_id"] = trace_id = _trace_id(scope)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(traceId=trace_id)
        headers = [*self._headers, (b"x-trace-id", trace_id.encode())]
        answer = _Answer(scope, send, headers)
        metrics.IN_PROGRESS.inc()
        try:
            await self._run(scope, receive, answer)
        finally:
            metrics.IN_PROGRESS.dec()
            _report(scope, answer.status, time.perf_counter() - start)

    async def _run(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            return
        except Exception as error:
            if answer.started:
                raise
            if not isinstance(error, KisError):
                _log.exception("unexpected error")
                error = KisError.of("INTERNAL")
            await respond(scope, error)(scope, receive, answer.send)


class _Answer:
    """What goes out: with our headers, and a refusal of the framework in our shape."""

    def __init__(self, scope: Scope, send: Send, headers: _Headers) -> None:
        self._scope, self._send, self._headers = scope, send, headers
        self._replaced = False
        self.status = _CLIENT_GONE
        self.started = False

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        if message["type"] == "http.response.start":
            await self._start(message)
        elif not self._replaced:
            await self._send(message)

    async def _start(self, message: Message) -> None:
        self.started, self.status = True, message["status"]
        refusal: Response | None = None
        headers: _Headers = message["headers"]
        # The limiter of bodies refuses one that no endpoint wants to read in plain text.
        if self.status == _TOO_LARGE and (b"content-type", b"application/json") not in headers:
            self._replaced, refusal = True, respond(self._scope, too_large(self._scope))
            headers = refusal.raw_headers
        added = list(self._headers)
        if not {name for name, _ in headers} & {b"cache-control", b"etag"}:
            added.append((b"cache-control", b"no-store"))
        await self._send({**message, "headers": [*headers, *added]})
        if refusal is not None:
            await self._send({"type": "http.response.body", "body": bytes(refusal.body)})


def _trace_id(scope: Scope) -> str:
    """Return the id of the caller's trace where they sent one, else a new one."""
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        return str(UUID(int=span.trace_id))
    for name, value in scope["headers"]:
        if name == b"traceparent":
            match = _TRACEPARENT.fullmatch(value)
            if match:
                return str(UUID(match[1].decode()))
    return str(uuid4())


def _report(scope: Scope, status: int, seconds: float) -> None:
    method = scope["method"] if scope["method"] in _METHODS else "other"
    route = route_of(scope)
    metrics.REQUESTS.labels(method, route, status).inc()
    metrics.LATENCY.labels(method, route).observe(seconds)
    state = scope["state"]
    caller = state.get("caller")
    _log.log(
        logging.ERROR if status >= _SERVER_ERROR else logging.INFO,
        "request",
        method=method,
        route=route,
        status=status,
        ms=round(seconds * 1000, 1),
        org=str(caller.principal.org_id) if caller else None,
        code=state.get("error_code"),
    )
