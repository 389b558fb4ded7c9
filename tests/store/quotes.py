"""Quotes for tests, ordered and worked out without a worker."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from tests import runs

from kis_estimator.evidence import sha256
from kis_estimator.service import orders
from kis_estimator.service.pricebook import PriceBook, PriceBooks, add_program_version
from kis_estimator.store import estimates
from kis_estimator.store.db import Database, Principal
from kis_estimator.store.estimates import Happened, Results, Stored, StoredDocument
from kis_estimator.store.sql import Conn

REQUEST = (
    b'{"customer": {"name": "\xec\xa0\x84\xea\xb8\xb0"}, "panels": [{"name": "LP-1", "breakers": ['
    b'{"role": "main", "category": "MCCB", "poles": 4, "ratedCurrentA": 75, "frameAf": 100}, '
    b'{"role": "branch", "category": "ELB", "poles": 2, "ratedCurrentA": 20, "quantity": 3}]}]}'
)


def book(db: Database, principal: Principal) -> PriceBook:
    with db.service() as conn:
        add_program_version(conn, runs.engine())
    with db.tenant(principal) as conn:
        return PriceBooks(runs.engine()).in_force(conn)


def order_of(book: PriceBook, content: bytes = REQUEST) -> orders.Order:
    sent = orders.Sent("request.json", content)
    return orders.Order(sent, orders.read_schedule(sent, book.engine.vocabulary), book)


def ordered(
    db: Database, principal: Principal, base: UUID | None = None, key: str | None = None
) -> UUID:
    order = order_of(book(db, principal))
    return orders.place(db, principal, order, orders.Call(key), base)[0]


def complete(db: Database, quote_id: UUID) -> bool:
    """Write results for a quote as a worker would, with made-up objects."""
    with db.service() as conn:
        claim = estimates.claim_quote(conn, quote_id)
    assert claim is not None
    made = results(claim.number)
    with db.service() as conn:
        estimates.expect_blobs(conn, claim.org_id, [made.pack])
        return estimates.complete(conn, claim, made, [done()])


def results(number: str) -> Results:
    response: dict[str, Any] = runs.estimate(
        runs.inputs(REQUEST, "request.json", number=number)
    ).response
    blob = Stored(
        sha256=sha256(number.encode()), size_bytes=len(number), media_type="application/pdf"
    )
    return Results(
        response=orders.sealed_response(response),
        facts=response,
        documents=[StoredDocument(kind="pdf", path="quotation.pdf", blob=blob)],
        pack=blob,
    )


def done() -> Happened:
    return Happened("DONE", {"result": {"status": "completed"}}, datetime.now(UTC))


def rows(conn: Conn, query: str, **params: Any) -> list[dict[str, Any]]:
    return conn.execute(query, params).fetchall()
