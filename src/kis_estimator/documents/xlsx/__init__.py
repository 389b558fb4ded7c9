"""The quotation as a workbook: cover, summary, a sheet per panel, loads and design checks.

Every formula carries our own figure as its cached value, so a viewer that does not calculate
shows the same amounts. Text is always written as text: nothing a user typed becomes a formula.
"""

from __future__ import annotations

import io
from datetime import datetime, time
from typing import TYPE_CHECKING

from xlsxwriter import Workbook

from kis_estimator.documents.ooxml.contents import WrittenWorkbook
from kis_estimator.documents.xlsx.book import Book
from kis_estimator.documents.xlsx.checks import write_checks
from kis_estimator.documents.xlsx.cover import add_cover, write_cover
from kis_estimator.documents.xlsx.loads import write_loads
from kis_estimator.documents.xlsx.panel import write_panel
from kis_estimator.documents.xlsx.style import BODY_SIZE, FONT
from kis_estimator.documents.xlsx.summary import add_summary, write_summary

if TYPE_CHECKING:
    from kis_estimator.documents.sheet import Quotation


def write_workbook(quotation: Quotation) -> WrittenWorkbook:
    """Write the workbook; the same quotation gives the same bytes."""
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
    book = Book(workbook, quotation)
    cover, summary = add_cover(book), add_summary(book)
    totals = [write_panel(book, panel) for panel in quotation.panels]
    write_summary(book, summary, totals)
    write_cover(book, cover)
    write_loads(book)
    write_checks(book)
    workbook.close()
    return WrittenWorkbook(buffer.getvalue(), book.contents)
