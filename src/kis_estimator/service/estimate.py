"""Estimate what was read: design, price and document it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from kis_estimator import __version__, evidence, intake
from kis_estimator.documents.drawing import arrangement_files
from kis_estimator.documents.estimate_json import DocumentEntry, Identity, response
from kis_estimator.documents.sheet import EstimateHeader, build_quotation
from kis_estimator.documents.supplier import Supplier, parse_supplier, placeholder_bytes
from kis_estimator.documents.xlsx import render_workbook
from kis_estimator.engine import pipeline
from kis_estimator.engine.model import EngineResult, EstimateRequest, Finding, PanelSpec
from kis_estimator.engine.pipeline import Emit
from kis_estimator.errors import KisError, Locale
from kis_estimator.service.engine import Engine
from kis_estimator.service.folder import SEOUL
from kis_estimator.service.reading import noticed

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "kis-estimator.com")
_KINDS = {".xlsx": "xlsx", ".pdf": "pdf", ".svg": "svg", ".dxf": "dxf", ".json": "json"}


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller sets beside the schedule; None keeps what the schedule says."""

    date: date
    number: str
    customer: str | None = None
    project: str | None = None
    brand: str | None = None
    locale: Locale | None = None
    accept_proposed_main: bool = False
    supplier: Supplier = field(default_factory=lambda: parse_supplier(placeholder_bytes()))


@dataclass(slots=True)
class Clock:
    """Wall-clock milliseconds per step; they live in run.json, beside the evidence."""

    milliseconds: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.perf_counter)

    def lap(self, step: str) -> None:
        """Record the time since the last lap."""
        now = time.perf_counter()
        self.milliseconds[step] = round((now - self._last) * 1000, 2)
        self._last = now


@dataclass(frozen=True, slots=True)
class Estimate:
    """A finished run: the engine's result, the EstimateResponse and every file by its path."""

    result: EngineResult
    response: dict[str, Any]
    files: dict[str, bytes]

    @property
    def number(self) -> str:
        """Return the estimate number, which names the folder."""
        return str(self.response["number"])


def estimate(
    reading: intake.Reading, options: Options, engine: Engine, emit: Emit = lambda _event: None
) -> Estimate:
    """Design, price and document what was read. Raises the reading's errors, and the engine's."""
    if reading.errors or reading.request is None:
        raise KisError(*reading.errors)
    clock = Clock()
    request = _with_options(reading.request, options)
    result = pipeline.run(
        request,
        engine.catalog,
        engine.rules,
        emit,
        accept_proposed_main=options.accept_proposed_main,
    )
    clock.lap("engine")
    given = intake.dump_request(result.request)
    header = _header(result, reading, options, engine, evidence.design_sha(given, result))
    quotation = build_quotation(result, header)
    documents = {"quotation.xlsx": render_workbook(quotation)}
    clock.lap("xlsx")
    for name, text in arrangement_files(result, quotation).items():
        documents[f"drawings/{name}"] = text.encode("utf-8")
    clock.lap("drawings")
    entries = [
        DocumentEntry(
            kind=_KINDS[PurePosixPath(path).suffix],
            path=path,
            sha256=evidence.sha256(content),
            size_bytes=len(content),
        )
        for path, content in documents.items()
    ]
    answer = response(
        result,
        _identity(options),
        entries,
        header.design_sha,
        tuple(_noticed(reading, request.locale)),
    )
    everything = {
        **documents,
        **evidence.stage_files(given, result),
        "estimate.json": evidence.pretty(answer),
    }
    clock.lap("evidence")
    run = {"version": __version__, "milliseconds": clock.milliseconds}
    everything["run.json"] = evidence.pretty(run)
    everything["SHA256SUMS"] = evidence.checksums(everything)
    return Estimate(result, evidence.plain(answer), everything)


def _header(
    result: EngineResult, reading: intake.Reading, options: Options, engine: Engine, design_sha: str
) -> EstimateHeader:
    """Return what the documents say beside the engine's figures."""
    request = result.request
    return EstimateHeader(
        number=options.number,
        revision=1,
        date=options.date,
        valid_until=options.date + timedelta(days=request.valid_days),
        locale=request.locale,
        vat_pct=engine.rules.pricing.vat_pct,
        supplier=options.supplier,
        design_sha=design_sha,
        exclusions=tuple(
            notice.text for notice in reading.skipped if notice.row is not None and notice.text
        ),
    )


def _with_options(request: EstimateRequest, options: Options) -> EstimateRequest:
    """Return the request with the caller's customer, project and brand."""
    if options.customer is not None:
        request = replace(request, customer=replace(request.customer, name=options.customer))
    if options.locale is not None:
        request = replace(request, locale=options.locale)
    if options.project is not None:
        request = replace(request, project=options.project)
    if options.brand is not None:
        request = replace(
            request, panels=tuple(_branded(panel, options.brand) for panel in request.panels)
        )
    return request


def _branded(panel: PanelSpec, brand: str) -> PanelSpec:
    """Give the brand to every row that names neither brand nor model."""
    rows = (row if row.brand or row.model else replace(row, brand=brand) for row in panel.breakers)
    return replace(panel, breakers=tuple(rows))


def _identity(options: Options) -> Identity:
    """Return the identity of a first revision: its id is the UUIDv5 of number and revision."""
    created = datetime.combine(options.date, datetime.min.time(), SEOUL).astimezone(UTC)
    return Identity(
        id=str(uuid.uuid5(_NAMESPACE, f"{options.number}/1")),
        number=options.number,
        revision=1,
        created_at=created.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _noticed(reading: intake.Reading, locale: Locale) -> Iterator[Finding]:
    """Yield what reading noticed as findings, with tab and row in the figures."""
    for notice in noticed(reading):
        places = {"sheet": notice.sheet, "row": notice.row, "text": notice.text}
        yield Finding(
            severity="warning",
            code=notice.code,
            message=notice.message(locale),
            figures={key: value for key, value in places.items() if value is not None},
            source="schedule",
        )
