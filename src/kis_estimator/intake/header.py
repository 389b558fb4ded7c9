"""Finding the header row of a table by the names of its columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from kis_estimator.intake.grid import Row, Tab
from kis_estimator.intake.tokens import fold
from kis_estimator.intake.vocabulary import trade_words

_SEARCH_ROWS = 30
_MIN_COLUMNS = 2


@dataclass(frozen=True, slots=True)
class Header:
    """Column kind (name, spec, quantity, …) -> 0-based column, and the rows it takes."""

    columns: dict[str, int]
    rows: tuple[int, ...]

    @property
    def last_row(self) -> int:
        """Return the last row of the header."""
        return self.rows[-1]


@cache
def _names() -> dict[str, str]:
    return {name: kind for kind, names in trade_words()["header"].items() for name in names}


def column_kind(text: str) -> str | None:
    """Return what a header cell names: spaces, line breaks and brackets do not matter."""
    folded = fold(text[:200]).upper().replace(" ", "").replace("*", "")
    outside, _, bracketed = folded.partition("(")
    units = trade_words()["header_units"]
    if outside in units["load"] and bracketed.rstrip(")") in units["ampere"]:
        return "load"
    return _names().get(folded) or _names().get(outside.strip(".:"))


def unused_load(text: str) -> bool:
    """Return whether a header cell names loads in kilowatts, which are not currents.

    >>> unused_load("LOAD (kW)"), unused_load("LOAD (A)"), unused_load("LOAD")
    (True, False, False)
    """
    outside, _, bracketed = fold(text[:200]).upper().replace(" ", "").partition("(")
    units = trade_words()["header_units"]
    return outside in units["power_load"] and bracketed.rstrip(")") in units["power"]


def header_columns(cells: Sequence[str]) -> dict[str, int]:
    """Return the columns that a row names; the first of equal names counts."""
    columns: dict[str, int] = {}
    for index, text in enumerate(cells):
        kind = column_kind(text)
        if kind is not None:
            columns.setdefault(kind, index)
    return columns


def is_header(columns: dict[str, int]) -> bool:
    """Return whether these columns make a header: what, and at least one column more."""
    return len(columns) >= _MIN_COLUMNS and ("name" in columns or "spec" in columns)


def find_header(tab: Tab) -> Header | None:
    """Return the header with the most columns in the first rows of a tab, the first of equals."""
    best: Header | None = None
    for index, row in enumerate(tab.rows):
        if row.number > _SEARCH_ROWS:
            break
        columns = header_columns(row.cells)
        if is_header(columns) and (best is None or len(columns) > len(best.columns)):
            best = _with_second_row(columns, row, tab.rows[index + 1 : index + 2])
    return best


def _with_second_row(columns: dict[str, int], row: Row, following: Sequence[Row]) -> Header:
    """Add the columns of a second header row, where the next row holds nothing but names."""
    for second in following:
        named = {column: column_kind(second.cells[column]) for column in second.filled}
        if second.number == row.number + 1 and named and all(named.values()):
            for column, kind in named.items():
                columns.setdefault(str(kind), column)
            return Header(columns, (row.number, second.number))
    return Header(columns, (row.number,))
