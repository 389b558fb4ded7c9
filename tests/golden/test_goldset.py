"""The goldset: cases with expectations worked out by hand, by stage of the pipeline.

A pending case runs too and must still fail: the day its stage exists, it asks to be made active.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from tests import runs

from kis_estimator.evidence import plain

SEEDS = files("kis_estimator") / "data/goldset/regression_seeds_v1.jsonl"
CASES = [json.loads(line) for line in SEEDS.read_text(encoding="utf-8").splitlines()]
LEAST = {
    "enclosure": 5, "breaker": 5, "critic": 5, "format": 2, "cover": 1, "lint": 1,
    "end-to-end": 1, "evidence": 1, "sse": 1,
}  # fmt: skip


def seed(case: dict[str, Any]) -> Any:
    marks = [pytest.mark.regression]
    if "pending" in case:
        reason = f"pending: {case['pending']}"
        marks.append(pytest.mark.xfail(strict=True, raises=AssertionError, reason=reason))
    return pytest.param(case, id=case["id"], marks=marks)


@pytest.mark.parametrize("case", [seed(case) for case in CASES])
def test_case(case: dict[str, Any], examples: Path) -> None:
    if "schedule" in case:
        name, data = case["schedule"], (examples / case["schedule"]).read_bytes()
    else:
        name, data = "request.json", json.dumps(case["request"]).encode()
    given = runs.inputs(data, name, production=case.get("production", False))
    run = runs.estimate(given)
    facts = {
        **run.response,
        "need": [plain(panel.enclosure.need) for panel in run.result.panels],
        "gates": {f"{g['stage']}.{g['name']}": g for g in run.response["gates"]},
        "lines": [{line["sku"]: line for line in p["lines"]} for p in run.response["panels"]],
        "documentKinds": sorted(document["kind"] for document in run.response["documents"]),
        "evidenceShaLength": len(run.response["evidenceSha"] or ""),
    }
    expected = dict(case["expect"])
    codes = {finding["code"] for finding in run.response["findings"]}
    assert set(expected.pop("codes", ())) <= codes
    assert {path: look_up(facts, path) for path in expected} == expected


def look_up(facts: Any, path: str) -> Any:
    """Return the value at `panels[0].enclosure.sku`; gates and lines have keys with dots."""
    if path.startswith("gates."):
        gate, _, field = path.removeprefix("gates.").rpartition(".")
        return facts["gates"][gate][field]
    if match := re.match(r"lines\[(\d+)\]\.(.+)\.(\w+)$", path):
        panel, sku, field = match.groups()
        return facts["lines"][int(panel)][sku][field]
    value = facts
    for part in re.findall(r"[^.\[\]]+", path):
        if isinstance(value, list):
            value = value[int(part)]
        elif isinstance(value, dict):
            value = value.get(part)
    return value


def test_the_goldset_covers_every_stage() -> None:
    assert len({case["id"] for case in CASES}) == len(CASES)
    counts = Counter(case["stage"] for case in CASES)
    assert {stage: counts[stage] for stage in LEAST if counts[stage] < LEAST[stage]} == {}
