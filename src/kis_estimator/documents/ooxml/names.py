"""The defined names of a workbook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kis_estimator.documents.ooxml.package import elements, workbook_part


@dataclass(frozen=True, slots=True)
class DefinedName:
    """A name and what it refers to; `sheet` is the tab it belongs to, "" for the whole workbook."""

    name: str
    sheet: str
    refers_to: str


def defined_names(parts: Mapping[str, bytes]) -> list[DefinedName]:
    """Return every name, those of a tab with the tab's name."""
    found = elements(parts[workbook_part(parts)])
    tabs = [element.get("name") for element in found if element.name == "sheet"]
    return [
        DefinedName(
            element.get("name"), _tab(tabs, element.get("localSheetId")), element.text.strip()
        )
        for element in found
        if element.name == "definedName"
    ]


def _tab(tabs: list[str], index: str) -> str:
    if not index:
        return ""
    return tabs[int(index)] if index.isdigit() and int(index) < len(tabs) else f"#{index}"
