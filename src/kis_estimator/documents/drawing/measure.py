"""Dimension lines: extension lines, a line with two arrow heads, and the figure on it."""

from __future__ import annotations

from kis_estimator.documents.drawing.scene import Line, Point, Polygon, Shape, Text

SIZE, SMALL = 2.8, 2.4
GAP, OVERSHOOT = 1.0, 1.5
_ARROW, _ARROW_HALF = 2.2, 0.42


def along(
    ends: tuple[float, float], edge: float, y: float, text: str, size: float = SIZE
) -> list[Shape]:
    """Return the dimension of a width, at y, for a body whose edge is above or below."""
    beyond = OVERSHOOT if y > edge else -OVERSHOOT
    gap = GAP if y > edge else -GAP
    return [
        *(Line(((x, edge + gap), (x, y + beyond)), "dimension") for x in ends),
        *arrows((ends[0], y), (ends[1], y)),
        Text(sum(ends) / 2, y - 1.0, text, size, anchor="middle"),
    ]


def upright(
    ends: tuple[float, float], edge: float, x: float, text: str, size: float = SIZE
) -> list[Shape]:
    """Return the dimension of a height, at x, for a body whose edge is to the right or left."""
    side = 1 if x > edge else -1
    return [
        *(Line(((edge + GAP * side, y), (x + OVERSHOOT * side, y)), "dimension") for y in ends),
        *arrows((x, ends[0]), (x, ends[1])),
        Text(x - 1.0, sum(ends) / 2, text, size, anchor="middle", upright=False),
    ]


def arrows(start: Point, end: Point) -> list[Shape]:
    """Return a dimension line along one axis with a head at both ends."""
    span = end[0] - start[0] + end[1] - start[1]
    head = min(_ARROW, span * 0.4)
    return [
        Line((start, end), "dimension"),
        _head(start, head, across=start[0] != end[0]),
        _head(end, -head, across=start[0] != end[0]),
    ]


def _head(tip: Point, length: float, *, across: bool) -> Polygon:
    x, y = tip
    if across:
        wings = (x + length, y - _ARROW_HALF), (x + length, y + _ARROW_HALF)
    else:
        wings = (x - _ARROW_HALF, y + length), (x + _ARROW_HALF, y + length)
    return Polygon((tip, *wings), "arrow")
