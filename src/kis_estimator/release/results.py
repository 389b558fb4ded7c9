"""The result of each area, read from the reports that the gates of this run wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree as ET

from kis_estimator.release import names
from kis_estimator.release.definition import Budget, Definition

State = Literal["passed", "failed", "not run"]
_FAILURES = ("failure", "error")


@dataclass(frozen=True, slots=True)
class Check:
    """Something that was looked at without a test; one that does not block is said all the same."""

    name: str
    state: State
    detail: str = ""
    blocks: bool = True


@dataclass(frozen=True, slots=True)
class Tally:
    """How the tests of an area ended."""

    passed: int = 0
    failed: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def state(self) -> State:
        """Skipped tests show nothing: with one, or without any that passed, it was not run."""
        if self.failed:
            return "failed"
        return "passed" if self.passed and not self.skipped else "not run"


@dataclass(frozen=True, slots=True)
class AreaResult:
    """What an area showed; `tally` is None where it has no tests."""

    title: str
    tally: Tally | None
    checks: tuple[Check, ...]

    @property
    def state(self) -> State:
        """The worst of its parts."""
        states = {check.state for check in self.checks if check.blocks}
        if self.tally is not None:
            states.add(self.tally.state)
        if "failed" in states:
            return "failed"
        return "passed" if states == {"passed"} else "not run"


@dataclass(frozen=True, slots=True)
class GateCodes:
    """The exit codes of the gates: one that failed cannot pass by its report."""

    test: int
    bench: int


@dataclass(frozen=True, slots=True)
class _Test:
    name: str
    outcome: Literal["passed", "failed", "skipped"]
    seconds: float


def read_results(
    folder: Path, definition: Definition, codes: GateCodes, scans: Iterable[Check]
) -> tuple[AreaResult, ...]:
    """Return the result of every area, by the reports in a release's folder and other `scans`."""
    tests = list(_tests(folder / names.TESTS))
    checks = {
        **_checks(folder / names.CHECKS, codes.test),
        "budgets": _budget_check(folder, definition.budgets, codes.bench),
        **{check.name: check for check in scans},
    }
    return tuple(
        AreaResult(
            area.title,
            _tally(tests, area.tests) if area.tests else None,
            tuple(checks.get(name, Check(name, "not run")) for name in area.checks),
        )
        for area in definition.areas
    )


def _tally(tests: Iterable[_Test], patterns: Sequence[str]) -> Tally:
    ours = [test for test in tests if any(fnmatchcase(test.name, form) for form in patterns)]
    return Tally(
        sum(test.outcome == "passed" for test in ours),
        tuple(test.name for test in ours if test.outcome == "failed"),
        tuple(test.name for test in ours if test.outcome == "skipped"),
        sum(test.seconds for test in ours),
    )


def _tests(path: Path) -> Iterator[_Test]:
    """Yield the tests of a JUnit report; none where there is no whole report."""
    try:
        cases = ET.parse(path).iter("testcase")  # noqa: S314 - written by the gate that just ran
    except (OSError, ET.ParseError):
        return
    for case in cases:
        kinds = {child.tag for child in case}
        outcome: Literal["passed", "failed", "skipped"] = "passed"
        if kinds.intersection(_FAILURES):
            outcome = "failed"
        elif "skipped" in kinds:
            outcome = "skipped"
        name = f"{case.get('classname', '')}::{case.get('name', '')}"
        yield _Test(name, outcome, float(case.get("time", "0")))


def _recorded(folder: Path) -> dict[str, float]:
    """Return the figures that tests recorded in their report (`record_property`), by name."""
    try:
        found = ET.parse(folder / names.TESTS).iter("property")  # noqa: S314 - as above
    except (OSError, ET.ParseError):
        return {}
    figures = {}
    for entry in found:
        with suppress(ValueError):  # a test may record a text, too
            figures[entry.get("name", "")] = float(entry.get("value", ""))
    return figures


def _checks(path: Path, code: int) -> dict[str, Check]:
    """Return what `script/test` says of each of its checks."""
    found = _read_json(path)
    if not isinstance(found, list):
        return {}
    checks = {}
    for entry in found:
        name, seconds = entry["name"], f"{entry['seconds']} s"
        if entry["outcome"] == "not run":  # there is nothing that it could run on
            checks[name] = Check(name, "not run", "none was cut before", blocks=False)
            continue
        passed = entry["outcome"] == "passed"
        checks[name] = Check(name, "passed" if passed else "failed", seconds)
    if code and not any(check.state == "failed" for check in checks.values()):
        checks["pytest"] = Check("pytest", "failed", f"script/test ended with {code}")
    return checks


def _budget_check(folder: Path, budgets: Sequence[Budget], code: int) -> Check:
    """Return whether a benchmark ran to its end and every budget was kept."""
    rows = budget_rows(folder, budgets)
    if code:
        return Check("budgets", "not run", f"script/bench service ended with {code}")
    unmeasured = [budget.title for budget, _, state in rows if state == "not run"]
    if unmeasured:
        return Check("budgets", "not run", f"not measured: {', '.join(unmeasured)}")
    over = [budget.title for budget, _, state in rows if state == "failed"]
    if over:
        return Check("budgets", "failed", f"exceeded: {', '.join(over)}")
    return Check("budgets", "passed", f"{len(rows)} kept")


def budget_rows(
    folder: Path, budgets: Sequence[Budget]
) -> list[tuple[Budget, float | None, State]]:
    """Return each budget with the measured figure; None, and "not run", where there is none.

    The figures are those of the benchmark and, below `tests`, those that tests recorded.
    """
    bench = _read_json(folder / names.BENCH)
    measured: Any = {**(bench if isinstance(bench, dict) else {}), "tests": _recorded(folder)}
    rows: list[tuple[Budget, float | None, State]] = []
    for budget in budgets:
        figure = measured
        for key in budget.path:
            figure = figure.get(key) if isinstance(figure, dict) else None
        if isinstance(figure, int | float):
            rows.append((budget, figure, "passed" if figure <= budget.most else "failed"))
        else:
            rows.append((budget, None, "not run"))
    return rows


def _read_json(path: Path) -> Any:  # noqa: ANN401 - what a report holds
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
