"""What the commands share: the environment, files of the caller, problems and JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from kis_estimator.errors import KisError, Locale
from kis_estimator.evidence.canonical import pretty
from kis_estimator.settings import Settings, read_settings, reader_locale

FAILED, WRONG = 1, 2

AsJson = Annotated[bool, typer.Option("--json", help="JSON만 출력 / print the JSON alone")]


@cache
def settings() -> Settings:
    """Return what the environment says, read once."""
    return read_settings(os.environ)


def terminal_locale() -> Locale:
    """Return the reader's language, also where another setting is wrong."""
    return reader_locale(os.environ)


@contextmanager
def problems_end_with_2(locale: Locale) -> Iterator[None]:
    """Print every notice of an error with its place and remedy, then end with 2."""
    try:
        yield
    except KisError as error:
        from kis_estimator import terminal

        terminal.print_problems(error.notices, locale)
        raise typer.Exit(WRONG) from None


def read_file(path: Path, what: str, limit: int) -> bytes:
    """Return up to one byte more than `limit` of a file. Raises FILE_UNREADABLE."""
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise KisError.of(
            "FILE_UNREADABLE", what=what, path=str(path), reason=error.strerror
        ) from error


def print_json(value: dict[str, Any]) -> None:
    """Print JSON alone on standard output."""
    sys.stdout.buffer.write(pretty(value))
    sys.stdout.flush()
