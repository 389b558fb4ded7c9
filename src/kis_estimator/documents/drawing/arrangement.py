"""The arrangement drawing (배치도): the front view to scale, as the panel is built."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from kis_estimator.documents.drawing.border import Plate, TitleBlock, frame, title_block
from kis_estimator.documents.drawing.dimensions import dimensions
from kis_estimator.documents.drawing.front_view import front_view
from kis_estimator.documents.drawing.legend import Swatch, legend
from kis_estimator.documents.drawing.projection import Projection, project
from kis_estimator.documents.drawing.scene import Box, Group, Hatch, Rect, Scene, Shape, Text
from kis_estimator.documents.sheet import breaker_text, enclosure_size
from kis_estimator.documents.texts import Texts, say

if TYPE_CHECKING:
    from kis_estimator.engine.model import PanelResult

_CAPTION_SIZE, _CAPTION_BELOW = 3.0, 15.5
_SWATCH_PITCH = 1.6


def arrangement(panel: PanelResult, title: TitleBlock, words: Texts) -> Scene:
    """Draw one panel."""
    view = project(panel.enclosure)
    sheet = view.sheet
    scale = say(words, "scale_value", scale=view.name, paper=sheet.name)
    plate = Plate(sheet, words["arrangement_title"], scale)
    return Scene(
        sheet.width,
        sheet.height,
        f"{title.panel} — {plate.name}",
        description(panel, title, words),
        (
            frame(title, sheet, words),
            *front_view(panel, view, words),
            dimensions(panel, view, words),
            _caption(panel, view, words),
            legend(panel, plate, _swatches(panel, words), words),
            title_block(panel, title, plate, words),
        ),
    )


def description(panel: PanelResult, title: TitleBlock, words: Texts) -> str:
    """Return what a reader who cannot see a drawing is told."""
    return say(
        words,
        "drawing_description",
        panel=title.panel,
        size=enclosure_size(panel),
        main=breaker_text(panel.devices.main),
        branches=len(panel.devices.circuits),
    )


def _caption(panel: PanelResult, view: Projection, words: Texts) -> Group:
    """Return the view's name, scale and depth below it."""
    parts = (
        words["front_view"],
        say(words, "view_scale", scale=view.name),
        say(words, "view_depth", depth=panel.enclosure.depth_mm),
    )
    outer = view.area(0, 0, panel.enclosure.width_mm, panel.enclosure.height_mm)
    at = outer.middle[0], outer.bottom + _CAPTION_BELOW
    return Group("frame", (Text(*at, " · ".join(parts), _CAPTION_SIZE, "text", "middle"),))


def _swatches(panel: PanelResult, words: Texts) -> list[Swatch]:
    placed = panel.layout.placements
    phases = {p.phase or "" for p in placed if p.role == "branch"}
    entries = [
        (f"body-{phase}", say(words, "phase_single", phase=phase))
        for phase in "RST"
        if phase in phases
    ]
    lengths = {len(phase) for phase in phases}
    entries += [
        ("body", words[key])
        for length, key in ((3, "phase_three"), (2, "phase_two"), (0, "one_phase"))
        if length in lengths
    ]
    roles = {p.role for p in placed}
    entries += [
        (style, words[role])
        for role, style in (
            ("spare", "spare"), ("accessory", "accessory"), ("terminal", "terminal"),
            ("duct", "duct"), ("busbar", "bar-N"),
        )
        if role in roles
    ]  # fmt: skip
    return [(text, partial(_swatch, style)) for style, text in entries]


def _swatch(style: str, box: Box) -> Sequence[Shape]:
    hatch = (Hatch(box, _SWATCH_PITCH, "duct-hatch"),) if style == "duct" else ()
    return Rect(box, style), *hatch
