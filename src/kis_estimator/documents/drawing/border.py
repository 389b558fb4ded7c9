"""What stands around every drawing: frame, heading and title block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kis_estimator.documents.drawing.bodies import centred
from kis_estimator.documents.drawing.projection import Sheet
from kis_estimator.documents.drawing.scene import Box, Group, Rect, Shape, Text
from kis_estimator.documents.lettering import LINE_HEIGHT, fitting_size, text_width, wrapped
from kis_estimator.documents.sheet import (
    breaker_text,
    enclosure_name,
    enclosure_size,
)
from kis_estimator.documents.texts import Texts, say

if TYPE_CHECKING:
    from kis_estimator.engine.model import PanelResult

PAD = 2.0
BASELINE = 0.35
_BLOCK_WIDTH, _LABEL_WIDTH, _TITLE_ROW = 148, 17, 10
_LABEL_SIZE, _VALUE_SIZE, _VALUE_LEAST, _TITLE_SIZE = 2.3, 3.0, 1.4, 4.2
_NAME_SIZE, _NAME_LEAST, _MARK_SIZE = 5.5, 2.0, 3.2
_ROW_CLEAR = 0.6


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
class Plate:
    """What a drawing is: its sheet, its name and its scale as text."""

    sheet: Sheet
    name: str
    scale: str

    @property
    def block(self) -> Box:
        """Return where the title block stands: the lower right."""
        strip = self.sheet.strip
        return Box(strip.right - _BLOCK_WIDTH, strip.y, _BLOCK_WIDTH, strip.height)

    @property
    def notes(self) -> Box:
        """Return where legend and notes stand: beside the title block."""
        strip = self.sheet.strip
        return Box(strip.x, strip.y, strip.width - _BLOCK_WIDTH, strip.height)


@dataclass(frozen=True, slots=True)
class _Cell:
    """A labelled cell of the title block; `share` of the row's width."""

    label: str
    value: str
    share: float = 1.0


def frame(title: TitleBlock, sheet: Sheet, words: Texts) -> Group:
    """Return the paper, its frame, the panel's name and the sample mark."""
    heading = sheet.heading
    shapes: list[Shape] = [Rect(sheet.box, "paper"), Rect(sheet.frame, "frame")]
    room, y = heading.width - 4 * PAD, heading.middle[1] + 1
    if title.sample:
        mark = words["sample_mark"]
        width = text_width(mark, _MARK_SIZE, bold=True) + 2 * PAD
        box = Box(heading.right - width - PAD, y - 4, width, 8)
        shapes += [Rect(box, "mark-frame"), *centred(box, [(mark, "mark")], _MARK_SIZE)]
        room -= width + 2 * PAD
    space, sizes = (room, heading.height - PAD), (_NAME_LEAST, _NAME_SIZE)
    lines, size = wrapped(title.panel, space, sizes, bold=True)
    shapes += stacked(heading.x + 2 * PAD, y, lines, size, "bold")
    return Group("frame", tuple(shapes))


def title_block(panel: PanelResult, title: TitleBlock, plate: Plate, words: Texts) -> Group:
    """Return the block at the lower right."""
    enclosure = panel.enclosure
    box = plate.block
    kind = " ".join(
        (
            *(words[key] for key in (enclosure.location, enclosure.mounting)),
            sheet_metal(panel, words),
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
            _Cell(words["scale"], plate.scale, 0.36),
            _Cell(words["sheet"], f"{title.sheet} / {title.sheets}", 0.25),
        ),
    )
    head = Box(box.x, box.y, box.width, _TITLE_ROW)
    shapes: list[Shape] = [
        Rect(head, "label-cell"),
        *centred(head, [(plate.name, "bold")], _TITLE_SIZE),
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
        room = value.width - 2 * PAD
        sizes = (_VALUE_LEAST, _VALUE_SIZE)
        lines, large = wrapped(cell.value, (room, box.height - _ROW_CLEAR), sizes)
        shapes += [
            Rect(label, "label-cell"),
            Rect(value, "grid"),
            *centred(label, [(cell.label, "muted")], size),
            *stacked(value.x + PAD, value.middle[1], lines, large),
        ]
        x += width
    return shapes


def stacked(
    x: float, middle: float, lines: Sequence[str], size: float, style: str = "text"
) -> list[Text]:
    """Return lines from x on, one below the other around a height."""
    first = middle + (BASELINE - (len(lines) - 1) / 2 * LINE_HEIGHT) * size
    return [Text(x, first + i * LINE_HEIGHT * size, t, size, style) for i, t in enumerate(lines)]


def sheet_metal(panel: PanelResult, words: Texts) -> str:
    """Return the material and thickness of the enclosure."""
    enclosure = panel.enclosure
    return f"{words[enclosure.material]} {enclosure.thickness_mm:f}T"
