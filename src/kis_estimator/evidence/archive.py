"""Zip archives: written so that the same files give the same bytes, read without trust."""

from __future__ import annotations

import io
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO

from kis_estimator.evidence import names

ZIP_ERRORS = (
    zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, struct.error, ValueError,
)  # fmt: skip
"""What reading a damaged archive raises; RuntimeError and its NotImplementedError included."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = (stat.S_IFREG | 0o644) << 16
_UNIX = 3
_LEVEL = 6

_FIRST = b"PK\x03\x04"
_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
_LOCATOR_64, _LOCATOR_SIZE = b"PK\x06\x07", 20
_DIRECTORY_LIMIT = 4 << 20
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def _nothing() -> IO[bytes]:
    return io.BytesIO()


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as a pack claims it; `problem` is the code of what makes it unsafe to read."""

    name: str
    size: int = 0
    problem: str | None = None
    open: Callable[[], IO[bytes]] = _nothing


# ---------------------------------------------------------------- write


def write_zip(out: IO[bytes], listed: Iterable[str], read: Callable[[str], bytes]) -> None:
    """Write named files as a zip: sorted, no clock, no rights, one deflate level, NFC names."""
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(listed):
            info = zipfile.ZipInfo(unicodedata.normalize("NFC", name), _EPOCH)
            info.create_system = _UNIX
            info.external_attr = _MODE
            archive.writestr(info, read(name), zipfile.ZIP_DEFLATED, _LEVEL)


# ---------------------------------------------------------------- read


def open_archive(source: IO[bytes]) -> zipfile.ZipFile | None:
    """Open a zip; None where the file is no plain zip from its first byte to its last.

    Nothing may stand before the first entry, after the end record or between directory and end
    record: two programs could otherwise see two different archives in one file.
    """
    try:
        size = source.seek(0, io.SEEK_END)
        source.seek(0)
        if not _is_plain(source, size):
            return None
        return zipfile.ZipFile(source)
    except ZIP_ERRORS:
        return None


def _is_plain(source: IO[bytes], size: int) -> bool:
    if source.read(len(_FIRST)) != _FIRST:
        return False
    start = max(0, size - _END.size - _LOCATOR_SIZE)
    source.seek(start)
    tail = source.read()
    signature, *_, directory_size, offset, comment = _END.unpack(tail[-_END.size :])
    return (
        signature == _END_SIGNATURE
        and comment == 0
        and directory_size <= _DIRECTORY_LIMIT
        and offset + directory_size + _END.size == size
        and not tail.startswith(_LOCATOR_64)
    )


def zip_entries(archive: zipfile.ZipFile, ratio: int, ratio_from: int) -> Iterator[Entry]:
    """Yield the files of an archive; directories are passed over where they are no more."""
    for info in archive.infolist():
        name = info.orig_filename
        if name.endswith("/") and info.file_size == 0 and names.is_safe(name[:-1]):
            continue
        packed = max(info.compress_size, 1)
        mode = stat.S_IFMT(info.external_attr >> 16)
        problem = None
        if stat.S_ISLNK(mode):
            problem = "PACK_LINK"
        elif mode not in (0, stat.S_IFREG):
            problem = "PACK_KIND"
        elif info.flag_bits & _ENCRYPTED:
            problem = "PACK_ENCRYPTED"
        elif info.compress_type not in _METHODS:
            problem = "PACK_METHOD"
        elif info.file_size > ratio_from and info.file_size > ratio * packed:
            problem = "PACK_BOMB"
        yield Entry(name, info.file_size, problem, partial(archive.open, info))
