"""The pipeline: composes the stages in the order enclosure, breaker, critic, and judges the gates.

It is the only module that knows all stages. Enclosure and placement need each other's figures and
do not import one another: the pipeline gives the enclosure what the layout takes at a width, then
places the devices in the chosen box.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from typing import Literal

from kis_estimator.engine import bom, critic, enclosure, placement, pricing
from kis_estimator.engine.accessories import derive
from kis_estimator.engine.balance import balance
from kis_estimator.engine.catalog import Catalog
from kis_estimator.engine.formulas import ip_at_least, rated_diversity_factor
from kis_estimator.engine.model import (
    THREE_POLES,
    BreakerSpec,
    Circuit,
    EnclosureResult,
    EngineResult,
    EstimateRequest,
    Finding,
    Gate,
    Layout,
    Line,
    PanelDevices,
    PanelResult,
    PanelSpec,
    PhaseBalance,
    Stage,
)
from kis_estimator.engine.rules import HeatRules, Rules
from kis_estimator.engine.selection import select_panel
from kis_estimator.engine.units import half_up
from kis_estimator.errors import KisError, Locale, Notice

STAGES: tuple[Stage, ...] = ("enclosure", "breaker", "critic", "format", "cover", "lint")

LATER_GATES = (
    Gate(stage="format", name="formula_loss", value=None, limit=0, passed=None, basis="not run"),
    Gate(
        stage="format", name="named_range_loss", value=None, limit=0, passed=None, basis="not run"
    ),
    Gate(
        stage="cover", name="policy_violations", value=None, limit=0, passed=None, basis="not run"
    ),
    Gate(stage="lint", name="errors", value=None, limit=0, passed=None, basis="not run"),
    Gate(stage="evidence", name="complete", value=None, limit=True, passed=None, basis="not run"),
)
"""Gates of the stages after the engine: not run until a stage replaces its own."""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened: a stage started, advanced by a panel, or finished; or a gate was judged."""

    kind: Literal["started", "progress", "gate", "finished"]
    stage: Stage
    progress: float = 0.0
    panel: str | None = None
    gate: Gate | None = None


Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class _Sized:
    """A panel after the enclosure stage."""

    devices: PanelDevices
    phase: PhaseBalance | None
    rdf: Decimal
    current_a: Decimal
    enclosure: EnclosureResult
    plan: placement.Plan
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Placed:
    """A panel after the breaker stage, with what the critic says of it."""

    sized: _Sized
    layout: Layout
    review: tuple[Finding, ...]


def run(
    request: EstimateRequest,
    catalog: Catalog,
    rules: Rules,
    emit: Emit = lambda _event: None,
    *,
    accept_proposed_main: bool = False,
) -> EngineResult:
    """Design and price every panel of a request; the same input gives the same result.

    Raises one KisError with every notice of all panels: a row without a breaker, a panel without a
    main (NO_MAIN with the proposal, unless it is accepted), an unknown accessory or enclosure.
    """
    locale = request.locale
    specs, proposed = _with_mains(request, catalog, rules, accept=accept_proposed_main)
    request = replace(request, panels=specs)
    emit(Event("started", "enclosure"))
    sized: list[_Sized] = []
    problems: list[Notice] = []
    for number, spec in enumerate(specs, start=1):
        try:
            sized.append(_size(spec, catalog, rules, locale))
        except KisError as error:
            problems += error.notices
        emit(Event("progress", "enclosure", number / len(specs), spec.name))
    if problems:
        raise KisError(*problems)
    gates = list(_judge("enclosure", _enclosure_gates(sized, rules), emit))
    emit(Event("started", "breaker"))
    placed: list[_Placed] = []
    for number, panel in enumerate(sized, start=1):
        placed.append(_place(panel, rules, locale))
        emit(Event("progress", "breaker", number / len(sized), panel.devices.spec.name))
    gates += _judge("breaker", _breaker_gates(placed, rules), emit)
    emit(Event("started", "critic"))
    panels = tuple(
        _result(panel, rules, request, proposed.get(index)) for index, panel in enumerate(placed)
    )
    gates += _judge("critic", _critic_gates(panels), emit)
    totals = pricing.totals(
        ((panel.lines_sum, panel.quantity) for panel in panels), request.pricing, rules.pricing
    )
    return EngineResult(
        request=request,
        panels=panels,
        totals=totals,
        gates=(*gates, *LATER_GATES),
        findings=tuple(_quote_findings(request, rules)),
        catalog_sha=catalog.sha,
        catalog_is_sample=catalog.sample,
        rule_set=rules.rule_set,
        rules_sha=rules.sha,
    )


# ---------------------------------------------------------------- missing mains


@dataclass(frozen=True, slots=True)
class Proposal:
    """A main for a panel that names none: the smallest that carries the diversified load."""

    panel: str
    main: BreakerSpec
    current_a: Decimal


def propose_main(spec: PanelSpec, catalog: Catalog, rules: Rules, locale: Locale) -> Proposal:
    """Return the smallest MCCB that carries the diversified phase current of a panel.

    4P, or 3P where every branch has three poles. Raises NO_MAIN_FITS with the current where the
    catalogue has none so large.
    """
    named = {row.brand for row in spec.breakers if row.brand}
    for row in spec.breakers:
        named |= {item.brand for item in catalog.of_model(row.model or "")[:1]}
    brand = named.pop() if len(named) == 1 else rules.selection.default_brand
    poles = THREE_POLES + any(row.poles != THREE_POLES for row in spec.breakers)
    ratings = catalog.ratings("MCCB", poles, brand)
    if not ratings:
        known = [f"{count}P" for count in catalog.poles("MCCB")]
        raise KisError.of("UNKNOWN_POLES", kind=f"{brand} MCCB", poles=f"{poles}P", known=known)
    main = BreakerSpec(
        role="main", category="MCCB", poles=poles, rated_current_a=ratings[0], brand=brand
    )
    with_main = replace(spec, breakers=(main, *spec.breakers))
    devices, _ = select_panel(with_main, catalog, rules, locale)
    phase = balance(devices.circuits, rules.phase)
    for rating in ratings:
        _, current = diversity(devices.circuits, rating, phase, rules.heat)
        if current <= rating:
            return Proposal(spec.name, replace(main, rated_current_a=rating), current)
    raise KisError.of("NO_MAIN_FITS", panel=spec.name, current=half_up(current, Decimal("0.1")))


def _with_mains(
    request: EstimateRequest, catalog: Catalog, rules: Rules, *, accept: bool
) -> tuple[tuple[PanelSpec, ...], dict[int, Proposal]]:
    specs: list[PanelSpec] = []
    proposed: dict[int, Proposal] = {}
    problems: list[Notice] = []
    for index, spec in enumerate(request.panels):
        specs.append(spec)
        if any(row.role == "main" for row in spec.breakers):
            continue
        try:
            proposal = propose_main(spec, catalog, rules, request.locale)
        except KisError as error:
            problems += error.notices
            continue
        proposed[index] = proposal
        specs[-1] = replace(spec, breakers=(proposal.main, *spec.breakers))
        if not accept:
            problems.append(no_main_notice(proposal))
    if problems:
        raise KisError(*problems)
    return tuple(specs), proposed


def no_main_notice(proposal: Proposal) -> Notice:
    """Return the notice of a missing main with its proposal."""
    main = proposal.main
    params = {
        "panel": proposal.panel,
        "poles": main.poles,
        "rating": main.rated_current_a,
        "brand": main.brand,
        "current": half_up(proposal.current_a, Decimal("0.1")),
    }
    return Notice("NO_MAIN", params, sheet=proposal.panel)


# ---------------------------------------------------------------- stages


def diversity(
    circuits: Iterable[Circuit], main_a: int, phase: PhaseBalance | None, rules: HeatRules
) -> tuple[Decimal, Decimal]:
    """Return RDF [1] and the diversified phase current [A] of a panel; SPDs do not count."""
    loaded = [circuit for circuit in circuits if not circuit.is_spd]
    largest = max((circuit.item.rated_current_a for circuit in loaded), default=0)
    rdf = rated_diversity_factor(len(loaded), main_a, largest, rules)
    if phase is None:
        return rdf, sum((circuit.load_a for circuit in loaded), Decimal(0)) * rdf
    return rdf, max(phase.r_a, phase.s_a, phase.t_a) * rdf


def _size(spec: PanelSpec, catalog: Catalog, rules: Rules, locale: Locale) -> _Sized:
    """Select, balance, and choose the box: everything the enclosure stage decides."""
    devices, findings = select_panel(spec, catalog, rules, locale)
    phase = None if devices.single_phase else balance(devices.circuits, rules.phase)
    rdf, current = diversity(devices.circuits, devices.main.rated_current_a, phase, rules.heat)
    accessories = derive(devices, current, catalog, rules, locale)
    devices = replace(devices, accessories=accessories.uses)

    @cache
    def plan(width_mm: int, columns: int) -> placement.Plan:
        return placement.plan(devices, width_mm, columns, rules)

    need = enclosure.required(devices, plan, rules)
    box = enclosure.choose(devices, need, catalog, rules, locale)
    return _Sized(
        devices=devices,
        phase=phase,
        rdf=rdf,
        current_a=current,
        enclosure=box,
        plan=plan(need.width_mm, need.columns),
        findings=(*findings, *accessories.findings, *box.findings),
    )


def _place(panel: _Sized, rules: Rules, locale: Locale) -> _Placed:
    box = panel.enclosure
    layout = placement.place(
        panel.devices,
        panel.phase,
        panel.plan,
        (box.width_mm, box.height_mm),
        (panel.rdf, panel.current_a),
        rules,
    )
    design = critic.Design(panel.devices, box, panel.phase, layout)
    asked = enclosure.wish(panel.devices.spec, rules.enclosure)
    return _Placed(panel, layout, critic.review(design, asked.ip_rating, rules, locale))


def _result(
    placed: _Placed, rules: Rules, request: EstimateRequest, proposal: Proposal | None
) -> PanelResult:
    panel, locale = placed.sized, request.locale
    lines: tuple[Line, ...] = bom.lines(
        panel.devices, panel.enclosure, placed.layout, rules, request.pricing.markup_pct, locale
    )
    findings = [*panel.findings, *placed.review]
    if proposal:
        findings.append(
            rules.finding(
                "MAIN_PROPOSED",
                locale,
                proposal.panel,
                current=half_up(proposal.current_a, Decimal("0.1")),
                poles=proposal.main.poles,
                rating=proposal.main.rated_current_a,
            )
        )
    return PanelResult(
        devices=panel.devices,
        enclosure=panel.enclosure,
        phase=panel.phase,
        layout=placed.layout,
        findings=tuple(findings),
        lines=lines,
        lines_sum=sum(line.amount for line in lines),
    )


def _quote_findings(request: EstimateRequest, rules: Rules) -> Iterator[Finding]:
    """Yield what concerns the quote as a whole."""
    limit = rules.pricing.discount_approval_pct
    if request.pricing.discount_pct > limit:
        yield rules.finding(
            "DISCOUNT_APPROVAL", request.locale, discount=request.pricing.discount_pct, limit=limit
        )


# ---------------------------------------------------------------- gates


def _judge(stage: Stage, gates: Iterable[Gate], emit: Emit) -> Iterator[Gate]:
    for gate in gates:
        emit(Event("gate", stage, 1.0, gate=gate))
        yield gate
    emit(Event("finished", stage, 1.0))


def _enclosure_gates(panels: list[_Sized], rules: Rules) -> Iterator[Gate]:
    """Judge the worst panel: fit score, protection, door clearance."""
    limit = rules.enclosure.fit_score_gate
    score = min(panel.enclosure.fit_score for panel in panels)
    yield Gate(stage="enclosure", name="fit_score", value=score, limit=limit, passed=score >= limit)
    ratings = [
        (panel.enclosure.ip_rating, enclosure.wish(panel.devices.spec, rules.enclosure).ip_rating)
        for panel in panels
    ]
    worst = min(ratings, key=lambda pair: (ip_at_least(*pair), pair[0]))
    yield Gate(
        stage="enclosure",
        name="ip_rating",
        value=worst[0],
        limit=worst[1],
        passed=ip_at_least(*worst),
    )
    door = min(panel.enclosure.door_clearance_mm for panel in panels)
    least = rules.layout.door_clearance_mm
    yield Gate(
        stage="enclosure", name="door_clearance_mm", value=door, limit=least, passed=door >= least
    )


def _breaker_gates(panels: list[_Placed], rules: Rules) -> Iterator[Gate]:
    """Judge imbalance (or its proof), clearances and heat over all panels."""
    limit = rules.phase.imbalance_gate_pct
    phases = [panel.sized.phase for panel in panels if panel.sized.phase]
    if phases:
        failing = [p for p in phases if p.imbalance_pct > limit and not p.proven_optimal]
        worst = max(failing or phases, key=lambda p: p.imbalance_pct)
        above = worst.imbalance_pct > limit
        basis = "proven optimal" if above and worst.proven_optimal else None
        yield Gate(
            stage="breaker",
            name="phase_imbalance_pct",
            value=worst.imbalance_pct,
            limit=limit,
            passed=not failing,
            basis=basis,
        )
    else:
        yield Gate(
            stage="breaker",
            name="phase_imbalance_pct",
            value=None,
            limit=limit,
            passed=None,
            basis="single-phase panels only",
        )
    for name, codes in (
        ("clearance_violations", critic.GEOMETRY),
        ("thermal_violations", critic.THERMAL),
    ):
        count = sum(finding.code in codes for panel in panels for finding in panel.review)
        yield Gate(stage="breaker", name=name, value=count, limit=0, passed=count == 0)


def _critic_gates(panels: tuple[PanelResult, ...]) -> Iterator[Gate]:
    """Count violations of every panel."""
    count = sum(f.severity == "violation" for panel in panels for f in panel.findings)
    yield Gate(stage="critic", name="violations", value=count, limit=0, passed=count == 0)
