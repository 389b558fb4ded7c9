from decimal import Decimal

import pytest
from tests.engine.panels import catalog, codes, design, panel, row, rules, run

from kis_estimator.engine.model import BreakerSpec, SpareSpec
from kis_estimator.engine.selection import choose
from kis_estimator.errors import KisError

CASES: list[tuple[BreakerSpec, str, str, str | None]] = [
    (row("MCCB 2P 20"), "SANGDO", "SIB-32-20A", None),
    (row("ELB 2P 30"), "SANGDO", "SIE-32-30A", None),
    (row("MCCB 2P 15"), "LS", "BS-32-15A", None),
    (row("ELB 2P 20"), "LS", "32GRHS-20A", None),
    (row("MCCB 2P 50/30"), "LS", "ABS52FB-30A", None),
    (row("ELB 2P 50/20"), "SANGDO", "SEC-52-20A", None),
    (row("MCCB 2P 50/40"), "SANGDO", "SBS-52-40A", None),
    (row("MCCB 2P 20", voltage=380), "SANGDO", "SBS-52-20A", None),
    (row("MCCB 2P 20", breaking_capacity_ka=Decimal(14)), "SANGDO", "SBS-52-20A", None),
    (row("MCCB 3P 20", tier="compact"), "LS", "ABS53FB-20A", None),
    (row("MCCB 4P 50"), "LS", "ABN-54-50A", None),
    (row("MCCB 4P 50", tier="standard"), "LS", "ABS-54-50A", None),
    (row("MCCB 3P 100"), "SANGDO", "SBE-103-100A", None),
    (row("MCCB 3P 60"), "SANGDO", "SBE-103-60A", None),
    (row("MCCB 3P 250/225"), "SANGDO", "SBS-203-225A", None),
    (row("MCCB 3P 225/225"), "LS", "ABN-203-225A", None),
    (row("MCCB 3P 100/100", breaking_capacity_ka=Decimal(25)), "SANGDO", "SBS-103-100A", None),
    (row("MCCB 3P 100/50"), "SANGDO", "SBS-103-50A", "FRAME_CHANGED"),
    (
        row("MCCB 3P 225/125", breaking_capacity_ka=Decimal(37)),
        "SANGDO",
        "ABN-203-125A",
        "MIXED_BRAND",
    ),
    (
        row("MCCB 3P 125/125", breaking_capacity_ka=Decimal(37)),
        "SANGDO",
        "ABS-103-125A",
        "MIXED_BRAND",
    ),
    (
        row("MCCB 4P 800/800", breaking_capacity_ka=Decimal(65)),
        "SANGDO",
        "ABS-804-800A",
        "MIXED_BRAND",
    ),
    (row("MCCB 2P 15"), "SANGDO", "BS-32-15A", "MIXED_BRAND"),
    (row("MCCB 4P 50", tier="economy"), "SANGDO", "SBS-54-50A", "TIER_CHANGED"),
    (row("MCCB 3P 100", model="abn-103"), "SANGDO", "ABN-103-100A", None),
]


@pytest.mark.parametrize(("spec", "brand", "sku", "code"), CASES)
def test_choice(spec: BreakerSpec, brand: str, sku: str, code: str | None) -> None:
    choice = choose(spec, brand, catalog(), rules().selection)
    assert (choice.item.sku, choice.code) == (sku, code)


@pytest.mark.parametrize(
    ("spec", "code", "named"),
    [
        (row("MCCB 3P 80"), "UNKNOWN_RATING", [75, 100]),
        (row("MCCB 1P 20"), "UNKNOWN_POLES", None),
        (row("MCCB 3P 100", model="ZZZZZZ"), "UNKNOWN_MODEL_FAR", None),
        (row("MCCB 3P 900"), "UNKNOWN_RATING", [800]),
        (row("MCCB 4P 200/225"), "AT_EXCEEDS_AF", None),
        (row("MCCB 3P 100", model="ABN-1003"), "UNKNOWN_MODEL", None),
        (row("MCCB 3P 125", model="ABN-103"), "UNKNOWN_RATING", [100]),
        (row("MCCB 2P 100", model="ABN-103"), "MODEL_MISMATCH", None),
        (row("MCCB 2P 20", model="SIB-32", voltage=380), "MODEL_MISMATCH", None),
        (row("MCCB 4P 800/800", breaking_capacity_ka=Decimal(100)), "NO_BREAKER", None),
    ],
)
def test_error_names_the_nearest(spec: BreakerSpec, code: str, named: list[int] | None) -> None:
    with pytest.raises(KisError) as caught:
        choose(spec, "SANGDO", catalog(), rules().selection)
    notice = caught.value.notices[0]
    assert notice.code == code
    if named is not None:
        assert notice.params["nearest"] == named
    if code == "UNKNOWN_MODEL":
        assert "ABN-103" in notice.params["nearest"]  # type: ignore[operator]
    if code == "NO_BREAKER":
        assert "SBS-804 800AF 50kA" in notice.params["nearest"]  # type: ignore[operator]


def test_every_bad_row_is_reported_at_once() -> None:
    with pytest.raises(KisError) as caught:
        design(panel(row("main MCCB 4P 80"), row("MCCB 2P 35"), row("MCCB 2P 20")))
    assert [(n.code, n.text) for n in caught.value.notices] == [
        ("UNKNOWN_RATING", "MCCB 4P 80A"),
        ("UNKNOWN_RATING", "MCCB 2P 35A"),
    ]


def test_brand_of_the_main_covers_the_panel_and_a_model_fixes_its_row() -> None:
    result = design(
        panel(
            row("main MCCB 4P 100", brand="LS"),
            row("ELB 2P 20"),
            row("MCCB 3P 60", model="SBE-103"),
            row("MCCB 2P 30", brand="SANGDO"),
        )
    )
    assert result.devices.brand == "LS"
    assert [c.item.sku for c in result.devices.circuits] == [
        "SBE-103-60A",
        "SIB-32-30A",
        "32GRHS-20A",
    ]
    assert "BRANDS_MIXED" in codes(result)
    by_model = design(panel(row("main MCCB 4P 100", model="ABN-104"), row("ELB 2P 20")))
    assert by_model.devices.circuits[0].item.brand == "LS"


def test_spd_brings_a_labelled_breaker_without_load() -> None:
    result = design(panel(row("main MCCB 4P 100"), row("ELB 2P 20", 6), accessories="SPD-4P-T2*2"))
    surge = [c for c in result.devices.circuits if c.is_spd]
    assert [(c.item.sku, c.load_a, c.spec.label) for c in surge] == [("SBS-54-40A", 0, "SPD용")] * 2
    assert result.layout.rdf == Decimal("0.6")  # six circuits, the SPDs' are not counted
    assert result.phase is not None
    assert (result.phase.r_a, result.phase.s_a, result.phase.t_a) == (40, 40, 40)
    cards = next(line for line in result.lines if line.sku == "NP-CARD")
    assert cards.quantity == 8


def test_an_spd_breaker_in_the_schedule_serves_the_spd() -> None:
    listed = row("MCCB 4P 50/50", load_a=Decimal(0), label="SPD용")
    result = design(
        panel(row("main MCCB 4P 100"), listed, row("ELB 2P 20", 6), accessories="SPD-4P-T2*2")
    )
    surge = [c.item.sku for c in result.devices.circuits if c.is_spd]
    assert surge == ["SBS-54-50A", "SBS-54-40A"]
    assert result.layout.rdf == Decimal("0.6")


def test_spares_take_pitch_but_neither_load_nor_price() -> None:
    rows = (row("main MCCB 4P 50"), row("ELB 4P 20", 2))
    without = design(panel(*rows))
    spared = design(panel(*rows, spares=(SpareSpec(quantity=2),)))
    assert spared.enclosure.need.branches_mm == without.enclosure.need.branches_mm + 100
    assert [p.role for p in spared.layout.placements].count("spare") == 2
    assert spared.layout.heat_w == without.layout.heat_w
    bought = [(line.sku, line.quantity) for line in spared.lines if line.group == "branch"]
    assert bought == [("SES-54-20A", 2)]


@pytest.mark.parametrize(
    ("spare", "body"),
    [
        (SpareSpec(poles=3), (130, 75)),  # the commonest 3P branch
        (SpareSpec(frame_af=50), (130, 75)),
        (SpareSpec(poles=4), (130, 100)),  # none in the panel: the catalogue's smallest
        (SpareSpec(poles=2, frame_af=225), (165, 70)),
        (SpareSpec(), (70, 33)),  # the commonest of all
    ],
)
def test_a_spare_takes_the_body_that_it_names(spare: SpareSpec, body: tuple[int, int]) -> None:
    rows = (row("main MCCB 4P 100"), row("ELB 2P 20", 6), row("MCCB 3P 50/30", 2))
    result = design(panel(*rows, spares=(spare,)))
    placed = next(p for p in result.layout.placements if p.role == "spare")
    assert (placed.width_mm, placed.height_mm) == body


def test_missing_main_is_proposed_and_taken_only_when_accepted() -> None:
    bare = panel(row("ELB 2P 20", 12), row("MCCB 2P 30", 6))
    with pytest.raises(KisError) as caught:
        run(bare)
    notice = caught.value.notices[0]
    assert notice.code == "NO_MAIN"
    # 12 x 20 + 6 x 30 = 420 A on three phases = 140 A, RDF 0.5 of 18 circuits: 70 A
    assert (notice.params["poles"], notice.params["rating"], notice.params["current"]) == (
        4,
        75,
        70,
    )
    accepted = run(bare, accept_proposed_main=True).panels[0]
    assert accepted.devices.main.sku == "SBE-104-75A"
    assert "MAIN_PROPOSED" in codes(accepted)


def test_two_mains_are_refused() -> None:
    with pytest.raises(KisError, match="MAIN_COUNT"):
        design(panel(row("main MCCB 4P 50"), row("main MCCB 4P 60"), row("ELB 2P 20")))
