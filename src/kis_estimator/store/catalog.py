"""Versions of price books and their items as rows; a version never changes.

Every function takes a connection in a caller's name, inside a transaction that its caller opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from kis_estimator.errors import KisError
from kis_estimator.store.listing import like_escaped
from kis_estimator.store.sql import Conn, Row, queries


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """A version of the caller's price book; `rows` are its items as `catalog_items` has them."""

    sha256: str
    name: str
    version: str
    sample: bool
    files: Mapping[str, str]
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemWish:
    """Which page of a version's items; every word is to be found in an item."""

    page: int
    size: int
    kind: str | None = None
    words: Sequence[str] = ()


def version_in_force(conn: Conn, program_sha: str) -> Row:
    """Return the newest version of the organisation, else that of the program."""
    row: Row = queries("catalog").version_in_force(conn, program_sha=program_sha)
    return row


def numbered_version(conn: Conn, number: int, program_sha: str) -> Row:
    """Return a version by its number, 0 being the program's. Raises CATALOG_VERSION."""
    row: Row | None = queries("catalog").numbered_version(
        conn, number=number, program_sha=program_sha
    )
    if row is None:
        raise KisError.of("CATALOG_VERSION", number=number)
    return row


def version_files(conn: Conn, version_id: UUID) -> dict[str, str]:
    """Return the text of the files of a version by name."""
    files: dict[str, str] = queries("catalog").version_files(conn, id=version_id)
    return files


def versions(conn: Conn, program_sha: str, page: int, size: int) -> tuple[list[Row], int]:
    """Return a page of versions, the newest first, and how many there are in all."""
    found = queries("catalog")
    rows = found.versions(conn, program_sha=program_sha, size=size, offset=(page - 1) * size)
    return list(rows), found.count_versions(conn, program_sha=program_sha)


def page_of_items(conn: Conn, version_id: UUID, wish: ItemWish) -> tuple[list[Row], int]:
    """Return the items of a page by kind and sku, and how many there are in all."""
    asked = {
        "version_id": version_id,
        "kind": wish.kind,
        "patterns": [f"%{like_escaped(word.lower())}%" for word in wish.words],
    }
    found = queries("catalog")
    rows = found.page_of_items(conn, **asked, size=wish.size, offset=(wish.page - 1) * wish.size)
    return list(rows), found.count_items(conn, **asked)


def add_version(conn: Conn, number: int, new: NewVersion) -> UUID:
    """Add a version under the number after the one in force. Raises CATALOG_CHANGED if taken."""
    try:
        added = queries("catalog").add_version(
            conn,
            number=number,
            sha256=new.sha256,
            name=new.name,
            version=new.version,
            sample=new.sample,
            files=Jsonb(new.files),
            items=len(new.rows),
        )
    except UniqueViolation as error:
        raise KisError.of("CATALOG_CHANGED") from error
    version_id: UUID = added["id"]
    queries("catalog").add_items(
        conn, version_id=version_id, org_id=added["org_id"], items=Jsonb(new.rows)
    )
    return version_id
