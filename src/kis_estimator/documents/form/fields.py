"""What goes under which name of a company's form: single figures, and the rows of its tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kis_estimator.documents.hangul import amount_in_hangul
from kis_estimator.documents.ooxml.contents import Value
from kis_estimator.documents.sheet import PanelTable, Quotation
from kis_estimator.documents.texts import say

_DAY_ZERO = dt.date(1899, 12, 30)  # of the serial numbers that a workbook counts days in
LINES, PANELS = "KIS_Lines", "KIS_PanelLines"
TABLES: Mapping[str, Mapping[str, str]] = {
    LINES: {
        "KIS_Line_Number": "number",
        "KIS_Line_Name": "name",
        "KIS_Line_Spec": "spec",
        "KIS_Line_Unit": "unit",
        "KIS_Line_Quantity": "quantity",
        "KIS_Line_UnitPrice": "unit_price",
        "KIS_Line_Amount": "amount",
    },
    PANELS: {
        "KIS_Panel_Number": "number",
        "KIS_Panel_Name": "name",
        "KIS_Panel_Enclosure": "spec",
        "KIS_Panel_Main": "main",
        "KIS_Panel_Branches": "branches",
        "KIS_Panel_Unit": "unit",
        "KIS_Panel_Quantity": "quantity",
        "KIS_Panel_UnitPrice": "unit_price",
        "KIS_Panel_Amount": "amount",
    },
}
NEEDED_COLUMNS: Mapping[str, Sequence[str]] = {
    LINES: ("KIS_Line_Name", "KIS_Line_Quantity", "KIS_Line_UnitPrice", "KIS_Line_Amount"),
    PANELS: ("KIS_Panel_Name", "KIS_Panel_Quantity", "KIS_Panel_Amount"),
}
FIGURES = frozenset({"quantity", "unit_price", "amount"})
"""Columns whose figures a form's own formulas have to arrive at."""


@dataclass(frozen=True, slots=True)
class Field:
    """What a single name stands for; a form without it is refused where it is `needed`."""

    value: Value
    needed: bool = False
    is_figure: bool = False


def fields(quotation: Quotation) -> dict[str, Field]:
    """Return the single figures and texts by name.

    Deductions are negative, so that a column adds up as it reads. What must not go unsaid (the
    mark of sample prices, a discount, rows left out) is needed where it applies.
    """
    words, totals = quotation.words, quotation.totals
    mark = words["sample_mark"] if quotation.sample else ""
    left_out = ", ".join(quotation.exclusions)
    spelled = say(words, "amount_words", words=amount_in_hangul(totals.total))
    return {
        "KIS_Number": Field(quotation.number, needed=True),
        "KIS_Date": Field(quotation.date_text),
        "KIS_DateValue": Field((quotation.date - _DAY_ZERO).days),
        "KIS_ValidUntil": Field(quotation.valid_until_text),
        "KIS_Customer": Field(quotation.customer, needed=True),
        "KIS_Contact": Field(quotation.contact),
        "KIS_Project": Field(quotation.project),
        "KIS_PanelCount": Field(sum(p.quantity for p in quotation.panels), is_figure=True),
        "KIS_LinesSum": Field(totals.lines_sum, is_figure=True),
        "KIS_Discount": Field(-totals.discount, needed=totals.discount > 0, is_figure=True),
        "KIS_Rounding": Field(-totals.rounding, needed=totals.rounding > 0, is_figure=True),
        "KIS_Supply": Field(totals.supply, needed=True, is_figure=True),
        "KIS_VAT": Field(totals.vat, needed=True, is_figure=True),
        "KIS_Total": Field(totals.total, needed=True, is_figure=True),
        "KIS_TotalWords": Field(spelled),
        "KIS_Mark": Field(mark, needed=bool(mark)),
        "KIS_Exclusions": Field(
            say(words, "excluded", items=left_out) if left_out else "", needed=bool(left_out)
        ),
    }


def table_rows(table: str, quotation: Quotation) -> list[dict[str, Value]]:
    """Return the rows of a table, each with the values of its columns."""
    if table == PANELS:
        return [_panel_row(quotation, panel) for panel in quotation.panels]
    return [row for panel in quotation.panels for row in _panel_lines(quotation, panel)]


def _panel_row(quotation: Quotation, panel: PanelTable) -> dict[str, Value]:
    return {
        "number": panel.number,
        "name": panel.name,
        "spec": panel.enclosure.replace("\n", " "),
        "main": panel.main,
        "branches": panel.branches,
        "unit": quotation.words["panel_unit"],
        "quantity": panel.quantity,
        "unit_price": panel.unit_price,
        "amount": panel.amount,
    }


def _panel_lines(quotation: Quotation, panel: PanelTable) -> list[dict[str, Value]]:
    """Return a panel's heading, its lines, and one line for the panels that are like it.

    So the column of amounts adds up to the sum of the quotation.
    """
    rows: list[dict[str, Value]] = [{"name": panel.title}]
    rows += [
        {
            "number": item.number,
            "name": item.name,
            "spec": item.spec,
            "unit": item.unit,
            "quantity": float(item.quantity),
            "unit_price": item.unit_price,
            "amount": item.amount,
        }
        for group in panel.groups
        for item in group.rows
    ]
    more = panel.quantity - 1
    if more:
        rows.append(
            {
                "name": say(quotation.words, "identical_panels", name=panel.name),
                "unit": quotation.words["panel_unit"],
                "quantity": more,
                "unit_price": panel.unit_price,
                "amount": more * panel.unit_price,
            }
        )
    return rows
