"""Runs of the whole product, as the command line makes them."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from kis_estimator import service
from kis_estimator.documents.supplier import placeholder_bytes
from kis_estimator.evidence import Inputs, RunOptions, Signer

DAY = date(2026, 1, 31)
NUMBER = "KIS-20260131-0001"


@cache
def engine() -> service.Engine:
    return service.load_engine()


def inputs(upload: bytes, name: str, **fields: Any) -> Inputs:
    """`fields` are options of the run, or `company`, `seal`, `form`."""
    files = {key: fields.pop(key) for key in ("company", "seal", "form") if key in fields}
    options: dict[str, Any] = {
        "number": NUMBER, "revision": 1, "date": DAY, "reading_locale": "ko-KR", **fields
    }  # fmt: skip
    return Inputs(
        upload_name=name,
        upload=upload,
        options=RunOptions(**options),
        catalog=engine().catalog_files,
        rules=engine().rule_bytes,
        **{"company": placeholder_bytes(), **files},
    )


def estimate(given: Inputs, signer: Signer | None = None) -> service.Estimate:
    return service.estimate(given, engine(), signer=signer)


def sample(path: Path, **fields: Any) -> service.Estimate:
    return estimate(inputs(path.read_bytes(), path.name, **fields))
