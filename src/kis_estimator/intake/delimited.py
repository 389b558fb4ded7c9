"""Text files: their encoding, and tables with a delimiter."""

from __future__ import annotations

import csv
import io

from kis_estimator.errors import KisError
from kis_estimator.intake.characters import cleaned
from kis_estimator.intake.grid import Row, Tab
from kis_estimator.intake.header import find_header

MAX_ROWS = 10_000
MAX_TABLE_CHARS = 1_000_000
MAX_TEXT_CHARS = 100_000
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_DELIMITERS = (",", ";", "\t")
_CONTROLS = frozenset(map(chr, range(32))) - set("\t\n\r\f\v")


def decode(data: bytes) -> str:
    """Return the text of a file: by its byte-order mark, else UTF-8, else cp949."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _clean(data[len(mark) :], encoding)
    try:
        return _clean(data, "utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return _clean(data, "cp949")
    except UnicodeDecodeError as error:
        raise KisError.of("TEXT_ENCODING") from error


def _clean(data: bytes, encoding: str) -> str:
    text = data.decode(encoding)
    if not _CONTROLS.isdisjoint(text):
        raise KisError.of("TEXT_BINARY")
    return text


def read_table(text: str, name: str, *, required: bool) -> Tab | None:
    """Return the text as a table by the delimiter that shows the best header.

    Without any header it is None, unless a table is required (a .csv): then the first delimiter's.
    """
    best: tuple[int, Tab] | None = None
    problem: KisError | None = None
    for delimiter in _DELIMITERS:
        if delimiter not in text:
            continue
        try:
            tab = _parse(text, name, delimiter)
        except KisError as error:
            problem = problem or error
            continue
        header = find_header(tab)
        columns = len(header.columns) if header else 0
        if best is None or columns > best[0]:
            best = columns, tab
    if best is not None and (best[0] or required):
        if len(text) > MAX_TABLE_CHARS:
            raise KisError.of("TOO_MUCH_TEXT")
        return best[1]
    if problem is not None and required:
        raise problem
    return _parse(text, name, "\t") if required else None


def _parse(text: str, name: str, delimiter: str) -> Tab:
    """Return the records with content; a row's number is the physical line it starts on."""
    rows = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for record in reader:
            cells = [cleaned(cell).strip() for cell in record]
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                rows.append(Row(line, tuple(cells)))
            if len(rows) > MAX_ROWS:
                raise KisError.of("TOO_MANY_ROWS", limit=MAX_ROWS)
            line = reader.line_num + 1
    except csv.Error as error:
        raise KisError.of("CSV_QUOTES", line=line) from error
    return Tab(name=name, rows=tuple(rows))


def lines_of(text: str) -> list[tuple[int, str]]:
    """Return (1-based number, text) of the lines with content."""
    cleaned_lines = map(cleaned, text.splitlines())
    lines = [(number, line) for number, line in enumerate(cleaned_lines, 1) if line.strip()]
    if len(lines) > MAX_ROWS:
        raise KisError.of("TOO_MANY_ROWS", limit=MAX_ROWS)
    if len(text) > MAX_TEXT_CHARS:
        raise KisError.of("TOO_MUCH_TEXT")
    return lines
