"""A service under measurement and the load on it: plain sockets, so that the server is measured."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

KIS = (sys.executable, "-P", "-m", "kis_estimator.cli")


@dataclass(frozen=True)
class Served:
    """A running `kis serve`: its port, a token, its process, and how long it took to be ready."""

    port: int
    token: str
    process: psutil.Process
    ready_sec: float

    def memory_mib(self) -> dict[str, float]:
        """Return the unshared memory (USS) of each part of the service."""
        found: dict[str, float] = {}
        for process in (self.process, *self.process.children(recursive=True)):
            try:
                size = process.memory_full_info().uss / 2**20
                command = " ".join(process.cmdline())
            except psutil.Error:
                continue
            part = next(
                (p for p in ("api", "worker", "serve") if f"cli {p}" in command), "children"
            )
            found[part] = round(found.get(part, 0) + size, 1)
        return found


@contextmanager
def served(home: Path, workers: int = 2) -> Iterator[Served]:
    """Run `kis serve` until the end of the block; its log goes beside the home."""
    log = home.with_name(f"{home.name}.{time.time_ns()}.log")
    environment = {**os.environ, "KIS_HOME": str(home), "LANG": "C.UTF-8", "RATE_LIMIT_RPS": "0"}
    start = time.perf_counter()
    with log.open("ab") as errors:
        process = psutil.Popen(
            [*KIS, "serve", "--port", "0", "--workers", str(workers)],
            stdout=errors, stderr=errors, env=environment,
        )  # fmt: skip
    try:
        port = _port(process, log)
        ready = time.perf_counter() - start
        token = subprocess.run(
            [*KIS, "token"], check=True, capture_output=True, text=True, env=environment
        ).stdout.strip()
        yield Served(port, token, psutil.Process(process.pid), ready)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _port(process: psutil.Popen, log: Path) -> int:
    """Return the port once the service answers that it is ready."""
    while process.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text(encoding="utf-8"))
        if found and asyncio.run(_is_ready(int(found[1]))):
            return int(found[1])
        time.sleep(0.02)
    raise SystemExit(log.read_text(encoding="utf-8")[-4000:])


async def _is_ready(port: int) -> bool:
    try:
        client = await Client.connect(port)
    except OSError:
        return False
    status, _ = await client.send(request("GET", "/readyz"))
    client.close()
    return status == 200


def request(
    method: str, path: str, token: str = "", body: bytes = b"", headers: Mapping[str, str] = {}
) -> bytes:
    """Return a request as it goes over the wire."""
    lines = {"host": "127.0.0.1", "content-length": str(len(body)), **headers}
    if token:
        lines["authorization"] = f"Bearer {token}"
    if body:
        lines["content-type"] = "application/json"
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


@dataclass(slots=True)
class Client:
    """One connection that is kept open."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def connect(cls, port: int) -> Client:
        """Connect to the service."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=2**20))

    async def send(self, message: bytes) -> tuple[int, bytes]:
        """Send a request; return status and body of the answer."""
        self.writer.write(message)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        body = await self.reader.readexactly(int(length[1])) if length else b""
        return int(head[9:12]), body

    async def follow(self, message: bytes) -> None:
        """Read a stream of events until DONE."""
        self.writer.write(message)
        while b"event: DONE" not in await self.reader.readuntil(b"\n"):
            pass

    def close(self) -> None:
        """Hang up."""
        self.writer.close()


@dataclass
class Laps:
    """Times of requests [ms] and how many failed."""

    milliseconds: list[float] = field(default_factory=list)
    failed: int = 0
    seconds: float = 0.0


async def load(
    port: int, messages: list[bytes], connections: int, seconds: float, rate: float | None
) -> Laps:
    """Send the messages in turn over so many connections for so long.

    With `rate` requests start at fixed times, all connections together so many a second, and a
    lap counts from the time its request was due; without, a connection sends one after the other.
    """
    laps = Laps()
    clients = [await Client.connect(port) for _ in range(connections)]
    begin = time.perf_counter()

    async def run(number: int, client: Client) -> None:
        due = begin + (0 if rate is None else number / rate)
        turn = number
        while (now := time.perf_counter()) < begin + seconds:
            if rate is None:
                due = now
            elif due > now:
                await asyncio.sleep(due - now)
            status, _ = await client.send(messages[turn % len(messages)])
            laps.milliseconds.append((time.perf_counter() - due) * 1000)
            laps.failed += status >= 400
            turn += connections
            due += 0 if rate is None else connections / rate

    await asyncio.gather(*(run(n, client) for n, client in enumerate(clients)))
    laps.seconds = time.perf_counter() - begin
    for client in clients:
        client.close()
    return laps


async def order(port: int, token: str, body: bytes) -> str:
    """Order an estimate; return its id."""
    client = await Client.connect(port)
    status, answer = await client.send(request("POST", "/v1/estimate", token, body))
    client.close()
    if status != 201:
        raise SystemExit(f"{status}: {answer[:500]!r}")
    return str(json.loads(answer)["id"])


async def completed(port: int, token: str, body: bytes) -> float:
    """Return the milliseconds from the order of an estimate to the last event of its run."""
    start = time.perf_counter()
    estimate_id = await order(port, token, body)
    client = await Client.connect(port)
    await client.follow(request("GET", f"/v1/estimate/stream?estimateId={estimate_id}", token))
    client.close()
    return (time.perf_counter() - start) * 1000


async def queue_length(port: int) -> float:
    """Return how many estimates wait or run, as the metrics say."""
    client = await Client.connect(port)
    _, text = await client.send(request("GET", "/metrics"))
    client.close()
    found = re.search(rb"^kis_queue_jobs (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0
