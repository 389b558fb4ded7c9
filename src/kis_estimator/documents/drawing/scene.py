"""A drawing as plain shapes on a sheet: what the SVG and the DXF writer put on paper.

Lengths are mm on the sheet, y points down. A shape has a style by name; a group has a layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]
Layer = Literal[
    "frame", "enclosure", "door", "hole", "duct", "busbar", "main", "branch", "spare", "accessory",
    "terminal", "dimension", "legend", "titleblock",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle: place and size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Return the right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Return the lower edge."""
        return self.y + self.height

    @property
    def middle(self) -> Point:
        """Return the centre."""
        return self.x + self.width / 2, self.y + self.height / 2

    def inset(self, dx: float, dy: float | None = None) -> Box:
        """Return the box shrunk on every side."""
        dy = dx if dy is None else dy
        return Box(self.x + dx, self.y + dy, self.width - 2 * dx, self.height - 2 * dy)


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle, drawn."""

    box: Box
    style: str
    radius: float = 0.0


@dataclass(frozen=True, slots=True)
class Hatch:
    """Diagonal strokes that fill a box."""

    box: Box
    pitch: float
    style: str

    def strokes(self) -> Iterator[tuple[Point, Point]]:
        """Yield the strokes at 45 degrees, clipped to the box."""
        box = self.box
        for i in range(1, int((box.width + box.height) / self.pitch) + 1):
            reach = i * self.pitch
            down, across = min(reach, box.height), min(reach, box.width)
            yield (
                (box.x + reach - down, box.y + down),
                (box.x + across, box.y + reach - across),
            )


@dataclass(frozen=True, slots=True)
class Line:
    """A line through two or more points."""

    points: tuple[Point, ...]
    style: str


@dataclass(frozen=True, slots=True)
class Polygon:
    """A filled shape: arrow heads."""

    points: tuple[Point, ...]
    style: str


@dataclass(frozen=True, slots=True)
class Circle:
    """A circle around x, y."""

    x: float
    y: float
    radius: float
    style: str


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text on its baseline; `upright` False reads from below."""

    x: float
    y: float
    text: str
    size: float
    style: str = "text"
    anchor: Anchor = "start"
    upright: bool = True


Shape = Rect | Hatch | Line | Polygon | Circle | Text


@dataclass(frozen=True, slots=True)
class Group:
    """Shapes that belong together; `title` is what a reader who points at them is told."""

    layer: Layer
    shapes: tuple[Shape, ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """A sheet of paper with its groups, back to front."""

    width: float
    height: float
    title: str
    description: str
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Style:
    """How a shape is inked; widths in mm."""

    fill: str | None = None
    stroke: str | None = None
    width: float = 0.25
    dash: str | None = None
    bold: bool = False


_INK, _GREY, _LIGHT, _MARK = "#1B1F24", "#5B6470", "#B9C0CA", "#B3261E"
# Red-orange, amber and blue differ in lightness too, so they hold for colour-blind readers and
# on a grey printer; the letter of the phase always stands beside them.
PHASE_INK: Mapping[str, str] = {"R": "#B8400E", "S": "#A87400", "T": "#00568C", "N": "#4A5058"}
PHASE_FILL: Mapping[str, str] = {"R": "#FBE4D8", "S": "#FFF3CC", "T": "#DCEBF7", "N": "#ECEEF1"}
STYLES: Mapping[str, Style] = {
    "paper": Style("#FFFFFF"),
    "frame": Style(None, _INK, 0.5),
    "grid": Style(None, _INK, 0.18),
    "label-cell": Style("#EEF1F5", _INK, 0.18),
    "enclosure": Style("#FFFFFF", _INK, 0.7),
    "enclosure-lip": Style(None, _GREY, 0.18),
    "plate": Style("#F8F9FB", _LIGHT, 0.2, "3 1.5"),
    "duct": Style("#F1F2F4", _GREY, 0.25),
    "duct-hatch": Style(None, _LIGHT, 0.15),
    "corridor": Style("#FFFFFF", _LIGHT, 0.2),
    "main": Style("#E9ECF1", _INK, 0.5),
    "body": Style("#F4F5F7", _INK, 0.3),
    "spare": Style("#FFFFFF", _GREY, 0.25, "1.6 1"),
    "accessory": Style("#EEF5EC", "#3E6B35", 0.3),
    "terminal": Style("#F3EFE4", "#77643A", 0.3),
    "dimension": Style(None, _GREY, 0.15),
    "arrow": Style(_GREY),
    "text": Style(_INK),
    "bold": Style(_INK, bold=True),
    "muted": Style(_GREY),
    "door": Style(None, _INK, 0.35),
    "fitting": Style("#FFFFFF", _INK, 0.25),
    "hidden": Style(None, _INK, 0.25, "2 1"),
    "centre": Style(None, _GREY, 0.15, "5 1 1 1"),
    "ground-hatch": Style(None, _GREY, 0.18),
    "bus": Style(None, _INK, 1.2),
    "feeder": Style(None, _INK, 0.5),
    "wire": Style(None, _INK, 0.3),
    "symbol": Style("#FFFFFF", _INK, 0.3),
    "spare-wire": Style(None, _GREY, 0.25, "1.6 1"),
    "dot": Style(_INK),
    "mark": Style(_MARK, bold=True),
    "mark-frame": Style(None, _MARK, 0.5),
    "balloon": Style("#FFFFFF", _INK, 0.2),
    **{f"body-{p}": Style(PHASE_FILL[p], PHASE_INK[p], 0.35) for p in PHASE_INK},
    **{f"phase-{p}": Style(PHASE_INK[p]) for p in PHASE_INK},
    **{f"bar-{p}": Style(PHASE_FILL[p], PHASE_INK[p], 0.25) for p in PHASE_INK},
    **{f"tap-{p}": Style(None, PHASE_INK[p], 0.22) for p in PHASE_INK},
    **{f"ink-{p}": Style(PHASE_INK[p], bold=True) for p in PHASE_INK},
}
