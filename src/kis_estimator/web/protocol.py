"""What comes before a request: bytes that are none, and heads that are too long or never end."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kis_estimator.errors import KisError
from kis_estimator.web.errors import body_of, dedup_key

HEAD_LIMIT = 64 * 2**10
HEAD_SEC = 30.0

_log = structlog.get_logger()


class Protocol(HttpToolsProtocol):
    """The server's protocol, with our answer to what it can't read, and a limit to what it waits.

    Its parser keeps the head of a request in memory however long it is.
    """

    head_sec = HEAD_SEC

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - the server's own
        super().__init__(*arguments, **named)
        self._head_size = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # its own
        """Wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head is too long.

        The bytes in which a head begins may be the rest of a body before it: they do not count.
        """
        awaited = self._deadline
        super().data_received(data)
        if awaited is not None and self._deadline is awaited and not self.transport.is_closing():
            self._head_size += len(data)
            if self._head_size > HEAD_LIMIT:
                self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        """Wait for the head of the next request on this connection."""
        super().on_message_begin()
        if self._deadline is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """Hand the request over."""
        self._head_is_here()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer in the one shape, then close; nobody can say where the next request begins."""
        trace_id = str(uuid4())
        error = KisError.of("REQUEST_UNREADABLE")
        key = dedup_key(error, "unmatched", None)
        body = json.dumps(body_of(error, "ko-KR", trace_id, key), ensure_ascii=False).encode()
        _log.info("request", status=400, code=error.notices[0].code, traceId=trace_id, reason=msg)
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            f"content-language: ko-KR\r\ncontent-length: {len(body)}\r\nx-trace-id: {trace_id}\r\n"
            "x-content-type-options: nosniff\r\ncache-control: no-store\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _await_head(self) -> None:
        self._head_size = 0
        self._deadline = self.loop.call_later(self.head_sec, self._give_up)

    def _head_is_here(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        self.transport.close()
