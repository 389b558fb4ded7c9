"""What a finished document says, read back from its bytes, for checks that compare documents."""

from __future__ import annotations

import ctypes
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from kis_estimator.documents.ooxml.cells import scan_sheet
from kis_estimator.documents.ooxml.contents import Value
from kis_estimator.documents.ooxml.names import defined_names
from kis_estimator.documents.ooxml.package import elements, read_parts, sheet_parts
from kis_estimator.documents.ooxml.references import cell_name, target_of

_SHARED_STRINGS = "xl/sharedStrings.xml"
_INDEX = re.compile(rb"<v>(\d+)</v>")
_SVG = "{http://www.w3.org/2000/svg}"
# What a drawing consists of; nothing of it can run, load or link to anything.
_SVG_ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "svg": frozenset({"width", "height", "viewBox", "role", "aria-label", "font-family"}),
    "title": frozenset(),
    "desc": frozenset(),
    "g": frozenset({"class", "fill", "stroke", "stroke-width", "stroke-dasharray", "font-weight"}),
    "rect": frozenset({"x", "y", "width", "height", "rx"}),
    "path": frozenset({"d"}),
    "polyline": frozenset({"points"}),
    "polygon": frozenset({"points"}),
    "circle": frozenset({"cx", "cy", "r"}),
    "text": frozenset({"x", "y", "font-size", "text-anchor", "transform"}),
    "tspan": frozenset({"x", "y"}),
}
_INK = re.compile(r"none|#[0-9A-Fa-f]{6}")
_DXF = re.compile(rb"(?: *-?\d{1,4}\n[^\n]*\n)++")
# A code line holds digits, so that «0» before a word is never a value before a code.
_DXF_RECORD = re.compile(rb"^ *0\n([^\d\s-][^\n]*)\n(?: *2\n([^\n]*)\n)?", re.MULTILINE)
_DXF_SECTIONS = (b"HEADER", b"CLASSES", b"TABLES", b"BLOCKS", b"ENTITIES", b"OBJECTS")
_DXF_ENTITIES = frozenset({b"LINE", b"LWPOLYLINE", b"SOLID", b"CIRCLE", b"TEXT"})


@dataclass(frozen=True, slots=True)
class WorkbookFacts:
    """Stored values by name, texts by sheet, and the cells that hold an error value."""

    names: Mapping[str, Value]
    texts: Mapping[str, tuple[str, ...]]
    errors: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PdfFacts:
    """Text of each page without blanks, and whether each font is embedded."""

    pages: tuple[str, ...]
    fonts: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class SvgFacts:
    """What a drawing shows: its texts, and the circuits whose number stands on their own body.

    `sound` says that it can be read and holds nothing but shapes and texts; else nothing is shown.
    """

    texts: tuple[str, ...]
    circuits: frozenset[str]
    sound: bool


def squeezed(text: str) -> str:
    r"""Return a text without blanks and soft breaks, as documents wrap it.

    >>> squeezed("일금  이백\n만원정")
    '일금이백만원정'
    """
    return re.sub(r"[\s\u200b\u00ad\u2060\ufeff]+", "", text)


def workbook_facts(data: bytes) -> WorkbookFacts:
    """Read a workbook. Raises KisError or ValueError where it is no plain workbook."""
    parts = read_parts(data)
    strings = _shared_strings(parts)
    cells: dict[str, dict[tuple[int, int], Any]] = {}
    errors: list[tuple[str, str]] = []
    for sheet in sheet_parts(parts):
        values = cells.setdefault(sheet.name, {})
        for place, cell in scan_sheet(parts[sheet.part]).cells.items():
            index = _INDEX.search(cell.body or b"") if cell.attributes.get("t") == "s" else None
            values[place] = strings[int(index[1])] if index else cell.value
            if cell.is_error:
                errors.append((sheet.name, cell_name(place)))
    names: dict[str, Value] = {}
    for name in defined_names(parts):
        target = target_of(name.refers_to)
        if target and target[0] in cells:
            names[name.name] = cells[target[0]].get(target[1][0])
    texts = {
        sheet: tuple(value for value in values.values() if isinstance(value, str))
        for sheet, values in cells.items()
    }
    return WorkbookFacts(names, texts, tuple(errors))


def _shared_strings(parts: Mapping[str, bytes]) -> list[str]:
    if _SHARED_STRINGS not in parts:
        return []
    strings: list[str] = []
    pieces: list[str] = []
    for element in elements(parts[_SHARED_STRINGS]):
        if element.name == "t":
            pieces.append(element.text)
        elif element.name == "si":
            strings.append("".join(pieces))
            pieces = []
    return strings


def pdf_facts(data: bytes) -> PdfFacts:
    """Read a PDF. Raises ValueError where it is none."""
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise ValueError(str(error)) from error
    try:
        pages: list[str] = []
        fonts: dict[str, bool] = {}
        for page in document:
            text = page.get_textpage()
            pages.append(squeezed(text.get_text_range()))
            for font in _fonts(page.raw):
                fonts[_font_name(font)] = bool(pdfium.FPDFFont_GetIsEmbedded(font))
    finally:
        document.close()
    return PdfFacts(tuple(pages), fonts)


def _fonts(page: Any) -> Iterator[Any]:  # noqa: ANN401 - handles of the library
    """Yield each font of a page once."""
    seen: set[int] = set()
    for index in range(pdfium.FPDFPage_CountObjects(page)):
        item = pdfium.FPDFPage_GetObject(page, index)
        if pdfium.FPDFPageObj_GetType(item) == pdfium.FPDF_PAGEOBJ_TEXT:
            font = pdfium.FPDFTextObj_GetFont(item)
            address = ctypes.addressof(font.contents)
            if address not in seen:
                seen.add(address)
                yield font


def _font_name(font: Any) -> str:  # noqa: ANN401 - a handle of the library
    length = pdfium.FPDFFont_GetBaseFontName(font, None, 0)
    buffer = ctypes.create_string_buffer(length)
    pdfium.FPDFFont_GetBaseFontName(font, buffer, length)
    return buffer.value.decode("utf-8", "replace")


def svg_facts(data: bytes) -> SvgFacts:
    """Read an SVG drawing."""
    try:
        text = data.decode("utf-8")
        # A document type or an instruction is refused before anything reads it.
        root = None if "<!" in text or "<?" in text else ET.fromstring(text)  # noqa: S314 - see above
    except (ValueError, ET.ParseError):
        root = None
    if root is None:
        return SvgFacts((), frozenset(), sound=False)
    texts = tuple("".join(element.itertext()) for element in root.iter(f"{_SVG}text"))
    sound = root.tag == f"{_SVG}svg" and all(map(_is_plain, root.iter()))
    return SvgFacts(texts, frozenset(_circuits(root)), sound)


def _is_plain(element: ET.Element) -> bool:
    """Return whether an element and its attributes are among those of our drawings."""
    allowed = _SVG_ATTRIBUTES.get(element.tag.removeprefix(_SVG))
    inks = [element.get(name, "none") for name in ("fill", "stroke")]
    return (
        element.tag.startswith(_SVG)
        and allowed is not None
        and allowed.issuperset(element.keys())
        and all(map(_INK.fullmatch, inks))
    )


def _circuits(root: ET.Element) -> Iterator[str]:
    """Yield the number that starts the title of a branch where a text of the branch shows it."""
    for group in root.findall(f"{_SVG}g"):
        number = group.findtext(f"{_SVG}title", "").partition(" ")[0]
        labels = ("".join(text.itertext()) for text in group.iter(f"{_SVG}text"))
        if group.get("class") == "branch" and any(
            label.partition(" ")[0] == number for label in labels
        ):
            yield number


def dxf_is_sound(data: bytes) -> bool:
    r"""Return whether a DXF is pairs of code and value, its sections whole and in order.

    Among its entities are lines, areas and texts alone: nothing that is loaded from elsewhere.

    >>> dxf_is_sound(b"  0\nEOF\n")
    False
    """
    if not _DXF.fullmatch(data):
        return False
    sections: list[bytes] = []
    kinds: set[bytes] = set()
    inside = False
    records = _DXF_RECORD.findall(data)
    for kind, name in records[:-1]:
        if (kind == b"SECTION") is inside or kind == b"EOF":
            return False
        if kind == b"SECTION":
            sections.append(name)
        elif kind != b"ENDSEC" and sections[-1] == b"ENTITIES":
            kinds.add(kind)
        inside = kind != b"ENDSEC"
    whole = not inside and data.endswith(b"\n  0\nEOF\n")
    return whole and tuple(sections) == _DXF_SECTIONS and kinds != set() and kinds <= _DXF_ENTITIES
