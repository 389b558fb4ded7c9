"""What the sheets of the quotation workbook share: names, page set-up, the sample mark."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from xlsxwriter.utility import quote_sheetname, xl_range_abs, xl_rowcol_to_cell

from kis_estimator.documents.lettering import ELLIPSIS, clean
from kis_estimator.documents.ooxml.contents import Contents, Formula, Place
from kis_estimator.documents.xlsx.style import Styles

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

    from kis_estimator.documents.sheet import Quotation

Area = tuple[int, int, int, int]
OWN_SHEETS = ("cover_sheet", "summary_sheet", "loads_sheet", "checks_sheet")
_NAME_LIMIT = 31
# What Excel forbids, what other programs misread inside a quoted sheet name, and `_x0041_`, which
# the file format reads as an escaped character.
_FORBIDDEN = re.compile(r"""[\[\]:*?/\\'"|<>!=@;]|_(?=x[0-9A-Fa-f]{4}_)""")
_RESERVED = "history"
_FOOTER_LIMIT = 60
_A4_PAPER = 9
_SIDE, _TOP, _BOTTOM, _MARGIN = 0.45, 0.55, 0.65, 0.3


class Book:
    """An open workbook with its formats, and the quotation that goes in.

    It notes every formula and name that is written, so that the finished file can be held
    against them.
    """

    def __init__(self, workbook: Workbook, quotation: Quotation) -> None:
        self.workbook = workbook
        self.styles = Styles(workbook)
        self.quotation = quotation
        self._own = {key: sheet_name(quotation.words[key], set()) for key in OWN_SHEETS}
        self._taken = {name.lower() for name in self._own.values()}
        self._formulas: dict[Place, Formula] = {}
        self._names: dict[Place, str] = {}

    @property
    def contents(self) -> Contents:
        """Return the formulas and names written so far."""
        return Contents(self._formulas, self._names)

    def add_own_sheet(self, key: str, widths: Sequence[float]) -> Worksheet:
        """Add one of `OWN_SHEETS`; no panel can take its name."""
        return self._add(self._own[key], widths)

    def add_sheet(self, wanted: str, widths: Sequence[float]) -> Worksheet:
        """Add a sheet under the name wanted, or the nearest one that is valid and free."""
        name = sheet_name(wanted, self._taken)
        self._taken.add(name.lower())
        return self._add(name, widths)

    def _add(self, name: str, widths: Sequence[float]) -> Worksheet:
        """Add a sheet set up to print on A4 portrait, one page wide."""
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
        self.write_text(
            sheet, (row, 0, row, last_column), self.quotation.words["sample_mark"], "mark"
        )
        sheet.set_row(row, 20)
        return row + 1

    def write_text(self, sheet: Worksheet, area: Area, text: str, *traits: str) -> None:
        """Write into an area, merged, as text, whatever the text looks like."""
        style = self.styles(*traits)
        if area[:2] != area[2:]:
            sheet.merge_range(*area, "", style)
        sheet.write_string(area[0], area[1], text, style)

    def write_formula(
        self,
        sheet: Worksheet,
        cell: tuple[int, int],
        formula: str,
        value: float | str,
        style: Format,
    ) -> None:
        """Write a formula (without its equals sign) with our own figure as its cached value."""
        sheet.write_formula(*cell, f"={formula}", style, value)
        place = sheet.get_name(), xl_rowcol_to_cell(*cell)
        self._formulas[place] = Formula(formula, value)

    def name_cell(self, name: str, sheet: Worksheet, row: int, column: int) -> str:
        """Give a cell a name of the whole workbook, and return it."""
        return self.name_range(name, sheet, (row, column, row, column))

    def name_range(self, name: str, sheet: Worksheet, area: Area) -> str:
        """Give an area a name, and return it."""
        target = f"{quote_sheetname(sheet.get_name())}!{xl_range_abs(*area)}"
        self.workbook.define_name(name, f"={target}")
        self._names["", name] = target
        return name

    def set_print(
        self, sheet: Worksheet, last_row: int, last_column: int, title_row: int | None = None
    ) -> None:
        """Print from A1 to a cell, with the title row repeated on every page."""
        sheet.print_area(0, 0, last_row, last_column)
        name = sheet.get_name()
        quoted = quote_sheetname(name)
        area = xl_range_abs(0, 0, last_row, last_column)
        self._names[name, "_xlnm.Print_Area"] = f"{quoted}!{area}"
        if title_row is not None:
            sheet.repeat_rows(title_row)
            self._names[name, "_xlnm.Print_Titles"] = f"{quoted}!${title_row + 1}:${title_row + 1}"


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
