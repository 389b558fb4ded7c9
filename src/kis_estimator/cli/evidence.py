"""`kis evidence`: verify, replay and export packs, make a signing key."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kis_estimator.cli.common import (
    FAILED,
    AsJson,
    print_json,
    problems_end_with_2,
    read_file,
    terminal_locale,
)
from kis_estimator.errors import Locale, say

if TYPE_CHECKING:
    from kis_estimator.evidence import ChainReport, Report, Verdict
    from kis_estimator.evidence.keys import SigningKey
    from kis_estimator.service.replay import Replay

SIGNING_KEY = "KIS_SIGNING_KEY"
_PIPE_WIDTH = 500
_LOG_LIMIT = 1 << 30
_STYLES = {"ok": "green", "withheld": "dim", "unchecked": "yellow"}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="증빙 묶음을 검증·재현·내보내기합니다. Verify, replay and export evidence packs.",
)

OnePack = Annotated[Path, typer.Argument(metavar="PACK", help="폴더 또는 zip / folder or zip")]


def signer_from_environment() -> SigningKey | None:
    """Return the key that KIS_SIGNING_KEY names by its path; None where it names none."""
    path = os.environ.get(SIGNING_KEY)
    if not path:
        return None
    from kis_estimator.evidence.keys import load_signing_key

    return load_signing_key(Path(path))


@app.command()
def verify(
    packs: Annotated[
        list[Path] | None, typer.Argument(metavar="[PACK]...", help="폴더 또는 zip / folder or zip")
    ] = None,
    public_keys: Annotated[
        list[Path] | None, typer.Option("--pubkey", metavar="FILE", help="공개 키 / public key")
    ] = None,
    chain: Annotated[
        Path | None, typer.Option(metavar="LOG", help="체인 기록 / log of the chain")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """파일마다 해시·서명·체인을 검증합니다. Check every hash, the signature and the chain.

    --chain만 주면 기록 옆의 모든 묶음을 검증합니다. With --chain alone every pack beside the log.
    """
    from kis_estimator import evidence

    if not packs and chain is None:
        raise typer.BadParameter("PACK | --chain LOG")
    locale = terminal_locale()
    with problems_end_with_2(locale):
        keys = _public_keys(public_keys or ())
        log = None if chain is None else read_file(chain, "--chain", _LOG_LIMIT)
        reports: dict[str, Report] = {}
        for path in packs or ([] if chain is None else evidence.packs_beside(chain)):
            with evidence.open_pack(path) as pack:
                reports[str(path)] = evidence.verify(pack, keys)
        linked = None if log is None else evidence.verify_chain(log, reports, keys, whole=not packs)
    ok = all(report.ok for report in reports.values()) and (linked is None or linked.ok)
    if as_json:
        print_json(_verification(ok, reports, linked, locale))
    else:
        for name, report in reports.items():
            _print_report(name, report, locale)
        if linked is not None:
            _print_chain(str(chain), linked, locale)
    raise typer.Exit(0 if ok else FAILED)


@app.command()
def replay(source: OnePack, as_json: AsJson = False) -> None:
    """묶음의 입력으로 다시 실행해 비교합니다. Run a pack again from its inputs and compare."""
    from kis_estimator import evidence
    from kis_estimator.service.replay import replay as run

    locale = terminal_locale()
    with problems_end_with_2(locale), evidence.open_pack(source) as pack:
        result = run(pack)
    if as_json:
        print_json(result.response())
    else:
        _print_replay(result, locale)
    raise typer.Exit(0 if result.identical else FAILED)


@app.command()
def export(
    source: OnePack,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.zip")],
    customer: Annotated[
        bool, typer.Option("--customer", help="입력·단가 제외 / without inputs and prices")
    ] = False,
) -> None:
    """묶음을 zip 하나로 씁니다. Write a pack as one zip."""
    from kis_estimator import evidence

    locale = terminal_locale()
    withheld: tuple[str, ...] = ()
    with ExitStack() as stack:
        stack.enter_context(problems_end_with_2(locale))
        pack = stack.enter_context(evidence.open_pack(source))
        with evidence.new_file(output) as out:
            if customer:
                withheld = evidence.export_for_customer(pack, out)
            else:
                evidence.export(pack, out)
    typer.echo(say("EXPORTED", locale, path=str(output), withheld=len(withheld)))


@app.command()
def keygen(
    folder: Annotated[Path, typer.Option("-o", "--output", metavar="DIR")] = Path(),
) -> None:
    """서명 키 한 쌍을 만듭니다. Make a pair of signing keys."""
    from kis_estimator.evidence.keys import make_keys

    locale = terminal_locale()
    with problems_end_with_2(locale):
        key, private, public = make_keys(folder)
    what = {"key": key.key_id, "private": str(private), "public": str(public)}
    typer.echo(say("KEY_MADE", locale, **what))


def _public_keys(paths: Iterable[Path]) -> list[Any]:
    if not paths:
        return []
    from kis_estimator.evidence.keys import load_public_key

    return [load_public_key(path) for path in paths]


# ---------------------------------------------------------------- output


def _verification(
    ok: bool, reports: dict[str, Report], chain: ChainReport | None, locale: Locale
) -> dict[str, Any]:
    packs = [{"pack": name, **report.response(locale)} for name, report in reports.items()]
    answer: dict[str, Any] = {"ok": ok, "packs": packs}
    return answer if chain is None else {**answer, "chain": chain.response(locale)}


def _print_report(name: str, report: Report, locale: Locale) -> None:
    from rich.markup import escape

    console = _console()
    console.print(f"[bold]{escape(name)}[/]")
    console.print(_verdicts(report.verdicts, locale))
    if report.evidence_sha:
        console.print(f"evidenceSha {report.evidence_sha}")
    if report.signed_by:
        console.print(say("SIGNED_BY", locale, key=report.signed_by))
    _print_outcome(len(report.verdicts), len(report.problems), locale)


def _print_chain(name: str, chain: ChainReport, locale: Locale) -> None:
    from rich.markup import escape

    console = _console()
    console.print(f"[bold]{escape(name)}[/]")
    console.print(_verdicts(chain.verdicts, locale))
    if chain.head is not None:
        sequence, head = chain.head.sequence, chain.head.sha
        console.print(say("CHAIN_HEAD", locale, sequence=sequence, head=head))
    _print_outcome(len(chain.verdicts), len(chain.problems), locale)


def _print_outcome(count: int, problems: int, locale: Locale) -> None:
    code, style = ("VERIFY_FAILED", "bold red") if problems else ("VERIFY_OK", "green")
    _console().print(say(code, locale, count=count, problems=problems), style=style)


def _verdicts(verdicts: Iterable[Verdict], locale: Locale) -> Any:  # noqa: ANN401 - a rich table
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("verdict", "file", "reason"):
        table.add_column(say(f"COLUMN_{column}", locale), overflow="fold")
    # what fails stands last, beside the outcome
    for verdict in sorted(verdicts, key=lambda verdict: verdict.kind not in _STYLES):
        style = _STYLES.get(verdict.kind, "bold red")
        word = say(f"VERDICT_{verdict.kind}", locale)
        reason = verdict.notice.message(locale) if verdict.notice else ""
        table.add_row(f"[{style}]{word}[/]", escape(verdict.name), escape(reason))
    return table


def _print_replay(result: Replay, locale: Locale) -> None:
    from rich.markup import escape

    console = _console()
    if result.recorded_version != result.version:
        versions = {"recorded": result.recorded_version, "version": result.version}
        console.print(escape(say("REPLAY_VERSION", locale, **versions)), style="yellow")
    for name, (recorded, made) in result.totals.items():
        amount = "–" if recorded is None else f"{recorded:,}"
        line = say("REPLAY_TOTAL", locale, name=name, recorded=amount, made=made)
        console.print(escape(line), style="yellow")
    found = result.difference
    if found is None:
        console.print(say("REPLAY_IDENTICAL", locale, files=result.files), style="green")
        return
    code = "REPLAY_DIFFERS" if found.field is None else "REPLAY_FIELD_DIFFERS"
    what = {
        "file": found.file, "field": found.field, "recorded": found.recorded, "made": found.made
    }  # fmt: skip
    console.print(escape(say(code, locale, **what)), style="bold red")


def _console() -> Any:  # noqa: ANN401 - a rich console
    import sys

    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
