"""Every metric of the service, for the API and the worker; several processes share one folder.

With PROMETHEUS_MULTIPROC_DIR set before the start, processes of one host write to that folder and
each of them answers for all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

REQUESTS = Counter(
    "kis_http_requests", "Answered requests by route template", ["method", "route", "status"]
)
LATENCY = Histogram(
    "kis_http_request_seconds",
    "Time to the end of the answer",
    ["method", "route"],
    buckets=_SECONDS,
)
IN_PROGRESS = Gauge(
    "kis_http_requests_in_progress", "Requests under way", multiprocess_mode="livesum"
)
ERRORS = Counter("kis_errors", "Answers that are no success by error code", ["code", "route"])
STORAGE = Histogram(
    "kis_storage_operation_seconds",
    "Storage operations by what came of them: ok or an error code",
    ["operation", "outcome"],
    buckets=_SECONDS,
)
GATE_FAILURES = Counter("kis_gate_failures", "Gates that estimates failed", ["stage", "gate"])
FINISHED = Counter("kis_estimates_finished", "Estimates that came to an end", ["status"])

SAMPLED: Mapping[str, str] = {
    "kis_queue_jobs": "Estimates that wait for a worker",
    "kis_queue_oldest_seconds": "Age of the estimate that waits longest",
    "kis_db_connections_open": "Open database connections of the answering process",
    "kis_db_connections_idle": "Of these, not in use",
    "kis_db_connections_limit": "The most that may be open",
    "kis_db_requests_waiting": "Requests that wait for a connection",
}
"""What is looked up when somebody asks, by name."""


def observe_storage(operation: str, outcome: str, seconds: float) -> None:
    """Count a storage operation and its time."""
    STORAGE.labels(operation, outcome).observe(seconds)


def pool_sample(stats: Mapping[str, int]) -> dict[str, float]:
    """Return what `Database.stats` says under the names of the metrics."""
    return {
        "kis_db_connections_open": stats["open"],
        "kis_db_connections_idle": stats["idle"],
        "kis_db_connections_limit": stats["limit"],
        "kis_db_requests_waiting": stats["waiting"],
    }


class _Sampled(Collector):
    def __init__(self, sample: Mapping[str, float]) -> None:
        self._sample = sample

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, value in self._sample.items():
            yield GaugeMetricFamily(name, SAMPLED[name], value)


def exposition(sample: Mapping[str, float]) -> bytes:
    """Return the metrics of all processes and a sample, as Prometheus reads them."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    sampled = CollectorRegistry()
    sampled.register(_Sampled(sample))
    return generate_latest(registry) + generate_latest(sampled)
