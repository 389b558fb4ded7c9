"""What was found in packs and chains, and how a replay differs."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from rich.text import Text

from kis_estimator.errors import Locale, say, shown
from kis_estimator.evidence import ChainReport, Report, Verdict
from kis_estimator.terminal.console import add_row, new_table, print_line, print_said, stdout

if TYPE_CHECKING:
    from kis_estimator.service.replay import Replay

_STYLES = {"ok": "green", "withheld": "dim", "unchecked": "yellow"}


def print_report(name: str, report: Report, locale: Locale) -> None:
    """Print a pack's verdicts, its hash, who signed it and the outcome."""
    _print_verdicts(name, report.verdicts, locale)
    if report.evidence_sha:
        print_line(stdout(), f"evidenceSha {report.evidence_sha}")
    if report.signed_by:
        print_said("SIGNED_BY", locale, key=report.signed_by)
    _print_outcome(len(report.verdicts), len(report.problems), locale)


def print_chain(name: str, chain: ChainReport, locale: Locale) -> None:
    """Print the verdicts of a chain, its head and the outcome."""
    _print_verdicts(name, chain.verdicts, locale)
    if chain.head is not None:
        print_said("CHAIN_HEAD", locale, sequence=chain.head.sequence, head=chain.head.sha)
    _print_outcome(len(chain.verdicts), len(chain.problems), locale)


def print_replay(result: Replay, locale: Locale) -> None:
    """Print whether a replay gave the same bytes, and the first place where it did not."""
    if result.recorded_version != result.version:
        versions = {"recorded": result.recorded_version, "version": result.version}
        print_said("REPLAY_VERSION", locale, style="yellow", **versions)
    for name, (recorded, made) in result.totals.items():
        amounts = {"recorded": "–" if recorded is None else f"{recorded:,}", "made": made}
        print_said("REPLAY_TOTAL", locale, style="yellow", name=name, **amounts)
    found = result.difference
    if found is None:
        print_said("REPLAY_IDENTICAL", locale, style="green", files=result.files)
        return
    code = "REPLAY_DIFFERS" if found.field is None else "REPLAY_FIELD_DIFFERS"
    what = {
        "file": found.file, "field": found.field, "recorded": found.recorded, "made": found.made
    }  # fmt: skip
    print_said(code, locale, style="bold red", **what)


def _print_verdicts(name: str, verdicts: Collection[Verdict], locale: Locale) -> None:
    console = stdout()
    console.print(shown(name), style="bold")
    table = new_table(locale, "verdict", "file", "reason")
    # what fails stands last, beside the outcome
    for verdict in sorted(verdicts, key=lambda verdict: verdict.kind not in _STYLES):
        word = Text(say(f"VERDICT_{verdict.kind}", locale), _STYLES.get(verdict.kind, "bold red"))
        reason = verdict.notice.message(locale) if verdict.notice else ""
        add_row(table, word, verdict.name, reason)
    console.print(table)


def _print_outcome(count: int, problems: int, locale: Locale) -> None:
    code, style = ("VERIFY_FAILED", "bold red") if problems else ("VERIFY_OK", "green")
    print_said(code, locale, style=style, count=count, problems=problems)
