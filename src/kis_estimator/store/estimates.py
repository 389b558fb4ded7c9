"""Quotes with their inputs, events and results as rows.

Every function takes a connection inside a transaction that its caller opened, as the role that may
do this: `Database.tenant` for what a caller does, `Database.service` for what a run does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.errors import UniqueViolation
from psycopg.types.json import Json, Jsonb

from kis_estimator.errors import KisError
from kis_estimator.store.db import Database, Principal
from kis_estimator.store.sql import Conn, Row, queries


@dataclass(frozen=True, slots=True, kw_only=True)
class NewQuote:
    """A quote as it is ordered. `options` and `first_event` are JSON objects."""

    id: UUID
    number: str
    revision: int
    revised_from: UUID | None
    day: date
    customer: Mapping[str, Any]
    project: str | None
    locale: str
    catalog_version: UUID
    filename: str
    content: bytes
    options: Mapping[str, Any]
    first_event: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A quote taken for a run; `attempt` is the right to write its results."""

    id: UUID
    org_id: UUID
    number: str
    revision: int
    day: date
    locale: str
    created_at: datetime
    attempt: int
    filename: str
    content: bytes
    options: Mapping[str, Any]
    catalog_sha: str
    catalog_files: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An object of a run that stands in storage, by its hash."""

    sha256: str
    size_bytes: int
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument:
    """A document of a quote and the object that holds it."""

    kind: str
    path: str
    blob: Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What a run made: the EstimateResponse as text and as a mapping, documents, the pack."""

    response: str
    facts: Mapping[str, Any]
    documents: Sequence[StoredDocument]
    pack: Stored


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of a run: kind and data as they are streamed, and when."""

    kind: str
    data: Mapping[str, Any]
    at: datetime


# ---------------------------------------------------------------- ordering


def ensure_caller(conn: Conn) -> None:
    """Make the caller's organisation and membership known."""
    queries().ensure_caller(conn)


def claim_key(conn: Conn, key: str, request_sha: str, quote_id: UUID) -> bool:
    """Take an idempotency key for a quote; return whether nobody had it.

    Waits while another transaction takes the same key.
    """
    taken = queries().claim_key(conn, key=key, request_sha=request_sha, quote_id=quote_id)
    return taken is not None


def used_key(conn: Conn, key: str, request_sha: str) -> UUID | None:
    """Return the quote that the same request had before; None where the key is free.

    Raises IDEMPOTENCY_CONFLICT where the key belongs to another request.
    """
    used = queries().used_key(conn, key=key)
    if used is None:
        return None
    if used["request_sha"] != request_sha:
        raise KisError.of("IDEMPOTENCY_CONFLICT", key=key)
    return UUID(str(used["quote_id"]))


def take_number(
    database: Database, principal: Principal, day: date, quote_id: UUID, trace_id: str | None
) -> str:
    """Return the next number of the caller's organisation on a day, and log what it is for.

    Every order of the organisation waits for this: it is done aside, before the quote is written.
    """
    query = sql.SQL("select estimator.take_number({}, {}, {}) as number").format(
        sql.Literal(day), sql.Literal(quote_id), sql.Literal(trace_id)
    )
    return str(database.aside(principal, query)["number"])


def add_quote(conn: Conn, new: NewQuote) -> datetime:
    """Insert a quote with its input and first event; return when. The database queues its run.

    Raises REVISION_PENDING where another revision of the number is under way.
    """
    try:
        created_at: datetime = queries().add_quote(
            conn,
            id=new.id,
            number=new.number,
            revision=new.revision,
            revised_from=new.revised_from,
            day=new.day,
            customer=Json(new.customer),
            project=new.project,
            locale=new.locale,
            catalog_version=new.catalog_version,
            filename=new.filename,
            content=new.content,
            options=Jsonb(new.options),
            event=Json(new.first_event),
        )
    except UniqueViolation as error:
        if new.revised_from is None:
            raise
        raise KisError.of("REVISION_PENDING", number=new.number) from error
    return created_at


def next_revision(conn: Conn, quote_id: UUID) -> tuple[str, int]:
    """Return number and revision of the next revision of a quote.

    Raises ESTIMATE_NOT_FOUND, ESTIMATE_UNFINISHED, QUOTE_SUPERSEDED or REVISION_PENDING.
    """
    row = queries().revisable(conn, id=quote_id)
    if row is None:
        raise KisError.of("ESTIMATE_NOT_FOUND", id=str(quote_id))
    if row["standing"] != "current":
        current = str(row["current_id"])
        raise KisError.of("QUOTE_SUPERSEDED", number=row["number"], current=current)
    if row["status"] not in {"completed", "failed"}:
        raise KisError.of("ESTIMATE_UNFINISHED", status=row["status"])
    if row["open_id"] is not None:
        raise KisError.of("REVISION_PENDING", number=row["number"])
    return row["number"], row["last_revision"] + 1


# ---------------------------------------------------------------- reading


def quote(conn: Conn, quote_id: UUID) -> Row:
    """Return a quote. Raises ESTIMATE_NOT_FOUND, also for another organisation's."""
    return _found(queries().quote(conn, id=quote_id), quote_id)


def quote_status(conn: Conn, quote_id: UUID) -> Row:
    """Return status and number of events of a quote. Raises ESTIMATE_NOT_FOUND."""
    return _found(queries().quote_status(conn, id=quote_id), quote_id)


def pack(conn: Conn, quote_id: UUID) -> Row:
    """Return where the pack of a quote is.

    Raises ESTIMATE_NOT_FOUND, ESTIMATE_UNFINISHED, or EVIDENCE_SWEPT after the retention time.
    """
    row = _found(queries().pack(conn, id=quote_id), quote_id)
    if row["pack_sha"] is None:
        raise KisError.of("ESTIMATE_UNFINISHED", status=row["status"])
    if row["swept_at"] is not None:
        raise KisError.of("EVIDENCE_SWEPT", number=row["number"], revision=row["revision"])
    return row


def revisions(conn: Conn, quote_id: UUID) -> list[Row]:
    """Return every revision of a quote's number. Raises ESTIMATE_NOT_FOUND."""
    rows = list(queries().revisions(conn, id=quote_id))
    _found(rows[0] if rows else None, quote_id)
    return rows


def documents(conn: Conn, quote_id: UUID, kind: str | None) -> list[Row]:
    """Return the documents of a quote that are still kept, by path."""
    return list(queries().documents(conn, quote_id=quote_id, kind=kind))


def events(conn: Conn, quote_id: UUID, after: int) -> list[Row]:
    """Return the events of a quote after a position."""
    return list(queries().events(conn, quote_id=quote_id, after=after))


def newest_events(conn: Conn, quote_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return the position of the last event of each quote."""
    rows = queries().newest_events(conn, quote_ids=list(quote_ids))
    return {row["quote_id"]: row["position"] for row in rows}


def _found(row: Row | None, quote_id: UUID) -> Row:
    if row is None:
        raise KisError.of("ESTIMATE_NOT_FOUND", id=str(quote_id))
    return row


def audit(
    conn: Conn, action: str, quote_id: UUID, details: Mapping[str, Any], trace_id: str | None
) -> None:
    """Log what a caller did with a quote."""
    queries().audit(
        conn, action=action, entity=str(quote_id), details=Jsonb(details), trace_id=trace_id
    )


# ---------------------------------------------------------------- running


def claim_quote(conn: Conn, quote_id: UUID) -> Claim | None:
    """Take an unfinished quote for a run; None where there is nothing left to do."""
    row = queries().claim_quote(conn, id=quote_id)
    return None if row is None else Claim(**row)


def add_events(conn: Conn, claim: Claim, events: Iterable[Happened]) -> bool:
    """Append events of a run; False where another run has taken the quote."""
    held = queries().hold_quote(conn, id=claim.id, attempt=claim.attempt)
    if held is None:
        return False
    _append(conn, held, events)
    return True


def complete(conn: Conn, claim: Claim, results: Results, events: Iterable[Happened]) -> bool:
    """Write the results of a run and supersede the revision before it.

    False where another run has taken the quote: then nothing is written.
    """
    facts = results.facts
    held = queries().hold_quote(conn, id=claim.id, attempt=claim.attempt)
    if held is None:
        return False
    key = {"quote_id": claim.id, "org_id": claim.org_id}
    add_documents(conn, claim.org_id, claim.id, results.documents)
    panels = Jsonb(facts["panels"])
    queries().add_panels(conn, **key, panels=panels)
    queries().add_breakers(conn, **key, panels=panels)
    queries().add_items(conn, **key, panels=panels)
    _append(conn, held, events)
    queries().supersede(conn, org_id=claim.org_id, number=claim.number, id=claim.id)
    queries().complete_quote(
        conn,
        id=claim.id,
        response=results.response,
        supply=facts["totals"]["supply"],
        total=facts["totals"]["total"],
        gates_passed=facts["gatesPassed"],
        design_sha=facts["designSha"],
        evidence_sha=facts["evidenceSha"],
        pack_sha=results.pack.sha256,
    )
    _audit(conn, held, "estimate.completed", {"evidenceSha": facts["evidenceSha"]})
    return True


def fail(
    conn: Conn,
    quote_id: UUID,
    error: Mapping[str, Any],
    events: Iterable[Happened],
    attempt: int | None = None,
) -> bool:
    """End an unfinished quote with an error.

    False where it has ended already, or where another run than this `attempt` has taken it.
    """
    held = queries().unfinished_quote(conn, id=quote_id, attempt=attempt)
    if held is None:
        return False
    _append(conn, held, events)
    queries().fail_quote(conn, id=quote_id, error=Jsonb(error))
    _audit(conn, held, "estimate.failed", {"code": error["code"]})
    return True


def expect_blobs(conn: Conn, org_id: UUID, blobs: Iterable[Stored]) -> None:
    """Speak of objects that are about to be put, so that no sweep takes them."""
    made = [
        {"sha256": b.sha256, "sizeBytes": b.size_bytes, "mediaType": b.media_type} for b in blobs
    ]
    queries().expect_blobs(conn, org_id=org_id, blobs=Jsonb(made))


def add_documents(
    conn: Conn, org_id: UUID, quote_id: UUID, documents: Sequence[StoredDocument]
) -> None:
    """Record documents whose objects stand in storage."""
    made = [
        {
            "kind": one.kind,
            "path": one.path,
            "sha256": one.blob.sha256,
            "sizeBytes": one.blob.size_bytes,
        }
        for one in documents
    ]
    queries().add_documents(conn, quote_id=quote_id, org_id=org_id, documents=Jsonb(made))


def sweepable(conn: Conn, days: int, at_most: int) -> list[tuple[UUID, str]]:
    """Lock and return objects that nothing in force needs and nobody put for so many days."""
    rows = queries().sweepable(conn, days=days, at_most=at_most)
    return [(row["org_id"], row["sha256"]) for row in rows]


def mark_swept(conn: Conn, org_id: UUID, sha256: str) -> None:
    """Record that an object was deleted."""
    queries().mark_swept(conn, org_id=org_id, sha256=sha256)


def forget_keys(conn: Conn) -> None:
    """Forget idempotency keys after seven days."""
    queries().forget_keys(conn)


def _append(conn: Conn, held: Row, events: Iterable[Happened]) -> None:
    made = [{"kind": e.kind, "data": e.data, "at": e.at.isoformat()} for e in events]
    queries().add_events(
        conn,
        quote_id=held["id"],
        org_id=held["org_id"],
        last_event=held["last_event"],
        events=Json(made),
    )
    queries().count_events(conn, id=held["id"], last_event=held["last_event"] + len(made))


def _audit(conn: Conn, held: Row, action: str, details: Mapping[str, Any]) -> None:
    more = {"number": held["number"], "revision": held["revision"], **details}
    queries().append_audit(
        conn, org_id=held["org_id"], action=action, entity=str(held["id"]), details=Jsonb(more)
    )
