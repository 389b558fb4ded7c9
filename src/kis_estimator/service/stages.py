"""The stages after the engine: format, cover and lint, each with its gates, findings and record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from kis_estimator.documents.cover import check_cover, cover_gate, finding
from kis_estimator.documents.lint import CHECKS as LINT_CHECKS
from kis_estimator.documents.lint import lint, lint_gate
from kis_estimator.documents.ooxml.contents import WrittenWorkbook
from kis_estimator.documents.recalculation import FormatReport, check_workbook
from kis_estimator.documents.sheet import Quotation
from kis_estimator.engine.model import Finding, Gate
from kis_estimator.engine.pipeline import Emit, Event
from kis_estimator.errors import Locale
from kis_estimator.evidence import StageRecord, open_pack, plain, sha256

WORKBOOK, PDF, FORM = "quotation.xlsx", "quotation.pdf", "form.xlsx"


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
    gates = _format_gates(reports.values())
    hashes = {path: sha256(book.data) for path, book in workbooks.items()}
    record = StageRecord(
        quoted,
        {"workbooks": hashes, "problems": [plain(p) for r in reports.values() for p in r.problems]},
        {
            "formulas": sum(report.formulas for report in reports.values()),
            "names": sum(report.names for report in reports.values()),
        },
    )
    return Outcome(gates, tuple(_lost(reports.values(), locale)), record)


def _format_gates(reports: Iterable[FormatReport]) -> tuple[Gate, ...]:
    """Count what is lost or wrong in all workbooks."""
    made = list(reports)
    formulas = sum(report.formula_loss for report in made)
    names = sum(report.named_range_loss for report in made)
    return (
        Gate(stage="format", name="formula_loss", value=formulas, limit=0, passed=formulas == 0),
        Gate(stage="format", name="named_range_loss", value=names, limit=0, passed=names == 0),
    )


def _lost(reports: Iterable[FormatReport], locale: Locale) -> Iterator[Finding]:
    for report in reports:
        for notice in report.problems:
            yield finding("violation", notice.code, dict(notice.params), locale)


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


def lint_stage(files: Mapping[str, bytes]) -> Outcome:
    """Hold the finished documents against the figures and each other."""
    findings = lint(files)
    documents = {
        name: sha256(data)
        for name, data in files.items()
        if name in (WORKBOOK, PDF, FORM) or name.startswith("drawings/")
    }
    counts = {"documents": len(documents), "checks": len(LINT_CHECKS), "errors": len(findings)}
    record = StageRecord({"documents": documents}, {"findings": findings}, counts)
    return Outcome((lint_gate(findings),), findings, record)


def lint_folder(source: Path) -> Outcome:
    """Check the documents of a run made earlier, in its folder or zip.

    The workbook is recalculated too: its gates come first. Raises PACK_UNREADABLE.
    """
    with open_pack(source) as pack:
        files = {name: pack.read(name) for name in pack.digests}
    outcome = lint_stage(files)
    report = check_workbook(files.get(WORKBOOK, b""))
    findings = (*_lost([report], "ko-KR"), *outcome.findings)
    return Outcome((*_format_gates([report]), *outcome.gates), findings, outcome.record)


def announced(outcome: Outcome, emit: Emit) -> Outcome:
    """Tell that a stage has run and how its gates were judged."""
    for gate in outcome.gates:
        emit(Event("gate", gate.stage, 1.0, gate=gate))
    emit(Event("finished", outcome.gates[0].stage, 1.0))
    return outcome
