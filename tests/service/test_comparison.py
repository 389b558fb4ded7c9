"""What differs between two estimates, down to lines that look alike."""

from __future__ import annotations

from typing import Any

from kis_estimator.service.comparison import difference

TOTALS = dict.fromkeys(("linesSum", "discount", "rounding", "supply", "vat", "total"), 0)


def line(quantity: int, sku: str = "TB-1") -> dict[str, Any]:
    return {
        "group": "accessory", "sku": sku, "name": sku, "spec": "20P", "quantity": quantity,
        "unitPrice": 100, "amount": 100 * quantity,
    }  # fmt: skip


def panel(*lines: dict[str, Any], name: str = "LP-1") -> dict[str, Any]:
    enclosure = {
        "sku": "X", "widthMm": 1, "heightMm": 1, "depthMm": 1, "ipRating": "IP44", "fitScore": 1,
    }  # fmt: skip
    return {
        "name": name, "quantity": 1, "heatW": 1, "enclosure": enclosure, "phase": None,
        "lines": list(lines),
    }  # fmt: skip


def response(*panels: dict[str, Any], total: int = 0) -> dict[str, Any]:
    return {
        "totals": {**TOTALS, "total": total}, "panels": list(panels), "gates": [], "project": None,
        "ruleSet": "r", "catalogSha": "c", "gatesPassed": True,
    }  # fmt: skip


def quantities(before: list[int], after: list[int]) -> list[tuple[Any, Any]]:
    old, new = (response(panel(*map(line, counts))) for counts in (before, after))
    panels = difference(old, new)["panels"]
    lines = panels[0]["lines"] if panels else []
    return [(one["quantity"]["before"], one["quantity"]["after"]) for one in lines]


def test_lines_that_look_alike_are_compared_in_their_order() -> None:
    assert quantities([1, 2], [1, 2]) == []
    assert quantities([1, 2], [9, 2]) == [(1, 9)]
    assert quantities([1, 2], [1]) == [(2, None)]
    assert quantities([], [3]) == [(None, 3)]


def test_panels_of_one_name_are_compared_in_their_order() -> None:
    old = response(panel(line(1)), panel(line(2)))
    new = response(panel(line(1)), panel(line(3)), panel(line(4), name="LP-2"), total=5)
    found = difference(old, new)
    assert [(one["name"], one["change"]) for one in found["panels"]] == [
        ("LP-1", "changed"), ("LP-2", "added"),
    ]  # fmt: skip
    assert found["totals"] == {"total": {"before": 0, "after": 5}}
    assert difference(old, old) == {"totals": {}, "fields": {}, "panels": [], "gates": {}}
