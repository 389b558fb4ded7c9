"""Free text -> panels: `메인차단기 4P 40A에 분기차단기 누전 4P 20A 2개, 누전 2P 20A 8개`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

from kis_estimator.engine.model import PanelSpec
from kis_estimator.errors import Notice
from kis_estimator.intake.blocks import Block, build_panel
from kis_estimator.intake.grammar import SpecFields, parse_spec
from kis_estimator.intake.items import ItemCells, read_item
from kis_estimator.intake.report import Fate, Place, Report
from kis_estimator.intake.titles import Title, is_panel_name, project_in, read_title, sum_label
from kis_estimator.intake.tokens import Token, fold, tokenize, without_ordinal
from kis_estimator.intake.vocabulary import Vocabulary, trade_words
from kis_estimator.intake.wishes import Wishes, wish_notices

_RATINGS = frozenset({"marked_pair", "pair", "trip", "amp", "frame"})
_POLES = frozenset({"poles", "neutral_poles"})
_SPECS = _RATINGS | _POLES | {"model", "unknown_model"}
_COUNTS = frozenset({"quantity", "quantity_word"})
_NEW_DEVICES = frozenset({"accessory", "contactor", "spare", "unsupported", "foreign"})
_OPENERS = frozenset({"role", "breaker", "category", "brand", "tier", "model"}) | _NEW_DEVICES
_ITEM_KINDS = _SPECS | _COUNTS | _NEW_DEVICES
_BREAKS = ",;+"


@dataclass(slots=True)
class TextReading:
    """The state of reading a text line by line."""

    name: str
    vocabulary: Vocabulary
    report: Report
    default_name: str
    panels: list[PanelSpec] = field(default_factory=list)
    project: str | None = None
    wide: Wishes = field(default_factory=Wishes)
    block: Block = field(default_factory=lambda: Block(wishes=Wishes()))

    def run(self, lines: Sequence[tuple[int, str]]) -> TextReading:
        """Read all lines and return this reading."""
        for number, line in lines:
            place = Place(self.name, number, " ".join(line.split())[:200])
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

    def _line(self, place: Place, folded: str) -> None:
        head, colon, rest = folded.partition(":")
        if colon and is_panel_name(head) and not self._kinds(head) & _ITEM_KINDS:
            self._title(place, head)
            folded = rest.strip()
        carried, unread = "", []
        for phrase in phrases(folded, self.vocabulary):
            text = f"{carried} {phrase}".strip()
            carried = ""
            match self._phrase(place, text):
                case "carry":
                    carried = text
                case "unread":
                    unread.append(text)
        if carried or unread:
            self._unknown(place, ", ".join([*unread, carried]).strip(", "))

    def _kinds(self, text: str) -> frozenset[str]:
        return frozenset(token.kind for token in tokenize(text, self.vocabulary))

    def _phrase(self, place: Place, text: str) -> Literal["done", "carry", "unread"]:
        """Read one phrase; a bare kind or role is carried to the phrase that it belongs to."""
        kinds = self._kinds(text)
        fields = parse_spec(text, self.vocabulary)
        items = kinds & _ITEM_KINDS
        if items and not (items <= _COUNTS and is_panel_name(text)):
            self._item(place, text, fields)
            return "done"
        wishes = Wishes.of(fields)
        if is_panel_name(text) and not fields.names_breaker:
            self._title(place, text)
        elif wishes.said or fields.other_material:
            self._wish(place, fields)
        elif fields.names_breaker:
            return "carry"
        elif fields.leftovers:
            return "unread"
        return "done"

    def _wish(self, place: Place, fields: SpecFields) -> None:
        self._fate(place, "wish")
        self.report.errors += [place.moved(notice) for notice in wish_notices(fields)]
        wishes = Wishes.of(fields)
        if self.block.rows:
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
        self.block = Block(
            wishes=title.wishes.over(self.wide),
            own=title.wishes,
            name=title.name,
            title_place=place,
            count=title.count,
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
            self.block = replace(self.block, wishes=self.wide, title_place=here)
        self.block.rows.append(place.row or 1)
        quantity = ""
        if fields.quantity is None and fields.quantity_word is None:
            quantity = "1"
            if fields.role != "main":
                self.report.warnings.append(here.notice("QUANTITY_ASSUMED"))
        item = read_item(ItemCells(name=text, quantity=quantity), self.vocabulary)
        self._fate(place, item.fate)
        self.report.errors += [here.moved(notice) for notice in item.errors]
        self.report.warnings += [here.moved(notice) for notice in item.warnings]
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
        name = block.name or f"{self.default_name} {len(self.panels) + 1}"
        panel = build_panel(block, name, self.name, self.vocabulary, self.report)
        if panel is not None:
            self.panels.append(panel)


def phrases(folded: str, vocabulary: Vocabulary) -> list[str]:
    """Return the phrases of a line, one device each: split at commas, and where a device begins."""
    tokens = tokenize(folded, vocabulary)
    found: list[str] = []
    for start, end in _segments(folded, tokens):
        inside = [token for token in tokens if start <= token.start < end]
        cuts = [start, *_cuts(inside), end]
        found += [folded[a:b].strip() for a, b in pairwise(cuts)]
    return [phrase for phrase in found if phrase.strip(" .")]


def _segments(folded: str, tokens: Sequence[Token]) -> list[tuple[int, int]]:
    """Return (start, end) of the stretches between commas and joining words."""
    joiners = trade_words()["labels"]["joiners"]
    covered: set[int] = set()
    for token in tokens:
        covered.update(range(token.start, token.end))
    cuts = [(0, 0)]
    for index, char in enumerate(folded):
        if index in covered:
            continue
        if char in _BREAKS:
            cuts.append((index, index + 1))
        cuts += [
            (index, index + len(word))
            for word in joiners
            if index and folded.startswith(f" {word} ", index - 1)
        ]
    cuts.append((len(folded), len(folded)))
    return [(a[1], b[0]) for a, b in pairwise(cuts)]


def _cuts(tokens: Sequence[Token]) -> list[int]:
    """Return where further devices begin in a segment.

    Where the poles stand first, each poles token begins one; otherwise a kind, a role or another
    device does, once the open one has its poles or its rating.
    """
    said = [token for token in tokens if token.kind in _SPECS | _OPENERS | _COUNTS]
    poles_first = bool(said) and said[0].kind in _POLES
    cuts: list[int] = []
    seen: set[str] = set()
    for index, token in enumerate(said):
        specified = bool(seen & _SPECS or (seen & _COUNTS and seen & _OPENERS))
        begins = token.kind in _POLES and bool(seen & _POLES)
        if token.kind in _NEW_DEVICES and specified:
            begins = True
        elif token.kind in _OPENERS and specified and not poles_first:
            begins = begins or _opens(said[index:], counted=bool(seen & _COUNTS))
        if begins:
            cuts.append(token.start)
            seen = set()
        seen.add(token.kind)
    return cuts


def _opens(following: Sequence[Token], *, counted: bool) -> bool:
    """Return whether a kind or role belongs to what follows, not to the device before it."""
    for token in following[1:] if following[0].kind != "model" else following:
        if token.kind in _SPECS:
            return True
        if token.kind in _COUNTS:
            return counted
    return False


def nothing_in_text(lines: Sequence[tuple[int, str]]) -> Notice:
    """Return why a text gave no panel."""
    return Notice("TEXT_NO_BREAKER") if lines else Notice("FILE_EMPTY")
