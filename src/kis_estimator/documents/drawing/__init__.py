"""The arrangement drawing of a panel: front view to scale on an A3 or A2 sheet.

The scene is independent of a file format: `svg.to_svg` writes it, a DXF writer can.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from kis_estimator.documents.drawing.border import TitleBlock, caption, frame, legend, title_block
from kis_estimator.documents.drawing.dimensions import dimensions
from kis_estimator.documents.drawing.front_view import front_view
from kis_estimator.documents.drawing.projection import project
from kis_estimator.documents.drawing.scene import Scene
from kis_estimator.documents.drawing.svg import to_svg
from kis_estimator.documents.sheet import breaker_text, enclosure_size
from kis_estimator.documents.texts import Texts, say

if TYPE_CHECKING:
    from kis_estimator.documents.sheet import Quotation
    from kis_estimator.engine.model import EngineResult, PanelResult

__all__ = ["TitleBlock", "arrangement", "arrangement_files", "drawing_filename", "to_svg"]

_SLUG_LIMIT = 40
_NOT_IN_SLUG = re.compile(r"[^0-9a-z가-힣]+")
_NAMELESS = "panel"


def arrangement(panel: PanelResult, title: TitleBlock, words: Texts) -> Scene:
    """Draw one panel."""
    view = project(panel.enclosure)
    return Scene(
        view.sheet.width,
        view.sheet.height,
        f"{title.panel} — {words['arrangement_title']}",
        say(
            words,
            "drawing_description",
            panel=title.panel,
            size=enclosure_size(panel),
            main=breaker_text(panel.devices.main),
            branches=len(panel.devices.circuits),
        ),
        (
            frame(title, view, words),
            *front_view(panel, view, words),
            dimensions(panel, view, words),
            caption(panel, view, words),
            legend(panel, view, words),
            title_block(panel, title, view, words),
        ),
    )


def arrangement_files(result: EngineResult, quotation: Quotation) -> dict[str, str]:
    """Return file name -> SVG of every panel's arrangement."""
    files = {}
    for panel, table in zip(result.panels, quotation.panels, strict=True):
        title = TitleBlock(
            customer=quotation.customer,
            project=quotation.project,
            number=quotation.number,
            date=quotation.date_text,
            sheet=table.number,
            sheets=len(quotation.panels),
            sample=quotation.sample,
            panel=table.name,
        )
        scene = arrangement(panel, title, quotation.words)
        files[drawing_filename(table.number, table.name)] = to_svg(scene)
    return files


def drawing_filename(index: int, name: str) -> str:
    """Name the file of a panel's arrangement: Hangul, digits and lower-case Latin, no path.

    >>> drawing_filename(1, "LP-1 전등/전열"), drawing_filename(12, "../..")
    ('01-lp-1-전등-전열-arrangement.svg', '12-panel-arrangement.svg')
    """
    plain = unicodedata.normalize("NFC", name).lower()
    slug = _NOT_IN_SLUG.sub("-", plain).strip("-")[:_SLUG_LIMIT].strip("-")
    return f"{index:02d}-{slug or _NAMELESS}-arrangement.svg"
