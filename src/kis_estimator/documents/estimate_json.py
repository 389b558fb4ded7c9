"""`estimate.json`: the EstimateResponse of a run, as programs read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kis_estimator.engine.model import EngineResult, Finding, Gate, PanelResult, PhaseBalance


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What names an estimate; times are UTC ISO 8601 with Z."""

    id: str
    number: str
    revision: int
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentEntry:
    """A file of the run, by its path inside the run's folder."""

    kind: str
    path: str
    sha256: str
    size_bytes: int


def response(
    result: EngineResult,
    identity: Identity,
    documents: Iterable[DocumentEntry],
    design_sha: str,
    more_findings: Iterable[Finding] = (),
) -> dict[str, Any]:
    """Return the EstimateResponse. `more_findings` are what reading the schedule noticed.

    `gatesPassed` speaks of the gates that ran; `evidenceSha` is None until the manifest exists.
    """
    request = result.request
    findings = [f for panel in result.panels for f in panel.findings]
    return {
        "id": identity.id,
        "number": identity.number,
        "revision": identity.revision,
        "status": "completed",
        "customer": _named(request.customer, "name", "contact", "company", "email"),
        "project": request.project,
        "currency": request.currency,
        "totals": result.totals,
        "panels": [_panel(panel) for panel in result.panels],
        "gates": [gate_json(gate) for gate in result.gates],
        "gatesPassed": gates_passed(result.gates),
        "findings": [_finding(f) for f in (*more_findings, *result.findings, *findings)],
        "documents": list(documents),
        "designSha": design_sha,
        "evidenceSha": None,
        "ruleSet": result.rule_set,
        "catalogSha": result.catalog_sha,
        "createdAt": identity.created_at,
        "updatedAt": identity.created_at,
    }


def gates_passed(gates: Iterable[Gate]) -> bool:
    """Return whether every gate that ran passed."""
    return all(gate.passed for gate in gates if gate.passed is not None)


def _named(source: object, *names: str) -> dict[str, Any]:
    values = {name: getattr(source, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _panel(panel: PanelResult) -> dict[str, Any]:
    box = panel.enclosure
    return {
        "name": panel.name,
        "quantity": panel.quantity,
        "enclosure": {
            "sku": box.sku,
            "custom": box.custom,
            "widthMm": box.width_mm,
            "heightMm": box.height_mm,
            "depthMm": box.depth_mm,
            "ipRating": box.ip_rating,
            "fitScore": box.fit_score,
        },
        "phase": None if panel.phase is None else _phase(panel.phase),
        "heatW": panel.layout.heat_w,
        "placements": panel.layout.placements,
        "lines": panel.lines,
        "findings": [_finding(finding) for finding in panel.findings],
    }


def _phase(phase: PhaseBalance) -> dict[str, Any]:
    return {
        "loadsA": {"R": phase.r_a, "S": phase.s_a, "T": phase.t_a},
        "imbalancePct": phase.imbalance_pct,
        "lowerBoundPct": phase.lower_bound_pct,
        "provenOptimal": phase.proven_optimal,
        "proof": phase.proof,
        "koreanUnbalancePct": phase.korean_unbalance_pct,
        "i2OverI1": phase.i2_over_i1,
    }


def gate_json(gate: Gate) -> dict[str, Any]:
    """Return a gate as it stands in a response; without a basis where it has none."""
    fields = {
        "stage": gate.stage,
        "name": gate.name,
        "value": gate.value,
        "limit": gate.limit,
        "passed": gate.passed,
    }
    return fields if gate.basis is None else {**fields, "basis": gate.basis}


def _finding(finding: Finding) -> Mapping[str, Any]:
    fields = _named(finding, "severity", "code", "message", "panel", "source")
    return {**fields, "figures": finding.figures} if finding.figures else fields
