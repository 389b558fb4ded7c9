"""What a release has to show and to hold: `data/release_areas.toml`, read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Area:
    """What is shown by tests and checks; a pattern matches `module::test`, `*` as in a shell."""

    title: str
    tests: tuple[str, ...]
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a figure may be; `path` leads to it in the benchmark's JSON.

    A path `tests.NAME` is that of a figure that a test recorded.
    """

    title: str
    path: tuple[str, ...]
    most: float
    unit: str


@dataclass(frozen=True, slots=True)
class Definition:
    """The areas, the budgets, the files copied into a release, and what secrets look like."""

    areas: tuple[Area, ...]
    budgets: tuple[Budget, ...]
    files: Mapping[str, str]
    secrets: Mapping[str, re.Pattern[bytes]]


@cache
def definition() -> Definition:
    """Return the definition that comes with this version."""
    text = files("kis_estimator").joinpath("data/release_areas.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    return Definition(
        tuple(
            Area(area["title"], tuple(area.get("tests", ())), tuple(area.get("checks", ())))
            for area in table["areas"].values()
        ),
        tuple(
            Budget(entry["title"], tuple(entry["path"].split(".")), entry["most"], entry["unit"])
            for entry in table["budgets"]
        ),
        table["files"],
        {name: re.compile(form.encode()) for name, form in table["secrets"].items()},
    )
