"""Reads the proxy's access logs: one JSON object a line, written by the nginx of a host."""

from __future__ import annotations

import gzip
import json
import math
import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from kis_deploy.problems import DeployError
from kis_deploy.watching.figures import PROBES, is_api, waits_for_the_caller

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NAMED = re.compile(r"v1|[a-z][a-z-]*")
_SERVER_ERROR = 500
_NOT_FOUND = 404


@dataclass(slots=True)
class Route:
    """The answers of a route: how many, how many with status 5xx, and the seconds of each."""

    answers: int = 0
    failures: int = 0
    seconds: array[float] = field(default_factory=lambda: array("d"))

    def percentile(self, share: float) -> float | None:
        """Return the seconds that this share of answers did not exceed; None without any."""
        return percentile(self.seconds, share)


@dataclass(slots=True)
class AccessLog:
    """What the logs hold of the time asked for; `first` is the oldest line in them at all."""

    routes: dict[str, Route] = field(default_factory=dict)
    first: datetime | None = None
    unreadable: int = 0

    @property
    def answers(self) -> int:
        """Answers of the API, and failures elsewhere."""
        return sum(route.answers for route in self.routes.values())

    @property
    def failures(self) -> int:
        """Of these, with status 5xx."""
        return sum(route.failures for route in self.routes.values())

    def percentile(self, share: float) -> float | None:
        """Return the seconds that this share did not exceed, where the caller did not choose."""
        times = array("d")
        for name, route in self.routes.items():
            if not waits_for_the_caller(*name.split(" ", 1)):
                times.extend(route.seconds)
        return percentile(times, share)


def percentile(values: Iterable[float], share: float) -> float | None:
    """Return the smallest value that this share does not exceed (nearest rank).

    >>> percentile([0.4, 0.1, 0.2, 0.3], 0.5)
    0.2
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def read_access_logs(paths: Iterable[Path], since: datetime) -> AccessLog:
    """Read logs, compressed ones too. Raises DeployError for one that cannot be opened."""
    found = AccessLog()
    for path in paths:
        for line in _lines(path):
            try:
                told = json.loads(line)
                at = datetime.fromisoformat(told["ts"]).astimezone(UTC)
                answer = (told["method"], told["path"], int(told["status"]), told["seconds"])
            except (ValueError, KeyError, TypeError):
                found.unreadable += 1
                continue
            found.first = at if found.first is None else min(found.first, at)
            if at >= since:
                _count(found, *answer)
    return found


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as log:
            yield from log
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or "not a whole gzip file"
        raise DeployError.of(
            str(path), f"cannot be read ({reason})", "Name an access log of the proxy"
        ) from None


def _count(found: AccessLog, method: str, path: str, status: int, seconds: float) -> None:
    """Count as the service does: the API, and failures elsewhere but for the probes."""
    failed = status >= _SERVER_ERROR
    if path in PROBES or not (failed or is_api(path)):
        return
    route = found.routes.setdefault(f"{method} {route_of(path, status)}", Route())
    route.answers += 1
    route.failures += failed
    if is_api(path):
        route.seconds.append(float(seconds))


def route_of(path: str, status: int = 200) -> str:
    """Return a path with its ids replaced, so that requests of one kind come together.

    >>> route_of("/v1/estimate/0b0e4d5c-3f43-4f4e-9a3f-0d8a4f2f1f10/evidence")
    '/v1/estimate/{}/evidence'
    """
    if status == _NOT_FOUND and not _UUID.search(path):
        return "unmatched"
    named = (part if not part or _NAMED.fullmatch(part) else "{}" for part in path.split("/"))
    return "/".join(named)
