"""A line of free text -> its phrases: one device each, and the wishes that stand among them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

from kis_estimator.intake.grammar import parse_spec
from kis_estimator.intake.tokens import Token, tokenize
from kis_estimator.intake.vocabulary import Vocabulary, trade_words
from kis_estimator.intake.wishes import Wishes

_RATINGS = frozenset({"marked_pair", "pair", "trip", "amp", "frame"})
_POLES = frozenset({"poles", "neutral_poles"})
_SPECS = _RATINGS | _POLES | {"model", "unknown_model"}
COUNTS = frozenset({"quantity", "quantity_word", "vague"})
_NEW_DEVICES = frozenset({"accessory", "contactor", "spare", "unsupported", "foreign"})
_OPENERS = frozenset({"role", "breaker", "category", "brand", "tier", "model"}) | _NEW_DEVICES
ITEM_KINDS = _SPECS | COUNTS | _NEW_DEVICES
_BREAKS = ",;+"
_PLACES = frozenset({"location", "mounting", "material", "ip", "enclosure"})
_MAKERS = frozenset({"brand", "tier"})
_OF_WISH = _PLACES | {"size", "thickness"}
_GLUED = re.compile(r"[\uac00-\ud7a3]*")


def phrases(folded: str, vocabulary: Vocabulary) -> list[str]:
    """Return the phrases of a line: split at commas and sentences, and where a device begins.

    Wishes that stand beside a device (옥외 자립, 전부 LS) are phrases of their own.
    """
    tokens = tokenize(folded, vocabulary)
    found: list[str] = []
    for start, end in _segments(folded, tokens):
        inside = [token for token in tokens if start <= token.start < end]
        runs = list(_runs(folded, inside, end, tokens))
        edges = [start, *(edge for run in runs for edge in run), end]
        for index, (a, b) in enumerate(pairwise(edges)):
            is_run = index % 2 == 1
            part = [token for token in inside if a <= token.start < b]
            cuts = [a, *(() if is_run else _cuts(part)), b]
            found += [folded[c:d].strip() for c, d in pairwise(cuts)]
    return [phrase for phrase in found if phrase.strip(" ./")]


def is_wish_run(phrase: str, vocabulary: Vocabulary) -> bool:
    """Return whether a phrase wishes something of the panel and names no device."""
    fields = parse_spec(phrase, vocabulary)
    kinds = {token.kind for token in tokenize(phrase, vocabulary)}
    wishes = Wishes.of(fields).said or fields.other_material is not None
    return wishes and bool(kinds & (_PLACES | _MAKERS)) and not kinds & _NOT_OF_WISH


_NOT_OF_WISH = ITEM_KINDS | {"role", "breaker", "category", "code", "panels", "other_device"}


def _segments(folded: str, tokens: Sequence[Token]) -> list[tuple[int, int]]:
    """Return (start, end) of the stretches between commas, sentences and joining words."""
    joiners = trade_words()["labels"]["joiners"]
    covered: dict[int, str] = {}
    for token in tokens:
        covered.update(dict.fromkeys(range(token.start, token.end), token.kind))
    closed = _asides(folded, tokens)
    cuts = [(0, 0)]
    for index, char in enumerate(folded):
        if index in covered or index in closed:
            continue
        if char in _BREAKS or _ends_sentence(folded, index, covered):
            cuts.append((index, index + 1))
        cuts += [
            (index, index + len(word))
            for word in joiners
            if index and folded.startswith(f" {word} ", index - 1)
        ]
    cuts.append((len(folded), len(folded)))
    return [(a[1], b[0]) for a, b in pairwise(cuts)]


def _asides(folded: str, tokens: Sequence[Token]) -> set[int]:
    """Return the places inside plain brackets that rate no device: they belong to one phrase."""
    inside: set[int] = set()
    for match in re.finditer(r"\([^()]*\)", folded):
        kinds = {token.kind for token in tokens if match.start() < token.start < match.end()}
        if not kinds & _SPECS:
            inside.update(range(match.start(), match.end()))
    return inside


def _ends_sentence(folded: str, index: int, covered: dict[int, str]) -> bool:
    """Return whether a full stop ends a sentence here, or a slash stands between two spaces."""
    before, after = folded[:index], folded[index + 1 :]
    if folded[index] == "/":
        return before.endswith(" ") and after.startswith(" ")
    known = covered.get(index - 1, "code") not in {"code", "bare"}
    ends = known or _is_hangul(before[-1:])
    return folded[index] == "." and ends and (after[:1] in {"", " "} or _is_hangul(after[0]))


def _is_hangul(char: str) -> bool:
    return "\uac00" <= char <= "\ud7a3"


# ---------------------------------------------------------------- wishes beside devices


def _runs(
    folded: str, inside: Sequence[Token], end: int, line: Sequence[Token]
) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of the wishes in a segment that names a device as well."""
    if not any(token.kind in ITEM_KINDS for token in inside):
        return
    index = 0
    while index < len(inside):
        size = _places(folded, inside[index:], end)
        start = inside[index].start
        if not size and inside[index].kind in _MAKERS:
            start, size = _maker(folded, inside, index, line)
        if not size:
            index += 1
            continue
        index += size
        yield start, _run_end(folded, inside[index - 1], inside[index:], end)


def _places(folded: str, tokens: Sequence[Token], end: int) -> int:
    """Return how many tokens from here on are one wish for the enclosure; 0: none.

    One word alone may be part of a circuit's name (옥외 가로등, 매입 콘센트).
    """
    run: list[Token] = []
    for token in tokens:
        if token.kind not in _OF_WISH or (run and not _joined(folded[run[-1].end : token.start])):
            break
        run.append(token)
    kinds = {token.kind for token in run}
    if not kinds & _PLACES:
        return 0
    if len(run) > 1:
        return len(run)
    if kinds == {"enclosure"}:
        return 0
    following = tokens[1].start if len(tokens) > 1 else end
    after = folded[run[0].end : following].strip(" .")
    ends = after.startswith((*trade_words()["labels"]["after_location"], *_adverbs()))
    return int(ends or (not after and "location" not in kinds))


def _joined(gap: str) -> bool:
    """Return whether nothing but separators and particles stands between two words."""
    particles = trade_words()["labels"]["particles"]
    return all(word in particles or word == "형" for word in gap.replace("/", " ").split())


def _maker(
    folded: str, inside: Sequence[Token], index: int, line: Sequence[Token]
) -> tuple[int, int]:
    """Return (start, tokens) of a brand or tier for the panel: 전부 LS, or LS로 at the end."""
    token = inside[index]
    words = trade_words()["labels"]
    before = folded[: token.start].rstrip()
    after = _with_brand().sub("", folded[token.end :], count=1).lstrip()
    for word in words["all_of_it"]:
        if before.endswith(word):
            return len(before) - len(word), 1
        if after.startswith(word):
            return token.start, 1
    said = folded[token.end :].lstrip()
    by_brand = said.startswith(_adverbs())
    devices = sum(other.kind in _POLES | {"model"} for other in line if other.start < token.start)
    is_last = not any(other.kind in ITEM_KINDS for other in line if other.start > token.start)
    counted = any(other.kind in COUNTS for other in inside[:index])
    return token.start, int(by_brand and counted and is_last and devices > 1)


def _adverbs() -> tuple[str, ...]:
    """Return the endings that make a word the manner of what is asked for (LS로, 제품으로)."""
    return tuple(trade_words()["labels"]["adverbs"])


@cache
def _with_brand() -> re.Pattern[str]:
    return re.compile(f" ?(?:{'|'.join(trade_words()['labels']['with_brand'])})")


def _run_end(folded: str, last: Token, following: Sequence[Token], end: int) -> int:
    """Return where a wish ends: with the segment, or before the next device and its name."""
    if not any(token.kind in ITEM_KINDS | _OPENERS for token in following):
        return end
    position = last.end
    if last.kind in _MAKERS:
        for pattern in (_with_brand(), _all_of_it()):
            match = pattern.match(folded, position)
            position = match.end() if match else position
    glued = _GLUED.match(folded, position)
    return min(glued.end() if glued else position, following[0].start)


@cache
def _all_of_it() -> re.Pattern[str]:
    return re.compile(f" ?(?:{'|'.join(trade_words()['labels']['all_of_it'])})")


# ---------------------------------------------------------------- devices


def _cuts(tokens: Sequence[Token]) -> list[int]:
    """Return where further devices begin in a segment.

    Where the poles stand first, each poles token begins one; otherwise a kind, a role or another
    device does, once the open one has its poles or its rating.
    """
    said = [token for token in tokens if token.kind in _SPECS | _OPENERS | COUNTS]
    poles_first = bool(said) and said[0].kind in _POLES
    cuts: list[int] = []
    seen: set[str] = set()
    for index, token in enumerate(said):
        specified = bool(seen & _SPECS or (seen & COUNTS and seen & _OPENERS))
        begins = token.kind in _POLES and bool(seen & _POLES)
        if token.kind in _NEW_DEVICES and specified:
            begins = not _is_beside(said[index:])
        elif token.kind in _OPENERS and specified and not poles_first:
            begins = begins or _opens(said[index:], counted=bool(seen & COUNTS))
        if begins:
            cuts.append(token.start)
            seen = set()
        seen.add(token.kind)
    return cuts


def _is_beside(following: Sequence[Token]) -> bool:
    """Return whether a device without a count of its own goes with the one before it."""
    counted = len(following) > 1 and following[1].kind in COUNTS
    return following[0].word in trade_words()["companions"]["concepts"] and not counted


def _opens(following: Sequence[Token], *, counted: bool) -> bool:
    """Return whether a kind or role belongs to what follows, not to the device before it."""
    for token in following[1:] if following[0].kind != "model" else following:
        if token.kind in _SPECS:
            return True
        if token.kind in COUNTS:
            return counted
    return False
