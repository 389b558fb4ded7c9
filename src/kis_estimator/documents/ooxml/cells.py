"""The cells of a worksheet part, and where each stands in its XML.

A parser first makes sure that the part is well-formed; then rows and cells are found by their
tags, which is several times as fast as having the parser report every cell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from kis_estimator.documents.ooxml.contents import Value
from kis_estimator.documents.ooxml.package import parse, xml_parser
from kis_estimator.documents.ooxml.references import (
    Cell,
    Corners,
    cell_name,
    column_number,
    corners_of,
)
from kis_estimator.errors import KisError

_MAX_ROW, _MAX_COLUMN, _MAX_CELLS = 20_000, 1_000, 400_000
_PREFIX = rb"(?:[\w.-]+:)?"
_ATTRIBUTES = rb"""((?:\s+[\w:.-]+\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*"""
_ATTRIBUTE = re.compile(rb"""([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_PLACE = re.compile(rb"""\sr\s*=\s*["']([A-Z]{1,3})([1-9][0-9]{0,6})["']""")
_ROW_NUMBER = re.compile(rb"""\sr\s*=\s*["']([1-9][0-9]{0,6})["']""")
_DATA = re.compile(rb"<(" + _PREFIX + rb")sheetData" + _ATTRIBUTES + rb"(/?)>")
_DATA_END = re.compile(rb"</" + _PREFIX + rb"sheetData\s*>")
_ITEM = re.compile(
    rb"<(?:" + _PREFIX + rb"(?:row" + _ATTRIBUTES + rb"(/?)>"
    rb"|c" + _ATTRIBUTES + rb"(?:/>|>(.*?)</" + _PREFIX + rb"c\s*>))"
    rb"|/" + _PREFIX + rb"(row)\s*>)",
    re.DOTALL,
)
_FORMULA = re.compile(
    rb"<" + _PREFIX + rb"f" + _ATTRIBUTES + rb"(?:/>|>(.*?)</" + _PREFIX + rb"f\s*>)", re.DOTALL
)
_TEXT = re.compile(
    rb"<" + _PREFIX + rb"[vt]" + _ATTRIBUTES + rb"(?:/>|>(.*?)</" + _PREFIX + rb"[vt]\s*>)",
    re.DOTALL,
)
_TAG = re.compile(rb"<" + _PREFIX + rb"(mergeCell|col)" + _ATTRIBUTES + rb"/?>")
_ERROR = re.compile(rb"""\st\s*=\s*["']e["']""")
_ENTITY = re.compile(r"&(?:#x([0-9A-Fa-f]+)|#([0-9]+)|(amp|lt|gt|quot|apos));")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


@dataclass(slots=True)
class CellXml:
    """A cell: its bytes from start to end, those of its attributes, and what is inside it."""

    start: int
    end: int
    raw: bytes
    body: bytes | None

    @property
    def attributes(self) -> dict[str, str]:
        """Return the attributes as they are named in the file."""
        return attributes_of(self.raw)

    @property
    def formula_xml(self) -> bytes:
        """Return the whole element of the formula, empty where there is none."""
        match = _FORMULA.search(self.body or b"")
        return match[0] if match else b""

    @property
    def formula(self) -> str | None:
        """Return the text of the formula; one that shares another's has an empty text."""
        match = _FORMULA.search(self.body or b"")
        return _decoded(match[2] or b"") if match else None

    @property
    def is_error(self) -> bool:
        """Return whether an error such as #REF! is stored."""
        return _ERROR.search(self.raw) is not None

    @property
    def value(self) -> Value:
        """Return the stored value; the text of a shared string is not looked up."""
        kind = self.attributes.get("t", "n")
        parts = [match[2] or b"" for match in _TEXT.finditer(self.body or b"")]
        if not parts or kind == "s":
            return None
        text = _decoded(b"".join(parts))
        if kind in ("str", "inlineStr", "e"):
            return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
        if kind == "b":
            return text.strip() == "1"
        try:
            return float(text)
        except ValueError:
            return text


@dataclass(slots=True)
class RowXml:
    """A row: its bytes from start to end; its start tag ends at `inside`, its cells at `last`."""

    start: int
    inside: int
    last: int
    end: int
    raw: bytes
    columns: list[int] = field(default_factory=list)


@dataclass(slots=True)
class SheetXml:
    """A worksheet part; its sheetData goes from start to end, its rows from inside to last."""

    xml: bytes
    prefix: str
    start: int
    inside: int
    last: int
    end: int
    rows: dict[int, RowXml] = field(default_factory=dict)
    cells: dict[Cell, CellXml] = field(default_factory=dict)

    @property
    def around(self) -> bytes:
        """Return all but the rows: columns, merged areas, validations, pictures, print set-up."""
        return self.xml[: self.start] + self.xml[self.end :]

    @property
    def merges(self) -> list[Corners]:
        """Return the merged areas."""
        found = (corners_of(tag.get("ref", "")) for tag in self._tags(b"mergeCell"))
        return [corners for corners in found if corners is not None]

    @property
    def column_styles(self) -> list[tuple[int, int, str]]:
        """Return (first column, last column, style) of the columns that have a style."""
        tags = [tag for tag in self._tags(b"col") if "style" in tag]
        return [(_number(tag["min"]), _number(tag["max"]), tag["style"]) for tag in tags]

    def _tags(self, name: bytes) -> Iterator[dict[str, str]]:
        for match in _TAG.finditer(self.around):
            if match[1] == name:
                yield attributes_of(match[2])


def attributes_of(raw: bytes) -> dict[str, str]:
    """Return attributes by name.

    >>> attributes_of(b' r="A1" x:y="1 &lt; 2"')
    {'r': 'A1', 'x:y': '1 < 2'}
    """
    return {
        match[1].decode(): _decoded(match[2] if match[2] is not None else match[3])
        for match in _ATTRIBUTE.finditer(raw)
    }


def scan_sheet(xml: bytes) -> SheetXml:
    """Read a worksheet part. Refuses values further out than a form or quotation has any."""
    parse(xml_parser(xml), xml)
    head = _DATA.search(xml)
    if head is None or b"<!" in xml:  # a comment could hold what looks like cells
        raise KisError.of("WORKBOOK_BROKEN")
    tail = None if head[3] else _DATA_END.search(xml, head.end())
    end, last = (tail.end(), tail.start()) if tail else (head.end(), head.end())
    if not head[3] and tail is None:
        raise KisError.of("WORKBOOK_BROKEN")
    sheet = SheetXml(xml, head[1].decode(), head.start(), head.end(), last, end)
    _scan_rows(sheet)
    return sheet


def _scan_rows(sheet: SheetXml) -> None:
    number, row = 0, None
    for match in _ITEM.finditer(sheet.xml, sheet.inside, sheet.last):
        if match[5] is not None:
            if row is not None:
                row.end = match.end()
        elif match[1] is not None:
            own = _ROW_NUMBER.search(match[1])
            before, number = number, int(own[1]) if own else number + 1
            if number <= before:
                raise KisError.of("WORKBOOK_BROKEN")
            at = match.end()
            row = sheet.rows[number] = RowXml(match.start(), at, at, at, match[1])
        elif row is None:
            raise KisError.of("WORKBOOK_BROKEN")
        else:
            _add_cell(sheet, number, row, match)
    if len(sheet.cells) > _MAX_CELLS:
        raise KisError.of("WORKBOOK_LIMITS")


def _add_cell(sheet: SheetXml, number: int, row: RowXml, match: re.Match[bytes]) -> None:
    before = row.columns[-1] if row.columns else 0
    raw, body = match[3], match[4]
    own = _PLACE.search(raw)
    column = column_number(own[1]) if own else before + 1
    if column <= before or (own and int(own[2]) != number):
        raise KisError.of("WORKBOOK_BROKEN")
    if body and (number > _MAX_ROW or column > _MAX_COLUMN):
        raise KisError.of("CELL_OUT_OF_RANGE", cell=cell_name((number, column)))
    row.columns.append(column)
    start, row.last = match.span()
    sheet.cells[number, column] = CellXml(start, row.last, raw, body)


def _decoded(raw: bytes) -> str:
    text = raw.decode("utf-8")
    return _ENTITY.sub(_entity, text) if "&" in text else text


def _entity(match: re.Match[str]) -> str:
    if match[3]:
        return _ENTITIES[match[3]]
    return chr(int(match[1], 16) if match[1] else int(match[2]))


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise KisError.of("WORKBOOK_BROKEN")
    return int(text)
