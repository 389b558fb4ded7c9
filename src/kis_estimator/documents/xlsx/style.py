"""Cell formats as combinations of named traits, and row heights for wrapped text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING

from kis_estimator.documents.lettering import text_width

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook

FONT = "맑은 고딕"
BODY_SIZE = 9
_EM_PER_COLUMN_UNIT = 0.62
_COLUMN_PADDING = 0.8
_POINTS_PER_LINE = 1.55
_HIGHEST_ROW = 400
_INK, _MUTED, _RULE, _TINT, _HEAD, _MARK = (
    "#1A1A1A", "#8A8F98", "#9AA1AC", "#F3F5F8", "#DDE4EE", "#B3261E",
)  # fmt: skip
_RULES = {
    "pass": {"font_color": "#1B6E3A", "bg_color": "#E4F3E8"},
    "fail": {"font_color": _MARK, "bg_color": "#FBE4E2"},
    "not_verified": {"font_color": "#6B5B12", "bg_color": "#FAF3D6"},
    "exceeded": {"font_color": _MARK, "bg_color": "#FAF3D6"},
}

_TRAITS: Mapping[str, Mapping[str, object]] = {
    # Without font_scheme False, Excel prints Latin text and figures in the theme's Calibri.
    "base": {
        "font_name": FONT, "font_scheme": False, "font_size": BODY_SIZE, "font_color": _INK,
        "valign": "vcenter",
    },
    "cell": {"border": 1, "border_color": _RULE},
    "wrap": {"text_wrap": True},
    "left": {"align": "left"},
    "center": {"align": "center"},
    "right": {"align": "right"},
    "indent": {"align": "left", "indent": 1},
    "bold": {"bold": True},
    "head": {"bold": True, "align": "center", "bg_color": _HEAD, "text_wrap": True},
    "tint": {"bg_color": _TINT},
    # The space that `_-` keeps at the right is not an indent: LibreOffice drops some of those.
    "whole": {"num_format": "#,##0_-;-#,##0_-", "align": "right"},
    "tenths": {"num_format": "#,##0.0_-", "align": "right"},
    "hundredths": {"num_format": "#,##0.00_-", "align": "right"},
    "percent": {"num_format": '0.00"%"', "align": "center"},
    "shrink": {"shrink": True},
    "note": {"font_size": 7, "font_color": _MUTED},
    "title": {"bold": True, "font_size": 26, "align": "center", "bottom": 6},
    "sheet_title": {"bold": True, "font_size": 18, "align": "center", "bottom": 6},
    "unit_note": {"font_size": 8, "align": "right", "font_color": _MUTED},
    "band": {"bold": True, "font_size": 11, "align": "left", "indent": 1, "bg_color": _TINT},
    "heading": {"bold": True, "font_size": 14, "align": "left"},
    "customer": {"bold": True, "font_size": 15, "align": "left", "bottom": 1},
    "large": {"bold": True, "font_size": 13},
    "figures": {"bold": True, "font_size": 11, "align": "center", "shrink": True},
    "total": {"bold": True, "bg_color": _HEAD, "top": 2},
    "mark": {
        "bold": True, "font_size": 10, "font_color": _MARK, "align": "center",
        "border": 2, "border_color": _MARK,
    },
}  # fmt: skip


class Styles:
    """Formats of one workbook, made once per combination of traits."""

    def __init__(self, workbook: Workbook) -> None:
        self._workbook = workbook
        self._made: dict[tuple[str, ...], Format] = {}
        self._rules: dict[str, Format] = {}

    def __call__(self, *traits: str, num_format: str | None = None) -> Format:
        """Return the format that has all traits; later ones win."""
        key = (*traits, num_format or "")
        if key not in self._made:
            properties = dict(_TRAITS["base"])
            for trait in traits:
                properties |= _TRAITS[trait]
            if num_format:
                properties["num_format"] = num_format
            self._made[key] = self._workbook.add_format(properties)
        return self._made[key]

    def rule(self, status: str) -> Format:
        """Return the colours that a conditional format lays over a cell."""
        if status not in self._rules:
            self._rules[status] = self._workbook.add_format(_RULES[status])
        return self._rules[status]


def row_height(cells: Sequence[tuple[str, float]], least: float, size: float = BODY_SIZE) -> float:
    """Return the height [pt] that wrapped (text, column width) cells need at a font size."""
    lines = max(
        sum(_lines(part, width, size) for part in text.split("\n")) for text, width in cells
    )
    return min(_HIGHEST_ROW, max(least, round(lines * size * _POINTS_PER_LINE + 4, 1)))


def _lines(text: str, column: float, size: float) -> int:
    room = (column - _COLUMN_PADDING) * _EM_PER_COLUMN_UNIT * BODY_SIZE
    return max(1, ceil(text_width(text, size) / room))
