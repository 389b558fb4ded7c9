"""What stands around a drawing: frame, heading, legend with the phase loads, title block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kis_estimator.documents.drawing.bodies import centred
from kis_estimator.documents.drawing.projection import Projection
from kis_estimator.documents.drawing.scene import Box, Group, Hatch, Rect, Shape, Text
from kis_estimator.documents.lettering import fitting_size, shorten, text_width
from kis_estimator.documents.sheet import (
    breaker_text,
    enclosure_name,
    enclosure_size,
)
from kis_estimator.documents.texts import Texts, say

if TYPE_CHECKING:
    from kis_estimator.engine.model import PanelResult, PhaseBalance

_PAD = 2.0
_BASELINE = 0.35
_BLOCK_WIDTH, _LABEL_WIDTH, _TITLE_ROW, _LEGEND_WIDTH = 148, 17, 10, 52
_LABEL_SIZE, _VALUE_SIZE, _TITLE_SIZE, _LEGEND_SIZE = 2.3, 3.0, 4.2, 2.6
_NAME_SIZE, _MARK_SIZE, _CAPTION_BELOW = 5.5, 3.2, 15.5


@dataclass(frozen=True, slots=True, kw_only=True)
class TitleBlock:
    """What the title block says beside the panel's own facts; clean text."""

    customer: str
    project: str
    number: str
    date: str
    sheet: int
    sheets: int
    sample: bool
    panel: str


@dataclass(frozen=True, slots=True)
class _Cell:
    """A labelled cell of the title block; `share` of the row's width."""

    label: str
    value: str
    share: float = 1.0


def frame(title: TitleBlock, view: Projection, words: Texts) -> Group:
    """Return the paper, its frame, the panel's name and the sample mark."""
    sheet, heading = view.sheet, view.sheet.heading
    shapes: list[Shape] = [Rect(sheet.box, "paper"), Rect(sheet.frame, "frame")]
    room, y = heading.width - 4 * _PAD, heading.middle[1] + 1
    if title.sample:
        mark = words["sample_mark"]
        width = text_width(mark, _MARK_SIZE, bold=True) + 2 * _PAD
        box = Box(heading.right - width - _PAD, y - 4, width, 8)
        shapes += [Rect(box, "mark-frame"), *centred(box, [(mark, "mark")], _MARK_SIZE)]
        room -= width + 2 * _PAD
    name = shorten(title.panel, room, _NAME_SIZE, bold=True)
    shapes.append(Text(heading.x + 2 * _PAD, y + _NAME_SIZE * _BASELINE, name, _NAME_SIZE, "bold"))
    return Group("frame", tuple(shapes))


def caption(panel: PanelResult, view: Projection, words: Texts) -> Group:
    """Return the view's name, scale and depth below it."""
    parts = (
        words["front_view"],
        say(words, "view_scale", scale=view.name),
        say(words, "view_depth", depth=panel.enclosure.depth_mm),
    )
    outer = view.area(0, 0, panel.enclosure.width_mm, panel.enclosure.height_mm)
    at = outer.middle[0], outer.bottom + _CAPTION_BELOW
    text = Text(*at, " · ".join(parts), _VALUE_SIZE, "text", "middle")
    return Group("frame", (text,))


def title_block(panel: PanelResult, title: TitleBlock, view: Projection, words: Texts) -> Group:
    """Return the block at the lower right."""
    enclosure = panel.enclosure
    strip = view.sheet.strip
    box = Box(strip.right - _BLOCK_WIDTH, strip.y, _BLOCK_WIDTH, strip.height)
    kind = " ".join(
        (
            *(words[key] for key in (enclosure.location, enclosure.mounting, enclosure.material)),
            f"{enclosure.thickness_mm:f}T",
        )
    )
    size = f"{enclosure_name(panel, words)}  {enclosure_size(panel)}  {enclosure.ip_rating}  {kind}"
    name = title.panel
    if panel.quantity > 1:
        name = say(words, "panel_with_quantity", name=name, quantity=panel.quantity)
    rows = (
        (_Cell(words["customer"], title.customer),),
        (_Cell(words["project"], title.project),),
        (_Cell(words["panel"], name),),
        (_Cell(words["enclosure"], size),),
        (
            _Cell(words["main_breaker"], breaker_text(panel.devices.main), 0.55),
            _Cell(words["quotation_number"], title.number, 0.45),
        ),
        (
            _Cell(words["date"], title.date, 0.39),
            _Cell(
                words["scale"],
                say(words, "scale_value", scale=view.name, paper=view.sheet.name),
                0.36,
            ),
            _Cell(words["sheet"], f"{title.sheet} / {title.sheets}", 0.25),
        ),
    )
    head = Box(box.x, box.y, box.width, _TITLE_ROW)
    shapes: list[Shape] = [
        Rect(head, "label-cell"),
        *centred(head, [(words["arrangement_title"], "bold")], _TITLE_SIZE),
    ]
    height = (box.height - _TITLE_ROW) / len(rows)
    for i, row in enumerate(rows):
        shapes += _row(Box(box.x, head.bottom + height * i, box.width, height), row)
    return Group("titleblock", (*shapes, Rect(box, "frame")))


def _row(box: Box, cells: Sequence[_Cell]) -> list[Shape]:
    shapes: list[Shape] = []
    x = box.x
    for cell in cells:
        width = box.width * cell.share
        label = Box(x, box.y, _LABEL_WIDTH, box.height)
        value = Box(label.right, box.y, width - _LABEL_WIDTH, box.height)
        size = fitting_size([cell.label], _LABEL_WIDTH - 1, box.height, _LABEL_SIZE)
        room = value.width - 2 * _PAD
        large = max(_LABEL_SIZE, fitting_size([cell.value], room, box.height, _VALUE_SIZE))
        shapes += [
            Rect(label, "label-cell"),
            Rect(value, "grid"),
            *centred(label, [(cell.label, "muted")], size),
            Text(
                value.x + _PAD,
                value.middle[1] + large * _BASELINE,
                shorten(cell.value, room, large),
                large,
            ),
        ]
        x += width
    return shapes


def legend(panel: PanelResult, view: Projection, words: Texts) -> Group:
    """Return the legend of what is drawn, the load of each phase, imbalance and heat."""
    strip = view.sheet.strip
    box = Box(strip.x, strip.y, strip.width - _BLOCK_WIDTH, strip.height)
    left = Box(box.x + _PAD * 1.5, box.y + _PAD, _LEGEND_WIDTH, box.height - 2 * _PAD)
    right = Box(left.right, left.y, box.right - left.right - _PAD, left.height)
    shapes: list[Shape] = [
        Rect(box, "frame"),
        Text(left.x, left.y + 4, words["legend"], _VALUE_SIZE, "bold"),
        Text(right.x, left.y + 4, words["phase_loads"], _VALUE_SIZE, "bold"),
        *_swatches(panel, left, words),
        *_loads(panel, right, words),
    ]
    return Group("legend", tuple(shapes))


def _swatches(panel: PanelResult, box: Box, words: Texts) -> list[Shape]:
    entries = _legend_entries(panel, words)
    pitch = min(5.6, (box.height - 7) / len(entries))
    shapes: list[Shape] = []
    for i, (style, text) in enumerate(entries):
        swatch = Box(box.x, box.y + 7 + pitch * i, 8, pitch * 0.72)
        shapes.append(Rect(swatch, style))
        if style == "duct":
            shapes.append(Hatch(swatch, 1.6, "duct-hatch"))
        y = swatch.middle[1] + _LEGEND_SIZE * _BASELINE
        room = box.right - swatch.right - _PAD
        shapes.append(Text(swatch.right + _PAD, y, shorten(text, room, _LEGEND_SIZE), _LEGEND_SIZE))
    return shapes


def _legend_entries(panel: PanelResult, words: Texts) -> list[tuple[str, str]]:
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
    return entries + [
        (style, words[role])
        for role, style in (
            ("spare", "spare"), ("accessory", "accessory"), ("terminal", "terminal"),
            ("duct", "duct"), ("busbar", "bar-N"),
        )
        if role in roles
    ]  # fmt: skip


def _loads(panel: PanelResult, box: Box, words: Texts) -> list[Shape]:
    notes = [
        say(
            words, "heat",
            watts=f"{panel.layout.heat_w:.0f}", amps=f"{panel.layout.phase_current_a:.1f}",
        )
    ]  # fmt: skip
    shapes: list[Shape] = []
    y = box.y + 8
    if panel.phase is None:
        notes.insert(0, words["single_phase"])
    else:
        notes.insert(0, _imbalance(panel.phase, words))
        shapes = _bars(panel.phase, Box(box.x, y, box.width, 21))
        y += 24
    for i, note in enumerate(notes):
        size = min(_LEGEND_SIZE, fitting_size([note], box.width, box.height, _LEGEND_SIZE))
        shapes.append(Text(box.x, y + 3 + 5 * i, note, size))
    return shapes


def _bars(balance: PhaseBalance, box: Box) -> list[Shape]:
    loads = {"R": balance.r_a, "S": balance.s_a, "T": balance.t_a}
    most = max(loads.values()) or 1
    pitch = box.height / len(loads)
    room = box.width - 26
    shapes: list[Shape] = []
    for i, (phase, load) in enumerate(loads.items()):
        bar = Box(box.x + 5, box.y + pitch * i, room * float(load / most), pitch * 0.6)
        y = bar.middle[1] + _LEGEND_SIZE * _BASELINE
        shapes += [
            Text(box.x, y, phase, _LEGEND_SIZE, f"ink-{phase}"),
            Rect(bar, f"bar-{phase}"),
            Text(box.right, y, f"{load:.1f} A", _LEGEND_SIZE, anchor="end"),
        ]
    return shapes


def _imbalance(balance: PhaseBalance, words: Texts) -> str:
    key = "imbalance_proven" if balance.proven_optimal else "imbalance"
    return say(
        words, key, value=f"{balance.imbalance_pct:.2f}", bound=f"{balance.lower_bound_pct:.2f}"
    )
