"""Packs to hand on: whole, or without what a customer may not see."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from kis_estimator.errors import KisError
from kis_estimator.evidence import layout
from kis_estimator.evidence.archive import write_zip
from kis_estimator.evidence.canonical import pretty, sha256, sums_text
from kis_estimator.evidence.pack import Pack
from kis_estimator.evidence.verify import verify


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that appears whole or not at all. Raises FILE_EXISTS or FILE_UNWRITABLE."""
    try:
        handle, draft = tempfile.mkstemp(prefix=".kis-", dir=path.parent)
    except OSError as error:
        raise KisError.of("FILE_UNWRITABLE", path=str(path), reason=error.strerror) from error
    try:
        with os.fdopen(handle, "wb") as out:
            os.fchmod(out.fileno(), 0o644)
            yield out
        os.link(draft, path)  # unlike a rename, a link never replaces what is there
    except FileExistsError:
        raise KisError.of("FILE_EXISTS", path=str(path)) from None
    except OSError as error:
        raise KisError.of("FILE_UNWRITABLE", path=str(path), reason=error.strerror) from error
    finally:
        Path(draft).unlink()


def export(pack: Pack, out: IO[bytes]) -> None:
    """Write a whole pack as a zip. Raises EXPORT_FAULTY where the pack does not verify."""
    _require_sound(pack)
    write_zip(out, pack.digests, pack.read)


def export_for_customer(
    pack: Pack, out: IO[bytes], kinds: Collection[str] | None = None
) -> tuple[str, ...]:
    """Write the documents, manifest and signature of a pack as a zip; return what is withheld.

    `kinds` are the suffixes of the documents that go along, all without it; `json` stands for
    estimate.json, which goes along only where it is asked for.
    The manifest goes on listing the withheld files, and `withheld.json` says which they are.
    Raises EXPORT_FAULTY where the pack does not verify, EXPORT_OF_CUSTOMER where it is one already.
    """
    if layout.WITHHELD in pack.digests:
        raise KisError.of("EXPORT_OF_CUSTOMER")
    _require_sound(pack)
    given = {
        name
        for name in pack.digests
        if layout.for_customers(name) and (kinds is None or name.rpartition(".")[2] in kinds)
    }
    withheld = tuple(sorted(pack.digests.keys() - layout.OUTSIDE - given))
    given |= pack.digests.keys() & {layout.MANIFEST, layout.SIGNATURE}
    if kinds is not None and "json" in kinds:
        given |= pack.digests.keys() & {layout.ESTIMATE}
    evidence_sha = pack.digests[layout.MANIFEST]
    made = {layout.WITHHELD: pretty({"evidenceSha": evidence_sha, "withheld": withheld})}
    digests = {name: pack.digests[name] for name in given}
    digests |= {name: sha256(data) for name, data in made.items()}
    made[layout.SUMS] = sums_text(digests)
    write_zip(out, given | made.keys(), lambda name: made.get(name) or pack.read(name))
    return withheld


def _require_sound(pack: Pack) -> None:
    problems = verify(pack).problems
    if problems:
        raise KisError.of("EXPORT_FAULTY", files=[problem.name for problem in problems[:10]])
