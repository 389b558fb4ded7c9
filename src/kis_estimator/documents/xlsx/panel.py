"""One sheet per panel: the bill of materials under its headings, with subtotals.

The rule behind each line stands beside the table, outside the printed area.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xlsxwriter.utility import xl_range, xl_rowcol_to_cell

from kis_estimator.documents.texts import say
from kis_estimator.documents.xlsx.style import row_height

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

    from kis_estimator.documents.sheet import ItemGroup, ItemRow, PanelTable
    from kis_estimator.documents.xlsx.book import Book

_WIDTHS = (6, 28, 27, 6, 9, 12, 14, 11, 30)
_NUMBER, _NAME, _SPEC, _UNIT, _QUANTITY, _PRICE, _AMOUNT, _REMARK, _RULE = range(9)
_LABELS = ("number", "item_name", "spec", "unit", "quantity", "unit_price", "amount", "remark")
_ROW, _TITLE_ROW, _TITLE_SIZE = 17, 28, 14


def write_panel(book: Book, panel: PanelTable) -> str:
    """Add a panel's sheet; return the name of its total (one panel)."""
    sheet = book.add_sheet(panel.name, _WIDTHS)
    row = book.write_mark(sheet, 0, _REMARK)
    heading = _write_heading(book, sheet, row, panel)
    row = heading + 1
    subtotals = []
    for group in panel.groups:
        row, subtotal = _write_group(book, sheet, row, group)
        subtotals.append(subtotal)
    name = f"KIS_Panel{panel.number}_Total"
    label = book.quotation.words["panel_total"]
    formula = f"SUM({','.join(subtotals)})" if subtotals else "0"
    _write_sum(book, sheet, row, (label, formula, panel.unit_price), "total")
    book.name_cell(name, sheet, row, _AMOUNT)
    if panel.quantity > 1:
        row += 1
        label = say(book.quotation.words, "panels_total", quantity=panel.quantity)
        _write_sum(book, sheet, row, (label, f"{name}*{panel.quantity}", panel.amount), "total")
    book.set_print(sheet, row, _REMARK, heading)
    return name


def _write_heading(book: Book, sheet: Worksheet, row: int, panel: PanelTable) -> int:
    words, styles = book.quotation.words, book.styles
    book.write_text(sheet, (row, 0, row, _REMARK), panel.title, "heading", "wrap")
    sheet.set_row(row, row_height([(panel.title, sum(_WIDTHS[:_RULE]))], _TITLE_ROW, _TITLE_SIZE))
    row += 1
    book.write_text(sheet, (row, 0, row, _QUANTITY), panel.facts, "left", "shrink")
    count = say(words, "panel_count", quantity=panel.quantity)
    book.write_text(sheet, (row, _PRICE, row, _REMARK), count, "right", "bold")
    row += 1
    for column, label in enumerate(_LABELS):
        sheet.write_string(row, column, words[label], styles("cell", "head"))
    sheet.write_string(row, _RULE, words["rule"], styles("note", "indent"))
    sheet.set_row(row, _ROW + 2)
    sheet.freeze_panes(row + 1, 0)
    return row


def _write_group(book: Book, sheet: Worksheet, row: int, group: ItemGroup) -> tuple[int, str]:
    """Write heading, lines and subtotal; return the next row and the subtotal's cell."""
    book.write_text(sheet, (row, 0, row, _REMARK), group.title, "cell", "tint", "bold", "indent")
    sheet.set_row(row, _ROW)
    first = row + 1
    for at, item in enumerate(group.rows, start=first):
        _write_item(book, sheet, at, item)
    last = first + len(group.rows) - 1
    formula = f"SUM({xl_range(first, _AMOUNT, last, _AMOUNT)})"
    _write_sum(book, sheet, last + 1, (book.quotation.words["subtotal"], formula, group.subtotal))
    return last + 2, xl_rowcol_to_cell(last + 1, _AMOUNT)


def _write_item(book: Book, sheet: Worksheet, row: int, item: ItemRow) -> None:
    styles = book.styles
    cells = ((item.name, _WIDTHS[_NAME]), (item.spec, _WIDTHS[_SPEC]))
    sheet.set_row(row, row_height(cells, _ROW))
    sheet.write_number(row, _NUMBER, item.number, styles("cell", "center"))
    sheet.write_string(row, _NAME, item.name, styles("cell", "indent", "wrap"))
    sheet.write_string(row, _SPEC, item.spec, styles("cell", "indent", "wrap"))
    sheet.write_string(row, _UNIT, item.unit, styles("cell", "center", "shrink"))
    whole = item.quantity == item.quantity.to_integral_value()
    style = styles("cell", "whole" if whole else "hundredths")
    sheet.write_number(row, _QUANTITY, float(item.quantity), style)
    sheet.write_number(row, _PRICE, item.unit_price, styles("cell", "whole"))
    formula = _amount_formula(row, whole=whole)
    book.write_formula(sheet, (row, _AMOUNT), formula, item.amount, styles("cell", "whole"))
    sheet.write_blank(row, _REMARK, None, styles("cell"))
    sheet.write_string(row, _RULE, item.rule, styles("note", "indent"))


def _amount_formula(row: int, *, whole: bool) -> str:
    """Return quantity * price rounded to 1 won; a fraction is counted in whole hundredths.

    1.15 kg at 24,870 is 28,600.5, but 28,600.49999… in binary, which rounds to the wrong won.
    """
    quantity, price = xl_rowcol_to_cell(row, _QUANTITY), xl_rowcol_to_cell(row, _PRICE)
    if whole:
        return f"ROUND({quantity}*{price},0)"
    return f"ROUND(ROUND({quantity}*100,0)*{price}/100,0)"


def _write_sum(
    book: Book, sheet: Worksheet, row: int, line: tuple[str, str, int], *traits: str
) -> None:
    """Write a line of (label, formula, cached value) across the table."""
    label, formula, value = line
    style = book.styles("cell", "center", "bold", *traits)
    sheet.merge_range(row, 0, row, _PRICE, label, style)
    figures = book.styles("cell", "bold", *traits, "whole")
    book.write_formula(sheet, (row, _AMOUNT), formula, value, figures)
    sheet.write_blank(row, _REMARK, None, style)
    sheet.set_row(row, _ROW)
