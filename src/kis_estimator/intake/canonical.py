"""The engine's request as canonical JSON; kept apart from pydantic, which is slow to import."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any

from kis_estimator.engine.model import EstimateRequest, PanelSpec
from kis_estimator.engine.units import camel, json_number


def dump_request(request: EstimateRequest) -> dict[str, Any]:
    """Return the canonical JSON object of a request: `parse_request` of it is the request again.

    None, empty lists and an accessory's usual position are left out, everything else is written.
    """
    return dict(_value(request))


def dump_panel(panel: PanelSpec) -> dict[str, Any]:
    """Return the canonical JSON object of one panel."""
    return dict(_value(panel))


def _value(value: Any) -> Any:  # noqa: ANN401 - any dataclass of the request, or a leaf
    if is_dataclass(value):
        written = {}
        for entry in fields(value):
            content = getattr(value, entry.name)
            usual = entry.name == "position" and content == "below"
            if content is not None and content != () and not usual:
                written[camel(entry.name)] = _value(content)
        return written
    if isinstance(value, tuple):
        return [_value(entry) for entry in value]
    if isinstance(value, Decimal):
        return json_number(value)
    return value
