"""Which tabs of a workbook are read, and why the others are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kis_estimator.engine.model import PanelSpec
from kis_estimator.errors import Notice
from kis_estimator.intake.grammar import SpecFields, parse_spec
from kis_estimator.intake.grid import Tab
from kis_estimator.intake.header import Header, find_header
from kis_estimator.intake.report import Report
from kis_estimator.intake.schedule import TabReading, item_rows
from kis_estimator.intake.titles import names_high_voltage, read_title
from kis_estimator.intake.tokens import number_in
from kis_estimator.intake.vocabulary import Vocabulary

_HIGH_VOLTAGE_TAB = 2
_LAST_TAB = 3
_TITLE_CELLS = 2  # an ordinal and the title
_HIGH_VOLTAGE_BREAKER = "VCB"  # an ACB is low voltage, though not estimated either


@dataclass(frozen=True, slots=True)
class _Profile:
    """What a tab holds, seen from afar."""

    header: Header | None
    has_low_voltage: bool
    has_high_voltage: bool
    high_voltage_title: str | None
    looks_like_schedule: bool


def read_tabs(
    tabs: Sequence[Tab], vocabulary: Vocabulary, report: Report, brand: str | None = None
) -> tuple[list[PanelSpec], str | None]:
    """Return the panels of all tabs that are read, and the project; skips go into the report."""
    panels: list[PanelSpec] = []
    project: str | None = None
    visible = [tab for tab in tabs if not tab.hidden and tab.is_worksheet]
    headerless: list[Tab] = []
    for tab in tabs:
        profile = _profile(tab, vocabulary)
        skip, warning = _decision(tab, profile, visible, vocabulary)
        if warning is not None:
            report.warnings.append(replace(warning, sheet=tab.name))
        if skip is not None:
            report.skipped.append(replace(skip, sheet=tab.name))
            continue
        if profile.header is None:
            headerless.append(tab)
            _without_header(tab, profile, report)
            continue
        reading = TabReading(tab, profile.header, vocabulary, report, brand).run()
        panels += reading.panels
        project = project or reading.project
        if not reading.panels and not any(error.sheet == tab.name for error in report.errors):
            report.skipped.append(Notice("TAB_NO_BREAKER", sheet=tab.name))
    if not panels and not report.errors:
        report.errors.append(_nothing_read(tabs, headerless, report))
    return panels, project


def _nothing_read(tabs: Sequence[Tab], headerless: list[Tab], report: Report) -> Notice:
    """Return why there is not one panel."""
    if not any(tab.rows for tab in tabs):
        return Notice("FILE_EMPTY")
    if headerless and not any(skip.code == "TAB_NO_BREAKER" for skip in report.skipped):
        return Notice("NO_HEADER", sheet=headerless[0].name)
    return Notice("NO_BREAKER_ROW")


def _without_header(tab: Tab, profile: _Profile, report: Report) -> None:
    if profile.looks_like_schedule:
        report.errors.append(Notice("NO_HEADER", sheet=tab.name))
    else:
        report.skipped.append(Notice("TAB_NO_HEADER", sheet=tab.name))


def _decision(
    tab: Tab, profile: _Profile, visible: list[Tab], vocabulary: Vocabulary
) -> tuple[Notice | None, Notice | None]:
    """Return (why the tab is skipped, what to warn of); both None: it is simply read."""
    if tab.hidden:
        return Notice("TAB_HIDDEN"), Notice("TAB_HIDDEN")
    unread = _unreadable(tab) or _high_voltage(tab, profile, vocabulary)
    if unread is not None:
        return unread, None
    position = visible.index(tab) + 1
    if len(visible) >= _LAST_TAB and position == _HIGH_VOLTAGE_TAB:
        skip, warning = Notice("TAB_SECOND"), Notice("TAB_SECOND_READ")
    elif position > _LAST_TAB:
        skip, warning = Notice("TAB_LATER"), Notice("TAB_LATER_READ")
    else:
        return None, None
    return (None, warning) if profile.has_low_voltage else (skip, None)


def _unreadable(tab: Tab) -> Notice | None:
    if not tab.is_worksheet:
        return Notice("TAB_NOT_A_SHEET")
    return None if tab.rows or tab.unsaved else Notice("TAB_EMPTY")


def _high_voltage(tab: Tab, profile: _Profile, vocabulary: Vocabulary) -> Notice | None:
    """Return why a tab is the high-voltage panel: its name, its title, or all of its rows."""
    if names_high_voltage(tab.name, vocabulary):
        return Notice("TAB_HIGH_VOLTAGE", {"text": tab.name})
    if profile.high_voltage_title is not None:
        return Notice("TAB_HIGH_VOLTAGE", {"text": profile.high_voltage_title})
    only = profile.has_high_voltage and not profile.has_low_voltage
    return Notice("TAB_HIGH_VOLTAGE_ROWS") if only else None


def _profile(tab: Tab, vocabulary: Vocabulary) -> _Profile:
    header = find_header(tab)
    rows = list(item_rows(tab, header, vocabulary)) if header else []
    return _Profile(
        header=header,
        has_low_voltage=any(_is_low_voltage(fields) for fields in rows),
        has_high_voltage=any(
            fields.unsupported == _HIGH_VOLTAGE_BREAKER or "high_voltage" in fields.marks
            for fields in rows
        ),
        high_voltage_title=_high_voltage_title(tab, header, vocabulary),
        looks_like_schedule=header is None
        and any(parse_spec(row.text, vocabulary).rates_breaker for row in tab.rows),
    )


def _is_low_voltage(fields: SpecFields) -> bool:
    """Return whether a row is plainly a low-voltage breaker."""
    if fields.marks & {"unsupported", "high_voltage", "foreign"}:
        return False
    return fields.rated_current_a is not None and (fields.names_breaker or fields.rates_breaker)


def _high_voltage_title(tab: Tab, header: Header | None, vocabulary: Vocabulary) -> str | None:
    """Return the title that makes the whole tab high voltage.

    It stands above all items, and no title of another panel stands anywhere.
    """
    found: str | None = None
    last_row = header.last_row if header else 0
    remarks = header.columns.get("remark") if header else None
    items_above = False
    for row in tab.rows:
        columns = [column for column in row.filled if number_in(row.cells[column]) is None]
        if len(row.filled) > _TITLE_CELLS or len(columns) != 1 or row.too_long:
            items_above = items_above or row.number > last_row
            continue
        text = row.cells[columns[0]]
        if row.number > last_row and columns[0] == remarks:
            continue
        if names_high_voltage(text, vocabulary):
            found = found or (None if items_above else text)
        elif read_title(text, vocabulary).names_panel:
            return None
    return found
