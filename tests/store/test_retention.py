"""What a sweep deletes, and what it must not."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from tests.store import quotes

from kis_estimator.errors import KisError
from kis_estimator.evidence import sha256
from kis_estimator.service.retention import sweep
from kis_estimator.store import estimates
from kis_estimator.store.blobs import blob_key
from kis_estimator.store.db import Database, Principal
from kis_estimator.store.local_blobs import LocalBlobs

DAYS = 30


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path, b"s" * 32, "")


def completed(
    db: Database, principal: Principal, blobs: LocalBlobs, base: UUID | None = None
) -> tuple[UUID, str]:
    """Return a quote and the key of its object, which stands in storage."""
    quote_id = quotes.ordered(db, principal, base=base)
    assert quotes.complete(db, quote_id)
    with db.tenant(principal) as conn:
        row = estimates.pack(conn, quote_id)
    data = row["number"].encode()
    assert sha256(data) == row["pack_sha"]
    key = blob_key(principal.org_id, row["pack_sha"])
    blobs.put(key, data, "application/pdf")
    return quote_id, key


def age(db: Database, principal: Principal, days: int) -> None:
    with db.service() as conn:
        conn.execute(
            "update estimator.evidence_blobs set last_put_at = now() - make_interval(days => %s)"
            " where org_id = %s",
            [days, principal.org_id],
        )


def test_a_quote_in_force_is_never_swept(
    db: Database, principal: Principal, blobs: LocalBlobs
) -> None:
    _, key = completed(db, principal, blobs)
    age(db, principal, 10_000)
    sweep(db, blobs, DAYS)
    assert blobs.get(key)


def test_what_is_superseded_goes_after_its_time(
    db: Database, principal: Principal, blobs: LocalBlobs
) -> None:
    quote_id, key = completed(db, principal, blobs)
    with db.service() as conn:  # a blob of an earlier run that no quote speaks of any more
        stray = estimates.Stored(sha256=sha256(b"stray"), size_bytes=5, media_type="text/plain")
        estimates.expect_blobs(conn, principal.org_id, [stray])
    stray_key = blob_key(principal.org_id, stray.sha256)
    blobs.put(stray_key, b"stray", "text/plain")
    age(db, principal, DAYS - 1)
    sweep(db, blobs, DAYS)
    assert blobs.get(stray_key)
    age(db, principal, DAYS + 1)
    assert sweep(db, blobs, DAYS) >= 1
    with pytest.raises(KisError, match="STORAGE_MISSING"):
        blobs.get(stray_key)
    assert blobs.get(key)
    with db.tenant(principal) as conn:
        assert len(estimates.documents(conn, quote_id, None)) == 1


def test_what_is_put_again_is_kept_again(
    db: Database, principal: Principal, blobs: LocalBlobs
) -> None:
    quotes.ordered(db, principal)
    stray = estimates.Stored(sha256=sha256(b"again"), size_bytes=5, media_type="text/plain")
    for _ in range(2):
        with db.service() as conn:
            estimates.expect_blobs(conn, principal.org_id, [stray])
        blobs.put(blob_key(principal.org_id, stray.sha256), b"again", "text/plain")
        assert blobs.get(blob_key(principal.org_id, stray.sha256)) == b"again"
        sweep(db, blobs, DAYS)
        assert blobs.get(blob_key(principal.org_id, stray.sha256)) == b"again"
        age(db, principal, DAYS + 1)
        sweep(db, blobs, DAYS)
        with pytest.raises(KisError):
            blobs.get(blob_key(principal.org_id, stray.sha256))
