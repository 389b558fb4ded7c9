"""A new version of a price book: validated whole, and compared with the one in force."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from typing import Any, Literal

from psycopg.types.json import Jsonb

from kis_estimator.engine.catalog import Catalog, parse_catalog
from kis_estimator.engine.rules import AccessoriesRules, Rules
from kis_estimator.engine.units import camel
from kis_estimator.errors import KisError, Notice
from kis_estimator.service.pricebook import item_rows
from kis_estimator.service.pricebook_files import (
    COLUMNS,
    HEAD_FILE,
    TABLES,
    Head,
    Kind,
    Table,
    Upload,
    complete_files,
    file_of,
    head_text,
    items_of,
    problem,
    read_upload,
    row_of,
    table_text,
)
from kis_estimator.store import catalog, estimates
from kis_estimator.store.sql import Conn, queries

ITEMS = "items"
"""The name of a table whose rows are objects of a request."""

Action = Literal["catalog.imported", "catalog.restored"]
Row = dict[str, Any]
_PRICE = "unitPrice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How rows are taken in: added to the book in force, or instead of its tables.

    `needed` are the accessories that the rules name: every price book has them.
    """

    replace: bool = False
    head: Head = field(default_factory=Head)
    needed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ChangedItem:
    """An item whose fields differ; `price_pct` is the change of its price."""

    item: Row
    fields: Mapping[str, tuple[Any, Any]]
    price_pct: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a price book would become; `rows` are its items, `files` what it is made of."""

    files: Mapping[str, str]
    sha256: str
    name: str
    version: str
    sample: bool
    rows: list[Row]
    unchanged: bool
    head: Mapping[str, tuple[Any, Any]]
    added: list[Row]
    removed: list[Row]
    changed: list[ChangedItem]
    same: int
    sample_prices: int

    @property
    def counts(self) -> dict[str, int]:
        """How many items are added, removed, changed and as before."""
        return {
            "added": len(self.added),
            "removed": len(self.removed),
            "changed": len(self.changed),
            "unchanged": self.same,
        }


def rule_skus(rules: Rules) -> frozenset[str]:
    """Return the accessories that the rules put into panels by themselves."""
    table: AccessoriesRules = rules.accessories
    steps = chain(table.earth_sku.rows, table.insulator_sku.rows)
    return frozenset(
        {
            table.meter_ct_sku,
            table.ct_set_sku,
            table.timer_lamp_sku,
            table.meter_wire_sku,
            table.neutral_sku,
            table.name_card_sku,
            table.name_plate_sku,
            table.small_support_sku,
            *table.per_contactor,
            *(sku for _, sku in steps),
        }
    )


def whole_book(data: bytes, filename: str) -> dict[str, bytes]:
    """Return a workbook that is a price book by itself as its files. Raises all that is wrong."""
    upload = read_upload(data, filename)
    files = complete_files(upload)
    with _placed_problems(upload):
        parse_catalog(files)
    return files


def plan_file(base: Mapping[str, str], data: bytes, filename: str, wish: Wish) -> Plan:
    """Return what a price book becomes by a file. Raises all that is wrong with it."""
    return plan(base, read_upload(data, filename), wish)


def plan_items(base: Mapping[str, str], given: list[tuple[Kind, Row]], wish: Wish) -> Plan:
    """Return what a price book becomes by items given as objects, numbered from 1."""
    tables: dict[Kind, list[tuple[int, tuple[str, ...]]]] = {}
    for number, (kind, fields) in enumerate(given, start=1):
        cells = tuple(str(fields[column]).strip() for column in COLUMNS[kind])
        tables.setdefault(kind, []).append((number, cells))
    upload = Upload({kind: Table(ITEMS, tuple(rows)) for kind, rows in tables.items()})
    return plan(base, upload, wish)


def plan(base: Mapping[str, str], upload: Upload, wish: Wish) -> Plan:
    """Return what a price book becomes; nothing is changed. Raises every problem of every row.

    A book stays a sample as long as it holds a price of the sample book before it, unless the
    caller says otherwise: documents made from sample prices are marked.
    """
    before = _parsed(base)
    given = _validated(base, upload)
    files = dict(base)
    for kind in upload.tables:
        old, new = items_of(before, kind), items_of(given, kind)
        items = new if wish.replace else {**old, **new}
        if items != old:
            files[file_of(kind)] = table_text(kind, map(row_of, items.values()))
    after = _parsed(files)
    missing = sorted(wish.needed - after.accessories.keys())
    if missing:
        raise KisError.of("CATALOG_NEEDS", skus=missing)
    facts = _facts_of(before, after, upload.head, wish.head)
    if facts != _facts(before):
        files[HEAD_FILE] = head_text(**facts)
        after = _parsed(files)
    return _compared(before, after, files)


def plan_files(base: Mapping[str, str], files: Mapping[str, str]) -> Plan:
    """Return what a price book becomes where it gets these files."""
    return _compared(_parsed(base), _parsed(files), files)


def _compared(before: Catalog, after: Catalog, files: Mapping[str, str]) -> Plan:
    old = {(row["kind"], row["sku"]): row for row in item_rows(before)}
    rows = item_rows(after)
    new = {(row["kind"], row["sku"]): row for row in rows}
    both = sorted(old.keys() & new.keys())
    changed = [_changed(old[key], new[key]) for key in both if old[key] != new[key]]
    return Plan(
        files=files,
        sha256=after.sha,
        name=after.name,
        version=after.version,
        sample=after.sample,
        rows=rows,
        unchanged=after.sha == before.sha,
        head=_differing(_facts(before), _facts(after)),
        added=[new[key] for key in sorted(new.keys() - old.keys())],
        removed=[old[key] for key in sorted(old.keys() - new.keys())],
        changed=changed,
        same=len(both) - len(changed),
        sample_prices=_sample_prices(before, after),
    )


def adopt(conn: Conn, base: int, new: Plan, action: Action, trace_id: str | None) -> int:
    """Make a plan the version in force, after the one that it was made of; return its number.

    Raises CATALOG_CHANGED where another version has come in between.
    """
    estimates.ensure_caller(conn)
    number = base + 1
    version = catalog.NewVersion(
        sha256=new.sha256,
        name=new.name,
        version=new.version,
        sample=new.sample,
        files=new.files,
        rows=new.rows,
    )
    version_id = catalog.add_version(conn, number, version)
    details = {"number": number, "sha256": new.sha256, "sample": new.sample, **new.counts}
    queries().audit(
        conn,
        action=action,
        entity=str(version_id),
        details=Jsonb(details),
        trace_id=trace_id,
    )
    return number


# ---------------------------------------------------------------- parts


def _parsed(files: Mapping[str, str]) -> Catalog:
    return parse_catalog({name: text.encode() for name, text in files.items()})


def _validated(base: Mapping[str, str], upload: Upload) -> Catalog:
    """Return the given rows as a catalogue; what is wrong is told at the place it was given."""
    given = {
        file_of(kind): table_text(kind, (cells for _, cells in table.rows))
        for kind, table in upload.tables.items()
    }
    with _placed_problems(upload):
        return _parsed({**base, **given})


@contextmanager
def _placed_problems(upload: Upload) -> Iterator[None]:
    """Tell what is wrong with a row at the place where it was given."""
    tables = {file_of(kind): table for kind, table in upload.tables.items()}
    try:
        yield
    except KisError as error:
        raise KisError(*(_placed(notice, tables) for notice in error.notices)) from None


def _placed(notice: Notice, tables: Mapping[str, Table]) -> Notice:
    table = tables.get(str(notice.sheet))
    if table is None:
        return notice
    row = table.rows[(notice.row or 0) - 2][0]
    column, reason = str(notice.params["field"]), str(notice.params["reason"])
    return problem(table.name, row, camel(column) if table.name == ITEMS else column, reason)


def _sample_prices(before: Catalog, after: Catalog) -> int:
    """Return how many prices of a sample book are still there."""
    if not before.sample:
        return 0
    kept = 0
    for kind in TABLES:
        old = items_of(before, kind)
        kept += sum(
            sku in old and old[sku].unit_price_krw == item.unit_price_krw
            for sku, item in items_of(after, kind).items()
        )
    return kept


def _facts_of(before: Catalog, after: Catalog, given: Head, wished: Head) -> dict[str, Any]:
    """Return what the new book says of itself: as asked, as the file says, as before."""
    sample = wished.sample
    if sample is None:
        sample = bool(given.sample) or _sample_prices(before, after) > 0
    return {
        "name": wished.name or given.name or before.name,
        "version": wished.version or given.version or before.version,
        "sample": sample,
    }


def _facts(catalog: Catalog) -> dict[str, Any]:
    return {"name": catalog.name, "version": catalog.version, "sample": catalog.sample}


def _changed(before: Row, after: Row) -> ChangedItem:
    pct = None
    if before[_PRICE] != after[_PRICE] and before[_PRICE]:
        exact = Decimal(100) * (after[_PRICE] - before[_PRICE]) / before[_PRICE]
        pct = float(round(exact, 1))
    return ChangedItem(after, _differing(before["fields"], after["fields"]), pct)


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {key: (before[key], after[key]) for key in after if before[key] != after[key]}
