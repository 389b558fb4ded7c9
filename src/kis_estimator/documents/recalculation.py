"""The format stage: a finished workbook is calculated anew and held against what was written.

A second program calculates every formula of the finished file. Its results, the values stored in
the file and our own figures have to agree, and every formula and name has to be there.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import formualizer

from kis_estimator.documents.ooxml.cells import CellXml, scan_sheet
from kis_estimator.documents.ooxml.contents import Contents, ErrorValue, Formula, Place, Result
from kis_estimator.documents.ooxml.names import defined_names
from kis_estimator.documents.ooxml.package import Parts, read_parts, sheet_parts
from kis_estimator.documents.ooxml.references import cell_name, cell_of
from kis_estimator.errors import KisError, Notice

_EPSILON, _DIGITS = 1e-6, 1e-12  # won and amperes agree to what a double can hold
_LIMIT_MS = 20_000
_ERRORS = {
    "Div": "#DIV/0!", "Na": "#N/A", "Name": "#NAME?", "Null": "#NULL!", "Num": "#NUM!",
    "Ref": "#REF!", "Value": "#VALUE!",
}  # fmt: skip
# What only Excel calculates: amounts in Hangul by number format, and functions unknown elsewhere.
_EXCEL_ONLY = re.compile(r"\[DBNUM|\bNUMBERSTRING\(", re.IGNORECASE)
_UNKNOWN = ("#NAME?", "#ERROR!")


@dataclass(frozen=True, slots=True)
class FormatReport:
    """How many formulas and names were checked, how many are lost or wrong, and each of these.

    `unverified` are formulas that only Excel can calculate: they are there, without a stored value.
    """

    formulas: int
    names: int
    formula_loss: int
    named_range_loss: int
    problems: tuple[Notice, ...]
    unverified: tuple[Notice, ...] = ()


def check_workbook(
    data: bytes, expected: Contents | None = None, today: dt.date | None = None
) -> FormatReport:
    """Return what is lost or wrong in a finished workbook.

    Without `expected`, for a file made earlier, the formulas and names are those that it has.
    `today` is the date that it is calculated for.
    """
    try:
        parts = read_parts(data)
        cells = filled_cells(parts)
        names = {(name.sheet, name.name): name.refers_to for name in defined_names(parts)}
        formulas = formulas_of(cells)
        results = recalculate(data, formulas, today)
    except KisError as error:
        return _unreadable(expected, error.notices[0])
    if expected is None:
        expected = Contents({place: Formula(text) for place, text in formulas.items()}, names)
    found = {place: (cells[place], text, results[place]) for place, text in formulas.items()}
    wrong, unverified = _check_formulas(cells, found, expected.formulas)
    lost = list(_check_names(names, expected.names))
    return FormatReport(
        formulas=len(expected.formulas),
        names=len(expected.names),
        formula_loss=len(wrong),
        named_range_loss=len(lost),
        problems=(*wrong, *lost),
        unverified=tuple(unverified),
    )


def filled_cells(parts: Parts) -> dict[Place, CellXml]:
    """Return the cells of all tabs that hold a value or a formula."""
    return {
        (sheet.name, cell_name(place)): cell
        for sheet in sheet_parts(parts)
        for place, cell in scan_sheet(parts[sheet.part]).cells.items()
        if cell.body
    }


def recalculate(
    data: bytes, places: Iterable[Place], today: dt.date | None = None
) -> dict[Place, Result]:
    """Calculate a workbook and return the results of the cells at some places."""
    try:
        limits = formualizer.EvaluationConfig()
        limits.max_eval_time_ms = _LIMIT_MS
        book = formualizer.Workbook.from_bytes(
            data, config=formualizer.WorkbookConfig(eval_config=limits)
        )
        book.set_temporal_egress("serial")
        if today is not None:
            book.set_deterministic_clock(dt.datetime.combine(today, dt.time(12), dt.UTC))
        book.evaluate_all()
    except (OSError, RuntimeError, ValueError, formualizer.ExcelEvaluationError) as error:
        raise KisError.of("WORKBOOK_NOT_CALCULATED", reason=str(error)) from error
    results = {}
    for sheet, name in places:
        place = cell_of(name)
        if place is not None:
            results[sheet, name] = _result(book.get_value(sheet, *place))
    return results


def _result(value: object) -> Result:
    if isinstance(value, dict):
        return ErrorValue(_ERRORS.get(str(value.get("kind")), "#ERROR!"))
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return ErrorValue("#ERROR!")


def is_unknown(formula: str, result: Result) -> bool:
    """Return whether only Excel can say what a formula comes to.

    >>> is_unknown("NUMBERSTRING(A1,1)", 0), is_unknown("SUM(A1:A9)", 3.0)
    (True, False)
    """
    error = isinstance(result, ErrorValue) and result.text in _UNKNOWN
    return error or _EXCEL_ONLY.search(formula) is not None


def same(one: Result, other: Result) -> bool:
    """Return whether two results are the same value, numbers to what a double can hold.

    >>> same(0.1 + 0.2, 0.3), same(2, 2.01), same("2", 2), same(True, 1)
    (True, False, False, False)
    """
    numbers = [value for value in (one, other) if isinstance(value, int | float)]
    if len(numbers) < 2 or isinstance(one, bool) or isinstance(other, bool):  # noqa: PLR2004 - both
        return type(one) is type(other) and one == other
    return math.isclose(*numbers, rel_tol=_DIGITS, abs_tol=_EPSILON)


def formulas_of(cells: Mapping[Place, CellXml]) -> dict[Place, str]:
    """Return the formulas among cells."""
    found = ((place, cell.formula) for place, cell in cells.items())
    return {place: formula for place, formula in found if formula is not None}


def _check_formulas(
    cells: Mapping[Place, CellXml],
    found: Mapping[Place, tuple[CellXml, str, Result]],
    expected: Mapping[Place, Formula],
) -> tuple[list[Notice], list[Notice]]:
    """Return what is wrong, and what cannot be verified; `found` are the formulas of the file."""
    wrong, unverified = [], []
    for place, formula in expected.items():
        if place not in found:
            value = cells[place].value if place in cells else None
            wrong.append(_notice("FORMULA_LOST", place, f"={formula.text}", _shown(value)))
            continue
        cell, text, result = found[place]
        if text != formula.text:
            wrong.append(_notice("FORMULA_CHANGED", place, f"={formula.text}", f"={text}"))
        elif formula.value is None and cell.value is None and is_unknown(text, result):
            unverified.append(_notice("FORMULA_UNVERIFIED", place, f"={text}", ""))
        else:
            wrong += _check_value(place, cell, formula, result)
    for place, (_, text, _) in found.items():
        if place not in expected:
            wrong.append(_notice("FORMULA_ADDED", place, "", f"={text}"))
    for place, cell in cells.items():
        if place not in found and cell.is_error:
            wrong.append(_notice("CELL_SHOWS_ERROR", place, "", _shown(cell.value)))
    return wrong, unverified


def _check_value(place: Place, cell: CellXml, formula: Formula, result: Result) -> Iterator[Notice]:
    """Yield the first thing wrong with a formula's stored value or result."""
    stored: Result = ErrorValue(str(cell.value)) if cell.is_error else cell.value
    for value in (stored, result):
        if isinstance(value, ErrorValue):
            yield _notice("CELL_SHOWS_ERROR", place, _shown(formula.value), value.text)
            return
    if formula.value is not None and not same(stored, formula.value):
        yield _notice("STORED_VALUE_WRONG", place, _shown(formula.value), _shown(stored))
    elif not same(stored, result):
        yield _notice("RECALCULATION_DIFFERS", place, _shown(stored), _shown(result))


def _check_names(found: Mapping[Place, str], expected: Mapping[Place, str]) -> Iterator[Notice]:
    for place, target in expected.items():
        now = found.get(place)
        sheet, name = place
        params = {"name": name, "expected": target, "found": now or ""}
        if now is None:
            yield Notice("NAME_LOST", params, sheet=sheet or None)
        elif now != target or "#REF!" in now:
            yield Notice("NAME_CHANGED", params, sheet=sheet or None)


def _notice(code: str, place: Place, expected: str, found: str) -> Notice:
    sheet, cell = place
    return Notice(code, {"cell": cell, "expected": expected, "found": found}, sheet=sheet)


def _shown(value: Result) -> str:
    if isinstance(value, ErrorValue):
        return value.text
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value)


def _unreadable(expected: Contents | None, notice: Notice) -> FormatReport:
    """Return the report on a file that does not open: all that was meant to be there is lost."""
    formulas = len(expected.formulas) if expected else 0
    names = len(expected.names) if expected else 0
    return FormatReport(formulas, names, max(1, formulas), names, (notice,))
