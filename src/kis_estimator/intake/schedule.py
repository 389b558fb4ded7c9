"""One tab with a header -> its panels: every row is read, or reported with its reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal

from kis_estimator.engine.model import PanelSpec
from kis_estimator.intake.blocks import Block, build_panel
from kis_estimator.intake.cells import ITEM_COLUMNS, PRICED, CellReader, Cells, has_ditto, is_blank
from kis_estimator.intake.grammar import SpecFields, parse_spec
from kis_estimator.intake.grid import MAX_CELL_CHARS, Row, Tab
from kis_estimator.intake.header import Header, header_columns, unused_load
from kis_estimator.intake.items import Item, ItemCells, read_item
from kis_estimator.intake.report import Fate, FilePrice, Place, Report
from kis_estimator.intake.titles import (
    Title,
    is_panel_name,
    project_in,
    read_title,
    with_count,
)
from kis_estimator.intake.tokens import fold, number_in, tokenize
from kis_estimator.intake.vocabulary import Vocabulary
from kis_estimator.intake.wishes import Wishes, wish_notices, wish_warnings


@dataclass(slots=True)
class TabReading:
    """The state of reading one tab from top to bottom."""

    tab: Tab
    header: Header
    vocabulary: Vocabulary
    report: Report
    brand: str | None = None
    panels: list[PanelSpec] = field(default_factory=list)
    project: str | None = None
    block: Block = field(default_factory=lambda: Block(wishes=Wishes()))
    above: list[tuple[Row, Title]] = field(default_factory=list)
    pending: list[tuple[Row, Title]] = field(default_factory=list)
    wide: Wishes = field(default_factory=Wishes)
    fallback_name: str | None = None
    unread: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    sums: list[Decimal] = field(default_factory=list)
    reader: CellReader = field(init=False)

    def __post_init__(self) -> None:
        """Start with the columns of the first header."""
        self.reader = CellReader(self.tab, self.header)

    def run(self) -> TabReading:
        """Read all rows and return this reading."""
        for row in self.tab.rows:
            if row.number < self.header.rows[0]:
                self._preamble(row)
            elif row.number in self.header.rows:
                self._fate(row, "header")
            else:
                self._row(row)
        self._close()
        for row, _ in self.pending:
            self._note(row)
        self.reader.report_values(self.report)
        self._report_kilowatts()
        for text, numbers in self.unread.items():
            place = Place(self.tab.name, numbers[0], text)
            self.report.warnings.append(
                place.notice("SPEC_UNREAD", {"text": text, "rows": numbers})
            )
        return self

    def _report_kilowatts(self) -> None:
        """Say once that a column of loads in kilowatts is not used."""
        for row in (row for row in self.tab.rows if row.number in self.header.rows):
            for column in (column for column in row.filled if unused_load(row.cells[column])):
                below = (r for r in self.tab.rows if r.number > self.header.last_row)
                if any(r.cell(column).strip() for r in below):
                    place = Place(self.tab.name, row.number, row.cells[column])
                    self.report.warnings.append(place.notice("LOAD_IN_KILOWATTS"))
                    return

    # ------------------------------------------------------------ rows

    def _fate(self, row: Row, fate: Fate) -> None:
        self.report.fates[self.tab.name, row.number] = fate

    def _place(self, row: Row) -> Place:
        return Place(self.tab.name, row.number, row.text)

    def _preamble(self, row: Row) -> None:
        """Read a row above the header: project, wishes for all panels, the first panel's title."""
        self._fate(row, "preamble")
        if row.too_long:
            return
        project = project_in(list(row.cells))
        self.project = self.project or project
        for column in row.filled if project is None else ():
            title = read_title(row.cells[column], self.vocabulary)
            if title.names_panel:
                self.above.append((row, title))
                self.fallback_name = title.name
            elif title.is_wish:
                self.wide = title.wishes.over(self.wide)
            else:
                continue
            self._report_title(row, title)

    def _report_title(self, row: Row, title: Title) -> None:
        place = self._place(row)
        errors = (*wish_notices(title.fields), *title.errors)
        self.report.errors += [place.moved(notice) for notice in errors]
        self.report.warnings += [place.moved(n) for n in wish_warnings(title.fields)]

    def _row(self, row: Row) -> None:
        if row.too_long:
            self._fate(row, "error")
            limit = {"limit": MAX_CELL_CHARS}
            self.report.errors.append(self._place(row).notice("CELL_TOO_LONG", limit))
            return
        columns = header_columns(row.cells)
        if len(columns) == len(row.filled) and "name" in columns and len(columns) > 1:
            self._fate(row, "header")
            self.reader.columns = columns
            return
        project = project_in(list(row.cells))
        if project is not None:
            self._fate(row, "project")
            self.project = self.project or project
            return
        cells = self.reader.cells(row)
        label = self.reader.sum_label(row, cells, self.vocabulary)
        if label is not None:
            self._subtotal(row, label)
        elif is_blank(row, cells):
            self._fate(row, "blank")
        elif self.reader.lacks_values(row):
            self._fate(row, "error")
            self.block.rows.append(row.number)
        else:
            title = self._title(row, cells)
            if title is not None:
                self._titled(row, title)
            else:
                self._item(row, cells)

    # ------------------------------------------------------------ titles

    def _title(self, row: Row, cells: Cells) -> Title | None:
        """Return the row as a title or note, unless it is an item."""
        number = self.reader.columns.get("number")
        filled = [
            c for c in row.filled if not (c == number and number_in(row.cells[c]) is not None)
        ]
        texts = [c for c in filled if number_in(row.cells[c]) is None]
        if len(filled) == 1 and texts:
            text = row.cells[filled[0]]
            fields = parse_spec(text, self.vocabulary)
            named = is_panel_name(fold(text)) and not fields.rates_breaker
            in_item_column = filled[0] in {
                self.reader.columns.get("name"),
                self.reader.columns.get("spec"),
            }
            is_item = fields.rates_breaker or fields.contactor or fields.devices or fields.role
            if in_item_column and is_item and not (named and fields.contactor is None):
                return None
            title = read_title(text, self.vocabulary)
            if filled[0] == self.reader.columns.get("remark"):
                return replace(title, names_panel=False, is_note=True)
            return title
        return self._counted_title(cells)

    def _counted_title(self, cells: Cells) -> Title | None:
        """Return a title whose number of panels (면) stands in the quantity column."""
        if cells.get("spec", "").strip() or not is_panel_name(fold(cells.get("name", ""))):
            return None
        quantity = fold(f"{cells.get('quantity', '')} {cells.get('unit', '')}")
        tokens = tokenize(quantity, self.vocabulary)
        if [token.kind for token in tokens] != ["panels"] or tokens[0].number is None:
            return None
        return with_count(read_title(cells["name"], self.vocabulary), tokens[0].number)

    def _titled(self, row: Row, title: Title) -> None:
        """Start a panel with a title, or take the text as a note on the open one."""
        self._report_title(row, title)
        place = self._place(row)
        if title.names_panel:
            self._close()
            self._fate(row, "title")
            self.pending.append((row, title))
        elif title.is_wish and self.block.items:
            self._fate(row, "wish")
            self._wish(place, title.wishes)
        elif not title.is_wish and (self.block.items or title.is_note):
            self._note(row)
        else:
            self._fate(row, "title")
            self.pending.append((row, title))

    def _wish(self, place: Place, wishes: Wishes) -> None:
        """Take a wish of a row into the open block."""
        self.report.errors += [place.moved(notice) for notice in wishes.against(self.block.own)]
        self.block.wishes = wishes.over(self.block.wishes)
        self.block.own = wishes.over(self.block.own)

    def _note(self, row: Row) -> None:
        self._fate(row, "note")
        self.report.skipped.append(self._place(row).notice("NOTE"))

    def _open(self) -> None:
        """Give the block the titles that stand above its first row."""
        heading = _heading(self.pending, self.above)
        block = Block(wishes=Wishes(), rows=self.block.rows)
        if heading is not None:
            row, title = heading
            block.wishes = block.own = title.wishes
            block.name, block.title_place = title.name, self._place(row)
            block.count, block.companions = title.count, title.companions
            block.high_voltage = title.is_high_voltage
            block.rows.append(row.number)
        self.block = block
        for other in self.above:
            if other is not heading:
                self._other_heading(*other, heading[1].code if heading else None)
        block.wishes = block.wishes.over(self.wide)
        for other in self.pending:
            if other is not heading:
                self._beside_title(*other)
        self.above, self.pending = [], []

    def _other_heading(self, row: Row, title: Title, code: str | None) -> None:
        """Use a title above the header that is not the first panel's: its twin, or all panels'."""
        if code is not None and title.code == code:
            self.block.wishes = self.block.wishes.over(title.wishes)
            self.block.count = max(self.block.count, title.count)
            self.block.companions = self.block.companions or title.companions
            return
        self.wide = title.wishes.over(self.wide)
        if title.count != 1 or title.companions:
            self._note(row)

    def _beside_title(self, row: Row, title: Title) -> None:
        """Use a text between the titles of a panel and its first row: a wish, or a note."""
        if title.is_wish:
            self._fate(row, "wish")
            self._wish(self._place(row), title.wishes)
            return
        self.block.wishes = self.block.wishes.over(title.wishes)
        if not title.wishes.said or title.count != 1:
            self._note(row)

    # ------------------------------------------------------------ items and sums

    def _item(self, row: Row, cells: Cells) -> None:
        if not self.block.items:
            if self.pending or self.above:
                self._open()
            elif not self.block.rows:
                self.block.wishes = self.block.wishes.over(self.wide)
        place = self._place(row)
        if not self.block.title_place.sheet:
            self.block.title_place = place
        self.block.rows.append(row.number)
        self._price(row, cells)
        if self.block.high_voltage:
            self._fate(row, "excluded")
            self.report.skipped.append(place.notice("ROW_HIGH_VOLTAGE"))
            item = Item(fate="excluded")
        elif has_ditto(cells):
            self._fate(row, "error")
            self.report.errors.append(place.notice("DITTO_NOTHING_ABOVE"))
            return
        else:
            item = read_item(_item_cells(cells), self.vocabulary)
            self._report_item(row, place, item)
        self.reader.above = cells
        self.block.items.append((place, item))

    def _report_item(self, row: Row, place: Place, item: Item) -> None:
        self._fate(row, item.fate)
        self.report.errors += [place.moved(notice) for notice in item.errors]
        self.report.warnings += [place.moved(notice) for notice in item.warnings]
        if item.skipped is not None:
            self.report.skipped.append(place.moved(item.skipped))
        if item.wishes is not None:
            self._wish(place, item.wishes)
        for text in item.unread:
            self.unread[text].append(row.number)

    def _price(self, row: Row, cells: Cells) -> None:
        unit_price, amount = (number_in(cells.get(kind, "")) for kind in PRICED)
        if unit_price is None and amount is None:
            return
        self.report.prices.append(
            FilePrice(sheet=self.tab.name, row=row.number, unit_price=unit_price, amount=amount)
        )
        quantity = number_in(cells.get("quantity", ""))
        if amount is None and unit_price is not None and quantity is not None:
            amount = unit_price * quantity
        if amount is not None:
            self.block.amount += amount
            self.block.is_priced = True

    def _subtotal(self, row: Row, label: tuple[str, str]) -> None:
        """Compare a sum with its rows and end the block."""
        self._fate(row, "subtotal")
        kind, text = label
        amount = self._stated_sum(row)
        expected = {self.block.amount} if self.block.items else set()
        if kind == "total" or not self.block.items:
            expected |= {sum(self.sums, self.block.amount), *self.sums[-1:]}
        priced = self.block.is_priced or (not self.block.items and any(self.sums))
        if amount is not None and priced and amount not in expected:
            figure = self.block.amount if self.block.items else sum(self.sums, Decimal(0))
            self.report.warnings.append(
                self._place(row).notice(
                    "SUBTOTAL_DIFFERS", {"label": text, "stated": amount, "computed": figure}
                )
            )
        if self.block.items:
            self.block.rows.append(row.number)
            self._close()

    def _stated_sum(self, row: Row) -> Decimal | None:
        """Return the figure of a sum: in the amount column, else the last number of the row."""
        if "amount" in self.reader.columns:
            return number_in(row.cell(self.reader.columns["amount"]))
        figures = (number_in(row.cells[column]) for column in reversed(row.filled))
        return next((figure for figure in figures if figure is not None), None)

    def _close(self) -> None:
        """End the open block; a panel comes of it when it holds a breaker."""
        block, self.block = self.block, Block(wishes=Wishes())
        self.reader.above = {}
        if not block.items:
            return
        self.sums.append(block.amount)
        block.name = block.name or self._default_name()
        if block.high_voltage:
            notice = block.title_place.notice("BLOCK_HIGH_VOLTAGE", {"panel": block.name})
            self.report.skipped.append(notice)
            return
        panel = build_panel(block, self.tab.name, self.vocabulary, self.report, self.brand)
        if panel is not None:
            self.panels.append(panel)

    def _default_name(self) -> str:
        base = self.fallback_name or self.tab.name
        return base if not self.panels else f"{base}-{len(self.panels) + 1}"


def _heading(
    pending: list[tuple[Row, Title]], above: list[tuple[Row, Title]]
) -> tuple[Row, Title] | None:
    """Return the title of a block: a panel's name, the nearer the better, else the first text."""
    named = [entry for entry in pending if entry[1].names_panel]
    coded = [entry for entry in above if entry[1].code is not None]
    texts = [entry for entry in pending if not entry[1].is_wish]
    for entries in (named[-1:], coded[-1:], texts[:1], above[-1:]):
        if entries:
            return entries[0]
    return None


def _item_cells(cells: Cells) -> ItemCells:
    return ItemCells(**{kind: cells[kind] for kind in ITEM_COLUMNS if kind in cells})


def item_rows(tab: Tab, header: Header, vocabulary: Vocabulary) -> Iterator[SpecFields]:
    """Yield what name and specification of each row below the header say, to judge a tab by."""
    for row in tab.rows:
        if row.number > header.last_row and not row.too_long:
            name, spec = (row.cell(header.columns.get(kind)) for kind in ("name", "spec"))
            if name.strip() or spec.strip():
                yield parse_spec(f"{name} ; {spec}", vocabulary)
