"""What is signed of a release: every file by its SHA-256, and what the release says of itself."""

from __future__ import annotations

from collections.abc import Mapping

from kis_estimator.evidence.canonical import Json, canonical
from kis_estimator.evidence.manifest import STATEMENT_TYPE
from kis_estimator.release import names

PREDICATE_TYPE = "https://kis-estimator.com/release/v1"


def statement(sums: Mapping[str, str], sums_sha: str, facts: Mapping[str, Json]) -> bytes:
    """Return the in-toto statement over SHA256SUMS and every file that it lists."""
    subjects = {**sums, names.SUMS: sums_sha}
    return canonical(
        {
            "_type": STATEMENT_TYPE,
            "subject": [
                {"name": name, "digest": {"sha256": sha}} for name, sha in sorted(subjects.items())
            ],
            "predicateType": PREDICATE_TYPE,
            "predicate": facts,
        }
    )
