"""`docs/rules.md` is the rule file as a page to read; it is made here and may not lag behind.

To make it anew: KIS_UPDATE_GOLDEN=1 script/test tests/golden/test_rules_doc.py
"""

from __future__ import annotations

import os
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

RULES = "src/kis_estimator/data/rules/kr-panel.toml"
HEAD = (
    "Rule set `{rules}`, from [`kr-panel.toml`](../{path}). The names are the rule ids of the bill"
    " of materials. § is the section of the shop's panel estimating rules: 2 selection, 3 phases,"
    " 4 layout, 5 enclosure, 6 bill of materials, 7 reading schedules, 8 temperature rise."
)
SECTIONS = {
    "selection": "Breaker selection (§2)",
    "phase": "Phase assignment and balance (§3)",
    "layout": "Physical layout (§4)",
    "heat": "Heat and diversity (§4)",
    "enclosure": "Enclosure (§5)",
    "accessories": "Derived accessories (§6)",
    "bom": "Busbars and service lines (§6)",
    "pricing": "Settings of the quote (§6)",
    "temperature": "Temperature rise (§8)",
    "ampacity": "Busbar ampacity (§8)",
}


def render(text: str) -> str:
    table = tomllib.loads(text, parse_float=Decimal)
    lines = [
        "# Rules",
        "",
        HEAD.format(rules=f"{table['name']} {table['version']}", path=RULES),
    ]
    for section, title in SECTIONS.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| rule | value | unit | source |",
            "| --- | --- | --- | --- |",
        ]
        for name, entry in table[section].items():
            cells = (f"`{section}.{name}`", value(entry), entry["unit"], entry["source"])
            lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "## What the engine reports",
        "",
        "| code | severity | source | text |",
        "| --- | --- | --- | --- |",
    ]
    for code, entry in table["codes"].items():
        lines.append(f"| `{code}` | {entry['severity']} | {entry['source']} | {entry['en']} |")
    assert set(table) == {"name", "version", "codes", "texts", *SECTIONS}
    return "\n".join(lines) + "\n"


def value(entry: dict[str, Any]) -> str:
    if "value" in entry:
        return plain(entry["value"])
    if "steps" in entry:
        rows = [f"≤ {limit}: {plain(result)}" for limit, result in entry["steps"]]
        return "; ".join(
            [*rows, *([f"above: {plain(entry['above'])}"] if "above" in entry else [])]
        )
    poles = ((key, rows) for key, rows in entry.items() if key.startswith("poles_"))
    return "; ".join(
        f"{key[6:]}P " + ", ".join(f"≤ {a}: {b}" for a, b in rows) for key, rows in poles
    )


def plain(item: Any) -> str:
    if isinstance(item, dict):
        return ", ".join(f"{key} {number}" for key, number in item.items())
    if isinstance(item, list):
        return ", ".join(
            plain(part) if not isinstance(part, list) else "×".join(map(str, part)) for part in item
        )
    return f"{item:f}" if isinstance(item, Decimal) else str(item)


def test_rules_page_is_current(root: Path) -> None:
    page = root / "docs/rules.md"
    text = render((root / RULES).read_text(encoding="utf-8"))
    if "KIS_UPDATE_GOLDEN" in os.environ:
        page.write_text(text, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == text
