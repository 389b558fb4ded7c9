"""A run: from what was given to a sealed pack of documents and evidence."""

from __future__ import annotations

import platform
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from kis_estimator import __version__, evidence, intake
from kis_estimator.documents.drawing import drawing_files
from kis_estimator.documents.estimate_json import DocumentEntry, Identity, response
from kis_estimator.documents.form import fill_form
from kis_estimator.documents.lint import ESTIMATE, FORM, PDF, QUOTED, WORKBOOK
from kis_estimator.documents.ooxml.contents import WrittenWorkbook
from kis_estimator.documents.pdf import render_pdf
from kis_estimator.documents.sheet import EstimateHeader, Quotation, build_quotation
from kis_estimator.documents.supplier import parse_supplier
from kis_estimator.documents.xlsx import write_workbook
from kis_estimator.engine import pipeline
from kis_estimator.engine.model import EngineResult, EstimateRequest, Finding, Gate
from kis_estimator.engine.pipeline import Emit, Event
from kis_estimator.errors import KisError, Locale
from kis_estimator.evidence import Inputs, RunOptions, Signer, StageRecord
from kis_estimator.service.clock import SEOUL, Clock
from kis_estimator.service.engine import Engine
from kis_estimator.service.reading import noticed
from kis_estimator.service.stages import (
    Outcome,
    announced,
    cover_stage,
    format_stage,
    lint_stage,
)

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "kis-estimator.com")
_KINDS = {".xlsx": "xlsx", ".pdf": "pdf", ".svg": "svg", ".dxf": "dxf"}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A finished run: reading, result, EstimateResponse, and every file by its path."""

    reading: intake.Reading
    result: EngineResult
    response: dict[str, Any]
    files: dict[str, bytes]

    @property
    def number(self) -> str:
        """Return the estimate number, which names the folder."""
        return str(self.response["number"])


@dataclass(frozen=True, slots=True)
class _Documents:
    """The documents of a run by path, and the workbooks with what was written into them."""

    files: dict[str, bytes]
    workbooks: dict[str, WrittenWorkbook]
    pictures: dict[str, bytes]


def estimate(
    inputs: Inputs,
    engine: Engine,
    emit: Emit = lambda _event: None,
    signer: Signer | None = None,
) -> Estimate:
    """Read, design, price and document what was given; the same inputs give the same pack.

    Raises what the schedule, the company's form or the request has wrong; nothing is written.
    """
    clock = Clock()
    options = inputs.options
    reading = intake.read(
        inputs.upload,
        inputs.upload_name,
        engine.vocabulary,
        options.reading_locale,
        brand=options.brand,
    )
    if reading.errors or reading.request is None:
        raise KisError(*reading.errors)
    clock.lap("reading")
    result = pipeline.run(
        _with_options(reading.request, options),
        engine.catalog,
        engine.rules,
        emit,
        accept_proposed_main=options.accept_proposed_main,
    )
    given = intake.dump_request(result.request)
    clock.lap("engine")
    header = _header(inputs, result, reading, engine, evidence.design_sha(given, result))
    quotation = build_quotation(result, header)
    documents = _documents(inputs, quotation, result, clock)
    run = _Run(inputs, reading, result, given, header, documents.files)
    outcomes = _later_stages(run, quotation, documents, emit, clock)
    run = run.judged(gate for outcome in outcomes.values() for gate in outcome.gates)
    files = _evidence(run, outcomes, documents.pictures)
    run = run.judged([evidence.complete_gate(files)])
    return _sealed(run, outcomes, files, signer, clock)


def _documents(
    inputs: Inputs, quotation: Quotation, result: EngineResult, clock: Clock
) -> _Documents:
    """Write workbook, the company's form, drawings and PDF."""
    workbooks = {WORKBOOK: write_workbook(quotation)}
    if inputs.form is not None:
        workbooks[FORM] = fill_form(inputs.form, quotation)
    clock.lap("xlsx")
    drawings = drawing_files(result, quotation)
    pictures = {n: data for n, data in drawings.items() if n.endswith("-arrangement.svg")}
    clock.lap("drawings")
    pdf = render_pdf(quotation, [picture.decode() for picture in pictures.values()])
    clock.lap("pdf")
    files = {path: book.data for path, book in workbooks.items()}
    files[PDF] = pdf
    files |= {f"drawings/{name}": data for name, data in drawings.items()}
    return _Documents(files, workbooks, pictures)


@dataclass(frozen=True, slots=True)
class _Run:
    """What the parts of a run share."""

    inputs: Inputs
    reading: intake.Reading
    result: EngineResult
    given: dict[str, Any]
    header: EstimateHeader
    documents: Mapping[str, bytes]

    def judged(self, gates: Iterable[Gate]) -> _Run:
        """Return the run with the gates of stages that ran in the place of «not run»."""
        made = {(gate.stage, gate.name): gate for gate in gates}
        known = self.result.gates
        judged = tuple(made.get((gate.stage, gate.name), gate) for gate in known)
        return replace(self, result=replace(self.result, gates=judged))

    def given_files(self) -> dict[str, bytes]:
        """Return the files below `inputs/` and the documents."""
        return {**evidence.input_files(self.inputs, self.given), **self.documents}

    def answer(self, findings: tuple[Finding, ...]) -> dict[str, Any]:
        """Return the EstimateResponse as far as it does not know its evidenceSha yet."""
        locale = self.result.request.locale
        entries = [
            DocumentEntry(
                kind=_KINDS[PurePosixPath(path).suffix],
                path=path,
                sha256=evidence.sha256(content),
                size_bytes=len(content),
            )
            for path, content in self.documents.items()
        ]
        more = (*_noticed(self.reading, locale), *findings)
        identity = _identity(self.inputs.options)
        made = response(self.result, identity, entries, self.header.design_sha, more)
        return dict(evidence.plain(made))


def _later_stages(
    run: _Run, quotation: Quotation, documents: _Documents, emit: Emit, clock: Clock
) -> dict[str, Outcome]:
    """Run format, cover and lint on the finished documents."""
    locale = run.result.request.locale
    quoted = evidence.quoted(run.result)
    emit(Event("started", "format"))
    made = format_stage(documents.workbooks, quoted, run.inputs.options.date, locale)
    outcomes = {"format": announced(made, emit)}
    clock.lap("format")
    emit(Event("started", "cover"))
    judged = cover_stage(quotation, production=run.inputs.options.production)
    outcomes["cover"] = announced(judged, emit)
    emit(Event("started", "lint"))
    files = {
        **run.given_files(),
        ESTIMATE: evidence.pretty(run.answer(())),
        QUOTED: evidence.pretty(quoted),
    }
    outcomes["lint"] = announced(lint_stage(files), emit)
    clock.lap("lint")
    return outcomes


def _evidence(
    run: _Run, outcomes: Mapping[str, Outcome], pictures: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Return every file that the manifest lists: inputs, documents, evidence of every stage."""
    records: dict[str, StageRecord] = {stage: made.record for stage, made in outcomes.items()}
    prices = run.reading.prices
    return {
        **run.given_files(),
        **evidence.stage_files(run.given, run.result, records, pictures, prices),
    }


def _sealed(
    run: _Run,
    outcomes: Mapping[str, Outcome],
    files: Mapping[str, bytes],
    signer: Signer | None,
    clock: Clock,
) -> Estimate:
    """Put the pack together: its files, manifest, signature, sums."""
    identity = _identity(run.inputs.options)
    findings = tuple(found for made in outcomes.values() for found in made.findings)
    answer = run.answer(findings)
    facts = evidence.PackFacts(
        number=identity.number,
        revision=identity.revision,
        created_at=identity.created_at,
        engine_version=__version__,
        design_sha=run.header.design_sha,
        estimate_sha=evidence.estimate_sha(answer),
        result=run.result,
    )
    pack = evidence.seal_pack(files, facts, signer)
    answer["evidenceSha"] = pack.evidence_sha
    clock.lap("evidence")
    beside = {
        ESTIMATE: evidence.pretty(answer),
        "run.json": evidence.pretty(
            {
                "version": __version__,
                "host": platform.node(),
                "startedAt": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "milliseconds": clock.milliseconds,
            }
        ),
    }
    everything = evidence.with_sums({**files, **pack.files, **beside})
    return Estimate(run.reading, run.result, answer, everything)


# ---------------------------------------------------------------- parts


def _header(
    inputs: Inputs,
    result: EngineResult,
    reading: intake.Reading,
    engine: Engine,
    design_sha: str,
) -> EstimateHeader:
    """Return what the documents say beside the engine's figures."""
    request, options = result.request, inputs.options
    return EstimateHeader(
        number=options.number,
        revision=options.revision,
        date=options.date,
        valid_until=options.date + timedelta(days=request.valid_days),
        locale=request.locale,
        vat_pct=engine.rules.pricing.vat_pct,
        supplier=parse_supplier(inputs.company, inputs.seal),
        design_sha=design_sha,
        exclusions=tuple(
            notice.text for notice in reading.skipped if notice.row is not None and notice.text
        ),
    )


def _with_options(request: EstimateRequest, options: RunOptions) -> EstimateRequest:
    """Return the request with the caller's customer, project and language."""
    if options.customer is not None:
        request = replace(request, customer=replace(request.customer, name=options.customer))
    if options.locale is not None:
        request = replace(request, locale=options.locale)
    if options.project is not None:
        request = replace(request, project=options.project)
    return request


def _identity(options: RunOptions) -> Identity:
    """Return the identity of a run, as the caller gave it or made of number, revision and date."""
    own_id = str(uuid.uuid5(_NAMESPACE, f"{options.number}/{options.revision}"))
    midnight = datetime.combine(options.date, datetime.min.time(), SEOUL).astimezone(UTC)
    return Identity(
        id=options.estimate_id or own_id,
        number=options.number,
        revision=options.revision,
        created_at=options.created_at or midnight.strftime("%Y-%m-%dT%H:%M:%SZ"),
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
