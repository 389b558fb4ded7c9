"""The single-line diagram (단선 결선도): supply, main, busbars and every circuit, not to scale.

Circuits run to the left (odd) and right (even) of upright busbars; a sheet takes as many
busbars as keep its lettering legible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

from kis_estimator.documents.drawing import symbols
from kis_estimator.documents.drawing.accessories import CT, METER, SURGE
from kis_estimator.documents.drawing.arrangement import description
from kis_estimator.documents.drawing.bodies import centred
from kis_estimator.documents.drawing.border import Plate, TitleBlock, frame, title_block
from kis_estimator.documents.drawing.feeders import (
    Row,
    circuit_rows,
    feeder,
    lettering,
    spare_rows,
)
from kis_estimator.documents.drawing.incoming import incoming
from kis_estimator.documents.drawing.legend import Draw, Swatch, legend
from kis_estimator.documents.drawing.projection import A1, A2, A3, Sheet
from kis_estimator.documents.drawing.scene import Box, Circle, Group, Line, Scene, Shape
from kis_estimator.documents.drawing.symbols import Axis
from kis_estimator.documents.texts import Texts, say

if TYPE_CHECKING:
    from kis_estimator.engine.model import PanelResult

_SHEETS = ((A3, 1), (A2, 1), (A2, 2), (A1, 2), (A1, 3))
_PITCH_LEAST, _PITCH_MOST = 4.6, 18.0
_SUPPLY, _SIDE, _BELOW, _TAIL = 9.0, 5.0, 8.0, 3.5
_SWATCH_SCALE = 0.75


@dataclass(frozen=True, slots=True)
class _Field:
    """The sheet chosen for a panel: its head, and where its rows stand."""

    sheet: Sheet
    banks: int
    head: tuple[Group, ...]
    top: float
    pitch: float
    length: float

    def row_y(self, index: int) -> float:
        """Return the y of a row of a bank; even ones stand to the left, odd ones to the right."""
        return self.top + self.pitch * (index // 2 + 0.5)


def single_line(panel: PanelResult, title: TitleBlock, words: Texts) -> Scene:
    """Draw one panel."""
    circuits, surges = circuit_rows(panel)
    rows = [*circuits, *spare_rows(panel, words)]
    field = _field(panel, rows, surges, words)
    sheet = field.sheet
    scale = say(words, "not_to_scale", paper=sheet.name)
    plate = Plate(sheet, words["single_line_title"], scale)
    return Scene(
        sheet.width,
        sheet.height,
        f"{title.panel} — {plate.name}",
        description(panel, title, words),
        (
            frame(title, sheet, words),
            *field.head,
            _busbars(field, rows),
            *_feeders(field, rows),
            legend(panel, plate, _swatches(panel, words), words),
            title_block(panel, title, plate, words),
        ),
    )


def _field(panel: PanelResult, rows: Sequence[Row], surges: Sequence[Row], words: Texts) -> _Field:
    """Return the smallest sheet with the fewest busbars on which the rows are legible."""
    fields = []
    for sheet, banks in _SHEETS:
        inner = sheet.frame.inset(_SIDE, 0)
        top = sheet.heading.bottom + _SUPPLY
        area = Box(inner.x, top, inner.width, sheet.strip.y - top)
        head, end = incoming(panel, area, surges, words)
        deep = _deepest(len(rows), banks)
        pitch = min(_PITCH_MOST, (sheet.strip.y - _BELOW - end) / max(1, deep))
        fields.append(_Field(sheet, banks, tuple(head), end, pitch, inner.width / (2 * banks)))
        if pitch >= _PITCH_LEAST:
            return fields[-1]
    return max(fields, key=lambda field: field.pitch)


def _deepest(count: int, banks: int) -> int:
    """Return the rows of the deepest column.

    >>> _deepest(60, 1), _deepest(61, 2), _deepest(1, 1)
    (30, 16, 1)
    """
    return ceil(count / (2 * banks))


def _spines(field: _Field) -> list[float]:
    frame_box = field.sheet.frame
    left = frame_box.middle[0] - field.length * field.banks
    return [left + field.length * (2 * bank + 1) for bank in range(field.banks)]


def _busbars(field: _Field, rows: Sequence[Row]) -> Group:
    """Return the upright busbars, and the level one that joins several."""
    spines = _spines(field)
    shapes: list[Shape] = [
        Line(((x, field.top), (x, field.row_y(max(0, len(bank) - 1)) + _TAIL)), "bus")
        for x, bank in zip(spines, _banks(field, rows), strict=True)
    ]
    if len(spines) > 1:
        shapes.append(Line(((spines[0], field.top), (spines[-1], field.top)), "bus"))
    return Group("busbar", tuple(shapes))


def _banks(field: _Field, rows: Sequence[Row]) -> list[Sequence[Row]]:
    size = 2 * _deepest(len(rows), field.banks)
    return [rows[bank * size : (bank + 1) * size] for bank in range(field.banks)]


def _feeders(field: _Field, rows: Sequence[Row]) -> list[Group]:
    if not rows:
        return []
    length = field.length - (1.0 if field.banks > 1 else 0.0)
    text = lettering(rows, field.pitch, length)
    groups = []
    for x, bank in zip(_spines(field), _banks(field, rows), strict=True):
        for i, row in enumerate(bank):
            axis = Axis(x, field.row_y(i), "right" if i % 2 else "left")
            groups.append(feeder(row, axis, length, text))
    return groups


def _swatches(panel: PanelResult, words: Texts) -> list[Swatch]:
    """Return the symbols that the drawing uses."""
    devices = panel.devices
    used: set[str] = {use.item.category for use in devices.accessories}
    used |= {devices.main.category, *(one.item.category for one in devices.circuits)}
    if devices.spares:
        used.add("spare")
    entries: tuple[tuple[str, str, Draw], ...] = (
        ("MCCB", "symbol_mccb", partial(_breaker, residual=False)),
        ("ELB", "symbol_elb", partial(_breaker, residual=True)),
        (CT, "symbol_ct", _transformer),
        (METER, "symbol_meter", partial(_box, "Wh")),
        (SURGE, "symbol_spd", partial(_box, "SPD")),
        ("spare", "spare", partial(_breaker, residual=False, style="spare-wire")),
    )
    return [
        (words["symbol_conductors"], _conductors),
        (words["symbol_number"], _number),
        *((words[key], draw) for use, key, draw in entries if use in used),
    ]


def _axis(box: Box) -> Axis:
    return Axis(box.x, box.middle[1])


def _breaker(box: Box, *, residual: bool, style: str = "wire") -> list[Shape]:
    axis, middle = _axis(box), box.width * (0.4 if residual else 0.5)
    half = symbols.HALF * _SWATCH_SCALE
    return [
        axis.line(0, middle - half, style),
        *symbols.breaker(axis, middle, residual=residual, style=style, scale=_SWATCH_SCALE),
        axis.line(middle + half, box.width, style),
    ]


def _conductors(box: Box) -> list[Shape]:
    axis = _axis(box)
    return [axis.line(0, box.width), *symbols.conductors(axis, box.width * 0.35, "RN")]


def _number(box: Box) -> list[Shape]:
    radius = box.height / 2
    return [
        Circle(*box.middle, radius, "balloon"),
        *centred(box, [("1", "bold")], radius * 1.15),
    ]


def _transformer(box: Box) -> list[Shape]:
    axis = _axis(box)
    return [axis.line(0, box.width), *symbols.transformer(axis, box.width / 2)]


def _box(letters: str, box: Box) -> list[Shape]:
    return symbols.instrument(box, letters, box.height * 0.6)
