"""The no-go triggers, on looks of a simulated clock."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kis_deploy.watching.figures import Figures
from kis_deploy.watching.triggers import RULES, Change, Judge, Look, p95

INTERVAL = 5.0


class Scene:
    """Looks at a service, five simulated seconds apart."""

    def __init__(self) -> None:
        self.judge = Judge()
        self.at = 0.0
        self.changes: list[tuple[float, Change]] = []
        self.look(added=None)

    def look(self, *, ready: bool = True, added: Figures | None) -> list[Change]:
        found = self.judge.look(Look(self.at, ready, "said", added))
        self.changes += [(self.at, change) for change in found]
        self.at += INTERVAL
        return found

    def spend(self, seconds: float, added: Figures | None, *, ready: bool = True) -> None:
        for _ in range(round(seconds / INTERVAL)):
            self.look(ready=ready, added=added)

    def fired(self) -> list[str]:
        return [change.trigger.split(" (")[0] for _, change in self.changes if change.fired]


def served(count: float, *, failed: float = 0, slow: float = 0) -> Figures:
    latency = {0.05: count - slow, 0.5: count - slow, 1.0: count, math.inf: count}
    return Figures(answers=count, failures=failed, latency=latency)


GOOD = served(50)


def test_a_good_hour_is_quiet() -> None:
    scene = Scene()
    scene.spend(3600, served(50, failed=0.2, slow=2))  # 0.4 % and 4 %: within both budgets
    assert scene.changes == []
    assert {verdict for verdict, _ in scene.judge.verdicts.values()} == {"under"}


def test_readyz_fires_at_the_third_look_and_resets_at_the_third() -> None:
    scene = Scene()
    for ready, change in [
        (False, None), (False, None), (True, None),  # an outage of two looks
        (False, None), (False, None), (False, True), (False, None),
        (True, None), (True, None), (False, None), (True, None), (True, None), (True, False),
    ]:  # fmt: skip
        changes = scene.look(ready=ready, added=GOOD)
        assert [c.fired for c in changes] == ([] if change is None else [change])


def test_a_burst_of_errors_fires_within_a_minute_of_data() -> None:
    scene = Scene()
    scene.spend(60, served(50, failed=10))
    assert scene.fired() == ["error rate"]
    assert scene.changes[0][0] == 60


def test_a_watch_of_a_minute_judges_it_although_looks_are_early() -> None:
    scene = Scene()
    scene.spend(55, GOOD)
    assert scene.judge.verdicts[RULES.burns[0].name] == ("unknown", "watched for 55 s of 60 s")
    scene.at -= 0.01
    scene.look(added=GOOD)
    assert scene.judge.verdicts[RULES.burns[0].name][0] == "under"


def test_a_little_too_many_errors_fire_after_the_short_window() -> None:
    scene = Scene()
    scene.spend(600, served(50, failed=0.4))  # 0.8 %
    assert scene.fired() == ["error rate"]
    assert scene.changes[0][0] == 300
    assert "1x" in scene.changes[0][1].trigger


def test_what_is_over_fires_nothing() -> None:
    scene = Scene()
    scene.spend(60, served(50, failed=0.5))
    scene.spend(900, GOOD)
    assert scene.fired() == []


def test_slow_answers_fire() -> None:
    scene = Scene()
    scene.spend(60, served(50, slow=20))
    assert scene.fired() == ["p95"]
    slower = Scene()
    slower.spend(600, served(50, slow=3))  # 6 %: the 95th percentile is above the limit
    assert slower.fired() == ["p95"]
    assert (p95(slower.judge.window(300)) or 0) > 0.5


def test_a_trigger_resets_when_it_is_over_and_fires_again() -> None:
    scene = Scene()
    scene.spend(60, served(50, failed=10))
    scene.spend(600, GOOD)
    assert [change.fired for _, change in scene.changes[:2]] == [True, False]
    assert scene.judge.firing == []
    scene.spend(300, served(50, failed=25))
    assert scene.judge.firing != []


def test_few_requests_are_not_judged() -> None:
    scene = Scene()
    scene.spend(55, None)
    scene.look(added=served(4, failed=1, slow=4))
    scene.spend(600, Figures())
    assert scene.changes == []
    rates = [w for n, w in scene.judge.verdicts.items() if n not in {"readyz", "integrity"}]
    assert {verdict for verdict, _ in rates} == {"unknown"}
    assert all("too few requests to judge" in why for _, why in rates)


def test_few_requests_that_all_fail_do_fire() -> None:
    scene = Scene()
    scene.spend(60, None)
    for _ in range(5):
        scene.spend(55, Figures())
        scene.look(added=served(1, failed=1))
    assert scene.fired() == ["all fail"]
    scene.spend(60, Figures())
    assert scene.judge.firing == ["all fail"]  # nobody asked: not known to be better
    scene.spend(15, served(1))
    assert scene.judge.firing == []


@pytest.mark.parametrize("lost", [Figures(damaged=1), Figures(incomplete=1)])
def test_lost_integrity_fires_at_once(lost: Figures) -> None:
    scene = Scene()
    scene.look(added=lost)
    assert scene.fired() == ["integrity"]
    scene.spend(290, Figures())
    assert scene.judge.firing == ["integrity"]
    scene.spend(25, Figures())
    assert scene.judge.firing == []


def test_without_metrics_nothing_but_readiness_is_judged() -> None:
    scene = Scene()
    scene.spend(60, served(50, failed=10))
    scene.spend(60, None)
    assert scene.judge.firing == [scene.changes[0][1].trigger]
    assert scene.judge.verdicts.pop("readyz")[0] == "under"
    assert {verdict for verdict, _ in scene.judge.verdicts.values()} == {"unknown"}


def test_another_release_is_judged_by_itself() -> None:
    scene = Scene()
    scene.spend(60, served(50, failed=50))
    assert len(scene.judge.firing) == 2  # the rate, and that all fail
    scene.judge.forget()
    scene.look(added=None)
    scene.spend(75, GOOD)
    assert scene.judge.firing == []
    assert scene.judge.window(3600).failures == 0


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=80))
def test_fires_and_resets_take_turns(looks: list[tuple[int, int]]) -> None:
    scene = Scene()
    for answers, failed in looks:
        scene.spend(25, served(answers, failed=min(answers, failed)), ready=failed < 90)
    for trigger in {change.trigger for _, change in scene.changes}:
        turns = [change.fired for _, change in scene.changes if change.trigger == trigger]
        assert turns == [i % 2 == 0 for i in range(len(turns))]
        assert (trigger in scene.judge.firing) == turns[-1]


def test_what_is_remembered_has_an_end() -> None:
    scene = Scene()
    scene.spend(3 * RULES.longest_sec, GOOD)
    assert len(scene.judge._history) <= RULES.longest_sec / INTERVAL + 2
    assert scene.judge.window(60).answers == 12 * 50


def test_limits_are_those_of_the_guide() -> None:
    lasting = {burn.trigger: burn.limit for burn in RULES.burns if burn.times == 1}
    assert lasting == {"error rate": 0.005, "p95": 0.05}
    for burn in RULES.burns:  # one failed request alone never fires
        assert burn.least * burn.limit >= 1
