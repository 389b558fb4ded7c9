"""Progress of a run, and the tables of a reading, an estimate and a lint."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from kis_estimator.engine.pipeline import STAGES, Emit, Event
from kis_estimator.engine.rules import Rules
from kis_estimator.errors import Locale, Notice, say, shown
from kis_estimator.evidence.canonical import plain
from kis_estimator.intake import Reading
from kis_estimator.service import Estimate, Outcome, noticed
from kis_estimator.terminal.console import (
    add_row,
    new_table,
    placed,
    print_line,
    print_notices,
    print_problems,
    print_said,
    stderr,
    stdout,
)

_MARKS = {True: ("✔", "green"), False: ("✘", "red"), None: ("–", "dim")}
_BASES = {
    "proven optimal": "BASIS_optimal",
    "not run": "BASIS_not_run",
    "single-phase panels only": "BASIS_single_phase",
}
"""Texts of the bases that gates name; a basis not listed is shown as it is."""
_SEVERITY_STYLE = {
    "violation": "bold red",
    "warning": "yellow",
    "recommendation": "cyan",
    "advisory": "dim",
}
_STAGE_NUMBER = {stage: number for number, stage in enumerate(STAGES)}


@contextmanager
def progress(locale: Locale, *, show: bool) -> Iterator[Emit]:
    """Show a bar over the stages on a terminal; elsewhere nothing is printed."""
    if not show or not sys.stderr.isatty():
        yield lambda _event: None
        return
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415 - terminals only

    columns = (
        TextColumn("{task.description:<10}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[panel]}", markup=False),
    )
    with Progress(*columns, console=stderr(), transient=True) as bar:
        first = say(f"STAGE_{STAGES[0]}", locale)
        task = bar.add_task(first, total=float(len(STAGES)), panel="")

        def emit(event: Event) -> None:
            bar.update(
                task,
                completed=_STAGE_NUMBER.get(event.stage, len(STAGES)) + event.progress,
                description=say(f"STAGE_{event.stage}", locale),
                panel=shown(event.panel or ""),
            )

        yield emit


def print_reading(reading: Reading, locale: Locale) -> None:
    """Print what a schedule holds, what was skipped, and every warning and error."""
    console = stdout()
    table = new_table(
        locale, "panel", "quantity", "main", "branches", "accessories", "spares", "source"
    )
    for panel in reading.panels:
        mains = [row for row in panel.breakers if row.role == "main"]
        source = panel.source
        add_row(
            table,
            panel.name,
            str(panel.quantity),
            f"{mains[0].category} {mains[0].poles}P {mains[0].rated_current_a}A" if mains else "–",
            str(sum(row.quantity for row in panel.breakers if row.role == "branch")),
            str(sum(use.quantity for use in panel.accessories)),
            str(sum(spare.quantity for spare in panel.spares)),
            f"{source.sheet} {source.first_row}–{source.last_row}" if source else "–",
        )
    if reading.panels:
        console.print(table)
    for notice in reading.skipped:
        console.print(
            f"{say('LABEL_skipped', locale)} {shown(placed(notice, locale))}", style="dim"
        )
    print_notices(console, reading.warnings, locale, "LABEL_warning", "yellow")
    print_problems(reading.errors, locale)
    if not reading.errors:
        print_line(console, say("READ_OK", locale, panels=len(reading.panels)), *_MARKS[True])


def print_estimate(run: Estimate, folder: Path, rules: Rules, locale: Locale) -> None:
    """Print panels, findings, gates, totals and where the documents are.

    Findings are said in the terminal's language, whatever the documents' is.
    """
    console = stdout()
    for notice in noticed(run.reading):
        print_line(console, placed(notice, locale), say("LABEL_warning", locale), "yellow")
    console.print(_panel_table(run, locale))
    for finding in run.response["findings"]:
        if finding["severity"] != "advisory" and finding.get("source") != "schedule":
            style = _SEVERITY_STYLE[finding["severity"]]
            label = say(f"SEVERITY_{finding['severity']}", locale)
            panel = f"[{finding['panel']}] " if finding.get("panel") else ""
            message = _said(finding["code"], finding.get("figures", {}), rules, locale)
            print_line(console, panel + message, label, style)
    console.print(_gate_table(run.response["gates"], locale))
    totals = run.result.totals
    amounts = {"supply": totals.supply, "vat": totals.vat, "total": totals.total}
    print_said("TOTALS", locale, style="bold", **amounts)
    advisories = sum(f["severity"] == "advisory" for f in run.response["findings"])
    if advisories:
        print_said("ADVISORIES", locale, style="dim", count=advisories)
    print_line(console, f"→ {folder}")


def print_lint(outcome: Outcome, locale: Locale) -> None:
    """Print what is wrong with the documents of a run, and the gates."""
    console = stdout()
    for finding in outcome.findings:
        message = Notice(finding.code, finding.figures).explained(locale)
        label = say(f"SEVERITY_{finding.severity}", locale)
        print_line(console, message, label, _SEVERITY_STYLE[finding.severity])
    console.print(_gate_table([plain(gate) for gate in outcome.gates], locale))


def _said(code: str, figures: Mapping[str, Any], rules: Rules, locale: Locale) -> str:
    """Return the text of a finding: the engine's from its rules, others from the message table."""
    if code in rules.codes:
        return rules.finding(code, locale, **figures).message
    return Notice(code, figures).explained(locale)


def _panel_table(run: Estimate, locale: Locale) -> Table:
    table = new_table(
        locale, "panel", "quantity", "enclosure", "fit", "branches", "imbalance", "heat", "price"
    )
    for panel in run.result.panels:
        phase = panel.phase
        proof = ""
        if phase is not None:
            proof = f"{phase.imbalance_pct:.2f} % {say(f'PROOF_{phase.proof}', locale)}"
        add_row(
            table,
            panel.name,
            str(panel.quantity),
            panel.enclosure.sku,
            f"{panel.enclosure.fit_score:.2f}",
            str(len(panel.devices.circuits)),
            proof or "–",
            f"{panel.layout.heat_w:.0f} W",
            f"{panel.lines_sum:,}",
        )
    table.columns[-1].justify = "right"
    return table


def _gate_table(gates: list[dict[str, Any]], locale: Locale) -> Table:
    table = new_table(locale, "gate", "value", "limit", "passed")
    for gate in gates:
        basis = gate.get("basis") or ""
        said = say(_BASES[basis], locale) if basis in _BASES else shown(basis)
        mark = Text.assemble(_MARKS[gate["passed"]], f" {said}" if said else "")
        name = f"{gate['stage']}.{gate['name']}"
        add_row(table, name, _value(gate["value"]), _value(gate["limit"]), mark)
    return table


def _value(value: object) -> str:
    """Return a gate's value as a person reads it."""
    if isinstance(value, bool):
        return "✔" if value else "✘"
    return "–" if value is None else str(value)
