"""The design checks (설계검토): the gates of the engine, and IEC 61439-1 clause 10 by item."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from kis_estimator.documents.lettering import clean
from kis_estimator.documents.texts import Texts
from kis_estimator.engine.model import EngineResult, Gate, PanelResult

Status = Literal["pass", "fail", "not_verified", "exceeded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """One check: figure and limit as printed; `panel` is empty for a check of the whole quote.

    `exceeded` is not verified either, but the advisory figure is beyond its limit.
    """

    section: Literal["gate", "iec61439"]
    clause: str
    panel: str
    item: str
    status: Status
    figure: str
    limit: str
    source: str


def design_checks(result: EngineResult, words: Texts) -> tuple[CheckRow, ...]:
    """Return the gates that the engine judged, then clause 10 for every panel."""
    gates = [_gate(gate, words) for gate in result.gates if gate.stage in _ENGINE_STAGES]
    items = [row for panel in result.panels for row in _clause_10(panel, words)]
    return (*gates, *items)


_ENGINE_STAGES = frozenset({"enclosure", "breaker", "critic"})
_SIGNS = {"fit_score": "≥", "ip_rating": "≥", "door_clearance_mm": "≥", "phase_imbalance_pct": "≤"}


def _gate(gate: Gate, words: Texts) -> CheckRow:
    status: Status = "pass" if gate.passed else "not_verified" if gate.passed is None else "fail"
    return CheckRow(
        section="gate",
        clause=f"{gate.stage}.{gate.name}",
        panel="",
        item=words[f"gate_{gate.name}"],
        status=status,
        figure="–" if gate.value is None else _figure(gate.value),
        limit=f"{_SIGNS.get(gate.name, '=')} {_figure(gate.limit)}",
        source=words["proven_optimal"] if gate.basis and gate.passed else words["engine_gate"],
    )


def _figure(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if hasattr(value, "as_tuple") else str(value)


@cache
def _items() -> tuple[Mapping[str, str], ...]:
    source = files("kis_estimator").joinpath("data/design_checks.toml")
    return tuple(tomllib.loads(source.read_text(encoding="utf-8"))["item"])


def _clause_10(panel: PanelResult, words: Texts) -> Iterator[CheckRow]:
    for item in _items():
        status, figure, limit, source = _evidence(item.get("by", ""), panel, words)
        yield CheckRow(
            section="iec61439",
            clause=item["clause"],
            panel=clean(panel.name),
            item=item[words["language"]],
            status=status,
            figure=figure,
            limit=limit,
            source=source,
        )


def _evidence(by: str, panel: PanelResult, words: Texts) -> tuple[Status, str, str, str]:
    """Return what the engine's findings say of an item; what it cannot settle is not verified."""
    findings = {finding.code: finding for finding in panel.findings}
    if by == "ip_rating":
        failed = findings.get("IP_RATING")
        asked = str(failed.figures["asked"]) if failed else panel.enclosure.ip_rating
        status: Status = "fail" if failed else "pass"
        return status, panel.enclosure.ip_rating, f"≥ {asked}", words["source_catalogue"]
    if by == "layout":
        broken = [f for f in panel.findings if f.code in _LAYOUT_CODES]
        status = "fail" if broken else "pass"
        return status, str(len(broken)), "= 0", words["source_layout"]
    if by == "temperature":
        rise = findings.get("TEMPERATURE") or findings.get("TEMPERATURE_HIGH")
        if rise:
            air, limit = rise.figures["air"], rise.figures["limit"]
            status = "exceeded" if rise.code == "TEMPERATURE_HIGH" else "not_verified"
            return status, f"{air} °C", f"≤ {limit} °C", words["source_temperature"]
    if by == "breaking_capacity":
        bodies = [panel.devices.main, *(circuit.item for circuit in panel.devices.circuits)]
        lowest = min(body.breaking_capacity_ka for body in bodies)
        return "not_verified", f"Icu ≥ {lowest.normalize():f} kA", "–", words["source_fault"]
    return "not_verified", "–", "–", words["source_none"]


_LAYOUT_CODES = frozenset({"DEVICE_COUNT", "OVERLAP", "CLEARANCE", "OUTSIDE_BOX", "DOOR_CLEARANCE"})
