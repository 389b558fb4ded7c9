"""Time: the day in Seoul, and how long the steps of a run took."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone

SEOUL = timezone(timedelta(hours=9), "KST")


def today() -> date:
    """Return today's date in Seoul."""
    return datetime.now(SEOUL).date()


@dataclass(slots=True)
class Clock:
    """Wall-clock milliseconds per step; they live in run.json, beside the evidence."""

    milliseconds: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.perf_counter)

    def lap(self, step: str) -> None:
        """Record the time since the last lap."""
        now = time.perf_counter()
        self.milliseconds[step] = round((now - self._last) * 1000, 2)
        self._last = now
