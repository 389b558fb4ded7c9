"""A steady load on a service: whatever is not answered with 200 is written down."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from threading import Event, Lock, Thread
from typing import Self
from urllib.parse import urlsplit

_ANSWER_SEC = 60
_THREADS = 4


@dataclass(frozen=True)
class Failure:
    """A request that failed: seconds since the load began, and how."""

    at: float
    text: str


class Load:
    """`with Load(url, token=…) as load: …` asks for /healthz, /readyz and, with a token, a read.

    Every other request opens a connection of its own, the others go over one that is kept.
    `load.count`, `load.failures` and `load.versions_seen` tell what became of them.
    """

    def __init__(
        self, url: str, *, rate: float = 20, token: str | None = None, path: str = "/v1/estimate"
    ) -> None:
        self.count = 0
        self.failures: list[Failure] = []
        self.versions_seen: set[str] = set()
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port)
        self._pause = _THREADS / rate
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._paths = ["/healthz", "/readyz", *([path] if token else [])]
        self._stop, self._lock, self._began = Event(), Lock(), time.monotonic()
        self._threads = [Thread(target=self._run, args=(n,)) for n in range(_THREADS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def more(self, count: int = 40) -> None:
        """Let this many further requests be answered."""
        wanted = self.count + count
        self.until(lambda: self.count >= wanted)

    def until(self, condition: Callable[[], object], seconds: float = 90) -> None:
        """Go on until something is so."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{self.count} requests, {self.failures[-3:]}"
            time.sleep(0.02)

    def _run(self, number: int) -> None:
        kept = self._connection()
        turns = itertools.cycle([(p, keep) for p in self._paths for keep in (True, False)])
        for path, keep in itertools.islice(turns, number, None):
            if self._stop.wait(self._pause):
                break
            connection = kept if keep else self._connection()
            problem = self._ask(connection, path)
            if not keep:
                connection.close()
            with self._lock:
                self.count += 1
                if problem is not None:
                    self.failures.append(Failure(time.monotonic() - self._began, problem))
        kept.close()

    def _ask(self, connection: HTTPConnection, path: str) -> str | None:
        try:
            connection.request("GET", path, headers=self._headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, HTTPException) as error:
            connection.close()
            return f"{path}: {error!r}"
        if answer.status != 200:
            return f"{path}: {answer.status} {body[:200]!r}"
        if path == "/healthz":
            self.versions_seen.add(json.loads(body)["version"])
        return None

    def _connection(self) -> HTTPConnection:
        return HTTPConnection(*self._address, timeout=_ANSWER_SEC)
