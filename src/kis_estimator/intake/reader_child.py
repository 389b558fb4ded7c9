"""The child process that opens a workbook from outside: bytes on stdin, JSON on stdout.

Run by path with `python -I`, so it imports nothing of this package and starts in tens of
milliseconds. It limits its own memory, processor time and files before it looks at the first byte:
after start-up it can open nothing, so neither a file nor a socket. Whatever it prints is
`{"tabs": […]}` or `{"error": CODE, "params": {…}}`; a crash is the parent's to report.
"""

from __future__ import annotations

import datetime as dt
import encodings.cp437  # noqa: F401 - needed by zipfile after files can no longer be opened
import io
import json
import resource
import struct
import sys
import zipfile
import zlib
from typing import Any, NoReturn
from xml.parsers import expat

import python_calamine

_MEMORY_BYTES = 768 * 1024 * 1024
_CPU_SECONDS = 15
_MAX_ENTRIES = 4000
_MAX_ENTRY_BYTES = 100 * 1024 * 1024
_MAX_TOTAL_BYTES = 200 * 1024 * 1024
_MAX_RATIO = 200
_RATIO_FROM_BYTES = 4 * 1024 * 1024
_MAX_ROWS = 10_000
_MAX_COLUMN = 256
_MAX_AREA = 4_000_000
_MAX_TEXT_CHARS = 1_000_000
_CHUNK = 64 * 1024
_EXACT_FLOAT = 1e15
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BIFF8_GLOBALS = b"\x09\x08\x10\x00\x00\x06\x05\x00"
_FILEPASS, _RECORDS_TO_FILEPASS = 0x2F, 8
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")


class _Refused(Exception):  # noqa: N818 - a decision, not a fault
    """The file is refused with a code of the message table."""

    def __init__(self, code: str, **params: object) -> None:
        super().__init__(code)
        self.code, self.params = code, params


def _limit() -> None:
    """Limit this process; memory above what it already uses would refuse everything."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))


# ---------------------------------------------------------------- the zip, before it is trusted


def _check_zip(data: bytes) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, UnicodeError) as error:
        raise _Refused("NOT_A_WORKBOOK") from error
    if len(entries) > _MAX_ENTRIES:
        raise _Refused("ZIP_BOMB")
    total = 0
    for entry in entries:
        total += entry.file_size
        ratio = entry.file_size / max(entry.compress_size, 1)
        big = entry.file_size > _RATIO_FROM_BYTES and ratio > _MAX_RATIO
        if big or entry.file_size > _MAX_ENTRY_BYTES or total > _MAX_TOTAL_BYTES:
            raise _Refused("ZIP_BOMB")
        if entry.filename.startswith(("/", "\\")) or ".." in entry.filename.split("/"):
            raise _Refused("NOT_A_WORKBOOK")
        if entry.flag_bits & 1:
            raise _Refused("WORKBOOK_ENCRYPTED")
    return archive


def _parser() -> expat.XMLParserType:
    """Return a parser that refuses every document type, and with it every entity."""

    def refuse(*_: object) -> NoReturn:
        raise _Refused("WORKBOOK_BROKEN")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    return parser


def _feed(archive: zipfile.ZipFile, name: str, parser: expat.XMLParserType) -> None:
    with archive.open(name) as part:
        while chunk := part.read(_CHUNK):
            parser.Parse(chunk, False)  # noqa: FBT003 - expat takes it by position
    parser.Parse(b"", True)  # noqa: FBT003


def _elements(archive: zipfile.ZipFile, name: str) -> list[tuple[str, dict[str, str]]]:
    """Return (local name, attributes by local name) of every element of a small part."""
    found: list[tuple[str, dict[str, str]]] = []
    if name not in archive.namelist():
        return found

    def start(tag: str, attributes: dict[str, str]) -> None:
        local = {key.rpartition(" ")[2]: value for key, value in attributes.items()}
        found.append((tag.rpartition(" ")[2], local))

    parser = _parser()
    parser.StartElementHandler = start
    _feed(archive, name, parser)
    return found


def _position(reference: str) -> tuple[int, int]:
    """Return (1-based row, 0-based column) of a reference such as AB12."""
    column = 0
    for index, char in enumerate(reference):
        if char.isdigit():
            return int(reference[index:][:9]), column - 1
        column = column * 26 + ord(char.upper()) - ord("A") + 1
        if column > 10**6:
            break
    raise _Refused("WORKBOOK_BROKEN")


_UNREADABLE = (
    expat.ExpatError,
    zipfile.BadZipFile,
    zlib.error,
    KeyError,
    ValueError,
    OSError,
    EOFError,
    NotImplementedError,  # a compression that zipfile does not know
    RuntimeError,
)


def _scan(archive: zipfile.ZipFile, name: str) -> _SheetScan:
    """Scan one worksheet part; raises when a value lies where no schedule has one."""
    scan = _SheetScan()
    parser = _parser()
    parser.StartElementHandler = scan.start
    parser.EndElementHandler = scan.end
    parser.CharacterDataHandler = scan.characters
    _feed(archive, name, parser)
    row, width = scan.last_cell[0], scan.last_column + 1
    if row * width > _MAX_AREA:
        raise _Refused("CELL_OUT_OF_RANGE", cell=_name_of(*scan.last_cell))
    return scan


class _SheetScan:
    """Listens to one worksheet: where its values stand, and which formulas hold none."""

    def __init__(self) -> None:
        self.rows: set[int] = set()
        self.unsaved: list[tuple[int, int]] = []
        self.broken: list[tuple[int, int]] = []
        self.last_cell = (0, 0)
        self.last_column = 0
        self._at = (0, 0)
        self._next_row = self._next_column = 0
        self._type = ""
        self._formula = self._value = self._in_value = self._content = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Take note of a row, a cell, a formula or a value that begins."""
        tag = tag.rpartition(" ")[2]
        if tag == "row":
            self._next_row = int(attributes.get("r", str(self._next_row + 1))[:9])
            self._next_column = 0
        elif tag == "c":
            reference = attributes.get("r")
            self._at = _position(reference) if reference else (self._next_row, self._next_column)
            self._next_column = self._at[1] + 1
            self._type = attributes.get("t", "")
            self._formula = self._value = self._content = False
        elif tag == "f":
            self._formula = self._content = True
        elif tag in {"v", "t"}:
            self._in_value = True
            self._value = self._value or self._type == "str"

    def characters(self, text: str) -> None:
        """Take note of text inside a value."""
        if self._in_value and text:
            self._value = self._content = True

    def end(self, tag: str) -> None:
        """Take note of a cell that ends."""
        tag = tag.rpartition(" ")[2]
        if tag in {"v", "t"}:
            self._in_value = False
        elif tag == "c" and self._content:
            self._keep()

    def _keep(self) -> None:
        row, column = self._at
        if column >= _MAX_COLUMN or column < 0 or not 1 <= row <= 2**20:
            raise _Refused("CELL_OUT_OF_RANGE", cell=_name_of(row, column))
        self.rows.add(row)
        if len(self.rows) > _MAX_ROWS:
            raise _Refused("TOO_MANY_ROWS", limit=_MAX_ROWS)
        self.last_cell = max(self.last_cell, self._at)
        self.last_column = max(self.last_column, column)
        if self._formula and not self._value:
            self.unsaved.append(self._at)
        if self._type == "e":
            self.broken.append(self._at)


def _name_of(row: int, column: int) -> str:
    letters, column = "", column + 1
    while column > 0:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return f"{letters}{row}"


def _sheet_parts(archive: zipfile.ZipFile) -> dict[str, str]:
    """Return tab name -> part name of the worksheet, as the workbook relates them."""
    book = next(
        (
            attributes["Target"].lstrip("/")
            for tag, attributes in _elements(archive, "_rels/.rels")
            if tag == "Relationship" and attributes.get("Type", "").endswith("/officeDocument")
        ),
        "xl/workbook.xml",
    )
    if book not in archive.namelist() or not book.endswith(".xml"):
        raise _Refused("NOT_A_WORKBOOK")
    folder, _, file = book.rpartition("/")
    relations = {
        attributes.get("Id", ""): attributes.get("Target", "")
        for tag, attributes in _elements(archive, f"{folder}/_rels/{file}.rels")
        if tag == "Relationship"
    }
    elements = _elements(archive, book)
    if not any(tag == "sheet" for tag, _ in elements):
        raise _Refused("NOT_A_WORKBOOK")
    parts = {}
    for tag, attributes in elements:
        if tag == "sheet":
            target = relations.get(attributes.get("id", ""), "")
            part = target.lstrip("/") if target.startswith("/") else f"{folder}/{target}"
            parts[attributes.get("name", "")] = part
    return parts


def _scan_xlsx(data: bytes) -> dict[str, _SheetScan]:
    """Return tab name -> scan; every worksheet part is looked at, also one that no tab names."""
    archive = _check_zip(data)
    try:
        parts = _sheet_parts(archive)
        names = archive.namelist()
        sheets = {n for n in names if "/worksheets/" in n and n.endswith(".xml")}
        sheets.update(part for part in parts.values() if part in names)
        scans = {part: _scan(archive, part) for part in sorted(sheets)}
    except _UNREADABLE as error:
        raise _Refused("WORKBOOK_BROKEN") from error
    if sum(len(scan.rows) for scan in scans.values()) > _MAX_ROWS:
        raise _Refused("TOO_MANY_ROWS", limit=_MAX_ROWS)
    return {tab: scans[part] for tab, part in parts.items() if part in scans}


# ---------------------------------------------------------------- the values


def _text_of(value: object) -> str:
    """Return a cell as text; whole numbers without a point, others without binary noise."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return (
            f"{value:.0f}" if value.is_integer() and abs(value) < _EXACT_FLOAT else f"{value:.15g}"
        )
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    return str(value)


def _rows_of(sheet: python_calamine.CalamineSheet, budget: list[int]) -> list[list[Any]]:
    rows = []
    first_row, first_column = sheet.start or (0, 0)
    if sheet.start is None:
        return []
    height, width = sheet.height, sheet.width
    if first_column + width > _MAX_COLUMN or height * width > _MAX_AREA:
        raise _Refused(
            "CELL_OUT_OF_RANGE", cell=_name_of(first_row + height, first_column + width - 1)
        )
    for index, values in enumerate(sheet.to_python(skip_empty_area=True), start=first_row + 1):
        cells = [_text_of(value) for value in values]
        while cells and not cells[-1].strip():
            cells.pop()
        if cells:
            budget[0] -= sum(map(len, cells))
            budget[1] -= 1
            if budget[1] < 0:
                raise _Refused("TOO_MANY_ROWS", limit=_MAX_ROWS)
            if budget[0] < 0:
                raise _Refused("TOO_MUCH_TEXT")
            rows.append([index, [""] * first_column + cells])
    return rows


def _is_encrypted_xls(data: bytes) -> bool:
    """Return whether a FILEPASS record follows the start of the workbook stream (BIFF8)."""
    at = data.find(_BIFF8_GLOBALS)
    for _ in range(_RECORDS_TO_FILEPASS):
        if at < 0 or at + 4 > len(data):
            return False
        kind, length = struct.unpack_from("<HH", data, at)
        if kind == _FILEPASS:
            return True
        at += 4 + length
    return False


def _read(data: bytes) -> dict[str, Any]:
    is_ole = data.startswith(_OLE)
    if is_ole and _ENCRYPTED in data:
        raise _Refused("WORKBOOK_ENCRYPTED")
    scans = {} if is_ole else _scan_xlsx(data)
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
    except python_calamine.PasswordError as error:
        raise _Refused("WORKBOOK_ENCRYPTED") from error
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        if is_ole and _is_encrypted_xls(data):
            raise _Refused("WORKBOOK_ENCRYPTED") from error
        raise _Refused("NOT_A_WORKBOOK" if is_ole else "WORKBOOK_BROKEN") from error
    budget = [_MAX_TEXT_CHARS, _MAX_ROWS]
    tabs = []
    for index, metadata in enumerate(book.sheets_metadata):
        is_worksheet = metadata.typ == python_calamine.SheetTypeEnum.WorkSheet
        rows: list[list[Any]] = []
        merged: list[list[int]] = []
        if is_worksheet:
            sheet = book.get_sheet_by_index(index)
            rows = _rows_of(sheet, budget)
            ranges = sheet.merged_cell_ranges or []
            merged = [[top + 1, left, bottom + 1, right] for (top, left), (bottom, right) in ranges]
        scan = scans.get(metadata.name, _SheetScan())
        tabs.append(
            {
                "name": metadata.name,
                "hidden": metadata.visible != python_calamine.SheetVisibleEnum.Visible,
                "isWorksheet": is_worksheet,
                "rows": rows,
                "unsaved": scan.unsaved,
                "broken": scan.broken,
                "merged": merged,
            }
        )
    return {"tabs": tabs}


def main() -> None:
    """Read one workbook from stdin and print what it holds."""
    data = sys.stdin.buffer.read()
    _limit()
    try:
        answer = _read(data)
    except _Refused as refusal:
        answer = {"error": refusal.code, "params": refusal.params}
    except MemoryError:
        answer = {"error": "WORKBOOK_LIMITS", "params": {}}
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        answer = {"error": "WORKBOOK_BROKEN", "params": {"detail": type(error).__name__}}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
