import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kis_estimator.documents.hangul import amount_in_hangul

LIMIT = 10**20


def parse(words: str) -> int:
    """Read an amount back, by a method of its own: every digit must carry its unit."""
    total = 0
    for part, myriad in re.findall(r"([영일이삼사오육칠팔구십백천]+)([만억조경]?)", words):
        group = 0
        for digit, place in re.findall(r"([영일이삼사오육칠팔구])([십백천]?)", part):
            group += "영일이삼사오육칠팔구".index(digit) * 10 ** (
                "십백천".find(place) + 1 if place else 0
            )
        total += group * 10_000 ** ("만억조경".find(myriad) + 1 if myriad else 0)
    return total


@given(st.integers(0, LIMIT - 1) | st.integers(0, 10**9))
def test_reads_back(amount: int) -> None:
    assert parse(amount_in_hangul(amount)) == amount


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (0, "영"),
        (1, "일"),
        (10, "일십"),
        (110, "일백일십"),
        (1_000, "일천"),
        (10_000, "일만"),
        (100_000_000, "일억"),
        (12_345_000, "일천이백삼십사만오천"),
        (3_754_300, "삼백칠십오만사천삼백"),
        (1_0000_0001, "일억일"),
        (10**16, "일경"),
        (
            LIMIT - 1,
            "구천구백구십구경구천구백구십구조구천구백구십구억구천구백구십구만구천구백구십구",
        ),
    ],
)
def test_is_written_the_formal_way(amount: int, words: str) -> None:
    assert amount_in_hangul(amount) == words


@pytest.mark.parametrize("amount", [-1, LIMIT])
def test_refuses_what_it_cannot_write(amount: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        amount_in_hangul(amount)
