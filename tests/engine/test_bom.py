"""Bills of materials worked out by hand."""

import tomllib
from decimal import Decimal

import pytest
from tests.engine.panels import codes, design, panel, row, rule_bytes, run

from kis_estimator.engine.model import AccessorySpec, PanelResult, PanelSpec
from kis_estimator.errors import KisError


def amounts(result: PanelResult) -> dict[str, tuple[Decimal, int, int]]:
    return {line.sku: (line.quantity, line.unit_price, line.amount) for line in result.lines}


LP2 = panel(
    row("main MCCB 4P 100/100"), row("MCCB 2P 20", 12), row("ELB 2P 20", 15), row("ELB 4P 50/40"),
    accessories="TIMER-24H MC-9*2",
)  # fmt: skip


def test_whole_panel_by_hand() -> None:
    # box HDS 70 120 20; 28 branches; 27 of them small 2P 20 A
    assert amounts(design(LP2)) == {
        "HDS 70 120 20": (1, 132000, 132000),
        "SBE-104-100A": (1, 46600, 46600),
        "SES-54-40A": (1, 47900, 47900),
        "SIE-32-20A": (15, 6700, 100500),
        "SIB-32-20A": (12, 3500, 42000),
        "FUSE-HOLDER": (2, 4000, 8000),
        "TB-600V": (6, 4000, 24000),
        "DUCT-PVC-40": (4, 3300, 13200),
        "CABLE-WIRE": (4, 9000, 36000),
        "PBL-ONOFF": (1, 4000, 4000),
        "ET-S": (3, 4500, 13500),  # 1 + 28 // 12
        "NT": (1, 3000, 3000),
        "NP-CARD": (28, 800, 22400),
        "NP-PLATE": (1, 4000, 4000),
        "TIMER-24H": (1, 36000, 36000),
        "MC-9": (2, 18000, 36000),
        # 700 x 1200 x 0.000007 x 4/4
        "BUSBAR-MAIN": (Decimal("5.88"), 20000, 117600),
        # 4P at 40 mm: 3 x 15 x 40 x 8.96e-6 x 4 = 0.064512; 2P: 14 inner at 40 = 0.032256 each,
        # 13 outer at 40 + 70 + 40 = 150 = 0.12096 each: 2.0885 kg
        "BUSBAR-BRANCH-3x15": (Decimal("2.09"), 19500, 40755),
        "INSULATOR-S": (4, 1100, 4400),
        "ELB-SUPPORT": (27, 500, 13500),
        "COATING": (1, 5000, 5000),
        "CONSUMABLES": (1, 42000, 42000),  # 7,000 + 1,000 + 5,000 + 3 x 12,000, at most 42,000
        "LABOUR": (1, 175000, 175000),  # 50,000 + 5 x 15,000 + 10,000 + 2 x 20,000
    }


def test_lines_stand_in_the_order_of_the_quotation() -> None:
    groups = [line.group for line in design(LP2).lines]
    order = [
        "enclosure",
        "main",
        "branch",
        "required",
        "optional",
        "busbar",
        "support",
        "consumables",
    ]
    assert groups == sorted(groups, key=order.index)
    branches = [line for line in design(LP2).lines if line.group == "branch"]
    assert [line.sku for line in branches] == ["SES-54-40A", "SIE-32-20A", "SIB-32-20A"]
    assert all(line.rule for line in design(LP2).lines)


def test_every_line_names_a_rule_of_the_rule_file() -> None:
    table = tomllib.loads(rule_bytes().decode())
    sections = ("selection", "enclosure", "accessories", "bom")
    known = {f"{section}.{name}" for section in sections for name in table[section]}
    spec = PanelSpec(
        name="A", breakers=LP2.breakers, mounting="floor",
        accessories=tuple(AccessorySpec(sku=sku) for sku in ("MC-9", "P-COVER", "SPD-4P-T2")),
    )  # fmt: skip
    for line in (*design(spec).lines, *design(LP2).lines):
        assert line.rule == "asked" if line.group == "optional" else line.rule in known


def test_direct_meter_becomes_a_ct_meter_above_120_a() -> None:
    heavy = design(
        panel(row("main MCCB 3P 225/200"), row("MCCB 3P 100/75", 6), accessories="METER-3PH")
    )
    # 6 x 75 = 450 A x 0.6 = 270 A, limited by the main to 200 A
    bought = amounts(heavy)
    assert "METER-3PH" not in bought
    assert bought["METER-CT"][0] == bought["CT-SET"][0] == bought["CABLE-WIRE-METER"][0] == 1
    assert "METER_CT" in codes(heavy)
    light = design(
        panel(row("main MCCB 3P 225/125"), row("MCCB 3P 100/75", 2), accessories="METER-3PH")
    )
    assert "METER-3PH" in amounts(light)  # 150 A x 0.8 = 120 A does not exceed 120 A
    assert "CT-SET" not in amounts(light)


def test_selector_switch_brings_three_lamps_and_is_itself_not_priced() -> None:
    asked = panel(row("main MCCB 4P 50"), row("ELB 2P 20", 4), accessories="TIMER-24H*2 SS")
    result = design(asked)
    assert amounts(result)["PBL-ONOFF"][0] == 6
    assert "SS" not in amounts(result)
    # 500 x 800 or so: 7,000 + steps + 2 timers x 12,000; the switch is in no catalogue
    steps = max(0, -(-(result.enclosure.height_mm - 700) // 100))
    assert amounts(result)["CONSUMABLES"][1] == 7000 + 1000 * steps + 24000
    assert "NOT_PRICED" in codes(result)


@pytest.mark.parametrize(
    ("fields", "sku", "unit_price"),
    [
        ({"mounting": "floor"}, "BASE", 42667),  # 600 x 200 / 90,000 x 32,000
        ({"location": "outdoor", "material": "sus201"}, "BASE", 42667),
        ({"mounting": "pole"}, "POLE-MOUNT", 20000),
    ],
)
def test_service_lines_of_the_mounting(fields: dict[str, str], sku: str, unit_price: int) -> None:
    spec = panel(row("main MCCB 4P 100/75"), row("ELB 2P 20", 15), **fields)
    assert amounts(design(spec))[sku] == (1, unit_price, unit_price)


def test_steel_p_cover_only_when_asked() -> None:
    rows = (row("main MCCB 4P 100/75"), row("ELB 2P 20", 15))
    assert "P-COVER" not in amounts(design(panel(*rows)))
    asked = PanelSpec(name="A", breakers=rows, accessories=(AccessorySpec(sku="P-COVER"),))
    # 600 x 700 / 90,000 x 12,000 = 56,000
    assert amounts(design(asked))["P-COVER"] == (1, 56000, 56000)


@pytest.mark.parametrize(
    ("main", "labour", "coating", "earth", "insulator"),
    [
        ("main MCCB 4P 100/100", 50000, 5000, "ET-S", "INSULATOR-S"),
        ("main MCCB 4P 225/200", 60000, 5000, "ET-S", "INSULATOR-S"),
        ("main MCCB 4P 400/400", 130000, 10000, "ET-M", "INSULATOR-L"),
        ("main MCCB 4P 800/800", 250000, 10000, "ET-L", "INSULATOR-L"),
    ],
)
def test_by_main_frame(main: str, labour: int, coating: int, earth: str, insulator: str) -> None:
    result = design(panel(row(main), row("MCCB 3P 50/30", 2)))
    bought = amounts(result)
    base_height = {50000: 700, 60000: 800, 130000: 1200, 250000: 1600}[labour]
    step = {50000: 15000, 60000: 15000, 130000: 20000, 250000: 40000}[labour]
    steps = max(0, -(-(result.enclosure.height_mm - base_height) // 100))
    assert bought["LABOUR"][1] == labour + steps * step
    assert bought["COATING"][1] == coating
    assert {earth, insulator} <= set(bought)


def test_totals_by_hand() -> None:
    spec = PanelSpec(name="A", breakers=LP2.breakers, accessories=LP2.accessories, quantity=3)
    each = design(LP2).lines_sum
    totals = run(spec, discount_pct="7.5", round_down_to=1000).totals
    assert totals.lines_sum == 3 * each
    assert totals.discount == int(Decimal(3 * each) * Decimal("0.075") + Decimal("0.5"))
    assert totals.supply % 1000 == 0
    assert 0 <= totals.rounding < 1000
    assert totals.supply == totals.lines_sum - totals.discount - totals.rounding
    assert totals.vat == totals.supply // 10
    assert totals.total == totals.supply + totals.vat


def test_markup_is_folded_into_every_unit_price() -> None:
    plain, marked = run(LP2).panels[0], run(LP2, markup_pct="12.5").panels[0]
    for before, after in zip(plain.lines, marked.lines, strict=True):
        assert after.unit_price == int(before.unit_price * Decimal("1.125") + Decimal("0.5"))
        exact = after.quantity * after.unit_price
        assert after.amount == int(exact + Decimal("0.5"))


def test_discount_range() -> None:
    assert run(LP2, discount_pct="12").findings[0].code == "DISCOUNT_APPROVAL"
    with pytest.raises(KisError, match="PRICING_RANGE"):
        run(LP2, discount_pct="20.1")
