"""What each stage was given, what came out, and how its gates were judged."""

from __future__ import annotations

from collections import Counter

from kis_estimator.engine.model import EngineResult, PanelResult
from kis_estimator.engine.pipeline import STAGES
from kis_estimator.evidence.canonical import Json, canonical, pretty, sha256


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


def stage_files(request: Json, result: EngineResult) -> dict[str, bytes]:
    """Return `evidence/<n-stage>/{input,output,metrics,validation}.json` of every stage.

    Metrics are counts that the same input always gives. A stage that did not run says so in each.
    """
    panels = result.panels
    sizes = [_sized(panel) for panel in panels]
    layouts = [{"panel": p.name, "phase": p.phase, "layout": p.layout} for p in panels]
    ran: dict[str, tuple[Json, Json, Json]] = {
        "enclosure": (
            {
                "request": request,
                "catalogSha": result.catalog_sha,
                "ruleSet": result.rule_set,
                "rulesSha": result.rules_sha,
            },
            [{"panel": panel.name, "enclosure": panel.enclosure} for panel in panels],
            {"panels": len(panels), "candidates": sum(len(p.enclosure.candidates) for p in panels)},
        ),
        "breaker": (
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
        "critic": (
            {"enclosures": sizes, "layouts": sha256(canonical(layouts))},
            [{"panel": panel.name, "findings": panel.findings} for panel in panels],
            dict(Counter(f.severity for panel in panels for f in panel.findings)),
        ),
        "format": (
            {
                "panels": [
                    {"panel": p.name, "quantity": p.quantity, "lines": p.lines} for p in panels
                ],
                "totals": result.totals,
                "sample": result.catalog_is_sample,
            },
            None,
            None,
        ),
    }
    files: dict[str, bytes] = {}
    for number, stage in enumerate(STAGES, start=1):
        given, output, metrics = ran.get(stage, (None, None, None))
        status = "not run" if output is None else "run"
        validation = {
            "status": status,
            "gates": [gate for gate in result.gates if gate.stage == stage],
        }
        parts = {"input": given, "output": output, "metrics": metrics, "validation": validation}
        for part, value in parts.items():
            files[f"evidence/{number}-{stage}/{part}.json"] = pretty(value)
    return files


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
