"""What a finished document says, read back from its bytes, for checks that compare documents."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping
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
            for item in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_TEXT]):
                font = pdfium.FPDFTextObj_GetFont(item.raw)
                fonts[_font_name(font)] = bool(pdfium.FPDFFont_GetIsEmbedded(font))
    finally:
        document.close()
    return PdfFacts(tuple(pages), fonts)


def _font_name(font: Any) -> str:  # noqa: ANN401 - a handle of the library
    length = pdfium.FPDFFont_GetBaseFontName(font, None, 0)
    buffer = ctypes.create_string_buffer(length)
    pdfium.FPDFFont_GetBaseFontName(font, buffer, length)
    return buffer.value.decode("utf-8", "replace")
