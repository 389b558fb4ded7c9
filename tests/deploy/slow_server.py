"""A server whose answers do not come to their end: some bytes, then a few now and then."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

BEATS, PAUSE_SEC = 200, 0.05


class SlowServer(socketserver.ThreadingTCPServer):
    """Answers each request with `start`, then `beat` BEATS times, then `end`."""

    allow_reuse_address = True

    def __init__(self, start: bytes, beat: bytes, end: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.start, self.beat, self.end = start, beat, end
        self.stopped = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that went away."""


class _Handler(socketserver.StreamRequestHandler):
    server: SlowServer

    def handle(self) -> None:
        self.rfile.readline()
        self.wfile.write(self.server.start)
        for _ in range(BEATS):
            if self.server.stopped.wait(PAUSE_SEC):
                return
            self.wfile.write(self.server.beat)
        self.wfile.write(self.server.end)


@contextmanager
def slow_server(start: bytes = b"", beat: bytes = b"", end: bytes = b"") -> Iterator[SlowServer]:
    """Serve on a port of its own until the end of the block."""
    with SlowServer(start, beat, end) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.stopped.set()
            server.shutdown()
            thread.join()
