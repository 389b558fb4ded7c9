"""Where the shapes of a scene are on its sheet, and panels of every kind to draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.documents import builders, samples

from kis_estimator.documents.drawing import TitleBlock, arrangement, outline, single_line
from kis_estimator.documents.drawing.projection import A1, A2, A3, Sheet
from kis_estimator.documents.drawing.scene import (
    STYLES,
    Box,
    Circle,
    Hatch,
    Line,
    Polygon,
    Rect,
    Scene,
    Shape,
    Text,
)
from kis_estimator.documents.lettering import BOLD, text_width
from kis_estimator.documents.texts import Texts
from kis_estimator.engine.model import Location, Mounting, PanelResult

SLACK = 0.01
TITLE = TitleBlock(
    customer="주식회사 한빛전기", project="한빛 물류센터", number="KIS-20251124-0001",
    date="2025년 11월 24일", sheet=1, sheets=3, sample=True, panel="LP-1",
)  # fmt: skip
BASE_MM = 200


def mounted(mounting: Mounting, location: Location = "outdoor", *, base: bool) -> PanelResult:
    """Return a panel that is not fixed to a wall's surface."""
    panel = samples.small()
    enclosure = replace(panel.enclosure, mounting=mounting, location=location)
    lines = panel.lines
    if base:
        size = f"{enclosure.width_mm}×{BASE_MM}"
        lines = (*lines, builders.line("enclosure", "BASE", size, "1", 1000))
    return replace(panel, enclosure=enclosure, lines=lines)


def crowded(count: int) -> PanelResult:
    """Return a panel of many circuits with long load names."""
    feeders = [builders.Feeder("ELB", 2, 30, 20, "지하주차장 전등·전열 및 배기팬 설비")] * count
    box = builders.Shape(1200, 1900, columns=4)
    return builders.panel(
        "L-150", feeders, box=box, main=builders.breaker("MCCB", 4, 225, 200), spares=3
    )


def bare() -> PanelResult:
    """Return a panel without a branch."""
    return replace(
        samples.domestic(), devices=replace(samples.domestic().devices, circuits=(), accessories=())
    )


PANELS: dict[str, Callable[[], PanelResult]] = {
    "small": samples.small,
    "many-small": samples.many_small,
    "big": samples.big,
    "sixty": samples.sixty,
    "wide": samples.wide,
    "domestic": samples.domestic,
}
ALL: dict[str, Callable[[], PanelResult]] = {
    **PANELS,
    "hundred": lambda: crowded(100),
    "many": lambda: crowded(150),
    "banks": lambda: crowded(200),
    "most": lambda: crowded(400),
    "flush": lambda: mounted("flush", "indoor", base=False),
    "floor": lambda: mounted("floor", "indoor", base=True),
    "outdoor": lambda: mounted("surface", base=True),
    "pole": lambda: mounted("pole", base=False),
}
DRAW: dict[str, Callable[[PanelResult, TitleBlock, Texts], Scene]] = {
    "outline": outline,
    "arrangement": arrangement,
    "single-line": single_line,
}


def sheet_of(scene: Scene) -> Sheet:
    return next(sheet for sheet in (A3, A2, A1) if sheet.width == scene.width)


def texts_of(scene: Scene) -> list[Text]:
    return [shape for group in scene.groups for shape in group.shapes if isinstance(shape, Text)]


def outside(scene: Scene) -> Iterator[Shape]:
    """Yield what is drawn beyond the frame of the sheet."""
    frame = sheet_of(scene).frame
    for group in scene.groups:
        for shape in group.shapes:
            if shape.style != "paper" and not inside(extent(shape), frame):
                yield shape


def text_box(text: Text) -> Box:
    width = text_width(text.text, text.size) * (BOLD if STYLES[text.style].bold else 1)
    left = {"start": 0.0, "middle": width / 2, "end": width}[text.anchor]
    above, height = text.size * 0.75, text.size * 0.95
    if text.upright:
        return Box(text.x - left, text.y - above, width, height)
    return Box(text.x - above, text.y - width + left, height, width)


def extent(shape: Shape) -> Box:
    match shape:
        case Rect(box) | Hatch(box):
            return box
        case Line(points) | Polygon(points):
            xs, ys = zip(*points, strict=True)
            return Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
        case Circle(x, y, r):
            return Box(x - r, y - r, 2 * r, 2 * r)
        case Text():
            return text_box(shape)


def inside(inner: Box, outer: Box) -> bool:
    return (
        inner.x >= outer.x - SLACK
        and inner.y >= outer.y - SLACK
        and inner.right <= outer.right + SLACK
        and inner.bottom <= outer.bottom + SLACK
    )


def overlap(one: Box, two: Box) -> bool:
    return (
        one.x < two.right - SLACK
        and two.x < one.right - SLACK
        and one.y < two.bottom - SLACK
        and two.y < one.bottom - SLACK
    )
