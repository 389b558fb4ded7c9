"""The supplier of a quotation, from `company.toml`: who quotes, and on which terms."""

from __future__ import annotations

import struct
import tomllib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from importlib.resources import files
from typing import Any

from kis_estimator.documents.lettering import clean
from kis_estimator.errors import KisError, Notice

SEAL_LIMIT = 512 * 1024
SEAL_SIDES = range(32, 2049)
_TEXT_LIMIT = 300
_NOTES_LIMIT = 20
_OPTIONAL = frozenset({"fax", "email"})
_APART = frozenset({"placeholder", "seal"})
_PNG = b"\x89PNG\r\n\x1a\n"
_CHUNK = struct.Struct(">I4s")
_SIZE = struct.Struct(">II")


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


class _WrongError(Exception):
    """A value that cannot be printed, with the reason."""


def parse_supplier(data: bytes, seal: bytes | None = None) -> Supplier:
    """Read a `company.toml`; `seal` is the PNG that it names, read by the caller.

    Raises one KisError with a COMPANY_INVALID notice per missing, unknown or wrong field.
    """
    try:
        table = tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KisError.of("COMPANY_INVALID", field="TOML", reason=str(error)) from error
    problems = [_problem(name, "unknown field") for name in sorted(set(table) - _FIELDS)]
    values: dict[str, Any] = {}
    for name in sorted(_FIELDS - _APART):
        try:
            values[name] = _value(name, table)
        except _WrongError as error:
            problems.append(_problem(name, str(error)))
    problems += _apart(table, seal)
    if problems:
        raise KisError(*problems)
    return Supplier(**values, seal=seal, placeholder=table.get("placeholder", False))


def seal_name(data: bytes) -> str | None:
    """Return the file name of the seal that a `company.toml` names, for the caller to read.

    What else is wrong with the file is for `parse_supplier` to say.

    >>> seal_name(b'seal = "seal.png"'), seal_name(b"")
    ('seal.png', None)
    """
    try:
        name = tomllib.loads(data.decode("utf-8-sig")).get("seal")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return None
    return name if isinstance(name, str) else None


def placeholder_bytes() -> bytes:
    """Return the `company.toml` that comes with the program: to be replaced before quoting."""
    return files("kis_estimator").joinpath("data/company.toml").read_bytes()


def _value(name: str, table: dict[str, Any]) -> str | tuple[str, ...]:
    if name == "notes":
        notes = table.get(name)
        if not isinstance(notes, list) or len(notes) > _NOTES_LIMIT:
            raise _WrongError(f"a list of at most {_NOTES_LIMIT} texts is needed")
        return tuple(map(_text, notes))
    if name in _OPTIONAL and table.get(name, "") == "":
        return ""
    return _text(table.get(name))


def _text(value: object) -> str:
    text = clean(value) if isinstance(value, str) else ""
    if not 0 < len(text) <= _TEXT_LIMIT:
        raise _WrongError(f"a text of 1 to {_TEXT_LIMIT} characters is needed")
    return text


def _apart(table: dict[str, Any], seal: bytes | None) -> Iterator[Notice]:
    """Yield what is wrong with the two fields that are no text of the document."""
    if not isinstance(table.get("placeholder", False), bool):
        yield _problem("placeholder", "true or false is needed")
    named = table.get("seal")
    if named is not None and not (isinstance(named, str) and named.strip()):
        yield _problem("seal", "the name of a PNG file is needed")
    elif seal is not None and (reason := _seal_problem(seal)):
        yield _problem("seal", reason)


def _seal_problem(seal: bytes) -> str:
    """Return why these bytes cannot be printed as a seal, or nothing."""
    if len(seal) > SEAL_LIMIT:
        return f"the PNG is larger than {SEAL_LIMIT // 1024} KiB"
    if not seal.startswith(_PNG):
        return "a PNG file is needed"
    chunks = list(_chunks(seal))
    if [name for name, _ in chunks[:1] + chunks[-1:]] != [b"IHDR", b"IEND"]:
        return "the PNG is damaged or cut short"
    width, height = _SIZE.unpack_from(chunks[0][1])
    if width not in SEAL_SIDES or height not in SEAL_SIDES:
        limits = f"{SEAL_SIDES.start} to {SEAL_SIDES.stop - 1}"
        return f"{width}×{height} pixels: each side has to be {limits}"
    return ""


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


def _problem(name: str, reason: str) -> Notice:
    return Notice("COMPANY_INVALID", {"field": name, "reason": reason})
