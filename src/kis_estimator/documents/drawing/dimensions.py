"""The dimensions of an arrangement: overall, and the chains of what stands where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from kis_estimator.documents.drawing.measure import GAP, OVERSHOOT, SMALL, along, arrows, upright
from kis_estimator.documents.drawing.scene import Box, Group, Line, Shape, Text

if TYPE_CHECKING:
    from kis_estimator.documents.drawing.projection import Projection
    from kis_estimator.documents.texts import Texts
    from kis_estimator.engine.model import PanelResult

_OFFSET, _CHAIN_OFFSET = 9.0, 8.0
_LEADING = 3.3
_BASELINE = 0.35

Span = tuple[float, float, str]


def dimensions(panel: PanelResult, view: Projection, words: Texts) -> Group:
    """Return all dimensions around the front view."""
    enclosure = panel.enclosure
    outer = view.area(0, 0, enclosure.width_mm, enclosure.height_mm)
    shapes = [
        *along((outer.x, outer.right), outer.y, outer.y - _OFFSET, f"W {enclosure.width_mm}"),
        *upright((outer.y, outer.bottom), outer.x, outer.x - _OFFSET, f"H {enclosure.height_mm}"),
        *_right_chain(_levels(panel, words), view, outer),
        *_bottom_chain(_stations(panel), view, outer),
    ]
    return Group("dimension", tuple(shapes))


def _levels(panel: PanelResult, words: Texts) -> list[Span]:
    """Return the heights from top to bottom: top, main, gap, branches, accessories, bottom."""
    placed = panel.layout.placements
    main = [p for p in placed if p.role == "main"]
    rows = [p for p in placed if p.role in ("branch", "spare")]
    floor = max((p.bottom_mm for p in rows), default=0)
    below = [p for p in placed if p.role == "accessory" and p.y_mm >= floor]
    spans: list[Span] = []
    at, lead = 0, "chain_top"
    for group, label in ((main, "main"), (rows, "branches"), (below, "accessories")):
        if not group:
            continue
        top, bottom = min(p.y_mm for p in group), max(p.bottom_mm for p in group)
        spans += [(at, top, words[lead]), (max(at, top), bottom, words[f"chain_{label}"])]
        at, lead = max(at, bottom), "chain_gap"
    spans.append((at, panel.enclosure.height_mm, words["chain_bottom"]))
    return [span for span in spans if span[1] > span[0]]


def _stations(panel: PanelResult) -> list[Span]:
    """Return the widths between the busbar corridors."""
    corridors = sorted(
        {(p.x_mm, p.right_mm) for p in panel.layout.placements if p.role == "busbar"}
    )
    edges = [0, *(x for corridor in corridors for x in corridor), panel.enclosure.width_mm]
    return [(a, b, "") for a, b in pairwise(edges) if b > a]


def _right_chain(spans: Sequence[Span], view: Projection, outer: Box) -> list[Shape]:
    x = outer.right + _CHAIN_OFFSET
    ends = sorted({view.y + view.length(y) for span in spans for y in span[:2]})
    shapes: list[Shape] = [
        Line(((outer.right + GAP, y), (x + OVERSHOOT, y)), "dimension") for y in ends
    ]
    texts: list[tuple[float, str]] = []
    for start, end, label in spans:
        top, bottom = view.y + view.length(start), view.y + view.length(end)
        shapes += arrows((x, top), (x, bottom))
        texts.append(((top + bottom) / 2, f"{end - start:g}  {label}"))
    shapes += [
        Text(x + 2.2, y + SMALL * _BASELINE, text, SMALL)
        for y, (_, text) in zip(_spread([y for y, _ in texts]), texts, strict=True)
    ]
    return shapes


def _spread(wanted: Iterable[float]) -> list[float]:
    """Push labels down where they would overlap.

    >>> _spread([1.0, 2.0, 20.0])
    [1.0, 4.3, 20.0]
    """
    places: list[float] = []
    for y in wanted:
        places.append(max(y, places[-1] + _LEADING) if places else y)
    return places


def _bottom_chain(spans: Sequence[Span], view: Projection, outer: Box) -> list[Shape]:
    shapes: list[Shape] = []
    if len(spans) > 1:
        for start, end, _ in spans:
            ends = view.x + view.length(start), view.x + view.length(end)
            shapes += along(
                ends, outer.bottom, outer.bottom + _OFFSET - 2, f"{end - start:g}", SMALL
            )
    return shapes
