"""The six sample schedules, figure by figure, against `samples.json`.

A change that moves a figure shows here and goes into the changelog. To accept it:
KIS_UPDATE_GOLDEN=1 script/test tests/golden/test_samples.py
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests import runs

GOLDEN = Path(__file__).with_name("samples.json")
SAMPLES = [
    "01_two_tabs.xlsx",
    "02_four_tabs_high_voltage.xlsx",
    "03_messy.xlsx",
    "04_cp949.csv",
    "05_request.txt",
    "06_request.json",
]


def summary(response: dict[str, Any]) -> dict[str, Any]:
    return {
        "totals": response["totals"],
        "gates": {
            f"{g['stage']}.{g['name']}": [g["value"], g["passed"]] for g in response["gates"]
        },
        "findings": sorted(f"{f['severity']} {f['code']}" for f in response["findings"]),
        "panels": [
            {
                **{key: panel[key] for key in ("name", "quantity", "enclosure", "phase", "heatW")},
                "placements": len(panel["placements"]),
                "lines": [
                    f"{line['sku']} × {line['quantity']} @ {line['unitPrice']} = {line['amount']}"
                    for line in panel["lines"]
                ],
            }
            for panel in response["panels"]
        ],
    }


@pytest.mark.parametrize("name", SAMPLES)
def test_sample(name: str, examples: Path) -> None:
    found = summary(runs.sample(examples / name).response)
    golden = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
    if "KIS_UPDATE_GOLDEN" in os.environ:
        golden[name] = found
        text = json.dumps(dict(sorted(golden.items())), ensure_ascii=False, indent=1)
        GOLDEN.write_text(text + "\n", encoding="utf-8")
    assert found == golden[name]
