"""What a caller orders: an estimate or a revision of one, answered before it is worked out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

from kis_estimator import intake
from kis_estimator.engine.model import EstimateRequest
from kis_estimator.errors import KisError, Locale, say
from kis_estimator.evidence import plain, pretty, sha256
from kis_estimator.service.clock import today
from kis_estimator.service.pricebook import PriceBook
from kis_estimator.store import estimates
from kis_estimator.store.db import Database, Principal
from kis_estimator.store.sql import Conn, Row

API = "/v1/estimate"
REQUEST_FILE = "request.json"
MOST_JSON = 4 * 2**20
"""Bytes of an order as JSON; ten thousand rows take half of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderOptions:
    """What the caller set beside the schedule, as on the command line."""

    reading_locale: Locale = "ko-KR"
    locale: Locale | None = None
    customer: str | None = None
    project: str | None = None
    brand: str | None = None
    accept_proposed_main: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """A schedule as a caller sent it, not read yet."""

    filename: str
    content: bytes
    options: OrderOptions = field(default_factory=OrderOptions)

    @property
    def in_place(self) -> bool:
        """Whether it is a request as JSON, which is read in milliseconds."""
        return self.filename == REQUEST_FILE and len(self.content) <= MOST_JSON

    def sha256(self, base_id: UUID | None) -> str:
        """Return the hash by which equal orders, or revisions of one quote, are known."""
        options = {**asdict(self.options), "filename": self.filename, "base": str(base_id)}
        return sha256(pretty(options) + self.content)


@dataclass(frozen=True, slots=True)
class Order:
    """A schedule that could be read, with the price book it was read with."""

    sent: Sent
    request: EstimateRequest
    book: PriceBook


def read_schedule(sent: Sent, vocabulary: intake.Vocabulary) -> EstimateRequest:
    """Return the request of a schedule. Raises everything that the schedule has wrong."""
    options = sent.options
    reading = intake.read(
        sent.content, sent.filename, vocabulary, options.reading_locale, brand=options.brand
    )
    if reading.errors or reading.request is None:
        raise KisError(*reading.errors)
    return reading.request


@dataclass(frozen=True, slots=True)
class Call:
    """What marks one call of a caller: its idempotency key and its trace."""

    key: str | None = None
    trace_id: str | None = None


def earlier_answer(
    conn: Conn, sent: Sent, call: Call, base_id: UUID | None = None
) -> tuple[UUID, bytes] | None:
    """Return what the same call was answered before, whatever has changed since.

    Raises IDEMPOTENCY_CONFLICT where the key was used for another order.
    """
    if call.key is None:
        return None
    earlier = estimates.used_key(conn, call.key, sent.sha256(base_id))
    return None if earlier is None else (earlier, first_answer(estimates.quote(conn, earlier)))


def place(
    database: Database, principal: Principal, order: Order, call: Call, base_id: UUID | None = None
) -> tuple[UUID, bytes]:
    """Take an order in: quote, first event and job in one transaction.

    With `base_id` it is a revision of that quote, which stays in force until the run is done.
    Returns the id and the EstimateResponse as ordered; the same key and order again return the
    first. Raises IDEMPOTENCY_CONFLICT, and what `estimates.next_revision` does.
    """
    quote_id, day = uuid4(), today()
    if call.key is not None:
        with database.tenant(principal) as conn:  # whoever takes the number aside has to see it
            estimates.ensure_caller(conn)
    with database.tenant(principal) as conn:
        if call.key is not None:
            sha = order.sent.sha256(base_id)
            if not estimates.claim_key(conn, call.key, sha, quote_id):
                earlier = earlier_answer(conn, order.sent, call, base_id)
                if earlier is not None:
                    return earlier
        if base_id is None:
            number = estimates.take_number(database, principal, day, quote_id, call.trace_id)
            revision = 1
        else:
            number, revision = estimates.next_revision(conn, base_id)
        new = _new_quote(order, quote_id, day, (number, revision, base_id))
        created_at = estimates.add_quote(conn, new)
        if base_id is not None:
            details = {"number": number, "revision": revision}
            estimates.audit(conn, "estimate.revised", quote_id, details, call.trace_id)
    ordered = {
        "id": quote_id,
        "number": number,
        "revision": revision,
        "revised_from": base_id,
        "customer": new.customer,
        "project": new.project,
        "created_at": created_at,
    }
    return quote_id, first_answer(ordered)


def _new_quote(
    order: Order, quote_id: UUID, day: date, identity: tuple[str, int, UUID | None]
) -> estimates.NewQuote:
    request, options = order.request, order.sent.options
    number, revision, revised_from = identity
    customer = dict(plain(request.customer))
    if options.customer is not None:
        customer["name"] = options.customer
    locale = options.locale or request.locale
    return estimates.NewQuote(
        id=quote_id,
        number=number,
        revision=revision,
        revised_from=revised_from,
        day=day,
        customer={name: value for name, value in customer.items() if value is not None},
        project=request.project if options.project is None else options.project,
        locale=locale,
        catalog_version=order.book.version_id,
        filename=order.sent.filename,
        content=order.sent.content,
        options=asdict(options),
        first_event={"stage": "enclosure", "progress": 0, "message": say("RUN_QUEUED", locale)},
    )


# ---------------------------------------------------------------- answers


def answer(row: Row) -> bytes:
    """Return the EstimateResponse of a quote as JSON: what is sealed, and what has become of it."""
    response: str | None = row["response"]
    changing = {
        "standing": row["standing"],
        "revisedFrom": row["revised_from"] and str(row["revised_from"]),
        "currentId": row["current_id"] and str(row["current_id"]),
        "updatedAt": timestamp(row["updated_at"]),
    }
    if response is not None:
        more = {**changing, "evidenceUrl": f"{API}/{row['id']}/evidence"}
        return (response.rstrip().removesuffix("}") + "," + _json(more)[1:]).encode()
    return _json({**_unfinished(row), **changing}).encode()


def _unfinished(row: Row) -> dict[str, Any]:
    """Return the EstimateResponse of a quote that is not worked out, or could not be."""
    return {
        "id": str(row["id"]),
        "number": row["number"],
        "revision": row["revision"],
        "status": row["status"],
        "customer": row["customer"],
        "project": row["project"],
        "currency": "KRW",
        "totals": None,
        "panels": [],
        "gates": [],
        "gatesPassed": None,
        "findings": [],
        "documents": [],
        "designSha": None,
        "evidenceSha": None,
        "ruleSet": None,
        "catalogSha": None,
        "createdAt": timestamp(row["created_at"]),
        "error": row["error"],
    }


def first_answer(row: Row) -> bytes:
    """Return the EstimateResponse as it was when the quote was ordered, however far it is now."""
    ordered = {
        **row,
        "status": "pending",
        "standing": "proposed" if row["revised_from"] else "current",
        "response": None,
        "error": None,
        "updated_at": row["created_at"],
        "current_id": row["revised_from"] or row["id"],
    }
    return answer(ordered)


def sealed_response(response: Mapping[str, Any]) -> str:
    """Return the part of a completed EstimateResponse that never changes, as it is stored."""
    return _json({name: value for name, value in response.items() if name != "updatedAt"})


def timestamp(moment: datetime) -> str:
    """Return a time in UTC, ISO 8601 with Z.

    >>> timestamp(datetime(2026, 1, 31, 9, 30, 1, 250000, tzinfo=UTC))
    '2026-01-31T09:30:01.250000Z'
    """
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
