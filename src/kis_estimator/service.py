"""Use cases: read a schedule, estimate it, write the folder of a run. Entry points call these."""

from __future__ import annotations

import shutil
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any

from kis_estimator import __version__, evidence, intake
from kis_estimator.documents.drawing import arrangement_files
from kis_estimator.documents.estimate_json import DocumentEntry, Identity, response
from kis_estimator.documents.sheet import EstimateHeader, build_quotation
from kis_estimator.documents.xlsx import render_workbook
from kis_estimator.engine import pipeline
from kis_estimator.engine.catalog import FILES, Catalog, parse_catalog
from kis_estimator.engine.model import EngineResult, EstimateRequest, Finding, PanelSpec
from kis_estimator.engine.pipeline import Emit
from kis_estimator.engine.rules import Rules, parse_rules
from kis_estimator.errors import KisError, Locale, Notice
from kis_estimator.intake.reading import MAX_BYTES

SEOUL = timezone(timedelta(hours=9), "KST")
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "kis-estimator.com")
MAX_INPUT = MAX_BYTES
_KINDS = {".xlsx": "xlsx", ".pdf": "pdf", ".svg": "svg", ".dxf": "dxf", ".json": "json"}


@dataclass(frozen=True, slots=True)
class Engine:
    """What every use case needs, loaded once per process."""

    catalog: Catalog
    rules: Rules
    vocabulary: intake.Vocabulary


def load_engine() -> Engine:
    """Load the catalogue and the rules that come with the program."""
    data = files("kis_estimator") / "data"
    catalog = parse_catalog({name: (data / "catalog" / name).read_bytes() for name in FILES})
    rules = parse_rules((data / "rules" / "kr-panel.toml").read_bytes())
    vocabulary = intake.Vocabulary.of_rows(catalog.breakers, catalog.accessories.values())
    return Engine(catalog, rules, vocabulary)


# ---------------------------------------------------------------- read and validate


def read(data: bytes, filename: str, engine: Engine, locale: Locale) -> intake.Reading:
    """Read a schedule of any kind; what is wrong with it stands in the reading."""
    return intake.read(data, filename, engine.vocabulary, locale)


def validate(data: bytes, filename: str, engine: Engine, locale: Locale) -> intake.Reading:
    """Read a schedule and propose a main for each panel without one (as a warning)."""
    reading = read(data, filename, engine, locale)
    if reading.errors:
        return reading
    warnings = [*reading.warnings, *_proposals(reading.panels, engine, locale)]
    return replace(reading, warnings=tuple(warnings))


def _proposals(panels: Iterable[PanelSpec], engine: Engine, locale: Locale) -> Iterator[Notice]:
    for spec in panels:
        if not any(row.role == "main" for row in spec.breakers):
            try:
                proposal = pipeline.propose_main(spec, engine.catalog, engine.rules, locale)
            except KisError as error:
                yield from error.notices
            else:
                yield pipeline.no_main_notice(proposal)


def validation_response(reading: intake.Reading, locale: Locale) -> dict[str, Any]:
    """Return the ValidationResponse of a reading."""
    return {
        "valid": not reading.errors,
        "panels": [intake.dump_panel(panel) for panel in reading.panels],
        "errors": [_issue(notice, locale) for notice in reading.errors],
        "warnings": [_issue(notice, locale) for notice in reading.warnings],
        "skipped": [
            {
                key: value
                for key, value in (
                    ("sheet", notice.sheet),
                    ("row", notice.row),
                    ("reason", notice.message(locale)),
                )
                if value is not None
            }
            for notice in reading.skipped
        ],
    }


def _issue(notice: Notice, locale: Locale) -> dict[str, Any]:
    fields = {
        "code": notice.code,
        "message": notice.message(locale),
        "sheet": notice.sheet,
        "row": notice.row,
        "text": notice.text,
    }
    return {key: value for key, value in fields.items() if value is not None}


# ---------------------------------------------------------------- estimate


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller sets beside the schedule; None keeps what the schedule says."""

    date: date
    number: str
    customer: str | None = None
    project: str | None = None
    brand: str | None = None
    accept_proposed_main: bool = False


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
    header = EstimateHeader(
        number=options.number,
        revision=1,
        date=options.date,
        valid_until=options.date + timedelta(days=request.valid_days),
        locale=request.locale,
        vat_pct=engine.rules.pricing.vat_pct,
        exclusions=tuple(
            notice.text for notice in reading.skipped if notice.row is not None and notice.text
        ),
    )
    quotation = build_quotation(result, header)
    documents = {"quotation.xlsx": render_workbook(quotation)}
    clock.lap("xlsx")
    for name, text in arrangement_files(result, quotation).items():
        documents[f"drawings/{name}"] = text.encode("utf-8")
    clock.lap("drawings")
    given = intake.dump_request(result.request)
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
        evidence.design_sha(given, result),
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


def _with_options(request: EstimateRequest, options: Options) -> EstimateRequest:
    """Return the request with the caller's customer, project and brand."""
    if options.customer is not None:
        request = replace(request, customer=replace(request.customer, name=options.customer))
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
    for notice in (*reading.warnings, *reading.skipped):
        places = {"sheet": notice.sheet, "row": notice.row, "text": notice.text}
        yield Finding(
            severity="warning",
            code=notice.code,
            message=notice.message(locale),
            figures={key: value for key, value in places.items() if value is not None},
            source="schedule",
        )


# ---------------------------------------------------------------- the folder of a run


def today() -> date:
    """Return today's date in Seoul."""
    return datetime.now(SEOUL).date()


def next_number(folder: Path, day: date) -> str:
    """Return the next free number KIS-YYYYMMDD-NNNN of a day in a folder."""
    prefix = f"KIS-{day:%Y%m%d}-"
    taken = [
        int(path.name.removeprefix(prefix))
        for path in folder.glob(f"{prefix}*")
        if path.name.removeprefix(prefix).isdecimal()
    ]
    return f"{prefix}{max(taken, default=0) + 1:04d}"


def write(estimate_run: Estimate, folder: Path) -> Path:
    """Write `folder/<number>` whole or not at all. Raises NUMBER_TAKEN, FOLDER_UNWRITABLE."""
    target = folder / estimate_run.number
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".kis-", dir=folder))
    except OSError as error:
        raise KisError.of("FOLDER_UNWRITABLE", folder=str(folder), reason=error.strerror) from error
    try:
        for name, content in estimate_run.files.items():
            path = draft / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        draft.chmod(0o755)
        draft.rename(target)
    except OSError as error:
        code = "NUMBER_TAKEN" if target.exists() else "FOLDER_UNWRITABLE"
        raise KisError.of(
            code, number=estimate_run.number, folder=str(folder), reason=error.strerror
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target
