"""Consoles, tables and lines that obey nothing a customer's file says.

The consoles read no markup, and every text of a file goes through `shown`: styles come as `Text`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kis_estimator.errors import Locale, Notice, say, shown

_PIPE_WIDTH = 10_000


def stdout() -> Console:
    """Return the console of results; in a pipe no line is wrapped."""
    pipe = not sys.stdout.isatty()
    return Console(
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=pipe,
        width=_PIPE_WIDTH if pipe else None,
    )


def stderr() -> Console:
    """Return the console of progress and problems."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def new_table(locale: Locale, *columns: str) -> Table:
    """Return a table without lines; long words are folded, never cut."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(say(f"COLUMN_{column}", locale), overflow="fold")
    return table


def add_row(table: Table, *cells: str | Text) -> None:
    """Add a row; a `Text` is the program's own, with its style."""
    table.add_row(*(cell if isinstance(cell, Text) else shown(cell) for cell in cells))


def print_line(console: Console, text: str, label: str = "", style: str = "") -> None:
    """Print one line, behind a label in its style."""
    start = Text.assemble((label, style), " ") if label else Text()
    console.print(start.append(shown(text)))


def print_said(code: str, locale: Locale, *, style: str = "", **params: object) -> None:
    """Print a text of the message table on standard output."""
    safe = {key: shown(value) if isinstance(value, str) else value for key, value in params.items()}
    stdout().print(say(code, locale, **safe), style=style)


def print_problems(notices: Iterable[Notice], locale: Locale) -> None:
    """Print errors with tab, row, cause and remedy on standard error."""
    print_notices(stderr(), notices, locale, "LABEL_error", "bold red")


def print_notices(
    console: Console, notices: Iterable[Notice], locale: Locale, label: str, style: str
) -> None:
    """Print notices with tab, row, cause and remedy."""
    for notice in notices:
        print_line(console, placed(notice, locale), say(label, locale), style)
        hint = notice.hint(locale)
        if hint:
            print_line(console, f"  → {hint}")


def placed(notice: Notice, locale: Locale) -> str:
    """Return place, cause and what stood there, on one line."""
    place = ""
    if notice.sheet is not None:
        place = f"[{notice.sheet}] "
    if notice.row is not None:
        place += say("LABEL_row", locale, row=notice.row) + " "
    text = f"  «{notice.text}»" if notice.text else ""
    return f"{place}{notice.message(locale)} ({notice.code}){text}"
