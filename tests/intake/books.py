"""Small schedules made for tests."""

import csv
import io
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import openpyxl

from kis_estimator.errors import Notice
from kis_estimator.intake import Reading, Vocabulary, read

HEADER: list[Any] = ["번호", "품명", "규격", "단위", "수량", "단가", "금액", "비고"]
GOOD: list[list[Any]] = [
    HEADER,
    [None, "LP-1"],
    [1, "메인", "MCCB 4P 100A", "EA", 1],
    [2, "분기", "ELB 2P 20A", "EA", 5],
]
Rows = Sequence[Sequence[Any]]


def workbook(
    tabs: dict[str, Rows], change: Callable[[openpyxl.Workbook], None] = lambda _: None
) -> bytes:
    """Return an .xlsx of these tabs, changed before it is saved."""
    book = openpyxl.Workbook()
    book.remove(book["Sheet"])
    for name, rows in tabs.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    change(book)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def repacked(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """Return a workbook with its parts changed one by one."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return out.getvalue()


def table(rows: Rows, header: Sequence[str] = HEADER) -> bytes:
    """Return a .csv of these rows below a header."""
    out = io.StringIO()
    csv.writer(out).writerows([header, *rows])
    return out.getvalue().encode()


def read_rows(rows: Rows, vocabulary: Vocabulary, header: Sequence[str] = HEADER) -> Reading:
    """Read these rows as a .csv; the first of them is in row 2."""
    return read(table(rows, header), "t.csv", vocabulary, "ko-KR")


def codes(notices: Sequence[Notice]) -> list[tuple[str, int | None]]:
    """Return (code, row) of each notice."""
    return [(notice.code, notice.row) for notice in notices]
