"""A small service that counts as the product does, and can be made slow, failing or not ready."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

ROUTE = "/v1/catalog"


@dataclass
class Service:
    """What the service does now. `ready_when`: it is ready once this file is there."""

    url: str = ""
    ready: bool = True
    fails_every: int = 0  # 1: all requests fail, 2: every second one
    delay_sec: float = 0.0
    asked: int = 0
    ready_when: Path | None = None
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    requests: Any = None
    latency: Any = None
    storage: Any = None

    def start_counting(self) -> None:
        """Count from zero, as a process that was just started."""
        registry = CollectorRegistry()
        labels = ["method", "route"]
        self.requests = Counter("kis_http_requests", "", [*labels, "status"], registry=registry)
        self.latency = Histogram(
            "kis_http_request_seconds", "", labels, buckets=(0.1, 0.5, 1), registry=registry
        )
        self.storage = Histogram(
            "kis_storage_operation_seconds", "", ["operation", "outcome"], registry=registry
        )
        self.registry = registry

    def is_ready(self) -> bool:
        """Whether it says so."""
        return self.ready and (self.ready_when is None or self.ready_when.exists())

    def answer(self, path: str) -> tuple[int, bytes]:
        """Return the answer to a request, counted."""
        if path == "/metrics":
            return 200, generate_latest(self.registry)
        if path == "/readyz":
            word = "ok" if self.is_ready() else "unavailable"
            told = {"status": word, "db": word, "storage": "ok", "ts": "", "traceId": ""}
            return (200 if self.is_ready() else 503), json.dumps(told).encode()
        began = time.perf_counter()
        time.sleep(self.delay_sec)
        self.asked += 1
        status = 500 if self.fails_every and self.asked % self.fails_every == 0 else 200
        self.requests.labels("GET", ROUTE, status).inc()
        self.latency.labels("GET", ROUTE).observe(time.perf_counter() - began)
        return status, b"{}"


@contextmanager
def served(service: Service, *, clients: int = 0) -> Iterator[Service]:
    """Run the service, with so many clients that ask all the time."""
    service.start_counting()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body = service.answer(self.path)
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        service.url = f"http://127.0.0.1:{server.server_port}"
        ended = threading.Event()
        callers = [
            threading.Thread(target=_call, args=(server.server_port, ended)) for _ in range(clients)
        ]
        for caller in callers:
            caller.start()
        try:
            yield service
        finally:
            ended.set()
            for caller in callers:
                caller.join()
            server.shutdown()


def _call(port: int, ended: threading.Event) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    while not ended.wait(0.01):
        with suppress(OSError):
            connection.request("GET", ROUTE)
            connection.getresponse().read()
    connection.close()


def wait_for(condition: Any, what: str, seconds: float = 60) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
