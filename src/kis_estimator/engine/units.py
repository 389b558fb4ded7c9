"""Exact arithmetic helpers, and how figures and their names are written in JSON.

Lengths are integer mm, money integer won, the rest Decimal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal


def half_up(value: Decimal | int, step: Decimal | int = 1) -> Decimal:
    """Round to the nearest multiple of `step`, halves away from zero (사사오입).

    >>> half_up(Decimal("2.5")), half_up(Decimal("114972"), 1000)
    (Decimal('3'), Decimal('115000'))
    >>> half_up(Decimal("3.785"), Decimal("0.01"))
    Decimal('3.79')
    """
    return (Decimal(value) / step).quantize(Decimal(1), rounding=ROUND_HALF_UP) * step


def won(value: Decimal | int) -> int:
    """Round half-up to 1 won.

    >>> won(Decimal("42666.5"))
    42667
    """
    return int(half_up(value))


def ceil_to(value: int, step: int) -> int:
    """Round an integer length up to a multiple of `step`.

    >>> ceil_to(601, 100), ceil_to(600, 100)
    (700, 600)
    """
    return -(-value // step) * step


def started(excess: int, step: int) -> int:
    """Count the started steps in an excess; nothing below zero counts.

    >>> started(1, 100), started(200, 100), started(-50, 100)
    (1, 2, 0)
    """
    return max(0, -(-excess // step))


def neighbours(value: Decimal | int, known: Iterable[int]) -> list[int]:
    """Return the known values next below and next above `value`.

    >>> neighbours(80, (60, 75, 100)), neighbours(10, {20, 15})
    ([75, 100], [15])
    """
    ordered = sorted(known)
    below = [number for number in ordered if number < value]
    above = [number for number in ordered if number > value]
    return [*below[-1:], *above[:1]]


def json_number(value: Decimal) -> int | float | str:
    """Return a figure as JSON writes it: an int where it is whole, else the float it prints as.

    One that no float can hold stays text.

    >>> json_number(Decimal("2.0")), json_number(Decimal("3.80"))
    (2, 3.8)
    """
    if value == value.to_integral_value():
        return int(value)
    return float(value) if math.isfinite(float(value)) else f"{value:f}"


def camel(name: str) -> str:
    """Return a field's name as JSON writes it.

    >>> camel("rated_current_a")
    'ratedCurrentA'
    """
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
