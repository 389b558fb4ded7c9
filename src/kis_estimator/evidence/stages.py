"""What each stage was given, what came out, and how its gates were judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from kis_estimator.engine.model import EngineResult, PanelResult
from kis_estimator.engine.pipeline import STAGES
from kis_estimator.evidence.canonical import Json, canonical, pretty, sha256
from kis_estimator.evidence.layout import PICTURES

_NONE: Mapping[str, Json] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class StageRecord:
    """What a stage was given and what came out; metrics are counts the same input always gives."""

    given: Json
    output: Json
    metrics: Mapping[str, int]


def design_sha(request: Json, result: EngineResult) -> str:
    """Return the SHA-256 of the canonical JSON of request, catalogue, rules and engine results."""
    return sha256(
        canonical(
            {
                "request": request,
                "catalogSha": result.catalog_sha,
                "rulesSha": result.rules_sha,
                "panels": result.panels,
                "totals": result.totals,
            }
        )
    )


def stage_files(
    request: Json,
    result: EngineResult,
    later: Mapping[str, StageRecord] = _NONE,
    pictures: Mapping[str, bytes] = _NONE,
    file_prices: Sequence[object] = (),
) -> dict[str, bytes]:
    """Return `evidence/<n-stage>/{input,output,metrics,validation}.json` of every stage.

    `later` are the stages after the engine that ran, by name; a stage that did not run says so in
    each of its files. `pictures` are the drawings of what the breaker stage placed, `file_prices`
    the prices that stood in the schedule: kept for comparison, never used.
    """
    records = {**_engine_records(request, result, file_prices), **later}
    files: dict[str, bytes] = {}
    for number, stage in enumerate(STAGES, start=1):
        record = records.get(stage)
        parts: dict[str, Json] = {
            "input": record.given if record else None,
            "output": record.output if record else None,
            "metrics": record.metrics if record else None,
            "validation": {
                "status": "run" if record else "not run",
                "gates": [gate for gate in result.gates if gate.stage == stage],
            },
        }
        for part, value in parts.items():
            files[f"evidence/{number}-{stage}/{part}.json"] = pretty(value)
    return files | {PICTURES + name: picture for name, picture in pictures.items()}


def _engine_records(
    request: Json, result: EngineResult, file_prices: Sequence[object]
) -> dict[str, StageRecord]:
    """Return what the three stages of the engine did."""
    panels = result.panels
    sizes = [_sized(panel) for panel in panels]
    layouts = [{"panel": p.name, "phase": p.phase, "layout": p.layout} for p in panels]
    return {
        "enclosure": StageRecord(
            {
                "request": request,
                "filePrices": file_prices,
                "catalogSha": result.catalog_sha,
                "ruleSet": result.rule_set,
                "rulesSha": result.rules_sha,
            },
            [{"panel": panel.name, "enclosure": panel.enclosure} for panel in panels],
            {"panels": len(panels), "candidates": sum(len(p.enclosure.candidates) for p in panels)},
        ),
        "breaker": StageRecord(
            [
                {**size, "circuits": panel.devices.circuits, "main": panel.devices.main}
                for size, panel in zip(sizes, panels, strict=True)
            ],
            layouts,
            {
                "circuits": sum(len(p.devices.circuits) for p in panels),
                "placements": sum(len(p.layout.placements) for p in panels),
            },
        ),
        "critic": StageRecord(
            {"enclosures": sizes, "layouts": sha256(canonical(layouts))},
            [{"panel": panel.name, "findings": panel.findings} for panel in panels],
            dict(Counter(f.severity for panel in panels for f in panel.findings)),
        ),
    }


def quoted(result: EngineResult) -> Json:
    """Return what the format stage is given: the lines and totals to be written."""
    return {
        "panels": [
            {"panel": panel.name, "quantity": panel.quantity, "lines": panel.lines}
            for panel in result.panels
        ],
        "totals": result.totals,
        "sample": result.catalog_is_sample,
    }


def _sized(panel: PanelResult) -> dict[str, Json]:
    box = panel.enclosure
    return {
        "panel": panel.name,
        "sku": box.sku,
        "widthMm": box.width_mm,
        "heightMm": box.height_mm,
        "depthMm": box.depth_mm,
        "ipRating": box.ip_rating,
    }
