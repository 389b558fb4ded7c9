"""The load schedule (부하집계표) of a panel: what each circuit takes from each phase."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from kis_estimator.documents.lettering import clean
from kis_estimator.engine.model import PanelResult, Proof


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRow:
    """One circuit; amperes per phase, None where the phase is not loaded.

    A circuit of a single-phase panel has its load in `r_a`.
    """

    circuit: int
    label: str
    kind: str
    poles: int
    rating: str
    phase: str
    r_a: Decimal | None
    s_a: Decimal | None
    t_a: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSchedule:
    """All circuits of one panel with the phase sums [A], imbalance [%] and its proof."""

    single_phase: bool
    rows: tuple[LoadRow, ...]
    r_a: Decimal
    s_a: Decimal
    t_a: Decimal
    imbalance_pct: Decimal | None
    lower_bound_pct: Decimal | None
    proof: Proof | None
    rdf: Decimal
    phase_current_a: Decimal
    main_rating_a: int


def load_schedule(panel: PanelResult) -> LoadSchedule:
    """Put the circuits together with their phases as mounted."""
    phases = {
        placement.circuit: placement.phase or ""
        for placement in panel.layout.placements
        if placement.circuit is not None
    }
    rows = []
    for circuit in panel.devices.circuits:
        phase = phases[circuit.number]
        load = circuit.load_a
        item = circuit.item
        rows.append(
            LoadRow(
                circuit=circuit.number,
                label=clean(circuit.spec.label or ""),
                kind=item.category,
                poles=item.poles,
                rating=f"{item.frame_af}AF/{item.rated_current_a}AT",
                phase=phase,
                r_a=load if "R" in phase or not phase else None,
                s_a=load if "S" in phase else None,
                t_a=load if "T" in phase else None,
            )
        )
    sums = [sum((v for v in column if v is not None), Decimal(0)) for column in _columns(rows)]
    balance = panel.phase
    return LoadSchedule(
        single_phase=panel.devices.single_phase,
        rows=tuple(rows),
        r_a=sums[0],
        s_a=sums[1],
        t_a=sums[2],
        imbalance_pct=balance.imbalance_pct if balance else None,
        lower_bound_pct=balance.lower_bound_pct if balance else None,
        proof=balance.proof if balance else None,
        rdf=panel.layout.rdf,
        phase_current_a=panel.layout.phase_current_a,
        main_rating_a=panel.devices.main.rated_current_a,
    )


def _columns(rows: list[LoadRow]) -> tuple[list[Decimal | None], ...]:
    return [row.r_a for row in rows], [row.s_a for row in rows], [row.t_a for row in rows]
