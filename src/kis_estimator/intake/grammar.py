"""From tokens to fields: what a name, a specification or a phrase says about one device.

Nothing is assumed here. What is not said stays None, and what is said twice differently is kept as
a conflict for the reader of the row to report.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Literal, cast

from kis_estimator.engine.model import Category, Location, Material, MeterPosition, Mounting, Role
from kis_estimator.intake.tokens import Token, fold, looks_like_model, tokenize
from kis_estimator.intake.vocabulary import Vocabulary, trade_words

_UNSAID = frozenset(
    {"code", "bare", "date", "power", "time", "size", "load", "neutral", "other_device"}
    | {"thickness", "vague"}
    | {
        "derived",
        "ignored",
        "high_voltage",
        "enclosure",
        "acrylic",
        "quantity_word",
        "purpose",
        "foreign",
    }
)
_MARKS = (
    "spare",
    "unsupported",
    "high_voltage",
    "other_device",
    "derived",
    "enclosure",
    "purpose",
    "foreign",
)
_BREAKER_KINDS = frozenset({"category", "breaker", "model", "unknown_model"})
_CONTEXT = _BREAKER_KINDS | {
    "role",
    "poles",
    "neutral_poles",
    "frame",
    "trip",
    "amp",
    "marked_pair",
}
_NOT_OF_DEVICE = frozenset({"location", "mounting"})  # a breaker's own are part of its name
_HIGH_VOLTAGE = 1000  # V
_PARTS = ",/()[];|·"  # a word between these stands alone
_NOT_ALONE = _UNSAID | {"quantity"}
_SEPARATORS = " ,./-·:;+&|~*'\"_<>"
_OPENING, _CLOSING = "([{", ")]}"
_LOOSE_FIRST, _LOOSE_LAST = _SEPARATORS + _CLOSING, _SEPARATORS + _OPENING


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecFields:
    """What a text says. `conflicts` are (field, the values said); `devices` are in text order."""

    role: Role | None = None
    category: Category | None = None
    poles: int | None = None
    rated_current_a: int | None = None
    frame_af: int | None = None
    breaking_capacity_ka: Decimal | None = None
    sensitivity_ma: int | None = None
    voltage: Literal[220, 380] | None = None
    brand: str | None = None
    unknown_brand: str | None = None
    tier: str | None = None
    model: str | None = None
    unknown_model: str | None = None
    quantity: Decimal | None = None
    quantity_word: str | None = None
    quantity_vague: str | None = None
    uneven_current_a: Decimal | None = None
    thickness_mm: Decimal | None = None
    panel_count: Decimal | None = None
    devices: tuple[str, ...] = ()
    marks: frozenset[str] = frozenset()
    unsupported: str | None = None
    contactor: int | None = None
    phase: int | None = None
    type_number: int | None = None
    qualifiers: frozenset[str] = frozenset()
    position: MeterPosition | None = None
    location: Location | None = None
    mounting: Mounting | None = None
    material: Material | None = None
    other_material: str | None = None
    ip_rating: str | None = None
    conflicts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    leftovers: tuple[str, ...] = ()
    other_models: tuple[str, ...] = ()

    @property
    def names_breaker(self) -> bool:
        """Return whether a word or a model says that this is a breaker."""
        return "breaker" in self.devices or self.role is not None

    @property
    def rates_breaker(self) -> bool:
        """Return whether it is written like a breaker: poles and a current."""
        return self.poles is not None and self.rated_current_a is not None


class _Said:
    """The tokens of one text by kind, and the contradictions among them."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.kinds = {token.kind for token in tokens}
        self._tokens = tokens
        self.conflicts: list[tuple[str, tuple[str, ...]]] = []

    def words(self, kind: str) -> list[str]:
        return [token.word for token in self._tokens if token.kind == kind]

    def numbers(self, *kinds: str) -> list[Decimal]:
        found = (token.number for token in self._tokens if token.kind in kinds)
        return [number for number in found if number is not None]

    def seconds(self, kind: str) -> list[Decimal]:
        found = (token.second for token in self._tokens if token.kind == kind)
        return [number for number in found if number is not None]

    def word(self, kind: str, field: str | None = None) -> str | None:
        """Return the one word of a kind; several different ones are a conflict of the field."""
        distinct = list(dict.fromkeys(self.words(kind)))
        if len(distinct) > 1 and field:
            self.conflicts.append((field, tuple(distinct)))
        return distinct[0] if distinct else None

    def number(self, field: str, values: Iterable[Decimal]) -> int | None:
        """Return the one whole number of a field; several different ones are a conflict."""
        distinct = list(dict.fromkeys(int(value) for value in values))
        if len(distinct) > 1:
            self.conflicts.append((field, tuple(str(value) for value in distinct)))
        return distinct[0] if distinct else None

    def voltage(self) -> Literal[220, 380] | None:
        """Return 220 or 380 where one single voltage is said; pairs say nothing of the line."""
        volts = {(token.number, token.second) for token in self._tokens if token.kind == "volts"}
        if volts == {(Decimal(220), None)}:
            return 220
        return 380 if volts == {(Decimal(380), None)} else None

    def high_voltage(self) -> bool:
        """Return whether words or kilovolts say high voltage."""
        kilovolts = any(
            "k" in token.text.lower() or (token.number or 0) > _HIGH_VOLTAGE
            for token in self._tokens
            if token.kind == "volts"
        )
        return kilovolts or "high_voltage" in self.kinds

    def rating_pairs(self) -> tuple[list[Decimal], list[Decimal]]:
        """Return frames and currents of pairs; an unmarked pair needs a breaker beside it."""
        frames, currents = self.numbers("marked_pair"), self.seconds("marked_pair")
        if self.kinds & _CONTEXT:
            frames, currents = frames + self.numbers("pair"), currents + self.seconds("pair")
        return frames, currents

    def devices(self) -> tuple[str, ...]:
        """Return `breaker` and the accessory concepts, each once, in the order they are named."""
        named = []
        for token in self._tokens:
            if token.kind in _BREAKER_KINDS:
                named.append("breaker")
            elif token.kind in {"accessory", "contactor"}:
                named.append(token.word if token.kind == "accessory" else "contactor")
        return tuple(dict.fromkeys(named))


@lru_cache(maxsize=32768)
def parse_spec(text: str, vocabulary: Vocabulary) -> SpecFields:
    """Return what a name, a specification or a phrase says about one device."""
    folded = fold(text)
    return fields_of(folded, tokenize(folded, vocabulary), vocabulary)


def fields_of(folded: str, tokens: Sequence[Token], vocabulary: Vocabulary) -> SpecFields:
    """Return the fields that the tokens of a folded text say."""
    said = _Said(tokens)
    model = said.word("model", "model")
    facts = vocabulary.model(model) if model else None
    frames, currents = said.rating_pairs()
    poles = said.numbers("poles") + [value + 1 for value in said.numbers("neutral_poles")]
    brands = said.words("brand")
    capacity, leakage = _least(tokens, "capacity"), _least(tokens, "leakage")
    category = said.word("category", "kind") or ("MCCB" if "breaker" in said.kinds else None)
    if facts is not None and not said.words("category"):
        category = facts.category
    devices = said.devices()
    stated_poles = said.number("poles", poles)
    return SpecFields(
        role=cast("Role | None", said.word("role", "role")),
        category=cast("Category | None", category),
        poles=facts.poles if stated_poles is None and facts else stated_poles,
        rated_current_a=said.number("rating", currents + said.numbers("trip", "amp")),
        frame_af=said.number("frame", frames + said.numbers("frame")),
        breaking_capacity_ka=None if "spd" in devices else capacity,  # there it is surge current
        sensitivity_ma=None if leakage is None else int(leakage),
        voltage=said.voltage(),
        brand=next((word for word in brands if word in vocabulary.brands), None),
        unknown_brand=next((word for word in brands if word not in vocabulary.brands), None),
        tier=said.word("tier", "tier"),
        model=model,
        unknown_model=said.word("unknown_model"),
        quantity=_quantity(said),
        quantity_word=said.word("quantity_word"),
        quantity_vague=said.word("vague"),
        uneven_current_a=next((value for value in said.numbers("load") if value > 1), None),
        thickness_mm=next(iter(said.numbers("thickness")), None),
        panel_count=next(iter(said.numbers("panels")), None),
        devices=devices,
        marks=frozenset(mark for mark in _MARKS if mark in said.kinds)
        | ({"high_voltage"} if said.high_voltage() else frozenset()),
        unsupported=said.word("unsupported"),
        contactor=said.number("contactor", said.numbers("contactor")),
        phase=said.number("phase", said.numbers("phase")),
        type_number=said.number("type", said.numbers("type")),
        qualifiers=frozenset(said.words("qualifier") + said.words("acrylic")),
        position=cast("MeterPosition | None", said.word("position")),
        location=cast("Location | None", said.word("location", "location")),
        mounting=cast("Mounting | None", said.word("mounting", "mounting")),
        material=cast("Material | None", _only_material(said)),
        other_material=next(
            (t.text for t in tokens if t.word == "other" and t.kind == "material"), None
        ),
        ip_rating=next((f"IP{number:02}" for number in map(int, said.numbers("ip"))), None),
        other_models=tuple(word for word in said.words("code") if looks_like_model(word)),
        leftovers=_leftovers(folded, tokens, paired=bool(said.kinds & _CONTEXT)),
        conflicts=tuple(said.conflicts),
    )


def _only_material(said: _Said) -> str | None:
    distinct = list(dict.fromkeys(word for word in said.words("material") if word != "other"))
    if len(distinct) > 1:
        said.conflicts.append(("material", tuple(distinct)))
    return distinct[0] if distinct else None


def _quantity(said: _Said) -> Decimal | None:
    distinct = list(dict.fromkeys(said.numbers("quantity")))
    if len(distinct) > 1:
        said.conflicts.append(("quantity", tuple(f"{value:f}" for value in distinct)))
    return distinct[0] if distinct else None


def _least(tokens: Sequence[Token], kind: str) -> Decimal | None:
    """Return the smallest figure of a kind: the one that holds at every voltage or setting."""
    figures = [
        figure
        for token in tokens
        if token.kind == kind
        for figure in (token.number, token.second)
        if figure is not None
    ]
    return min(figures, default=None)


def _leftovers(folded: str, tokens: Sequence[Token], *, paired: bool) -> tuple[str, ...]:
    """Return the stretches of text that no field took, in order."""
    unsaid = _UNSAID | (_NOT_OF_DEVICE if paired else {"pair"})
    stretches, start = [], 0
    for token in tokens:
        if token.kind not in unsaid:
            stretches.append(folded[start : token.start])
            start = token.end
    stretches.append(folded[start:])
    tidy = (tidied(stretch) for stretch in stretches)
    particles = set(trade_words()["labels"]["particles"])
    return tuple(text for text in tidy if not particles.issuperset(text.split()))


def tidied(text: str) -> str:
    """Return text without separators at its ends and without brackets that close nothing.

    >>> tidied("(lamps)"), tidied(" - pump (B1)"), tidied(")")
    ('lamps', 'pump (B1)', '')
    """
    start, end = 0, len(text)
    opened = sum(char in _OPENING for char in text)
    closed = sum(char in _CLOSING for char in text)
    while start < end:
        first, last = text[start], text[end - 1]
        is_pair = first in _OPENING and last in _CLOSING and opened == closed == 1
        if is_pair or first in _LOOSE_FIRST or (first in _OPENING and not closed):
            dropped, start = first, start + 1
        elif last in _LOOSE_LAST or (last in _CLOSING and not opened):
            dropped, end = last, end - 1
        else:
            break
        opened -= dropped in _OPENING
        closed -= dropped in _CLOSING
    return text[start:end]


def spare_alone(text: str, vocabulary: Vocabulary) -> bool:
    """Return whether a cell says spare as a word of its own, not `예비 1 포함` of some of them."""
    folded = fold(text)
    tokens = tokenize(folded, vocabulary)
    for index, token in enumerate(tokens):
        if token.kind != "spare":
            continue
        before, after = tokens[max(index - 1, 0) : index], tokens[index + 1 : index + 2]
        left = folded[before[0].end if before else 0 : token.start].strip()
        right = folded[token.end : after[0].start if after else len(folded)].strip()
        if _is_apart(left[-1:], before) and _is_apart(right[:1], after):
            return True
    return False


def _is_apart(char: str, beside: Sequence[Token]) -> bool:
    """Return whether a word ends here: at a separator, or beside what has its own meaning."""
    return char in _PARTS if char else all(token.kind not in _NOT_ALONE for token in beside)


def spare_in_part(text: str, vocabulary: Vocabulary) -> bool:
    """Return whether a text says that some of a quantity are spare (`예비 1 포함`)."""
    folded = fold(text)
    words = tuple(trade_words()["labels"]["part_of"])
    tokens = tokenize(folded, vocabulary)
    return any(
        token.kind == "spare"
        and number.kind in {"bare", "quantity"}
        and folded[number.end :].lstrip().startswith(words)
        for token, number in pairwise(tokens)
    )
