"""Rows of text alone: titles of panels, the project, notes; and the labels of subtotals."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from kis_estimator.errors import Notice
from kis_estimator.intake.grammar import SpecFields, parse_spec, tidied
from kis_estimator.intake.quantity import whole_quantity
from kis_estimator.intake.tokens import Token, fold, panel_code, tokenize, without_ordinal
from kis_estimator.intake.vocabulary import Vocabulary, label_set, trade_words
from kis_estimator.intake.wishes import Wishes

_WISH_KINDS = frozenset(
    {"location", "mounting", "material", "ip", "size", "thickness", "brand", "tier"}
)
_MAX_TITLE = 40
_MAX_LABEL = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Title:
    """What a lone text says as a title: the panel's name, how many, and the wishes in it."""

    name: str
    count: int
    wishes: Wishes
    fields: SpecFields
    errors: tuple[Notice, ...]
    code: str | None
    names_panel: bool
    is_wish: bool
    is_note: bool
    is_high_voltage: bool
    companions: tuple[str, ...]


def read_title(text: str, vocabulary: Vocabulary) -> Title:
    """Return a lone text as a title; `(3면)` and x3 count panels, ordinals are dropped."""
    folded = without_ordinal(fold(text))
    fields = parse_spec(folded, vocabulary)
    tokens = tokenize(folded, vocabulary)
    errors: list[Notice] = []
    count = 1
    number = fields.panel_count if fields.panel_count is not None else fields.quantity
    if fields.quantity_word is not None:
        errors.append(Notice("QUANTITY_WORD", {"quantity": fields.quantity_word}))
    elif number is not None:
        whole = whole_quantity(number)
        errors += [whole] if isinstance(whole, Notice) else []
        count = whole if isinstance(whole, int) else 1
    is_wish = _is_wish(folded, tokens, fields)
    code = panel_code(folded)
    note = is_note(folded) or (_is_remark(folded) and code is None)
    return Title(
        name=_name(folded, tokens) or folded,
        count=count,
        wishes=_meant(Wishes.of(fields), folded, tokens),
        fields=fields,
        errors=tuple(errors),
        code=code,
        names_panel=is_panel_name(folded) and not note and not (is_wish and code is None),
        is_wish=is_wish,
        is_note=note,
        is_high_voltage=names_high_voltage(folded, vocabulary),
        companions=companions_in(folded, vocabulary),
    )


def companions_in(text: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return the devices that a text asks for beside others (`ON/OFF`), unless it leaves them out.

    The concepts are those of `[companions]`.
    """
    squeezed = fold(text).replace(" ", "")
    if any(word in squeezed for word in trade_words()["labels"]["left_out"]):
        return ()
    concepts = trade_words()["companions"]["concepts"]
    return tuple(device for device in parse_spec(text, vocabulary).devices if device in concepts)


def _is_wish(folded: str, tokens: Sequence[Token], fields: SpecFields) -> bool:
    """Return whether a lone text is nothing but wishes, or speaks of the enclosure or breakers."""
    said = Wishes.of(fields).said or fields.other_material is not None
    about = "enclosure" in fields.marks or fields.names_breaker
    return said and (about or _only_wishes(folded, tokens, 0))


def _meant(wishes: Wishes, folded: str, tokens: Sequence[Token]) -> Wishes:
    """Return the wishes of a title: a panel for outdoor lamps is not a wish to stand outdoors.

    The place alone counts only where the panel or the end of a phrase follows it.
    """
    if wishes.location is None or wishes.mounting or wishes.material or wishes.ip_rating:
        return wishes
    after = tuple(trade_words()["labels"]["after_location"])
    rests = (folded[token.end :].lstrip() for token in tokens if token.kind == "location")
    meant = any(not rest or rest.startswith(after) for rest in rests)
    return wishes if meant else replace(wishes, location=None)


def _name(folded: str, tokens: Sequence[Token]) -> str:
    """Return the title without the count, and without brackets that hold only wishes."""
    for token in reversed(tokens):
        if token.kind in {"panels", "quantity"}:
            folded = folded[: token.start] + " " * (token.end - token.start) + folded[token.end :]
    for start, end in reversed(_brackets(folded)):
        inside = [token for token in tokens if start < token.start and token.end < end]
        covered = folded[start + 1 : end - 1]
        if _only_wishes(covered, inside, start + 1):
            folded = folded[:start] + folded[end:]
    return tidied(" ".join(folded.split()))


def _brackets(folded: str) -> list[tuple[int, int]]:
    """Return (start, end) of each plain pair of round brackets."""
    pairs, start = [], None
    for index, char in enumerate(folded):
        if char == "(":
            start = index
        elif char == ")" and start is not None:
            pairs.append((start, index + 1))
            start = None
    return pairs


def _only_wishes(covered: str, tokens: Sequence[Token], offset: int) -> bool:
    rest = list(covered)
    for token in tokens:
        if token.kind in _WISH_KINDS:
            rest[token.start - offset : token.end - offset] = [" "] * (token.end - token.start)
    words = trade_words()["labels"]
    return {*words["particles"], *words["all_of_it"]}.issuperset(tidied("".join(rest)).split())


def is_panel_name(folded: str) -> bool:
    """Return whether a lone text looks like the name of a panel and not of the document."""
    labels = trade_words()["labels"]
    squeezed = folded.replace(" ", "").upper()
    if any(word in squeezed for word in labels["document_words"]):
        return False
    if panel_code(folded) is not None:
        return True
    words = [tidied(word) for word in folded.replace("(", " ").replace(")", " ").split()]
    return any(word.upper().endswith(tuple(labels["panel_words"])) for word in words)


def is_note(folded: str) -> bool:
    """Return whether a lone text starts like a remark on the whole."""
    return folded.upper().replace(" ", "").startswith(tuple(label_set("note_marks")))


def _is_remark(folded: str) -> bool:
    """Return whether a text ends like a statement, whatever its brackets add."""
    outside = re.sub(r"\([^()]*\)", "", folded).rstrip(" .!)")
    return outside.endswith(tuple(trade_words()["labels"]["remark_ends"]))


def names_high_voltage(text: str, vocabulary: Vocabulary) -> bool:
    """Return whether a text is the name or title of a high-voltage panel.

    That is a short text whose head is such a panel: neither a note nor a statement that mentions
    one, nor what a key (수전방식:) says of the supply.
    """
    folded = fold(text)
    key, colon, _ = folded.partition(":")
    labels = trade_words()["labels"]
    names_low = any(word in folded for word in labels["low_voltage"])
    if len(folded) > _MAX_TITLE or is_note(folded) or names_low:
        return False
    if colon and not any(word in key.upper() for word in labels["panel_words"]):
        return False
    parts = [part.strip() for part in re.split(r"[()\[\],:]", folded)]
    if any(part in labels["remark_ends"] for part in parts):
        return False
    return any(_is_high_voltage_noun(part, vocabulary) for part in parts)


def _is_high_voltage_noun(part: str, vocabulary: Vocabulary) -> bool:
    """Return whether the last word, which in Korean is the head, is a high-voltage panel."""
    labels = trade_words()["labels"]
    words = part.split()
    while words and any(word in words[-1].upper() for word in labels["document_words"]):
        words.pop()
    phrase = " ".join(words)
    if "high_voltage" not in parse_spec(phrase, vocabulary).marks:
        return False
    last = tokenize(phrase, vocabulary)[-1]
    at_end = last.end == len(phrase)
    if at_end and (last.kind == "high_voltage" or (last.kind == "volts" and is_panel_name(phrase))):
        return True
    heads = (*labels["panel_words"], *labels["high_voltage_nouns"])
    return words[-1].upper().endswith(heads) or panel_code(words[-1]) is not None


def project_in(cells: list[str]) -> str | None:
    """Return the project where a row says `공사명 : …`, in the same cell or the next."""
    for index, text in enumerate(cells):
        head, colon, rest = text.replace("\uff1a", ":").partition(":")
        if fold(head).replace(" ", "").upper() in label_set("project"):
            value = rest if rest.strip() else " ".join(cells[index + 1 : index + 2])
            value = " ".join(value.strip(" :").split())
            if value and (colon or index + 1 < len(cells)):
                return value[:200]
    return None


def sum_label(text: str) -> Literal["subtotal", "total"] | None:
    """Return whether a cell is the label of a subtotal or total, spaces and slips allowed."""
    folded = fold(text)
    if not folded or len(folded) > _MAX_LABEL:
        return None
    squeezed = "".join(folded.upper().replace(":", "").replace(".", "").split())
    outside = squeezed.partition("(")[0] or squeezed.strip("()[]<>")
    for kind in ("subtotal", "total"):
        labels = label_set(kind)
        long = tuple(label for label in labels if len(label) > 1 and not label.isascii())
        if outside.strip("[]<>-") in labels or squeezed.endswith(long):
            return kind
    return None


def with_count(title: Title, number: Decimal) -> Title:
    """Return a title whose count stands in the quantity column."""
    whole = whole_quantity(number)
    if isinstance(whole, Notice):
        return replace(title, errors=(*title.errors, whole))
    return replace(title, count=whole)
