"""What a workbook is meant to hold: its formulas with their cached values, and its names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Value = int | float | str | bool | None
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ErrorValue:
    """An error such as #REF! that a formula came to."""

    text: str


Result = Value | ErrorValue


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula without its equals sign; `value` is its cached value, None where unknown."""

    text: str
    value: Value = None


@dataclass(frozen=True, slots=True)
class Contents:
    """Formulas by (sheet, cell), and what names refer to by (sheet or "" for all, name)."""

    formulas: Mapping[Place, Formula]
    names: Mapping[Place, str]


@dataclass(frozen=True, slots=True)
class WrittenWorkbook:
    """A finished file, and the formulas and names that it is meant to hold."""

    data: bytes
    contents: Contents
