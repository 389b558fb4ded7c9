"""The design checks (설계검토): each gate and clause as pass, fail or not verified."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING

from kis_estimator.documents.texts import say
from kis_estimator.documents.xlsx.style import row_height

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

    from kis_estimator.documents.checks import CheckRow, Status
    from kis_estimator.documents.xlsx.book import Book

_WIDTHS = (9, 40, 20, 12, 12, 31)
_CLAUSE, _ITEM, _STATUS, _FIGURE, _LIMIT, _SOURCE = range(6)
_LABELS = (
    "check_clause", "check_item", "check_status", "check_figure", "check_limit", "check_source",
)  # fmt: skip
_ROW, _TITLE_ROW = 17, 36
_STATUSES: Mapping[Status, str] = {
    "pass": "status_pass",
    "fail": "status_fail",
    "not_verified": "status_not_verified",
    "exceeded": "status_exceeded",
}
_RESULTS = "KIS_CheckResults"


def write_checks(book: Book) -> None:
    """Add the design checks, and the hash of the design that they speak of."""
    words, styles = book.quotation.words, book.styles
    sheet = book.add_own_sheet("checks_sheet", _WIDTHS)
    row = book.write_mark(sheet, 0, _SOURCE)
    book.write_text(sheet, (row, 0, row, _SOURCE), words["checks_title"], "sheet_title")
    sheet.set_row(row, _TITLE_ROW)
    heading = row + 1
    for column, label in enumerate(_LABELS):
        sheet.write_string(heading, column, words[label], styles("cell", "head"))
    sheet.set_row(heading, _ROW + 2)
    sheet.freeze_panes(heading + 1, 0)
    row = heading + 1
    for (section, panel), checks in groupby(
        book.quotation.checks, key=lambda check: (check.section, check.panel)
    ):
        title = "checks_gates" if section == "gate" else "checks_clause_10"
        text = say(words, title, panel=panel)
        book.write_text(sheet, (row, 0, row, _SOURCE), text, "cell", "tint", "bold", "indent")
        sheet.set_row(row, _ROW)
        rows = tuple(checks)
        for at, check in enumerate(rows, start=row + 1):
            _write_check(book, sheet, at, check)
        row += len(rows) + 1
    row = _write_counts(book, sheet, (heading + 1, row - 1)) if book.quotation.checks else row
    row = _write_notes(book, sheet, row)
    book.set_print(sheet, row - 1, _SOURCE, heading)


def _write_check(book: Book, sheet: Worksheet, row: int, check: CheckRow) -> None:
    styles = book.styles
    status = book.quotation.words[_STATUSES[check.status]]
    clause = "" if check.section == "gate" else check.clause
    sheet.write_string(row, _CLAUSE, clause, styles("cell", "indent", "shrink"))
    sheet.write_string(row, _ITEM, check.item, styles("cell", "indent", "wrap"))
    sheet.write_string(row, _STATUS, status, styles("cell", "center", "bold", "wrap"))
    sheet.write_string(row, _FIGURE, check.figure, styles("cell", "center", "shrink"))
    sheet.write_string(row, _LIMIT, check.limit, styles("cell", "center", "shrink"))
    sheet.write_string(row, _SOURCE, check.source, styles("cell", "indent", "wrap"))
    texts = (_ITEM, check.item), (_STATUS, status), (_SOURCE, check.source)
    cells = [(text, _WIDTHS[column]) for column, text in texts]
    sheet.set_row(row, row_height(cells, _ROW))


def _write_counts(book: Book, sheet: Worksheet, rows: tuple[int, int]) -> int:
    """Colour the results, and count them below; return the next row."""
    words, styles = book.quotation.words, book.styles
    area = (rows[0], _STATUS, rows[1], _STATUS)
    book.name_range(_RESULTS, sheet, area)
    row = rows[1] + 1
    for status, key in _STATUSES.items():
        count = sum(check.status == status for check in book.quotation.checks)
        if not count and status == "exceeded":
            continue
        word = f'"{words[key]}"'
        condition = {"type": "cell", "criteria": "==", "value": word, "format": styles.rule(status)}
        sheet.conditional_format(*area, condition)
        label = f"{words['checks_counts']}: {words[key]}"
        book.write_text(sheet, (row, 0, row, _ITEM), label, "cell", "center", "bold")
        style = styles("cell", "center", "bold")
        book.write_formula(sheet, (row, _STATUS), f"COUNTIF({_RESULTS},{word})", count, style)
        book.write_text(sheet, (row, _FIGURE, row, _SOURCE), "", "cell")
        sheet.set_row(row, _ROW)
        row += 1
    return row


def _write_notes(book: Book, sheet: Worksheet, row: int) -> int:
    quotation, words = book.quotation, book.quotation.words
    sha = say(words, "design_sha_note", sha=quotation.design_sha, rules=quotation.rule_set)
    for at, note in enumerate((words["not_verified_note"], sha), start=row):
        book.write_text(sheet, (at, 0, at, _SOURCE), note, "left", "shrink")
        sheet.set_row(at, _ROW)
    return row + 2
