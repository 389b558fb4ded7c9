"""The head of a single-line diagram: supply, main breaker, meters, surge protection, terminals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kis_estimator.documents.drawing import symbols
from kis_estimator.documents.drawing.accessories import (
    CT,
    METER,
    PANEL_METER,
    SURGE,
    accessory_name,
    counted,
    uses_of,
)
from kis_estimator.documents.drawing.conductors import (
    bar_letters,
    conductor_name,
    supply_letters,
)
from kis_estimator.documents.drawing.feeders import Row, rating, surge
from kis_estimator.documents.drawing.scene import Box, Group, Line, Shape, Text
from kis_estimator.documents.drawing.symbols import Axis
from kis_estimator.documents.lettering import clean, shorten, text_width
from kis_estimator.documents.texts import Texts, say

if TYPE_CHECKING:
    from kis_estimator.engine.model import PanelResult

_TERMINALS = {"neutral_terminal": "N", "earth_terminal": "E"}
_LISTED = ("magnet_contactor", "timer", "push_button", "fuse_holder", "terminal_block")
_MAIN_SCALE, _MAIN_AT, _MAIN_END = 1.4, 19.0, 29.0
_ARROW_AT, _STROKES_AT = 5.0, 8.0
_SIZE, _MAIN_SIZE, _SMALL = 2.7, 3.4, 2.5
_ASIDE, _LEADING = 10.0, 4.4
_METER, _METER_HEIGHT = 13.0, 8.0
_STATION, _SURGE_PITCH, _TAIL = 12.0, 8.5, 9.0
_LISTED_MOST = 10
_TERMINAL_WIDTH, _TERMINAL_BAR, _TERMINAL_PITCH = 51.0, 6.0, 11.0
_BASELINE = 0.35


def incoming(
    panel: PanelResult, area: Box, surges: Sequence[Row], words: Texts
) -> tuple[list[Group], float]:
    """Draw the head in the upper part of an area; return it and the y at which it ends."""
    axis = Axis(area.middle[0], area.y, "down")
    room = area.right - axis.x
    groups = [_main(panel, axis, room, words)]
    at = _MAIN_END
    for draw in (_metering, _indicators):
        group, length = draw(panel, axis, at, words)
        if group is not None:
            groups.append(group)
        at += length
    start, names = at, _surge_names(panel, words)
    for i, row in enumerate(surges):
        at += _SURGE_PITCH
        name = names[i] if i < len(names) else row.load
        groups.append(surge(row, name, Axis(axis.x, axis.y + at, "right"), room, _SIZE))
    groups.append(_busbar_head(panel, axis, start, at))
    left = Box(area.x, area.y, room - _ASIDE - _METER, at)
    groups.append(_listed(panel, left, words))
    right = Box(area.right - _TERMINAL_WIDTH, area.y, _TERMINAL_WIDTH, at)
    groups.append(_terminals(panel, right, words))
    lowest = area.y + _LEADING * (1 + min(_LISTED_MOST, len(uses_of(panel, *_LISTED))))
    return groups, max(axis.y + at + _TAIL, lowest)


def _main(panel: PanelResult, axis: Axis, room: float, words: Texts) -> Group:
    main = panel.devices.main
    supply = words["supply_single" if panel.devices.single_phase else "supply_three"]
    x = axis.x + _ASIDE
    room -= _ASIDE + _TERMINAL_WIDTH
    device = f"MAIN {rating(main, panel.devices.main_spec.sensitivity_ma)}"
    maker = " ".join(filter(None, (clean(main.brand), clean(main.model))))
    y = axis.y + _MAIN_AT
    return Group(
        "main",
        (
            Text(axis.x, axis.y - 1.2, supply, _MAIN_SIZE, "bold", "middle"),
            Text(x, axis.y + _ARROW_AT + 1, words["incoming"], _SMALL, "muted"),
            axis.line(0, _MAIN_AT - symbols.HALF * _MAIN_SCALE, "feeder"),
            symbols.arrow(axis, _ARROW_AT),
            *symbols.conductors(axis, _STROKES_AT, supply_letters(panel)),
            *symbols.breaker(
                axis, _MAIN_AT, residual=main.category == "ELB", scale=_MAIN_SCALE, style="feeder"
            ),
            axis.line(_MAIN_AT + symbols.HALF * _MAIN_SCALE, _MAIN_END, "feeder"),
            Text(x, y, shorten(device, room, _MAIN_SIZE, bold=True), _MAIN_SIZE, "bold"),
            Text(x, y + _LEADING, shorten(maker, room, _SIZE), _SIZE, "muted"),
        ),
        f"{device} {maker}",
    )


def _metering(
    panel: PanelResult, axis: Axis, at: float, words: Texts
) -> tuple[Group | None, float]:
    """Draw the energy meters: at the transformers, in the line, or beside it where several."""
    meters, transformers = uses_of(panel, METER), uses_of(panel, CT)
    count = sum(use.quantity for use in meters)
    if not meters and not transformers:
        return None, 0.0
    middle = at + _STATION / 2
    y = axis.at(middle)[1]
    texts = [counted(use, words) for use in (*transformers, *meters)]
    shapes: list[Shape] = []
    x = axis.x + _ASIDE
    if transformers or count > 1:
        shapes.append(axis.line(at, at + _STATION, "feeder"))
        if transformers:
            shapes += symbols.transformer(axis, middle)
        if meters:
            shapes.append(Line((axis.at(middle, 1.9), (x, y)), "spare-wire"))
            box = Box(x, y - _METER_HEIGHT / 2, _METER, _METER_HEIGHT)
            shapes += symbols.instrument(box, "Wh", _MAIN_SIZE)
            x = box.right + 3
    else:
        half = _METER_HEIGHT / 2
        shapes += [
            axis.line(at, middle - half, "feeder"),
            axis.line(middle + half, at + _STATION, "feeder"),
        ]
        box = Box(axis.x - _METER / 2, y - half, _METER, _METER_HEIGHT)
        shapes += symbols.instrument(box, "Wh", _MAIN_SIZE)
    if count > 1 and not transformers:
        texts.append(say(words, "meters_to_assign", count=count))
    return Group("accessory", (*shapes, *_lines(x, y, texts)), " ".join(texts)), _STATION


def _lines(x: float, y: float, texts: Sequence[str]) -> list[Text]:
    top = y - (len(texts) - 1) * _LEADING / 2 + _SIZE * _BASELINE
    return [Text(x, top + i * _LEADING, text, _SIZE, "muted") for i, text in enumerate(texts)]


def _indicators(
    panel: PanelResult, axis: Axis, at: float, words: Texts
) -> tuple[Group | None, float]:
    """Draw the voltmeter and ammeter of the door."""
    uses = uses_of(panel, PANEL_METER)
    if not uses:
        return None, 0.0
    y = axis.at(at + _STATION / 2)[1]
    text = counted(uses[0], words)
    near, far = axis.x - 14, axis.x - 20
    return Group(
        "accessory",
        (
            axis.line(at, at + _STATION, "feeder"),
            Line(((axis.x, y), (near + 3, y)), "spare-wire"),
            *symbols.indicator(near, y, 3.0, "A"),
            *symbols.indicator(far, y, 3.0, "V"),
            Text(far - 5, y + _SIZE * _BASELINE, text, _SIZE, "muted", "end"),
        ),
        text,
    ), _STATION


def _surge_names(panel: PanelResult, words: Texts) -> list[str]:
    return [
        f"{clean(use.item.sku)}  {accessory_name(use.item, words)}"
        for use in uses_of(panel, SURGE)
        for _ in range(use.quantity)
    ]


def _busbar_head(panel: PanelResult, axis: Axis, start: float, at: float) -> Group:
    """Return the feeder's end, its conductors, and the letters of the bars it feeds."""
    letters = bar_letters(panel)
    shapes: list[Shape] = [
        axis.line(start, at + _TAIL, "feeder"),
        *symbols.conductors(axis, at + 2.5, letters),
    ]
    x, y = axis.x + 3.5, axis.at(at + _TAIL - 2.6)[1]
    for letter in letters:
        name = conductor_name(panel, letter)
        shapes.append(Text(x, y, name, _SIZE, f"ink-{letter}"))
        x += text_width(name, _SIZE, bold=True) + 1.4
    return Group("busbar", tuple(shapes))


def _listed(panel: PanelResult, box: Box, words: Texts) -> Group:
    """Return the accessories of which nothing says which circuit they belong to."""
    uses = uses_of(panel, *_LISTED)
    if not uses:
        return Group("accessory", ())
    texts = [counted(use, words) for use in uses]
    if len(texts) > _LISTED_MOST:
        rest = len(texts) - _LISTED_MOST + 1
        texts[_LISTED_MOST - 1 :] = [say(words, "devices_more", count=rest)]
    shapes: list[Shape] = [Text(box.x, box.y, words["devices_title"], _SIZE, "bold")]
    shapes += [
        Text(box.x, box.y + _LEADING * i, shorten(text, box.width, _SIZE), _SIZE, "muted")
        for i, text in enumerate(texts, start=1)
    ]
    return Group("accessory", tuple(shapes))


def _terminals(panel: PanelResult, box: Box, words: Texts) -> Group:
    """Return the neutral and the earth terminal."""
    shapes: list[Shape] = []
    y = box.y
    for use in uses_of(panel, *_TERMINALS):
        letter = _TERMINALS[use.item.category]
        axis = Axis(box.x, y, "down")
        shapes.append(Line(((box.x - 2, y), (box.x + _TERMINAL_BAR, y)), "bus"))
        if letter == "E":
            shapes += [axis.line(0, 3), *symbols.earth(axis, 3)]
        x = box.x + _TERMINAL_BAR + 2
        lines = (
            f"{letter}  {clean(use.item.sku)} ×{use.quantity}",
            accessory_name(use.item, words),
        )
        shapes += [
            Text(
                x,
                y + _SMALL * _BASELINE + i * _LEADING,
                shorten(line, box.right - x, _SMALL),
                _SMALL,
                "muted",
            )
            for i, line in enumerate(lines)
        ]
        y += _TERMINAL_PITCH
    return Group("terminal", tuple(shapes))
