"""The manifest: an in-toto Statement over every deterministic file of a pack."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kis_estimator.engine.model import EngineResult
from kis_estimator.evidence import names
from kis_estimator.evidence.canonical import Json, canonical, sha256
from kis_estimator.evidence.layout import OUTSIDE

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://kis-estimator.com/evidence/v1"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackFacts:
    """What the manifest says of a run; `result` holds the gates of every stage.

    `estimate_sha` is `estimate_sha` of the EstimateResponse, which itself carries the evidenceSha.
    """

    number: str
    revision: int
    created_at: str
    engine_version: str
    design_sha: str
    estimate_sha: str
    result: EngineResult


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as read: SHA-256 by file name, and what it says of the run."""

    digests: Mapping[str, str]
    predicate: Mapping[str, Json]


def estimate_sha(estimate: Mapping[str, Json]) -> str:
    """Return the SHA-256 of an EstimateResponse as if it did not know its evidenceSha yet."""
    return sha256(canonical({**estimate, "evidenceSha": None}))


def manifest_of(files: Mapping[str, bytes], facts: PackFacts) -> bytes:
    """Return the manifest of the deterministic files of a pack, as canonical JSON."""
    misplaced = sorted(name for name in files if name in OUTSIDE or not names.is_safe(name))
    if misplaced:
        raise ValueError(f"not for the manifest: {misplaced}")
    result = facts.result
    return canonical(
        {
            "_type": STATEMENT_TYPE,
            "subject": [
                {"name": name, "digest": {"sha256": sha256(data)}}
                for name, data in sorted(files.items())
            ],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "number": facts.number,
                "revision": facts.revision,
                "createdAt": facts.created_at,
                "engineVersion": facts.engine_version,
                "ruleSet": result.rule_set,
                "rulesSha": result.rules_sha,
                "catalogSha": result.catalog_sha,
                "designSha": facts.design_sha,
                "estimateSha": facts.estimate_sha,
                "gates": result.gates,
                "totals": result.totals,
            },
        }
    )


def read_manifest(data: bytes) -> Manifest:
    """Return a manifest that is exactly as `manifest_of` writes it. Raises ValueError."""
    try:
        statement: dict[str, Any] = json.loads(data)
        if canonical(statement) != data:
            raise ValueError("not canonical JSON")
        if set(statement) != {"_type", "subject", "predicateType", "predicate"}:
            raise ValueError("fields")
        if statement["_type"] != STATEMENT_TYPE or statement["predicateType"] != PREDICATE_TYPE:
            raise ValueError("type")
        if not isinstance(statement["predicate"], dict):
            raise ValueError("predicate")  # noqa: TRY004 - one error for all that is wrong
        digests = {entry["name"]: entry["digest"]["sha256"] for entry in statement["subject"]}
        if list(digests) != sorted(digests) or len(digests) != len(statement["subject"]):
            raise ValueError("subject order")
        for name, digest in digests.items():
            if name in OUTSIDE or not names.is_safe(name) or not _SHA256.fullmatch(digest):
                raise ValueError(f"subject {names.shown(name)}")
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__} {error}") from error
    return Manifest(digests, statement["predicate"])
