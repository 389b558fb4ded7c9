"""Opening an .xlsx or .xls from outside: in a limited child process, never in our own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from kis_estimator.errors import KisError
from kis_estimator.intake.characters import cleaned
from kis_estimator.intake.grid import Row, Tab

_CHILD = Path(__file__).with_name("reader_child.py")
_WALL_SECONDS = 30


def read_workbook(data: bytes) -> list[Tab]:
    """Return the tabs of a workbook; raises KisError for whatever cannot or must not be read."""
    try:
        # our own interpreter and file, by absolute path; the upload is only ever on stdin
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-I", "-X", "utf8", str(_CHILD)],
            input=data,
            capture_output=True,
            timeout=_WALL_SECONDS,
            check=False,
            env={},
        )
    except subprocess.TimeoutExpired as error:
        raise KisError.of("WORKBOOK_LIMITS") from error
    if done.returncode != 0:
        raise KisError.of("WORKBOOK_LIMITS")
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        raise KisError.of("WORKBOOK_LIMITS") from error
    if "error" in answer:
        raise KisError.of(answer["error"], **answer["params"])
    return [_tab(tab) for tab in answer["tabs"]]


def _tab(tab: dict[str, Any]) -> Tab:
    return Tab(
        name=cleaned(tab["name"]).strip() or "-",
        rows=tuple(Row(number, tuple(map(cleaned, cells))) for number, cells in tab["rows"]),
        hidden=tab["hidden"],
        is_worksheet=tab["isWorksheet"],
        unsaved=frozenset((row, column) for row, column in tab["unsaved"]),
        broken=frozenset((row, column) for row, column in tab["broken"]),
        merged=tuple((a, b, c, d) for a, b, c, d in tab["merged"]),
    )
