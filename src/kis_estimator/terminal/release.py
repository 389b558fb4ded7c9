"""The steps of a cut while they run, what its areas showed, and what to do next."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.text import Text

from kis_estimator.errors import Locale, say
from kis_estimator.release import AreaResult, Outcome, State
from kis_estimator.terminal.console import (
    add_row,
    new_table,
    print_line,
    print_said,
    stderr,
    stdout,
)

_STYLES: dict[State, str] = {"passed": "green", "failed": "bold red", "not run": "yellow"}
_WORDS: dict[State, str] = {
    "passed": "AREA_passed", "failed": "AREA_failed", "not run": "AREA_not_run"
}  # fmt: skip


@contextmanager
def step(code: str, locale: Locale) -> Iterator[None]:
    """Say which step runs, on a terminal with the time so far, and how long it took."""
    from rich.progress import (  # noqa: PLC0415 - slow to load
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    console, text, began = stderr(), say(code, locale), time.monotonic()
    if sys.stderr.isatty():
        columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
        with Progress(*columns, console=console, transient=True) as running:
            running.add_task(text, total=None)
            yield
    else:
        print_line(console, f"{text} …")
        yield
    seconds = round(time.monotonic() - began)
    print_line(console, say("RELEASE_STEP_DONE", locale, step=text, seconds=seconds))


def print_outcome(outcome: Outcome, locale: Locale) -> None:
    """Print every area, then the release with the next steps, or what blocks it."""
    _print_areas(outcome.results, locale)
    where = {"folder": str(outcome.folder)}
    if outcome.tag is None:
        blocking = [result.title for result in outcome.results if result.state != "passed"]
        print_said("RELEASE_BLOCKED", locale, style="bold red", areas=blocking, **where)
    else:
        made = {"tag": outcome.tag, "key": outcome.key_id, **where}
        print_said("RELEASE_CUT", locale, style="green", **made)
        print_said("RELEASE_NEXT", locale, tag=outcome.tag, **where)


def _print_areas(results: tuple[AreaResult, ...], locale: Locale) -> None:
    table = new_table(locale, "area", "passed", "tests", "failed_tests", "skipped_tests", "reason")
    for result in results:
        word = Text(say(_WORDS[result.state], locale), _STYLES[result.state])
        tally = result.tally
        counts = ["–"] * 3
        if tally is not None:
            counts = [str(n) for n in (tally.passed, len(tally.failed), len(tally.skipped))]
        reasons = [f"{c.name}: {c.detail}" for c in result.checks if c.state != "passed"]
        add_row(table, result.title, word, *counts, "; ".join(reasons))
    stdout().print(table)
