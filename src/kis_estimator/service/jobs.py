"""What a worker does for a job: run the estimate, store its objects, then write its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, cast
from uuid import UUID

from kis_estimator.errors import KisError, Locale, Notice
from kis_estimator.evidence import Inputs, RunOptions, sha256
from kis_estimator.service.orders import OrderOptions, sealed_response, timestamp
from kis_estimator.service.pricebook import PriceBooks
from kis_estimator.service.runner import Made, Runner
from kis_estimator.store import estimates
from kis_estimator.store.blobs import Blobs, blob_key
from kis_estimator.store.db import Database
from kis_estimator.store.estimates import Claim, Happened, Stored, StoredDocument

PACK_TYPE = "application/zip"
# Not the table of the host: a bucket takes known types only, and hosts know different ones.
_MEDIA_TYPES = {
    ".dxf": "image/vnd.dxf",
    ".json": "application/json",
    ".pdf": "application/pdf",
    ".svg": "image/svg+xml",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".zip": PACK_TYPE,
}
_UPLOADS = 8
_RETRIED = frozenset({"DATABASE_UNAVAILABLE", "RUN_CRASHED", "RUN_TIMEOUT"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What jobs need. `company` and `seal` name the supplier on every document made here.

    Evidence that nothing in force needs is kept for `retention_days`, or for good.
    """

    database: Database
    blobs: Blobs
    books: PriceBooks
    runner: Runner
    company: bytes
    seal: bytes | None
    production: bool
    retention_days: int | None = None
    finished: Callable[[str, Iterable[Mapping[str, Any]]], None] = lambda _status, _gates: None


class OvertakenError(Exception):
    """Another worker has taken the quote: this run writes nothing more."""


def run_quote(shop: Workshop, quote_id: UUID) -> None:
    """Work out a quote. Safe to run twice, and by two workers at once: one of them writes.

    What the run finds wrong with its inputs ends the quote as failed; every other error is raised
    for a retry.
    """
    with shop.database.service() as conn:
        claim = estimates.claim_quote(conn, quote_id)
    if claim is None:
        return
    with suppress(OvertakenError):
        try:
            made = shop.runner.run(_inputs(shop, claim), _locale(claim), _recorder(shop, claim))
        except KisError as error:
            if any(notice.code in _RETRIED for notice in error.notices):
                raise
            give_up(shop, quote_id, error.notices, claim.attempt)
        else:
            _store(shop, claim, made)


def give_up(
    shop: Workshop, quote_id: UUID, notices: tuple[Notice, ...], attempt: int | None = None
) -> None:
    """End a quote as failed with its reasons.

    Nothing happens where it has ended, or where another run than this `attempt` has taken it.
    """
    with shop.database.service() as conn:
        locale = cast("Locale", estimates.quote(conn, quote_id)["locale"])
        error = _error(notices, locale)
        events = [
            _happened("ERROR", {"code": error["code"], "message": error["message"]}),
            _done(quote_id, "failed"),
        ]
        if estimates.fail(conn, quote_id, error, events, attempt):
            shop.finished("failed", ())


def _error(notices: tuple[Notice, ...], locale: Locale) -> dict[str, Any]:
    """Return the reasons as a response shows them: the first leads, all stand in the details."""
    told: list[dict[str, Any]] = [
        {
            "code": notice.code,
            "message": notice.message(locale),
            "hint": notice.hint(locale),
            "sheet": notice.sheet,
            "row": notice.row,
            "text": notice.text,
        }
        for notice in notices
    ]
    details = [{k: v for k, v in one.items() if v is not None} for one in told]
    lead = {k: v for k, v in details[0].items() if k in {"code", "message", "hint"}}
    return {**lead, "details": details}


def _locale(claim: Claim) -> Locale:
    return cast("Locale", claim.locale)


def _inputs(shop: Workshop, claim: Claim) -> Inputs:
    """Return what the run is given; everything in it comes from the quote's own rows."""
    chosen = OrderOptions(**claim.options)
    return Inputs(
        upload_name=claim.filename,
        upload=claim.content,
        options=RunOptions(
            number=claim.number,
            revision=claim.revision,
            date=claim.day,
            reading_locale=chosen.reading_locale,
            locale=chosen.locale,
            customer=chosen.customer,
            project=chosen.project,
            brand=chosen.brand,
            accept_proposed_main=chosen.accept_proposed_main,
            production=shop.production,
            estimate_id=str(claim.id),
            created_at=timestamp(claim.created_at),
        ),
        catalog={name: text.encode() for name, text in claim.catalog_files.items()},
        rules=shop.books.program.rule_bytes,
        company=shop.company,
        seal=shop.seal,
    )


def _recorder(shop: Workshop, claim: Claim) -> Callable[[list[Happened]], None]:
    def record(events: list[Happened]) -> None:
        with shop.database.service() as conn:
            if not estimates.add_events(conn, claim, events):
                raise OvertakenError

    return record


def _store(shop: Workshop, claim: Claim, made: Made) -> None:
    """Put the objects first, then write the rows that speak of them, in one transaction."""
    documents = [
        StoredDocument(
            kind=PurePosixPath(path).suffix.removeprefix("."),
            path=path,
            blob=_stored(content, media_type(path)),
        )
        for path, content in made.documents.items()
    ]
    pack = _stored(made.pack, PACK_TYPE)
    contents = {one.blob: made.documents[one.path] for one in documents} | {pack: made.pack}
    put_all(shop, claim.org_id, contents)
    response = dict(made.response)
    results = estimates.Results(
        response=sealed_response(response), facts=response, documents=documents, pack=pack
    )
    with shop.database.service() as conn:
        done = [_done(claim.id, "completed")]
        if not estimates.complete(conn, claim, results, done):
            raise OvertakenError
    shop.finished("completed", response["gates"])


def put_all(shop: Workshop, org_id: UUID, contents: Mapping[Stored, bytes]) -> None:
    """Put objects into storage, several at a time. Raises the first error."""
    with shop.database.service() as conn:
        estimates.expect_blobs(conn, org_id, contents)
    with ThreadPoolExecutor(_UPLOADS) as pool:
        jobs = [
            pool.submit(shop.blobs.put, blob_key(org_id, blob.sha256), content, blob.media_type)
            for blob, content in contents.items()
        ]
        for job in jobs:
            job.result()


def media_type(path: str) -> str:
    """Return the media type of a document by its name.

    >>> media_type("drawings/01-lp-1-outline.dxf"), media_type("quotation.pdf")
    ('image/vnd.dxf', 'application/pdf')
    """
    return _MEDIA_TYPES.get(PurePosixPath(path).suffix, "application/octet-stream")


def _stored(content: bytes, kind: str) -> Stored:
    return Stored(sha256=sha256(content), size_bytes=len(content), media_type=kind)


def _happened(kind: str, data: Mapping[str, Any]) -> Happened:
    return Happened(kind, data, datetime.now(UTC))


def _done(quote_id: UUID, status: str) -> Happened:
    return _happened("DONE", {"result": {"estimateId": str(quote_id), "status": status}})
