"""The outline drawing (외형도): enclosure from the front and the side, and how it is mounted.

Sizes come from the enclosure's data. The mounting holes follow a convention and are marked as
for reference, like the places of door fittings: nothing else states them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kis_estimator.documents.drawing.accessories import NAME_PLATE
from kis_estimator.documents.drawing.arrangement import description
from kis_estimator.documents.drawing.border import (
    PAD,
    Plate,
    TitleBlock,
    frame,
    sheet_metal,
    title_block,
)
from kis_estimator.documents.drawing.enclosure_views import (
    HOLE_DIAMETER,
    HOLE_EDGE,
    Shell,
    front,
    mounting,
    shell,
    side,
)
from kis_estimator.documents.drawing.projection import A3, SCALES, Projection, Sheet
from kis_estimator.documents.drawing.scene import Group, Rect, Scene, Shape, Text
from kis_estimator.documents.lettering import clean, fitting_size, shorten, text_width
from kis_estimator.documents.sheet import enclosure_name
from kis_estimator.documents.texts import Texts, say

if TYPE_CHECKING:
    from kis_estimator.engine.model import PanelResult

_LEFT, _RIGHT, _TOP, _BELOW = 15.5, 7.5, 16.0, 20.0
_SIZE, _HEADING, _LEADING = 2.5, 3.0, 4.3
_DOOR_MOUNTING = "door"
_LEAST = 1.7


@dataclass(frozen=True, slots=True)
class _Views:
    """Where the three views stand: in one row, or with the mounting view below the others."""

    front: Projection
    side: Projection
    mounting: Projection


def outline(panel: PanelResult, title: TitleBlock, words: Texts) -> Scene:
    """Draw one panel's enclosure."""
    sheet, body = A3, shell(panel)
    views = _arranged(body, sheet)
    scale = say(words, "scale_value", scale=views.front.name, paper=sheet.name)
    plate = Plate(sheet, words["outline_title"], scale)
    return Scene(
        sheet.width,
        sheet.height,
        f"{title.panel} — {plate.name}",
        description(panel, title, words),
        (
            frame(title, sheet, words),
            *front(body, views.front, title.panel, words),
            *side(body, views.side, words),
            *mounting(body, views.mounting, words),
            _notes(panel, body, plate, words),
            title_block(panel, title, plate, words),
        ),
    )


def _arranged(body: Shell, sheet: Sheet) -> _Views:
    """Return the places of the views at the largest usual scale that the sheet allows."""
    room = sheet.frame.width, sheet.strip.y - sheet.heading.bottom
    for scale in SCALES:
        for stacked in (False, True):
            width, height = _taken(body, scale, stacked=stacked)
            if width <= room[0] and height <= room[1]:
                return _placed(body, sheet, scale, stacked=stacked)
    return _placed(body, sheet, SCALES[-1], stacked=False)


def _taken(body: Shell, scale: float, *, stacked: bool) -> tuple[float, float]:
    """Return what the views with their dimensions take on the sheet."""
    beside, below = _LEFT + _RIGHT, _TOP + _BELOW
    width = (body.width + body.depth) / scale + 2 * beside
    height = body.total / scale + below
    plan_width, plan_height = body.width / scale + beside, body.plan_height / scale + below
    if stacked:
        return max(width, plan_width), height + plan_height
    return width + plan_width, max(height, plan_height)


def _placed(body: Shell, sheet: Sheet, scale: float, *, stacked: bool) -> _Views:
    width, height = _taken(body, scale, stacked=stacked)
    left = sheet.frame.middle[0] - width / 2 + _LEFT
    free = sheet.strip.y - sheet.heading.bottom - height
    top = sheet.heading.bottom + free / 2 + _TOP
    beside = _RIGHT + _LEFT
    side_x = left + body.width / scale + beside
    if stacked:
        # The pair of views above is centred over the mounting view where that is wider.
        below = top + body.total / scale + _BELOW + _TOP
        return _Views(
            Projection(sheet, scale, left, top),
            Projection(sheet, scale, side_x, top),
            Projection(sheet, scale, left, below),
        )
    return _Views(
        Projection(sheet, scale, left, top),
        Projection(sheet, scale, side_x, top),
        Projection(sheet, scale, side_x + body.depth / scale + beside, top),
    )


def _notes(panel: PanelResult, body: Shell, plate: Plate, words: Texts) -> Group:
    box = plate.notes
    x, y = box.x + PAD * 1.5, box.y + PAD + 4
    shapes: list[Shape] = [
        Rect(box, "frame"),
        Text(x, y, words["outline_notes"], _HEADING, "bold"),
    ]
    facts = _facts(panel, body, words)
    labels = max(text_width(label, _SIZE) for label, _ in facts) + PAD * 1.5
    room = box.right - x - PAD
    for label, value in facts:
        y += _LEADING
        shapes += [
            Text(x, y, label, _SIZE, "muted"),
            Text(x + labels, y, shorten(value, room - labels, _SIZE), _SIZE),
        ]
    y += 1.2
    for i, note in enumerate(_remarks(panel, body, words), start=1):
        y += _LEADING
        text = f"{i}. {note}"
        size = max(_LEAST, fitting_size([text], room, _LEADING, _SIZE - 0.2))
        shapes.append(Text(x, y, shorten(text, room, size), size))
    return Group("legend", tuple(shapes))


def _facts(panel: PanelResult, body: Shell, words: Texts) -> list[tuple[str, str]]:
    """Return what is known of the enclosure as label and value."""
    enclosure = panel.enclosure
    size = say(
        words, "outer_size_value",
        width=enclosure.width_mm, height=enclosure.height_mm, depth=enclosure.depth_mm,
    )  # fmt: skip
    where = [words[enclosure.location], words[enclosure.mounting]]
    if body.base:
        where.append(say(words, "base_size", height=body.base))
    return [
        (words["enclosure"], enclosure_name(panel, words)),
        (words["outer_size"], size),
        (words["sheet_metal"], sheet_metal(panel, words)),
        (words["protection"], clean(enclosure.ip_rating)),
        (words["installation"], " · ".join(where)),
    ]


def _remarks(panel: PanelResult, body: Shell, words: Texts) -> list[str]:
    """Return the notes, what is not certain first."""
    remarks = [words["note_reference"]]
    if body.mounting == "pole":
        remarks.append(words["note_pole"])
    else:
        remarks.append(say(words, "note_holes", count=4, diameter=HOLE_DIAMETER, edge=HOLE_EDGE))
    if body.mounting == "flush":
        remarks.append(words["note_flush"])
    remarks.append(
        say(
            words, "note_plate",
            offset=body.plate, deepest=body.deepest, clearance=body.clearance,
        )
    )  # fmt: skip
    doors = [
        f"{clean(use.item.sku)} ×{use.quantity}"
        for use in panel.devices.accessories
        if use.item.mounting == _DOOR_MOUNTING and use.item.category != NAME_PLATE
    ]
    if doors:
        remarks.append(say(words, "note_door", items=", ".join(doors)))
    return remarks
