"""Properties of every layout, recomputed here from the rectangles alone."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.panels import codes, design, panel, row, run

from kis_estimator.engine.columns import split_evenly
from kis_estimator.engine.model import BreakerSpec, PanelResult, Placement, SpareSpec

MAINS = [
    "main MCCB 4P 50",
    "main MCCB 4P 100",
    "main MCCB 4P 225/200",
    "main MCCB 4P 400/400",
    "main MCCB 3P 225/150",
]
BRANCHES = [
    "ELB 2P 20", "MCCB 2P 30", "MCCB 2P 50/20", "ELB 4P 40", "MCCB 3P 50/30", "MCCB 3P 100/75",
    "MCCB 4P 100/100", "MCCB 3P 225/225", "MCCB 4P 225/150", "MCCB 3P 400/300",
]  # fmt: skip
ACCESSORIES = ["MC-9", "MC-50", "TIMER-24H", "METER-3PH", "SPD-4P-T2", "VA-METER", "METER-1PH"]


@st.composite
def panels(draw: st.DrawFn) -> PanelResult:
    rows: list[BreakerSpec] = [row(draw(st.sampled_from(MAINS)))]
    for text in draw(st.lists(st.sampled_from(BRANCHES), min_size=1, max_size=5)):
        load = draw(st.none() | st.integers(0, 200).map(lambda n: Decimal(n) / 10))
        voltage = 380 if "2P" in text and draw(st.booleans()) else None
        rows.append(row(text, draw(st.integers(1, 12)), load_a=load, voltage=voltage))
    asked = " ".join(
        f"{sku}*{draw(st.integers(1, 3))}"
        for sku in draw(st.lists(st.sampled_from(ACCESSORIES), max_size=3, unique=True))
    )
    spares = (SpareSpec(quantity=draw(st.integers(1, 3))),) if draw(st.booleans()) else ()
    return design(panel(*rows, accessories=asked, spares=spares))


def gap(a: Placement, b: Placement) -> int:
    across = max(a.x_mm - b.right_mm, b.x_mm - a.right_mm)
    down = max(a.y_mm - b.bottom_mm, b.y_mm - a.bottom_mm)
    return max(across, down)


@settings(max_examples=80)
@given(panels())
def test_nothing_overlaps_and_everything_is_inside_the_box(result: PanelResult) -> None:
    box = result.enclosure
    for device in result.layout.placements:
        assert device.x_mm >= 0, device
        assert device.right_mm <= box.width_mm, device
        assert device.y_mm >= 0, device
        assert device.bottom_mm <= box.height_mm, device
    for a, b in combinations(result.layout.placements, 2):
        assert gap(a, b) >= 0, (a, b)
    violations = [f.message for f in result.findings if f.severity == "violation"]
    assert [v for v in violations if "겹" in v or "간격" in v] == []


@settings(max_examples=80)
@given(panels())
def test_every_circuit_is_mounted_once_and_the_phases_add_up(result: PanelResult) -> None:
    mounted = Counter(p.circuit for p in result.layout.placements if p.role == "branch")
    assert mounted == {circuit.number: 1 for circuit in result.devices.circuits}
    spares = sum(spare.quantity for spare in result.devices.spec.spares)
    assert sum(p.role == "spare" for p in result.layout.placements) == spares
    assert result.phase is not None
    sums = dict.fromkeys("RST", Decimal(0))
    for device in result.layout.placements:
        if device.role == "branch":
            assert device.load_a is not None
            for letter in device.phase or "":
                sums[letter] += device.load_a
    assert (result.phase.r_a, result.phase.s_a, result.phase.t_a) == tuple(sums.values())


@settings(max_examples=40)
@given(panels())
def test_columns_keep_the_order_and_the_corridor(result: PanelResult) -> None:
    circuits = {c.number: c.item for c in result.devices.circuits}
    corridors = [p for p in result.layout.placements if p.role == "busbar"]
    for corridor in corridors:
        assert corridor.width_mm == 80
    for device in result.layout.placements:
        if device.role == "branch":
            item = circuits[device.circuit or 0]
            assert (device.width_mm, device.height_mm) == (item.height_mm, item.width_mm)
    assert "ORDER" not in codes(result)


@given(st.lists(st.sampled_from([40, 50, 75, 100, 105, 187, 280]), max_size=10))
def test_the_split_of_two_columns_is_optimal(pitches: list[int]) -> None:
    sides = split_evenly(pitches)
    heights = [
        sum(p for p, right in zip(pitches, sides, strict=True) if right is side)
        for side in (False, True)
    ]
    total = sum(pitches)
    reachable = {0}
    for pitch in pitches:
        reachable |= {height + pitch for height in reachable}
    assert max(heights) == min(max(h, total - h) for h in reachable)


def test_by_hand_small_panel() -> None:
    # 50A main (130 body): A = 130 + 130, B = 30, 8 small in 2 columns of 2 rows by 2 = 80,
    # 2 x 4P at 100 = 100 each side: C = 180, D = 150
    result = design(panel(row("main MCCB 4P 50"), row("ELB 4P 20", 2), row("ELB 2P 20", 8)))
    need = result.enclosure.need
    assert (need.top_mm, need.main_to_branch_mm, need.branches_mm) == (260, 30, 180)
    assert (need.bottom_mm, need.accessories_mm, need.shop_height_mm) == (150, 0, 620)
    left = [p for p in result.layout.placements if p.side == "left" and p.role == "branch"]
    assert [(p.x_mm, p.y_mm, p.width_mm, p.height_mm) for p in left] == [
        (130, 290, 130, 100),
        (190, 393, 70, 33),
        (80, 393, 70, 33),
        (190, 433, 70, 33),
        (80, 433, 70, 33),
    ]


def test_small_breakers_of_equal_load_alternate() -> None:
    result = design(panel(row("main MCCB 4P 100"), row("ELB 2P 20", 24)))
    for side in ("left", "right"):
        phases = [
            p.phase for p in result.layout.placements if p.side == side and p.role == "branch"
        ]
        assert all(a != b for a, b in pairwise(phases))


def test_380_v_circuits_load_two_phases() -> None:
    result = design(panel(row("main MCCB 4P 100"), row("MCCB 2P 20", 3, voltage=380)))
    assert sorted(p.phase or "" for p in result.layout.placements if p.role == "branch") == [
        "RS",
        "ST",
        "TR",
    ]
    assert result.phase is not None
    assert (result.phase.r_a, result.phase.spread_a) == (40, 0)


def test_single_phase_panel_has_no_phases_and_no_balance_gate() -> None:
    outcome = run(panel(row("main MCCB 2P 50"), row("ELB 2P 20", 6)))
    assert outcome.panels[0].phase is None
    assert {p.phase for p in outcome.panels[0].layout.placements} == {None}
    gate = next(g for g in outcome.gates if g.name == "phase_imbalance_pct")
    assert gate.passed is None


def test_four_columns_where_two_would_be_taller_than_1600() -> None:
    two = design(panel(row("main MCCB 4P 400/400"), row("MCCB 4P 100/100", 30)))
    assert (two.enclosure.need.columns, two.enclosure.need.branches_mm) == (2, 1500)
    four = design(panel(row("main MCCB 4P 400/400"), row("MCCB 4P 100/100", 40)))
    assert (four.enclosure.need.columns, four.enclosure.need.branches_mm) == (4, 1000)
    assert sum(p.role == "busbar" for p in four.layout.placements) == 2
    assert not [f for f in four.findings if f.severity == "violation"]


def test_a_wider_box_with_small_breakers_abreast_keeps_four_columns_within_the_limit() -> None:
    tall = design(
        panel(
            row("main MCCB 4P 800/800"), row("ELB 2P 20", 120), row("ELB 2P 30", 40),
            row("MCCB 3P 100", 5),
        )
    )  # fmt: skip
    need = tall.enclosure.need
    assert (need.columns, need.width_mm > need.shop_width_mm) == (4, True)
    assert need.height_mm <= 2300
    assert not [f for f in tall.findings if f.severity == "violation"]


def test_contactors_bring_ducts_with_30_mm_beside_them() -> None:
    result = design(panel(row("main MCCB 4P 100"), row("ELB 3P 30", 6), accessories="MC-9*2"))
    ducts = [p for p in result.layout.placements if p.role == "duct"]
    assert [(d.x_mm, d.width_mm) for d in ducts] == [(10, 50), (result.enclosure.width_mm - 60, 50)]
    others = [p for p in result.layout.placements if p.role in ("branch", "accessory", "spare")]
    assert min(gap(duct, other) for duct in ducts for other in others) >= 30


def test_loss_by_hand() -> None:
    # 12 circuits of 20 A: RDF 0.5, each 2 x 1.11 x 0.25; phase current 4 x 20 x 0.5 = 40 A of 50 A
    result = design(panel(row("main MCCB 4P 50"), row("ELB 2P 20", 12)))
    losses = {p.role: p.loss_w for p in result.layout.placements if p.loss_w is not None}
    assert losses["branch"] == Decimal("0.5550")
    assert losses["main"] == Decimal("11.5200")  # 4 x 4.5 x 0.8^2
    assert result.layout.heat_w == Decimal("18.18")


@pytest.mark.parametrize(
    ("rows", "rdf"),
    [
        ((row("main MCCB 4P 100"), row("ELB 2P 20")), "1"),
        ((row("main MCCB 4P 100"), row("ELB 2P 20", 3)), "0.8"),
        ((row("main MCCB 4P 225/200"), row("MCCB 3P 125/125", 5)), "0.7"),
        ((row("main MCCB 4P 225/200"), row("MCCB 3P 225/150", 5)), "0.8"),
        ((row("main MCCB 4P 400/300"), row("MCCB 3P 50/30", 9)), "0.7"),
        ((row("main MCCB 4P 400/300"), row("MCCB 3P 50/30", 10)), "0.6"),
    ],
)
def test_diversity(rows: tuple[BreakerSpec, ...], rdf: str) -> None:
    assert design(panel(*rows)).layout.rdf == Decimal(rdf)
