"""`kis evidence`: verify, replay and export packs, make a signing key."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kis_estimator.cli.common import (
    FAILED,
    AsJson,
    print_json,
    problems_end_it,
    read_file,
    terminal_locale,
)
from kis_estimator.errors import Locale

if TYPE_CHECKING:
    from kis_estimator.evidence import ChainReport, Report

_LOG_LIMIT = 1 << 30

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="증빙 묶음을 검증·재현·내보내기합니다. Verify, replay and export evidence packs.",
)

OnePack = Annotated[Path, typer.Argument(metavar="PACK", help="폴더 또는 zip / folder or zip")]


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
    with problems_end_it(locale):
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
        from kis_estimator.terminal import evidence as screen

        for name, report in reports.items():
            screen.print_report(name, report, locale)
        if linked is not None:
            screen.print_chain(str(chain), linked, locale)
    raise typer.Exit(0 if ok else FAILED)


@app.command()
def replay(source: OnePack, as_json: AsJson = False) -> None:
    """묶음의 입력으로 다시 실행해 비교합니다. Run a pack again from its inputs and compare."""
    from kis_estimator import evidence
    from kis_estimator.service.replay import replay as run

    locale = terminal_locale()
    with problems_end_it(locale), evidence.open_pack(source) as pack:
        result = run(pack)
    if as_json:
        print_json(result.response())
    else:
        from kis_estimator.terminal.evidence import print_replay

        print_replay(result, locale)
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
    from kis_estimator.terminal.console import print_said

    locale = terminal_locale()
    withheld: tuple[str, ...] = ()
    with ExitStack() as stack:
        stack.enter_context(problems_end_it(locale))
        pack = stack.enter_context(evidence.open_pack(source))
        with evidence.new_file(output) as out:
            if customer:
                withheld = evidence.export_for_customer(pack, out)
            else:
                evidence.export(pack, out)
    print_said("EXPORTED", locale, path=str(output), withheld=len(withheld))


@app.command()
def keygen(
    folder: Annotated[Path, typer.Option("-o", "--output", metavar="DIR")] = Path(),
) -> None:
    """서명 키 한 쌍을 만듭니다. Make a pair of signing keys."""
    from kis_estimator.evidence.keys import make_keys
    from kis_estimator.terminal.console import print_said

    locale = terminal_locale()
    with problems_end_it(locale):
        key, private, public = make_keys(folder)
    what = {"key": key.key_id, "private": str(private), "public": str(public)}
    print_said("KEY_MADE", locale, **what)


def _public_keys(paths: Iterable[Path]) -> list[Any]:
    if not paths:
        return []
    from kis_estimator.evidence.keys import load_public_key

    return [load_public_key(path) for path in paths]


def _verification(
    ok: bool, reports: dict[str, Report], chain: ChainReport | None, locale: Locale
) -> dict[str, Any]:
    packs = [{"pack": name, **report.response(locale)} for name, report in reports.items()]
    answer: dict[str, Any] = {"ok": ok, "packs": packs}
    return answer if chain is None else {**answer, "chain": chain.response(locale)}
