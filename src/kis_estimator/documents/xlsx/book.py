"""What the sheets of the quotation workbook share: names, page set-up, the sample mark."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from xlsxwriter.utility import xl_range_abs

from kis_estimator.documents.lettering import ELLIPSIS, clean
from kis_estimator.documents.xlsx.style import Styles

if TYPE_CHECKING:
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

    from kis_estimator.documents.sheet import Quotation

_NAME_LIMIT = 31
# What Excel forbids, what other programs misread inside a quoted sheet name, and `_x0041_`, which
# the file format reads as an escaped character.
_FORBIDDEN = re.compile(r"""[\[\]:*?/\\'"|<>!=@;]|_(?=x[0-9A-Fa-f]{4}_)""")
_RESERVED = "history"
_FOOTER_LIMIT = 60
_A4_PAPER = 9
_SIDE, _TOP, _BOTTOM, _MARGIN = 0.45, 0.55, 0.65, 0.3


@dataclass(frozen=True, slots=True)
class Book:
    """An open workbook with its formats, and the quotation that goes in."""

    workbook: Workbook
    styles: Styles
    quotation: Quotation
    _taken: set[str] = field(default_factory=set)

    def add_sheet(self, wanted: str, widths: Sequence[float]) -> Worksheet:
        """Add a sheet set up to print on A4 portrait, one page wide."""
        name = sheet_name(wanted, self._taken)
        self._taken.add(name.lower())
        sheet = self.workbook.add_worksheet(name)
        for column, width in enumerate(widths):
            sheet.set_column(column, column, width)
        sheet.hide_gridlines(2)
        sheet.set_paper(_A4_PAPER)
        sheet.set_portrait()
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(left=_SIDE, right=_SIDE, top=_TOP, bottom=_BOTTOM)
        sheet.center_horizontally()
        number = self.quotation.number[:_FOOTER_LIMIT].replace("&", "&&")
        mark = f"&8{self.quotation.words['sample_short']}  " if self.quotation.sample else "&8"
        sheet.set_footer(f"&L&8{number}&C&8&P / &N&R{mark}&A", {"margin": _MARGIN})
        return sheet

    def write_mark(self, sheet: Worksheet, row: int, last_column: int) -> int:
        """Write the sample mark across the sheet where it is due; return the next row."""
        if not self.quotation.sample:
            return row
        mark = self.quotation.words["sample_mark"]
        sheet.merge_range(row, 0, row, last_column, mark, self.styles("mark"))
        sheet.set_row(row, 20)
        return row + 1

    def name_cell(self, name: str, sheet: Worksheet, row: int, column: int) -> str:
        """Give a cell a name of the whole workbook, and return it."""
        return self.name_range(name, sheet, (row, column, row, column))

    def name_range(self, name: str, sheet: Worksheet, area: tuple[int, int, int, int]) -> str:
        """Give an area (first row, first column, last row, last column) a name, and return it."""
        self.workbook.define_name(name, f"='{sheet.get_name()}'!{xl_range_abs(*area)}")
        return name


def sheet_name(wanted: str, taken: set[str]) -> str:
    r"""Return a name Excel accepts: short, plain, not blank or "History", not taken.

    `taken` holds names in lower case.

    >>> sheet_name("LP-1/2", set()), sheet_name("lp-1", {"lp-1"}), sheet_name("=:", set())
    ('LP-1-2', 'lp-1 (2)', 'Sheet')
    """
    base = _FORBIDDEN.sub("-", clean(wanted)).strip("- ") or "Sheet"
    if base.lower() == _RESERVED:
        base += "-1"
    name, copy = _cut(base, _NAME_LIMIT), 1
    while name.lower() in taken:
        copy += 1
        suffix = f" ({copy})"
        name = _cut(base, _NAME_LIMIT - len(suffix)) + suffix
    return name


def _cut(text: str, limit: int) -> str:
    """Cut to a number of UTF-16 units, which is how Excel counts."""
    if _units(text) <= limit:
        return text
    while _units(text) > limit - 1:
        text = text[:-1]
    return text.rstrip() + ELLIPSIS


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
