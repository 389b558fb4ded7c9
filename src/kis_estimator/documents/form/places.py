"""Where the names of a form point, checked before anything is filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kis_estimator.documents.form.fields import LINES, NEEDED_COLUMNS, PANELS, TABLES, Field
from kis_estimator.documents.ooxml.cells import SheetXml
from kis_estimator.documents.ooxml.names import DefinedName
from kis_estimator.documents.ooxml.references import Cell, Corners, cell_name, target_of
from kis_estimator.errors import KisError, Notice

_PREFIX = "kis_"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a form: its rows, and the column of each of its fields."""

    name: str
    sheet: str
    first: int
    last: int
    columns: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Places:
    """The cell of each single name, as (sheet, cell), and the tables."""

    cells: Mapping[str, tuple[str, Cell]]
    tables: tuple[Table, ...]


def find_places(
    names: Iterable[DefinedName], sheets: Mapping[str, SheetXml], fields: Mapping[str, Field]
) -> Places:
    """Return where a form wants what. Raises one KisError with all that is wrong with its names."""
    known = {name.lower(): name for name in (*fields, *TABLES, *_columns())}
    found: dict[str, list[str]] = {}
    unknown = []
    for defined in names:
        lower = defined.name.lower()
        if lower in known:
            found.setdefault(known[lower], []).append(defined.refers_to)
        elif lower.startswith(_PREFIX):
            unknown.append(defined.name)
    problems = [Notice("FORM_NAMES_UNKNOWN", {"names": unknown})] if unknown else []
    missing = _missing(found, fields)
    if missing:
        problems.append(Notice("FORM_NAMES_MISSING", {"names": missing}))
    targets: dict[str, tuple[str, Corners]] = {}
    for name, texts in found.items():
        target = target_of(texts[0]) if len(texts) == 1 else None
        if target is None or target[0] not in sheets:
            problems.append(_untargeted(name, ", ".join(texts)))
        else:
            targets[name] = target
    if problems:
        raise KisError(*problems)
    places = Places(
        {name: (sheet, area[0]) for name, (sheet, area) in targets.items() if name in fields},
        tuple(_table(table, targets) for table in TABLES if table in targets),
    )
    _refuse_covered(places, sheets)
    return places


def _columns() -> list[str]:
    return [name for columns in TABLES.values() for name in columns]


def _missing(found: Mapping[str, object], fields: Mapping[str, Field]) -> list[str]:
    missing = [name for name, field in fields.items() if field.needed and name not in found]
    if "KIS_Date" not in found and "KIS_DateValue" not in found:
        missing.append("KIS_Date")
    if LINES not in found and PANELS not in found:
        missing.append(f"{LINES} | {PANELS}")
    for table, needed in NEEDED_COLUMNS.items():
        if table in found:
            missing += [name for name in needed if name not in found]
    return missing


def _table(name: str, targets: Mapping[str, tuple[str, Corners]]) -> Table:
    sheet, (first, last) = targets[name]
    columns = {}
    for column, field in TABLES[name].items():
        if column not in targets:
            continue
        tab, ((_, at), _) = targets[column]
        if tab != sheet or not first[1] <= at <= last[1]:
            raise KisError(_untargeted(column, f"{tab}!{cell_name(targets[column][1][0])}"))
        columns[field] = at
    return Table(name, sheet, first[0], last[0], columns)


def _refuse_covered(places: Places, sheets: Mapping[str, SheetXml]) -> None:
    """Refuse cells that a merged area covers, and those that two names want."""
    wanted = [(name, sheet, cell) for name, (sheet, cell) in places.cells.items()]
    wanted += [
        (table.name, table.sheet, (row, column))
        for table in places.tables
        for row in range(table.first, table.last + 1)
        for column in table.columns.values()
    ]
    problems = [
        _untargeted(name, f"{sheet}!{cell_name(cell)}")
        for name, sheet, cell in wanted
        if any(_covers(area, cell) for area in sheets[sheet].merges)
    ]
    owners: dict[tuple[str, Cell], str] = {}
    for name, sheet, cell in wanted:
        other = owners.setdefault((sheet, cell), name)
        if other != name:
            target = f"{sheet}!{cell_name(cell)}"
            problems.append(Notice("FORM_NAMES_SHARED", {"names": [other, name], "target": target}))
    if problems:
        raise KisError(*problems)


def _covers(area: Corners, cell: Cell) -> bool:
    (top, left), (bottom, right) = area
    return top <= cell[0] <= bottom and left <= cell[1] <= right and cell != (top, left)


def _untargeted(name: str, target: str) -> Notice:
    return Notice("FORM_NAME_TARGET", {"name": name, "target": target})
