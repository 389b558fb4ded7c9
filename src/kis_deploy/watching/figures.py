"""The figures of a service that the no-go triggers are about, out of what it counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from operator import add, sub
from typing import Any

from kis_deploy.watching.metrics import Series

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""What asks whether the service is well; counting these would hide how its users fare."""

DAMAGE = "STORAGE_DAMAGED"
"""The outcome of reading a stored file whose bytes do not have the SHA-256 of its name."""

_SERVER_ERROR = "5"


@dataclass(frozen=True, slots=True)
class Figures:
    """What a service did in some time.

    answers: requests of the API that were answered; failures: of these, with status 5xx.
    latency: answers within so many seconds, cumulative; without those whose time the caller chose.
    damaged: stored files that were not what they had been; incomplete: evidence packs with parts
    missing. Both mean lost integrity. What a caller's own pack or schedule has wrong is in neither.
    completed, failed: estimates by how they ended; a customer's faulty schedule fails too, so their
    ratio is told and triggers nothing.
    """

    answers: float = 0.0
    failures: float = 0.0
    latency: Mapping[float, float] = field(default_factory=dict)
    damaged: float = 0.0
    incomplete: float = 0.0
    completed: float = 0.0
    failed: float = 0.0

    def __add__(self, other: Figures) -> Figures:
        """Return the figures of both times together."""
        return self._with(other, add)

    def __sub__(self, other: Figures) -> Figures:
        """Return the figures of this time without a part of it."""
        return self._with(other, sub)

    def _with(self, other: Figures, combine: Callable[[float, float], float]) -> Figures:
        combined: dict[str, Any] = {
            one.name: combine(getattr(self, one.name), getattr(other, one.name))
            for one in fields(self)
            if one.name != "latency"
        }
        bounds = {**self.latency, **other.latency}
        latency = {b: combine(self.latency.get(b, 0.0), other.latency.get(b, 0.0)) for b in bounds}
        return Figures(**combined, latency=latency)

    @property
    def timed(self) -> float:
        """The answers whose time counts."""
        return self.latency.get(math.inf, 0.0)

    def slower(self, seconds: float) -> float:
        """Return how many answers took longer than a bound of the histogram."""
        return self.timed - self.latency.get(seconds, 0.0)


def figures(counted: Mapping[Series, float]) -> Figures:
    """Sum up what was counted, by what it means here."""
    total = Figures()
    for (name, labels), value in counted.items():
        part = _PARTS.get(name)
        if part is not None and value:
            total += part(dict(labels), value)
    return total


def is_api(route: str) -> bool:
    """Whether a route is one that users of the service call."""
    return route.startswith("/v1/")


def waits_for_the_caller(method: str, route: str) -> bool:
    """Whether the caller decides how long an answer takes.

    A stream stays open as long as someone listens, and whoever orders an estimate may ask to wait
    for its end (`Prefer: wait`).
    """
    return route == "/v1/estimate/stream" or (method == "POST" and route.startswith("/v1/estimate"))


def _requests(labels: Mapping[str, str], value: float) -> Figures:
    """Count an answer of the API; elsewhere a failure alone: a scanner's 404s would dilute it."""
    failed = labels["status"].startswith(_SERVER_ERROR) and labels["route"] not in PROBES
    if not (failed or is_api(labels["route"])):
        return Figures()
    return Figures(answers=value, failures=value if failed else 0.0)


def _latency(labels: Mapping[str, str], value: float) -> Figures:
    route = labels["route"]
    if not is_api(route) or waits_for_the_caller(labels["method"], route):
        return Figures()
    return Figures(latency={float(labels["le"]): value})


def _storage(labels: Mapping[str, str], value: float) -> Figures:
    return Figures(damaged=value) if labels["outcome"] == DAMAGE else Figures()


def _gates(labels: Mapping[str, str], value: float) -> Figures:
    return Figures(incomplete=value) if labels["stage"] == "evidence" else Figures()


def _finished(labels: Mapping[str, str], value: float) -> Figures:
    if labels["status"] == "completed":
        return Figures(completed=value)
    return Figures(failed=value)


_PARTS: Mapping[str, Callable[[Mapping[str, str], float], Figures]] = {
    "kis_http_requests_total": _requests,
    "kis_http_request_seconds_bucket": _latency,
    "kis_storage_operation_seconds_count": _storage,
    "kis_gate_failures_total": _gates,
    "kis_estimates_finished_total": _finished,
}
