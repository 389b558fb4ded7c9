"""The words of the documents: one table (`data/document_texts.toml`) in Korean and English."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.resources import files

from kis_estimator.errors import Locale, fill

Texts = Mapping[str, str]


@cache
def texts(locale: Locale) -> Texts:
    """Return label -> text in the reader's language."""
    source = files("kis_estimator").joinpath("data/document_texts.toml")
    table = tomllib.loads(source.read_text(encoding="utf-8"))
    language = "en" if locale == "en-US" else "ko"
    return {key: entry[language] for key, entry in table.items()}


def say(words: Texts, key: str, /, **params: object) -> str:
    """Return one label with its parameters filled in."""
    return fill(words[key], params)


def date_text(words: Texts, day: date) -> str:
    """Write a date in the reader's language, whatever the machine's locale.

    >>> date_text(texts("ko-KR"), date(2025, 3, 5)), date_text(texts("en-US"), date(2025, 3, 5))
    ('2025년 3월 5일', '2025-03-05')
    """
    return say(words, "date_text", year=day.year, month=day.month, day=day.day)
