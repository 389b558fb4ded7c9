"""What comes before a request, on a real server with our protocol."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from tests.e2e.raw import head, send

from kis_estimator.web.protocol import HEAD_LIMIT, Protocol

from .conftest import MakeWeb


class Hasty(Protocol):
    head_sec = 0.2


class Cut(Protocol):
    """Reads what comes in two pieces, the first of which ends within the last head."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._came = b""

    def data_received(self, data: bytes) -> None:
        self._came += data
        if self._came.endswith(b"\r\n\r\n"):
            super().data_received(self._came[:-10])
            super().data_received(self._came[-10:])


@contextmanager
def served(make_web: MakeWeb, protocol: type[Protocol]) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(make_web().app, http=protocol, log_config=None, access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def url(make_web: MakeWeb) -> Iterator[str]:
    with served(make_web, Protocol) as address:
        yield address


NO_REQUEST = {
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "method": head("FOO", "/healthz"),
    "control": head("GET", "/healthz", None, x_a="a\0b"),
    "target": head("GET", "/한글"),
    "length": head("POST", "/v1/raw", None, content_length="abc"),
    "negative": head("POST", "/v1/raw", None, content_length=-1),
    "smuggled": head("POST", "/v1/raw", None, content_length=2, transfer_encoding="chunked"),
    "chunk": head("POST", "/v1/raw", None, transfer_encoding="chunked") + b"zz\r\n",
    "long": head("GET", "/healthz", None, x_a="a" * 2**20),
    "many": head("GET", "/healthz", None, **{f"x{n}": "a" * 100 for n in range(10_000)}),
    "endless": b"GET /healthz HTTP/1.1\r\nx: " + b"a" * (HEAD_LIMIT + 2**18),
}


@pytest.mark.parametrize("name", NO_REQUEST)
def test_what_is_no_request_is_refused_in_the_one_shape(url: str, name: str) -> None:
    answer = send(url, NO_REQUEST[name])
    assert (answer.status, answer.json["code"]) == (400, "REQUEST_UNREADABLE")
    assert set(answer.json) == {"code", "message", "hint", "traceId", "meta"}
    assert answer.json["traceId"] == answer.headers["x-trace-id"]
    assert answer.headers["content-type"] == "application/json"


def test_requests_are_answered_one_after_the_other(url: str) -> None:
    one = head("GET", "/healthz").replace(b"close", b"keep-alive")
    two = head("GET", "/healthz", None, x_a="a" * (HEAD_LIMIT // 2))
    body = send(url, one + two)
    assert body.status == 200
    assert body.json["status"] == "ok"


def test_a_body_is_no_part_of_the_next_head(make_web: MakeWeb) -> None:
    body = b"x" * (2 * HEAD_LIMIT)
    one = head("POST", "/healthz", None, content_length=len(body)).replace(b"close", b"keep-alive")
    with served(make_web, Cut) as address:
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(one + body + head("GET", "/healthz"))
            answers = b"".join(iter(lambda: connection.recv(2**16), b""))
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"405", b"200"]


def test_who_never_ends_a_head_is_not_waited_for(make_web: MakeWeb) -> None:
    with served(make_web, Hasty) as address:
        port = int(address.rpartition(":")[2])
        for beginning in (b"", b"GET /healthz HTTP/1.1\r\nhost: a\r\n"):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                connection.sendall(beginning)
                assert connection.recv(1) == b""


def test_a_slow_answer_is_waited_for(make_web: MakeWeb) -> None:
    with served(make_web, Hasty) as address:
        assert send(address, head("GET", "/v1/stream")).body == b"xxx"
