from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.panels import rules

from kis_estimator.engine.balance import balance
from kis_estimator.engine.model import BreakerItem, BreakerSpec, Circuit
from kis_estimator.engine.rules import PhaseRules

LOADS = st.one_of(
    st.sampled_from([Decimal(a) for a in (0, 20, 30, 40, 50)]),
    st.integers(1, 999).map(lambda tenths: Decimal(tenths) / 10),
)


def circuit(number: int, poles: int, load: Decimal, *, two_phase: bool = False) -> Circuit:
    item = BreakerItem(
        sku="X", brand="B", category="MCCB", tier="t", model="M", frame_af=100, poles=poles,
        rated_current_a=100, breaking_capacity_ka=Decimal(5), width_mm=50, height_mm=130,
        depth_mm=60, power_loss_w_per_pole=Decimal(1), unit_price_krw=1,
    )  # fmt: skip
    spec = BreakerSpec(role="branch", category="MCCB", poles=poles, rated_current_a=100)
    return Circuit(
        number=number, item=item, spec=spec, load_a=load, load_stated=True, two_phase=two_phase
    )


def circuits(kinds: list[tuple[str, Decimal]]) -> tuple[Circuit, ...]:
    poles = {"single": 2, "pair": 2, "three": 3}
    return tuple(
        circuit(n, poles[kind], load, two_phase=kind == "pair")
        for n, (kind, load) in enumerate(kinds, start=1)
    )


def brute_force(panel: tuple[Circuit, ...]) -> Decimal:
    free = [c for c in panel if c.item.poles == 2]
    spreads = []
    for places in product(range(3), repeat=len(free)):
        sums = [sum((c.load_a for c in panel if c.item.poles > 2), Decimal(0))] * 3
        for c, place in zip(free, places, strict=True):
            for phase in range(3):
                if (phase != place) if c.two_phase else (phase == place):
                    sums[phase] += c.load_a
        spreads.append(max(sums) - min(sums))
    return min(spreads)


KINDS = st.tuples(st.sampled_from(["single", "single", "pair", "three"]), LOADS)


SOLVER_ONLY = replace(rules().phase, enumeration_mib=0)


@settings(max_examples=60)
@given(st.lists(KINDS, min_size=1, max_size=7), st.sampled_from([rules().phase, SOLVER_ONLY]))
def test_spread_equals_brute_force_and_the_bound_never_exceeds_it(
    kinds: list[tuple[str, Decimal]], phase_rules: PhaseRules
) -> None:
    panel = circuits(kinds)
    result = balance(panel, phase_rules)
    best = brute_force(panel)
    assert result.proven_optimal
    assert result.spread_a == best
    assert result.lower_bound_a == best


@settings(max_examples=40)
@given(st.lists(KINDS, min_size=1, max_size=60))
def test_sums_are_those_of_the_assignment(kinds: list[tuple[str, Decimal]]) -> None:
    panel = circuits(kinds)
    result = balance(panel, rules().phase)
    sums = {"R": Decimal(0), "S": Decimal(0), "T": Decimal(0)}
    for c in panel:
        name = result.assignment[c.number]
        assert len(name) == (3 if c.item.poles > 2 else 2 if c.two_phase else 1)
        for letter in name:
            sums[letter] += c.load_a
    assert (result.r_a, result.s_a, result.t_a) == (sums["R"], sums["S"], sums["T"])
    assert result.spread_a == max(sums.values()) - min(sums.values())
    assert result.lower_bound_a <= result.spread_a
    assert result.proven_optimal is (result.lower_bound_a == result.spread_a)


@pytest.mark.parametrize(
    ("count", "load", "spread", "proof"),
    [
        (20, 20, 20, "residue"),
        (21, 20, 0, "residue"),
        (1, 30, 30, "residue"),
        (500, 30, 30, "residue"),
    ],
)
def test_equal_circuits(count: int, load: int, spread: int, proof: str) -> None:
    result = balance(circuits([("single", Decimal(load))] * count), rules().phase)
    assert (result.spread_a, result.proof) == (spread, proof)


def test_one_big_circuit_is_certified_by_its_size() -> None:
    kinds = [("single", Decimal(100)), *[("single", Decimal(20))] * 6]
    result = balance(circuits(kinds), rules().phase)
    assert (result.spread_a, result.proof) == (40, "big_item")


def test_what_the_certificates_leave_open_is_searched() -> None:
    # 30 + 30 + 20 + 20 + 20 = 120: both certificates allow 40, 40, 40, which no assignment makes
    kinds = [("single", Decimal(a)) for a in (30, 30, 20, 20, 20)]
    result = balance(circuits(kinds), rules().phase)
    assert (result.spread_a, result.proof) == (20, "search")


def test_a_search_that_runs_out_of_time_is_open_and_never_called_optimal() -> None:
    stopped = replace(SOLVER_ONLY, search_limit=Decimal(0))
    kinds = [("single", Decimal(tenths) / 10) for tenths in (301, 287, 263, 251, 212, 197, 188)]
    result = balance(circuits(kinds), stopped)
    assert (result.proof, result.proven_optimal) == ("open", False)
    assert result.lower_bound_a < result.spread_a
    assert balance(circuits(kinds), SOLVER_ONLY).proven_optimal


def test_large_panels_meet_the_certificate() -> None:
    kinds = [("single", Decimal(20 + (n * 7919) % 281) / 10 + 2) for n in range(500)]
    result = balance(circuits(kinds), rules().phase)
    assert result.proof == "residue"
    assert result.spread_a <= Decimal("0.1")


def test_korean_unbalance_and_negative_sequence_by_hand() -> None:
    # R 100, S 60, T 20 forced by three circuits; 220 V each
    kinds = [("single", Decimal(a)) for a in (100, 60, 20)]
    result = balance(circuits(kinds), rules().phase)
    assert result.imbalance_pct == Decimal("133.3333")
    assert result.korean_unbalance_pct == Decimal("133.3333")  # 80 / (180 / 3)
    # sqrt(100^2 + 60^2 + 20^2 - 6000 - 1200 - 2000) / 180 = sqrt(4800) / 180
    assert result.i2_over_i1 == Decimal("0.384900")
