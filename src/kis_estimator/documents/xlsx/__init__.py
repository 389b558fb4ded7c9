"""The quotation as a workbook: a cover and a sheet per panel, with live formulas.

Every formula carries our own figure as its cached value, so a viewer that does not calculate
shows the same amounts. Text is always written as text: nothing a user typed becomes a formula.
"""

from __future__ import annotations

import io
from datetime import datetime, time
from typing import TYPE_CHECKING

from xlsxwriter import Workbook

from kis_estimator.documents.xlsx.book import Book
from kis_estimator.documents.xlsx.cover import add_cover, write_cover
from kis_estimator.documents.xlsx.panel import write_panel
from kis_estimator.documents.xlsx.style import BODY_SIZE, FONT, Styles

if TYPE_CHECKING:
    from kis_estimator.documents.sheet import Quotation


def render_workbook(quotation: Quotation) -> bytes:
    """Return the .xlsx file; the same quotation gives the same bytes."""
    buffer = io.BytesIO()
    workbook = Workbook(
        buffer,
        {
            "in_memory": True,
            "default_format_properties": {"font_name": FONT, "font_size": BODY_SIZE},
        },
    )
    workbook.set_properties(
        {
            "title": quotation.number,
            "subject": quotation.project,
            "created": datetime.combine(quotation.date, time()),
        }
    )
    book = Book(workbook, Styles(workbook), quotation)
    cover = add_cover(book)
    totals = [write_panel(book, panel) for panel in quotation.panels]
    write_cover(book, cover, totals)
    workbook.close()
    return buffer.getvalue()
