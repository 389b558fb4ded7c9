"""A running service, as a user starts it, and a client of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

KIS = (sys.executable, "-P", "-m", "kis_estimator.cli")
STREAM = "/v1/estimate/stream"
_STOPPED = "멈췄습니다"


@dataclass(frozen=True)
class Sent:
    """One message of a stream."""

    event: str
    id: str
    data: dict[str, Any]

    @property
    def seq(self) -> int:
        return int(self.data["meta"]["seq"])


@dataclass(frozen=True)
class Live:
    """The address of a service, its process, and tokens for it."""

    url: str
    home: Path
    process: subprocess.Popen[bytes]

    def token(self, role: str = "admin") -> str:
        return kis(self.home, "token", "--role", role).strip()

    def client(self, role: str = "admin", **headers: str) -> httpx.Client:
        headers["authorization"] = f"Bearer {self.token(role)}"
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k in {"PATH", "PYTHONPATH", "HOME", "TMPDIR"}}
    source = str(Path(__file__).parents[2] / "src")
    return {**kept, "PYTHONPATH": source, "KIS_HOME": str(home), "LANG": "ko_KR.UTF-8", **more}


def kis(home: Path, *arguments: str) -> str:
    return subprocess.run(
        [*KIS, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=environment(home),
    ).stdout


@contextmanager
def serving(home: Path, port: int = 0, workers: int = 2, **settings: str) -> Iterator[Live]:
    """Run `kis serve` until the end of the block, then stop it as Ctrl-C does."""
    log = home.parent / "serve.log"
    with log.open("a", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [*KIS, "serve", "--port", str(port), "--workers", str(workers)],
            stderr=errors,
            env=environment(home, **settings),
        )
    try:
        yield Live(_url(process, log), home, process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(60) == 0, log.read_text(encoding="utf-8")[-4000:]
        finally:
            process.kill()


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return the address that the service prints when it is ready."""
    while process.poll() is None:
        said = log.read_text(encoding="utf-8").rpartition(_STOPPED)[2]
        if found := re.search(r"http://127\.0\.0\.1:\d+", said):
            return found[0]
        time.sleep(0.05)
    raise AssertionError(log.read_text(encoding="utf-8")[-4000:])


def follow(client: httpx.Client, estimate_id: str, last_id: str | None = None) -> Iterator[Sent]:
    """Yield the messages of a stream until it ends."""
    headers = {} if last_id is None else {"last-event-id": last_id}
    with client.stream(
        "GET", STREAM, params={"estimateId": estimate_id}, headers=headers
    ) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        for line in response.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                yield Sent(fields["event"], fields["id"], json.loads(fields["data"]))
                fields = {}
