"""Free text -> panels: `메인차단기 4P 40A에 분기차단기 누전 4P 20A 2개, 누전 2P 20A 8개`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from kis_estimator.engine.model import PanelSpec
from kis_estimator.errors import KisError, Notice
from kis_estimator.intake.blocks import Block, build_panel
from kis_estimator.intake.grammar import SpecFields, parse_spec
from kis_estimator.intake.grid import MAX_CELL_CHARS, too_long
from kis_estimator.intake.items import ItemCells, read_item
from kis_estimator.intake.phrases import COUNTS, ITEM_KINDS, is_wish_run, phrases
from kis_estimator.intake.report import Fate, Place, Report
from kis_estimator.intake.titles import (
    Title,
    companions_in,
    is_panel_name,
    project_in,
    read_title,
    sum_label,
)
from kis_estimator.intake.tokens import fold, tokenize, without_ordinal
from kis_estimator.intake.vocabulary import Vocabulary
from kis_estimator.intake.wishes import Wishes, wish_notices, wish_warnings

MAX_PHRASES = 2000


@dataclass(slots=True)
class TextReading:
    """The state of reading a text line by line."""

    name: str
    vocabulary: Vocabulary
    report: Report
    default_name: str
    brand: str | None = None
    panels: list[PanelSpec] = field(default_factory=list)
    project: str | None = None
    wide: Wishes = field(default_factory=Wishes)
    block: Block = field(default_factory=lambda: Block(wishes=Wishes()))
    phrases_read: int = 0

    def run(self, lines: Sequence[tuple[int, str]]) -> TextReading:
        """Read all lines and return this reading."""
        for number, line in lines:
            place = Place(self.name, number, " ".join(line[:200].split()))
            if too_long(line):
                self._too_long(place)
                continue
            project = project_in([line])
            if project is not None:
                self.project = self.project or project
                self.report.fates[self.name, number] = "project"
            elif sum_label(line) is not None:
                self.report.fates[self.name, number] = "subtotal"
                self._close()
            else:
                self._line(place, without_ordinal(fold(line).lstrip("-•·*# ")))
        self._close()
        return self

    def _too_long(self, place: Place) -> None:
        self._fate(place, "error")
        self.report.errors.append(place.notice("CELL_TOO_LONG", {"limit": MAX_CELL_CHARS}))

    def _line(self, place: Place, folded: str) -> None:
        head, colon, rest = folded.partition(":")
        if colon and is_panel_name(head) and not self._item_kinds(head):
            self._title(place, head)
            folded = rest.strip()
        carried, unread = "", []
        found = phrases(folded, self.vocabulary)
        self.phrases_read += len(found)
        if self.phrases_read > MAX_PHRASES:
            raise KisError.of("TOO_MANY_ROWS", limit=MAX_PHRASES)
        beside_items = any(self._item_kinds(phrase) for phrase in found)
        for phrase in found:
            if is_wish_run(phrase, self.vocabulary):
                self._wish(place, parse_spec(phrase, self.vocabulary), of_panel=beside_items)
                continue
            text = f"{carried} {phrase}".strip()
            carried = ""
            match self._phrase(place, text):
                case "carry":
                    carried = text
                case "unread":
                    unread.append(text)
        if carried or unread:
            self._unknown(place, ", ".join([*unread, carried]).strip(", "))

    def _item_kinds(self, text: str) -> frozenset[str]:
        """Return what makes a text an item: in a title, not its count nor what it asks for too."""
        kinds = {token.kind for token in tokenize(text, self.vocabulary)} & ITEM_KINDS
        if not is_panel_name(text):
            return frozenset(kinds)
        devices = parse_spec(text, self.vocabulary).devices
        beside = {"accessory"} if set(devices) <= set(companions_in(text, self.vocabulary)) else ()
        return frozenset(kinds - {*COUNTS, *beside})

    def _phrase(self, place: Place, text: str) -> Literal["done", "carry", "unread"]:
        """Read one phrase; a bare kind or role is carried to the phrase that it belongs to."""
        fields = parse_spec(text, self.vocabulary)
        if self._item_kinds(text):
            self._item(place, text, fields)
            return "done"
        wishes = Wishes.of(fields)
        if is_panel_name(text) and not fields.names_breaker:
            self._title(place, text)
        elif wishes.said or fields.other_material:
            self._wish(place, fields, of_panel=False)
        elif fields.names_breaker:
            return "carry"
        elif fields.leftovers:
            return "unread"
        return "done"

    def _wish(self, place: Place, fields: SpecFields, *, of_panel: bool) -> None:
        """Take a wish: of the open panel, or of the one whose items the line holds, else of all."""
        self._fate(place, "wish")
        self.report.errors += [place.moved(notice) for notice in wish_notices(fields)]
        self.report.warnings += [place.moved(notice) for notice in wish_warnings(fields)]
        wishes = Wishes.of(fields)
        if self.block.rows or of_panel:
            self.report.errors += [place.moved(n) for n in wishes.against(self.block.own)]
            self.block.wishes = wishes.over(self.block.wishes)
            self.block.own = wishes.over(self.block.own)
        else:
            self.wide = wishes.over(self.wide)

    def _title(self, place: Place, text: str) -> None:
        title: Title = read_title(text, self.vocabulary)
        self._close()
        self._fate(place, "title")
        self.report.errors += [place.moved(notice) for notice in title.errors]
        self.report.errors += [place.moved(notice) for notice in wish_notices(title.fields)]
        self.report.warnings += [place.moved(n) for n in wish_warnings(title.fields)]
        self.block = Block(
            wishes=title.wishes.over(self.wide),
            own=title.wishes,
            name=title.name,
            title_place=place,
            count=title.count,
            companions=title.companions,
            rows=[place.row or 1],
        )

    def _unknown(self, place: Place, text: str) -> None:
        self.report.fates.setdefault((self.name, place.row or 1), "excluded")
        here = replace(place, text=text[:200])
        self.report.warnings.append(here.notice("TEXT_UNREAD"))
        self.report.skipped.append(here.notice("ROW_EXCLUDED"))

    def _item(self, place: Place, text: str, fields: SpecFields) -> None:
        here = replace(place, text=text[:200])
        if not self.block.rows:
            wishes = self.block.wishes.over(self.wide)
            self.block = replace(self.block, wishes=wishes, title_place=here)
        self.block.rows.append(place.row or 1)
        quantity = ""
        if not any((fields.quantity is not None, fields.quantity_word, fields.quantity_vague)):
            quantity = "1"
            if fields.role != "main":
                self.report.warnings.append(here.notice("QUANTITY_ASSUMED"))
        item = read_item(ItemCells(name=text, quantity=quantity), self.vocabulary)
        self._fate(place, item.fate)
        self.report.errors += [here.moved(notice) for notice in item.errors]
        self.report.warnings += [here.moved(notice) for notice in item.warnings]
        if item.wishes is not None:
            self.block.wishes = item.wishes.over(self.block.wishes)
        if item.skipped is not None:
            self.report.skipped.append(here.moved(item.skipped))
        self.block.items.append((here, item))

    def _fate(self, place: Place, fate: Fate) -> None:
        self.report.fates[self.name, place.row or 1] = fate

    def _close(self) -> None:
        block, self.block = self.block, Block(wishes=Wishes())
        if block.name is not None and not block.items:
            self.report.skipped.append(block.title_place.notice("NOTE"))
        if not block.items:
            return
        block.name = block.name or f"{self.default_name} {len(self.panels) + 1}"
        panel = build_panel(block, self.name, self.vocabulary, self.report, self.brand)
        if panel is not None:
            self.panels.append(panel)


def nothing_in_text(lines: Sequence[tuple[int, str]]) -> Notice:
    """Return why a text gave no panel."""
    return Notice("TEXT_NO_BREAKER") if lines else Notice("FILE_EMPTY")
