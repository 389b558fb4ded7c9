"""The summary (총괄): every panel with its enclosure, main breaker, quantity and amount."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xlsxwriter.utility import xl_rowcol_to_cell

from kis_estimator.documents.xlsx.style import row_height

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

    from kis_estimator.documents.sheet import PanelTable
    from kis_estimator.documents.xlsx.book import Book

_WIDTHS = (6, 23, 19, 20, 10, 10, 9, 13, 15)
_NUMBER, _NAME, _BOX, _MAIN, _BRANCHES, _HEAT, _QUANTITY, _PRICE, _AMOUNT = range(9)
_LABELS = (
    "number", "panel_name", "enclosure", "main_breaker", "branch_count", "heat_watts",
    "panel_quantity", "unit_price", "amount",
)  # fmt: skip
_ROW, _TITLE_ROW = 21, 36
LINES_SUM, PANEL_COUNT = "KIS_LinesSum", "KIS_PanelCount"
_AMOUNTS, _COUNTS = "KIS_PanelAmounts", "KIS_PanelQuantities"


def add_summary(book: Book) -> Worksheet:
    """Add the summary, so that it stands before the panels; it is filled after them."""
    return book.add_own_sheet("summary_sheet", _WIDTHS)


def write_summary(book: Book, sheet: Worksheet, panel_totals: Sequence[str]) -> None:
    """Fill the summary; `panel_totals` are the names of the panels' totals, in order."""
    words, styles = book.quotation.words, book.styles
    row = book.write_mark(sheet, 0, _AMOUNT)
    book.write_text(sheet, (row, 0, row, _AMOUNT), words["summary_title"], "sheet_title")
    sheet.set_row(row, _TITLE_ROW)
    book.write_text(sheet, (row + 1, 0, row + 1, _AMOUNT), words["vat_excluded_note"], "unit_note")
    row += 2
    for column, label in enumerate(_LABELS):
        sheet.write_string(row, column, words[label], styles("cell", "head"))
    sheet.set_row(row, _ROW)
    sheet.freeze_panes(row + 1, 0)
    panels = book.quotation.panels
    for at, (panel, total) in enumerate(zip(panels, panel_totals, strict=True), start=row + 1):
        _write_panel(book, sheet, at, panel, total)
    last = row + len(panels)
    book.name_range(_AMOUNTS, sheet, (row + 1, _AMOUNT, last, _AMOUNT))
    book.name_range(_COUNTS, sheet, (row + 1, _QUANTITY, last, _QUANTITY))
    _write_sum(book, sheet, last + 1)
    book.set_print(sheet, last + 1, _AMOUNT, row)


def _write_panel(book: Book, sheet: Worksheet, row: int, panel: PanelTable, total: str) -> None:
    styles = book.styles
    texts = ((_NAME, panel.name), (_BOX, panel.enclosure), (_MAIN, panel.main))
    for column, text in texts:
        sheet.write_string(row, column, text, styles("cell", "indent", "wrap"))
    sheet.set_row(row, row_height([(text, _WIDTHS[column]) for column, text in texts], _ROW))
    sheet.write_number(row, _NUMBER, panel.number, styles("cell", "center"))
    sheet.write_number(row, _BRANCHES, panel.branches, styles("cell", "whole"))
    sheet.write_number(row, _HEAT, float(panel.heat_w), styles("cell", "tenths"))
    sheet.write_number(row, _QUANTITY, panel.quantity, styles("cell", "whole"))
    whole = styles("cell", "whole")
    book.write_formula(sheet, (row, _PRICE), total, panel.unit_price, whole)
    quantity, price = (xl_rowcol_to_cell(row, column) for column in (_QUANTITY, _PRICE))
    book.write_formula(sheet, (row, _AMOUNT), f"{quantity}*{price}", panel.amount, whole)


def _write_sum(book: Book, sheet: Worksheet, row: int) -> None:
    quotation, traits = book.quotation, ("cell", "total")
    label = quotation.words["panels_sum"]
    book.write_text(sheet, (row, 0, row, _HEAT), label, *traits, "center")
    figures = book.styles(*traits, "whole")
    count = sum(panel.quantity for panel in quotation.panels)
    book.write_formula(sheet, (row, _QUANTITY), f"SUM({_COUNTS})", count, figures)
    book.name_cell(PANEL_COUNT, sheet, row, _QUANTITY)
    sheet.write_blank(row, _PRICE, None, figures)
    total = quotation.totals.lines_sum
    book.write_formula(sheet, (row, _AMOUNT), f"SUM({_AMOUNTS})", total, figures)
    book.name_cell(LINES_SUM, sheet, row, _AMOUNT)
    sheet.set_row(row, _ROW + 3)
