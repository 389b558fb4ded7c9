"""Evidence is kept for a time; that of a quote in force is kept for good."""

from __future__ import annotations

from kis_estimator.store import estimates
from kis_estimator.store.blobs import Blobs, blob_key
from kis_estimator.store.db import Database

_AT_ONCE = 10  # deleted within the time that the transaction may be idle


def tidy(database: Database, blobs: Blobs, days: int | None) -> int:
    """Forget old idempotency keys, and sweep where evidence is kept for a time; as `sweep`."""
    with database.service() as conn:
        estimates.forget_keys(conn)
    return 0 if days is None else sweep(database, blobs, days)


def sweep(database: Database, blobs: Blobs, days: int) -> int:
    """Delete what nobody put for so many days and nothing in force needs; return how many.

    A quote in force, or a revision under way, keeps all its objects. Hashes and rows stay.
    """
    swept = 0
    while True:
        with database.service() as conn:
            found = estimates.sweepable(conn, days, _AT_ONCE)
            blobs.delete(blob_key(org_id, sha256) for org_id, sha256 in found)
            for org_id, sha256 in found:
                estimates.mark_swept(conn, org_id, sha256)
        swept += len(found)
        if len(found) < _AT_ONCE:
            return swept
