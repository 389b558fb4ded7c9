"""The lint stage: the finished documents of a run held against its figures and each other.

The checks read the files back as a customer's programs would, so that they also work on a folder
made earlier. Each finding says in which document and what to do.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from kis_estimator.documents.cover import finding
from kis_estimator.documents.facts import (
    PdfFacts,
    WorkbookFacts,
    pdf_facts,
    squeezed,
    workbook_facts,
)
from kis_estimator.documents.lettering import clean
from kis_estimator.documents.supplier import Supplier, parse_supplier
from kis_estimator.documents.texts import Texts, date_text, texts
from kis_estimator.engine.model import Finding, Gate
from kis_estimator.errors import KisError, Locale

KINDS = ("outline", "arrangement", "single-line")
FORMATS = ("svg", "dxf")
_FONT = re.compile(r"(?:[A-Z]{6}\+)?Pretendard-(?:Regular|Bold)")
_SHEET_NAME_LIMIT = 31
_NOT_SET = re.compile(r"[□\ufffd]")

Problems = Iterator[tuple[str, dict[str, object]]]


@dataclass(frozen=True)
class Folder:
    """The files of a run by their paths, and what they should say."""

    files: Mapping[str, bytes]

    @cached_property
    def estimate(self) -> dict[str, Any]:
        """Return estimate.json, or what stands in for it while the run is being made."""
        return _object(self.files["estimate.json"])

    @cached_property
    def request(self) -> dict[str, Any]:
        """Return the request as the engine took it."""
        return _object(self.files["inputs/request.json"])

    @cached_property
    def sample(self) -> bool:
        """Return whether the prices are samples."""
        return bool(_object(self.files["evidence/4-format/input.json"])["sample"])

    @cached_property
    def supplier(self) -> Supplier:
        """Return who quotes."""
        return parse_supplier(self.files["inputs/company.toml"])

    @cached_property
    def words(self) -> Texts:
        """Return the labels of the documents' language."""
        return texts(self.locale)

    @property
    def locale(self) -> Locale:
        """Return the documents' language."""
        return "en-US" if self.request.get("locale") == "en-US" else "ko-KR"

    @cached_property
    def workbook(self) -> WorkbookFacts:
        """Return what the workbook says."""
        return workbook_facts(self.files["quotation.xlsx"])

    @cached_property
    def pdf(self) -> PdfFacts:
        """Return what the PDF says."""
        return pdf_facts(self.files["quotation.pdf"])

    @cached_property
    def pdf_text(self) -> str:
        """Return the text of all pages without blanks."""
        return "".join(self.pdf.pages)

    @cached_property
    def drawings(self) -> Mapping[str, str]:
        """Return the text of every SVG drawing without blanks; a broken one has none."""
        return {
            name: squeezed(_svg_text(data))
            for name, data in self.files.items()
            if name.startswith("drawings/") and name.endswith(".svg")
        }


Check = Callable[[Folder], Problems]


def lint(files: Mapping[str, bytes]) -> tuple[Finding, ...]:
    """Run every check on the files of a run. A file that cannot be read is itself a finding."""
    folder = Folder(files)
    found: list[tuple[str, dict[str, object]]] = []
    for check in CHECKS:
        try:
            found += check(folder)
        except KeyError as error:
            found.append(("LINT_STRUCTURE", {"path": str(error.args[0])}))
        except (KisError, ValueError, TypeError, ET.ParseError) as error:
            found.append(("LINT_UNREADABLE", {"check": check.__name__, "reason": str(error)}))
    unique = {f"{code} {params}": (code, params) for code, params in found}
    locale = _locale(folder)
    return tuple(finding("violation", code, params, locale) for code, params in unique.values())


def lint_gate(findings: tuple[Finding, ...]) -> Gate:
    """Count the errors of the documents."""
    count = sum(f.severity == "violation" for f in findings)
    return Gate(stage="lint", name="errors", value=count, limit=0, passed=count == 0)


# ---------------------------------------------------------------- checks


def structure(folder: Folder) -> Problems:
    """Workbook, PDF and for every panel three drawings in both formats."""
    for path in ("quotation.xlsx", "quotation.pdf"):
        if path not in folder.files:
            yield "LINT_STRUCTURE", {"path": path}
    for number in range(1, len(folder.estimate["panels"]) + 1):
        for kind in KINDS:
            for suffix in FORMATS:
                pattern = re.compile(rf"drawings/{number:02d}-.+-{kind}\.{suffix}")
                count = sum(pattern.fullmatch(name) is not None for name in folder.files)
                if count != 1:
                    wanted = f"drawings/{number:02d}-…-{kind}.{suffix}"
                    yield "LINT_DRAWING_COUNT", {"path": wanted, "count": count}


def totals(folder: Folder) -> Problems:
    """Supply price, VAT and total are equal in JSON, workbook and PDF."""
    names = folder.workbook.names
    for key, name in (("supply", "KIS_Supply"), ("vat", "KIS_VAT"), ("total", "KIS_Total")):
        expected = folder.estimate["totals"][key]
        if names.get(name) != expected:
            yield "LINT_TOTAL", _differs("quotation.xlsx", name, names.get(name), expected)
        if f"{expected:,}" not in folder.pdf_text:
            yield "LINT_TOTAL", _differs("quotation.pdf", key, None, expected)


def quantities(folder: Folder) -> Problems:
    """Breakers asked for, mounted and priced are the same number in every panel."""
    pairs = zip(folder.request["panels"], folder.estimate["panels"], strict=True)
    for asked, made in pairs:
        priced = sum(line["quantity"] for line in made["lines"] if line["group"] == "branch")
        spd = sum(
            line["quantity"] for line in made["lines"] if line["rule"] == "selection.spd_rating_a"
        )
        mounted = sum(place["role"] == "branch" for place in made["placements"])
        wanted = sum(row["quantity"] for row in asked["breakers"] if row["role"] == "branch")
        if mounted != priced or not priced - spd <= wanted <= priced:
            params = {"panel": made["name"], "asked": wanted, "mounted": mounted, "priced": priced}
            yield "LINT_QUANTITY", params
        if asked.get("quantity", 1) != made["quantity"]:
            params = {
                "panel": made["name"], "asked": asked.get("quantity", 1),
                "mounted": made["quantity"], "priced": made["quantity"],
            }  # fmt: skip
            yield "LINT_QUANTITY", params


def number_and_date(folder: Folder) -> Problems:
    """Number and date stand on the cover of workbook and PDF; the number on every drawing."""
    number = squeezed(clean(folder.estimate["number"]))
    created = datetime.fromisoformat(folder.estimate["createdAt"]) + timedelta(hours=9)
    date = date_text(folder.words, created.date())
    names, cover = folder.workbook.names, folder.pdf.pages[0]
    for what, name in ((number, "KIS_Number"), (squeezed(date), "KIS_Date")):
        if not squeezed(str(names.get(name))).startswith(what):
            yield "LINT_TEXT", {"where": "quotation.xlsx", "what": name, "text": what}
        if what not in cover:
            yield "LINT_TEXT", {"where": "quotation.pdf", "what": name, "text": what}
    for path, text in folder.drawings.items():
        if number not in text:
            yield "LINT_TEXT", {"where": path, "what": "KIS_Number", "text": number}


def names(folder: Folder) -> Problems:
    """Customer, project and every panel are named in workbook and PDF; sheet names are valid."""
    wanted = [folder.request["customer"].get("name"), folder.request.get("project")]
    wanted += [panel["name"] for panel in folder.estimate["panels"]]
    book = squeezed("\n".join(text for sheet in folder.workbook.texts.values() for text in sheet))
    for name in filter(None, map(clean, filter(None, wanted))):
        for where, text in (("quotation.xlsx", book), ("quotation.pdf", folder.pdf_text)):
            if squeezed(name) not in text and not _NOT_SET.search(text):
                yield "LINT_TEXT", {"where": where, "what": "name", "text": name}
    sheets = [sheet.casefold() for sheet in folder.workbook.texts]
    if len(set(sheets)) != len(sheets) or max(map(len, sheets)) > _SHEET_NAME_LIMIT:
        yield "LINT_SHEET_NAMES", {"sheets": list(folder.workbook.texts)}


def supplier(folder: Folder) -> Problems:
    """The supplier's name and registration number stand on workbook and PDF."""
    book = squeezed("\n".join(text for sheet in folder.workbook.texts.values() for text in sheet))
    for what in (folder.supplier.name, folder.supplier.registration_number):
        for where, text in (("quotation.xlsx", book), ("quotation.pdf", folder.pdf.pages[0])):
            if squeezed(clean(what)) not in text:
                yield "LINT_TEXT", {"where": where, "what": "supplier", "text": what}


def fonts(folder: Folder) -> Problems:
    """The PDF uses our fonts alone, embedded, and set every character."""
    for font, embedded in folder.pdf.fonts.items():
        if not embedded or not _FONT.match(font):
            yield "LINT_FONT", {"font": font}
    for page, text in enumerate(folder.pdf.pages, start=1):
        if _NOT_SET.search(text):
            yield "LINT_GLYPH", {"page": page}


def pages(folder: Folder) -> Problems:
    """Every page says which of how many it is."""
    count = len(folder.pdf.pages)
    for page, text in enumerate(folder.pdf.pages, start=1):
        if f"{page}/{count}" not in text:
            yield "LINT_PAGE", {"page": page, "count": count}


def sample_mark(folder: Folder) -> Problems:
    """Sample prices are marked on every sheet, page and drawing; real ones nowhere."""
    mark = squeezed(folder.words["sample_short"])
    places = {
        **{
            f"quotation.xlsx [{sheet}]": squeezed("".join(t))
            for sheet, t in folder.workbook.texts.items()
        },
        **{f"quotation.pdf p. {n}": text for n, text in enumerate(folder.pdf.pages, start=1)},
        **folder.drawings,
    }
    for where, text in places.items():
        if (mark in text) is not folder.sample:
            yield "LINT_SAMPLE", {"where": where}


def error_values(folder: Folder) -> Problems:
    """No cell of the workbook holds an error."""
    for sheet, cell in folder.workbook.errors:
        yield "LINT_ERROR_VALUE", {"where": f"quotation.xlsx [{sheet}] {cell}"}


def drawings(folder: Folder) -> Problems:
    """Every drawing can be read and runs nothing."""
    for path, data in folder.files.items():
        if not path.startswith("drawings/"):
            continue
        if path.endswith(".svg"):
            root = ET.fromstring(data)  # noqa: S314 - our own drawing, without a document type
            tags = {element.tag.rpartition("}")[2] for element in root.iter()}
            sound = not tags & {"script", "foreignObject", "image"} and b"<!" not in data
        else:
            sound = data.rstrip().endswith(b"EOF")
        if not sound:
            yield "LINT_DRAWING", {"path": path}


def circuits(folder: Folder) -> Problems:
    """Arrangement and single-line diagram show every circuit."""
    for number, panel in enumerate(folder.estimate["panels"], start=1):
        wanted = {p["circuit"] for p in panel["placements"] if p["role"] == "branch"}
        for path, text in folder.drawings.items():
            if path.startswith(f"drawings/{number:02d}-") and not path.endswith("-outline.svg"):
                missing = sorted(circuit for circuit in wanted if str(circuit) not in text)
                if missing:
                    yield "LINT_CIRCUITS", {"path": path, "circuits": missing}


CHECKS: tuple[Check, ...] = (
    structure,
    totals,
    quantities,
    number_and_date,
    names,
    supplier,
    fonts,
    pages,
    sample_mark,
    error_values,
    drawings,
    circuits,
)


# ---------------------------------------------------------------- reading


def _object(data: bytes) -> dict[str, Any]:
    value = json.loads(data)
    if not isinstance(value, dict):
        raise TypeError("not a JSON object")
    return value


def _locale(folder: Folder) -> Locale:
    try:
        return folder.locale
    except (KeyError, ValueError, TypeError):
        return "ko-KR"


def _svg_text(data: bytes) -> str:
    try:
        return "\n".join(ET.fromstring(data).itertext())  # noqa: S314 - our own drawing
    except ET.ParseError:
        return ""


def _differs(where: str, what: str, found: object, expected: int) -> dict[str, object]:
    shown = "–" if found is None else found
    return {"where": where, "what": what, "found": shown, "expected": expected}
