"""Phase assignment: exact optimum with a certificate (§3).

A circuit of one phase may go to any phase, one of two phases leaves any one phase out, 3P and 4P
load all three. Minimised is D = max - min of the phase sums; a lower bound is proven first.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from itertools import permutations
from math import gcd
from typing import Any

from kis_estimator.engine.formulas import i2_over_i1, imbalance_pct, korean_unbalance_pct
from kis_estimator.engine.model import Circuit, PhaseBalance, Proof
from kis_estimator.engine.rules import PhaseRules
from kis_estimator.engine.units import half_up

PHASES = ("R", "S", "T")
PAIRS = ("ST", "TR", "RS")
"""The pair that leaves out phase R, S, T."""
ALL = "RST"
_PCT = Decimal("0.0001")
_RATIO = Decimal("0.000001")


@dataclass(frozen=True, slots=True, order=True)
class _Kind:
    """Circuits that are alike: load in steps, and whether they load two phases."""

    load: int
    pair: bool


_Counts = dict[_Kind, list[int]]
"""How many circuits of a kind go to (or, for a pair, leave out) each phase."""


def balance(circuits: tuple[Circuit, ...], rules: PhaseRules) -> PhaseBalance:
    """Return the best assignment of the circuits of a three-phase panel, with its proof.

    `proof` residue or big_item: the value meets that certificate; search: every reachable triple of
    phase sums was enumerated or, where that set is too large, the solver closed the gap; open: not
    proven, and never called optimal. SPDs and zero loads are assigned, weighing nothing.
    """
    step = rules.load_step_a
    kinds = Counter(
        _Kind(int(c.load_a / step), c.two_phase) for c in circuits if not c.item.three_phase
    )
    base = sum(int(c.load_a / step) for c in circuits if c.item.three_phase)
    divisor = gcd(*(kind.load for kind in kinds)) or 1
    residue, big_item = _certificates(kinds, base, divisor)
    bound = max(residue, big_item)
    counts = _longest_first(kinds)
    _improve(counts, bound)
    spread = _spread(counts)
    proof: Proof = "residue" if spread == residue else "big_item"
    if spread > bound:
        exact = _enumerate(counts, divisor, bound, rules)
        if exact is not None:
            counts, proved = exact, True
            bound = _spread(counts)
        else:
            counts, bound, proved = _solve(counts, divisor, bound, rules)
        proof = "search" if proved else "open"
        spread = _spread(counts)
    return _result(circuits, counts, (spread, bound), proof, rules)


def _certificates(kinds: Counter[_Kind], base: int, divisor: int) -> tuple[int, int]:
    """Return two lower bounds of D: by residue, and by the biggest circuit.

    Every phase sum is `base` plus a multiple of g, and the multiples add up to q: where 3 does not
    divide q, the sums cannot be equal. A phase with the biggest circuit w holds at least
    M = base + w (a pair holds that on two phases), and the least of the others at most an equal
    share of the rest.
    """
    total = sum((2 if kind.pair else 1) * kind.load * n for kind, n in kinds.items())
    residue = 0 if (total // divisor) % 3 == 0 else divisor
    singles = max((kind.load for kind in kinds if not kind.pair), default=0)
    pairs = max((kind.load for kind in kinds if kind.pair), default=0)
    whole = total + 3 * base
    big = max(
        (base + singles) - (whole - (base + singles)) // 2 if singles else 0,
        (base + pairs) - (whole - 2 * (base + pairs)) if pairs else 0,
        0,
    )
    return residue, -(-big // divisor) * divisor


def _sums(counts: _Counts) -> list[int]:
    """Return the phase sums without the three-phase base, which is equal on all."""
    sums = [0, 0, 0]
    for kind, places in counts.items():
        outside = sum(places) if kind.pair else 0
        for phase in range(3):
            sums[phase] += kind.load * (outside - places[phase] if kind.pair else places[phase])
    return sums


def _spread(counts: _Counts) -> int:
    sums = _sums(counts)
    return max(sums) - min(sums)


def _longest_first(kinds: Counter[_Kind]) -> _Counts:
    """Longest processing time first: to the emptiest phase; a pair leaves out the fullest."""
    counts: _Counts = {}
    sums = [0, 0, 0]
    for kind in sorted(kinds, reverse=True):
        places = counts.setdefault(kind, [0, 0, 0])
        for _ in range(kinds[kind]):
            if kind.pair:
                phase = max(range(3), key=lambda p: (sums[p], -p))
                for other in range(3):
                    sums[other] += kind.load if other != phase else 0
            else:
                phase = min(range(3), key=lambda p: (sums[p], p))
                sums[phase] += kind.load
            places[phase] += 1
    return counts


def _improve(counts: _Counts, bound: int) -> None:
    """Move or swap circuits between two phases while D falls; stops at the bound."""
    while _spread(counts) > bound:
        sums = _sums(counts)
        order = sorted(range(3), key=lambda p: sums[p], reverse=True)
        for high, low in ((order[0], order[2]), (order[0], order[1]), (order[1], order[2])):
            if _transfer(counts, sums, high, low):
                break
        else:
            return


def _transfer(counts: _Counts, sums: list[int], high: int, low: int) -> bool:
    """Carry over the difference of two circuits that comes nearest to half the gap, if D falls."""
    lighten = _carriers(counts, high, low)
    back = [(0, None), *_carriers(counts, low, high)]
    gap = sums[high] - sums[low]
    best: tuple[int, _Kind, _Kind | None] | None = None
    index = 0
    for weight, kind in lighten:
        while index + 1 < len(back) and 2 * (weight - back[index + 1][0]) >= gap:
            index += 1
        for other_weight, other in back[index : index + 2]:
            net = weight - other_weight
            if 0 < net < gap and (best is None or abs(2 * net - gap) < best[0]):
                best = (abs(2 * net - gap), kind, other)
    if best is None:
        return False
    before = (_spread(counts), gap)
    _carry(counts, best[1], high, low)
    if best[2] is not None:
        _carry(counts, best[2], low, high)
    after_sums = _sums(counts)
    after = (max(after_sums) - min(after_sums), abs(after_sums[high] - after_sums[low]))
    if after < before:
        return True
    _carry(counts, best[1], low, high)
    if best[2] is not None:
        _carry(counts, best[2], high, low)
    return False


def _carriers(counts: _Counts, source: int, target: int) -> list[tuple[int, _Kind]]:
    """Return the kinds that can carry load from one phase to another, lightest first."""
    return sorted(
        (kind.load, kind)
        for kind, places in counts.items()
        if kind.load and places[target if kind.pair else source]
    )


def _carry(counts: _Counts, kind: _Kind, source: int, target: int) -> None:
    """Carry one circuit's load: a single moves over, a pair leaves the source out instead."""
    places = counts[kind]
    step = -1 if kind.pair else 1
    places[source] -= step
    places[target] += step


def _enumerate(counts: _Counts, divisor: int, bound: int, rules: PhaseRules) -> _Counts | None:
    """Return the optimum from the set of reachable phase sums; None where that set is too large.

    The bit r x stride + s of an integer says that some assignment of the circuits so far gives
    R = r and S = s (loads in units of g); a circuit shifts the set. Sums above what the incumbent
    allows are cut off. The first reachable triple with the least D is the optimum.
    """
    items = [kind for kind, places in counts.items() for _ in range(sum(places)) if kind.load]
    total = sum((2 if kind.pair else 1) * kind.load for kind in items) // divisor
    most = (total + 2 * (_spread(counts) // divisor)) // 3
    heaviest = max(kind.load for kind in items) // divisor
    stride = most + heaviest + 1
    if len(items) * stride * (most + 1) > 8 * 2**20 * rules.enumeration_mib:
        return None
    rows = ((1 << stride * (most + 1)) - 1) // ((1 << stride) - 1)
    inside = rows * ((1 << most + 1) - 1)
    reached = [1]
    for kind in items:
        before = reached[-1]
        steps = _steps(kind, divisor, stride)
        reached.append((before << steps[0] | before << steps[1] | before << steps[2]) & inside)
    r, s = _nearest_to_even(reached[-1], total, stride, most, bound // divisor)
    found: _Counts = {
        kind: list(places) if not kind.load else [0, 0, 0] for kind, places in counts.items()
    }
    state = r * stride + s
    for index in range(len(items) - 1, -1, -1):
        kind = items[index]
        for phase, step in enumerate(_steps(kind, divisor, stride)):
            if state >= step and reached[index] >> (state - step) & 1:
                state -= step
                found[kind][phase] += 1
                break
    return found


def _steps(kind: _Kind, divisor: int, stride: int) -> tuple[int, int, int]:
    """Return how far a circuit shifts the set of sums, by the phase it goes to or leaves out."""
    load = kind.load // divisor
    if kind.pair:
        return load, load * stride, load * (stride + 1)
    return load * stride, load, 0


def _nearest_to_even(
    reached: int, total: int, stride: int, most: int, bound: int
) -> tuple[int, int]:
    """Return the reachable (R, S) with the least D >= bound; one within `most` always exists."""
    for spread in range(bound, total + 1):
        for least in range(max(0, -(-(total - 2 * spread) // 3)), (total - spread) // 3 + 1):
            middle = total - 2 * least - spread
            if not least <= middle <= least + spread or least + spread > most:
                continue
            for r, s, _ in sorted(set(permutations((least, middle, least + spread)))):
                if reached >> (r * stride + s) & 1:
                    return r, s
    raise AssertionError("the incumbent itself is reachable")


def _solve(
    counts: _Counts, divisor: int, bound: int, rules: PhaseRules
) -> tuple[_Counts, int, bool]:
    """Close the gap with a grouped CP-SAT model; returns counts, proven bound, proven optimal.

    Integers n[kind, phase], loads divided by g, phase sums in falling order (the phases are
    interchangeable), the cut D >= bound, one worker and a deterministic limit: same bytes each run.
    """
    from ortools.sat.python import cp_model  # noqa: PLC0415 - 0.5 s, wanted by few panels

    model = cp_model.CpModel()
    most = max(sum(places) for places in counts.values())
    names = {kind: [model.new_int_var(0, most, "") for _ in PHASES] for kind in counts}
    sums: list[Any] = [0, 0, 0]
    for kind, variables in names.items():
        number = sum(counts[kind])
        model.add(sum(variables) == number)
        load = kind.load // divisor
        for phase in range(3):
            own = variables[phase]
            sums[phase] += load * (number - own if kind.pair else own)
    model.add(sums[0] >= sums[1])
    model.add(sums[1] >= sums[2])
    spread = sums[0] - sums[2]
    model.add(spread >= bound // divisor)
    model.add(spread <= _spread(counts) // divisor)
    model.minimize(spread)
    start = _sums(counts)
    order = sorted(range(3), key=lambda p: start[p], reverse=True)
    for kind, variables in names.items():
        for phase, variable in enumerate(variables):
            model.add_hint(variable, counts[kind][order[phase]])
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    solver.parameters.max_deterministic_time = float(rules.search_limit)
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return counts, bound, False
    found = {kind: [solver.value(v) for v in variables] for kind, variables in names.items()}
    proven = max(bound, round(solver.best_objective_bound) * divisor)
    return found, proven, status == cp_model.OPTIMAL


def _result(
    circuits: tuple[Circuit, ...],
    counts: _Counts,
    measure: tuple[int, int],
    proof: Proof,
    rules: PhaseRules,
) -> PhaseBalance:
    step = rules.load_step_a
    left = {
        kind: [phase for phase in range(3) for _ in range(places[phase])]
        for kind, places in counts.items()
    }
    assignment: dict[int, str] = {}
    single_va = [Decimal(0)] * 3
    sums = [Decimal(0)] * 3
    total_va = Decimal(0)
    for circuit in circuits:
        load = circuit.load_a
        if circuit.item.three_phase:
            assignment[circuit.number] = ALL
            loaded, share = ALL, rules.phase_voltage_v * load
        else:
            phase = left[_Kind(int(load / step), circuit.two_phase)].pop(0)
            name = PAIRS[phase] if circuit.two_phase else PHASES[phase]
            assignment[circuit.number] = name
            loaded = name
            voltage = rules.line_voltage_v if circuit.two_phase else rules.phase_voltage_v
            share = voltage * load / len(loaded)
            for letter in loaded:
                single_va[PHASES.index(letter)] += share
        total_va += share * len(loaded)
        for letter in loaded:
            sums[PHASES.index(letter)] += load
    r, s, t = sums
    spread, bound = (value * step for value in measure)
    bound_pct = bound * 300 / (r + s + t) if r + s + t else Decimal(0)
    va = (single_va[0], single_va[1], single_va[2])
    return PhaseBalance(
        assignment=assignment,
        r_a=r,
        s_a=s,
        t_a=t,
        spread_a=spread,
        lower_bound_a=bound,
        imbalance_pct=half_up(imbalance_pct(r, s, t), _PCT),
        lower_bound_pct=half_up(bound_pct, _PCT),
        proof=proof,
        korean_unbalance_pct=half_up(korean_unbalance_pct(va, total_va), _PCT),
        i2_over_i1=half_up(i2_over_i1(r, s, t), _RATIO),
    )
