"""Cell references as the file writes them, as (row, column) from 1."""

from __future__ import annotations

import re
from functools import cache

Cell = tuple[int, int]
Corners = tuple[Cell, Cell]
_CELL = re.compile(r"\$?([A-Za-z]{1,3})\$?([1-9][0-9]{0,6})")
_TARGET = re.compile(r"(?:'((?:[^']|'')+)'|([^'!\[\]:(),+*/&<>= ]+))!([^!]+)")
_LETTERS, _FIRST_LETTER = 26, ord("A")


def cell_of(text: str) -> Cell | None:
    """Return the place of a reference, None where it is none.

    >>> cell_of("$B$7"), cell_of("AA10"), cell_of("7B")
    ((7, 2), (10, 27), None)
    """
    match = _CELL.fullmatch(text)
    if match is None:
        return None
    return int(match[2]), column_number(match[1].upper().encode())


@cache
def column_number(letters: bytes) -> int:
    """Return the number of a column.

    >>> column_number(b"AA")
    27
    """
    column = 0
    for letter in letters:
        column = column * _LETTERS + letter - _FIRST_LETTER + 1
    return column


def cell_name(cell: Cell) -> str:
    """Write a reference.

    >>> cell_name((10, 27))
    'AA10'
    """
    return f"{_column_name(cell[1])}{cell[0]}"


@cache
def _column_name(column: int) -> str:
    letters = ""
    while column:
        column, rest = divmod(column - 1, _LETTERS)
        letters = chr(_FIRST_LETTER + rest) + letters
    return letters


def corners_of(text: str) -> Corners | None:
    """Return the first and the last cell of an area.

    >>> corners_of("$A$1:$B$2"), corners_of("B2"), corners_of("#REF!")
    (((1, 1), (2, 2)), ((2, 2), (2, 2)), None)
    """
    first, _, last = text.partition(":")
    one, other = cell_of(first), cell_of(last or first)
    if one is None or other is None:
        return None
    low = min(one[0], other[0]), min(one[1], other[1])
    return low, (max(one[0], other[0]), max(one[1], other[1]))


def target_of(text: str) -> tuple[str, Corners] | None:
    """Return sheet and corners of what a name refers to, None where that is no single area.

    >>> target_of("'LP-1''s'!$A$1:$B$2"), target_of("A!$B$2,A!$B$4"), target_of("[1]A!$B$2")
    (("LP-1's", ((1, 1), (2, 2))), None, None)
    """
    match = _TARGET.fullmatch(text.strip())
    corners = corners_of(match[3]) if match else None
    if match is None or corners is None:
        return None
    return (match[1] or match[2]).replace("''", "'"), corners
