"""The service under load: latencies, throughput, start, and memory over a long time."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from load import Laps, Served, completed, load, order, queue_length, request, served

Spread = Callable[[Iterable[float]], dict[str, float]]

CONNECTIONS = 50
SECONDS = 10.0
RATES = {"healthz": 400, "getEstimate": 200, "searchCatalog": 200, "postEstimate": 50}
STARTS = 5
ONE_A_SECOND = 40
SOAK_SECONDS = 600
SOAK_ESTIMATES_PER_SECOND = 3.5


def one_panel(branches: int) -> bytes:
    """Return a request of a panel with so many branches."""
    main = {"role": "main", "category": "MCCB", "poles": 4, "ratedCurrentA": 100}
    rows = {"role": "branch", "category": "ELB", "poles": 2, "ratedCurrentA": 20}
    panel = {"name": "LP-1", "breakers": [main, {**rows, "quantity": branches}]}
    return json.dumps({"customer": {"name": "BENCH"}, "panels": [panel]}).encode()


def service_suite(_root: Path, spread: Spread) -> dict[str, Any]:
    """Latencies at a paced rate and as fast as it goes; runs; start."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        first, again = _starts(home)
        with served(Path(folder) / "alone", workers=0) as alone:
            answers = {"api": asyncio.run(_latencies(alone, spread))}
        with served(home) as whole:
            answers["apiAndWorker"] = asyncio.run(_latencies(whole, spread))
            runs = asyncio.run(_runs(whole, spread))
            memory = whole.memory_mib()
    return {
        "unit": "milliseconds",
        "start": {"firstSec": round(first, 2), "againSec": spread(again)},
        "connections": CONNECTIONS,
        "latency": answers,
        "runs": runs,
        "memoryMiB": memory,
    }


def soak_suite(_root: Path, spread: Spread) -> dict[str, Any]:
    """Ten minutes of steady load: errors, and memory from the first estimates to the last."""
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "home") as service:
        return asyncio.run(_soak(service, spread))


def _starts(home: Path) -> tuple[float, list[float]]:
    """Return the seconds to ready of the very first start, and of later ones."""
    times = []
    for _ in range(STARTS + 1):
        with served(home) as service:
            times.append(service.ready_sec)
    return times[0], times[1:]


async def _latencies(service: Served, spread: Spread) -> dict[str, Any]:
    body = one_panel(20)
    estimate_id = await order(service.port, service.token, body)
    messages = {
        "healthz": [request("GET", "/healthz")],
        "getEstimate": [request("GET", f"/v1/estimate/{estimate_id}", service.token)],
        "searchCatalog": [
            request("GET", f"/v1/catalog?q={words}&size=20", service.token)
            for words in ("elb%2020a", "mccb%204p", "hds%20600", "abn", "")
        ],
        "postEstimate": [request("POST", "/v1/estimate", service.token, body)],
    }
    found = {}
    for name, rate in RATES.items():
        paced = await load(service.port, messages[name], CONNECTIONS, SECONDS, rate)
        found[name] = {"perSecond": rate, **_said(paced, spread)}
        if name != "postEstimate":  # as fast as it goes would leave thousands of jobs
            fast = await load(service.port, messages[name], CONNECTIONS, SECONDS / 2, None)
            found[name]["flatOut"] = _said(fast, spread)
    return found


def _said(laps: Laps, spread: Spread) -> dict[str, Any]:
    return {
        **spread(laps.milliseconds),
        "reachedPerSecond": round(len(laps.milliseconds) / laps.seconds, 1),
        "failed": laps.failed,
    }


async def _drain(service: Served) -> None:
    while await queue_length(service.port):  # noqa: ASYNC110 - another process tells nobody
        await asyncio.sleep(0.5)


async def _runs(service: Served, spread: Spread) -> dict[str, Any]:
    """How many a second are completed of those that wait; then from order to completion."""
    waiting, start = await queue_length(service.port), time.perf_counter()
    await _drain(service)
    a_second = waiting / (time.perf_counter() - start)
    body, steady = one_panel(20), []
    for _ in range(ONE_A_SECOND):
        steady.append(asyncio.create_task(completed(service.port, service.token, body)))
        await asyncio.sleep(1)
    return {
        "waiting": waiting,
        "completedPerSecond": round(a_second, 2),
        "createdToCompletedAtOneASecond": spread(await asyncio.gather(*steady)),
    }


async def _soak(service: Served, spread: Spread) -> dict[str, Any]:
    body = one_panel(20)
    estimate_id = await order(service.port, service.token, body)
    readers = [
        request("GET", f"/v1/estimate/{estimate_id}", service.token),
        request("GET", "/v1/estimate?size=20&sort=-createdAt", service.token),
        request("GET", "/v1/catalog?q=elb", service.token),
        request("GET", f"/v1/documents?estimateId={estimate_id}", service.token),
        request("GET", "/healthz"),
    ]
    memory: list[dict[str, float]] = []

    async def measure() -> None:
        while True:
            await asyncio.sleep(SOAK_SECONDS / 10)
            memory.append(await asyncio.to_thread(service.memory_mib))

    measuring = asyncio.create_task(measure())
    write = [request("POST", "/v1/estimate", service.token, body)]
    reads, writes = await asyncio.gather(
        load(service.port, readers, 10, SOAK_SECONDS, 20),
        load(service.port, write, 4, SOAK_SECONDS, SOAK_ESTIMATES_PER_SECOND),
    )
    await _drain(service)
    measuring.cancel()
    memory.append(service.memory_mib())
    client_failures = reads.failed + writes.failed
    return {
        "seconds": SOAK_SECONDS,
        "estimates": len(writes.milliseconds),
        "reads": {"unit": "milliseconds", **_said(reads, spread)},
        "orders": {"unit": "milliseconds", **_said(writes, spread)},
        "failed": client_failures,
        "memoryMiB": memory,
    }
