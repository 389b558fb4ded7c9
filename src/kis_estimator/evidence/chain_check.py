"""Check the log of a chain against itself and against packs."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kis_estimator.errors import Locale, Notice
from kis_estimator.evidence import envelope, layout
from kis_estimator.evidence.chain import ChainRecord, read_record
from kis_estimator.evidence.verify import PROBLEMS, Report, Verdict, verdict_response


@dataclass(frozen=True, slots=True)
class ChainReport:
    """The verdicts of a log: its lines by number, then packs by name; `head` is its last record."""

    verdicts: tuple[Verdict, ...]
    head: ChainRecord | None

    @property
    def ok(self) -> bool:
        """Return whether nothing is wrong."""
        return not self.problems

    @property
    def problems(self) -> tuple[Verdict, ...]:
        """Return the verdicts that fail the chain."""
        return tuple(verdict for verdict in self.verdicts if verdict.kind in PROBLEMS)

    def response(self, locale: Locale) -> dict[str, Any]:
        """Return the report as JSON."""
        head = self.head
        return {
            "ok": self.ok,
            "head": None if head is None else {"sequence": head.sequence, "sha": head.sha},
            "verdicts": [verdict_response(verdict, locale) for verdict in self.verdicts],
        }


def verify_chain(
    log: bytes,
    packs: Mapping[str, Report],
    keys: Sequence[envelope.Verifier] = (),
    *,
    whole: bool,
) -> ChainReport:
    """Check every record of a log, and that each pack is in it.

    `whole` says that `packs` are all there are: a record without its pack is then `missing`.
    """
    present = {report.evidence_sha for report in packs.values() if not report.for_customer}
    verdicts: list[Verdict] = []
    records: list[ChainRecord] = []
    for number, line in enumerate(log.splitlines(), start=1):
        name = f"#{number}"
        try:
            record, sealed = read_record(line)
        except ValueError as error:
            verdicts.append(_changed(name, "VERIFY_BROKEN", reason=str(error)))
            continue
        what = {"number": record.number, "revision": record.revision}
        if (record.sequence, record.previous) != _place_after(records):
            verdicts.append(_changed(name, "CHAIN_ORDER", **what))
        elif keys and envelope.signed_by(sealed, keys) is None:
            verdicts.append(_changed(name, "VERIFY_SIGNATURE"))
        elif whole and record.evidence_sha not in present:
            verdicts.append(Verdict(name, "missing", Notice("CHAIN_PACK_MISSING", what)))
        else:
            verdicts.append(Verdict(name, "ok" if keys else "unchecked"))
        records.append(record)
    hashes = {record.sha for record in records}
    packed = {record.evidence_sha for record in records}
    verdicts += [_pack(name, report, hashes, packed) for name, report in packs.items()]
    return ChainReport(tuple(verdicts), records[-1] if records else None)


def _place_after(records: Sequence[ChainRecord]) -> tuple[int, str | None]:
    """Return the sequence and previous hash that the next record must have."""
    return (records[-1].sequence + 1, records[-1].sha) if records else (1, None)


def _pack(
    name: str, report: Report, hashes: Container[str], packed: Container[str | None]
) -> Verdict:
    """Judge whether a pack stands in the log: its own record, or in a customer's pack its hash."""
    if report.record is None and not report.for_customer:
        return Verdict(name, "missing", Notice("CHAIN_NO_RECORD"))
    listed = report.record is None or report.record.sha in hashes
    if not listed or report.evidence_sha not in packed:
        return Verdict(name, "extra", Notice("CHAIN_UNLISTED"))
    return Verdict(name, "ok")


def _changed(name: str, code: str, **params: object) -> Verdict:
    return Verdict(name, "changed", Notice(code, params))


def packs_beside(log: Path) -> list[Path]:
    """Return the packs, folders and zips, that stand where a log stands."""
    return sorted(
        path
        for path in log.parent.iterdir()
        if path.suffix == ".zip" or (path / layout.MANIFEST).is_file()
    )
