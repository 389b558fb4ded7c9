"""Price books as files: tables read from CSV or a workbook, and written so that they read back."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal

from kis_estimator.engine.catalog import Catalog, parse_catalog
from kis_estimator.engine.model import AccessoryItem, BreakerItem, EnclosureItem
from kis_estimator.errors import KisError, Notice
from kis_estimator.intake.characters import cleaned
from kis_estimator.intake.delimited import decode
from kis_estimator.intake.workbook import read_workbook

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

Kind = Literal["breaker", "enclosure", "accessory"]
AnyItem = BreakerItem | EnclosureItem | AccessoryItem

TABLES: Mapping[Kind, str] = {
    "breaker": "breakers",
    "enclosure": "enclosures",
    "accessory": "accessories",
}
"""The name of each table: of its tab in a workbook, and of its CSV file."""

TYPES: Mapping[Kind, type[AnyItem]] = {
    "breaker": BreakerItem,
    "enclosure": EnclosureItem,
    "accessory": AccessoryItem,
}
COLUMNS: Mapping[Kind, tuple[str, ...]] = {
    kind: tuple(column.name for column in fields(item)) for kind, item in TYPES.items()
}
HEAD_TAB, HEAD_FILE = "catalog", "catalog.toml"
MAX_BYTES = 20 * 2**20
MAX_ROWS = 100_000
_HEAD_COLUMNS = ("name", "version", "sample")
_HEAD_CHARS = {"name": 200, "version": 100}
_CELL_CHARS = 200
_WORKBOOK = (b"PK", b"\xd0\xcf\x11\xe0")
_DELIMITERS = ",;\t"
_EXACT_DIGITS = 15
_COLUMN_CHARS = 16
_NO_CLOCK = datetime(2026, 1, 1)  # noqa: DTZ001 - a workbook knows no time zone

Line = tuple[int, tuple[str, ...]]
"""A row as it was written: its number, and its cells."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one kind, cells in the order of COLUMNS, with the place that each was given at."""

    name: str
    rows: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a price book says of itself, as far as it was given."""

    name: str | None = None
    version: str | None = None
    sample: bool | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """What a caller gives: some or all tables, not validated yet."""

    tables: Mapping[Kind, Table]
    head: Head = field(default_factory=Head)


def file_of(kind: Kind) -> str:
    """Return the name of a table's file in a price book."""
    return f"{TABLES[kind]}.csv"


def items_of(catalog: Catalog, kind: Kind) -> Mapping[str, AnyItem]:
    """Return the items of a kind by sku, in the order of their table."""
    if kind == "accessory":
        return catalog.accessories
    items = catalog.breakers if kind == "breaker" else catalog.enclosures
    return {item.sku: item for item in items}


# ---------------------------------------------------------------- reading


def read_upload(data: bytes, filename: str) -> Upload:
    """Read a CSV of one table, or a workbook with a tab for each.

    Raises what cannot be read, CATALOG_TABLE, CATALOG_TAB, CATALOG_HEADER, CATALOG_ROW.
    """
    if len(data) > MAX_BYTES:
        raise KisError.of("FILE_TOO_LARGE", limit=MAX_BYTES // 2**20)
    name = cleaned(PurePath(filename).name).strip()[:_CELL_CHARS] or "-"
    if data.startswith(_WORKBOOK):
        return _of_workbook(data, name)
    text = decode(data)
    kind, lines = _csv_lines(text, name)
    return Upload({kind: _table(kind, name, lines)})


def _of_workbook(data: bytes, filename: str) -> Upload:
    kinds = {table: kind for kind, table in TABLES.items()}
    tabs = [tab for tab in read_workbook(data) if tab.rows]
    names = [tab.name.casefold() for tab in tabs]
    unknown = [
        Notice("CATALOG_TAB", {"tab": tab.name, "known": [*kinds, HEAD_TAB]}, sheet=tab.name)
        for tab, name in zip(tabs, names, strict=True)
        if name not in {*kinds, HEAD_TAB} or names.count(name) > 1
    ]
    if unknown:
        raise KisError(*unknown)
    tables: dict[Kind, Table] = {}
    head = Head()
    problems: list[Notice] = []
    for tab, name in zip(tabs, names, strict=True):
        lines = [(row.number, tuple(cell.strip() for cell in row.cells)) for row in tab.rows]
        try:
            if name == HEAD_TAB:
                head = _head(tab.name, lines)
            else:
                tables[kinds[name]] = _table(kinds[name], tab.name, lines)
        except KisError as error:
            problems += error.notices
    if problems:
        raise KisError(*problems)
    if not tables:
        raise KisError.of("CATALOG_TABLE", file=filename, known=list(kinds))
    return Upload(tables, head)


def _csv_lines(text: str, name: str) -> tuple[Kind, list[Line]]:
    """Return the kind of table whose columns the text has, and its lines with content."""
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    lines = list(_records(text, delimiter))
    if not lines:
        raise KisError.of("FILE_EMPTY")
    header = {cell.lower() for cell in lines[0][1]}
    kind = max(COLUMNS, key=lambda kind: len(header.intersection(COLUMNS[kind])))
    if len(header.intersection(COLUMNS[kind])) < len(COLUMNS[kind]) / 2:
        raise KisError.of("CATALOG_TABLE", file=name, known=list(TABLES.values()))
    return kind, lines


def _records(text: str, delimiter: str) -> Iterator[Line]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number, count = 1, 0
    try:
        for record in reader:
            cells = tuple(cleaned(cell).strip() for cell in record)
            if any(cells):
                if count > MAX_ROWS:  # the header is none of them
                    raise KisError.of("TOO_MANY_ROWS", limit=MAX_ROWS)
                yield number, cells
                count += 1
            number = reader.line_num + 1
    except csv.Error as error:
        raise KisError.of("CSV_QUOTES", line=number) from error


def _table(kind: Kind, name: str, lines: Sequence[Line]) -> Table:
    (top, header), *rows = lines
    places = _columns(COLUMNS[kind], name, top, header)
    if not rows:
        raise KisError(problem(name, top + 1, COLUMNS[kind][0], "no rows"))
    width = max(places) + 1
    problems = []
    for number, cells in rows:
        if any(cells[width:]):
            problems.append(problem(name, number, "+", "more cells than columns"))
        problems += [
            problem(name, number, column, f"longer than {_CELL_CHARS} characters")
            for column, cell in zip(COLUMNS[kind], _picked(cells, places), strict=True)
            if len(cell) > _CELL_CHARS
        ]
    if problems:
        raise KisError(*problems[:50])
    return Table(name, tuple((number, _picked(cells, places)) for number, cells in rows))


def _columns(wanted: Sequence[str], name: str, row: int, header: Sequence[str]) -> list[int]:
    """Return where each wanted column stands. Raises CATALOG_HEADER, which names what is wrong."""
    given = [cell.lower() for cell in header]
    while given and not given[-1]:
        given.pop()
    missing = [column for column in wanted if column not in given]
    surplus = [
        cell or "-"
        for place, cell in enumerate(given)
        if cell not in wanted or cell in given[:place]
    ]
    if missing or surplus:
        params = {"file": name, "missing": missing or "-", "surplus": surplus[:20] or "-"}
        raise KisError(Notice("CATALOG_HEADER", params, sheet=name, row=row))
    return [given.index(column) for column in wanted]


def _picked(cells: Sequence[str], places: Iterable[int]) -> tuple[str, ...]:
    return tuple(cells[place] if place < len(cells) else "" for place in places)


def _head(name: str, lines: Sequence[Line]) -> Head:
    (top, header), *rows = lines
    places = _columns(_HEAD_COLUMNS, name, top, header)
    if len(rows) != 1:
        raise KisError(problem(name, top + 1, _HEAD_COLUMNS[0], "one row is needed"))
    number, cells = rows[0]
    values = dict(zip(_HEAD_COLUMNS, _picked(cells, places), strict=True))
    problems = [
        problem(name, number, column, f"1 to {longest} characters are needed")
        for column, longest in _HEAD_CHARS.items()
        if not 1 <= len(values[column]) <= longest
    ]
    sample = {"true": True, "false": False}.get(values["sample"].lower())
    if sample is None:
        problems.append(problem(name, number, "sample", "TRUE or FALSE is needed"))
    if problems:
        raise KisError(*problems)
    return Head(name=values["name"], version=values["version"], sample=sample)


def problem(file: str, row: int, column: str, reason: str) -> Notice:
    """Return what is wrong with a cell, at the place that its writer knows."""
    params = {"file": file, "row": row, "field": column, "reason": reason}
    return Notice("CATALOG_ROW", params, sheet=file, row=row)


# ---------------------------------------------------------------- writing


def table_text(kind: Kind, rows: Iterable[Sequence[str]]) -> str:
    """Return the CSV text of a table."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS[kind])
    writer.writerows(rows)
    return buffer.getvalue()


def row_of(item: AnyItem) -> tuple[str, ...]:
    """Return the cells of an item; they read back as the same item."""
    return tuple(str(getattr(item, column.name)) for column in fields(item))


def head_text(name: str, version: str, *, sample: bool) -> str:
    """Return the text of `catalog.toml`; a JSON string of printable text is a TOML string."""
    quoted = (json.dumps(text, ensure_ascii=False) for text in (name, version))
    return "name = {}\nversion = {}\nsample = {}\n".format(*quoted, str(sample).lower())


def complete_files(upload: Upload) -> dict[str, bytes]:
    """Return an upload as the files of a price book; `parse_catalog` names what is missing."""
    files = {
        file_of(kind): table_text(kind, (cells for _, cells in table.rows))
        for kind, table in upload.tables.items()
    }
    head = upload.head
    if head.name is not None and head.version is not None and head.sample is not None:
        files[HEAD_FILE] = head_text(head.name, head.version, sample=head.sample)
    return {name: text.encode() for name, text in files.items()}


def export_csv(files: Mapping[str, str], kind: Kind) -> bytes:
    """Return a table as CSV with the mark by which spreadsheets know UTF-8."""
    return ("\ufeff" + files[file_of(kind)].removeprefix("\ufeff")).encode()


def export_workbook(files: Mapping[str, str]) -> bytes:
    """Return a price book as a workbook."""
    return write_workbook(parse_catalog({name: text.encode() for name, text in files.items()}))


def write_workbook(catalog: Catalog) -> bytes:
    """Return a price book as a workbook, a tab for each table; the same book, the same bytes."""
    from xlsxwriter import Workbook  # noqa: PLC0415 - only exports need it

    buffer = io.BytesIO()
    book = Workbook(buffer, {"in_memory": True, "strings_to_formulas": False})
    book.set_properties({"title": catalog.name, "created": _NO_CLOCK})
    bold = book.add_format({"bold": True})
    _write_tab(book.add_worksheet(HEAD_TAB), bold, _HEAD_COLUMNS, [catalog])
    for kind, columns in COLUMNS.items():
        items = items_of(catalog, kind).values()
        _write_tab(book.add_worksheet(TABLES[kind]), bold, columns, items)
    book.close()
    return buffer.getvalue()


def _write_tab(
    sheet: Worksheet, bold: Format, columns: Sequence[str], items: Iterable[object]
) -> None:
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, len(columns) - 1, _COLUMN_CHARS)
    sheet.write_row(0, 0, columns, bold)
    for number, item in enumerate(items, start=1):
        for place, column in enumerate(columns):
            value = getattr(item, column)
            if isinstance(value, bool):
                sheet.write_boolean(number, place, value)
            elif isinstance(value, int | Decimal) and _is_exact(value):
                sheet.write_number(number, place, float(value))
            else:
                sheet.write_string(number, place, str(value))


def _is_exact(number: int | Decimal) -> bool:
    """Return whether a cell's binary number reads back as this one."""
    return Decimal(f"{float(number):.{_EXACT_DIGITS}g}") == number
