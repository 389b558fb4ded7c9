"""What a service counts, as it writes it and as the watch reads it."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from kis_deploy.watching.figures import DAMAGE, Figures, figures
from kis_deploy.watching.metrics import Sample, increase, parse, quantile
from kis_deploy.watching.triggers import P95_LIMIT_SEC
from kis_estimator.web import metrics

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=12)


def written(fill: Any) -> str:
    registry = CollectorRegistry()
    fill(registry)
    return generate_latest(registry).decode()


@given(st.dictionaries(TEXTS, st.floats(0, 1e12), max_size=6), st.floats(allow_nan=False))
def test_reads_what_the_library_writes(counts: dict[str, float], level: float) -> None:
    def fill(registry: CollectorRegistry) -> None:
        counter = Counter("c", "Line\nbreak", ["label"], registry=registry)
        for label, count in counts.items():
            counter.labels(label).inc(count)
        Gauge("g", "", registry=registry).set(level)
        histogram = Histogram("h", "", ["a", "b"], registry=registry)
        histogram.labels('q"', "x,y}").observe(0.3)

    text = written(fill)
    expected = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    found = parse(text)
    assert {**found.counted, **found.gauges} == expected
    assert {name for name, _ in found.counted} <= {"c_total", "h_bucket", "h_count", "h_sum"}
    assert found.gauge("g") == level
    assert found.gauge("nothing") is None


@pytest.mark.parametrize(
    "text", ["a{", 'a{b="c} 1', "a", "a b c", "a{b=c} 1", "<html>", "a{} 1 2 3", "a 1\x00"]
)
def test_refuses_what_is_no_metric(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(f"# TYPE a counter\n{text}\n")


def counted(**values: float) -> Sample:
    return Sample({(name, frozenset()): value for name, value in values.items()}, {})


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9)),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9)),
)
def test_what_was_added(before: dict[str, int], more: dict[str, int]) -> None:
    after = {name: before.get(name, 0) + more.get(name, 0) for name in {*before, *more}}
    added = increase(counted(**before), counted(**after))
    assert added == {(name, frozenset()): more.get(name, 0) for name in after}


def test_another_process_counts_anew() -> None:
    assert increase(counted(a=5, b=2), counted(a=4, b=9)) is None
    assert increase(counted(a=5, b=2), counted(a=6)) is None
    assert increase(counted(), counted(a=6)) == {("a", frozenset()): 6}


@given(st.lists(st.floats(0, 12), min_size=1), st.floats(0.01, 1))
def test_quantile_lies_in_the_bucket_of_the_true_one(values: list[float], share: float) -> None:
    bounds = (*metrics._SECONDS, math.inf)
    buckets = {float(b): float(sum(v <= b for v in values)) for b in bounds}
    true = sorted(values)[math.ceil(share * len(values)) - 1]
    upper = next(b for b in bounds if true <= b)
    lower = max((b for b in bounds if b < upper), default=0)
    found = quantile(buckets, share)
    assert found is not None
    assert min(lower, 10) - 1e-9 <= found <= min(upper, 10) + 1e-9


def test_quantile_interpolates_as_prometheus_does() -> None:
    assert quantile({0.1: 50, 0.2: 100, math.inf: 100}, 0.95) == pytest.approx(0.19)
    assert quantile({0.1: 0, 0.2: 0, math.inf: 7}, 0.95) == 0.2
    assert quantile({}, 0.95) is None


def test_the_limit_of_p95_is_a_bound_of_the_histogram() -> None:
    assert P95_LIMIT_SEC in metrics._SECONDS


def requests(route: str, status: str, method: str = "GET") -> Any:
    return (
        "kis_http_requests_total",
        frozenset({"route": route, "status": status, "method": method}.items()),
    )


@pytest.mark.parametrize(
    ("route", "status", "answers", "failures"),
    [
        ("/v1/catalog", "200", 1, 0),
        ("/v1/catalog", "404", 1, 0),
        ("/v1/catalog", "429", 1, 0),
        ("/v1/catalog", "500", 1, 1),
        ("/v1/estimate", "503", 1, 1),
        ("/readyz", "503", 0, 0),
        ("/metrics", "500", 0, 0),
        ("unmatched", "404", 0, 0),
        ("unmatched", "500", 1, 1),
        ("/static/{path}", "200", 0, 0),
    ],
)
def test_which_answers_count(route: str, status: str, answers: int, failures: int) -> None:
    found = figures({requests(route, status): 1})
    assert (found.answers, found.failures) == (answers, failures)


def test_time_that_the_caller_chose_does_not_count() -> None:
    def took(method: str, route: str) -> Figures:
        labels = frozenset({"method": method, "route": route, "le": "+Inf"}.items())
        return figures({("kis_http_request_seconds_bucket", labels): 1})

    assert took("GET", "/v1/catalog").timed == 1
    assert took("GET", "/v1/estimate").timed == 1
    assert took("POST", "/v1/estimate").timed == 0
    assert took("GET", "/v1/estimate/stream").timed == 0
    assert took("GET", "/readyz").timed == 0


def test_the_figures_are_of_metrics_that_the_service_has() -> None:
    before = parse(metrics.exposition({}).decode())
    metrics.REQUESTS.labels("GET", "/v1/catalog", 500).inc()
    metrics.LATENCY.labels("GET", "/v1/catalog").observe(0.7)
    metrics.observe_storage("get", DAMAGE, 0.1)
    metrics.GATE_FAILURES.labels("evidence", "complete").inc()
    metrics.GATE_FAILURES.labels("lint", "errors").inc()
    metrics.FINISHED.labels("completed").inc()
    metrics.FINISHED.labels("failed").inc()
    added = increase(before, parse(metrics.exposition({}).decode()))
    assert added is not None
    found = figures(added)
    assert (found.answers, found.failures, found.damaged, found.incomplete) == (1, 1, 1, 1)
    assert (found.completed, found.failed) == (1, 1)
    assert (found.timed, found.slower(P95_LIMIT_SEC), found.slower(1.0)) == (1, 1, 0)


@given(st.integers(0, 99), st.integers(0, 99))
def test_figures_add_up(one: int, two: int) -> None:
    first = Figures(answers=one, latency={0.5: one})
    second = Figures(answers=two, latency={math.inf: two})
    total = first + second
    assert total.answers == one + two
    assert total.latency == {0.5: one, math.inf: two}
    assert (total - first).answers == two
