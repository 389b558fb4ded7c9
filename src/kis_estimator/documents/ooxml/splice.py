"""Other values in the cells of a worksheet part; every byte around them stays as it is."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from xml.sax.saxutils import escape, quoteattr

from kis_estimator.documents.ooxml.cells import CellXml, RowXml, SheetXml, attributes_of
from kis_estimator.documents.ooxml.contents import ErrorValue, Result, Value
from kis_estimator.documents.ooxml.references import Cell, cell_name

Edit = tuple[int, int, bytes]
_SPANS = re.compile(rb"""\sspans\s*=\s*(?:"[^"]*"|'[^']*')""")
_MEANT = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_EMPTY = "/>"


def edit_sheet(
    sheet: SheetXml, values: Mapping[Cell, Value], results: Mapping[Cell, Result]
) -> bytes:
    """Return the part with values written into cells, and other results stored with formulas.

    A cell keeps its style; one that is not there yet gets that of its row or column. Text is
    written as text, whatever it looks like. A result of None leaves a formula without a value.
    """
    edits = [
        (cell.start, cell.end, _recalculated(sheet.prefix, cell, results[place]))
        for place, cell in sheet.cells.items()
        if place in results
    ]
    fresh: dict[int, list[Cell]] = {}
    for place in sorted(values):
        cell = sheet.cells.get(place)
        if cell is None:
            fresh.setdefault(place[0], []).append(place)
        else:
            style = cell.attributes.get("s")
            edits.append((cell.start, cell.end, _cell(sheet.prefix, place, style, values[place])))
    edits += _fresh_cells(sheet, fresh, values)
    return _applied(sheet.xml, edits)


def _applied(xml: bytes, edits: list[Edit]) -> bytes:
    """Apply edits; of those at one place, insertions come first, in the order given."""
    parts, at = [], 0
    for start, end, new in sorted(edits, key=lambda edit: edit[:2]):
        parts += [xml[at:start], new]
        at = end
    return b"".join((*parts, xml[at:]))


def _fresh_cells(
    sheet: SheetXml, fresh: Mapping[int, list[Cell]], values: Mapping[Cell, Value]
) -> Iterator[Edit]:
    """Yield the insertions of cells that the part does not have, and of rows for them."""
    numbers = list(sheet.rows)
    empty = sheet.xml.endswith(_EMPTY.encode(), 0, sheet.inside)
    if empty and fresh:
        yield sheet.start, sheet.inside, f"<{sheet.prefix}sheetData>".encode()
    columns = sheet.column_styles
    for number, places in fresh.items():
        row = sheet.rows.get(number)
        styles = [_style(row, columns, place[1]) for place in places]
        cells = [
            _cell(sheet.prefix, place, style, values[place])
            for place, style in zip(places, styles, strict=True)
        ]
        if row is not None:
            yield from _into_row(sheet, row, places, cells)
            continue
        after = bisect_right(numbers, number)
        at = sheet.rows[numbers[after]].start if after < len(numbers) else sheet.last
        open_, close = f'<{sheet.prefix}row r="{number}">', f"</{sheet.prefix}row>"
        yield at, at, b"".join((open_.encode(), *cells, close.encode()))
    if empty and fresh:
        yield sheet.inside, sheet.inside, f"</{sheet.prefix}sheetData>".encode()


def _into_row(
    sheet: SheetXml, row: RowXml, places: list[Cell], cells: list[bytes]
) -> Iterator[Edit]:
    """Yield insertions into a row; `spans`, a hint that may no longer hold, goes."""
    tag = _SPANS.sub(b"", sheet.xml[row.start : row.inside])
    empty = tag.endswith(_EMPTY.encode())
    yield row.start, row.inside, tag.removesuffix(_EMPTY.encode()) + b">" if empty else tag
    number = places[0][0]
    for place, cell in zip(places, cells, strict=True):
        after = bisect_right(row.columns, place[1])
        later = row.columns[after:]
        at = sheet.cells[number, later[0]].start if later else row.last
        yield at, at, cell
    if empty:
        yield row.inside, row.inside, f"</{sheet.prefix}row>".encode()


def _style(row: RowXml | None, columns: list[tuple[int, int, str]], column: int) -> str | None:
    if row is not None:
        attributes = attributes_of(row.raw)
        if attributes.get("customFormat") in ("1", "true"):
            return attributes.get("s")
    for first, last, style in columns:
        if first <= column <= last:
            return style
    return None


def _cell(prefix: str, place: Cell, style: str | None, value: Value) -> bytes:
    attributes = {"r": cell_name(place)}
    if style is not None:
        attributes["s"] = style
    inside = ""
    if isinstance(value, str):
        attributes["t"] = "inlineStr"
        text = f'<{prefix}t xml:space="preserve">{_escaped(value)}</{prefix}t>'
        inside = f"<{prefix}is>{text}</{prefix}is>"
    elif value is not None:
        inside = f"<{prefix}v>{_number(value)}</{prefix}v>"
    return _element(prefix, attributes, inside).encode()


def _recalculated(prefix: str, cell: CellXml, result: Result) -> bytes:
    """Return a formula's cell with another stored value; all else about it stays."""
    attributes = cell.attributes
    attributes.pop("t", None)
    text = ""
    if isinstance(result, ErrorValue):
        attributes["t"], text = "e", result.text
    elif isinstance(result, bool):
        attributes["t"], text = "b", str(int(result))
    elif isinstance(result, str):
        attributes["t"], text = "str", _escaped(result)
    elif result is not None:
        text = _number(result)
    value = "" if result is None else f"<{prefix}v>{text}</{prefix}v>"
    return _element(prefix, attributes, cell.formula_xml.decode() + value).encode()


def _element(prefix: str, attributes: Mapping[str, str], inside: str) -> str:
    written = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    end = f">{inside}</{prefix}c>" if inside else _EMPTY
    return f"<{prefix}c{written}{end}"


def _escaped(text: str) -> str:
    """Escape text for XML, and what the file format itself would take for an escape.

    >>> _escaped("a < _x0041_")
    'a &lt; _x005F_x0041_'
    """
    return escape(_MEANT.sub("_x005F_", text))


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
