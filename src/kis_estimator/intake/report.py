"""What reading a file has noticed so far, and what became of each of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal

from kis_estimator.errors import Notice

Fate = Literal[
    "preamble", "header", "project", "title", "note", "wish", "breaker", "accessory", "spare",
    "subtotal", "excluded", "error", "blank",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePrice:
    """A price that stands in the file: kept for comparison, never used."""

    sheet: str
    row: int
    unit_price: Decimal | None
    amount: Decimal | None


@dataclass(slots=True)
class Report:
    """Collects notices, prices and the fate of every row with content, by (sheet, row)."""

    errors: list[Notice] = field(default_factory=list)
    warnings: list[Notice] = field(default_factory=list)
    skipped: list[Notice] = field(default_factory=list)
    prices: list[FilePrice] = field(default_factory=list)
    fates: dict[tuple[str, int], Fate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the input something stands."""

    sheet: str | None = None
    row: int | None = None
    text: str | None = None

    def notice(self, code: str, params: Mapping[str, object] | None = None) -> Notice:
        """Return a notice at this place."""
        return Notice(code, params or {}, self.sheet, self.row, self.text)

    def moved(self, notice: Notice) -> Notice:
        """Return the same notice at this place."""
        return replace(notice, sheet=self.sheet, row=self.row, text=self.text)
