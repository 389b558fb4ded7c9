"""Canonical JSON and checksums."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from kis_estimator.engine.units import camel, json_number

Json = Any
"""What `json` can write: dict, list, str, int, float, bool or None."""


def plain(value: object) -> Json:
    """Return data of the engine as JSON: camelCase fields, exact numbers, tuples as lists.

    A Decimal becomes an int where it is whole, else the float that prints the same digits; one
    that no float can hold stays text.

    >>> plain({"a_mm": Decimal("3.80"), "b": (Decimal("2.0"), None)})
    {'a_mm': 3.8, 'b': [2, None]}
    """
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, Decimal):
        return json_number(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {key: plain(getattr(value, name)) for name, key in _fields(type(value))}
    raise TypeError(f"{type(value).__name__} has no JSON form")


@cache
def _fields(kind: type[Any]) -> tuple[tuple[str, str], ...]:
    """Return the fields of a dataclass, each with its name in JSON."""
    return tuple((item.name, camel(item.name)) for item in dataclasses.fields(kind))


def canonical(value: object) -> bytes:
    r"""Return canonical JSON: sorted keys, no spaces, UTF-8; the same value gives the same bytes.

    >>> canonical({"b": 1, "a": "한"})
    b'{"a":"\xed\x95\x9c","b":1}'
    """
    text = json.dumps(
        plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8")


def pretty(value: object) -> bytes:
    """Return JSON for people: two spaces, a final line break, keys in the order given."""
    return (json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_object(data: bytes | str, types: Mapping[str, tuple[type, ...]]) -> dict[str, Any]:
    """Return a JSON object that has exactly these fields of these types. Raises ValueError.

    >>> read_object(b'{"a": 1}', {"a": (int,)})
    {'a': 1}
    """
    try:
        table = json.loads(data)
    except RecursionError as error:
        raise ValueError("too deep") from error
    if not isinstance(table, dict) or table.keys() != types.keys():
        raise ValueError(f"fields are not {', '.join(types)}")
    for name, kinds in types.items():
        if type(table[name]) not in kinds:
            raise ValueError(f"{name} is {type(table[name]).__name__}")
    return table


def sha256(data: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def checksums(files: Mapping[str, bytes]) -> bytes:
    """Return the SHA256SUMS text over named files, as `sha256sum -c` reads it."""
    return sums_text({name: sha256(data) for name, data in files.items()})


def sums_text(digests: Mapping[str, str]) -> bytes:
    """Return the SHA256SUMS text of known digests."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items())).encode()
