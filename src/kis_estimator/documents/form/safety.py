"""What a form must not carry to a customer: code, links to other files, foreign data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from kis_estimator.documents.ooxml.names import defined_names
from kis_estimator.documents.ooxml.package import Parts, relationships
from kis_estimator.errors import KisError

_PARTS = re.compile(
    r"vbaProject|(^|/)(macrosheets|externalLinks|activeX|embeddings|queryTables|webextensions"
    r"|customUI|model|_xmlsignatures)/|(^|/)connections\.xml$",
    re.IGNORECASE,
)
_MACROS = b"macroenabled"
_FORMULA = re.compile(
    r"\[[^\]]*\][^!']*'?!|\[\d+\]|\b(WEBSERVICE|RTD|CALL|REGISTER(\.ID)?|EXEC|DDE)\s*\(|\|\s*'",
    re.IGNORECASE,
)
_LINK_SCHEMES = frozenset({"http", "https", "mailto"})
_TYPES = "[Content_Types].xml"


def refuse_unsafe(parts: Parts, formulas: Mapping[tuple[str, str], str]) -> None:
    """Raise FORM_UNSAFE, naming all that a form must not hold."""
    found = sorted({*_unsafe_parts(parts), *_unsafe_formulas(parts, formulas)})
    if found:
        raise KisError.of("FORM_UNSAFE", items=found)


def _unsafe_parts(parts: Parts) -> Iterator[str]:
    if _MACROS in parts[_TYPES].lower():
        yield "macroEnabled"
    for name in parts:
        if _PARTS.search(name):
            yield name
        if not name.endswith(".rels"):
            continue
        folder, _, file = name.rpartition("_rels/")
        for relationship in relationships(parts, f"{folder}{file.removesuffix('.rels')}"):
            scheme = urlsplit(relationship.target).scheme.lower()
            link = relationship.kind == "hyperlink" and scheme in _LINK_SCHEMES
            if relationship.external and not link:
                yield f"{name}: {relationship.target}"


def _unsafe_formulas(parts: Parts, formulas: Mapping[tuple[str, str], str]) -> Iterator[str]:
    for (sheet, cell), text in formulas.items():
        if _FORMULA.search(text):
            yield f"{sheet}!{cell}: ={text}"
    for name in defined_names(parts):
        if _FORMULA.search(name.refers_to):
            yield f"{name.name}: {name.refers_to}"
