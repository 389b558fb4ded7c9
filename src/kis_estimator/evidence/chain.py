"""The chain of an organisation: signed records, each over a pack and the record before it.

The log holds one envelope a line and only grows. A record that is taken out, changed or moved
breaks the numbers and hashes after it. Cutting off the end shows only against the head (number and
hash of the last record), so an auditor keeps the head of the last look.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kis_estimator.errors import KisError
from kis_estimator.evidence import envelope
from kis_estimator.evidence.canonical import Json, canonical, read_object, sha256

LOG = "evidence-chain.jsonl"
"""Name of the log beside the folders of the runs."""

_TYPES = {
    "sequence": (int,),
    "number": (str,),
    "revision": (int,),
    "evidenceSha": (str,),
    "previous": (str, type(None)),
}


@dataclass(frozen=True, slots=True)
class ChainRecord:
    """A pack's place in a chain; `previous` is the hash of the record before, None in the first."""

    sequence: int
    number: str
    revision: int
    evidence_sha: str
    previous: str | None

    @property
    def payload(self) -> bytes:
        """Return what is signed."""
        return canonical(self)

    @property
    def sha(self) -> str:
        """Return the hash by which the next record names this one."""
        return sha256(self.payload)


def next_record(
    evidence_sha: str, number: str, revision: int, previous: ChainRecord | None
) -> ChainRecord:
    """Return the record of a pack that follows `previous`."""
    if previous is None:
        return ChainRecord(1, number, revision, evidence_sha, None)
    return ChainRecord(previous.sequence + 1, number, revision, evidence_sha, previous.sha)


def sign_record(record: ChainRecord, signer: envelope.Signer) -> bytes:
    """Return the envelope of a record: `chain.dsse.json` of its pack and a line of the log."""
    return envelope.seal(record.payload, envelope.RECORD, signer)


def read_record(data: bytes) -> tuple[ChainRecord, Json]:
    """Return a record and the JSON of its envelope. Raises ValueError; checks no signature."""
    payload, sealed = envelope.open_envelope(data, envelope.RECORD)
    table = read_object(payload, _TYPES)
    record = ChainRecord(
        table["sequence"],
        table["number"],
        table["revision"],
        table["evidenceSha"],
        table["previous"],
    )
    if record.payload != payload:
        raise ValueError("not canonical JSON")
    return record, sealed


# ---------------------------------------------------------------- the log


class ChainLog:
    """The log of a chain while it is locked: nobody else can add a record."""

    def __init__(self, file: IO[bytes], last: ChainRecord | None) -> None:
        self._file = file
        self.last = last

    def append(self, record: ChainRecord, sealed: bytes) -> None:
        """Add the envelope of a record made after `last`, to disk before this returns."""
        self._file.write(sealed + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.last = record


@contextmanager
def locked_log(path: Path) -> Iterator[ChainLog]:
    """Open the log to add records, made when it is missing. Raises CHAIN_LOG_BROKEN."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        handle = os.open(path, flags, 0o644)
    except OSError as error:
        raise KisError.of(
            "FOLDER_UNWRITABLE", folder=str(path.parent), reason=error.strerror
        ) from error
    with os.fdopen(handle, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield ChainLog(file, _last(file.read(), path))


def _last(data: bytes, path: Path) -> ChainRecord | None:
    if not data:
        return None
    if not data.endswith(b"\n"):
        raise KisError.of("CHAIN_LOG_BROKEN", path=str(path), reason="torn line")
    try:
        return read_record(data.splitlines()[-1])[0]
    except ValueError as error:
        raise KisError.of("CHAIN_LOG_BROKEN", path=str(path), reason=str(error)) from error
