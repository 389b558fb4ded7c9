"""The goldset on the engine and the documents; tests/e2e runs all of it through the service."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests import runs
from tests.golden.cases import CASES, check

from kis_estimator.evidence import plain

LEAST = {
    "enclosure": 5, "breaker": 5, "critic": 5, "format": 2, "cover": 1, "lint": 1,
    "end-to-end": 1, "evidence": 1, "sse": 1,
}  # fmt: skip


@pytest.mark.regression
@pytest.mark.parametrize(
    "case", [case for case in CASES if case["stage"] != "sse"], ids=lambda case: case["id"]
)
def test_case(case: dict[str, Any], examples: Path) -> None:
    if "schedule" in case:
        name, data = case["schedule"], (examples / case["schedule"]).read_bytes()
    else:
        name, data = "request.json", json.dumps(case["request"]).encode()
    given = runs.inputs(data, name, production=case.get("production", False))
    run = runs.estimate(given)
    check(case, run.response, [plain(panel.enclosure.need) for panel in run.result.panels])


def test_the_goldset_covers_every_stage() -> None:
    assert len({case["id"] for case in CASES}) == len(CASES)
    counts = Counter(case["stage"] for case in CASES)
    assert {stage: counts[stage] for stage in LEAST if counts[stage] < LEAST[stage]} == {}
