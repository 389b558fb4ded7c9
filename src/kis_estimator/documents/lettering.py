"""Text as it is lettered on paper: hygiene, estimated widths, shortening and fitting."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache

ELLIPSIS = "…"
LINE_HEIGHT = 1.22
BOLD = 1.06
_JOINERS = "\u200c\u200d"
_NONCHARACTERS = frozenset({0xFFFE, 0xFFFF})
_MORE_NONCHARACTERS = frozenset(map(chr, range(0xFDD0, 0xFDF0)))
_WIDTHS = (
    (frozenset("iljI.,:;|'!()[] ·"), 0.34),
    (frozenset('ftr-/"*'), 0.42),
    (frozenset("mwMW@%"), 0.92),
    (frozenset("0123456789"), 0.57),
    (frozenset("abcdeghknopqsuvxyz"), 0.58),
)
_UPPER, _WIDE = 0.68, 1.0


def clean(text: str) -> str:
    r"""Return printable text on one line: NFC, no control, bidi or invalid character.

    >>> clean(" a\x00\tb\u202e\n c ")
    'a b c'
    """
    kept = "".join(map(_kept, text))
    return " ".join(unicodedata.normalize("NFC", kept).split())


def _kept(char: str) -> str:
    if char.isspace():
        return " "
    category = unicodedata.category(char)
    if category == "Cs":
        return "\ufffd"
    dropped = (
        category == "Cc"
        or (category == "Cf" and char not in _JOINERS)
        or ord(char) & 0xFFFF in _NONCHARACTERS
        or char in _MORE_NONCHARACTERS
    )
    return "" if dropped else char


@cache
def _char_width(char: str) -> float:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0.0
    for group, width in _WIDTHS:
        if char in group:
            return width
    return _WIDE if unicodedata.east_asian_width(char) in "WFA" else _UPPER


def text_width(text: str, size: float = 1.0, *, bold: bool = False) -> float:
    """Estimate the width of a line at a font size (same unit); Hangul is full width.

    >>> round(text_width("분전반 12", 2.0), 2)
    8.96
    """
    return sum(map(_char_width, text)) * size * (BOLD if bold else 1.0)


def shorten(text: str, room: float, size: float = 1.0, *, bold: bool = False) -> str:
    """Cut a line to the room it has, with an ellipsis.

    >>> shorten("지하주차장 전등", 6.0), shorten("전등", 6.0)
    ('지하주차장…', '전등')
    """
    if text_width(text, size, bold=bold) <= room:
        return text
    room -= text_width(ELLIPSIS, size, bold=bold)
    end, used = 0, 0.0
    for char in text:
        used += text_width(char, size, bold=bold)
        if used > room:
            break
        end += 1
    return text[:end].rstrip() + ELLIPSIS


def fitting_size(
    lines: Sequence[str], width: float, height: float, largest: float, *, bold: bool = False
) -> float:
    """Return the font size, at most `largest`, at which the lines fit a box.

    >>> round(fitting_size(["MAIN", "4P"], 10.0, 6.0, 3.0), 2)
    2.46
    """
    widest = max(text_width(line, bold=bold) for line in lines)
    by_width = width / widest if widest else largest
    return min(largest, by_width, height / (len(lines) * LINE_HEIGHT))
