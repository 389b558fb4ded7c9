"""The critic sees what is broken: each test breaks one thing of a sound design."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.engine.panels import codes, design, panel, row, rules, run

from kis_estimator.engine import critic
from kis_estimator.engine.model import PanelResult, SpareSpec

SOUND = design(
    panel(
        row("main MCCB 4P 100/100"), row("ELB 2P 20", 12, load_a=Decimal(8)),
        row("MCCB 4P 50/40", 2, load_a=Decimal(20)), accessories="MC-9*2",
    )
)  # fmt: skip


def review(result: PanelResult, *, asked_ip: str = "IP44") -> list[str]:
    judged = critic.Design(result.devices, result.enclosure, result.phase, result.layout)
    return [finding.code for finding in critic.review(judged, asked_ip, rules(), "ko-KR")]


def moved(index: int, **fields: Any) -> PanelResult:
    placements = list(SOUND.layout.placements)
    placements[index] = replace(placements[index], **fields)
    return replace(SOUND, layout=replace(SOUND.layout, placements=tuple(placements)))


def at(role: str, number: int = 0) -> int:
    found = [n for n, p in enumerate(SOUND.layout.placements) if p.role == role]
    return found[number]


def test_a_sound_design_has_no_violation() -> None:
    judged = critic.Design(SOUND.devices, SOUND.enclosure, SOUND.phase, SOUND.layout)
    found = critic.review(judged, "IP44", rules(), "ko-KR")
    assert [f for f in found if f.severity == "violation"] == []
    assert {f.code for f in found} >= {"PHASE_ADVISORY", "TEMPERATURE", "BUSBAR_UNKNOWN"}
    assert all(f.source for f in found)


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (moved(at("branch", 3), y_mm=SOUND.layout.placements[at("branch", 2)].y_mm,
               x_mm=SOUND.layout.placements[at("branch", 2)].x_mm), "OVERLAP"),
        (moved(at("branch"), x_mm=20), "OUTSIDE_BOX"),
        (moved(at("terminal"), y_mm=SOUND.enclosure.height_mm - 10), "OUTSIDE_BOX"),
        (moved(at("branch"), x_mm=SOUND.layout.placements[at("duct")].right_mm + 29), "CLEARANCE"),
        (moved(at("branch"), y_mm=SOUND.layout.placements[0].bottom_mm + 29), "CLEARANCE"),
        (moved(at("branch"), phase="R"), "PHASE_SUMS"),
        (moved(at("branch"), circuit=99), "DEVICE_COUNT"),
        (moved(at("branch"), circuit=3), "DEVICE_COUNT"),
    ],
)  # fmt: skip
def test_broken_layout(broken: PanelResult, code: str) -> None:
    assert code in review(broken)


@pytest.mark.parametrize("role", ["main", "branch", "accessory", "terminal"])
def test_a_device_that_is_not_mounted_is_missed(role: str) -> None:
    kept = list(SOUND.layout.placements)
    del kept[at(role)]
    assert "DEVICE_COUNT" in review(
        replace(SOUND, layout=replace(SOUND.layout, placements=tuple(kept)))
    )


@pytest.mark.parametrize(
    "fields",
    [{"width_mm": 1, "height_mm": 1}, {"model": "FAKE"}, {"rated_current_a": 1}],
)
def test_a_device_that_is_another_is_found(fields: dict[str, Any]) -> None:
    assert "DEVICE_COUNT" in review(moved(at("branch"), **fields))


def test_a_spare_that_is_not_mounted_is_missed() -> None:
    spared = design(
        panel(row("main MCCB 4P 50"), row("ELB 4P 20", 2), spares=(SpareSpec(quantity=2),))
    )
    kept = tuple(p for p in spared.layout.placements if p.id != "SPARE-1")
    assert "DEVICE_COUNT" in review(replace(spared, layout=replace(spared.layout, placements=kept)))


def test_an_imbalance_above_the_target_is_a_recommendation() -> None:
    # 30 circuits of 20 A and one of 6 A: 206 over a mean of 202 A is 2.97 %; of 7 A: 3.46 %
    rows = (row("main MCCB 4P 225/200"), row("ELB 2P 20", 30))
    near = design(panel(*rows, row("ELB 2P 20", load_a=Decimal(6))))
    above = design(panel(*rows, row("ELB 2P 20", load_a=Decimal(7))))
    assert "IMBALANCE_TARGET" not in codes(near)
    assert "IMBALANCE_TARGET" in codes(above)


def test_broken_box() -> None:
    shallow = replace(SOUND, enclosure=replace(SOUND.enclosure, depth_mm=130))
    assert "DOOR_CLEARANCE" in review(shallow)
    assert "IP_RATING" in review(SOUND, asked_ip="IP45")
    low = replace(SOUND, enclosure=replace(SOUND.enclosure, width_mm=400, height_mm=450))
    assert "OUTSIDE_BOX" in review(low)
    full = replace(SOUND, enclosure=replace(SOUND.enclosure, width_mm=380, height_mm=420))
    assert "SPACE_USE" in review(full)


def test_heat_limits() -> None:
    # 70 x 4P 400 A at RDF 0.6: 4 x 28 x 0.36 = 40.32 W each
    hot = design(panel(row("main MCCB 4P 800/800"), row("MCCB 4P 400/400", 70)))
    assert "HEAT_PANEL" in codes(hot)
    sources = [(0, 100, Decimal(400)), (50, 150, Decimal(260)), (400, 500, Decimal(100))]
    assert critic.worst_band_w(sources, 300) == 660


def test_main_overload_is_a_violation_only_when_every_load_is_stated() -> None:
    rated = design(panel(row("main MCCB 4P 50"), row("ELB 4P 40", 4)))
    assert "MAIN_OVERLOAD_RATED" in codes(rated)
    stated = design(panel(row("main MCCB 4P 50"), row("ELB 4P 40", 4, load_a=Decimal(40))))
    finding = next(f for f in stated.findings if f.code == "MAIN_OVERLOAD")
    assert (finding.severity, finding.figures["current"]) == ("violation", 112)  # 160 x 0.7


def test_imbalance_above_the_gate_passes_only_when_proven_optimal() -> None:
    outcome = run(panel(row("main MCCB 4P 100"), row("ELB 2P 20", 20)))
    gate = next(g for g in outcome.gates if g.name == "phase_imbalance_pct")
    assert (gate.passed, gate.value, gate.basis) == (True, 15, "proven optimal")
    finding = next(f for f in outcome.panels[0].findings if f.code == "IMBALANCE_OPTIMAL")
    assert (finding.severity, finding.figures["count"], finding.figures["load"]) == (
        "warning",
        1,
        20,
    )
    phase = outcome.panels[0].phase
    assert phase is not None
    unproven = replace(outcome.panels[0], phase=replace(phase, proof="open"))
    assert "IMBALANCE_OPEN" in review(unproven)


def test_feeding_and_breaking_capacity() -> None:
    single = design(panel(row("main MCCB 2P 50"), row("MCCB 3P 30")))
    assert "POLES_ABOVE_MAIN" in codes(single)
    surge = design(panel(row("main MCCB 2P 50"), row("ELB 2P 20", 3), accessories="SPD-4P-T2"))
    assert "POLES_ABOVE_MAIN" in codes(surge)
    assert "NEUTRAL_MISSING" in codes(design(panel(row("main MCCB 3P 100"), row("ELB 2P 20", 3))))
    weak = next(f for f in SOUND.findings if f.code == "BRANCH_KA")
    assert (weak.figures["count"], weak.figures["lowest"]) == (12, Decimal("2.5"))


def test_korean_unbalance_rate_warns_above_30_percent() -> None:
    lopsided = design(
        panel(
            row("main MCCB 4P 100"),
            row("ELB 2P 20", load_a=Decimal(20)),
            row("MCCB 4P 40", load_a=Decimal(5)),
        )
    )
    assert "UNBALANCE_RATE" in codes(lopsided)


def test_busbar_and_temperature_advisories() -> None:
    big = design(panel(row("main MCCB 4P 800/800"), row("MCCB 4P 400/300", 4)))
    assert {"BUSBAR_EXCEEDED", "TEMPERATURE_HIGH"} <= set(codes(big))
    advisory = next(f for f in big.findings if f.code == "TEMPERATURE_HIGH")
    assert advisory.severity == "advisory"


def test_order_is_read_from_the_positions() -> None:
    first, last = at("branch", 0), at("branch", len(SOUND.devices.circuits) - 1)
    placements = list(SOUND.layout.placements)
    column = [
        n
        for n, p in enumerate(placements)
        if p.role == "branch" and p.side == placements[first].side
    ]
    top, bottom = column[0], column[-1]
    swapped = {top: placements[bottom].y_mm, bottom: placements[top].y_mm}
    for index, y_mm in swapped.items():
        placements[index] = replace(placements[index], y_mm=y_mm)
    assert last != first
    assert "ORDER" in review(
        replace(SOUND, layout=replace(SOUND.layout, placements=tuple(placements)))
    )
