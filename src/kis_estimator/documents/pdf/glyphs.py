"""Which characters can be printed; for the others a box is printed, and they are reported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Final
from unicodedata import category

from fontTools.ttLib import TTFont

BOX: Final = "□"
FONTS: Final = Path(__file__).parents[1] / "fonts"
_PRIVATE_USE = "Co"  # in the fonts, but PDF/A-2a refuses it
_MARKS = frozenset({"Mn", "Mc", "Me", "Cf"})
_JOINERS = (0x200C, 0x200D)
_VARIATIONS = (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
_UNSEEN = frozenset(map(chr, (*_JOINERS, *_VARIATIONS)))


def printable(texts: Sequence[str], *, drawn: bool = False) -> tuple[list[str], set[str]]:
    """Put a box for every character that cannot be printed; return these as well.

    In a drawing a combining mark is one of them: typst cannot tell its letter to a PDF/A reader.
    What only shapes its neighbours (joiners, variation selectors) is left out instead.

    >>> printable(["분전반 ⚡1"])
    (['분전반 □1'], {'⚡'})
    """
    known = _drawable() if drawn else _settable()
    unknown = set().union(*texts).difference(known, "\n")
    if not unknown:
        return list(texts), set()
    table = str.maketrans({char: "" if char in _UNSEEN else BOX for char in unknown})
    return [text.translate(table) for text in texts], unknown - _UNSEEN


@cache
def _settable() -> frozenset[str]:
    """Return the characters that every weight of the font has."""
    return frozenset.intersection(*map(_characters, sorted(FONTS.glob("*.otf"))))


@cache
def _drawable() -> frozenset[str]:
    return frozenset(char for char in _settable() if category(char) not in _MARKS)


def _characters(path: Path) -> frozenset[str]:
    with TTFont(path, lazy=True) as font:
        code_points: Iterable[int] = font["cmap"].getBestCmap()
        return frozenset(char for char in map(chr, code_points) if category(char) != _PRIVATE_USE)
