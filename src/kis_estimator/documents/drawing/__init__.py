"""The drawings of a panel on A3 or A2 sheets: outline, arrangement and single-line diagram.

A drawing is a scene, independent of a file format; `svg.to_svg` and `dxf.to_dxf` write it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from kis_estimator.documents.drawing.arrangement import arrangement
from kis_estimator.documents.drawing.border import TitleBlock
from kis_estimator.documents.drawing.dxf import to_dxf
from kis_estimator.documents.drawing.outline import outline
from kis_estimator.documents.drawing.scene import Scene
from kis_estimator.documents.drawing.single_line import single_line
from kis_estimator.documents.drawing.svg import to_svg
from kis_estimator.documents.texts import Texts

if TYPE_CHECKING:
    from kis_estimator.documents.sheet import Quotation
    from kis_estimator.engine.model import EngineResult, PanelResult

__all__ = [
    "TitleBlock",
    "arrangement",
    "drawing_files",
    "drawing_stem",
    "outline",
    "scenes",
    "single_line",
    "to_dxf",
    "to_svg",
]

_SLUG_LIMIT = 40
_NOT_IN_SLUG = re.compile(r"[^0-9a-z가-힣]+")
_NAMELESS = "panel"
_DRAWINGS: Mapping[str, Callable[[PanelResult, TitleBlock, Texts], Scene]] = {
    "outline": outline,
    "arrangement": arrangement,
    "single-line": single_line,
}


def drawing_files(result: EngineResult, quotation: Quotation) -> dict[str, bytes]:
    """Return file name -> content: the three drawings of every panel, as SVG and as DXF."""
    files = {}
    for name, scene in scenes(result, quotation):
        files[f"{name}.svg"] = to_svg(scene).encode("utf-8")
        files[f"{name}.dxf"] = to_dxf(scene)
    return files


def scenes(result: EngineResult, quotation: Quotation) -> Iterator[tuple[str, Scene]]:
    """Yield name and scene; the drawings of an estimate are numbered through."""
    for i, (panel, table) in enumerate(zip(result.panels, quotation.panels, strict=True)):
        stem = drawing_stem(table.number, table.name)
        for sheet, (kind, draw) in enumerate(_DRAWINGS.items(), start=1 + i * len(_DRAWINGS)):
            title = TitleBlock(
                customer=quotation.customer,
                project=quotation.project,
                number=quotation.number,
                date=quotation.date_text,
                sheet=sheet,
                sheets=len(result.panels) * len(_DRAWINGS),
                sample=quotation.sample,
                panel=table.name,
            )
            yield f"{stem}-{kind}", draw(panel, title, quotation.words)


def drawing_stem(index: int, name: str) -> str:
    """Start the file names of a panel's drawings: Hangul, digits and lower-case Latin, no path.

    >>> drawing_stem(1, "LP-1 전등/전열"), drawing_stem(12, "../..")
    ('01-lp-1-전등-전열', '12-panel')
    """
    plain = unicodedata.normalize("NFC", name).lower()
    slug = _NOT_IN_SLUG.sub("-", plain).strip("-")[:_SLUG_LIMIT].strip("-")
    return f"{index:02d}-{slug or _NAMELESS}"
