"""What a person sees in the terminal: progress, problems with remedies, the result's tables."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kis_estimator.engine.pipeline import Emit, Event
from kis_estimator.engine.rules import Rules
from kis_estimator.errors import Locale, Notice, say
from kis_estimator.evidence.canonical import plain
from kis_estimator.intake import Reading
from kis_estimator.service import Estimate, Outcome, noticed

_MARKS = {True: "[green]✔[/]", False: "[red]✘[/]", None: "[dim]–[/]"}
_BASES = {
    "proven optimal": "BASIS_optimal",
    "not run": "BASIS_not_run",
    "single-phase panels only": "BASIS_single_phase",
}
_SEVERITY_STYLE = {
    "violation": "bold red",
    "warning": "yellow",
    "recommendation": "cyan",
    "advisory": "dim",
}


def _stdout() -> Console:
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def _stderr() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def progress(locale: Locale, *, show: bool) -> Iterator[Emit]:
    """Show a bar over the engine's stages on a terminal; elsewhere nothing is printed."""
    if not show or not sys.stderr.isatty():
        yield lambda _event: None
        return
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415 - terminals only

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TextColumn("{task.fields[panel]}"),
    )
    with Progress(*columns, console=_stderr(), transient=True) as bar:
        task = bar.add_task(say("STAGE_enclosure", locale), total=6.0, panel="")
        done = 0.0

        def emit(event: Event) -> None:
            nonlocal done
            if event.kind == "finished":
                done += 1
            bar.update(
                task,
                completed=done + (event.progress if event.kind == "progress" else 0.0),
                description=say(f"STAGE_{event.stage}", locale),
                panel=event.panel or "",
            )

        yield emit


def print_problems(notices: Iterable[Notice], locale: Locale) -> None:
    """Print errors with tab, row, cause and remedy on standard error."""
    console = _stderr()
    for notice in notices:
        console.print(f"[bold red]{say('LABEL_error', locale)}[/] {_placed(notice, locale)}")
        _print_hint(console, notice, locale)


def _placed(notice: Notice, locale: Locale) -> str:
    """Return place, cause and what stood there, on one line."""
    place = ""
    if notice.sheet is not None:
        place = f"[{notice.sheet}] "
    if notice.row is not None:
        place += say("LABEL_row", locale, row=notice.row) + " "
    text = f"  «{notice.text}»" if notice.text else ""
    return escape(f"{place}{notice.message(locale)} ({notice.code}){text}")


def _print_hint(console: Console, notice: Notice, locale: Locale) -> None:
    hint = notice.hint(locale)
    if hint:
        console.print(f"  → {escape(hint)}")


def print_reading(reading: Reading, locale: Locale) -> None:
    """Print what a schedule holds, what was skipped, and every warning and error."""
    console = _stdout()
    table = _table(
        locale, "panel", "quantity", "main", "branches", "accessories", "spares", "source"
    )
    for panel in reading.panels:
        mains = [row for row in panel.breakers if row.role == "main"]
        source = panel.source
        table.add_row(
            escape(panel.name),
            str(panel.quantity),
            f"{mains[0].category} {mains[0].poles}P {mains[0].rated_current_a}A" if mains else "–",
            str(sum(row.quantity for row in panel.breakers if row.role == "branch")),
            str(sum(use.quantity for use in panel.accessories)),
            str(sum(spare.quantity for spare in panel.spares)),
            escape(f"{source.sheet} {source.first_row}–{source.last_row}") if source else "–",
        )
    if reading.panels:
        console.print(table)
    for notice in reading.skipped:
        console.print(f"[dim]{say('LABEL_skipped', locale)} {_placed(notice, locale)}[/]")
    for notice in reading.warnings:
        console.print(f"[yellow]{say('LABEL_warning', locale)}[/] {_placed(notice, locale)}")
        _print_hint(console, notice, locale)
    print_problems(reading.errors, locale)
    if not reading.errors:
        console.print(f"[green]✔[/] {say('READ_OK', locale, panels=len(reading.panels))}")


def print_estimate(run: Estimate, folder: Path, rules: Rules, locale: Locale) -> None:
    """Print panels, findings, gates, totals and where the documents are.

    Findings are said in the terminal's language, whatever the documents' is.
    """
    console = _stdout()
    for notice in noticed(run.reading):
        console.print(f"[yellow]{say('LABEL_warning', locale)}[/] {_placed(notice, locale)}")
    console.print(_panel_table(run, locale))
    for finding in run.response["findings"]:
        if finding["severity"] != "advisory" and finding.get("source") != "schedule":
            style = _SEVERITY_STYLE[finding["severity"]]
            label = say(f"SEVERITY_{finding['severity']}", locale)
            panel = f"[{finding['panel']}] " if finding.get("panel") else ""
            message = _said(finding["code"], finding.get("figures", {}), rules, locale)
            console.print(f"[{style}]{label}[/] {escape(panel + message)}")
    console.print(_gate_table(run.response["gates"], locale))
    totals = run.result.totals
    console.print(
        say("TOTALS", locale, supply=totals.supply, vat=totals.vat, total=totals.total),
        style="bold",
    )
    advisories = sum(f["severity"] == "advisory" for f in run.response["findings"])
    if advisories:
        console.print(f"[dim]{say('ADVISORIES', locale, count=advisories)}[/]")
    console.print(f"→ {escape(str(folder))}")


def print_lint(outcome: Outcome, locale: Locale) -> None:
    """Print what is wrong with the documents of a run, and the gates."""
    console = _stdout()
    for finding in outcome.findings:
        message = _notice_text(finding.code, finding.figures, locale)
        console.print(f"[bold red]{say('SEVERITY_violation', locale)}[/] {escape(message)}")
    console.print(_gate_table([plain(gate) for gate in outcome.gates], locale))


def _said(code: str, figures: Mapping[str, Any], rules: Rules, locale: Locale) -> str:
    """Return the text of a finding: the engine's from its rules, others from the message table."""
    if code in rules.codes:
        return rules.finding(code, locale, **figures).message
    return _notice_text(code, figures, locale)


def _notice_text(code: str, figures: Mapping[str, Any], locale: Locale) -> str:
    notice = Notice(code, figures)
    return ". ".join(filter(None, (notice.message(locale), notice.hint(locale))))


def _table(locale: Locale, *columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(say(f"COLUMN_{column}", locale))
    return table


def _panel_table(run: Estimate, locale: Locale) -> Table:
    table = _table(
        locale, "panel", "quantity", "enclosure", "fit", "branches", "imbalance", "heat", "price"
    )
    for panel in run.result.panels:
        phase = panel.phase
        proof = ""
        if phase is not None:
            proof = f"{phase.imbalance_pct:.2f} % {say(f'PROOF_{phase.proof}', locale)}"
        table.add_row(
            escape(panel.name),
            str(panel.quantity),
            escape(panel.enclosure.sku),
            f"{panel.enclosure.fit_score:.2f}",
            str(len(panel.devices.circuits)),
            proof or "–",
            f"{panel.layout.heat_w:.0f} W",
            f"{panel.lines_sum:,}",
        )
    table.columns[-1].justify = "right"
    return table


def _gate_table(gates: list[dict[str, Any]], locale: Locale) -> Table:
    table = _table(locale, "gate", "value", "limit", "passed")
    for gate in gates:
        mark = _MARKS[gate["passed"]]
        basis = _BASES.get(gate.get("basis", ""))
        note = f" {say(basis, locale)}" if basis else ""
        name = f"{gate['stage']}.{gate['name']}"
        table.add_row(name, _shown(gate["value"]), _shown(gate["limit"]), mark + note)
    return table


def _shown(value: object) -> str:
    """Return a gate's value as a person reads it."""
    if isinstance(value, bool):
        return "✔" if value else "✘"
    return "–" if value is None else str(value)
