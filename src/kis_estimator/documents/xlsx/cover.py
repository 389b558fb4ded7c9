"""The cover of the workbook: whom it is for, the amount in words, the panels, the totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from xlsxwriter.utility import xl_rowcol_to_cell

from kis_estimator.documents.hangul import amount_in_hangul
from kis_estimator.documents.lettering import shorten
from kis_estimator.documents.texts import say
from kis_estimator.documents.xlsx.style import row_height

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

    from kis_estimator.documents.sheet import PanelTable, SummaryKind
    from kis_estimator.documents.xlsx.book import Book

_WIDTHS = (9, 30, 24, 9, 15, 17)
_LABEL, _NAME, _BOX, _QUANTITY, _PRICE, _AMOUNT = range(6)
_ROW, _TITLE_ROW, _TOTAL_ROW, _GAP_ROW = 21, 46, 32, 10
_CUSTOMER_SIZE, _CONTACT_ROOM = 15, 20
_HUNDRED = 100

NAMES: Mapping[SummaryKind, str] = {
    "lines_sum": "KIS_LinesSum",
    "discount": "KIS_Discount",
    "rounding": "KIS_Rounding",
    "supply": "KIS_Supply",
    "vat": "KIS_VAT",
    "total": "KIS_Total",
}


def add_cover(book: Book) -> Worksheet:
    """Add the cover, so that it stands first; it is filled when the panels are known."""
    return book.add_sheet(book.quotation.words["cover_sheet"], _WIDTHS)


def write_cover(book: Book, sheet: Worksheet, panel_totals: Sequence[str]) -> None:
    """Fill the cover; `panel_totals` are the names of the panels' totals, in order."""
    row = book.write_mark(sheet, 0, _AMOUNT)
    row = _write_title(book, sheet, row)
    row = _write_heading(book, sheet, row)
    row = _write_amount(book, sheet, row)
    row = _write_panels(book, sheet, row, panel_totals)
    row = _write_summary(book, sheet, row)
    row = _write_exclusions(book, sheet, row)
    sheet.print_area(0, 0, row - 1, _AMOUNT)


def _write_title(book: Book, sheet: Worksheet, row: int) -> int:
    title = book.quotation.words["quotation_title"]
    sheet.merge_range(row, 0, row, _AMOUNT, title, book.styles("title"))
    sheet.set_row(row, _TITLE_ROW)
    sheet.set_row(row + 1, _GAP_ROW)
    return row + 2


def _write_heading(book: Book, sheet: Worksheet, row: int) -> int:
    quotation, words, styles = book.quotation, book.quotation.words, book.styles
    facts = (
        ("quotation_number", quotation.number, "KIS_Number"),
        ("quotation_date", quotation.date_text, "KIS_Date"),
        ("valid_until", quotation.valid_until_text, "KIS_ValidUntil"),
    )
    room = _WIDTHS[_LABEL] + _WIDTHS[_NAME]
    height = row_height([(quotation.customer, room)], 2 * _ROW, _CUSTOMER_SIZE) / 2
    for at, (label, value, name) in enumerate(facts, start=row):
        sheet.set_row(at, height if at < row + 2 else _ROW)
        sheet.write_string(at, _QUANTITY, words[label], styles("cell", "head"))
        _write_merged(book, sheet, (at, _PRICE, at, _AMOUNT), value, "cell", "indent", "shrink")
        book.name_cell(name, sheet, at, _PRICE)
    _write_merged(
        book, sheet, (row, _LABEL, row + 1, _NAME), quotation.customer, "customer", "wrap"
    )
    book.name_cell("KIS_Customer", sheet, row, _LABEL)
    _write_merged(book, sheet, (row, _BOX, row + 1, _BOX), words["honorific"], "customer")
    greeting = words["greeting"]
    if quotation.contact:
        greeting = (
            f"{say(words, 'contact', name=shorten(quotation.contact, _CONTACT_ROOM))}   {greeting}"
        )
    _write_merged(book, sheet, (row + 2, _LABEL, row + 2, _BOX), greeting, "left", "shrink")
    sheet.set_row(row + 3, _GAP_ROW)
    return row + 4


def _write_amount(book: Book, sheet: Worksheet, row: int) -> int:
    quotation, words, styles = book.quotation, book.quotation.words, book.styles
    total = quotation.totals.total
    spelled = say(words, "amount_words", words=amount_in_hangul(total))
    sheet.write_string(row, _LABEL, words["project"], styles("cell", "head"))
    area = (row, _NAME, row, _AMOUNT)
    _write_merged(book, sheet, area, quotation.project, "cell", "indent", "bold", "wrap")
    book.name_cell("KIS_Project", sheet, row, _NAME)
    room = sum(_WIDTHS[_NAME:])
    sheet.set_row(row, row_height([(quotation.project, room)], _ROW + 3))

    row += 1
    sheet.set_row(row, _TOTAL_ROW)
    sheet.write_string(row, _LABEL, words["total_amount"], styles("cell", "head"))
    sheet.merge_range(row, _NAME, row, _QUANTITY, "", styles("cell", "indent", "large", "shrink"))
    sheet.write_formula(
        row,
        _NAME,
        f'=IF(KIS_Total={total},"{spelled}","{words["amount_changed"]}")',
        styles("cell", "indent", "large", "shrink"),
        spelled,
    )
    figures = styles("cell", "figures", num_format=words["amount_figures_format"])
    sheet.merge_range(row, _PRICE, row, _AMOUNT, "", figures)
    sheet.write_formula(row, _PRICE, "=KIS_Total", figures, total)
    _write_merged(
        book,
        sheet,
        (row + 1, _LABEL, row + 1, _AMOUNT),
        words["vat_excluded_note"],
        "note",
        "right",
    )
    return row + 2


def _write_panels(book: Book, sheet: Worksheet, row: int, panel_totals: Sequence[str]) -> int:
    words, styles = book.quotation.words, book.styles
    labels = ("number", "panel_name", "enclosure", "panel_quantity", "unit_price", "amount")
    for column, label in enumerate(labels):
        sheet.write_string(row, column, words[label], styles("cell", "head"))
    sheet.set_row(row, _ROW)
    sheet.repeat_rows(row)
    panels = book.quotation.panels
    for at, (panel, total) in enumerate(zip(panels, panel_totals, strict=True), start=row + 1):
        _write_panel(book, sheet, at, panel, total)
    last = row + len(panels)
    book.name_range("KIS_PanelAmounts", sheet, (row + 1, _AMOUNT, last, _AMOUNT))
    return last + 1


def _write_panel(book: Book, sheet: Worksheet, row: int, panel: PanelTable, total: str) -> None:
    styles = book.styles
    cells = ((panel.name, _WIDTHS[_NAME]), (panel.enclosure, _WIDTHS[_BOX]))
    sheet.set_row(row, row_height(cells, _ROW))
    sheet.write_number(row, _LABEL, panel.number, styles("cell", "center"))
    sheet.write_string(row, _NAME, panel.name, styles("cell", "indent", "wrap"))
    sheet.write_string(row, _BOX, panel.enclosure, styles("cell", "indent", "wrap"))
    sheet.write_number(row, _QUANTITY, panel.quantity, styles("cell", "whole"))
    sheet.write_formula(row, _PRICE, f"={total}", styles("cell", "whole"), panel.unit_price)
    quantity = xl_rowcol_to_cell(row, _QUANTITY)
    price = xl_rowcol_to_cell(row, _PRICE)
    sheet.write_formula(row, _AMOUNT, f"={quantity}*{price}", styles("cell", "whole"), panel.amount)


def _write_summary(book: Book, sheet: Worksheet, row: int) -> int:
    kinds = [line.kind for line in book.quotation.summary]
    for at, line in enumerate(book.quotation.summary, start=row):
        traits = {"total": ("total",), "lines_sum": ("tint",), "supply": ("bold",)}.get(
            line.kind, ()
        )
        area = (at, _LABEL, at, _PRICE)
        _write_merged(book, sheet, area, line.label, "cell", "center", *traits)
        formula = _formula(line.kind, book, kinds)
        sheet.write_formula(
            at, _AMOUNT, f"={formula}", book.styles("cell", *traits, "whole"), line.value
        )
        book.name_cell(NAMES[line.kind], sheet, at, _AMOUNT)
        sheet.set_row(at, _ROW + (3 if line.kind == "total" else 0))
    return row + len(kinds)


def _formula(kind: SummaryKind, book: Book, kinds: Sequence[SummaryKind]) -> str:
    """Return the formula of a summary line over the names of the lines that are printed.

    Percentages are written as whole-number fractions and a cut as division and INT, so that
    binary arithmetic cannot miss a half won.
    """
    quotation = book.quotation
    deductions = [NAMES[k] for k in kinds if k in ("discount", "rounding")]
    before_rounding = "+".join(["KIS_LinesSum", *deductions[: "discount" in kinds]])
    step = quotation.round_down_to
    formulas: Mapping[SummaryKind, str] = {
        "lines_sum": "SUM(KIS_PanelAmounts)",
        "discount": f"-ROUND({_share('KIS_LinesSum', quotation.discount_pct)},0)",
        "rounding": f"INT(({before_rounding})/{step})*{step}-({before_rounding})",
        "supply": "+".join(["KIS_LinesSum", *deductions]),
        "vat": f"INT({_share('KIS_Supply', quotation.vat_pct)})",
        "total": "KIS_Supply+KIS_VAT",
    }
    return formulas[kind]


def _share(name: str, pct: Decimal) -> str:
    numerator, denominator = (pct / _HUNDRED).as_integer_ratio()
    return f"{name}*{numerator}/{denominator}"


def _write_exclusions(book: Book, sheet: Worksheet, row: int) -> int:
    quotation = book.quotation
    if not quotation.exclusions:
        return row
    note = say(quotation.words, "excluded", items=quotation.exclusions)
    sheet.set_row(row, _GAP_ROW)
    area = (row + 1, _LABEL, row + 1, _AMOUNT)
    _write_merged(book, sheet, area, note, "left", "wrap")
    sheet.set_row(row + 1, row_height([(note, sum(_WIDTHS))], _ROW))
    return row + 2


def _write_merged(
    book: Book, sheet: Worksheet, area: tuple[int, int, int, int], text: str, *traits: str
) -> None:
    """Merge an area and write into it as text, whatever the text looks like."""
    style = book.styles(*traits)
    if area[:2] != area[2:]:
        sheet.merge_range(*area, "", style)
    sheet.write_string(area[0], area[1], text, style)
