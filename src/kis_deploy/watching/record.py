"""What a watch leaves: a line per look while it runs, and its report at the end."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from kis_deploy.watching.figures import Figures
from kis_deploy.watching.probe import Seen
from kis_deploy.watching.triggers import Burn, Change, p95

LOG, REPORT, REPORT_TEXT = "watch.jsonl", "watch_report.json", "watch_report.txt"
Result = Literal["quiet", "triggered", "rolled back", "not judged"]
EXIT_CODES: Mapping[Result, int] = {"quiet": 0, "triggered": 1, "not judged": 3, "rolled back": 4}


def now() -> str:
    """Return the time in UTC, as every log writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def written_bound(bound: float) -> str:
    """Return a bound of a histogram as JSON can name it.

    >>> written_bound(0.5), written_bound(float("inf"))
    ('0.5', '+Inf')
    """
    return "+Inf" if math.isinf(bound) else f"{bound:g}"


@dataclass(slots=True)
class Rollback:
    """A rollback that the watch did by itself."""

    why: str
    started_at: str
    seconds: float = 0.0
    problem: str | None = None
    recovered: bool | None = None  # None: not known, too few requests to judge

    def as_json(self) -> dict[str, Any]:
        """Return it for the report."""
        return {
            "why": self.why,
            "startedAt": self.started_at,
            "seconds": round(self.seconds, 3),
            "succeeded": self.problem is None,
            "problem": self.problem,
            "recovered": self.recovered,
        }


@dataclass(slots=True)
class Outcome:
    """What a watch found. `ended` is why it ended: `time over`, or the signal."""

    urls: tuple[str, ...]
    planned_minutes: float
    started_at: str = field(default_factory=now)
    ended_at: str | None = None
    ended: str = "running"
    watched_sec: float = 0.0
    looks: int = 0
    not_ready: int = 0
    without_metrics: int = 0
    unlogged: int = 0
    replaced: int = 0
    slowest_ready_sec: float = 0.0
    total: Figures | None = None  # None: nothing was ever there to compare
    worst: dict[str, dict[str, Any]] = field(default_factory=dict)
    unjudged: list[str] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    firing: list[str] = field(default_factory=list)
    rollback: Rollback | None = None

    def note_worst(self, burn: Burn, share: float, url: str) -> None:
        """Remember the worst share of a short window."""
        name = f"{burn.trigger} over {burn.short_sec:g} s"
        if name not in self.worst or share > self.worst[name]["share"]:
            self.worst[name] = {"share": round(share, 6), "at": now(), "url": url}

    @property
    def result(self) -> Result:
        """What it comes to: a rollback counts where it worked and the service is not still bad."""
        done = self.rollback
        if done is not None and done.problem is None and done.recovered is not False:
            return "rolled back"
        if self.changes:
            return "triggered"
        cut_short = self.ended != "time over"
        return "not judged" if cut_short or self.without_metrics == self.looks else "quiet"

    @property
    def exit_code(self) -> int:
        """0 quiet, 1 a trigger fired, 3 not judged or cut short, 4 rolled back by itself."""
        return EXIT_CODES[self.result]

    def as_json(self) -> dict[str, Any]:
        """Return the report."""
        seen = self.total
        p95_sec = p95(seen) if seen else None
        return {
            "result": self.result,
            "exitCode": self.exit_code,
            "startedAt": self.started_at,
            "endedAt": self.ended_at,
            "ended": self.ended,
            "plannedMinutes": self.planned_minutes,
            "watchedSeconds": round(self.watched_sec, 3),
            "urls": list(self.urls),
            "looks": self.looks,
            "looksNotReady": self.not_ready,
            "looksWithoutMetrics": self.without_metrics,
            "looksNotLogged": self.unlogged,
            "looksAtReplacedProcesses": self.replaced,
            "slowestReadyzSeconds": round(self.slowest_ready_sec, 3),
            "requests": seen and seen.answers,
            "failures": seen and seen.failures,
            "errorRate": seen.failures / seen.answers if seen and seen.answers else None,
            "p95Seconds": None if p95_sec is None else round(p95_sec, 6),
            "estimatesCompleted": seen and seen.completed,
            "estimatesFailed": seen and seen.failed,
            "damagedFiles": seen and seen.damaged,
            "incompletePacks": seen and seen.incomplete,
            "worst": self.worst,
            "notJudged": self.unjudged,
            "triggers": self.changes,
            "stillFiring": self.firing,
            "rollback": None if self.rollback is None else self.rollback.as_json(),
        }

    def text(self) -> str:
        """Return the report for people."""
        told = self.as_json()
        rows = [
            f"Watch of {', '.join(self.urls)}{self._reservation()}",
            f"From {self.started_at} to {self.ended_at} ({self.ended}; {self.watched_sec:.0f} s)",
            f"Result: {self.result}",
            f"Looks: {self.looks}, not ready {self.not_ready}, no metrics {self.without_metrics}",
            f"Slowest /readyz: {milliseconds(self.slowest_ready_sec)}",
            f"Requests: {known(told['requests'])}, error rate {percent(told['errorRate'])}",
            f"p95: {milliseconds(told['p95Seconds'])}",
            f"Estimates completed: {known(told['estimatesCompleted'])}",
            f"Estimates failed: {known(told['estimatesFailed'])}",
            f"Damaged files: {known(told['damagedFiles'])}",
            f"Incomplete evidence packs: {known(told['incompletePacks'])}",
            *(
                f"Worst: {name}: {percent(w['share'])} at {w['at']} ({w['url']})"
                for name, w in self.worst.items()
            ),
            *(f"Not judged: {line}" for line in self.unjudged),
            *(
                f"{c['at']} {c['url']} {c['event']}: {c['trigger']} ({c['why']})"
                for c in self.changes
            ),
            *(f"Still firing: {name}" for name in self.firing),
        ]
        if not self.changes:
            rows.append("No trigger fired")
        if self.rollback is not None:
            rows += _rollback_rows(self.rollback)
        return "\n".join(rows) + "\n"

    def _reservation(self) -> str:
        """Return what a reader of the first line alone has to know: how little was seen."""
        if self.total is None:
            return ": how many requests came is not known"
        return (
            ""
            if self.total.answers
            else ": no requests came, so neither error rate nor p95 was judged"
        )

    def write(self, folder: Path) -> None:
        """Write both reports, each whole or not at all."""
        told = json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n"
        for name, text in ((REPORT, told), (REPORT_TEXT, self.text())):
            new = folder / f".{name}"
            new.write_text(text, encoding="utf-8")
            new.replace(folder / name)


def _rollback_rows(done: Rollback) -> Sequence[str]:
    how = "done" if done.problem is None else f"FAILED: {done.problem}"
    recovered = {True: "yes", False: "no", None: "not known: too few requests to judge"}
    return (
        f"Rollback at {done.started_at} because of {done.why}: {how} ({done.seconds:.1f} s)",
        f"Recovered: {recovered[done.recovered]}",
    )


def known(value: object) -> str:
    """Return a figure for people; what is not known is never 0."""
    if value is None:
        return "not known"
    return f"{value:g}" if isinstance(value, float) else str(value)


def percent(share: float | None) -> str:
    """Return a share for people; what is not known is never 0."""
    return "not known" if share is None else f"{100 * share:.2f} %"


def milliseconds(seconds: float | None) -> str:
    """Return a time for people; what is not known is never 0."""
    return "not known" if seconds is None else f"{1000 * seconds:.0f} ms"


def append_look(path: Path, url: str, seen: Seen, changes: Sequence[Change]) -> None:
    """Append a look to the log, so that a watch that is killed has told what it saw."""
    gauge = (lambda _: None) if seen.sample is None else seen.sample.gauge
    added = seen.look.added
    line: dict[str, Any] = {
        "at": now(),
        "url": url,
        "ready": seen.look.ready,
        "readyzStatus": seen.status,
        "readyzSeconds": round(seen.ready_sec, 4),
        "said": seen.look.said,
        "queueJobs": gauge("kis_queue_jobs"),
        "queueOldestSeconds": gauge("kis_queue_oldest_seconds"),
        "added": None if added is None else _figures_json(added),
        "changes": [
            {"trigger": c.trigger, "event": "fired" if c.fired else "reset", "why": c.why}
            for c in changes
        ],
    }
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "a", encoding="utf-8") as log:
        log.write(json.dumps(line, ensure_ascii=False) + "\n")


def _figures_json(added: Figures) -> dict[str, Any]:
    return {
        "answers": added.answers,
        "failures": added.failures,
        "latency": {written_bound(b): n for b, n in sorted(added.latency.items())},
        "damaged": added.damaged,
        "incomplete": added.incomplete,
        "completed": added.completed,
        "failed": added.failed,
    }


def read_figures(told: Mapping[str, Any]) -> Figures:
    """Return the figures that a line of the log holds."""
    latency = {float(bound): float(count) for bound, count in told["latency"].items()}
    return Figures(**{**told, "latency": latency})
