"""The goldset: cases with expectations worked out by hand, by stage of the pipeline."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

SEEDS = files("kis_estimator") / "data/goldset/regression_seeds_v1.jsonl"
CASES: list[dict[str, Any]] = [
    json.loads(line) for line in SEEDS.read_text(encoding="utf-8").splitlines()
]


def check(
    case: Mapping[str, Any],
    response: Mapping[str, Any],
    needs: Sequence[Any],
    stream: Mapping[str, Any] | None = None,
) -> None:
    """Hold a run against what a case expects; `needs` are the enclosures' needs by panel."""
    facts = {
        **response,
        "need": needs,
        "stream": stream,
        "gates": {f"{g['stage']}.{g['name']}": g for g in response["gates"]},
        "lines": [{line["sku"]: line for line in p["lines"]} for p in response["panels"]],
        "documentKinds": sorted(document["kind"] for document in response["documents"]),
        "evidenceShaLength": len(response["evidenceSha"] or ""),
    }
    expected = dict(case["expect"])
    codes = {finding["code"] for finding in response["findings"]}
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
