"""Watches services for a time; rolls back by itself, once, where it may."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TextIO

from kis_deploy.problems import DeployError
from kis_deploy.watching.figures import Figures
from kis_deploy.watching.probe import Seen, Target
from kis_deploy.watching.record import (
    LOG,
    Outcome,
    Rollback,
    append_look,
    milliseconds,
    now,
    percent,
)
from kis_deploy.watching.triggers import RULES, Change, Judge, Rules, p95, too_few

Tell = Callable[[str], None]
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SETTLING_LOOKS = 6  # after a rollback: to reset what fired, and some to spare


class Screen:
    """Where a watch talks: a terminal shows the last look alone, elsewhere each has a line."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._live = self._stream.isatty()

    def look(self, text: str) -> None:
        """Show a look in place of the last one."""
        self._write(f"\r\x1b[K{text}" if self._live else f"{text}\n")

    def line(self, text: str) -> None:
        """Show a line that stays."""
        self._write(f"\r\x1b[K{text}\n" if self._live else f"{text}\n")

    def _write(self, text: str) -> None:
        with suppress(OSError):  # a terminal that is gone must not end the watch
            self._stream.write(text)
            self._stream.flush()


class Stop:
    """Whether the watch is to end, and what ended it."""

    def __init__(self) -> None:
        self._event = Event()
        self.reason = "time over"

    def ask(self, reason: str) -> None:
        """End the watch; a rollback that runs comes to its end first."""
        self.reason = reason
        self._event.set()

    @property
    def asked(self) -> bool:
        """Whether it is to end."""
        return self._event.is_set()

    def wait(self, seconds: float) -> None:
        """Let time pass, as long as nobody asks."""
        self._event.wait(max(0.0, seconds))


@contextmanager
def stopped_by_signals(stop: Stop) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and the end of the terminal end the watch with its report."""

    def ask(number: int, _frame: FrameType | None) -> None:
        stop.ask(signal.Signals(number).name)

    before = {number: signal.signal(number, ask) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is watched, for how long, and what may be done about it.

    `roll_back` brings the release before back and raises DeployError where it cannot.
    """

    urls: tuple[str, ...]
    folder: Path
    minutes: float = 60
    interval_sec: float = 5
    roll_back: Callable[[Tell], None] | None = None
    rules: Rules = RULES


def watch(plan: Plan, screen: Screen, stop: Stop) -> Outcome:
    """Look again and again until the time is over or somebody asks; always leave a report.

    Raises DeployError where there is no place for one.
    """
    try:
        plan.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DeployError.of(
            str(plan.folder), f"cannot be made ({error.strerror})", "Name a folder with --checkout"
        ) from None
    watching = _Watching(plan, screen)
    try:
        watching.run(stop)
    except BaseException as error:
        stop.reason = type(error).__name__
        raise
    finally:
        outcome = watching.finished(stop.reason)
        try:
            outcome.write(plan.folder)
        except OSError as error:
            screen.line(f"{now()} The report cannot be written ({error.strerror})")
    return outcome


@dataclass(slots=True)
class _Service:
    """One address: how it is looked at and judged."""

    target: Target
    judge: Judge
    answered: bool = False


@dataclass(slots=True)
class _Watching:
    plan: Plan
    screen: Screen
    services: list[_Service] = field(init=False)
    outcome: Outcome = field(init=False)
    _began: float = field(default_factory=time.monotonic)
    _end: float = field(init=False)
    _settled: float = 0.0

    def __post_init__(self) -> None:
        self.services = [_Service(Target(u), Judge(self.plan.rules)) for u in self.plan.urls]
        self.outcome = Outcome(self.plan.urls, self.plan.minutes)
        self._end = self._began + 60 * self.plan.minutes

    def run(self, stop: Stop) -> None:
        """Look until the time is over; after a rollback until it is known whether it helped."""
        with ThreadPoolExecutor(len(self.services)) as pool:
            while not stop.asked:
                at = time.monotonic()
                seen = list(pool.map(lambda s: s.target.see(time.monotonic()), self.services))
                for service, look in zip(self.services, seen, strict=True):
                    self._take(service, look)
                self._roll_back_if_needed()
                left = self._left()
                if left <= 0:
                    return
                stop.wait(min(left, at + self.plan.interval_sec - time.monotonic()))

    def finished(self, reason: str) -> Outcome:
        """Return what was found, complete."""
        told = self.outcome
        told.ended, told.ended_at = reason, now()
        told.watched_sec = time.monotonic() - self._began
        told.firing = self._firing()
        told.unjudged = [
            f"{service.target.url} {name}: {why}"
            for service in self.services
            for name, (verdict, why) in service.judge.verdicts.items()
            if verdict == "unknown"
        ]
        if told.rollback is not None:
            told.rollback.recovered = self._recovered()
        return told

    # ------------------------------------------------------------ a look

    def _take(self, service: _Service, seen: Seen) -> None:
        """Judge a look, write it down and show it."""
        service.answered |= seen.status is not None
        changes = service.judge.look(seen.look)
        url = service.target.url
        self._log(url, seen, changes)
        self._count(service, seen)
        self.screen.look(self._shown(service, seen))
        if seen.replaced:
            self.screen.line(f"{now()} {url} other processes count now; compared from here on")
        for change in changes:
            self._tell(url, change)

    def _log(self, url: str, seen: Seen, changes: Sequence[Change]) -> None:
        try:
            append_look(self.plan.folder / LOG, url, seen, changes)
        except OSError as error:  # a full disk is no reason to look away
            if not self.outcome.unlogged:
                self.screen.line(f"{now()} The log cannot be written ({error.strerror})")
            self.outcome.unlogged += 1

    def _count(self, service: _Service, seen: Seen) -> None:
        told = self.outcome
        told.looks += 1
        told.not_ready += not seen.look.ready
        told.without_metrics += seen.sample is None
        told.replaced += seen.replaced
        told.slowest_ready_sec = max(told.slowest_ready_sec, seen.ready_sec)
        if seen.look.added is not None:
            told.total = (told.total or Figures()) + seen.look.added
        for burn in self.plan.rules.burns:
            recent = service.judge.window(burn.short_sec)
            spent, asked = burn.share(recent)
            if asked >= burn.least:
                told.note_worst(burn, spent / asked, service.target.url)

    def _shown(self, service: _Service, seen: Seen) -> str:
        """Return a look in one line: the figures of the longest short window."""
        rules = self.plan.rules
        recent = service.judge.window(rules.settling_sec)
        least = min(burn.least for burn in rules.burns)
        few = recent.answers < least
        rate = None if few else recent.failures / recent.answers
        queue = None if seen.sample is None else seen.sample.gauge("kis_queue_jobs")
        ready = f"readyz {seen.look.said} ({milliseconds(seen.ready_sec)})"
        parts = [
            f"{now()} {service.target.url} {ready}",
            too_few(recent.answers, least) if few else f"errors {percent(rate)}",
            f"p95 {milliseconds(p95(recent))}",
            "queue not known" if queue is None else f"queue {queue:g}",
        ]
        if seen.sample is None:
            parts[1:] = ["metrics cannot be read"]
        return " · ".join(parts)

    def _tell(self, url: str, change: Change) -> None:
        event = "fired" if change.fired else "reset"
        at = now()
        self.outcome.changes.append(
            {"at": at, "url": url, "trigger": change.trigger, "event": event, "why": change.why}
        )
        self.screen.line(f"{at} {url} {event.upper()}: {change.trigger} ({change.why})")

    # ------------------------------------------------------------ rolling back

    def _roll_back_if_needed(self) -> None:
        """Go back to the release before: once, and never from an address that never answered.

        Nothing says then that the address is that of the service.
        """
        ready_to = [service for service in self.services if service.judge.firing]
        if self.plan.roll_back is None or self.outcome.rollback is not None or not ready_to:
            return
        if not any(service.answered for service in ready_to):
            self.screen.line(f"{now()} No rollback: the address has not answered once")
            return
        why = "; ".join(f"{s.target.url} {name}" for s in ready_to for name in s.judge.firing)
        done = self.outcome.rollback = Rollback(why, now())
        self.screen.line(f"{done.started_at} ROLLBACK because of {why}")
        began = time.monotonic()
        try:
            self.plan.roll_back(lambda text: self.screen.line(f"  {text}"))
        except DeployError as error:
            done.problem = str(error)
        done.seconds = time.monotonic() - began
        how = "done" if done.problem is None else f"FAILED: {done.problem}"
        self.screen.line(f"{now()} Rollback {how} after {done.seconds:.1f} s; watching goes on")
        for service in self.services:
            service.judge.forget()
        self._settled = (
            time.monotonic()
            + self.plan.rules.settling_sec
            + _SETTLING_LOOKS * (self.plan.interval_sec)
        )

    def _left(self) -> float:
        """Return how long there is still something to see."""
        end = max(self._end, self._settled) if self._firing() else self._end
        return end - time.monotonic()

    def _firing(self) -> list[str]:
        return [
            f"{service.target.url} {name}"
            for service in self.services
            for name in service.judge.firing
        ]

    def _recovered(self) -> bool | None:
        """Whether nothing fires any more; None where what fires could not be judged again."""
        verdicts = [
            service.judge.verdicts.get(name, ("unknown", ""))[0]
            for service in self.services
            for name in service.judge.firing
        ]
        if not verdicts:
            return True
        return None if set(verdicts) == {"unknown"} else False
