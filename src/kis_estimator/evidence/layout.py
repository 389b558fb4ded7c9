"""Where everything stands in a pack, which part a customer may see, and what must be there."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from fnmatch import fnmatchcase

from kis_estimator.engine.catalog import FILES
from kis_estimator.engine.model import Gate
from kis_estimator.engine.pipeline import STAGES

MANIFEST = "manifest.json"
SIGNATURE = "manifest.dsse.json"
CHAIN = "chain.dsse.json"
SUMS = "SHA256SUMS"
ESTIMATE = "estimate.json"
RUN = "run.json"
WITHHELD = "withheld.json"

OUTSIDE = frozenset({MANIFEST, SIGNATURE, CHAIN, SUMS, ESTIMATE, RUN, WITHHELD})
"""Files that the manifest does not list: itself, what speaks of it, and what differs per run."""

REQUEST = "inputs/request.json"
OPTIONS = "inputs/options.json"
UPLOAD = "inputs/upload/"
CATALOG = "inputs/catalog/"
RULES = "inputs/rules/kr-panel.toml"
COMPANY = "inputs/company.toml"
SEAL = "inputs/seal.png"
FORM = "inputs/form.xlsx"
PICTURES = "evidence/2-breaker/"

_CUSTOMER = re.compile(r"quotation\.(xlsx|pdf)|form\.xlsx|drawings/[^/]+\.(svg|dxf)")
_REQUIRED = (
    f"{UPLOAD}*",
    REQUEST,
    OPTIONS,
    *(CATALOG + name for name in FILES),
    RULES,
    COMPANY,
    *(
        f"evidence/{number}-{stage}/{part}.json"
        for number, stage in enumerate(STAGES, start=1)
        for part in ("input", "output", "metrics", "validation")
    ),
    f"{PICTURES}*.svg",
    "quotation.xlsx",
    "quotation.pdf",
    "drawings/*.svg",
    "drawings/*.dxf",
)

_NOT_IN_NAME = re.compile(r'[\\/:*?"<>|]|\s+')
_NAME_BYTES = 150
_NAMELESS = "upload"


def for_customers(name: str) -> bool:
    """Return whether a customer may have a file of the manifest: the documents, nothing else.

    Everything else holds the markup or purchase prices, or may one day: it is withheld.

    >>> [for_customers(n) for n in ("form.xlsx", "inputs/request.json", "evidence/x.svg")]
    [True, False, False]
    """
    return _CUSTOMER.fullmatch(name) is not None


def upload_path(name: str) -> str:
    """Return where the customer's file stands; its name without what a file system may refuse.

    >>> upload_path("../분전반 1.xlsx"), upload_path("-"), upload_path(".env")
    ('inputs/upload/분전반_1.xlsx', 'inputs/upload/upload', 'inputs/upload/env')
    """
    last = re.split(r"[\\/]", unicodedata.normalize("NFC", name))[-1]
    plain = _NOT_IN_NAME.sub("_", "".join(c for c in last if c.isprintable())).strip("._- ")
    stem, dot, suffix = plain.rpartition(".")
    if len(plain.encode()) > _NAME_BYTES:
        suffix = suffix if dot and len(suffix) <= len("xlsx") else ""
        stem = plain.encode()[:_NAME_BYTES].decode(errors="ignore")
        plain = f"{stem}.{suffix}" if suffix else stem
    return UPLOAD + (plain or _NAMELESS)


def missing_parts(names: Collection[str]) -> tuple[str, ...]:
    """Return the parts that a complete pack has and these files lack, as patterns."""
    return tuple(part for part in _REQUIRED if not any(fnmatchcase(name, part) for name in names))


def complete_gate(names: Collection[str]) -> Gate:
    """Judge the gate `evidence.complete` of the deterministic files of a pack."""
    missing = missing_parts(names)
    return Gate(
        stage="evidence",
        name="complete",
        value=not missing,
        limit=True,
        passed=not missing,
        basis=f"missing: {', '.join(missing)}" if missing else None,
    )
