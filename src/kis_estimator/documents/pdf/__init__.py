"""The quotation as a PDF: PDF/A-2a and PDF/UA-1, set by typst in Pretendard.

User data reaches the templates as JSON through `sys.inputs` only and is never part of their
source. A character that the font cannot set is printed as □, which lint finds and tells.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import segno
import typst

from kis_estimator.documents.pdf.content import content
from kis_estimator.documents.pdf.glyphs import FONTS, printable

if TYPE_CHECKING:
    from kis_estimator.documents.sheet import Quotation

__all__ = ["render_pdf"]

TEMPLATES: Final = Path(__file__).parents[1] / "templates"
_STANDARDS: Final[list[typst.PDFStandard]] = ["a-2a", "ua-1"]
_PAGES_TO_REMEMBER: Final = 24
_DOCUMENTS_REMEMBERED: Final = 11
_PAGE_COUNT = re.compile(rb"/Type\s*/Pages\s*/Count (\d+)")


def render_pdf(quotation: Quotation, drawings: Sequence[str]) -> bytes:
    """Set the quotation; `drawings` holds the arrangement of each panel as SVG, in order.

    The same quotation and drawings give the same bytes.
    """
    if len(drawings) != len(quotation.panels):
        raise ValueError(f"{len(drawings)} drawings for {len(quotation.panels)} panels")
    text = json.dumps(content(quotation), ensure_ascii=False)
    [text], _ = printable([text])
    pictures, _ = printable(drawings, drawn=True)
    inputs = {
        "content": text,
        "seal": json.dumps(list(quotation.supplier.seal or b"")),
        "qr": _qr_code(quotation.design_sha),
    }
    for panel, picture in zip(quotation.panels, pictures, strict=True):
        inputs[f"drawing-{panel.number}"] = picture
    data = _compile(inputs, datetime.combine(quotation.date, time(), UTC))
    count = _PAGE_COUNT.search(data)
    if count is None:
        raise RuntimeError("the PDF has no page tree")
    if int(count[1]) > _PAGES_TO_REMEMBER:
        _forget()
    return data


def _compile(inputs: dict[str, str], timestamp: datetime) -> bytes:
    """Compile the templates; the compiler is new each time, so that nothing of a run stays in it.

    A warning is an error: a font that was not found, or sums that did not settle.
    """
    compiler = typst.Compiler(
        TEMPLATES / "quotation.typ",
        root=TEMPLATES,
        font_paths=_fonts(),
        ignore_system_fonts=True,
        sys_inputs=inputs,
    )
    data, warnings = compiler.compile_with_warnings(
        format="pdf", pdf_standards=_STANDARDS, timestamp=timestamp
    )
    if warnings or not isinstance(data, bytes):
        raise RuntimeError("; ".join(warning.message for warning in warnings) or "no PDF")
    return data


def _forget() -> None:
    """Let typst drop what it remembers of earlier documents, by compiling empty ones.

    It keeps the intermediate results of the last ten documents, which makes the next quotation
    twice as fast; but of documents of a hundred pages that is two GiB.
    """
    empty = typst.Compiler(TEMPLATES / "empty.typ", font_paths=_fonts(), ignore_system_fonts=True)
    for _ in range(_DOCUMENTS_REMEMBERED):
        empty.compile(format="pdf")


@cache
def _fonts() -> typst.Fonts:
    """Return our fonts alone, loaded once: neither the system's nor those inside typst."""
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[FONTS])


def _qr_code(text: str) -> str:
    buffer = io.BytesIO()
    segno.make(text, error="m", micro=False).save(buffer, kind="svg", xmldecl=False, border=2)
    return buffer.getvalue().decode()
