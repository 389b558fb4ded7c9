"""The cells of one tab by what their column is for, with merged cells and repeats filled in."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from kis_estimator.intake.grammar import parse_spec
from kis_estimator.intake.grid import Row, Tab, column_letters
from kis_estimator.intake.header import Header
from kis_estimator.intake.report import Place, Report
from kis_estimator.intake.titles import sum_label
from kis_estimator.intake.tokens import fold, number_in
from kis_estimator.intake.vocabulary import Vocabulary, label_set

ITEM_COLUMNS = ("name", "spec", "quantity", "unit", "remark", "label", "load")
PRICED = ("unit_price", "amount")
_REPEATED = (*ITEM_COLUMNS, *PRICED)
_MERGED_DOWN = ("name", "spec", "remark", "label")
_VITAL = ("name", "spec", "quantity", "load")

Cells = dict[str, str]


@dataclass(slots=True)
class CellReader:
    """Reads rows by the columns of the header that stands above them."""

    tab: Tab
    header: Header
    columns: dict[str, int] = field(init=False)
    above: Cells = field(default_factory=dict)
    _merged: dict[str, list[tuple[int, int]]] = field(init=False)

    def __post_init__(self) -> None:
        """Take the first header's columns, and the cells merged downwards in them."""
        self.columns = dict(self.header.columns)
        self._merged = {
            kind: sorted(
                (top, bottom)
                for top, left, bottom, _ in self.tab.merged
                if left == self.columns.get(kind) and bottom > top >= self.header.last_row
            )
            for kind in _MERGED_DOWN
        }

    def cells(self, row: Row) -> Cells:
        """Return the row's cells by column kind; a ditto mark is what stands above it."""
        cells = {kind: row.cell(column) for kind, column in self.columns.items()}
        for kind, ranges in self._merged.items():
            at = bisect_right(ranges, (row.number, 2**31)) - 1
            if kind in cells and not cells[kind].strip() and at >= 0:
                top, bottom = ranges[at]
                if top < row.number <= bottom:
                    cells[kind] = self.above.get(kind, "")
        for kind in _REPEATED:
            if _is_ditto(cells.get(kind, "")) and kind in self.above:
                cells[kind] = self.above[kind]
        return cells

    def lacks_values(self, row: Row) -> bool:
        """Return whether a vital cell holds no value (`report_values` tells which)."""
        return any(
            (row.number, self.columns[kind]) in cells
            for kind in _VITAL
            if kind in self.columns
            for cells in (self.tab.unsaved, self.tab.broken)
        )

    def sum_label(self, row: Row, cells: Cells, vocabulary: Vocabulary) -> tuple[str, str] | None:
        """Return (kind, label) where any cell but a remark is the label of a sum."""
        skip = {self.columns.get("remark"), self.columns.get("label")}
        for column in row.filled:
            kind = sum_label(row.cells[column]) if column not in skip else None
            if kind is not None:
                spec = f"{cells.get('name', '')} ; {cells.get('spec', '')}"
                fields = parse_spec(spec, vocabulary)
                rated = fields.rates_breaker or "breaker" in fields.devices
                return None if rated else (kind, " ".join(row.cells[column].split()))
        return None

    def report_values(self, report: Report) -> None:
        """Report formulas without a stored value and error values, by what their column is for."""
        for code, cells in (
            ("FORMULA_NO_VALUE", self.tab.unsaved),
            ("CELL_ERROR", self.tab.broken),
        ):
            priced = []
            for number, column in sorted(cells):
                name = f"{column_letters(column)}{number}"
                if self._is_vital(number, column, report):
                    place = Place(self.tab.name, number, name)
                    report.errors.append(place.notice(code, {"cell": name}))
                elif self._is_read(number, column):
                    priced.append(Place(self.tab.name, number, name))
            if priced:
                params = {"cell": priced[0].text, "count": len(priced)}
                report.warnings.append(priced[0].notice(f"{code}_PRICE", params))

    def _is_read(self, number: int, column: int) -> bool:
        kinds = {kind for kind, at in self.columns.items() if at == column}
        return number > self.header.last_row and bool(kinds - {"number"})

    def _is_vital(self, number: int, column: int, report: Report) -> bool:
        vital = any(self.columns.get(kind) == column for kind in _VITAL)
        fate = report.fates.get((self.tab.name, number))
        in_item = fate not in {"subtotal", "header", "project"}
        return vital and in_item and number > self.header.last_row


def _is_ditto(text: str) -> bool:
    return fold(text).upper() in label_set("ditto")


def has_ditto(cells: Cells) -> bool:
    """Return whether a ditto mark is left that has nothing above it."""
    return any(_is_ditto(cells.get(kind, "")) for kind in _REPEATED)


def is_blank(row: Row, cells: Cells) -> bool:
    """Return whether only a running number and zero amounts stand in a prepared row."""
    numeric = all(number_in(row.cells[column]) is not None for column in row.filled)
    if not numeric or any(cells.get(kind, "").strip() for kind in ITEM_COLUMNS):
        return False
    return not any(number_in(cells.get(kind, "")) for kind in PRICED)
