"""Text as it is lettered on paper: hygiene, estimated widths, shortening and fitting."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from operator import itemgetter

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
_MUCH_SMALLER, _WIDER = 0.75, 1.02


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


def wrapped(
    text: str,
    room: tuple[float, float],
    sizes: tuple[float, float],
    *,
    bold: bool = False,
    most: int = 3,
) -> tuple[list[str], float]:
    """Return the lines and the font size, between the least and the largest, that fill a room.

    One line is kept as long as it is not much smaller; what finds no room at the least is cut.

    >>> wrapped("지하주차장 전등", (30.0, 7.0), (1.5, 3.0))
    (['지하주차장 전등'], 3.0)
    >>> wrapped("지하주차장 전등 및 배기팬", (25.0, 7.0), (1.5, 3.0))[0]
    ['지하주차장', '전등 및 배기팬']
    >>> wrapped("지하주차장 전등", (5.0, 2.0), (1.5, 3.0))
    (['지하…'], 1.5)
    """
    least, largest = min(sizes), max(sizes)
    choices = []
    for count in range(1, most + 1):
        lines = _balanced(text, count)
        choices.append((fitting_size(lines, *room, largest, bold=bold), lines))
        if choices[-1][0] >= largest * _MUCH_SMALLER:
            break
    size, lines = max(choices, key=itemgetter(0))
    if size >= least:
        return lines, size
    count = max(1, min(most, int(room[1] / (least * LINE_HEIGHT))))
    lines = _broken(text, room[0] / (least * (BOLD if bold else 1.0)))
    kept = [*lines[: count - 1], " ".join(lines[count - 1 :])]
    return [shorten(line, room[0], least, bold=bold) for line in kept], least


def _balanced(text: str, count: int) -> list[str]:
    """Break a text into at most so many lines that are about as long as each other."""
    width = text_width(text) / count
    lines = _broken(text, width)
    while len(lines) > count:
        width = width * _WIDER + 0.01
        lines = _broken(text, width)
    return lines


def _broken(text: str, width: float) -> list[str]:
    """Break a text into lines of a width [em], between words where they fit."""
    lines, line = [], ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if text_width(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        line = ""
        for char in word:
            if line and text_width(line + char) > width:
                lines.append(line)
                line = ""
            line += char
    return [*lines, line] if line or not lines else lines
