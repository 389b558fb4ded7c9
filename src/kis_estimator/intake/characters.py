"""Characters that no text of a request holds: what steers a terminal or turns a line around."""

from __future__ import annotations

import re

STEERING = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""The inside of a character class: C0, DEL and C1 controls, and the marks of writing direction."""

_COLOUR = re.compile(r"\x1b\[[0-9;:?]*[A-Za-z]")
_BREAK = re.compile(r"[\t-\r\x1c-\x1f\x85]")
_STEERING = re.compile(f"[{STEERING}\ud800-\udfff]")


def cleaned(text: str) -> str:
    r"""Return one line of text without controls; line breaks and tabs become spaces.

    >>> cleaned("MCCB\x1b[31m 2P\n20A"), cleaned("LP\u202e-\x9b1"), cleaned("외함 ½")
    ('MCCB 2P 20A', 'LP-1', '외함 ½')
    """
    if text.isprintable():
        return text
    return _STEERING.sub("", _BREAK.sub(" ", _COLOUR.sub("", text)))
