"""What the commands share: the reader's language, files of the caller, problems and JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from kis_estimator.errors import KisError, Locale, Notice
from kis_estimator.evidence.canonical import pretty
from kis_estimator.settings import reader_locale

FAILED, WRONG, UNAVAILABLE = 1, 2, 3
_UNAVAILABLE_CODES = frozenset(
    {
        "DATABASE_BEHIND",
        "DATABASE_LOCKED",
        "DATABASE_REFUSED",
        "DATABASE_UNAVAILABLE",
        "POSTGRES_START",
        "POSTGRES_VERSION",
        "SERVE_GAVE_UP",
        "SNAPSHOT_DUMP",
        "STORAGE_UNAVAILABLE",
    }
)

AsJson = Annotated[bool, typer.Option("--json", help="JSON만 출력 / print the JSON alone")]


def terminal_locale() -> Locale:
    """Return the reader's language, also where another setting is wrong."""
    return reader_locale(os.environ)


@contextmanager
def problems_end_it(locale: Locale) -> Iterator[None]:
    """Print every notice of an error with its place and remedy, then end the command.

    With 3 where a dependency is unavailable, else with 2.
    """
    try:
        yield
    except KisError as error:
        from kis_estimator.terminal.console import print_problems

        print_problems(error.notices, locale)
        missing = any(notice.code in _UNAVAILABLE_CODES for notice in error.notices)
        raise typer.Exit(UNAVAILABLE if missing else WRONG) from None


def read_file(path: Path, what: str, limit: int) -> bytes:
    """Return the bytes of a file of the caller. Raises FILE_UNREADABLE or FILE_TOO_LARGE."""
    try:
        with path.open("rb") as file:
            return read_whole(file, str(path), limit)
    except OSError as error:
        raise KisError.of(
            "FILE_UNREADABLE", what=what, path=str(path), reason=error.strerror
        ) from error


def read_whole(file: IO[bytes], name: str, limit: int) -> bytes:
    """Return what an open file holds, at most `limit` bytes. Raises FILE_TOO_LARGE."""
    data = file.read(limit + 1)
    if len(data) > limit:
        raise KisError(Notice("FILE_TOO_LARGE", {"limit": f"{limit / 2**20:g}"}, text=name))
    return data


def print_json(value: dict[str, Any]) -> None:
    r"""Print JSON alone on standard output, with what is not printable as `\u` escapes."""
    lines = pretty(value).decode().split("\n")
    printable = (line if line.isprintable() else _escaped(line) for line in lines)
    sys.stdout.buffer.write("\n".join(printable).encode())
    sys.stdout.flush()


def _escaped(line: str) -> str:
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)
