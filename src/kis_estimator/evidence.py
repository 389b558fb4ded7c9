"""Canonical JSON, checksums and the evidence folder of a run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from kis_estimator.engine.model import EngineResult, PanelResult
from kis_estimator.engine.pipeline import STAGES

Json = Any
"""What `json` can write: dict, list, str, int, float, bool or None."""


def camel(name: str) -> str:
    """Return a field name as JSON writes it.

    >>> camel("rated_current_a")
    'ratedCurrentA'
    """
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def plain(value: object) -> Json:
    """Return data of the engine as JSON: camelCase fields, exact numbers, tuples as lists.

    A Decimal becomes an int where it is whole, else the float that prints the same digits.

    >>> plain({"a_mm": Decimal("3.80"), "b": (Decimal("2.0"), None)})
    {'a_mm': 3.8, 'b': [2, None]}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            camel(item.name): plain(getattr(value, item.name)) for item in dataclasses.fields(value)
        }
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"{type(value).__name__} has no JSON form")


def canonical(value: object) -> bytes:
    r"""Return canonical JSON: sorted keys, no spaces, UTF-8; the same value gives the same bytes.

    >>> canonical({"b": 1, "a": "한"})
    b'{"a":"\xed\x95\x9c","b":1}'
    """
    text = json.dumps(
        plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8")


def pretty(value: object) -> bytes:
    """Return JSON for people: two spaces, a final line break, keys in the order given."""
    return (json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def sha256(data: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def checksums(files: Mapping[str, bytes]) -> bytes:
    """Return the SHA256SUMS text over named files, as `sha256sum -c` reads it."""
    return "".join(f"{sha256(data)}  {name}\n" for name, data in sorted(files.items())).encode()


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
