"""The supplier of a quotation, from `company.toml`: who quotes, and on which terms."""

from __future__ import annotations

import struct
import tomllib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from importlib.resources import files
from itertools import groupby
from typing import Any, NamedTuple, TypeGuard

from kis_estimator.documents.lettering import clean
from kis_estimator.errors import KisError, Notice, say

SEAL_LIMIT = 512 * 1024
SEAL_SIDES = range(32, 2049)
_TEXT_LIMIT = 300
_NOTES_LIMIT = 20
_OPTIONAL = frozenset({"fax", "email"})
_APART = frozenset({"placeholder", "seal"})
_PNG = b"\x89PNG\r\n\x1a\n"
_CHUNK = struct.Struct(">I4s")
_HEADER = struct.Struct(">IIBBBBB")
_DRAWN = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_FILE_NAME_LIMIT = 255
_LAST_FILTER, _PALETTE_LIMIT, _INDEXED = 4, 3 * 256, 3
# Colour type: samples per pixel, and the bits that a sample may have; length of tRNS.
_COLOURS = {
    0: (1, (1, 2, 4, 8, 16)), 2: (3, (8, 16)), 3: (1, (1, 2, 4, 8)), 4: (2, (8, 16)),
    6: (4, (8, 16)),
}  # fmt: skip
_CLEAR = {0: 2, 2: 6}
# The passes of an interlaced image: first column and row, and the steps between them.
_PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # fmt: skip
_WHOLE = ((0, 0, 1, 1),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplier:
    """Texts as printed; `seal` is a PNG; `placeholder` marks the block of the program itself."""

    registration_number: str
    name: str
    representative: str
    address: str
    phone: str
    business_type: str
    business_item: str
    delivery: str
    payment: str
    bank_account: str
    notes: tuple[str, ...]
    fax: str = ""
    email: str = ""
    seal: bytes | None = None
    placeholder: bool = False


_FIELDS = frozenset(item.name for item in fields(Supplier))


class _Header(NamedTuple):
    """The header of a PNG."""

    width: int
    height: int
    depth: int
    colour: int
    compression: int
    filters: int
    interlace: int

    @property
    def sound(self) -> bool:
        """Return whether the format knows such pixels."""
        depths = _COLOURS[self.colour][1] if self.colour in _COLOURS else ()
        plain = self.compression == self.filters == 0
        return self.depth in depths and plain and self.interlace in (0, 1)

    def rows(self) -> list[tuple[int, int]]:
        """Return count and length [bytes] of the rows of each pass, with their filter bytes."""
        bits = self.depth * _COLOURS[self.colour][0]
        sizes = []
        for x, y, step, down in _PASSES if self.interlace else _WHOLE:
            across, rows = -(-(self.width - x) // step), -(-(self.height - y) // down)
            sizes.append((rows, 1 + -(-across * bits // 8)))
        return sizes


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a value is wrong; a message writes it in its own language: `{reason:ko}`."""

    code: str
    params: Mapping[str, object]

    def __format__(self, language: str) -> str:
        """Return the reason in `ko` or `en`."""
        return say(self.code, "en-US" if language == "en" else "ko-KR", **self.params)


class _WrongError(Exception):
    """A value that cannot be printed, with the reason."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.code)
        self.reason = reason


def parse_supplier(data: bytes, seal: bytes | None = None) -> Supplier:
    """Read a `company.toml`; `seal` is the PNG that it names, read by the caller.

    Raises one KisError with a COMPANY_INVALID notice per missing, unknown or wrong field.
    """
    try:
        table = tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = _reason("COMPANY_TOML", text=str(error))
        raise KisError(_problem("TOML", reason)) from error
    unknown = _reason("COMPANY_UNKNOWN")
    problems = [_problem(name, unknown) for name in sorted(set(table) - _FIELDS)]
    values: dict[str, Any] = {}
    for name in sorted(_FIELDS - _APART):
        try:
            values[name] = _value(name, table)
        except _WrongError as error:
            problems.append(_problem(name, error.reason))
    image = None
    try:
        image = _seal(table, seal)
    except _WrongError as error:
        problems.append(_problem("seal", error.reason))
    if not isinstance(table.get("placeholder", False), bool):
        problems.append(_problem("placeholder", _reason("COMPANY_SWITCH")))
    if problems:
        raise KisError(*problems)
    return Supplier(**values, seal=image, placeholder=table.get("placeholder", False))


def seal_name(data: bytes) -> str | None:
    """Return the file name of the seal that a `company.toml` names, for the caller to read.

    It is a name without a folder: the file stands beside the `company.toml`. What else
    is wrong with the file is for `parse_supplier` to say.

    >>> seal_name(b'seal = "seal.png"'), seal_name(b"")
    ('seal.png', None)
    """
    try:
        name = tomllib.loads(data.decode("utf-8-sig")).get("seal")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        return None
    return name if _is_file_name(name) else None


def placeholder_bytes() -> bytes:
    """Return the `company.toml` that comes with the program: to be replaced before quoting."""
    return files("kis_estimator").joinpath("data/company.toml").read_bytes()


def _value(name: str, table: dict[str, Any]) -> str | tuple[str, ...]:
    if name == "notes":
        notes = table.get(name)
        if not isinstance(notes, list) or len(notes) > _NOTES_LIMIT:
            raise _WrongError(_reason("COMPANY_LIST", most=_NOTES_LIMIT))
        return tuple(map(_text, notes))
    if name in _OPTIONAL and table.get(name, "") == "":
        return ""
    return _text(table.get(name))


def _text(value: object) -> str:
    text = clean(value) if isinstance(value, str) else ""
    if not 0 < len(text) <= _TEXT_LIMIT:
        raise _WrongError(_reason("COMPANY_TEXT", most=_TEXT_LIMIT))
    return text


def _is_file_name(name: object) -> TypeGuard[str]:
    """Return whether this names a file without a folder."""
    return (
        isinstance(name, str)
        and name.strip(". ") != ""
        and name.isprintable()
        and not set("/\\:") & set(name)
        and len(name.encode("utf-8")) <= _FILE_NAME_LIMIT
    )


def _seal(table: dict[str, Any], seal: bytes | None) -> bytes | None:
    """Return the seal as it is printed: what is needed to draw it, and no other chunk."""
    named = table.get("seal")
    if named is not None and not _is_file_name(named):
        raise _WrongError(_reason("COMPANY_SEAL_NAME"))
    if seal is None:
        return None
    if len(seal) > SEAL_LIMIT:
        raise _WrongError(_reason("COMPANY_SEAL_LARGE", limit=SEAL_LIMIT // 1024))
    if not seal.startswith(_PNG):
        raise _WrongError(_reason("COMPANY_SEAL_PNG"))
    chunks = list(_chunks(seal))
    if not _framed(chunks):
        raise _WrongError(_reason("COMPANY_SEAL_DAMAGED"))
    header = _Header(*_HEADER.unpack(chunks[0][1]))
    if header.width not in SEAL_SIDES or header.height not in SEAL_SIDES:
        limits = {"least": SEAL_SIDES.start, "most": SEAL_SIDES.stop - 1}
        size = {"width": header.width, "height": header.height}
        raise _WrongError(_reason("COMPANY_SEAL_SIZE", **size, **limits))
    if not header.sound or not _pixels_whole(header, chunks) or not _colours(header, chunks):
        raise _WrongError(_reason("COMPANY_SEAL_DAMAGED"))
    kept = (chunk for chunk in chunks if chunk[0] in _DRAWN)
    return _PNG + b"".join(map(_chunk, kept))


def _framed(chunks: list[tuple[bytes, bytes]]) -> bool:
    """Return whether a header comes first, the pixels in one run, and the end last."""
    names = [name for name, _ in chunks]
    runs = [name for name, _ in groupby(names)]
    return (
        names[:1] == [b"IHDR"]
        and names[-1] == b"IEND"
        and len(chunks[0][1]) == _HEADER.size
        and runs.count(b"IDAT") == 1
        and all(names.count(name) <= 1 for name in (b"IHDR", b"PLTE", b"tRNS", b"IEND"))
    )


def _pixels_whole(header: _Header, chunks: list[tuple[bytes, bytes]]) -> bool:
    """Return whether the pixels unpack to just as many bytes as the size asks for."""
    rows = header.rows()
    expected = sum(count * length for count, length in rows)
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(b"".join(c for n, c in chunks if n == b"IDAT"), expected + 1)
    except zlib.error:
        return False
    if len(raw) != expected or not inflate.eof or inflate.unused_data:
        return False
    at = 0
    for count, length in rows:
        if any(raw[at + row * length] > _LAST_FILTER for row in range(count)):
            return False
        at += count * length
    return True


def _colours(header: _Header, chunks: list[tuple[bytes, bytes]]) -> bool:
    """Return whether palette and transparency are as the colour type asks, before the pixels."""
    names = [name for name, _ in chunks]
    before = dict(chunks[: names.index(b"IDAT")])
    if any(name in names and name not in before for name in (b"PLTE", b"tRNS")):
        return False
    palette, clear = before.get(b"PLTE"), before.get(b"tRNS")
    if palette is not None and (len(palette) % 3 or not 0 < len(palette) <= _PALETTE_LIMIT):
        return False
    if header.colour == _INDEXED:
        return palette is not None and len(clear or b"") <= len(palette) // 3
    return clear is None or len(clear) == _CLEAR.get(header.colour)


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of each chunk, as far as their checksums are right."""
    at = len(_PNG)
    while at + _CHUNK.size <= len(png):
        length, name = _CHUNK.unpack_from(png, at)
        end = at + _CHUNK.size + length
        content = png[at + _CHUNK.size : end]
        if png[end : end + 4] != zlib.crc32(name + content).to_bytes(4, "big"):
            return
        yield name, content
        at = end + 4


def _chunk(chunk: tuple[bytes, bytes]) -> bytes:
    name, content = chunk
    checksum = zlib.crc32(name + content).to_bytes(4, "big")
    return _CHUNK.pack(len(content), name) + content + checksum


def _reason(code: str, **params: object) -> Reason:
    return Reason(code, params)


def _problem(name: str, reason: Reason) -> Notice:
    return Notice("COMPANY_INVALID", {"field": name, "reason": reason})
