"""Everything that stands against a cut, found before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from kis_estimator.errors import Notice
from kis_estimator.release import names
from kis_estimator.release.checkout import Checkout

_CHANGELOG = "CHANGELOG.md"
_SHOWN_FILES = 10
_VERSION_LINE = re.compile(r'^__version__ = "([^"]*)"$', re.MULTILINE)


def refusals(
    checkout: Checkout, version: str, output: Path, contract: bytes, files: Mapping[str, str]
) -> Iterator[Notice]:
    """Yield each reason why no release of this version can be cut, with its remedy.

    `contract` is `openapi.yaml` as the code makes it, `files` what a release copies.
    """
    yield from _tree(checkout, version, output)
    yield from _version(checkout.root, version)
    yield from _changelog(_text(checkout.root / _CHANGELOG), version)
    if _bytes(checkout.root / names.OPENAPI) not in {None, contract}:
        yield Notice("RELEASE_OPENAPI")
    wanted = {*files.values(), names.DEV_LOCK, "script/test", "script/bench"}
    missing = sorted(name for name in wanted if not (checkout.root / name).exists())
    if missing:
        yield Notice("RELEASE_FILES_MISSING", {"files": missing})


def _tree(checkout: Checkout, version: str, output: Path) -> Iterator[Notice]:
    changed = checkout.changes(output)
    if changed:
        shown = changed[:_SHOWN_FILES] + ["…"] * (len(changed) > _SHOWN_FILES)
        yield Notice("RELEASE_DIRTY", {"count": len(changed), "files": shown})
    tag, folder = names.tag_of(version), output / f"v{version}"
    if checkout.has_tag(tag):
        yield Notice("RELEASE_TAG_EXISTS", {"tag": tag})
    if folder.exists():
        yield Notice("RELEASE_EXISTS", {"folder": str(folder)})
    if not checkout.has_identity():
        yield Notice("RELEASE_NO_IDENTITY")


def _version(root: Path, version: str) -> Iterator[Notice]:
    found = _VERSION_LINE.search(_text(root / "src/kis_estimator/__init__.py"))
    if found is None or found[1] != version:
        yield Notice(
            "RELEASE_VERSION_DIFFERS", {"found": found[1] if found else "–", "version": version}
        )


def _changelog(text: str, version: str) -> Iterator[Notice]:
    heading = re.search(rf"^## \[{re.escape(version)}\] - (\S+)$", text, re.MULTILINE)
    if heading is None or not _is_date(heading[1]):
        yield Notice("RELEASE_CHANGELOG_HEADING", {"version": version})
    unreleased = re.search(r"^## \[Unreleased\]$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if unreleased is None or unreleased[1].strip():
        yield Notice("RELEASE_CHANGELOG_UNRELEASED")


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _bytes(path: Path) -> bytes | None:
    """Return a file's bytes; None where it is missing, which is said of all files at once."""
    return path.read_bytes() if path.is_file() else None


def _text(path: Path) -> str:
    return (_bytes(path) or b"").decode("utf-8", errors="replace")
