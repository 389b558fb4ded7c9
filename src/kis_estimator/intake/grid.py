"""A table as it was written: tabs of numbered rows of text cells, whatever file they came from."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

MAX_CELL_CHARS = 500


def too_long(text: str) -> bool:
    """Return whether a text is longer than any that belongs into a schedule, ligatures resolved.

    >>> too_long("x" * 500), too_long("x" * 501), too_long("½" * 200)
    (False, True, True)
    """
    longest = MAX_CELL_CHARS
    return len(text) > longest or len(unicodedata.normalize("NFKC", text)) > longest


@dataclass(frozen=True, slots=True)
class Row:
    """One row with content: its 1-based number and its cells from the first column on."""

    number: int
    cells: tuple[str, ...]

    def cell(self, column: int | None) -> str:
        """Return a cell's text, empty beyond the row's end."""
        return self.cells[column] if column is not None and column < len(self.cells) else ""

    @property
    def filled(self) -> list[int]:
        """Return the columns with content."""
        return [column for column, text in enumerate(self.cells) if text.strip()]

    @property
    def too_long(self) -> bool:
        """Return whether a cell is longer than any that belongs into a schedule."""
        return any(map(too_long, self.cells))

    @property
    def text(self) -> str:
        """Return the row's content as one line, for messages."""
        shown = (" ".join(text[:200].split()) for text in self.cells[:50] if text.strip())
        return " | ".join(shown)[:200]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """One tab: its rows with content, and the cells whose value the file does not hold.

    `unsaved` are formulas without a stored value, `broken` hold an error value such as #N/A; both
    are (row, column) with the row 1-based and the column 0-based, like `merged` (first row, first
    column, last row, last column).
    """

    name: str
    rows: tuple[Row, ...]
    hidden: bool = False
    is_worksheet: bool = True
    unsaved: frozenset[tuple[int, int]] = field(default_factory=frozenset)
    broken: frozenset[tuple[int, int]] = field(default_factory=frozenset)
    merged: tuple[tuple[int, int, int, int], ...] = ()


def column_letters(column: int) -> str:
    """Return a 0-based column as spreadsheets name it.

    >>> column_letters(0), column_letters(27)
    ('A', 'AB')
    """
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
