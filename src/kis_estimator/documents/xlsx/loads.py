"""The load schedule (부하집계표): what each circuit takes from each phase, panel after panel.

One sheet for all panels: the column headings repeat on every page and each panel starts a new one,
so it prints as one document, while the tabs stay as many as the panels.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from xlsxwriter.utility import xl_range

from kis_estimator.documents.texts import say
from kis_estimator.documents.xlsx.style import row_height

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

    from kis_estimator.documents.loads import LoadRow, LoadSchedule
    from kis_estimator.documents.sheet import PanelTable
    from kis_estimator.documents.xlsx.book import Book
    from kis_estimator.engine.model import Proof

_WIDTHS = (7, 32, 9, 7, 15, 8, 11, 11, 11)
_CIRCUIT, _LABEL, _KIND, _POLES, _RATING, _PHASE, _R, _S, _T = range(9)
_LABELS = ("circuit", "load_name", "breaker_kind", "poles", "rating", "phase")
_ROW, _TITLE_ROW, _BAND_ROW = 17, 36, 24
_PROOFS: Mapping[Proof, str] = {
    "residue": "proof_residue",
    "big_item": "proof_big_item",
    "search": "proof_search",
    "open": "proof_open",
}


def write_loads(book: Book) -> None:
    """Add the load schedule of all panels."""
    words, styles = book.quotation.words, book.styles
    sheet = book.add_own_sheet("loads_sheet", _WIDTHS)
    row = book.write_mark(sheet, 0, _T)
    book.write_text(sheet, (row, 0, row, _T), words["loads_title"], "sheet_title")
    sheet.set_row(row, _TITLE_ROW)
    row += 1
    labels = [words[label] for label in _LABELS]
    labels += [say(words, "phase_amperes", phase=phase) for phase in "RST"]
    for column, label in enumerate(labels):
        sheet.write_string(row, column, label, styles("cell", "head"))
    sheet.set_row(row, _ROW + 2)
    sheet.freeze_panes(row + 1, 0)
    heading, breaks = row, []
    row += 1
    for panel in book.quotation.panels:
        if row > heading + 1:
            breaks.append(row)
        row = _write_panel(book, sheet, row, panel)
    sheet.set_h_pagebreaks(breaks)
    book.set_print(sheet, row - 1, _T, heading)


def _write_panel(book: Book, sheet: Worksheet, row: int, panel: PanelTable) -> int:
    loads = panel.loads
    book.write_text(sheet, (row, 0, row, _RATING), panel.name, "cell", "band", "wrap")
    book.write_text(sheet, (row, _PHASE, row, _T), panel.main, "cell", "band", "right", "shrink")
    room = sum(_WIDTHS[:_PHASE])
    sheet.set_row(row, row_height([(panel.name, room)], _BAND_ROW))
    first = row + 1
    for at, line in enumerate(loads.rows, start=first):
        _write_circuit(book, sheet, at, line)
    row = first + len(loads.rows)
    sums = _write_sums(book, sheet, row, first, loads)
    return _write_balance(book, sheet, row + 1, loads, sums)


def _write_circuit(book: Book, sheet: Worksheet, row: int, line: LoadRow) -> None:
    center, amperes = book.styles("cell", "center"), book.styles("cell", "tenths")
    sheet.write_number(row, _CIRCUIT, line.circuit, center)
    sheet.write_string(row, _LABEL, line.label, book.styles("cell", "indent", "wrap"))
    sheet.set_row(row, row_height([(line.label, _WIDTHS[_LABEL])], _ROW))
    sheet.write_string(row, _KIND, line.kind, center)
    sheet.write_string(row, _POLES, f"{line.poles}P", center)
    sheet.write_string(row, _RATING, line.rating, center)
    sheet.write_string(row, _PHASE, line.phase, center)
    for column, value in ((_R, line.r_a), (_S, line.s_a), (_T, line.t_a)):
        if value is None:
            sheet.write_blank(row, column, None, amperes)
        else:
            sheet.write_number(row, column, float(value), amperes)


def _write_sums(book: Book, sheet: Worksheet, row: int, first: int, loads: LoadSchedule) -> str:
    """Write the sums per phase; return their range."""
    label = "single_phase_sum" if loads.single_phase else "phase_sums"
    traits = ("cell", "tint", "bold")
    words = book.quotation.words
    book.write_text(sheet, (row, 0, row, _PHASE), words[label], *traits, "center")
    for column, value in ((_R, loads.r_a), (_S, loads.s_a), (_T, loads.t_a)):
        style = book.styles(*traits, "tenths")
        if loads.single_phase and column != _R:
            sheet.write_blank(row, column, None, style)
            continue
        # A panel of a main alone has no rows to add up.
        cells = f"SUM({xl_range(first, column, row - 1, column)})" if loads.rows else "0"
        # Loads are multiples of 0.1 A, whose binary sum is not.
        book.write_formula(sheet, (row, column), f"ROUND({cells},1)", float(value), style)
    sheet.set_row(row, _ROW)
    return str(xl_range(row, _R, row, _T))


def _write_balance(book: Book, sheet: Worksheet, row: int, loads: LoadSchedule, sums: str) -> int:
    """Write imbalance, its proof and the diversified current; return the next row."""
    words = book.quotation.words
    notes = []
    if loads.imbalance_pct is not None and loads.proof is not None:
        area = (row, 0, row, _PHASE)
        book.write_text(sheet, area, words["imbalance_formula"], "cell", "center")
        style = book.styles("cell", "bold", "percent")
        sheet.merge_range(row, _R, row, _T, "", style)
        imbalance = float(loads.imbalance_pct)
        book.write_formula(sheet, (row, _R), _imbalance(sums), imbalance, style)
        sheet.set_row(row, _ROW)
        row += 1
        bound = loads.lower_bound_pct or Decimal(0)
        notes.append(say(words, _PROOFS[loads.proof], bound=f"{bound:.2f}"))
    elif loads.single_phase:
        notes.append(words["single_phase"])
    notes.append(
        say(
            words,
            "diversified",
            amps=f"{loads.phase_current_a:.2f}",
            rdf=f"{loads.rdf.normalize():f}",
            main=loads.main_rating_a,
        )
    )
    for at, note in enumerate(notes, start=row):
        book.write_text(sheet, (at, 0, at, _T), note, "cell", "indent", "shrink")
        sheet.set_row(at, _ROW)
    return row + len(notes)


def _imbalance(sums: str) -> str:
    """Return (max - min) / mean of the sums in %, to 0.0001.

    It divides whole tenths of amperes and rounds to a whole number, so that binary arithmetic
    cannot miss a half.
    """
    spread = f"ROUND((MAX({sums})-MIN({sums}))*10,0)"
    total = f"ROUND(SUM({sums})*10,0)"
    return f"IF(SUM({sums})=0,0,ROUND({spread}*3000000/{total},0)/10000)"
