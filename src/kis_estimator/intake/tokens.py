"""The token table: every way a schedule writes poles, currents, frames, voltages, models and words.

Patterns are tried in the order of the table and the first match wins; nothing else in the package
reads numbers out of text. The words themselves stand in `data/vocabulary.toml`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache

from kis_estimator.intake.vocabulary import Vocabulary, model_key, trade_words

_FLAGS = re.IGNORECASE | re.ASCII
_INT = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]{1,6})"
_NUM = rf"(?:{_INT}(?:\.[0-9]{{1,6}})?)"
_END = r"(?![A-WYZ0-9])(?!x(?! ?[0-9]))"  # a unit may be followed by x3, never by another letter
_UNIT_END = r"(?![A-WYZ])(?!x(?! ?[0-9]))"  # as _END, but the next figure may be glued to it
_HANGUL = "(?-i:[가-힣])"  # folding the case of 11,172 syllables takes re 80 ms
_FOLDS = str.maketrans(
    dict.fromkeys("‐‑‒–—―−", "-") | dict.fromkeys("∕⁄", "/") | dict.fromkeys("×✕✖", "x")
)
_DIGIT_MAY_FOLLOW = frozenset({"category", "role", "unsupported", "breaker"})
_NOT_BEFORE_FOR = frozenset({"accessory", "other_device", "foreign", "spare"})
_SAME_KIND = {"times": "quantity", "section": "size"}
_TIERED_LETTERS = 3  # S{B|E}{E|S|C}, {A|E}B{N|S}: the third letter is the tier


@dataclass(frozen=True, slots=True)
class Token:
    """One thing that the text says; `start` and `end` are its place in the folded text.

    `word` is its meaning (a value of the vocabulary, a model), `number` and `second` its figures.
    """

    kind: str
    text: str
    start: int
    end: int
    word: str = ""
    number: Decimal | None = None
    second: Decimal | None = None


@lru_cache(maxsize=1024)
def fold(text: str) -> str:
    """Return text as the grammar compares it: NFKC, single spaces, one kind of dash and cross.

    >>> fold("ＭＣＣＢ　３Ｐ  １００Ａ")
    'MCCB 3P 100A'
    """
    text = unicodedata.normalize("NFKC", text).translate(_FOLDS)
    visible = (c for c in text if c.isspace() or not unicodedata.category(c).startswith("C"))
    return " ".join("".join(visible).split())


@cache
def _units(name: str) -> str:
    return "(?:" + "|".join(re.escape(word) for word in trade_words()["units"][name]) + ")"


def _number_patterns() -> list[tuple[str, str]]:
    """Return (token kind, pattern); groups `kind_1`, `kind_2` hold the figures."""
    count, wires, panels = _units("count"), _units("wires"), _units("panels")
    poles, phases = _units("poles"), _units("phase")
    month, volt = r"(?:0?[1-9]|1[0-2])", r"k?V"
    day = r"(?: ?[/.-] ?[0-9]{1,2})?"
    side = rf"(?:[WHD] ?)?{_NUM}(?: ?[WHD])?"
    three_wire = rf"P ?[234] ?{wires}(?![A-Z])"
    phase_wire = rf"{phases}(?![A-Z])(?: ?[234] ?{wires}(?![A-Z]))?"
    to_volts = rf"(?: ?{volt})?(?: ?[/~-] ?(?P<volts_2>{_NUM}))? ?{volt}"
    second = rf"(?P<marked_pair_2>{_INT})(?: ?AT?)?{_END}(?!\.[0-9])"
    unit_second = rf"(?P<marked_pair_3>{_INT}) ?/ ?(?P<marked_pair_4>{_INT}) ?AT?{_END}"
    after_frame = r"(?![0-9])(?! ?A(?!T ?[:=]? ?[0-9]))"  # AF50 AT20, but 100 AF 75AT
    after_trip = r"(?![0-9])(?! ?A(?!F ?[:=]? ?[0-9]))"
    trip_first = rf"AT ?[:=]? ?(?P<trip_2>{_INT})(?:A(?![A-Z]))?{after_trip}"
    for_what = trade_words()["for_suffix"]
    about, roughly = _units("about"), _units("roughly")
    return [
        ("date", rf"(?:19|20)[0-9]{{2}} ?[/.-] ?{month}{day}(?![0-9])(?! ?[AKVm])"),
        ("ip", r"IP ?-?(?P<ip_1>[0-6][0-9])(?![0-9])"),
        ("phase", rf"(?P<phase_1>[13]) ?(?:{three_wire}|{phase_wire})"),
        ("volts", rf"(?:(?:AC|DC) ?)?(?P<volts_1>{_NUM}){to_volts}(?:AC|DC)?(?![A-Z0-9])"),
        ("power", rf"{_NUM} ?(?:[KM]?(?:VAR|VA|WH|W)|{_units('power')})(?![A-Z])"),
        ("leakage", rf"{_one_or_two('leakage')} ?mA(?![A-Z])"),
        ("capacity", rf"{_one_or_two('capacity')} ?kA(?:IC)?(?![A-Z])"),
        ("time", rf"{_NUM} ?{_units('seconds')}(?![A-Z])"),
        ("type", r"(?:TYPE|CLASS) ?-?(?P<type_1>[123])(?![0-9])"),
        ("size", rf"{side} ?x ?{side}(?: ?x ?{side})?(?: ?mm)?(?![A-Z0-9])"),
        ("thickness", rf"(?P<thickness_1>{_NUM}) ?T(?![A-Z0-9])"),
        ("section", rf"{_NUM} ?(?:SQ|MM2|MM)(?![A-Z0-9])"),
        (
            "contactor",
            rf"MC ?-? ?(?P<contactor_1>[0-9]{{1,3}}) ?A?(?![A-Z0-9])(?! ?{for_what})",
        ),
        ("marked_pair", rf"(?P<marked_pair_1>{_INT}) ?AF? ?/ ?{second}|{unit_second}"),
        ("pair", rf"(?P<pair_1>{_INT}) ?/ ?(?P<pair_2>{_INT}){_END}(?!\.[0-9])"),
        (
            "frame",
            rf"(?P<frame_1>{_INT}) ?AF{_UNIT_END}|AF ?[:=]? ?(?P<frame_2>{_INT}){after_frame}",
        ),
        ("trip", rf"(?P<trip_1>{_INT}) ?AT{_UNIT_END}|{trip_first}"),
        ("amp", rf"(?P<amp_1>{_NUM}) ?{_units('ampere')}{_UNIT_END}"),
        ("neutral_poles", rf"(?P<neutral_poles_1>[0-9]{{1,2}}) ?{poles} ?\+ ?N(?![A-Z])"),
        ("poles", rf"(?P<poles_1>[0-9]{{1,2}}) ?{poles}(?:[0-9]E(?![A-Z]))?(?![A-WYZ])"),
        ("vague", rf"(?<!{_HANGUL}){about} ?{_NUM} ?{count}|{_NUM} ?{count} ?{roughly}"),
        ("panels", rf"(?:x ?)?(?P<panels_1>-?{_NUM}) ?{panels}"),
        ("times", rf"[x*] ?(?P<times_1>{_NUM})(?: ?{count})?(?![A-Z0-9])"),
        ("quantity", rf"(?P<quantity_1>(?:(?<![A-Z0-9])-)?{_NUM}) ?{count}(?![A-Z])"),
        ("quantity_word", rf"{_units('numerals')} ?(?:{count}|{panels})(?![A-Z])"),
    ]


def _one_or_two(kind: str) -> str:
    """Return the pattern of a figure or a pair of them, for one unit."""
    return rf"(?P<{kind}_1>{_NUM})(?: ?/ ?(?P<{kind}_2>{_NUM}))?"


def _word_pattern(word: str, kind: str, *, dotted: bool, whole: bool) -> str:
    """Return the pattern of one word: spaces optional, ASCII never inside a longer word."""
    between = r"\.?" if dotted else ""
    body = " ?".join(between.join(map(re.escape, part)) + between for part in word.split(" "))
    if word[-1].isascii() and word[-1].isalnum():
        body += "(?![A-Z])" if kind in _DIGIT_MAY_FOLLOW else "(?![A-Z0-9])(?!-[0-9])"
    if kind in _NOT_BEFORE_FOR:
        body += rf"(?! ?{trade_words()['for_suffix']})"
    if whole:
        suffixes = "|".join(map(re.escape, trade_words()["whole_suffixes"]))
        before = "" if kind == "mounting" else rf"(?<!{_HANGUL})(?<![A-Z0-9])"
        body = rf"{before}{body}(?:(?!{_HANGUL})|(?={suffixes}))"
    return body


def _word_key(text: str) -> str:
    return text.replace(" ", "").replace(".", "").upper()


@cache
def _words() -> tuple[str, dict[str, tuple[str, str]]]:
    """Return the alternation of all words, longest first, and word key -> (kind, meaning)."""
    patterns: list[tuple[int, str]] = []
    meaning: dict[str, tuple[str, str]] = {}
    for group in trade_words()["words"]:
        dotted, whole = group.get("dotted", False), group.get("whole", False)
        for word in group["words"]:
            pattern = _word_pattern(word, group["kind"], dotted=dotted, whole=whole)
            patterns.append((-len(word), pattern))
            meaning[_word_key(word)] = (group["kind"], group["value"])
    return "|".join(pattern for _, pattern in sorted(patterns)), meaning


def _catalogue_patterns(vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """Return patterns of the catalogue's models, and of what has their shape but is not one."""
    known: list[str] = []
    families: set[str] = set()
    for key in sorted(vocabulary.models, key=lambda key: (-len(key), key)):
        known.append("[- ]?".join(re.split(r"(?<=[A-Z])(?=[0-9])", key)) + "C?")
        letters = re.match(r"[A-Z]{2,}", key)
        if letters and len(letters[0]) == _TIERED_LETTERS:
            families.add(letters[0][:2] + "[A-Z]")
        elif letters:
            families.add(letters[0])
    shapes = "|".join(sorted(families)) or "(?!)"
    return [
        ("model", f"(?:{'|'.join(known) or '(?!)'})(?![A-Z0-9])"),
        ("unknown_model", rf"(?:{shapes}) ?-?[0-9]{{2,4}}[A-Z]{{0,3}}(?![A-Z0-9])"),
    ]


@lru_cache(maxsize=8)
def _scanner(vocabulary: Vocabulary) -> re.Pattern[str]:
    listed = "|".join(
        _word_pattern(word, "brand", dotted=False, whole=True)
        for word in sorted(vocabulary.brands | vocabulary.tiers)
    )
    table = [
        *_catalogue_patterns(vocabulary),
        *_number_patterns(),
        ("word", _words()[0]),
        ("listed", listed or "(?!)"),
        ("code", r"[A-Z][A-Z0-9]*(?:-(?![1-4]P(?![A-Z]))[A-Z0-9]+)*"),
        ("bare", _NUM),
    ]
    return re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in table), _FLAGS)


def _figures(match: re.Match[str], kind: str) -> list[Decimal]:
    names = (f"{kind}_{index}" for index in range(1, 5))
    texts = (match[name] for name in names if name in match.re.groupindex)
    return [Decimal(text.replace(",", "")) for text in texts if text]


def _token(match: re.Match[str], vocabulary: Vocabulary) -> Token:
    kind, text = str(match.lastgroup), match[0]
    word, figures = text, _figures(match, kind)
    if kind == "word":
        kind, word = _words()[1][_word_key(text)]
    elif kind == "listed":
        kind = "brand" if text.upper() in vocabulary.brands else "tier"
        word = text.upper() if kind == "brand" else text.lower()
    elif kind == "model":
        facts = vocabulary.model(text) or vocabulary.models[model_key(text)[:-1]]
        word = facts.model
    kind = _SAME_KIND.get(kind, kind)
    number = figures[0] if figures else None
    if kind == "amp" and number != (number or Decimal(0)).to_integral_value():
        kind = "load"
    if kind == "phase" and number is None:
        number = Decimal(word)
    second = figures[1] if len(figures) > 1 else None
    return Token(kind, text, match.start(), match.end(), word, number, second)


@lru_cache(maxsize=1024)
def tokenize(folded: str, vocabulary: Vocabulary) -> tuple[Token, ...]:
    """Return what an already folded text says, in order; unknown words are `code` tokens."""
    scanner, position = _scanner(vocabulary), 0
    tokens: list[Token] = []
    while position < len(folded):
        if folded[position] == " ":
            position += 1
            continue
        match = scanner.match(folded, position)
        if match is None or match.end() == position:
            position += 1
        else:
            tokens.append(_token(match, vocabulary))
            position = match.end()
    return tuple(tokens)


_RANGE = re.compile(r"([0-9]+) ?[~-] ?([0-9]+)")


def range_in(name: str) -> tuple[int, int] | None:
    """Return the first range of numbers in a catalogue name.

    >>> range_in("MC-9~22"), range_in("MC")
    ((9, 22), None)
    """
    match = _RANGE.search(fold(name))
    return (int(match[1]), int(match[2])) if match else None


@cache
def _ordinal() -> re.Pattern[str]:
    letters = "".join(trade_words()["labels"]["ordinals"])
    return re.compile(rf"(?:\(?[0-9]{{1,3}}[.)]|[{letters}][.)])(?![0-9]) *", _FLAGS)


def without_ordinal(title: str) -> str:
    """Return a folded title without its leading ordinal.

    >>> without_ordinal("1. P-2"), without_ordinal("3) L-1"), without_ordinal("LP-1")
    ('P-2', 'L-1', 'LP-1')
    """
    match = _ordinal().match(title)
    return title[match.end() :] if match and match.end() < len(title) else title


_MONEY = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


def number_in(text: str) -> Decimal | None:
    """Return a cell that is one plain number, with thousands commas or a currency mark.

    >>> number_in("12,000"), number_in("2 3"), number_in("about 5")
    (Decimal('12000'), None, None)
    """
    folded = fold(text).replace(",", "")
    for mark in trade_words()["units"]["currency"]:
        folded = folded.removesuffix(mark).removeprefix(mark).strip()
    return Decimal(folded) if _MONEY.fullmatch(folded) else None


_PANEL_CODE = re.compile(
    r"(?<![A-Z0-9])[A-Z]{1,4}-[A-Z0-9]{1,6}(?![0-9])|(?<![A-Z])(?:[LPM]P|LV|MCC|UP)[0-9]", _FLAGS
)


def panel_code(folded: str) -> str | None:
    """Return the panel's code that a title holds.

    >>> panel_code("LP-1 (3F)"), panel_code("x L-B1"), panel_code("VAT")
    ('LP-1', 'L-B1', None)
    """
    match = _PANEL_CODE.search(folded)
    return match[0].upper() if match else None


_MODEL_LIKE = re.compile(r"([A-Z]{2,4})-?[0-9]{2,4}[A-Z]{0,3}", _FLAGS)


def looks_like_model(word: str) -> bool:
    """Return whether an unknown word has the shape of some maker's model.

    >>> looks_like_model("HGM-103"), looks_like_model("KSC8321"), looks_like_model("P-1")
    (True, False, False)
    """
    match = _MODEL_LIKE.fullmatch(word)
    other = tuple(trade_words()["labels"]["not_models"])
    return match is not None and not match[1].upper().startswith(other)
