"""Reads what a service counts: the Prometheus text format, what was added, and quantiles."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Series = tuple[str, frozenset[tuple[str, str]]]
"""A name and its labels."""

_LABEL = re.compile(r'\s*([A-Za-z_]\w*)\s*=\s*"((?:[^"\\\n]|\\.)*)"\s*(?:,|$)')
_LINE = re.compile(
    r'([A-Za-z_:][\w:]*)\s*(?:\{((?:[^"}]|"(?:[^"\\\n]|\\.)*")*)\})?\s*(\S+)(?:\s+-?\d+)?\s*'
)
_ESCAPED = re.compile(r"\\(.)")
_PARTS = {"histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading: what only grows (counters and histograms), and what goes up and down."""

    counted: Mapping[Series, float]
    gauges: Mapping[Series, float]

    def gauge(self, name: str) -> float | None:
        """Return a gauge without labels; None where it is not there."""
        return self.gauges.get((name, frozenset()))


def parse(text: str) -> Sample:
    """Read the text format, version 0.0.4. Raises ValueError on a line that is none of it."""
    growing: set[str] = set()
    counted: dict[Series, float] = {}
    gauges: dict[Series, float] = {}
    for line in text.split("\n"):
        if line.startswith("#"):
            growing |= _growing(line)
        elif line.strip():
            series, value = _series(line)
            (counted if series[0] in growing else gauges)[series] = value
    return Sample(counted, gauges)


def _growing(comment: str) -> set[str]:
    """Return the names that a TYPE line says to grow only."""
    words = comment.split()
    if words[:2] != ["#", "TYPE"] or len(words) != 4:  # noqa: PLR2004 - # TYPE name kind
        return set()
    _, _, name, kind = words
    return {name} if kind == "counter" else {name + part for part in _PARTS.get(kind, ())}


def _series(line: str) -> tuple[Series, float]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError("a line is no metric")
    name, labels, value = match.groups()
    return (name, frozenset(_labels(labels or ""))), float(value)


def _labels(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while text[at:].strip():
        match = _LABEL.match(text, at)
        if match is None:
            raise ValueError("labels that cannot be read")
        yield match[1], _ESCAPED.sub(lambda m: "\n" if m[1] == "n" else m[1], match[2])
        at = match.end()


def increase(before: Sample, after: Sample) -> dict[Series, float] | None:
    """Return what was added between two readings of one service; None where it was replaced.

    A count that fell or is gone shows another process: the next release, or one that was started
    again. What that process counted before is not known to lie between the two readings: a colour
    that serves again may have counted for days.
    """
    old, new = before.counted, after.counted
    if any(new.get(series, -1.0) < value for series, value in old.items()):
        return None
    return {series: value - old.get(series, 0.0) for series, value in new.items()}


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """Return the value that this share [0 to 1] of observations does not exceed; None without any.

    `buckets` holds cumulative counts by upper bound, one of them +Inf. Within a bucket observations
    are taken to be evenly spread, as Prometheus does; what lies above the last finite bound is
    given as that bound.

    >>> quantile({0.1: 10.0, 0.5: 20.0, float("inf"): 20.0}, 0.5)
    0.1
    >>> quantile({0.1: 0.0, float("inf"): 0.0}, 0.95)
    """
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if total <= 0:
        return None
    wanted, low, below = share * total, 0.0, 0.0
    for bound in bounds:
        within = buckets[bound]
        if within >= wanted and within > below:
            if math.isinf(bound):
                break
            return low + (bound - low) * max(0.0, wanted - below) / (within - below)
        low, below = bound, within
    return low
