"""What lies in storage and is unknown to the database, as after a restore."""

from __future__ import annotations

from pathlib import Path

from kis_estimator.store.blobs import Blobs
from kis_estimator.store.snapshots import put, session


def list_unknown_objects(dsn: str, blobs: Blobs, folder: Path, name: str) -> int:
    """Write the names of those objects into a file of the folder, and return how many they are.

    Nothing is deleted. Names are read from storage first: an object is always put after its row.
    """
    stored = set(blobs.keys())
    with session(dsn) as conn:
        found = conn.execute("select to_regclass('estimator.evidence_blobs') is not null")
        known: set[str] = set()
        if found.fetchone() == (True,):
            rows = conn.execute(
                "select org_id || '/' || left(sha256, 2) || '/' || sha256"
                " from estimator.evidence_blobs"
            )
            known = {key for (key,) in rows}
    unknown = sorted(stored - known)
    put(folder, name, ["".join(f"{key}\n" for key in unknown).encode()])
    return len(unknown)
