"""Lock files: what is pinned, by which hashes, for whom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_ENTRY = re.compile(r"([A-Za-z0-9][\w.-]*)==([^\s\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})\b")
_VIA = re.compile(r"#\s+(?:via\s+)?(\S+)")


@dataclass(frozen=True, slots=True)
class Pin:
    """A package that is pinned; `wanted_by` names the packages that depend on it."""

    name: str
    version: str
    hashes: tuple[str, ...]
    wanted_by: tuple[str, ...]


def pins(lock: str) -> Iterator[Pin]:
    r"""Yield the packages of a lock file. Raises ValueError at a line that pins nothing.

    >>> text = "a==1 \\\n    --hash=sha256:" + "0" * 64 + "\n    # via\n    #   b\n    #   c\n"
    >>> [(pin.name, pin.version, len(pin.hashes), pin.wanted_by) for pin in pins(text)]
    [('a', '1', 1, ('b', 'c'))]
    """
    for entry in re.split(r"\n(?=[^\s#])", lock.strip()):
        found = _ENTRY.match(entry)
        if found is None:
            raise ValueError(entry.partition("\n")[0])
        comments = (_VIA.search(line) for line in entry.splitlines()[1:])
        wanted_by = tuple(match[1] for match in comments if match and match[1] != "via")
        yield Pin(found[1], found[2], tuple(_HASH.findall(entry)), wanted_by)
