"""Names inside a pack: which are safe, and how an unsafe one is shown."""

from __future__ import annotations

import re
import unicodedata

from kis_estimator.errors import shown

__all__ = ["is_safe", "same_file", "shown"]

_DRIVE = re.compile(r"[A-Za-z]:")
_NAME_LIMIT = 400


def is_safe(name: str) -> bool:
    r"""Return whether a name stays inside the pack on every system.

    >>> [is_safe(n) for n in ("drawings/01.svg", "../a", "/a", "a//b", "a\\b", "C:a", "a\x00")]
    [True, False, False, False, False, False, False]
    >>> is_safe("\uac00"), is_safe("\u1100\u1161")  # one name, composed and not
    (True, False)
    """
    return (
        0 < len(name) <= _NAME_LIMIT
        and name.isprintable()
        and unicodedata.is_normalized("NFC", name)
        and "\\" not in name
        and not _DRIVE.match(name)
        and all(part not in ("", ".", "..") for part in name.split("/"))
    )


def same_file(name: str) -> str:
    """Return what two names share that one file system or another takes for the same file.

    >>> same_file("A.txt") == same_file("a.TXT")
    True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
