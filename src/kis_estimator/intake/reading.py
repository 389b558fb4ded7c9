"""Any file of a customer -> what it asks for, with every error, warning and skip on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePath

from kis_estimator.engine.model import BreakerSpec, Customer, EstimateRequest, PanelSpec
from kis_estimator.errors import KisError, Locale, Notice
from kis_estimator.intake.accessories import nearest_skus
from kis_estimator.intake.characters import cleaned
from kis_estimator.intake.checks import check_breaker, check_panel
from kis_estimator.intake.delimited import decode, lines_of, read_table
from kis_estimator.intake.report import FilePrice, Report
from kis_estimator.intake.tabs import read_tabs
from kis_estimator.intake.text import TextReading, nothing_in_text
from kis_estimator.intake.vocabulary import Vocabulary, trade_words
from kis_estimator.intake.workbook import read_workbook

MAX_BYTES = 20 * 1024 * 1024
MAX_PANELS = 200
MAX_DEVICES = 10_000
_ZIP, _OLE = b"PK", b"\xd0\xcf\x11\xe0"
_BINARY = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a file asks for. `request` is None when there are errors; `panels` are as read.

    A panel may lack its main breaker: the service proposes one. `fates` says for each row with
    content what became of it.
    """

    request: EstimateRequest | None
    panels: tuple[PanelSpec, ...] = ()
    errors: tuple[Notice, ...] = ()
    warnings: tuple[Notice, ...] = ()
    skipped: tuple[Notice, ...] = ()
    prices: tuple[FilePrice, ...] = ()
    fates: tuple[tuple[str, int, str], ...] = ()


def read(
    data: bytes,
    filename: str,
    vocabulary: Vocabulary,
    locale: Locale = "ko-KR",
    *,
    brand: str | None = None,
) -> Reading:
    """Return what a file asks for; bad input is never an exception but errors in the reading.

    `brand` is the request's own: it replaces the brand that a title or text gives a panel, and is
    put on every row that names neither a brand nor a model.
    """
    try:
        if brand is not None and brand not in vocabulary.brands:
            known = sorted(vocabulary.brands)
            raise KisError.of("UNKNOWN_BRAND", brand=brand, known=known)
        name = cleaned(PurePath(filename).name).strip() or "-"
        return _read(data, name, vocabulary, locale, brand)
    except KisError as error:
        return Reading(request=None, errors=error.notices)


def _read(
    data: bytes, filename: str, vocabulary: Vocabulary, locale: Locale, brand: str | None
) -> Reading:
    if len(data) > MAX_BYTES:
        raise KisError.of("FILE_TOO_LARGE", limit=MAX_BYTES // 2**20)
    if not data.strip():
        raise KisError.of("FILE_EMPTY")
    report = Report()
    if data.startswith((_ZIP, _OLE)):
        panels, project = read_tabs(read_workbook(data), vocabulary, report, brand)
        return _reading(panels, project, report, locale)
    named_workbook = filename.lower().endswith((".xlsx", ".xls"))
    if data.startswith(_BINARY):
        raise KisError.of("NOT_A_WORKBOOK")
    head = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"{") or filename.lower().endswith(".json"):
        return _read_json(data, vocabulary, brand)
    try:
        text = decode(data)
    except KisError as error:
        raise KisError.of("NOT_A_WORKBOOK") if named_workbook else error from error
    table = read_table(text, filename, required=filename.lower().endswith(".csv"))
    if table is not None:
        panels, project = read_tabs([table], vocabulary, report, brand)
        return _reading(panels, project, report, locale)
    if named_workbook:
        raise KisError.of("NOT_A_WORKBOOK")
    lines = lines_of(text)
    name = trade_words()["default_panel_name"][locale]
    reading = TextReading(filename, vocabulary, report, name, brand).run(lines)
    if not reading.panels and not report.errors:
        report.errors.append(nothing_in_text(lines))
    return _reading(reading.panels, reading.project, report, locale)


def _reading(
    panels: list[PanelSpec], project: str | None, report: Report, locale: Locale
) -> Reading:
    """Return the reading of a schedule: a request with a blank customer when all is well."""
    report.errors += _too_much(panels)
    request = None
    if not report.errors:
        request = EstimateRequest(
            customer=Customer(), panels=tuple(panels), project=project, locale=locale
        )
    return Reading(
        request=request,
        panels=tuple(panels),
        errors=tuple(report.errors),
        warnings=tuple(report.warnings),
        skipped=tuple(report.skipped),
        prices=tuple(report.prices),
        fates=tuple((sheet, row, fate) for (sheet, row), fate in report.fates.items()),
    )


def _too_much(panels: list[PanelSpec] | tuple[PanelSpec, ...]) -> Iterator[Notice]:
    if len(panels) > MAX_PANELS:
        yield Notice("TOO_MANY_PANELS", {"limit": MAX_PANELS})
    devices = sum(breaker.quantity for panel in panels for breaker in panel.breakers)
    if devices > MAX_DEVICES:
        yield Notice("TOO_MANY_DEVICES", {"limit": MAX_DEVICES})


# ---------------------------------------------------------------- JSON


def _read_json(data: bytes, vocabulary: Vocabulary, brand: str | None) -> Reading:
    # pydantic takes longer to import than a schedule takes to read
    from kis_estimator.intake.request import parse_request  # noqa: PLC0415

    request = parse_request(data)
    panels = tuple(_canonical(panel, vocabulary, brand) for panel in request.panels)
    request = replace(request, panels=panels)
    errors = (*_problems(panels, vocabulary), *_too_much(panels))
    return Reading(
        request=None if errors else request,
        panels=panels,
        errors=errors,
    )


def _canonical(panel: PanelSpec, vocabulary: Vocabulary, brand: str | None) -> PanelSpec:
    """Return the panel with models as the catalogue writes them, and the request's brand."""

    def written(breaker: BreakerSpec) -> BreakerSpec:
        if not breaker.model:
            return replace(breaker, brand=breaker.brand or brand)
        facts = vocabulary.model(breaker.model)
        return replace(breaker, model=facts.model) if facts else breaker

    return replace(panel, breakers=tuple(map(written, panel.breakers)))


def _problems(panels: tuple[PanelSpec, ...], vocabulary: Vocabulary) -> Iterator[Notice]:
    """Yield what the catalogue cannot hold, each with its path in the document."""
    for index, panel in enumerate(panels):
        path = f"panels[{index}]"
        yield from (replace(notice, text=path) for notice in check_panel(panel))
        for at, breaker in enumerate(panel.breakers):
            for notice in check_breaker(breaker, vocabulary):
                yield replace(notice, text=f"{path}.breakers[{at}]")
        for at, accessory in enumerate(panel.accessories):
            if accessory.sku not in {*vocabulary.accessories, *vocabulary.service_skus.values()}:
                params = {"sku": accessory.sku, "known": nearest_skus(accessory.sku, vocabulary)}
                yield Notice("UNKNOWN_ACCESSORY", params, text=f"{path}.accessories[{at}]")
