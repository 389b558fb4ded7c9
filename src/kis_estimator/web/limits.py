"""What a request may cost: who sends how many, how deep, of which type, and for how long."""

from __future__ import annotations

import asyncio
import math
import re
import time
from array import array
from itertools import accumulate

from anyio import CapacityLimiter, to_thread
from fastapi import Request
from fastapi.params import Form
from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kis_estimator.errors import KisError
from kis_estimator.web.auth import Authenticator, Caller
from kis_estimator.web.forms import media_type, refuse_twice

MAX_DEPTH = 64
REQUEST_SEC = 60.0
EXEMPT = frozenset({"/healthz", "/readyz", "/metrics"})
"""What probes ask, often and from one address."""

THREADS = 8
"""Requests that are worked on at a time; with more, threads only wait for the interpreter."""
READING = CapacityLimiter(8)
"""Whoever waits for a child that reads an upload waits in a thread of these, not of those."""
_KEY_WAITERS = 4
JSON_TYPE = re.compile(r"application/(?:[\w.+-]+\+)?json", re.IGNORECASE)
_REPEATABLE = frozenset({"filter"})
# Possessive: an unterminated string ends at the end of the text, in one pass.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_STEP = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_REST = bytes(set(range(256)) - set(b"[{]}"))


class Admission:
    """Lets a request in: names its caller, counts it, and ends it when it takes too long."""

    def __init__(
        self, app: ASGIApp, *, authenticator: Authenticator, rps: float | None, timeout_sec: float
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._timeout_sec = timeout_sec
        self._rate = _rate(rps) if rps else None
        self._counter = FixedWindowRateLimiter(MemoryStorage())
        # Forged key names wait for the authentication server in line, not in everybody's threads.
        self._key_waiters = CapacityLimiter(_KEY_WAITERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request. Raises RATE_LIMITED, REQUEST_TIMEOUT or what its JSON has wrong."""
        if scope["type"] != "http" or scope["path"] in EXEMPT:
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._timeout_sec) as timeout:

                async def sent(message: Message) -> None:
                    timeout.reschedule(None)  # an answer that has begun may stream on
                    await send(message)

                headers = Headers(scope=scope)
                await self._identify(scope, headers.get("authorization"))
                await self._count(scope)
                if JSON_TYPE.match(headers.get("content-type", "")):
                    receive = await _shallow(receive)
                await self._app(scope, receive, sent)
        except TimeoutError:
            if not timeout.expired():
                raise
            seconds = f"{self._timeout_sec:g}"
            raise KisError.of("REQUEST_TIMEOUT", seconds=seconds) from None

    async def _identify(self, scope: Scope, authorization: str | None) -> None:
        """Leave `caller` in the state of the request, or in `refusal` why there is none."""
        state = scope["state"]
        state["caller"] = state["refusal"] = None
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        try:
            if scheme.lower() != "bearer" or not token:
                raise KisError.of("AUTH_REQUIRED")
            if self._authenticator.may_wait(token):
                state["caller"] = await to_thread.run_sync(
                    self._authenticator.verify, token, limiter=self._key_waiters
                )
            else:
                state["caller"] = self._authenticator.verify(token)
        except KisError as error:
            state["refusal"] = error

    async def _count(self, scope: Scope) -> None:
        """Count the request for its caller, or its address: anybody can make up a false token."""
        if self._rate is None:
            return
        caller: Caller | None = scope["state"]["caller"]
        client = scope.get("client")
        who = str(caller.principal.user_id) if caller else client[0] if client else "local"
        if not await self._counter.hit(self._rate, who):
            window = await self._counter.get_window_stats(self._rate, who)
            seconds = max(1, math.ceil(window.reset_time - time.time()))
            raise KisError.of("RATE_LIMITED", seconds=seconds)


def _rate(rps: float) -> RateLimitItemPerSecond:
    """Return so many a second, or one in so many seconds."""
    return RateLimitItemPerSecond(int(rps)) if rps >= 1 else RateLimitItemPerSecond(1, int(1 / rps))


async def _shallow(receive: Receive) -> Receive:
    """Read a JSON body and return what hands it on. Raises JSON_TOO_DEEP or JSON_ENCODING."""
    chunks, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"".join(chunks)
    if b"\0" in body:  # UTF-16 and UTF-32, in which brackets hide from `depth`
        raise KisError.of("JSON_ENCODING")
    if depth(body) > MAX_DEPTH:
        raise KisError.of("JSON_TOO_DEEP")
    pending = [body]

    async def replay() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return replay


def depth(body: bytes) -> int:
    r"""Return how deep the brackets of a JSON text are nested, without parsing it.

    >>> depth(b'{"a": [[1], "[[["], "b\\"[": {}}')
    3
    """
    steps = array("b", _STRING.sub(b"", body).translate(_STEP, _REST))
    return max(accumulate(steps), default=0)


async def require_media_type(request: Request) -> None:
    """Refuse a body of a type that its endpoint can't read. Raises MEDIA_TYPE."""
    field = getattr(request.scope["route"], "body_field", None)
    if field is None or not {"content-length", "transfer-encoding"} & set(request.headers):
        return
    sent, expected = media_type(request), field.field_info.media_type
    form = isinstance(field.field_info, Form)
    if not (sent == expected if form else JSON_TYPE.fullmatch(sent)):
        raise KisError.of("MEDIA_TYPE", expected=[expected])


async def require_single_values(request: Request) -> None:
    """Refuse a parameter that is there twice: which one is meant? Raises FIELD_TWICE."""
    names = (name for name, _ in request.query_params.multi_items())
    refuse_twice(name for name in names if name not in _REPEATABLE)
