"""PROMOTION_READINESS_REPORT.md: every figure is one that the gates of this run reported."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kis_estimator.release import names
from kis_estimator.release.definition import Budget
from kis_estimator.release.results import AreaResult, State, budget_rows

_MARKS: Mapping[State, str] = {
    "passed": "✅ passed",
    "failed": "❌ failed",
    "not run": "⬜ not run",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a release says of itself in `release.json`."""

    version: str
    commit: str
    openapi_sha256: str
    created_at: str

    @property
    def json(self) -> dict[str, str]:
        """The content of `release.json`."""
        return {
            "version": self.version,
            "tag": names.tag_of(self.version),
            "commit": self.commit,
            "openapiSha256": self.openapi_sha256,
            "createdAt": self.created_at,
        }


def report(
    facts: Facts,
    results: Sequence[AreaResult],
    budgets: Sequence[Budget],
    folder: Path,
    digests: Mapping[str, str],
) -> str:
    """Return the report on the gates whose reports stand below a folder, as Markdown.

    `digests` are the checksums of the files that are frozen with it; none where it is blocked.
    """
    parts = (
        _head(facts, results),
        _areas(results),
        _checks(results),
        _performance(folder, budgets),
        _tests(results),
        _files(digests),
    )
    return "\n".join(line for part in parts for line in part)


def _head(facts: Facts, results: Sequence[AreaResult]) -> Iterator[str]:
    blocking = [result.title for result in results if result.state != "passed"]
    verdict = f"❌ blocked by: {', '.join(blocking)}" if blocking else "✅ ready for promotion"
    yield f"# Promotion readiness: KIS Estimator v{facts.version}"
    yield ""
    yield from _table(("", ""))
    yield from (
        _row("Result", verdict),
        _row("Tag", f"`{names.tag_of(facts.version)}`"),
        _row("Commit", f"`{facts.commit}`"),
        _row("Gates ran", facts.created_at),
        _row("Python", platform.python_version()),
        _row("System", f"{sys.platform} {platform.machine()}"),
        _row("openapi.yaml, SHA-256", f"`{facts.openapi_sha256}`"),
        "",
    )


def _areas(results: Sequence[AreaResult]) -> Iterator[str]:
    yield "## Areas"
    yield ""
    yield "A skipped test shows nothing: an area with one, or with none that passed, is not run."
    yield "What is not run blocks."
    yield ""
    yield from _table(("Area", "Result", "Passed", "Failed", "Skipped", "Seconds"))
    for result in results:
        tally = result.tally
        counts = ("–",) * 4
        if tally is not None:
            seconds = f"{tally.seconds:.1f}"
            counts = str(tally.passed), str(len(tally.failed)), str(len(tally.skipped)), seconds
        yield _row(result.title, _MARKS[result.state], *counts)
    yield ""


def _checks(results: Sequence[AreaResult]) -> Iterator[str]:
    yield "## Checks"
    yield ""
    yield from _table(("Area", "Check", "Result", "Blocks", "Detail"))
    for result in results:
        for check in result.checks:
            blocks = "yes" if check.blocks else "no"
            yield _row(result.title, check.name, _MARKS[check.state], blocks, check.detail)
    yield ""


def _performance(folder: Path, budgets: Sequence[Budget]) -> Iterator[str]:
    yield "## Performance"
    yield ""
    yield from _table(("Figure", "Measured", "Budget", "Result", "By"))
    for budget, figure, state in budget_rows(folder, budgets):
        measured = "–" if figure is None else f"{figure:g} {budget.unit}"
        most = f"≤ {budget.most:g} {budget.unit}"
        by = "`script/test --reports`" if budget.path[0] == "tests" else "`script/bench service`"
        yield _row(budget.title, measured, most, _MARKS[state], by)
    yield ""


def _tests(results: Sequence[AreaResult]) -> Iterator[str]:
    """List the tests that failed or were skipped; a test may stand in several areas."""
    for heading, kind in (("Failed tests", "failed"), ("Skipped tests", "skipped")):
        tallies = [result.tally for result in results if result.tally is not None]
        listed = sorted({name for tally in tallies for name in getattr(tally, kind)})
        if listed:
            yield from (f"## {heading}", "", *(f"- `{_cell(name)}`" for name in listed), "")


def _files(digests: Mapping[str, str]) -> Iterator[str]:
    if digests:
        yield from ("## Files", "", *_table(("SHA-256", "File")))
        yield from (_row(f"`{sha}`", f"`{name}`") for name, sha in sorted(digests.items()))
        yield ""


def _table(columns: Sequence[str]) -> tuple[str, str]:
    return _row(*columns), _row(*("---",) * len(columns))


def _row(*cells: str) -> str:
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
