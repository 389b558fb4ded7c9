"""Amounts in Hangul, the way a Korean quotation writes them: every digit is spelled out."""

from __future__ import annotations

_DIGITS = "영일이삼사오육칠팔구"
_PLACES = ("", "십", "백", "천")
_MYRIADS = ("", "만", "억", "조", "경")
_BASE = 10_000
_LIMIT = _BASE ** len(_MYRIADS)


def amount_in_hangul(n: int) -> str:
    """Spell a whole amount, 0 <= n < 10^20; a leading one is written (일만, never 만).

    >>> amount_in_hangul(12_345_000), amount_in_hangul(10_010), amount_in_hangul(0)
    ('일천이백삼십사만오천', '일만일십', '영')
    """
    if not 0 <= n < _LIMIT:
        message = f"amount out of range: {n}"
        raise ValueError(message)
    words = ""
    rest = n
    for myriad in _MYRIADS:
        rest, group = divmod(rest, _BASE)
        if group:
            words = _spell_group(group) + myriad + words
    return words or _DIGITS[0]


def _spell_group(group: int) -> str:
    return "".join(
        _DIGITS[int(digit)] + place
        for digit, place in zip(f"{group:04d}", reversed(_PLACES), strict=True)
        if digit != "0"
    )
