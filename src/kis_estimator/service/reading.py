"""Read a schedule, and say what it holds without estimating it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from kis_estimator import intake
from kis_estimator.engine import pipeline
from kis_estimator.engine.model import PanelSpec
from kis_estimator.errors import KisError, Locale, Notice
from kis_estimator.intake.reading import MAX_BYTES
from kis_estimator.service.engine import Engine

MAX_INPUT = MAX_BYTES


def read(data: bytes, filename: str, engine: Engine, locale: Locale) -> intake.Reading:
    """Read a schedule of any kind; what is wrong with it stands in the reading."""
    return intake.read(data, filename, engine.vocabulary, locale)


def unreadable(error: KisError) -> intake.Reading:
    """Return the reading of an input that could not be opened: its errors, and nothing else."""
    return intake.Reading(request=None, errors=error.notices)


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


def noticed(reading: intake.Reading) -> tuple[Notice, ...]:
    """Return the warnings, and the skips that no warning already speaks of, for people."""
    told = {(notice.sheet, notice.row) for notice in reading.warnings}
    skips = (n for n in reading.skipped if n.row is None or (n.sheet, n.row) not in told)
    return (*reading.warnings, *skips)


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
    """Return a notice as JSON; a program gets cause and remedy in one text."""
    fields = {
        "code": notice.code,
        "message": notice.explained(locale),
        "sheet": notice.sheet,
        "row": notice.row,
        "text": notice.text,
    }
    return {key: value for key, value in fields.items() if value is not None}
