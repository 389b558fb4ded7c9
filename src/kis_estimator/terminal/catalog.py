"""The price book on a terminal: its items, and what an import changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.text import Text

from kis_estimator.errors import Locale, say
from kis_estimator.service.pricebook_import import Plan
from kis_estimator.terminal.console import add_row, new_table, print_said, stdout

Row = Mapping[str, Any]


def print_version(version: Row, locale: Locale) -> None:
    """Print which version it is, and whether its prices are a sample."""
    about = {key: version[key] for key in ("number", "name", "version", "items")}
    print_said("CATALOG_SHOWN", locale, style="bold", **about)
    if version["sample"]:
        print_said("CATALOG_SAMPLE", locale, style="yellow")


def print_items(rows: Iterable[Row], locale: Locale) -> None:
    """Print items with kind, sku, name and price."""
    table = new_table(locale, "kind", "sku", "name", "unit_price")
    for row in rows:
        kind = say(f"KIND_{row['kind']}", locale)
        add_row(table, kind, row["sku"], row["name"], f"{row['unit_price']:,}")
    stdout().print(table)


def print_plan(plan: Plan, locale: Locale) -> None:
    """Print every item that comes, goes or differs, and how many there are."""
    table = new_table(locale, "change", "sku", "name", "value")
    for label, style, rows in (
        ("LABEL_added", "green", plan.added),
        ("LABEL_removed", "red", plan.removed),
    ):
        for row in rows:
            word = Text(say(label, locale), style)
            add_row(table, word, row["sku"], row["name"], f"{row['unitPrice']:,}")
    for changed in plan.changed:
        fields = changed.fields.items()
        values = ", ".join(f"{name} {old} → {new}" for name, (old, new) in fields)
        if changed.price_pct is not None:
            values += f" ({changed.price_pct:+g} %)"
        word = Text(say("LABEL_changed", locale), "yellow")
        add_row(table, word, changed.item["sku"], changed.item["name"], values)
    for name, (old, new) in plan.head.items():
        word = Text(say("LABEL_changed", locale), "yellow")
        add_row(table, word, "", name, f"{old} → {new}")
    if table.row_count:
        stdout().print(table)
    counts: Row = plan.counts
    print_said("CATALOG_COUNTS", locale, **counts)
    if plan.sample_prices and plan.sample:
        print_said("CATALOG_SAMPLE_PRICES", locale, style="yellow", count=plan.sample_prices)
