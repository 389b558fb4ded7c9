"""The views of an outline drawing: the closed front, the side, and the mounting holes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from kis_estimator.documents.drawing.bodies import centred
from kis_estimator.documents.drawing.measure import SMALL, along, upright
from kis_estimator.documents.drawing.scene import (
    Box,
    Circle,
    Group,
    Hatch,
    Line,
    Rect,
    Shape,
    Text,
)
from kis_estimator.documents.lettering import fitting_size, shorten
from kis_estimator.documents.texts import Texts

if TYPE_CHECKING:
    from kis_estimator.documents.drawing.projection import Projection
    from kis_estimator.engine.model import Mounting, PanelResult

HOLE_EDGE, HOLE_DIAMETER = 50, 12
_BASE_SKU, _NAME_PLATE_SKU = "BASE", "NP-PLATE"
_DOOR_INSET, _DOOR_THICKNESS = 15, 18
_HINGE = (10, 60)
_HINGE_FROM_END, _TALL = 120, 1200
_HANDLE = (24, 110)
_HANDLE_FROM_EDGE, _LOCK_RADIUS = 45, 5
_NAME_PLATE = (200, 40)
_NAME_PLATE_FROM_TOP = 70
_PLATE_INSET = 20
_WALL, _WALL_BEYOND, _WALL_PITCH = 5.0, 4.0, 1.6
_POLE, _BRACKET, _BRACKET_PLACES = 190, 40, (0.2, 0.8)
_OFFSET, _CHAIN, _CAPTION = 11.0, 6.0, 15.0
_SIZE = 3.0
_LEAST = 2.0
_CENTRE_LINE = 2.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """What is drawn of an enclosure [mm]; `base` 0 is none, depth = clearance + deepest + plate."""

    width: int
    height: int
    depth: int
    base: int
    plate: int
    deepest: int
    clearance: int
    mounting: Mounting
    name_plate: bool

    @property
    def total(self) -> int:
        """Return the height with the base."""
        return self.height + self.base

    @property
    def on_floor(self) -> bool:
        """What stands on a base is fixed to the floor, not to a wall."""
        return self.base > 0

    @property
    def plan_height(self) -> int:
        """Return the height of the mounting view: of the back, or of the base from above."""
        return self.depth if self.on_floor else self.height


def shell(panel: PanelResult) -> Shell:
    """Return the enclosure of a panel; its base is in the bill of materials with its height."""
    enclosure = panel.enclosure
    bases = [line.spec for line in panel.lines if line.sku == _BASE_SKU]
    skus = {use.item.sku for use in panel.devices.accessories}
    deepest, clearance = enclosure.need.deepest_body_mm, enclosure.door_clearance_mm
    return Shell(
        width=enclosure.width_mm,
        height=enclosure.height_mm,
        depth=enclosure.depth_mm,
        base=int(bases[0].rpartition("×")[2]) if bases else 0,
        plate=enclosure.depth_mm - deepest - clearance,
        deepest=deepest,
        clearance=clearance,
        mounting=enclosure.mounting,
        name_plate=_NAME_PLATE_SKU in skus,
    )


def front(body: Shell, view: Projection, name: str, words: Texts) -> list[Group]:
    """Draw the closed front: door, hinges, handle with lock, name plate, base."""
    outer = view.area(0, 0, body.width, body.height)
    door = outer.inset(view.length(_DOOR_INSET))
    fittings: list[Shape] = [Rect(door, "door"), *_hinges(body, view), *_handle(body, view)]
    if body.name_plate:
        fittings += _name_plate(body, view, name)
    overall = view.area(0, 0, body.width, body.total)
    dimensions = [
        *along((outer.x, outer.right), outer.y, outer.y - _OFFSET, f"W {body.width}"),
        *_heights(body, overall, view),
    ]
    return [
        Group("enclosure", (Rect(outer, "enclosure"), *_base(body, view, body.width))),
        Group("door", tuple(fittings)),
        Group("dimension", tuple(dimensions)),
        _caption(words["outer_view"], overall),
    ]


def _hinges(body: Shell, view: Projection) -> list[Shape]:
    width, height = _HINGE
    first, last = _HINGE_FROM_END, body.height - _HINGE_FROM_END - height
    places = [first, last] if body.height < _TALL else [first, (first + last) / 2, last]
    x = _DOOR_INSET - width / 2
    return [Rect(view.area(x, y, width, height), "fitting") for y in places]


def _handle(body: Shell, view: Projection) -> list[Shape]:
    width, height = _HANDLE
    x = body.width - _DOOR_INSET - _HANDLE_FROM_EDGE - width / 2
    box = view.area(x, (body.height - height) / 2, width, height)
    lock = view.length(_LOCK_RADIUS)
    x, y = box.middle[0], box.bottom - box.height * 0.2
    return [
        Rect(box, "fitting", box.width * 0.25),
        Circle(x, y, lock, "door"),
        Line(((x, y - lock * 0.6), (x, y + lock * 0.6)), "door"),
    ]


def _name_plate(body: Shell, view: Projection, name: str) -> list[Shape]:
    width, height = _NAME_PLATE
    width = min(width, body.width // 2)
    box = view.area((body.width - width) / 2, _NAME_PLATE_FROM_TOP, width, height)
    inner = box.inset(0.6)
    least = min(_LEAST, inner.height)
    size = max(least, fitting_size([name], inner.width, inner.height, _SIZE, bold=True))
    label = shorten(name, inner.width, size, bold=True)
    return [Rect(box, "fitting"), *centred(box, [(label, "bold")], size)]


def _base(body: Shell, view: Projection, width: int) -> list[Shape]:
    if not body.base:
        return []
    return [Rect(view.area(0, body.height, width, body.base), "enclosure")]


def _heights(body: Shell, overall: Box, view: Projection) -> list[Shape]:
    """Return the height, and with a base the chain of both below the total."""
    if not body.base:
        ends = overall.y, overall.bottom
        return upright(ends, overall.x, overall.x - _OFFSET, f"H {body.height}")
    seam = overall.y + view.length(body.height)
    near = overall.x - _CHAIN
    return [
        *upright((overall.y, seam), overall.x, near, f"H {body.height}", SMALL),
        *upright((seam, overall.bottom), overall.x, near, f"{body.base}", SMALL),
        *upright((overall.y, overall.bottom), overall.x, overall.x - _OFFSET - 1, f"{body.total}"),
    ]


def side(body: Shell, view: Projection, words: Texts) -> list[Group]:
    """Draw the right side, its door to the left: mounting plate, device space, wall."""
    outer = view.area(0, 0, body.depth, body.height)
    plate_x = outer.right - view.length(body.plate)
    deepest_x = plate_x - view.length(body.deepest)
    top, bottom = (outer.y + view.length(_PLATE_INSET), outer.bottom - view.length(_PLATE_INSET))
    shapes: list[Shape] = [
        *_support(body, view),
        Rect(outer, "enclosure"),
        *_base(body, view, body.depth),
        Line(((plate_x, top), (plate_x, bottom)), "feeder"),
        Line(((deepest_x, top), (deepest_x, bottom)), "hidden"),
    ]
    door_x = outer.x + view.length(_DOOR_THICKNESS)
    handle = view.area(0, (body.height - _HANDLE[1]) / 2, 0, _HANDLE[1])
    knob = min(view.length(_HANDLE[0]), 3.0)
    doors: list[Shape] = [
        Line(((door_x, outer.y), (door_x, outer.bottom)), "door"),
        Rect(Box(outer.x - knob, handle.y, knob, handle.height), "fitting"),
    ]
    overall = view.area(0, 0, body.depth, body.total)
    stations = [outer.x, deepest_x, plate_x, outer.right]
    dimensions = [
        *along((outer.x, outer.right), outer.y, outer.y - _OFFSET, f"D {body.depth}"),
        *_chain(stations, (body.clearance, body.deepest, body.plate), overall.bottom),
    ]
    return [
        Group("enclosure", tuple(shapes)),
        Group("door", tuple(doors)),
        Group("dimension", tuple(dimensions)),
        _caption(words["side_view"], overall),
    ]


def _chain(stations: Sequence[float], figures: Sequence[int], edge: float) -> list[Shape]:
    """Return a chain of widths below an edge; a figure that finds no room stands lower."""
    shapes: list[Shape] = []
    for ends, figure in zip(pairwise(stations), figures, strict=True):
        if figure > 0 and ends[1] > ends[0]:
            shapes += along(ends, edge, edge + _CHAIN + 1, f"{figure}", SMALL)
    return shapes


def _support(body: Shell, view: Projection) -> list[Shape]:
    """Return what a box is fixed to, seen from the side: wall, floor or pole."""
    back = view.area(0, 0, body.depth, body.total)
    if body.on_floor:
        ground = Box(back.x - _WALL_BEYOND, back.bottom, back.width + 2 * _WALL_BEYOND, _WALL * 0.6)
        edge = Line(((ground.x, ground.y), (ground.right, ground.y)), "wire")
        return [Hatch(ground, _WALL_PITCH, "ground-hatch"), edge]
    if body.mounting == "pole":
        return _pole(view, back)
    top, height = back.y - _WALL_BEYOND, back.height + 2 * _WALL_BEYOND
    wall = Box(back.right, top, _WALL, height)
    hatches = [Hatch(wall, _WALL_PITCH, "ground-hatch")]
    if body.mounting == "flush":
        face = back.x + view.length(_DOOR_THICKNESS)
        depth = back.right - face
        hatches += [
            Hatch(Box(face, y, depth, _WALL_BEYOND), _WALL_PITCH, "ground-hatch")
            for y in (top, back.bottom)
        ]
        edges = [
            Line(((face, top), (face, back.y)), "wire"),
            Line(((face, back.bottom), (face, top + height)), "wire"),
        ]
    else:
        edges = [Line(((wall.x, top), (wall.x, top + height)), "wire")]
    return [*hatches, *edges]


def _pole(view: Projection, back: Box) -> list[Shape]:
    """Return the pole behind the box with its brackets; their places are a convention."""
    x = back.right + 3
    pole = Box(x, back.y - _WALL_BEYOND, 6, back.height + 2 * _WALL_BEYOND)
    shapes: list[Shape] = [
        Line(((edge, pole.y), (edge, pole.bottom)), "wire") for edge in (pole.x, pole.right)
    ]
    shapes.append(Line(((pole.middle[0], pole.y - 2), (pole.middle[0], pole.bottom + 2)), "centre"))
    height = view.length(_BRACKET)
    return shapes + [
        Rect(Box(back.right, back.y + back.height * part - height / 2, 3, height), "fitting")
        for part in _BRACKET_PLACES
    ]


def mounting(body: Shell, view: Projection, words: Texts) -> list[Group]:
    """Draw the holes in the back or in the base, or the brackets of a pole."""
    outer = view.area(0, 0, body.width, body.plan_height)
    reference = words["reference_mark"]
    if body.mounting == "pole":
        groups = [Group("enclosure", (Rect(outer, "enclosure"), *_brackets(body, view)))]
    else:
        groups = [
            Group("enclosure", (Rect(outer, "enclosure"),)),
            Group("hole", tuple(_holes(body, view, reference))),
            Group("dimension", tuple(_hole_dimensions(body, view, reference))),
        ]
    key = "plan_view" if body.on_floor else "rear_view"
    return [*groups, _caption(words[key], outer)]


def _brackets(body: Shell, view: Projection) -> list[Shape]:
    box = view.area(0, 0, body.width, body.height)
    middle, half = box.middle[0], view.length(min(_POLE, body.width) / 2)
    shapes: list[Shape] = [
        Rect(
            view.area(
                _PLATE_INSET, body.height * part - _BRACKET / 2,
                body.width - 2 * _PLATE_INSET, _BRACKET,
            ),
            "fitting",
        )
        for part in _BRACKET_PLACES
    ]  # fmt: skip
    shapes += [
        Line(((x, box.y - _WALL_BEYOND), (x, box.bottom + _WALL_BEYOND)), "hidden")
        for x in (middle - half, middle + half)
    ]
    ends = (middle, box.y - _WALL_BEYOND - 2), (middle, box.bottom + _WALL_BEYOND + 2)
    return [*shapes, Line(ends, "centre")]


def _holes(body: Shell, view: Projection, reference: str) -> list[Shape]:
    edge = HOLE_EDGE
    xs, ys = (edge, body.width - edge), (edge, body.plan_height - edge)
    radius = max(view.length(HOLE_DIAMETER / 2), 0.5)
    reach = radius + _CENTRE_LINE
    shapes: list[Shape] = []
    for x, y in ((x, y) for y in ys for x in xs):
        at = view.area(x, y, 0, 0)
        shapes += [
            Circle(at.x, at.y, radius, "door"),
            Line(((at.x - reach, at.y), (at.x + reach, at.y)), "centre"),
            Line(((at.x, at.y - reach), (at.x, at.y + reach)), "centre"),
        ]
    first = view.area(xs[0], ys[0], 0, 0)
    label = first.x + reach + 4, first.y + reach + 5
    shapes += [
        Line(((first.x + radius * 0.7, first.y + radius * 0.7), label), "dimension"),
        Text(label[0] + 0.8, label[1] + 1, f"4-φ{HOLE_DIAMETER} {reference}", SMALL),
    ]
    return shapes


def _hole_dimensions(body: Shell, view: Projection, reference: str) -> list[Shape]:
    """Return the distances of the holes across and down, all of them for reference."""
    outer = view.area(0, 0, body.width, body.plan_height)
    edge = HOLE_EDGE
    across, down = body.width - 2 * edge, body.plan_height - 2 * edge
    xs = [outer.x, *(outer.x + view.length(x) for x in (edge, edge + across)), outer.right]
    ys = [outer.y, *(outer.y + view.length(y) for y in (edge, edge + down)), outer.bottom]
    shapes: list[Shape] = []
    for ends, text in zip(pairwise(xs), (edge, f"{across} {reference}", edge), strict=True):
        shapes += along(ends, outer.y, outer.y - _CHAIN, f"{text}", SMALL)
    for ends, text in zip(pairwise(ys), (edge, f"{down} {reference}", edge), strict=True):
        if ends[1] > ends[0]:
            shapes += upright(ends, outer.x, outer.x - _CHAIN, f"{text}", SMALL)
    return shapes


def _caption(text: str, outer: Box) -> Group:
    at = outer.middle[0], outer.bottom + _CAPTION
    return Group("frame", (Text(*at, text, _SIZE, "bold", "middle"),))
