"""Where two files differ: for JSON the first field, with both values."""

from __future__ import annotations

import json
from dataclasses import dataclass

from kis_estimator.evidence.canonical import Json

_ABSENT = object()
_VALUE_LIMIT = 120


@dataclass(frozen=True, slots=True)
class Difference:
    """A file that differs. `field` is the path in a JSON file; None for the file as a whole."""

    file: str
    field: str | None = None
    recorded: str | None = None
    made: str | None = None


def difference(file: str, recorded: bytes | None, made: bytes | None) -> Difference | None:
    """Return how a file differs from the one made again; None where they are the same bytes.

    >>> difference("a.json", b'{"t":{"x":[1,2]}}', b'{"t":{"x":[1,3]}}')
    Difference(file='a.json', field='t.x[1]', recorded='2', made='3')
    """
    if recorded == made:
        return None
    if recorded is None or made is None:
        return Difference(file, None, _size(recorded), _size(made))
    if file.endswith(".json"):
        try:
            found = _first("", json.loads(recorded), json.loads(made))
        except (ValueError, RecursionError):
            found = None
        if found is not None:
            return Difference(file, *found)
    return Difference(file, None, _size(recorded), _size(made))


def _first(path: str, one: Json, other: Json) -> tuple[str, str, str] | None:
    """Return path and both values of the first field that differs."""
    if isinstance(one, dict) and isinstance(other, dict):
        steps = [(f"{path}.{key}".lstrip("."), key) for key in {**one, **other}]
        pairs = [(step, one.get(key, _ABSENT), other.get(key, _ABSENT)) for step, key in steps]
    elif isinstance(one, list) and isinstance(other, list):
        longest = max(len(one), len(other))
        pairs = [
            (
                f"{path}[{at}]",
                one[at] if at < len(one) else _ABSENT,
                other[at] if at < len(other) else _ABSENT,
            )
            for at in range(longest)
        ]
    elif type(one) is type(other) and one == other:
        return None
    else:
        return path, _shown(one), _shown(other)
    for step, left, right in pairs:
        found = _first(step, left, right)
        if found is not None:
            return found
    return None


def _shown(value: Json) -> str:
    if value is _ABSENT:
        return "–"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _VALUE_LIMIT else text[: _VALUE_LIMIT - 1] + "…"


def _size(data: bytes | None) -> str:
    return "–" if data is None else f"{len(data):,} B"
