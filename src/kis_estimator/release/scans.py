"""The security checks that are no tests: hashes in the locks, secrets in the files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from kis_estimator.release import names
from kis_estimator.release.locks import pins
from kis_estimator.release.results import Check


def scans(source: Path, secrets: Mapping[str, re.Pattern[bytes]]) -> Iterator[Check]:
    """Yield what was found in the files of a commit, and what was not looked for."""
    unhashed = [text for name in (names.LOCK, names.DEV_LOCK) for text in _unhashed(source, name)]
    yield _judged("hashes in the locks", unhashed)
    yield _judged("secrets in files", list(secrets_in(source, secrets)))
    yield Check(
        "known vulnerabilities",
        "not run",
        f"no list of them is at hand here: give {names.SBOM} to a scanner that has one",
        blocks=False,
    )


def secrets_in(source: Path, forms: Mapping[str, re.Pattern[bytes]]) -> Iterator[str]:
    """Yield the place of each text that looks like a secret, never the text."""
    for path in sorted(source.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        data = path.read_bytes()
        for what, form in forms.items():
            for match in form.finditer(data):
                line = data.count(b"\n", 0, match.start()) + 1
                yield f"{path.relative_to(source).as_posix()}:{line} ({what})"


def _judged(name: str, faults: list[str]) -> Check:
    return Check(name, "failed" if faults else "passed", ", ".join(faults))


def _unhashed(source: Path, name: str) -> Iterator[str]:
    """Yield what a lock file pins without a hash."""
    try:
        for pin in pins((source / name).read_text(encoding="utf-8")):
            if not pin.hashes:
                yield f"{name}: {pin.name}"
    except (OSError, ValueError) as error:
        yield f"{name}: {error}"
