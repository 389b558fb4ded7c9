"""What differs between two estimates: money, design, lines, gates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]

_FIELDS = ("project", "ruleSet", "catalogSha", "gatesPassed")
_PANEL_FIELDS: Mapping[str, tuple[str, ...]] = {
    "quantity": ("quantity",),
    "heatW": ("heatW",),
    "enclosure.sku": ("enclosure", "sku"),
    "enclosure.widthMm": ("enclosure", "widthMm"),
    "enclosure.heightMm": ("enclosure", "heightMm"),
    "enclosure.depthMm": ("enclosure", "depthMm"),
    "enclosure.ipRating": ("enclosure", "ipRating"),
    "enclosure.fitScore": ("enclosure", "fitScore"),
    "phase.imbalancePct": ("phase", "imbalancePct"),
    "phase.loadsA.R": ("phase", "loadsA", "R"),
    "phase.loadsA.S": ("phase", "loadsA", "S"),
    "phase.loadsA.T": ("phase", "loadsA", "T"),
}
_LINE_FIELDS = ("quantity", "unitPrice", "amount")


def difference(before: Json, after: Json) -> dict[str, Any]:
    """Return what differs between two completed EstimateResponses; what is equal is left out.

    Panels are matched by name, lines by group, SKU and spec; equal ones by their order.
    """
    return {
        "totals": _changes(before["totals"], after["totals"], before["totals"]),
        "fields": _changes(before, after, _FIELDS),
        "panels": list(_panels(before["panels"], after["panels"])),
        "gates": _gates(before["gates"], after["gates"]),
    }


def _changes(before: Json, after: Json, names: Iterable[str]) -> dict[str, Any]:
    return {
        name: {"before": before[name], "after": after[name]}
        for name in names
        if before[name] != after[name]
    }


def _panels(before: list[Json], after: list[Json]) -> Iterable[dict[str, Any]]:
    old, new = _numbered(before, ("name",)), _numbered(after, ("name",))
    for key in old | new:
        kind = "changed" if key in old and key in new else "added" if key in new else "removed"
        fields = {
            label: {"before": _at(old.get(key), path), "after": _at(new.get(key), path)}
            for label, path in _PANEL_FIELDS.items()
            if _at(old.get(key), path) != _at(new.get(key), path)
        }
        lines = list(_lines(old.get(key), new.get(key)))
        if fields or lines or kind != "changed":
            yield {"name": key[0], "change": kind, "fields": fields, "lines": lines}


def _numbered(entries: list[Json], names: Sequence[str]) -> dict[tuple[Any, ...], Json]:
    """Return entries by these fields and how many alike stand before: equal ones are all kept."""
    seen: Counter[tuple[Any, ...]] = Counter()
    found = {}
    for entry in entries:
        key = tuple(entry[name] for name in names)
        seen[key] += 1
        found[*key, seen[key]] = entry
    return found


def _at(panel: Any, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - a value of JSON
    value = panel
    for name in path:
        value = None if value is None else value[name]
    return value


def _lines(before: Json | None, after: Json | None) -> Iterable[dict[str, Any]]:
    old, new = _by_key(before), _by_key(after)
    for key in old | new:
        pair = (old.get(key), new.get(key))
        values = {
            name: {"before": _at(pair[0], (name,)), "after": _at(pair[1], (name,))}
            for name in _LINE_FIELDS
        }
        if any(value["before"] != value["after"] for value in values.values()):
            line = pair[1] or pair[0] or {}
            yield {"sku": line["sku"], "name": line["name"], "spec": line["spec"], **values}


def _by_key(panel: Json | None) -> dict[tuple[Any, ...], Json]:
    lines = [] if panel is None else panel["lines"]
    return _numbered(lines, ("group", "sku", "spec"))


def _gates(before: list[Json], after: list[Json]) -> dict[str, Any]:
    old, new = (
        {f"{gate['stage']}.{gate['name']}": gate["value"] for gate in gates}
        for gates in (before, after)
    )
    return {
        name: {"before": old.get(name), "after": new.get(name)}
        for name in old | new
        if old.get(name) != new.get(name)
    }
