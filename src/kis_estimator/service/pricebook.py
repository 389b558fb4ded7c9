"""Price books of organisations: which one is in force, and the engine made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from kis_estimator.engine.catalog import Catalog
from kis_estimator.engine.model import BreakerItem, EnclosureItem
from kis_estimator.evidence import plain
from kis_estimator.service.engine import Engine, engine_of
from kis_estimator.service.pricebook_files import TYPES, AnyItem
from kis_estimator.store.sql import Conn, queries

_KEPT = 8
_KINDS = {item: kind for kind, item in TYPES.items()}


@dataclass(frozen=True, slots=True)
class PriceBook:
    """A version of a price book and the engine that works with it."""

    version_id: UUID
    engine: Engine


@dataclass(slots=True)
class PriceBooks:
    """The price books in use, made into engines once per process; `program` came with it."""

    program: Engine
    _engines: dict[UUID, Engine] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def in_force(self, conn: Conn) -> PriceBook:
        """Return the newest price book of the caller's organisation, else the program's."""
        version = queries("catalog").version_in_force(conn, program_sha=self.program.catalog.sha)
        version_id: UUID = version["id"]
        with self._lock:
            engine = self._engines.get(version_id)
        if engine is None:
            engine = self._made(conn, version_id, version["sha256"])
        return PriceBook(version_id, engine)

    def of_files(self, sha: str, files: Mapping[str, str]) -> Engine:
        """Return the engine of a price book that a quote was ordered with."""
        if sha == self.program.catalog.sha:
            return self.program
        encoded = {name: text.encode() for name, text in files.items()}
        return engine_of(encoded, self.program.rule_bytes)

    def _made(self, conn: Conn, version_id: UUID, sha: str) -> Engine:
        files = queries("catalog").version_files(conn, id=version_id)
        engine = self.of_files(sha, files)
        with self._lock:
            while len(self._engines) >= _KEPT:
                self._engines.pop(next(iter(self._engines)))
            self._engines[version_id] = engine
        return engine


def add_program_version(conn: Conn, engine: Engine) -> None:
    """Make the price book that came with the program known; nothing happens where it is."""
    catalog = engine.catalog
    version = queries("catalog").add_program_version(
        conn,
        sha256=catalog.sha,
        name=catalog.name,
        version=catalog.version,
        sample=catalog.sample,
        files=Jsonb(text_of(engine.catalog_files)),
        items=len(rows := item_rows(catalog)),
    )
    if version is not None:
        queries("catalog").add_items(conn, version_id=version, org_id=None, items=Jsonb(rows))


def text_of(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the files of a price book as text; `parse_catalog` takes nothing but UTF-8."""
    return {name: data.decode() for name, data in files.items()}


def item_rows(catalog: Catalog) -> list[dict[str, Any]]:
    """Return a row for every item of a price book: kind, sku, name, price, search text, fields."""
    items: tuple[AnyItem, ...] = (
        *catalog.breakers,
        *catalog.enclosures,
        *catalog.accessories.values(),
    )
    return [_row(item) for item in items]


def _row(item: AnyItem) -> dict[str, Any]:
    fields: dict[str, Any] = dict(plain(item))
    words = [str(value) for value in fields.values() if isinstance(value, str)]
    if isinstance(item, BreakerItem):
        words += [f"{item.poles}P", f"{item.rated_current_a}A", f"{item.frame_af}AF"]
        name = f"{item.brand} {item.model} {item.poles}P {item.frame_af}AF/{item.rated_current_a}A"
    elif isinstance(item, EnclosureItem):
        name = f"{item.series} {item.width_mm}×{item.height_mm}×{item.depth_mm} {item.ip_rating}"
        words.append(name)
    else:
        name = item.name_ko
    return {
        "kind": _KINDS[type(item)],
        "sku": item.sku,
        "name": name,
        "unitPrice": fields["unitPriceKrw"],
        "search": " ".join(words).lower(),
        "fields": fields,
    }
