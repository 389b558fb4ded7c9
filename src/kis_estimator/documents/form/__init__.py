"""A company's own form, filled in: its cells get the figures, all else stays as it is.

Only the cells that the form's names point to are rewritten, inside the XML of their sheets. A cell
with a formula keeps it, and the formula has to arrive at our figure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kis_estimator.documents.form.fields import FIGURES, fields, table_rows
from kis_estimator.documents.form.inventory import CALCULATION, differences, take_inventory
from kis_estimator.documents.form.places import Places, Table, find_places
from kis_estimator.documents.form.safety import refuse_unsafe
from kis_estimator.documents.ooxml.cells import SheetXml, scan_sheet
from kis_estimator.documents.ooxml.contents import (
    Contents,
    ErrorValue,
    Formula,
    Place,
    Result,
    Value,
    WrittenWorkbook,
)
from kis_estimator.documents.ooxml.names import defined_names
from kis_estimator.documents.ooxml.package import (
    Parts,
    read_parts,
    sheet_parts,
    workbook_part,
    write_parts,
)
from kis_estimator.documents.ooxml.references import Cell, cell_name, cell_of
from kis_estimator.documents.ooxml.splice import edit_sheet
from kis_estimator.documents.recalculation import (
    filled_cells,
    formulas_of,
    is_unknown,
    recalculate,
    same,
)
from kis_estimator.documents.sheet import Quotation
from kis_estimator.errors import KisError, Notice

_NAMES_END = re.compile(rb"</((?:[\w.-]+:)?)definedNames\s*>")
_FULL = re.compile(rb"""\sfullCalcOnLoad\s*=\s*(?:"[^"]*"|'[^']*')""")


@dataclass(slots=True)
class _Plan:
    """What goes into which cell, and what formulas that stay have to arrive at."""

    values: dict[str, dict[Cell, Value]] = field(default_factory=dict)
    figures: dict[Place, tuple[str, Value]] = field(default_factory=dict)


def fill_form(template: bytes, quotation: Quotation) -> WrittenWorkbook:
    """Return the form with the quotation in it; the same two give the same bytes.

    Raises KisError where the form is unsafe, misses a name, has too few rows, comes to other
    figures, or could not be filled without losing a part of it.
    """
    parts = read_parts(template)
    sheets = {sheet.name: scan_sheet(parts[sheet.part]) for sheet in sheet_parts(parts)}
    formulas = formulas_of(filled_cells(parts))
    refuse_unsafe(parts, formulas)
    names = defined_names(parts)
    single = fields(quotation)
    places = find_places(names, sheets, single)
    plan = _Plan()
    for name, (sheet, cell) in places.cells.items():
        wanted = single[name]
        _plan_cell(plan, sheets, (sheet, cell), wanted.value, name if wanted.is_figure else None)
    _plan_tables(plan, sheets, places, quotation)
    filled = _with_results(_with_values(parts, plan), plan, quotation)
    data = write_parts(filled)
    lost = differences(take_inventory(parts), take_inventory(read_parts(data)))
    if lost:
        raise KisError.of("FORM_LOSS", items=lost)
    return WrittenWorkbook(
        data,
        Contents(
            {place: Formula(text) for place, text in formulas.items()},
            {(name.sheet, name.name): name.refers_to for name in names},
        ),
    )


def _plan_tables(
    plan: _Plan, sheets: Mapping[str, SheetXml], places: Places, quotation: Quotation
) -> None:
    """Plan the rows of every table; cells of rows that are left over are emptied."""
    rows = {table.name: table_rows(table.name, quotation) for table in places.tables}
    short = [
        Notice(
            "FORM_ROWS",
            {"name": table.name, "room": _room(table), "needed": len(rows[table.name])},
            sheet=table.sheet,
        )
        for table in places.tables
        if len(rows[table.name]) > _room(table)
    ]
    if short:
        raise KisError(*short)
    for table in places.tables:
        blank: list[dict[str, Value]] = [{}] * (_room(table) - len(rows[table.name]))
        for number, row in enumerate((*rows[table.name], *blank), start=table.first):
            for key, column in table.columns.items():
                figure = table.name if key in FIGURES and key in row else None
                place = table.sheet, (number, column)
                _plan_cell(plan, sheets, place, row.get(key), figure)


def _room(table: Table) -> int:
    return table.last - table.first + 1


def _plan_cell(
    plan: _Plan,
    sheets: Mapping[str, SheetXml],
    place: tuple[str, Cell],
    value: Value,
    figure: str | None,
) -> None:
    """Plan one cell; `figure` is the name under which a formula has to arrive at the value."""
    sheet, cell = place
    there = sheets[sheet].cells.get(cell)
    if there is None or there.formula is None:
        plan.values.setdefault(sheet, {})[cell] = value
    elif figure is not None:
        plan.figures[sheet, cell_name(cell)] = figure, value


def _with_values(parts: Parts, plan: _Plan) -> Parts:
    """Return the parts with the planned values, to be calculated whenever they are opened."""
    filled = dict(parts)
    for sheet in sheet_parts(parts):
        if sheet.name in plan.values:
            scanned = scan_sheet(parts[sheet.part])
            filled[sheet.part] = edit_sheet(scanned, plan.values[sheet.name], {})
    book = workbook_part(parts)
    filled[book] = _calculated_on_load(parts[book])
    return filled


def _with_results(parts: Parts, plan: _Plan, quotation: Quotation) -> Parts:
    """Return the parts with the results of all formulas; refuse figures that are not ours."""
    formulas = formulas_of(filled_cells(parts))
    results = recalculate(write_parts(parts), formulas, quotation.date)
    wrong = [
        _differing(place, name, value, results[place])
        for place, (name, value) in plan.figures.items()
        if not same(results[place], value)
    ]
    if wrong:
        raise KisError(*wrong)
    filled = dict(parts)
    for sheet in sheet_parts(parts):
        known: dict[Cell, Result] = {}
        for (tab, name), text in formulas.items():
            cell = cell_of(name)
            if tab == sheet.name and cell is not None:
                result = results[tab, name]
                known[cell] = None if is_unknown(text, result) else result
        if known:
            filled[sheet.part] = edit_sheet(scan_sheet(parts[sheet.part]), {}, known)
    return filled


def _differing(place: Place, name: str, value: Value, result: Result) -> Notice:
    sheet, cell = place
    found = result.text if isinstance(result, ErrorValue) else result
    params = {"name": name, "cell": cell, "expected": value, "found": found}
    return Notice("FORM_FORMULA_DIFFERS", params, sheet=sheet)


def _calculated_on_load(xml: bytes) -> bytes:
    """Have programs calculate the workbook when they open it: some formulas only they know."""
    match = CALCULATION.search(xml)
    if match is not None:
        rest = _FULL.sub(b"", match[2] or b"")
        new = b'<%scalcPr%s fullCalcOnLoad="1"/>' % (match[1], rest)
        return xml[: match.start()] + new + xml[match.end() :]
    end = _NAMES_END.search(xml)
    if end is None:
        raise KisError.of("WORKBOOK_BROKEN")
    new = b'<%scalcPr fullCalcOnLoad="1"/>' % end[1]
    return xml[: end.end()] + new + xml[end.end() :]
