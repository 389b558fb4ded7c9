"""What a form is made of, so that a filled one can be held against it part by part."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping

from kis_estimator.documents.ooxml.cells import SheetXml, scan_sheet
from kis_estimator.documents.ooxml.package import Parts, elements, sheet_parts, workbook_part
from kis_estimator.documents.ooxml.references import cell_name

CALCULATION = re.compile(rb"<((?:[\w.-]+:)?)calcPr(\s[^>]*?)?(?:/>|>\s*</(?:[\w.-]+:)?calcPr>)")
_COUNTED = frozenset(
    {
        "drawing", "legacyDrawing", "picture", "dataValidation", "cfRule", "mergeCell",
        "hyperlink", "tablePart", "pageSetup", "pageMargins", "printOptions", "headerFooter",
        "brk", "sheetProtection", "protectedRange", "control", "oleObject",
    }
)  # fmt: skip

Inventory = dict[str, str | int]


def take_inventory(parts: Parts) -> Inventory:
    """Return a digest of every part and counts of what the sheets hold, by a telling name.

    Of a sheet, all but its rows is digested, and the formulas in them; of the workbook, all but
    its calculation settings.
    """
    found: Inventory = {}
    sheets = {sheet.part: sheet.name for sheet in sheet_parts(parts)}
    book = workbook_part(parts)
    for name, content in parts.items():
        if name in sheets:
            found |= _sheet(sheets[name], scan_sheet(content))
        elif name == book:
            kinds = Counter(element.name for element in elements(content))
            found["definedName"] = kinds["definedName"]
            found[name] = _digest(CALCULATION.sub(b"", content))
        else:
            found[name] = _digest(content)
    return found


def differences(before: Inventory, after: Inventory) -> list[str]:
    """Return what differs, with both counts where it is counted."""
    return [
        f"{name}: {_shown(before, name)} → {_shown(after, name)}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def _sheet(name: str, sheet: SheetXml) -> Inventory:
    kinds = Counter(element.name for element in elements(sheet.around))
    formulas = {
        cell_name(place): cell.formula_xml.decode()
        for place, cell in sheet.cells.items()
        if cell.formula is not None
    }
    found: Inventory = {f"{name}: {kind}": kinds[kind] for kind in sorted(_COUNTED & kinds.keys())}
    found[f"{name}: formula"] = len(formulas)
    found[f"{name}: formulas"] = _digest(repr(sorted(formulas.items())).encode())
    found[f"{name}: layout"] = _digest(sheet.around)
    return found


def _shown(inventory: Mapping[str, str | int], name: str) -> str:
    return str(inventory.get(name, "–"))[:12]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
