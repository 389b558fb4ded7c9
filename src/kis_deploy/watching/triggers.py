"""The no-go triggers: from looks at a service to what fires and what resets. No clock, no network.

| trigger | fires | resets after 3 looks in a row |
| --- | --- | --- |
| readyz | 3 looks in a row without a 200 that says ok: one lost packet is no outage | with one |
| error rate | the failed share burns its budget in a short and in a long window at once | below |
| p95 | the share that is slower than the limit does so | below |
| all fail | every answer of a window failed, too few for a rate | with an answer that did not |
| integrity | a stored file or an evidence pack lost its integrity: at once | with nothing new |

The short window says that it is still going on, the long one that it is no blip. A window with too
few requests is not judged: neither good nor bad.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from kis_deploy.watching.figures import Figures
from kis_deploy.watching.metrics import quantile

ERROR_BUDGET = 0.005
"""The share of answers that may fail."""

P95_LIMIT_SEC = 0.5
P95_BUDGET = 0.05
"""The share of answers that may be slower than the limit: more, and the 95th percentile is."""

_ON_TIME = 0.99
"""The share of a window that has to have passed: looks are never exactly on time."""

Verdict = Literal["over", "under", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """A budget burns this many times too fast in both windows.

    Judged from `least` requests in each, once the short window has passed; before the long one has,
    it begins where the watch does.
    """

    trigger: Literal["error rate", "p95"]
    short_sec: float
    long_sec: float
    times: float
    least: int

    @property
    def name(self) -> str:
        """How the report calls it."""
        return f"{self.trigger} ({self.times:g}x over {self.short_sec:g} s and {self.long_sec:g} s)"

    def share(self, seen: Figures) -> tuple[float, float]:
        """Return how many requests spent the budget, and out of how many."""
        if self.trigger == "error rate":
            return seen.failures, seen.answers
        return seen.slower(P95_LIMIT_SEC), seen.timed

    @property
    def limit(self) -> float:
        """The share above which it fires."""
        return self.times * (ERROR_BUDGET if self.trigger == "error rate" else P95_BUDGET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Every limit of a watch."""

    burns: tuple[Burn, ...] = (
        Burn(trigger="error rate", short_sec=60, long_sec=300, times=14.4, least=30),
        Burn(trigger="error rate", short_sec=300, long_sec=1800, times=1, least=200),
        Burn(trigger="p95", short_sec=60, long_sec=300, times=6, least=30),
        Burn(trigger="p95", short_sec=300, long_sec=1800, times=1, least=200),
    )
    all_fail_windows_sec: tuple[float, ...] = (60, 300)
    all_fail_least: int = 5
    integrity_window_sec: float = 300
    looks: int = 3  # in a row, before readyz fires and before anything resets

    @property
    def longest_sec(self) -> float:
        """The time that is looked back."""
        windows = (*(burn.long_sec for burn in self.burns), *self.all_fail_windows_sec)
        return max(*windows, self.integrity_window_sec)

    @property
    def settling_sec(self) -> float:
        """The time after which everything that can be judged is."""
        return max(burn.short_sec for burn in self.burns)


RULES = Rules()


@dataclass(frozen=True, slots=True)
class Look:
    """A look at one service: seconds of any clock, what came of /readyz, what was added since.

    `added` is None where /metrics could not be read, or where there is nothing to compare with.
    """

    at: float
    ready: bool
    said: str
    added: Figures | None


@dataclass(frozen=True, slots=True)
class Change:
    """A trigger that fired or reset, and why."""

    trigger: str
    fired: bool
    why: str


@dataclass(slots=True)
class _Alarm:
    """Fires after so many looks over the limit, resets after so many below; else stays."""

    fire_after: int
    reset_after: int
    firing: bool = False
    _against: int = 0

    def hears(self, verdict: Verdict) -> bool:
        """Take in a verdict and return whether that changes the state."""
        if verdict == "unknown":
            return False
        if (verdict == "over") == self.firing:
            self._against = 0
            return False
        self._against += 1
        if self._against < (self.reset_after if self.firing else self.fire_after):
            return False
        self.firing, self._against = not self.firing, 0
        return True


@dataclass(slots=True)
class Judge:
    """Judges the looks at one service, one after the other."""

    rules: Rules = RULES
    verdicts: dict[str, tuple[Verdict, str]] = field(default_factory=dict)
    _alarms: dict[str, _Alarm] = field(default_factory=dict)
    _history: deque[tuple[float, Figures]] = field(default_factory=deque)

    @property
    def firing(self) -> list[str]:
        """The triggers that have fired and not reset."""
        return [name for name, alarm in self._alarms.items() if alarm.firing]

    def forget(self) -> None:
        """Judge what comes by itself: another release serves. What fires stays until it resets."""
        self._history.clear()
        self.verdicts.clear()

    def look(self, seen: Look) -> list[Change]:
        """Take in a look and return which triggers it fired and reset."""
        self._remember(seen)
        self.verdicts["readyz"] = ("under" if seen.ready else "over", seen.said)
        if seen.added is None:
            counted = {
                name: ("unknown", "no metrics") for name in self.verdicts if name != "readyz"
            }
            self.verdicts.update(counted)  # type: ignore[arg-type]
        else:
            self.verdicts["integrity"] = self._integrity()
            self.verdicts["all fail"] = self._all_fail()
            self.verdicts |= {burn.name: self._burn(burn) for burn in self.rules.burns}
        return [
            Change(name, self._alarm(name).firing, why)
            for name, (verdict, why) in self.verdicts.items()
            if self._alarm(name).hears(verdict)
        ]

    def window(self, seconds: float) -> Figures:
        """Return what was done in the last seconds, or since the watch began."""
        if not self._history:
            return Figures()
        now, total = self._history[-1]
        before = self._history[0][1]
        for at, figures in self._history:
            if at > now - seconds:
                break
            before = figures
        return total - before

    def _remember(self, seen: Look) -> None:
        total = self._history[-1][1] if self._history else Figures()
        if seen.added is not None and self._history:
            total += seen.added
        self._history.append((seen.at, total))
        while len(self._history) > 1 and self._history[1][0] <= seen.at - self.rules.longest_sec:
            self._history.popleft()

    def _alarm(self, name: str) -> _Alarm:
        looks = self.rules.looks
        return self._alarms.setdefault(name, _Alarm(looks if name == "readyz" else 1, looks))

    def _integrity(self) -> tuple[Verdict, str]:
        seen = self.window(self.rules.integrity_window_sec)
        why = f"{seen.damaged:g} stored files damaged, {seen.incomplete:g} packs incomplete"
        return ("over" if seen.damaged + seen.incomplete > 0 else "under"), why

    def _all_fail(self) -> tuple[Verdict, str]:
        windows = [self.window(seconds) for seconds in self.rules.all_fail_windows_sec]
        for seen in windows:
            if seen.answers >= self.rules.all_fail_least and seen.failures >= seen.answers:
                return "over", f"all of {seen.answers:g} answers failed"
        shortest = windows[0]
        if shortest.answers > shortest.failures:
            return "under", f"{shortest.failures:g} of {shortest.answers:g} answers failed"
        return "unknown", too_few(shortest.answers, self.rules.all_fail_least)

    def _burn(self, burn: Burn) -> tuple[Verdict, str]:
        age = self._history[-1][0] - self._history[0][0]
        if age < _ON_TIME * burn.short_sec:
            return "unknown", f"watched for {age:.0f} s of {burn.short_sec:g} s"
        shares = []
        for seconds in (burn.short_sec, burn.long_sec):
            seen = self.window(seconds)
            spent, asked = burn.share(seen)
            if asked < burn.least:
                return "unknown", too_few(asked, burn.least)
            shares.append(spent / asked)
        why = ", ".join(
            f"{100 * share:.2f} % over {seconds:g} s"
            for share, seconds in zip(shares, (burn.short_sec, burn.long_sec), strict=True)
        )
        what = "failed" if burn.trigger == "error rate" else f"slower than {P95_LIMIT_SEC:g} s"
        over = all(share > burn.limit for share in shares)
        return ("over" if over else "under"), f"{what}: {why}; limit {100 * burn.limit:g} %"


def too_few(asked: float, least: int) -> str:
    """Return why a rate says nothing."""
    return f"too few requests to judge ({asked:g} of {least})"


def p95(seen: Figures) -> float | None:
    """Return the 95th percentile in seconds; None without an answer."""
    return quantile(seen.latency, 0.95)
