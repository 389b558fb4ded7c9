from decimal import Decimal

import pytest
from tests.engine.panels import codes, design, panel, row, rules, run

from kis_estimator.engine.model import AccessorySpec, BreakerSpec, PanelSpec
from kis_estimator.errors import KisError

SMALL = (row("main MCCB 4P 100/75"), row("ELB 2P 20", 15))


def test_height_by_hand_with_accessories_and_meters() -> None:
    # sample 01 LP-2: A 170 + 130, B 30, C 340, D 150, E one row of 100: 100 + 80 + 40 = 220
    result = design(
        panel(
            row("main MCCB 4P 100/100"), row("MCCB 2P 20", 12), row("ELB 2P 20", 15),
            row("ELB 4P 50/40"), accessories="TIMER-24H MC-9*2",
        )
    )  # fmt: skip
    need = result.enclosure.need
    assert (need.top_mm, need.branches_mm, need.accessories_mm, need.height_mm) == (
        300,
        340,
        220,
        1040,
    )
    # 100AF 600 + 100 for 28 branches; a timer brings a push-button lamp into the door
    assert (need.width_mm, need.depth_mm) == (700, 200)
    assert (result.enclosure.sku, result.enclosure.fit_score) == (
        "HDS 70 120 20",
        Decimal("0.9166"),
    )
    two_meters = design(panel(*SMALL, accessories="METER-1PH*2"))
    assert two_meters.enclosure.need.accessories_mm == 450


@pytest.mark.parametrize(
    ("rows", "width"),
    [
        ((row("main MCCB 4P 50"), row("ELB 2P 20", 10)), 500),
        ((row("main MCCB 4P 50"), row("ELB 2P 20", 9), row("ELB 2P 50/40")), 600),
        ((row("main MCCB 4P 100/60"), row("ELB 2P 20", 10)), 600),
        ((row("main MCCB 4P 100/60"), row("ELB 2P 20", 28)), 700),
        ((row("main MCCB 4P 225/200"), row("MCCB 3P 50/30", 4)), 700),
        ((row("main MCCB 4P 225/200"), row("MCCB 3P 225/150", 2)), 800),
        ((row("main MCCB 4P 400/400"), row("MCCB 3P 225/150", 2)), 800),
        ((row("main MCCB 4P 600/500"), row("MCCB 3P 225/150", 2)), 900),
    ],
)
def test_width_by_main_frame(rows: tuple[BreakerSpec, ...], width: int) -> None:
    assert design(panel(*rows)).enclosure.need.shop_width_mm == width


def test_depth_follows_the_deepest_body_and_the_door_parts() -> None:
    flat, deep = SMALL, (row("main MCCB 4P 400/400"), row("MCCB 3P 50/30", 4))
    assert design(panel(*flat)).enclosure.need.depth_mm == 150
    assert design(panel(*flat, accessories="VA-METER")).enclosure.need.depth_mm == 200
    deep_box = design(panel(*deep)).enclosure
    assert (deep_box.need.depth_mm, deep_box.need.made_depth_mm) == (189, 200)
    assert deep_box.door_clearance_mm >= 30
    assert design(panel(*deep, accessories="SPD-4P-T2")).enclosure.need.depth_mm == 250


def test_meter_beside_adds_its_width_and_takes_no_height() -> None:
    beside = (AccessorySpec(sku="METER-3PH", position="beside"),)
    below = (AccessorySpec(sku="METER-3PH"),)
    at_side = design(PanelSpec(name="A", breakers=SMALL, accessories=beside))
    under = design(PanelSpec(name="A", breakers=SMALL, accessories=below))
    assert at_side.enclosure.need.shop_width_mm == under.enclosure.need.shop_width_mm + 130
    assert (at_side.enclosure.need.accessories_mm, under.enclosure.need.accessories_mm) == (0, 200)
    assert not [f for f in at_side.findings if f.severity == "violation"]


def test_made_to_measure_price_by_hand_and_cheaper_stock() -> None:
    result = design(panel(*SMALL, mounting="flush"))
    box = result.enclosure
    assert (box.custom, box.sku, box.fit_score) == (True, "CUSTOM 600×700×150", 1)
    # 2 (0.42 + 0.09 + 0.105) = 1.23 m2; (15,000 + 59,040) x 1.3 = 96,252 -> 96,000
    assert box.unit_price_krw == 96000
    sus = design(panel(*SMALL, mounting="flush", material="sus201")).enclosure
    assert sus.unit_price_krw == 160000  # (15,000 + 108,240) x 1.3 = 160,212
    tall = design(
        panel(row("main MCCB 4P 400/400"), row("MCCB 4P 100/100", 12), row("MCCB 3P 225/150", 4))
    )
    assert tall.enclosure.custom == ("STOCK_CHEAPER" in codes(tall))


def test_asked_box_that_scores_too_low_fails_the_gate() -> None:
    outcome = run(panel(*SMALL, enclosure_sku="HDS 60 90 15"))
    gate = next(g for g in outcome.gates if g.name == "fit_score")
    assert (gate.passed, gate.value) == (False, Decimal("0.7777"))
    assert not [f for f in outcome.panels[0].findings if f.severity == "violation"]


def test_asked_box_that_does_not_fit_is_a_violation() -> None:
    outcome = run(panel(*SMALL, enclosure_sku="HDS 50 60 15"))
    assert outcome.panels[0].enclosure.fit_score == 0
    assert "ENCLOSURE_UNFIT" in codes(outcome.panels[0])
    assert next(g for g in outcome.gates if g.stage == "critic").passed is False


def test_unknown_box_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(KisError) as caught:
        design(panel(*SMALL, enclosure_sku="HDS 60 70 16"))
    assert "HDS 60 70 15" in caught.value.notices[0].params["nearest"]  # type: ignore[operator]


def test_location_material_and_protection_are_hard_rules() -> None:
    assert design(panel(*SMALL)).enclosure.sku == "HDS 60 70 15"
    assert design(panel(*SMALL, ip_rating="IP30")).enclosure.sku == "HB 60 70 15"
    assert design(panel(*SMALL, material="sus201")).enclosure.sku == "SHDS 60 70 15"
    outdoor = design(panel(*SMALL, location="outdoor", material="sus201")).enclosure
    assert (outdoor.sku, outdoor.ip_rating) == ("SC 60 70 18", "IP55")
    steel_outdoor = design(panel(*SMALL, location="outdoor")).enclosure
    assert steel_outdoor.custom
    assert steel_outdoor.ip_rating == "IP44"


def test_pole_is_outdoors() -> None:
    result = design(panel(*SMALL, mounting="pole"))
    assert result.enclosure.location == "outdoor"
    assert "LOCATION_ASSUMED" in codes(result)
    skus = [line.sku for line in result.lines]
    assert "POLE-MOUNT" in skus
    assert "BASE" not in skus
    with pytest.raises(KisError, match="POLE_INDOOR"):
        design(panel(*SMALL, mounting="pole", location="indoor"))


def test_evidence_names_every_candidate_and_the_next_smaller_box() -> None:
    box = design(panel(*SMALL)).enclosure
    assert len(box.candidates) == 115
    assert box.next_smaller == "HDS 50 80 15: W 500 < 600"
    assert max(c.fit_score for c in box.candidates) == box.fit_score
    assert rules().enclosure.fit_score_gate <= box.fit_score


def test_a_panel_above_2300_is_a_violation_with_advice_to_split() -> None:
    result = design(panel(row("main MCCB 4P 800/800"), row("MCCB 4P 400/300", 40)))
    assert {"HEIGHT_LIMIT", "SPLIT_PANEL"} <= set(codes(result))
