"""Packs as a run makes them, and their files changed for a test."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from kis_estimator import evidence
from kis_estimator.documents.supplier import placeholder_bytes
from kis_estimator.evidence import Inputs, Report, RunOptions, Signer
from kis_estimator.evidence.archive import write_zip
from kis_estimator.evidence.envelope import Verifier
from kis_estimator.service import Estimate, estimate, load_engine
from kis_estimator.service.engine import engine_of

SCHEDULE = "메인차단기 4P 40A에 분기차단기 누전 4P 20A 2개, 누전 2P 20A 8개"


def inputs(number: str = "KIS-20260131-0001", schedule: str = SCHEDULE) -> Inputs:
    engine = load_engine()
    return Inputs(
        upload_name="견적 요청.txt",
        upload=schedule.encode(),
        options=RunOptions(
            number=number,
            revision=1,
            date=date(2026, 1, 31),
            reading_locale="ko-KR",
            customer="△△건설",
        ),
        catalog=engine.catalog_files,
        rules=engine.rule_bytes,
        company=placeholder_bytes(),
    )


def sealed(given: Inputs, signer: Signer | None = None) -> Estimate:
    return estimate(given, engine_of(given.catalog, given.rules), signer=signer)


def write(files: Mapping[str, bytes], folder: Path) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def cheaper(prices: Path) -> None:
    """Let every item of a price table, whose last column is the price, cost 1 won."""
    head, *rows = prices.read_text().splitlines()
    cheap = [row.rpartition(",")[0] + ",1" for row in rows]
    prices.write_text("\n".join([head, *cheap, ""]))


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    write_zip(out, files, files.__getitem__)
    return out.getvalue()


def check(source: Path, *keys: Verifier) -> Report:
    with evidence.open_pack(source) as pack:
        return evidence.verify(pack, keys)


def wrong(report: Report) -> dict[str, str]:
    """Return file -> verdict of what fails a pack."""
    return {verdict.name: verdict.kind for verdict in report.problems}


def code(report: Report, name: str) -> str | None:
    """Return the code of the reason of a file's verdict."""
    notice = next(verdict.notice for verdict in report.verdicts if verdict.name == name)
    return notice.code if notice else None
