"""SQL text as statements, each with the line where it begins."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Where a semicolon ends no statement: comments, strings, quoted names, dollar-quoted bodies. A
# block comment may hold others, so its marks are found one by one.
_TOKEN = re.compile(
    r"""
    --[^\n]* | /\* | \*/
    | (?<![\w$])[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
    | (?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$
    | (?P<word>\b(?:begin\s+atomic|case|end)\b)
    | ;
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_LEADING = re.compile(r"(?:\s+|--[^\n]*|/\*.*?\*/)*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement without its semicolon; `line` is the 1-based line of its first character."""

    text: str
    line: int

    @property
    def head(self) -> int:
        """The offset of the first word, after comments."""
        found = _LEADING.match(self.text)
        return found.end() if found else 0

    def line_of(self, offset: int) -> int:
        """Return the line of the file that an offset in the statement stands in."""
        return self.line + self.text.count("\n", 0, offset)


def split(text: str) -> list[Statement]:
    """Split SQL at its semicolons; what the Supabase command line records is split the same way.

    >>> [s.text for s in split("select ';' ; do $$ begin; end $$; -- done")]
    ["select ';'", 'do $$ begin; end $$', '-- done']
    """
    statements, start = [], 0
    for end in (*_ends(text), len(text)):
        part = text[start:end]
        if stripped := part.strip():
            first = start + part.index(stripped)
            statements.append(Statement(stripped, 1 + text.count("\n", 0, first)))
        start = end + 1
    return statements


def _ends(text: str) -> Iterator[int]:
    """Yield the offset of each semicolon that ends a statement."""
    comments = body = 0  # how deep in block comments; how deep in a body of `begin atomic`
    position = 0
    while token := _TOKEN.search(text, position):
        position = token.end()
        match token.group():
            case "/*":
                comments += 1
            case "*/":
                comments = max(0, comments - 1)
            case _ if comments:
                position = token.start() + 1  # a quote or a dash means nothing there
            case ";" if not body:
                yield token.start()
            case _ if word := token["word"]:
                body = _depth(body, word.lower())


def _depth(body: int, word: str) -> int:
    if word == "end":
        return max(0, body - 1)
    return body + 1 if body or word != "case" else 0
