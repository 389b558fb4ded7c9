"""The lint stage: the finished documents of a run held against its figures and each other.

The checks read the files back as a customer's programs would, so that they also work on a folder
made earlier. Each finding says in which document and what to do.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from kis_estimator.documents.cover import finding
from kis_estimator.documents.facts import (
    PdfFacts,
    SvgFacts,
    WorkbookFacts,
    dxf_is_sound,
    pdf_facts,
    squeezed,
    svg_facts,
    workbook_facts,
)
from kis_estimator.documents.hangul import amount_in_hangul
from kis_estimator.documents.lettering import clean
from kis_estimator.documents.pdf.glyphs import printable
from kis_estimator.documents.supplier import Supplier, parse_supplier
from kis_estimator.documents.texts import Texts, date_text, say, texts
from kis_estimator.engine.model import Finding, Gate
from kis_estimator.errors import KisError, Locale

WORKBOOK, PDF, FORM = "quotation.xlsx", "quotation.pdf", "form.xlsx"
ESTIMATE, QUOTED = "estimate.json", "evidence/4-format/input.json"
REQUEST, COMPANY = "inputs/request.json", "inputs/company.toml"
GIVEN_FORM, DRAWINGS = "inputs/form.xlsx", "drawings/"
FORMAT_OUTPUT = "evidence/4-format/output.json"
KINDS = ("outline", "arrangement", "single-line")
FORMATS = ("svg", "dxf")
_DRAWING = re.compile(rf"{DRAWINGS}(\d{{2,}})-.+-({'|'.join(KINDS)})\.({'|'.join(FORMATS)})")
_FONT = re.compile(r"(?:[A-Z]{6}\+)?Pretendard-(?:Regular|Bold)")
_SHEET_NAME_LIMIT = 31
_PANELS_LIMIT = 10_000

Problems = Iterator[tuple[str, dict[str, object]]]


def is_wanted(name: str) -> bool:
    """Return whether a file of a run is one that the checks read."""
    return name.startswith(DRAWINGS) or name in _WANTED


_WANTED = frozenset(
    {WORKBOOK, PDF, FORM, ESTIMATE, QUOTED, FORMAT_OUTPUT, REQUEST, COMPANY, GIVEN_FORM}
)


class _MissingFileError(Exception):
    """A file that a check reads is not there; its path."""


@dataclass(frozen=True)
class Folder:
    """The files of a run by their paths, and what they should say."""

    files: Mapping[str, bytes]

    def read(self, path: str) -> bytes:
        """Return a file."""
        if path not in self.files:
            raise _MissingFileError(path)
        return self.files[path]

    @cached_property
    def estimate(self) -> dict[str, Any]:
        """Return estimate.json, or what stands in for it while the run is being made."""
        return _object(self.read(ESTIMATE))

    @cached_property
    def request(self) -> dict[str, Any]:
        """Return the request as the engine took it."""
        return _object(self.read(REQUEST))

    @cached_property
    def sample(self) -> bool:
        """Return whether the prices are samples."""
        return bool(_object(self.read(QUOTED))["sample"])

    @cached_property
    def supplier(self) -> Supplier:
        """Return who quotes."""
        return parse_supplier(self.read(COMPANY))

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
        return workbook_facts(self.read(WORKBOOK))

    @cached_property
    def pdf(self) -> PdfFacts:
        """Return what the PDF says."""
        return pdf_facts(self.read(PDF))

    @cached_property
    def pdf_text(self) -> str:
        """Return the text of all pages without blanks."""
        return "".join(self.pdf.pages)

    @cached_property
    def drawings(self) -> Mapping[str, SvgFacts]:
        """Return what every SVG drawing shows."""
        return {
            name: svg_facts(data)
            for name, data in self.files.items()
            if name.startswith(DRAWINGS) and name.endswith(".svg")
        }

    @property
    def drawn(self) -> Iterator[tuple[str, str]]:
        """Yield path and text without blanks of every SVG drawing."""
        for path, drawing in self.drawings.items():
            yield path, squeezed("\n".join(drawing.texts))


Check = Callable[[Folder], Problems]


def lint(files: Mapping[str, bytes], locale: Locale | None = None) -> tuple[Finding, ...]:
    """Run every check on the files of a run. A file that cannot be read is itself a finding.

    The findings are told in the language of the documents where no other is asked for.
    """
    folder = Folder(files)
    told = locale or _locale(folder)
    found = (one for check in CHECKS for one in _findings(check, folder, told))
    return tuple({f"{one.code} {one.figures}": one for one in found}.values())


def _findings(check: Check, folder: Folder, locale: Locale) -> Iterator[Finding]:
    """Run one check; what ends it is its last finding."""
    try:
        for code, params in check(folder):
            yield finding("violation", code, params, locale)
    except _MissingFileError as error:
        yield finding("violation", "LINT_STRUCTURE", {"path": str(error)}, locale)
    except _DAMAGE as error:
        params = {"check": check.__name__, "reason": _reason(error, locale)}
        yield finding("violation", "LINT_UNREADABLE", params, locale)


def lint_gate(findings: tuple[Finding, ...]) -> Gate:
    """Count the errors of the documents."""
    count = sum(f.severity == "violation" for f in findings)
    return Gate(stage="lint", name="errors", value=count, limit=0, passed=count == 0)


# ---------------------------------------------------------------- checks


def structure(folder: Folder) -> Problems:
    """Workbook, PDF and for every panel three drawings in both formats."""
    wanted = (WORKBOOK, PDF, FORM) if GIVEN_FORM in folder.files else (WORKBOOK, PDF)
    for path in wanted:
        if path not in folder.files:
            yield "LINT_STRUCTURE", {"path": path}
    panels = folder.estimate["panels"]
    if not isinstance(panels, list) or len(panels) > _PANELS_LIMIT:
        raise ValueError("panels")
    counts = Counter(match.groups() for match in map(_DRAWING.fullmatch, folder.files) if match)
    for number in range(1, len(panels) + 1):
        for kind in KINDS:
            for suffix in FORMATS:
                count = counts[f"{number:02d}", kind, suffix]
                if count != 1:
                    drawing = f"{DRAWINGS}{number:02d}-…-{kind}.{suffix}"
                    yield "LINT_DRAWING_COUNT", {"path": drawing, "count": count}


def totals(folder: Folder) -> Problems:
    """Supply price, VAT and total are equal in JSON, workbook and PDF."""
    names = folder.workbook.names
    for key, name in (("supply", "KIS_Supply"), ("vat", "KIS_VAT"), ("total", "KIS_Total")):
        expected = folder.estimate["totals"][key]
        if names.get(name) != expected:
            yield "LINT_TOTAL", _differs(WORKBOOK, name, names.get(name), expected)
        if f"{expected:,}" not in folder.pdf_text:
            yield "LINT_TOTAL", _differs(PDF, key, None, expected)


def total_in_words(folder: Folder) -> Problems:
    """The total is spelled out as it is on the cover of workbook and PDF, where it is spelled."""
    if folder.locale != "ko-KR":
        return
    words = amount_in_hangul(folder.estimate["totals"]["total"])
    spelled = say(folder.words, "amount_words", words=words)
    written = squeezed(str(folder.workbook.names.get("KIS_TotalWords")))
    for where, found in (
        (WORKBOOK, written == squeezed(spelled)),
        (PDF, squeezed(spelled) in folder.pdf.pages[0]),
    ):
        if not found:
            yield "LINT_TEXT", {"where": where, "what": "KIS_TotalWords", "text": spelled}


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
            yield "LINT_TEXT", {"where": WORKBOOK, "what": name, "text": what}
        if what not in cover:
            yield "LINT_TEXT", {"where": PDF, "what": name, "text": what}
    for path, text in folder.drawn:
        if number not in text:
            yield "LINT_TEXT", {"where": path, "what": "KIS_Number", "text": number}


def names(folder: Folder) -> Problems:
    """Customer, project and every panel are named in workbook and PDF; sheet names are valid."""
    wanted = [folder.request["customer"].get("name"), folder.request.get("project")]
    wanted += [panel["name"] for panel in folder.estimate["panels"]]
    book = squeezed("\n".join(text for sheet in folder.workbook.texts.values() for text in sheet))
    for name in filter(None, map(clean, filter(None, wanted))):
        [printed], _ = printable([name])
        for where, what, text in ((WORKBOOK, name, book), (PDF, printed, folder.pdf_text)):
            if squeezed(what) not in text:
                yield "LINT_TEXT", {"where": where, "what": "name", "text": what}
    sheets = [sheet.casefold() for sheet in folder.workbook.texts]
    if len(set(sheets)) != len(sheets) or max(map(len, sheets)) > _SHEET_NAME_LIMIT:
        yield "LINT_SHEET_NAMES", {"sheets": list(folder.workbook.texts)}


def supplier(folder: Folder) -> Problems:
    """The supplier's name and registration number stand on workbook and PDF."""
    book = squeezed("\n".join(text for sheet in folder.workbook.texts.values() for text in sheet))
    for what in (folder.supplier.name, folder.supplier.registration_number):
        [printed], _ = printable([what])
        for where, wanted, text in (
            (WORKBOOK, what, book),
            (PDF, printed, folder.pdf.pages[0]),
        ):
            if squeezed(wanted) not in text:
                yield "LINT_TEXT", {"where": where, "what": "supplier", "text": wanted}


def fonts(folder: Folder) -> Problems:
    """The PDF uses our fonts alone, embedded."""
    for font, embedded in folder.pdf.fonts.items():
        if not embedded or not _FONT.match(font):
            yield "LINT_FONT", {"font": font}


def glyphs(folder: Folder) -> Problems:
    """The PDF prints every character of the texts that went into it, none of them as a box."""
    given = {*_strings([folder.request, folder.estimate, asdict(folder.supplier)])}
    shown = {text for drawing in folder.drawings.values() for text in drawing.texts}
    boxed: set[str] = set()
    for all_texts, drawn in ((given, False), (shown, True)):
        suspects = printable(list(all_texts), drawn=drawn)[1]
        for text in all_texts:
            if not suspects.isdisjoint(text):
                [printed], unknown = printable([clean(text)], drawn=drawn)
                boxed |= unknown if squeezed(printed) in folder.pdf_text else set()
    if boxed:
        characters = [f"{char} (U+{ord(char):04X})" for char in sorted(boxed)]
        yield "LINT_GLYPH", {"characters": characters}


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
            f"{WORKBOOK} [{sheet}]": squeezed("".join(t))
            for sheet, t in folder.workbook.texts.items()
        },
        **{f"{PDF} p. {n}": text for n, text in enumerate(folder.pdf.pages, start=1)},
        **dict(folder.drawn),
    }
    for where, text in places.items():
        if (mark in text) is not folder.sample:
            yield "LINT_SAMPLE", {"where": where}


def error_values(folder: Folder) -> Problems:
    """No cell of the workbook holds an error."""
    for sheet, cell in folder.workbook.errors:
        yield "LINT_ERROR_VALUE", {"where": f"{WORKBOOK} [{sheet}] {cell}"}


def drawings(folder: Folder) -> Problems:
    """Every drawing can be read, and holds nothing that runs or is loaded from elsewhere."""
    for path, data in folder.files.items():
        if path.startswith(DRAWINGS):
            svg = folder.drawings.get(path)
            if not (dxf_is_sound(data) if svg is None else svg.sound):
                yield "LINT_DRAWING", {"path": path}


def circuits(folder: Folder) -> Problems:
    """Arrangement and single-line diagram show every circuit by its number."""
    panels = {f"{i:02d}": panel for i, panel in enumerate(folder.estimate["panels"], start=1)}
    for path, drawing in folder.drawings.items():
        match = _DRAWING.fullmatch(path)
        if match is None or match[2] == "outline" or match[1] not in panels:
            continue
        panel = panels[match[1]]
        wanted = {p["circuit"] for p in panel["placements"] if p["role"] == "branch"}
        missing = sorted(one for one in wanted if str(one) not in drawing.circuits)
        if missing:
            yield "LINT_CIRCUITS", {"path": path, "circuits": missing}


CHECKS: tuple[Check, ...] = (
    structure,
    totals,
    total_in_words,
    quantities,
    number_and_date,
    names,
    supplier,
    fonts,
    glyphs,
    pages,
    sample_mark,
    error_values,
    drawings,
    circuits,
)


# ---------------------------------------------------------------- reading

# What reading a damaged file, or one that somebody else wrote, may raise.
_DAMAGE = (
    KisError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
)  # fmt: skip


def _object(data: bytes) -> dict[str, Any]:
    value = json.loads(data)
    if not isinstance(value, dict):
        raise TypeError("not a JSON object")
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # else no finding can be told
    return value


def _locale(folder: Folder) -> Locale:
    try:
        return folder.locale
    except (_MissingFileError, *_DAMAGE):
        return "ko-KR"


def _reason(error: Exception, locale: Locale) -> str:
    """Return what reading a damaged file came upon."""
    if isinstance(error, KisError):
        return ", ".join(notice.message(locale) for notice in error.notices)
    return f"{type(error).__name__}: {error}"


def _strings(value: object) -> Iterator[str]:
    """Yield every text inside JSON."""
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            pending += one.values()
        elif isinstance(one, list | tuple):
            pending += one


def _differs(where: str, what: str, found: object, expected: int) -> dict[str, object]:
    shown = "–" if found is None else found
    return {"where": where, "what": what, "found": shown, "expected": expected}
