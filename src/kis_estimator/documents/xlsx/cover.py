"""The cover of the workbook: who quotes to whom, the amount, the terms."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from kis_estimator.documents.hangul import amount_in_hangul
from kis_estimator.documents.lettering import text_width
from kis_estimator.documents.texts import say
from kis_estimator.documents.xlsx.style import BODY_SIZE, row_height
from kis_estimator.documents.xlsx.summary import LINES_SUM, PANEL_COUNT

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

    from kis_estimator.documents.sheet import SummaryKind
    from kis_estimator.documents.xlsx.book import Book

# Left: what is quoted to whom; a gap; right: the supplier.
_WIDTHS = (11, 25, 10, 1.5, 12, 18, 20)
_LEFT, _LEFT_VALUE, _HONORIFIC, _GAP, _RIGHT, _RIGHT_VALUE, _LAST = range(7)
_ROW, _TITLE_ROW, _TOTAL_ROW, _GAP_ROW, _SEAL_ROW, _MARK_ROW = 21, 46, 34, 10, 32, 20
_CUSTOMER_SIZE, _CONTACT_ROOM, _PORTION = 15, 12, 300
_SEAL_PIXELS, _INDENT_PIXELS, _PIXELS_PER_POINT = 48, 10, 96 / 72
_PNG_SIZES = (16, 20)  # where a PNG says its width and height
_HUNDRED = 100

NAMES: Mapping[SummaryKind, str] = {
    "lines_sum": LINES_SUM,
    "discount": "KIS_Discount",
    "rounding": "KIS_Rounding",
    "supply": "KIS_Supply",
    "vat": "KIS_VAT",
    "total": "KIS_Total",
}


def add_cover(book: Book) -> Worksheet:
    """Add the cover, so that it stands first; it is filled when the panels are known."""
    return book.add_own_sheet("cover_sheet", _WIDTHS)


def write_cover(book: Book, sheet: Worksheet) -> None:
    """Fill the cover."""
    row = _write_marks(book, sheet)
    book.write_text(sheet, (row, 0, row, _LAST), book.quotation.words["quotation_title"], "title")
    sheet.set_row(row, _TITLE_ROW)
    sheet.set_row(row + 1, _GAP_ROW)
    heights = _write_supplier(book, sheet, row + 2)
    _write_customer(book, sheet, row + 2, heights)
    row = _write_amount(book, sheet, row + 3 + len(heights))
    row = _write_totals(book, sheet, row)
    row = _write_terms(book, sheet, row + 1)
    book.set_print(sheet, row - 1, _LAST)


def _write_marks(book: Book, sheet: Worksheet) -> int:
    """Write side by side why this may not be sent; return the next row."""
    quotation, words = book.quotation, book.quotation.words
    if not quotation.supplier.placeholder:
        return book.write_mark(sheet, 0, _LAST)
    first = _GAP if quotation.sample else _LEFT
    if quotation.sample:
        area = (0, _LEFT, 0, _HONORIFIC)
        book.write_text(sheet, area, words["sample_mark"], "mark", "shrink")
    book.write_text(sheet, (0, first, 0, _LAST), words["placeholder_mark"], "mark", "shrink")
    sheet.set_row(0, _MARK_ROW)
    return 1


def _write_supplier(book: Book, sheet: Worksheet, first: int) -> list[float]:
    """Write the supplier's block; return the height of each of its rows."""
    supplier, words = book.quotation.supplier, book.quotation.words
    lines = [
        ("supplier_registration", supplier.registration_number),
        ("supplier_name", supplier.name),
        (
            "supplier_representative",
            say(words, "supplier_representative_seal", name=supplier.representative),
        ),
        ("supplier_address", supplier.address),
        ("supplier_business", f"{supplier.business_type} / {supplier.business_item}"),
        ("supplier_phone", supplier.phone),
    ]
    more = (("supplier_fax", supplier.fax), ("supplier_email", supplier.email))
    lines += [(label, text) for label, text in more if text]
    heights = []
    for row, (label, text) in enumerate(lines, start=first):
        sheet.write_string(row, _RIGHT, words[label], book.styles("cell", "head"))
        area = (row, _RIGHT_VALUE, row, _LAST)
        book.write_text(sheet, area, text, "cell", "indent", "wrap")
        sealed = label == "supplier_representative" and supplier.seal is not None
        least = _SEAL_ROW if sealed else _ROW
        heights.append(row_height([(text, _WIDTHS[_RIGHT_VALUE] + _WIDTHS[_LAST])], least))
        sheet.set_row(row, heights[-1])
    if supplier.seal is not None:
        _insert_seal(sheet, first + 1, supplier.seal, lines[2][1], heights[1])
    return heights


def _insert_seal(sheet: Worksheet, row: int, seal: bytes, signed: str, height: float) -> None:
    """Lay the seal over the end of what is signed, in the row below `row`, as it is stamped."""
    sizes = (int.from_bytes(seal[at : at + 4], "big") for at in _PNG_SIZES)
    scale = _SEAL_PIXELS / max(1, *sizes)
    end = _INDENT_PIXELS + text_width(signed, BODY_SIZE * _PIXELS_PER_POINT)
    sheet.insert_image(
        row,
        _RIGHT_VALUE,
        "seal.png",
        {
            "image_data": io.BytesIO(seal),
            "x_scale": scale,
            "y_scale": scale,
            "x_offset": max(0, end - _SEAL_PIXELS / 2),
            "y_offset": (height + _SEAL_ROW / 2) * _PIXELS_PER_POINT - _SEAL_PIXELS / 2,
            "decorative": True,
        },
    )


def _write_customer(book: Book, sheet: Worksheet, row: int, heights: Sequence[float]) -> None:
    """Write number, date, validity, customer and greeting beside the supplier's block."""
    quotation, words = book.quotation, book.quotation.words
    facts = (
        ("quotation_number", quotation.number, "KIS_Number"),
        ("quotation_date", quotation.date_text, "KIS_Date"),
        ("valid_until", quotation.valid_until_text, "KIS_ValidUntil"),
    )
    for at, (label, value, name) in enumerate(facts, start=row):
        sheet.write_string(at, _LEFT, words[label], book.styles("cell", "head"))
        area = (at, _LEFT_VALUE, at, _HONORIFIC)
        book.write_text(sheet, area, value, "cell", "indent", "shrink")
        book.name_cell(name, sheet, at, _LEFT_VALUE)
    top = row + len(facts)
    room = _WIDTHS[_LEFT] + _WIDTHS[_LEFT_VALUE]
    needed = row_height([(quotation.customer, room)], 2 * _ROW, _CUSTOMER_SIZE)
    for at in (top, top + 1):
        sheet.set_row(at, max(heights[at - row], needed / 2))
    area = (top, _LEFT, top + 1, _LEFT_VALUE)
    book.write_text(sheet, area, quotation.customer, "customer", "wrap")
    book.name_cell("KIS_Customer", sheet, top, _LEFT)
    area = (top, _HONORIFIC, top + 1, _HONORIFIC)
    book.write_text(sheet, area, words["honorific"], "customer")
    greeting = words["greeting"]
    if quotation.contact:
        between = "   " if text_width(quotation.contact) <= _CONTACT_ROOM else "\n"
        greeting = f"{say(words, 'contact', name=quotation.contact)}{between}{greeting}"
    at = top + 2
    sheet.set_row(at, row_height([(greeting, room + _WIDTHS[_HONORIFIC])], heights[at - row]))
    book.write_text(sheet, (at, _LEFT, at, _HONORIFIC), greeting, "left", "wrap")


def _write_amount(book: Book, sheet: Worksheet, row: int) -> int:
    quotation, words, styles = book.quotation, book.quotation.words, book.styles
    sheet.set_row(row - 1, _GAP_ROW)
    sheet.write_string(row, _LEFT, words["project"], styles("cell", "head"))
    area = (row, _LEFT_VALUE, row, _LAST)
    book.write_text(sheet, area, quotation.project, "cell", "indent", "bold", "wrap")
    book.name_cell("KIS_Project", sheet, row, _LEFT_VALUE)
    room = sum(_WIDTHS[_LEFT_VALUE:])
    sheet.set_row(row, row_height([(quotation.project, room)], _ROW + 3))

    row += 1
    total = quotation.totals.total
    spelled = say(words, "amount_words", words=amount_in_hangul(total))
    sheet.set_row(row, _TOTAL_ROW)
    sheet.write_string(row, _LEFT, words["total_amount"], styles("cell", "head"))
    style = styles("cell", "indent", "large", "shrink")
    sheet.merge_range(row, _LEFT_VALUE, row, _RIGHT, "", style)
    formula = f'IF(KIS_Total={total},"{spelled}","{words["amount_changed"]}")'
    book.write_formula(sheet, (row, _LEFT_VALUE), formula, spelled, style)
    book.name_cell("KIS_TotalWords", sheet, row, _LEFT_VALUE)
    style = styles("cell", "figures", num_format=words["amount_figures_format"])
    sheet.merge_range(row, _RIGHT_VALUE, row, _LAST, "", style)
    book.write_formula(sheet, (row, _RIGHT_VALUE), "KIS_Total", total, style)
    area = (row + 1, _LEFT, row + 1, _LAST)
    book.write_text(sheet, area, words["vat_excluded_note"], "unit_note")
    return row + 2


def _write_totals(book: Book, sheet: Worksheet, row: int) -> int:
    """Write the scope as one line, and below it how the total comes about."""
    quotation, words, styles = book.quotation, book.quotation.words, book.styles
    head = ("cell", "head")
    book.write_text(sheet, (row, _LEFT, row, _HONORIFIC), words["item_name"], *head)
    book.write_text(sheet, (row, _GAP, row, _RIGHT), words["panel_quantity"], *head)
    book.write_text(sheet, (row, _RIGHT_VALUE, row, _RIGHT_VALUE), words["amount"], *head)
    book.write_text(sheet, (row, _LAST, row, _LAST), words["remark"], *head)
    sheet.set_row(row, _ROW)

    row += 1
    scope = _scope(book)
    room = sum(_WIDTHS[: _HONORIFIC + 1])
    sheet.set_row(row, row_height([(scope, room)], _ROW + 3))
    area = (row, _LEFT, row, _HONORIFIC)
    book.write_text(sheet, area, scope, "cell", "indent", "wrap")
    count = sum(panel.quantity for panel in quotation.panels)
    sheet.merge_range(row, _GAP, row, _RIGHT, "", styles("cell", "whole"))
    book.write_formula(sheet, (row, _GAP), PANEL_COUNT, count, styles("cell", "whole"))
    remark = words["see_summary"]
    kinds = [line.kind for line in quotation.summary]
    for at, line in enumerate(quotation.summary, start=row):
        traits = {"total": ("total",), "supply": ("bold",)}.get(line.kind, ())
        if line.kind != "lines_sum":
            area = (at, _LEFT, at, _RIGHT)
            book.write_text(sheet, area, line.label, "cell", "center", *traits)
            sheet.set_row(at, _ROW + (3 if line.kind == "total" else 0))
        formula = _formula(line.kind, book, kinds)
        figures = styles("cell", *traits, "whole")
        book.write_formula(sheet, (at, _RIGHT_VALUE), formula, line.value, figures)
        if line.kind != "lines_sum":
            book.name_cell(NAMES[line.kind], sheet, at, _RIGHT_VALUE)
        sheet.write_string(at, _LAST, remark, styles("cell", "center", *traits))
        remark = ""
    return row + len(kinds)


def _scope(book: Book) -> str:
    """Return the work in one line: the first panel, and how many more kinds."""
    words, panels = book.quotation.words, book.quotation.panels
    names = panels[0].name
    if panels[1:]:
        names = say(words, "scope_and_more", name=names, more=len(panels) - 1)
    return say(words, "scope", panels=names)


def _formula(kind: SummaryKind, book: Book, kinds: Sequence[SummaryKind]) -> str:
    """Return the formula of a summary line over the names of the lines that are printed.

    Percentages are written as whole-number fractions and a cut as division and INT, so that
    binary arithmetic cannot miss a half won.
    """
    quotation = book.quotation
    deductions = [NAMES[k] for k in kinds if k in ("discount", "rounding")]
    before_rounding = "+".join([LINES_SUM, *deductions[: "discount" in kinds]])
    step = quotation.round_down_to
    formulas: Mapping[SummaryKind, str] = {
        "lines_sum": LINES_SUM,
        "discount": f"-ROUND({_share(LINES_SUM, quotation.discount_pct)},0)",
        "rounding": f"INT(({before_rounding})/{step})*{step}-({before_rounding})",
        "supply": "+".join([LINES_SUM, *deductions]),
        "vat": f"INT({_share('KIS_Supply', quotation.vat_pct)})",
        "total": "KIS_Supply+KIS_VAT",
    }
    return formulas[kind]


def _share(name: str, pct: Decimal) -> str:
    numerator, denominator = (pct / _HUNDRED).as_integer_ratio()
    return f"{name}*{numerator}/{denominator}"


def _write_terms(book: Book, sheet: Worksheet, row: int) -> int:
    """Write the terms and what the offer leaves out; return the next row."""
    sheet.set_row(row - 1, _GAP_ROW)
    room = sum(_WIDTHS[_LEFT_VALUE:])
    for label, text in _terms(book):
        sheet.write_string(row, _LEFT, label, book.styles("cell", "head"))
        area = (row, _LEFT_VALUE, row, _LAST)
        book.write_text(sheet, area, text, "cell", "indent", "wrap")
        sheet.set_row(row, row_height([(text, room)], _ROW))
        row += 1
    return row


def _terms(book: Book) -> Iterator[tuple[str, str]]:
    quotation, words, supplier = book.quotation, book.quotation.words, book.quotation.supplier
    yield words["delivery"], supplier.delivery
    yield words["payment"], supplier.payment
    yield words["bank_account"], supplier.bank_account
    notes = [f"{number}. {note}" for number, note in enumerate(supplier.notes, start=1)]
    if notes:
        yield words["notes"], "\n".join(notes)
    for items in _portions(quotation.exclusions):
        yield "", say(words, "excluded", items=items)


def _portions(items: Sequence[str]) -> Iterator[list[str]]:
    """Yield the items in portions that a row has room for."""
    portion: list[str] = []
    for item in items:
        if portion and sum(map(len, portion)) + len(item) > _PORTION:
            yield portion
            portion = []
        portion.append(item)
    if portion:
        yield portion
