"""The stages after the engine: format, cover and lint, each with its gates, findings and record."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from kis_estimator.documents.cover import check_cover, cover_gate, finding
from kis_estimator.documents.lint import CHECKS as LINT_CHECKS
from kis_estimator.documents.lint import (
    DRAWINGS,
    FORM,
    FORMAT_OUTPUT,
    PDF,
    WORKBOOK,
    is_wanted,
    lint,
    lint_gate,
)
from kis_estimator.documents.ooxml.contents import Contents, Formula, WrittenWorkbook
from kis_estimator.documents.recalculation import FormatReport, check_workbook
from kis_estimator.documents.sheet import Quotation
from kis_estimator.engine.model import Finding, Gate, Severity
from kis_estimator.engine.pipeline import Emit, Event
from kis_estimator.errors import KisError, Locale, Notice
from kis_estimator.evidence import Pack, StageRecord, open_pack, plain, sha256
from kis_estimator.evidence.pack import WHOLE

_READ_LIMIT = 256 << 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage after the engine found: its gates, findings and evidence."""

    gates: tuple[Gate, ...]
    findings: tuple[Finding, ...]
    record: StageRecord


def format_stage(
    workbooks: Mapping[str, WrittenWorkbook], quoted: object, day: date, locale: Locale
) -> Outcome:
    """Recalculate every finished workbook and hold it against what was written."""
    reports = {
        path: check_workbook(book.data, book.contents, day) for path, book in workbooks.items()
    }
    made = reports.values()
    hashes = {path: sha256(book.data) for path, book in workbooks.items()}
    unverified = [plain(notice) for report in made for notice in report.unverified]
    output = {
        "workbooks": hashes,
        "contents": {path: _contents_json(book.contents) for path, book in workbooks.items()},
        "problems": [plain(notice) for report in made for notice in report.problems],
        "unverified": unverified,
    }
    metrics = {
        "formulas": sum(report.formulas for report in made),
        "names": sum(report.names for report in made),
        "unverified": len(unverified),
    }
    record = StageRecord(quoted, output, metrics)
    return Outcome(_format_gates(made), tuple(_format_findings(reports, locale)), record)


def _contents_json(contents: Contents) -> dict[str, list[list[str]]]:
    """Return the formulas and names that a workbook was written with."""
    return {
        "formulas": [[*place, formula.text] for place, formula in contents.formulas.items()],
        "names": [[*name, refers_to] for name, refers_to in contents.names.items()],
    }


def _contents_of(files: Mapping[str, bytes], path: str) -> Contents | None:
    """Return what a workbook was written with, as its run recorded it; None where it cannot be had.

    What is recorded in another form than ours is no record.
    """
    try:
        made = json.loads(files[FORMAT_OUTPUT])["contents"][path]
        formulas = {(sheet, cell): Formula(text) for sheet, cell, text in made["formulas"]}
        names = {(sheet, name): target for sheet, name, target in made["names"]}
    except (LookupError, TypeError, ValueError, RecursionError):
        return None
    return Contents(formulas, names)


def _format_gates(reports: Iterable[FormatReport]) -> tuple[Gate, ...]:
    """Count what is lost or wrong in all workbooks; without a workbook nothing was judged."""
    made = list(reports)
    counts = {
        "formula_loss": sum(report.formula_loss for report in made),
        "named_range_loss": sum(report.named_range_loss for report in made),
    }
    if not made:
        return tuple(
            Gate(stage="format", name=name, value=None, limit=0, passed=None, basis="no workbook")
            for name in counts
        )
    return tuple(
        Gate(stage="format", name=name, value=count, limit=0, passed=count == 0)
        for name, count in counts.items()
    )


def _format_findings(reports: Mapping[str, FormatReport], locale: Locale) -> Iterator[Finding]:
    """Yield what is lost or wrong, then what only Excel can calculate."""
    for path, report in reports.items():
        for notice in report.problems:
            yield _placed("violation", path, notice, locale)
    for path, report in reports.items():
        for notice in report.unverified:
            yield _placed("advisory", path, notice, locale)


def _placed(severity: Severity, path: str, notice: Notice, locale: Locale) -> Finding:
    """Return a notice as a finding that names workbook and tab beside the cell."""
    params = dict(notice.params)
    if "cell" in params:
        params["cell"] = f"{path} [{notice.sheet}] {params['cell']}"
    return finding(severity, notice.code, params, locale)


def cover_stage(quotation: Quotation, *, production: bool) -> Outcome:
    """Check what a quotation must say before it may be sent."""
    findings = check_cover(quotation, production=production)
    given = {
        "number": quotation.number,
        "date": quotation.date.isoformat(),
        "validUntil": quotation.valid_until.isoformat(),
        "customer": quotation.customer,
        "supplier": quotation.supplier.name,
        "placeholder": quotation.supplier.placeholder,
        "sample": quotation.sample,
        "production": production,
    }
    record = StageRecord(given, {"findings": findings}, {"findings": len(findings)})
    return Outcome((cover_gate(findings),), findings, record)


def lint_stage(files: Mapping[str, bytes], locale: Locale | None = None) -> Outcome:
    """Hold the finished documents against the figures and each other."""
    findings = lint(files, locale)
    documents = {
        name: sha256(data)
        for name, data in files.items()
        if name in (WORKBOOK, PDF, FORM) or name.startswith(DRAWINGS)
    }
    counts = {"documents": len(documents), "checks": len(LINT_CHECKS), "errors": len(findings)}
    record = StageRecord({"documents": documents}, {"findings": findings}, counts)
    return Outcome((lint_gate(findings),), findings, record)


def lint_folder(source: Path, locale: Locale) -> Outcome:
    """Check the documents of a run made earlier, in its folder or zip.

    The workbooks are recalculated too: their gates come first. Raises PACK_UNREADABLE, or
    LINT_TOO_LARGE where the documents of a run are never so much.
    """
    with open_pack(source) as pack:
        whole = next((p.notice for p in pack.problems if p.name == WHOLE), None)
        if whole is not None:
            reason = whole.message(locale)
            raise KisError.of("PACK_UNREADABLE", path=str(source), reason=reason)
        files = _documents_of(pack)
        refused = tuple(
            finding(
                "violation",
                "LINT_REFUSED",
                {"path": problem.name, "reason": problem.notice.message(locale)},
                locale,
            )
            for problem in pack.problems
        )
    outcome = lint_stage(files, locale)
    written = {path: _contents_of(files, path) for path in (WORKBOOK, FORM) if path in files}
    reports = {path: check_workbook(files[path], made) for path, made in written.items()}
    unknown = tuple(
        finding("violation", "LINT_STRUCTURE", {"path": f"{FORMAT_OUTPUT} ({path})"}, locale)
        for path, made in written.items()
        if made is None
    )
    errors = (*refused, *unknown, *outcome.findings)
    findings = (*_format_findings(reports, locale), *errors)
    return Outcome((*_format_gates(reports.values()), lint_gate(errors)), findings, outcome.record)


def _documents_of(pack: Pack) -> dict[str, bytes]:
    """Return what the checks read, and nothing else of the pack."""
    files: dict[str, bytes] = {}
    left = _READ_LIMIT
    for name in filter(is_wanted, pack.digests):
        try:
            files[name] = pack.read(name, left)
        except KisError as error:
            raise KisError.of("LINT_TOO_LARGE", limit=_READ_LIMIT >> 20) from error
        left -= len(files[name])
    return files


def announced(outcome: Outcome, emit: Emit) -> Outcome:
    """Tell that a stage has run and how its gates were judged."""
    for gate in outcome.gates:
        emit(Event("gate", gate.stage, 1.0, gate=gate))
    emit(Event("finished", outcome.gates[0].stage, 1.0))
    return outcome
