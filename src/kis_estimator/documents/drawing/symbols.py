"""Symbols of a single-line diagram on a wire that runs right, left or down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kis_estimator.documents.drawing.bodies import centred
from kis_estimator.documents.drawing.conductors import NEUTRAL
from kis_estimator.documents.drawing.scene import (
    Box,
    Circle,
    Line,
    Point,
    Polygon,
    Rect,
    Shape,
    Text,
)

HALF = 2.6
RING_AT = HALF + 2.2
_CROSS, _BLADE, _RING = 0.8, 1.7, 1.15
_STROKE_PITCH, _STROKE, _STROKE_SLANT = 1.15, 1.25, 0.55
_NEUTRAL_DOT, _TAP_DOT = 0.38, 0.65
_ARROW, _ARROW_HALF = 2.2, 0.7
_EARTH = ((0.0, 2.0), (0.8, 1.3), (1.6, 0.6))
_CT_RING = 1.9


@dataclass(frozen=True, slots=True)
class Axis:
    """A wire from x, y. Points on it are given along it and off it, up or to the right."""

    x: float
    y: float
    direction: Literal["right", "left", "down"] = "right"

    def at(self, along: float, off: float = 0.0) -> Point:
        """Return a point on the sheet."""
        if self.direction == "down":
            return self.x + off, self.y + along
        return self.x + (along if self.direction == "right" else -along), self.y - off

    def span(self, start: float, end: float) -> tuple[float, float]:
        """Return the x of two places along a level wire, the smaller first."""
        first, last = self.at(start)[0], self.at(end)[0]
        return min(first, last), max(first, last)

    def line(self, start: float, end: float, style: str = "wire") -> Line:
        """Return a stretch of the wire."""
        return Line((self.at(start), self.at(end)), style)

    def bar(self, along: float, half: float, style: str = "wire") -> Line:
        """Return a stroke across the wire."""
        return Line((self.at(along, -half), self.at(along, half)), style)


def breaker(
    axis: Axis, at: float, *, residual: bool, style: str = "wire", scale: float = 1.0
) -> list[Shape]:
    """Return a circuit breaker: a cross at its contact, and its open blade.

    One that trips on residual current has a ring around the wire behind it.
    """
    contact, hinge, cross = at - HALF * scale, at + HALF * scale, _CROSS * scale
    tip = axis.at(contact + cross, _BLADE * scale)
    shapes: list[Shape] = [
        Line((axis.at(contact - cross, -cross), axis.at(contact + cross, cross)), style),
        Line((axis.at(contact - cross, cross), axis.at(contact + cross, -cross)), style),
        Line((axis.at(hinge), tip), style),
    ]
    if residual:
        ring = at + RING_AT * scale
        blade = axis.at(at, _BLADE * 0.55 * scale)
        above = axis.at(ring, _RING * scale)
        shapes += [
            Circle(*axis.at(ring), _RING * scale, style),
            Line((above, blade), "spare-wire"),
        ]
    return shapes


def conductors(axis: Axis, at: float, letters: str) -> list[Shape]:
    """Return a stroke across the wire for each conductor; the neutral's carries a dot."""
    shapes: list[Shape] = []
    for i, letter in enumerate(letters):
        middle = at + i * _STROKE_PITCH
        head = axis.at(middle + _STROKE_SLANT, _STROKE)
        shapes.append(Line((axis.at(middle - _STROKE_SLANT, -_STROKE), head), "wire"))
        if letter == NEUTRAL:
            shapes.append(Circle(*head, _NEUTRAL_DOT, "dot"))
    return shapes


def tap(axis: Axis) -> Circle:
    """Return the dot where a wire leaves the busbar."""
    return Circle(*axis.at(0), _TAP_DOT, "dot")


def arrow(axis: Axis, tip: float) -> Polygon:
    """Return an arrow head at a place along the wire."""
    back = tip - _ARROW
    wings = axis.at(back, _ARROW_HALF), axis.at(back, -_ARROW_HALF)
    return Polygon((axis.at(tip), *wings), "dot")


def earth(axis: Axis, at: float) -> list[Shape]:
    """Return the earth symbol at the end of a wire."""
    return [axis.bar(at + along, half) for along, half in _EARTH]


def transformer(axis: Axis, at: float) -> list[Shape]:
    """Return a current transformer: a ring around the wire."""
    return [Circle(*axis.at(at), _CT_RING, "wire")]


def instrument(box: Box, letters: str, size: float) -> list[Shape]:
    """Return a box with letters: an energy meter, a surge protective device."""
    return [Rect(box, "symbol"), *centred(box, [(letters, "bold")], size)]


def indicator(x: float, y: float, radius: float, letter: str) -> list[Shape]:
    """Return a circle with a letter: a voltmeter, an ammeter."""
    box = Box(x - radius, y - radius, 2 * radius, 2 * radius)
    label: list[Text] = list(centred(box, [(letter, "bold")], radius * 1.1))
    return [Circle(x, y, radius, "symbol"), *label]
