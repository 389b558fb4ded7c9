"""A scene as DXF R2018: one unit is one millimetre on the sheet, so it plots 1:1 on its paper.

The drawing's scale stands in its title block. Header, tables and objects are `skeleton.dxf`,
which the tests make with ezdxf from the tables below and hold against it; only the entities differ
from drawing to drawing, and the tests audit them with ezdxf. The library itself is not loaded here:
it costs 0.2 s and 25 MiB a run, ten times the time a drawing, and lists the machine's fonts into
the user's home. What a filled body hides in the SVG is left out, because an outline hides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files

from kis_estimator.documents.drawing.scene import (
    PHASE_INK,
    STYLES,
    Anchor,
    Box,
    Circle,
    Hatch,
    Layer,
    Line,
    Point,
    Polygon,
    Rect,
    Scene,
    Shape,
    Text,
)

FONT, TEXT_STYLE = "Pretendard-Regular.otf", "KIS"
MODEL_SPACE, FIRST_HANDLE = "17", 0x1000
WIDTH_MARK, HEIGHT_MARK, SEED_MARK = "@width@", "@height@", "@seed@"
MIDDLE_X_MARK, MIDDLE_Y_MARK = "@middle-x@", "@middle-y@"
# Colour index (7 is black on white and white on black) and line weight [0.01 mm] of a layer.
LAYERS: Mapping[Layer, tuple[int, int]] = {
    "frame": (7, 50), "titleblock": (7, 18), "legend": (7, 18), "dimension": (8, 15),
    "enclosure": (7, 70), "door": (7, 35), "hole": (7, 25), "duct": (8, 25), "busbar": (7, 25),
    "main": (7, 50), "branch": (7, 30), "spare": (8, 25), "accessory": (94, 30),
    "terminal": (34, 30),
}  # fmt: skip
_LINE_WEIGHTS = (
    5, 9, 13, 15, 18, 20, 25, 30, 35, 40, 50, 53, 60, 70, 80, 90, 100, 106, 120, 140,
)  # fmt: skip
_NEUTRAL_INKS = frozenset({"#1B1F24", "#5B6470", "#B9C0CA", PHASE_INK["N"]})
# A font's size is its em square, the height of a DXF text that of its capitals (Pretendard).
_CAPITALS = 1448 / 2048
_ALIGNMENT: Mapping[Anchor, int] = {"start": 0, "middle": 1, "end": 2}
_PERCENTS = re.compile("%{2,}")
_CODED = re.compile(r"\\(?=[UM]\+)")
_SOLID_CORNERS = 3
_WIDE = 1.0  # [mm] from here a line is drawn as wide as it is, not only plotted so


def to_dxf(scene: Scene) -> bytes:
    """Write the scene; the same scene gives the same bytes."""
    entities: list[str] = []
    for layer, shape in _visible(scene):
        entities += _entities(shape, layer, scene.height)
    handles = range(FIRST_HANDLE, FIRST_HANDLE + len(entities))
    body = "".join(e.replace("@", f"{h:X}", 1) for h, e in zip(handles, entities, strict=True))
    start, end = _skeleton(scene.width, scene.height)
    return f"{start.replace(SEED_MARK, f'{handles.stop:X}')}{body}{end}".encode()


@cache
def _skeleton(width: float, height: float) -> tuple[str, str]:
    """Return the file of a sheet up to its entities, and what follows them."""
    source = files("kis_estimator.documents.drawing").joinpath("skeleton.dxf")
    text = source.read_text(encoding="utf-8")
    for mark, value in (
        (WIDTH_MARK, width),
        (HEIGHT_MARK, height),
        (MIDDLE_X_MARK, width / 2),
        (MIDDLE_Y_MARK, height / 2),
    ):
        text = text.replace(mark, f"{value:.1f}")
    entities = text.index("ENTITIES\n") + len("ENTITIES\n")
    return text[:entities], text[entities:]


def line_type(dash: str) -> str:
    """Name the line type of a dash pattern.

    >>> line_type("1.6 1")
    'KIS-1.6-1'
    """
    return "KIS-" + dash.replace(" ", "-")


def escape(text: str) -> str:
    r"""Return text that a reader of DXF shows as it is: no %%, ^ or \U+ code.

    A backslash cannot be escaped in a way that all readers know; one before U+ or M+ is widened.

    >>> escape("50% %%c ^I"), escape(r"\U+0041 \P")
    ('50% %%%%%%c ^ I', '＼U+0041 \\P')
    """
    text = text.replace("^", "^ ")
    text = _PERCENTS.sub(lambda run: "%%%" * len(run[0]), text)
    return _CODED.sub("＼", text)


# ---------------------------------------------------------------- what is seen


def _visible(scene: Scene) -> Iterator[tuple[Layer, Shape]]:
    """Yield the shapes; of straight lines what no filled box that is drawn later hides."""
    flat = [(group.layer, shape) for group in scene.groups for shape in group.shapes]
    covers = [
        (i, shape.box)
        for i, (_, shape) in enumerate(flat)
        if isinstance(shape, Rect) and STYLES[shape.style].fill and shape.style != "paper"
    ]
    for i, (layer, shape) in enumerate(flat):
        if isinstance(shape, Line) and len(shape.points) == 2:  # noqa: PLR2004 - a stretch
            above = [box for at, box in covers if at > i]
            for points in _uncovered(shape.points[0], shape.points[1], above):
                yield layer, Line(points, shape.style)
        elif shape.style != "paper":
            yield layer, shape


def _uncovered(start: Point, end: Point, covers: Iterable[Box]) -> list[tuple[Point, Point]]:
    (x1, y1), (x2, y2) = start, end
    if y1 == y2:
        hidden = [(box.x, box.right) for box in covers if box.y < y1 < box.bottom]
        return [((a, y1), (b, y1)) for a, b in _rest(min(x1, x2), max(x1, x2), hidden)]
    if x1 == x2:
        hidden = [(box.y, box.bottom) for box in covers if box.x < x1 < box.right]
        return [((x1, a), (x1, b)) for a, b in _rest(min(y1, y2), max(y1, y2), hidden)]
    return [(start, end)]


def _rest(
    low: float, high: float, hidden: Iterable[tuple[float, float]]
) -> list[tuple[float, float]]:
    """Return what is left of a span.

    >>> _rest(0.0, 9.0, [(4.0, 5.0), (1.0, 2.0), (8.0, 12.0)])
    [(0.0, 1.0), (2.0, 4.0), (5.0, 8.0)]
    """
    left = []
    for start, end in sorted(hidden):
        if start >= high:
            break
        if end > low:
            if start > low:
                left.append((low, start))
            low = end
    return [*left, (low, high)] if low < high else left


# ---------------------------------------------------------------- entities


def _entities(shape: Shape, layer: Layer, height: float) -> list[str]:
    """Return the entities of a shape, each with @ for its handle; y is turned to point up."""
    if isinstance(shape, Text):
        return [_text(shape, layer, height)] if shape.text else []
    pen = _pen(shape.style, layer)
    if isinstance(shape, Hatch):
        return [_line(start, end, pen, height) for start, end in shape.strokes()]
    return [_entity_of(shape, pen, height)]


def _entity_of(shape: Rect | Line | Polygon | Circle, pen: str, height: float) -> str:
    match shape:
        case Rect(box):
            top, bottom = (box.x, box.y), (box.x, box.bottom)
            corners = top, (box.right, box.y), (box.right, box.bottom), bottom
            return _area(corners, pen, height, solid=_solid(shape.style))
        case Polygon(points):
            return _area(points, pen, height, solid=len(points) == _SOLID_CORNERS)
        case Circle():
            return _circle(shape, pen, height)
        case Line((start, end), style) if STYLES[style].width < _WIDE:
            return _line(start, end, pen, height)
        case Line(points, style):
            width = STYLES[style].width
            return _outline(points, pen, height, width=width if width >= _WIDE else 0.0)


def _solid(style: str) -> bool:
    return STYLES[style].stroke is None


@cache
def _pen(name: str, layer: Layer, *, text: bool = False) -> str:
    """Return layer, line type, line weight and colour: the layer's, but for a phase or a mark."""
    style = STYLES[name]
    stroke = None if text else style.stroke
    tags = [f"  8\n{layer.upper()}\n"]
    if stroke:
        if style.dash:
            tags.append(f"  6\n{line_type(style.dash)}\n")
        wanted = style.width * 100
        weight = min(_LINE_WEIGHTS, key=lambda one: abs(one - wanted))
        tags.append(f"370\n{weight}\n")
    ink = stroke or style.fill
    if ink and ink not in _NEUTRAL_INKS:
        tags.append(f"420\n{int(ink.removeprefix('#'), 16)}\n")
    return "".join(tags)


def _entity(kind: str, pen: str, subclass: str, data: str) -> str:
    return f"  0\n{kind}\n  5\n@\n330\n{MODEL_SPACE}\n100\nAcDbEntity\n{pen}100\n{subclass}\n{data}"


def _at(point: Point, height: float, index: int = 0) -> str:
    return f" 1{index}\n{point[0]:.3f}\n 2{index}\n{height - point[1]:.3f}\n 3{index}\n0.0\n"


def _line(start: Point, end: Point, pen: str, height: float) -> str:
    return _entity("LINE", pen, "AcDbLine", _at(start, height) + _at(end, height, 1))


def _area(points: Sequence[Point], pen: str, height: float, *, solid: bool) -> str:
    if not solid:
        return _outline(points, pen, height, closed=True)
    first, second, third = points[:3]
    fourth = points[-1]
    corners = (first, second, fourth, third)  # a solid goes through its corners in a Z
    data = "".join(_at(corner, height, i) for i, corner in enumerate(corners))
    return _entity("SOLID", pen, "AcDbTrace", data)


def _outline(
    points: Sequence[Point], pen: str, height: float, *, closed: bool = False, width: float = 0.0
) -> str:
    head = f" 90\n{len(points)}\n 70\n{int(closed)}\n"
    if width:
        head += f" 43\n{width:.3f}\n"
    vertices = "".join(f" 10\n{x:.3f}\n 20\n{height - y:.3f}\n" for x, y in points)
    return _entity("LWPOLYLINE", pen, "AcDbPolyline", head + vertices)


def _circle(circle: Circle, pen: str, height: float) -> str:
    x, y, radius = circle.x, height - circle.y, circle.radius
    if not _solid(circle.style):
        data = f"{_at((x, circle.y), height)} 40\n{radius:.3f}\n"
        return _entity("CIRCLE", pen, "AcDbCircle", data)
    # A dot: two half circles of half the radius, as thick as the radius.
    ends = "".join(
        f" 10\n{x + side * radius / 2:.3f}\n 20\n{y:.3f}\n 42\n1.0\n" for side in (-1, 1)
    )
    return _entity("LWPOLYLINE", pen, "AcDbPolyline", f" 90\n2\n 70\n1\n 43\n{radius:.3f}\n{ends}")


def _text(text: Text, layer: Layer, height: float) -> str:
    alignment = _ALIGNMENT[text.anchor]
    at = text.x, text.y
    data = [_at(at, height), f" 40\n{text.size * _CAPITALS:.3f}\n  1\n{escape(text.text)}\n"]
    if not text.upright:
        data.append(" 50\n90.0\n")
    data.append(f"  7\n{TEXT_STYLE}\n")
    if alignment:
        data += [f" 72\n{alignment}\n", _at(at, height, 1)]
    pen = _pen(text.style, layer, text=True)
    return _entity("TEXT", pen, "AcDbText", "".join(data) + "100\nAcDbText\n")
