"""A pack, folder or zip, opened without trusting it: only regular files inside it are read."""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO

from kis_estimator.errors import KisError, Notice
from kis_estimator.evidence import names
from kis_estimator.evidence.archive import ZIP_ERRORS, Entry, open_archive, zip_entries
from kis_estimator.evidence.layout import MANIFEST

WHOLE = "."
"""The name under which a problem of the pack as a whole is reported."""

_CHUNK = 1 << 20
_READ_LIMIT = 256 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a pack is read before it is taken for an attack [bytes]."""

    entries: int = 20_000
    entry: int = 512 << 20
    total: int = 2 << 30
    ratio: int = 300
    ratio_from: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Problem:
    """An entry that was not read, and why; the pack as a whole is named `.`."""

    name: str
    notice: Notice


@dataclass(frozen=True, slots=True)
class Pack:
    """The safe files of a pack with their SHA-256, and what was refused."""

    digests: Mapping[str, str]
    problems: tuple[Problem, ...]
    _openers: Mapping[str, Callable[[], IO[bytes]]]

    def read(self, name: str, limit: int = _READ_LIMIT) -> bytes:
        """Return the bytes of a safe file. Raises PACK_FILE_TOO_LARGE."""
        with self._openers[name]() as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise KisError.of("PACK_FILE_TOO_LARGE", file=name, limit=limit >> 20)
        return data


@contextmanager
def open_pack(source: Path | IO[bytes], limits: Limits | None = None) -> Iterator[Pack]:
    """Open a folder, a zip, or the bytes of a zip. Raises PACK_UNREADABLE.

    What is wrong inside it is no exception but a problem of the pack.
    """
    limits = limits or Limits()
    if not isinstance(source, Path):
        with _open_zip(source, limits) as pack:
            yield pack
        return
    try:
        # what a folder holds is all read here, so that no error of the caller's is caught
        found = _build(_folder_entries(source), limits) if source.is_dir() else source.open("rb")
    except OSError as error:
        raise KisError.of("PACK_UNREADABLE", path=str(source), reason=error.strerror) from error
    if isinstance(found, Pack):
        yield found
        return
    with found, _open_zip(found, limits) as pack:
        yield pack


@contextmanager
def _open_zip(source: IO[bytes], limits: Limits) -> Iterator[Pack]:
    archive = open_archive(source)
    if archive is None:
        yield Pack({}, (Problem(WHOLE, Notice("PACK_DAMAGED")),), {})
        return
    with archive:
        entries = zip_entries(archive, limits.ratio, limits.ratio_from)
        yield _build(_unwrapped(entries), limits)


def _folder_entries(root: Path) -> Iterator[Entry]:
    """Yield what stands below a folder; links are named and never followed."""
    pending = [root]
    while pending:
        with os.scandir(pending.pop()) as found:
            inside = sorted(found, key=lambda item: item.name)
        for item in inside:
            path = Path(item.path)
            name = path.relative_to(root).as_posix()
            if item.is_symlink():
                yield Entry(name, problem="PACK_LINK")
            elif item.is_dir(follow_symlinks=False):
                pending.append(path)
            elif not item.is_file(follow_symlinks=False):
                yield Entry(name, problem="PACK_KIND")
            else:
                size = item.stat(follow_symlinks=False).st_size
                yield Entry(name, size=size, open=partial(_open_regular, path))


def _open_regular(path: Path) -> IO[bytes]:
    """Open a file that is still no link, device or pipe."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError("not a regular file")
    return os.fdopen(handle, "rb")


def _unwrapped(entries: Iterable[Entry]) -> list[Entry]:
    """Take off the one folder in which other programs wrap a folder that they zip."""
    listed = list(entries)
    found = {entry.name for entry in listed}
    top = next((name.partition("/")[0] + "/" for name in found), "")
    if top + MANIFEST not in found or not all(name.startswith(top) for name in found):
        return listed
    return [replace(entry, name=entry.name.removeprefix(top)) for entry in listed]


def _build(entries: Iterable[Entry], limits: Limits) -> Pack:
    """Sort entries into files and problems, then hash the files."""
    safe: dict[str, Entry] = {}
    seen: dict[str, str] = {}
    problems: dict[str, Notice] = {}
    total = 0
    for count, entry in enumerate(entries, start=1):
        if count > limits.entries:
            problem = Problem(WHOLE, Notice("PACK_ENTRIES", {"limit": limits.entries}))
            return Pack({}, (problem,), {})
        name = unicodedata.normalize("NFC", entry.name)
        total += entry.size
        code = entry.problem if names.is_safe(name) else "PACK_PATH"
        if total > limits.total or entry.size > limits.entry:
            code = "PACK_BOMB"
        key = names.same_file(name)
        if key in seen:
            safe.pop(seen[key], None)
            problems[names.shown(seen[key])] = Notice("PACK_DUPLICATE")
            code = "PACK_DUPLICATE"
        seen[key] = name
        if code is None:
            safe[name] = entry
        else:
            problems[names.shown(name)] = Notice(code)
    digests: dict[str, str] = {}
    for name, entry in sorted(safe.items()):
        try:
            digests[name] = _digest(entry)
        except ZIP_ERRORS:
            problems[name] = Notice("PACK_DAMAGED")
    return Pack(
        digests,
        tuple(Problem(name, notice) for name, notice in sorted(problems.items())),
        {name: safe[name].open for name in digests},
    )


def _digest(entry: Entry) -> str:
    """Return the SHA-256 of an entry. Raises where it is not as long as it says."""
    digest = hashlib.sha256()
    left = entry.size
    with entry.open() as file:
        while chunk := file.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                break
            digest.update(chunk)
    if left:
        raise zlib.error("the length differs")
    return digest.hexdigest()
