"""What the quotation's template prints, as plain data: every figure a text, every label chosen.

The shape is described where the templates read it (`templates/*.typ`). Nothing a user typed
becomes markup: it stays a string, or the list of the words it may be broken into.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from kis_estimator.documents.hangul import amount_in_hangul
from kis_estimator.documents.lettering import shorten, text_width
from kis_estimator.documents.texts import Texts, say

if TYPE_CHECKING:
    from kis_estimator.documents.checks import CheckRow
    from kis_estimator.documents.loads import LoadRow, LoadSchedule
    from kis_estimator.documents.sheet import ItemGroup, PanelTable, Quotation
    from kis_estimator.documents.supplier import Supplier

# A word up to this width [em] is kept whole; every column of the templates has room for it.
_WORD_ROOM = 8.5
_CONTINUED_ROOM = 34.0
# A load schedule of so many lines fits one page with its chart, and is kept together.
_LINES_TOGETHER = 34
_NAME_SIZE, _LONG_NAME_SIZE = 15, 11
_LARGE_ROOM = 30.0
_SHA_LINE = 32
_DIGITS_AFTER_POINT = 2
_SYMBOLS = {"pass": "○", "fail": "×", "not_verified": "△", "exceeded": "▲"}
_VERDICT = ("check_status", "check_figure", "check_limit", "check_source")
_LABELS = (
    "quotation_title", "honorific", "greeting", "quotation_number", "quotation_date",
    "valid_until", "project", "total_amount", "vat_excluded_note", "supplier", "delivery",
    "payment", "bank_account", "notes", "excluded_rows", "number", "panel_name", "enclosure",
    "panel_quantity", "unit_price", "amount", "item_name", "spec", "unit", "quantity", "remark",
    "subtotal", "carried_from", "carried_to", "circuit", "load_name", "breaker_kind", "poles",
    "rating", "phase", "reduced_drawing", "checks_sheet", "check_clause",
    "check_item", "check_status", "check_figure", "check_limit", "check_source", "panel",
    "not_verified_note", "design_sha", "design_sha_use", "rule_set", "sample_mark",
    "sample_short", "placeholder_mark",
)  # fmt: skip

Flow = str | list[str | list[str]]
Content = dict[str, Any]


def content(quotation: Quotation) -> Content:
    """Return everything the template prints, beside drawings, seal and QR code."""
    words = quotation.words
    day = quotation.date
    return {
        "language": words["language"],
        "title": say(words, "document_title", number=quotation.number),
        "author": quotation.supplier.name,
        "date": [day.year, day.month, day.day],
        "words": {key: words[key] for key in _LABELS},
        "sample": quotation.sample,
        "footer": flow(quotation.number),
        "facts": {
            "quotation_number": flow(quotation.number),
            "quotation_date": quotation.date_text,
            "valid_until": quotation.valid_until_text,
            "project": flow(quotation.project),
        },
        "customer": flow(quotation.customer),
        "customer_size": _NAME_SIZE
        if text_width(quotation.customer) <= _LARGE_ROOM
        else _LONG_NAME_SIZE,
        "contact": flow(say(words, "contact", name=quotation.contact) if quotation.contact else ""),
        "supplier": _supplier(quotation.supplier, words),
        "total": _total(quotation, words),
        "panels": [_panel(panel, words) for panel in quotation.panels],
        "summary": [
            {"kind": row.kind, "label": row.label, "value": f"{row.value:,}"}
            for row in quotation.summary
        ],
        "exclusions": list(map(flow, quotation.exclusions)),
        "checks": _checks(quotation),
        "sha": _sha(quotation.design_sha),
        "qr_alt": say(words, "design_sha_alt", sha=quotation.design_sha),
        "rule_set": flow(quotation.rule_set),
    }


def flow(text: str) -> Flow:
    """Return a text as it may be broken into lines: whole, or its words; a long word by character.

    >>> flow("전등 분전반"), flow("지하 주차장 전등 전열 분전반")
    ('전등 분전반', ['지하', '주차장', '전등', '전열', '분전반'])
    """
    if text_width(text) <= _WORD_ROOM:
        return text
    return [word if text_width(word) <= _WORD_ROOM else list(word) for word in text.split()]


def _supplier(supplier: Supplier, words: Texts) -> Content:
    business = f"{supplier.business_type} / {supplier.business_item}"
    rows = (
        ("supplier_registration", supplier.registration_number),
        ("supplier_name", supplier.name),
        (
            "supplier_representative",
            say(words, "supplier_representative_seal", name=supplier.representative),
        ),
        ("supplier_address", supplier.address),
        ("supplier_business", business),
        ("supplier_phone", supplier.phone),
        ("supplier_fax", supplier.fax),
        ("supplier_email", supplier.email),
    )
    return {
        "rows": [
            {
                "label": words[label],
                "value": flow(value),
                "sealed": label == "supplier_representative",
            }
            for label, value in rows
            if value
        ],
        "seal_alt": say(words, "seal_alt", name=supplier.name),
        "placeholder": supplier.placeholder,
        "delivery": flow(supplier.delivery),
        "payment": flow(supplier.payment),
        "bank_account": flow(supplier.bank_account),
        "notes": list(map(flow, supplier.notes)),
    }


def _total(quotation: Quotation, words: Texts) -> Content:
    total = quotation.totals.total
    spelled = say(words, "amount_words", words=amount_in_hangul(total))
    vat = words["vat_included"]
    return {
        "spelled": flow(spelled),
        "figures": say(words, "amount_figures", amount=f"{total:,}"),
        "vat": "" if vat in spelled else vat,
    }


def _panel(panel: PanelTable, words: Texts) -> Content:
    drawing = say(words, "panel_drawing", name=panel.name)
    short = shorten(panel.name, _CONTINUED_ROOM)
    return {
        "number": panel.number,
        "name": flow(panel.name),
        "enclosure": panel.enclosure.split("\n"),
        "quantity": f"{panel.quantity:,}",
        "unit_price": f"{panel.unit_price:,}",
        "amount": f"{panel.amount:,}",
        "title": flow(panel.title),
        "facts": flow(panel.facts),
        "count": say(words, "panel_count", quantity=panel.quantity),
        "continued": say(words, "continued", name=short),
        "groups": _groups(panel.groups),
        "sums": _sums(panel, words),
        "loads": _loads(panel, words),
        "drawing_title": flow(drawing),
        "drawing_alt": say(words, "drawing_alt", title=drawing, facts=panel.facts),
    }


def _groups(groups: Iterable[ItemGroup]) -> list[Content]:
    """Return the bill of materials; `carried` is the sum of all lines down to this one."""
    groups = list(groups)
    carried = accumulate(row.amount for group in groups for row in group.rows)
    return [
        {
            "title": group.title,
            "rows": [
                {
                    "cells": [
                        f"{row.number}",
                        flow(row.name),
                        flow(row.spec),
                        row.unit,
                        _quantity(row.quantity),
                        f"{row.unit_price:,}",
                        f"{row.amount:,}",
                    ],
                    "carried": f"{next(carried):,}",
                }
                for row in group.rows
            ],
            "subtotal": f"{group.subtotal:,}",
        }
        for group in groups
    ]


def _sums(panel: PanelTable, words: Texts) -> list[tuple[str, str]]:
    """Return the lines under the table: one panel, and all of them where there are several."""
    lines = [(words["panel_total"], f"{panel.unit_price:,}")]
    if panel.quantity > 1:
        label = say(words, "panels_total", quantity=panel.quantity)
        lines.append((label, f"{panel.amount:,}"))
    return lines


def _quantity(quantity: Decimal) -> str:
    whole = quantity == quantity.to_integral_value()
    return f"{quantity:,.0f}" if whole else f"{quantity:,.2f}"


def _loads(panel: PanelTable, words: Texts) -> Content:
    loads = panel.loads
    sums = {"R": loads.r_a, "S": loads.s_a, "T": loads.t_a}
    cells = [value for row in loads.rows for value in (row.r_a, row.s_a, row.t_a)]
    digits = _digits(value for value in (*cells, *sums.values()) if value is not None)
    phases = ["R"] if loads.single_phase else list(sums)
    figures = {phase: f"{sums[phase]:,.{digits}f}" for phase in phases}
    return {
        "title": flow(say(words, "panel_loads", name=panel.name)),
        "count": say(words, "panel_count", quantity=panel.quantity),
        "continued": say(
            words,
            "continued",
            name=shorten(say(words, "panel_loads", name=panel.name), _CONTINUED_ROOM),
        ),
        "together": sum(map(_lines, loads.rows)) <= _LINES_TOGETHER,
        "columns": [words["single_phase_sum"]]
        if loads.single_phase
        else [say(words, "phase_amperes", phase=phase) for phase in phases],
        "rows": [
            [
                f"{row.circuit}",
                flow(row.label),
                row.kind,
                f"{row.poles}P",
                row.rating,
                row.phase,
                *(
                    "" if value is None else f"{value:,.{digits}f}"
                    for value in (row.r_a, row.s_a, row.t_a)[: len(phases)]
                ),
            ]
            for row in loads.rows
        ],
        "sum_label": words["single_phase_sum" if loads.single_phase else "phase_sums"],
        "sums": list(figures.values()),
        "bars": [] if loads.single_phase else _bars(sums, figures),
        "chart_alt": say(
            words, "chart_alt", loads=", ".join(f"{p} {value} A" for p, value in figures.items())
        ),
        "notes": list(map(flow, _load_notes(loads, words))),
    }


def _lines(row: LoadRow) -> int:
    """Return how many lines of the table a circuit needs at most."""
    return 1 + int(text_width(row.label) / _WORD_ROOM)


def _bars(sums: Mapping[str, Decimal], figures: Mapping[str, str]) -> list[Content]:
    """Return a bar per phase; `share` is its length in hundredths of the longest."""
    most = max(sums.values()) or Decimal(1)
    return [
        {"phase": phase, "figure": f"{figures[phase]} A", "share": f"{100 * load / most:.2f}"}
        for phase, load in sums.items()
    ]


def _digits(values: Iterable[Decimal]) -> int:
    """Return how many digits after the point all values together need, two at most."""
    places = (-int(value.normalize().as_tuple().exponent) for value in values)
    return min(_DIGITS_AFTER_POINT, max(0, *places, 0))


def _load_notes(loads: LoadSchedule, words: Texts) -> Iterator[str]:
    if loads.imbalance_pct is None or loads.proof is None:
        yield words["single_phase"]
    else:
        proof = say(words, f"proof_{loads.proof}", bound=f"{loads.lower_bound_pct:.2f}")
        yield f"{words['imbalance_formula']} = {loads.imbalance_pct:.2f}% · {proof}"
    yield say(
        words,
        "diversified",
        amps=f"{loads.phase_current_a:.1f}",
        rdf=f"{loads.rdf.normalize():f}",
        main=loads.main_rating_a,
    )


def _checks(quotation: Quotation) -> list[Content]:
    """Return the gates, then clause 10 with the panels that share a verdict in one row."""
    words = quotation.words
    merged: dict[str, dict[CheckRow, list[str]]] = defaultdict(dict)
    for row in quotation.checks:
        if row.section == "iec61439":
            merged[row.clause].setdefault(replace(row, panel=""), []).append(row.panel)
    gates = [row for row in quotation.checks if row.section == "gate"]
    return [
        {
            "title": words["checks_gates"],
            "columns": ["check_item", *_VERDICT],
            "rows": [_cells(row.item, *_verdict(row, words)) for row in gates],
        },
        {
            "title": words["checks_clause_10_all"],
            "columns": ["check_clause", "check_item", "panel", *_VERDICT],
            "rows": [
                _cells(row.clause, row.item, _names(panels, quotation), *_verdict(row, words))
                for rows in merged.values()
                for row, panels in rows.items()
            ],
        },
    ]


def _verdict(row: CheckRow, words: Texts) -> tuple[str, ...]:
    status = f"{_SYMBOLS[row.status]} {words[f'status_{row.status}']}"
    return status, row.figure, row.limit, row.source


def _names(panels: list[str], quotation: Quotation) -> str:
    """Name the panels of a row; all of them need no names."""
    everywhere = len(panels) == len(quotation.panels)
    return quotation.words["all_panels"] if everywhere else ", ".join(panels)


def _cells(*texts: str) -> list[Flow]:
    return list(map(flow, texts))


def _sha(sha: str) -> list[str]:
    return [sha[at : at + _SHA_LINE] for at in range(0, len(sha), _SHA_LINE)]
