"""The branches of a single-line diagram: rows to the left and right of busbars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kis_estimator.documents.drawing import symbols
from kis_estimator.documents.drawing.bodies import centred
from kis_estimator.documents.drawing.conductors import NEUTRAL, conductor_name, wired
from kis_estimator.documents.drawing.scene import Box, Circle, Group, Shape, Text
from kis_estimator.documents.drawing.symbols import Axis
from kis_estimator.documents.lettering import (
    LINE_HEIGHT,
    clean,
    fitting_size,
    shorten,
    text_width,
    wrapped,
)
from kis_estimator.documents.sheet import breaker_text

if TYPE_CHECKING:
    from kis_estimator.documents.texts import Texts
    from kis_estimator.engine.model import BreakerItem, Circuit, PanelResult

_PHASE_AT, _STROKES_AT, _BREAKER_AT, _TEXT_AT = 1.8, 12.5, 22.0, 31.0
_BALLOON, _BALLOON_LEAST = 2.5, 1.8
_ABOVE, _BETWEEN = 0.75, 3.0
_LARGEST, _SHARE = 3.0, 0.46
_LOAD_LEAST, _LOAD_LINES, _CLEAR = 1.75, 4, 1.5
_DEVICE_SHARE, _MODEL_SHARE, _SLACK = 0.55, 0.18, 0.05
_SPD_WIDTH, _SPD_HEIGHT, _EARTH_LENGTH = 9.0, 4.4, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One wire from the busbar: a circuit, or a reserved space without a number."""

    number: str
    letters: str
    marks: tuple[str, ...]
    device: str
    model: str
    load: str
    residual: bool
    title: str

    @property
    def spare(self) -> bool:
        """A reserved space has no breaker yet."""
        return not self.number


@dataclass(frozen=True, slots=True)
class Lettering:
    """The size of a column's text, and the room of its parts: device, model; then the load [mm].

    Between two wires there is `pitch`.
    """

    size: float
    device: float
    model: float
    pitch: float = 0.0


def rating(item: BreakerItem, sensitivity_ma: int | None) -> str:
    """Return what a breaker is: kind, poles, frame and trip, breaking capacity, sensitivity."""
    parts = [breaker_text(item), f"{item.breaking_capacity_ka:f}kA"]
    if sensitivity_ma:
        parts.append(f"{sensitivity_ma}mA")
    return " ".join(parts)


def circuit_rows(panel: PanelResult) -> tuple[list[Row], list[Row]]:
    """Return the circuits by number, those of surge protective devices apart."""
    phases = {p.circuit: p.phase for p in panel.layout.placements if p.role == "branch"}
    rows: tuple[list[Row], list[Row]] = [], []
    for circuit in sorted(panel.devices.circuits, key=lambda one: one.number):
        rows[circuit.is_spd].append(_row(panel, circuit, phases.get(circuit.number)))
    return rows


def _row(panel: PanelResult, circuit: Circuit, phase: str | None) -> Row:
    item = circuit.item
    letters = wired(phase, item.poles)
    lives = letters.replace(NEUTRAL, "")
    marks = (lives if len(lives) > 1 else conductor_name(panel, lives),)
    load = clean(circuit.spec.label or "")
    if circuit.load_stated and not circuit.is_spd:
        load = f"{load} {circuit.load_a.normalize():f}A".strip()
    device = rating(item, circuit.spec.sensitivity_ma)
    return Row(
        number=str(circuit.number),
        letters=letters,
        marks=(*marks, NEUTRAL) if NEUTRAL in letters else marks,
        device=device,
        model=clean(item.model),
        load=load,
        residual=item.category == "ELB",
        title=" ".join(filter(None, (str(circuit.number), device, phase, load))),
    )


def spare_rows(panel: PanelResult, words: Texts) -> list[Row]:
    """Return the reserved spaces."""
    name = words["spare"]
    rows = []
    for spare in panel.devices.spares:
        size = f"{spare.item.poles}P {spare.item.frame_af}AF"
        rows.append(
            Row(
                number="",
                letters="",
                marks=(),
                device=f"{name} {size}",
                model="",
                load="",
                residual=False,
                title=f"{name} {size}",
            )
        )
    return rows


def lettering(rows: Sequence[Row], pitch: float, length: float) -> Lettering:
    """Return the text size at which every device is stated whole, and where the parts start.

    A narrow column leaves the models out: they stand on the arrangement.
    """
    room = length - _TEXT_AT - 2 * _BALLOON
    widest = max(text_width(row.device) for row in rows)
    size = min(_LARGEST, pitch * _SHARE, (room * _DEVICE_SHARE - _SLACK) / widest)
    model = max(text_width(row.model, size) for row in rows) + _SLACK
    shown = model if model < room * _MODEL_SHARE else 0.0
    return Lettering(size, widest * size + _SLACK, shown, pitch)


def feeder(row: Row, axis: Axis, length: float, text: Lettering) -> Group:
    """Draw a row: tap, phase, breaker, texts on the wire, and the circuit's number."""
    if row.spare:
        return _reserved(row, axis, length, text)
    radius = max(_BALLOON_LEAST, min(_BALLOON, text.size * 0.95))
    end = length - 2 * radius
    x, y = axis.at(length - radius)
    balloon = Box(x - radius, y - radius, 2 * radius, 2 * radius)
    size = fitting_size([row.number], radius * 1.45, radius * 2, radius * 1.15, bold=True)
    return Group(
        "branch",
        (
            *_tapped(row, axis, text.size),
            axis.line(_BREAKER_AT + symbols.HALF, end),
            symbols.arrow(axis, end),
            *_lettered(row, axis, end, text),
            Circle(x, y, radius, "balloon"),
            *centred(balloon, [(row.number, "bold")], size),
        ),
        row.title,
    )


def surge(row: Row, name: str, axis: Axis, length: float, size: float) -> Group:
    """Draw a surge protective device behind its breaker, to earth."""
    text = Lettering(size, text_width(row.device, size), 0)
    start = _TEXT_AT + text.device + _BETWEEN
    label = shorten(name, length - start - _SPD_WIDTH - _EARTH_LENGTH - 2, size)
    low, high = axis.span(start, start + _SPD_WIDTH)
    box = Box(low, axis.y - _SPD_HEIGHT / 2, high - low, _SPD_HEIGHT)
    end = start + _SPD_WIDTH + _EARTH_LENGTH
    number = f"{row.number} {row.device}"
    return Group(
        "branch",
        (
            *_tapped(row, axis, size),
            axis.line(_BREAKER_AT + symbols.HALF, start),
            Text(axis.span(_TEXT_AT - 2, start)[0], axis.y - _ABOVE, number, size),
            *symbols.instrument(box, "SPD", size * 0.9),
            axis.line(start + _SPD_WIDTH, end),
            *symbols.earth(axis, end),
            Text(axis.at(end + 4)[0], axis.y + size * 0.35, label, size, "muted"),
        ),
        f"{row.title} {name}",
    )


def _tapped(row: Row, axis: Axis, size: float) -> list[Shape]:
    """Return the start of a wire: tap, phase letters, conductors and breaker."""
    lives = row.letters.replace(NEUTRAL, "")
    shapes: list[Shape] = [
        symbols.tap(axis),
        axis.line(0, _BREAKER_AT - symbols.HALF),
        *symbols.conductors(axis, _STROKES_AT, row.letters),
        *symbols.breaker(axis, _BREAKER_AT, residual=row.residual),
    ]
    x, _ = axis.span(_PHASE_AT, _STROKES_AT - 2)
    for mark in row.marks:
        letter = lives if mark != NEUTRAL else mark
        style = f"ink-{letter}" if len(letter) == 1 else "bold"
        shapes.append(Text(x, axis.y - _ABOVE, mark, size * 0.92, style))
        x += text_width(mark, size * 0.92, bold=True) + size * 0.35
    return shapes


def _lettered(row: Row, axis: Axis, end: float, text: Lettering) -> list[Text]:
    """Return the texts on the wire: device, model, load; each starts at its own place.

    The load has the room up to the number; a long one is smaller, or in several lines.
    """
    model = _TEXT_AT + text.device + _BETWEEN
    load = model + (text.model + _BETWEEN if text.model else 0.0)
    parts = (
        (row.device, "text", _TEXT_AT, model - _BETWEEN),
        (row.model if text.model else "", "muted", model, load - _BETWEEN),
    )
    texts = []
    for part, style, *places in parts:
        low, high = axis.span(*places)
        label = shorten(part, high - low, text.size, bold=style == "bold")
        if label:
            texts.append(Text(low, axis.y - _ABOVE, label, text.size, style))
    if not row.load:
        return texts
    low, high = axis.span(load, end - _CLEAR)
    room, sizes = (high - low, text.pitch - _ABOVE), (min(_LOAD_LEAST, text.size), text.size)
    lines, size = wrapped(row.load, room, sizes, bold=True, most=_LOAD_LINES)
    first = axis.y - _ABOVE - (len(lines) - 1) * size * LINE_HEIGHT
    for i, line in enumerate(lines):
        texts.append(Text(low, first + i * size * LINE_HEIGHT, line, size, "bold"))
    return texts


def _reserved(row: Row, axis: Axis, length: float, text: Lettering) -> Group:
    low, high = axis.span(_TEXT_AT, _TEXT_AT + text.device)
    label = shorten(row.device, high - low, text.size)
    return Group(
        "spare",
        (
            symbols.tap(axis),
            axis.line(0, _BREAKER_AT - symbols.HALF, "spare-wire"),
            *symbols.breaker(axis, _BREAKER_AT, residual=False, style="spare-wire"),
            axis.line(_BREAKER_AT + symbols.HALF, length, "spare-wire"),
            Text(low, axis.y - _ABOVE, label, text.size, "muted"),
        ),
        row.title,
    )
