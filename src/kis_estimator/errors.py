"""Error and notice texts: one table (`data/messages.toml`), filled in the reader's locale.

A code names the cause, the hint says the remedy, and Korean particles follow the word they are
attached to, so that «80A은(는)» never reaches a customer.
"""

from __future__ import annotations

import string
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Locale = Literal["ko-KR", "en-US"]

_PARTICLES = {
    "은는": ("은", "는"),
    "이가": ("이", "가"),
    "을를": ("을", "를"),
    "과와": ("과", "와"),
}
_FINAL_CONSONANT_ENDINGS = frozenset("013678LMNRlmnr")
_HANGUL_FIRST, _HANGUL_LAST, _FINALS = 0xAC00, 0xD7A3, 28
_RIEUL = 8
_RIEUL_ENDINGS = frozenset("178LRlr")


def _final(word: str) -> tuple[bool, bool]:
    """Return (ends in a final consonant, that consonant is ㄹ) of the last spoken character."""
    spoken = [c for c in word if c.isalnum()]
    if not spoken:
        return False, False
    last = spoken[-1]
    if _HANGUL_FIRST <= ord(last) <= _HANGUL_LAST:
        final = (ord(last) - _HANGUL_FIRST) % _FINALS
        return final != 0, final == _RIEUL
    return last in _FINAL_CONSONANT_ENDINGS, last in _RIEUL_ENDINGS


class _KoreanFormatter(string.Formatter):
    """`str.format` with particles: `{name:을를}`, `{name:으로}`; a list joins with a comma.

    >>> _KoreanFormatter().format("{x:은는} {y:으로}", x="단자대", y="부스바")
    '단자대는 부스바로'
    >>> _KoreanFormatter().format("{x:을를} {y:,}원", x="외함", y=12000)
    '외함을 12,000원'
    """

    def format_field(self, value: Any, format_spec: str) -> str:  # noqa: ANN401 - str.format's own signature
        if isinstance(value, Sequence) and not isinstance(value, str):
            value = ", ".join(self.format_field(item, "") for item in value)
        if isinstance(value, Decimal) and not format_spec:
            value = f"{value:f}"
        if format_spec == "으로":
            closed, rieul = _final(str(value))
            return f"{value}{'으로' if closed and not rieul else '로'}"
        if format_spec in _PARTICLES:
            return f"{value}{_PARTICLES[format_spec][0 if _final(str(value))[0] else 1]}"
        return str(super().format_field(value, format_spec))


def fill(template: str, params: Mapping[str, object]) -> str:
    """Fill a trusted template; the parameters are data and are never interpreted.

    >>> fill("{a:이가} 없습니다", {"a": "{b}"})
    '{b}가 없습니다'
    """
    return _KoreanFormatter().vformat(template, (), params)


@cache
def message_table() -> Mapping[str, Mapping[str, str]]:
    """Return code -> {ko, en, hint_ko?, hint_en?} of every error and notice outside the engine."""
    text = files("kis_estimator").joinpath("data/messages.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def say(code: str, locale: Locale, **params: object) -> str:
    """Return a text of the table in the reader's language, filled in."""
    return fill(message_table()[code][_language(locale)], params)


def shown(text: str) -> str:
    r"""Return text that a terminal can print: what is not printable is spelled out.

    That is every control character, C1 and bidirectional ones too, and every space but the plain.

    >>> shown("a\x1b[31m한\u009b\u202e")
    'a\\x1b[31m한\\x9b\\u202e'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell the user: an error, a warning or a skip, with its place in the input.

    `row` is the 1-based sheet row or physical line; `text` is what stood there.
    """

    code: str
    params: Mapping[str, object] = field(default_factory=dict)
    sheet: str | None = None
    row: int | None = None
    text: str | None = None

    def message(self, locale: Locale = "ko-KR") -> str:
        """Return the cause in the reader's language."""
        return say(self.code, locale, **self.params)

    def hint(self, locale: Locale = "ko-KR") -> str | None:
        """Return the remedy in the reader's language, where the table has one."""
        template = message_table()[self.code].get(f"hint_{_language(locale)}")
        return None if template is None else fill(template, self.params)

    def explained(self, locale: Locale = "ko-KR") -> str:
        """Return cause and remedy in one text."""
        return ". ".join(filter(None, (self.message(locale), self.hint(locale))))


class KisError(Exception):
    """The input or the call is wrong: one or more notices, each with cause, place and remedy."""

    def __init__(self, *notices: Notice) -> None:
        super().__init__(", ".join(notice.code for notice in notices))
        self.notices = notices

    def __reduce__(self) -> tuple[type[KisError], tuple[Notice, ...]]:
        """Travel between processes with the notices, not with the text of their codes."""
        return type(self), self.notices

    @classmethod
    def of(cls, code: str, **params: object) -> KisError:
        """Return the error of one code with its parameters."""
        return cls(Notice(code, params))


def _language(locale: Locale) -> str:
    return "en" if locale == "en-US" else "ko"
