"""A small HTTP client: JSON, limits of time and size, no redirects, no proxies."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection, IncompleteRead
from threading import Event, Timer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from kis_deploy.problems import DeployError

MAX_ANSWER = 64 << 20
TIMEOUT_SEC, WHOLE_SEC = 30.0, 120.0
OK = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - JSON
        """Return the body's JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def object(self) -> dict[str, Any]:
        """Return the body's JSON object; an empty one where it is none."""
        found = self.json()
        return found if isinstance(found, dict) else {}


class Web:
    """A server, with the headers that each request to it carries; of one thread.

    The connection is kept from request to request until `close`, or the end of a `with`. A server
    may keep silent for `timeout_sec` at a time; `note` hears of each request and its status.
    """

    def __init__(
        self,
        origin: str,
        headers: Mapping[str, str] | None = None,
        timeout_sec: float = TIMEOUT_SEC,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        parts = urlsplit(origin)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self.host = parts.netloc
        self._prefix = parts.path.rstrip("/")
        self._headers = dict(headers or {})
        self._note = note
        self._connection = kind(parts.hostname or "", parts.port, timeout=timeout_sec)

    def __enter__(self) -> Self:
        """Lend the client for a block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the connection with the block."""
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        send: object = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        within_sec: float = WHOLE_SEC,
    ) -> Answer:
        """Send a request, with JSON (`send`) or bytes; the status is the caller's to judge.

        Raises DeployError where there is no whole answer, where it is longer than MAX_ANSWER, or
        where its end does not come `within_sec`, however often something else does.
        """
        more = dict(headers or {})
        if send is not None:
            data = json.dumps(send).encode()
            more["content-type"] = "application/json"
        told = f"{method} {self.host}{self._prefix}{path}"
        try:
            if self._connection.sock is None:
                self._connection.connect()
            with _ended(self._connection.sock, within_sec):
                self._connection.request(method, self._prefix + path, data, self._headers | more)
                answer = self._answer()
        except (OSError, HTTPException) as error:
            self.close()
            cause = f"gives no whole answer ({_reason(error)})"
            self._note(f"{told}: {cause}")
            raise DeployError.of(
                self.host, cause, "Check the address, the network and that the service runs"
            ) from None
        self._note(f"{told}: {answer.status}, {len(answer.body)} bytes")
        return answer

    def _answer(self) -> Answer:
        response = self._connection.getresponse()
        body = response.read(MAX_ANSWER + 1)
        if len(body) > MAX_ANSWER:
            raise HTTPException(f"more than {MAX_ANSWER >> 20} MiB")
        if response.length:  # which a limited read does not complain about
            raise IncompleteRead(body, response.length)
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, body)


@contextmanager
def _ended(connection: socket.socket, within_sec: float) -> Iterator[None]:
    """Break the connection, and raise TimeoutError, where the block does not end in time.

    A socket's own limit is of each read: a server that sends a little now and then has no end.
    """
    over = Event()

    def end() -> None:
        over.set()
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    limit = Timer(within_sec, end)
    limit.daemon = True
    limit.start()
    try:
        yield
    except (OSError, HTTPException):
        if not over.is_set():
            raise
    finally:
        limit.cancel()
    if over.is_set():
        raise TimeoutError(f"no end within {within_sec:g} s")


def _reason(error: OSError | HTTPException) -> str:
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or str(error) or type(error).__name__
