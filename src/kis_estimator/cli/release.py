"""`kis release`: cut a release from a checkout, verify one that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kis_estimator.cli.common import (
    FAILED,
    AsJson,
    print_json,
    problems_end_it,
    terminal_locale,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="릴리스를 만들고 검증합니다. Cut and verify releases.",
)


@app.command()
def cut(
    version: Annotated[str, typer.Argument(metavar="vX.Y.Z")],
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar="KIS_RELEASE_KEY",
            help="서명 비밀 키 / private key that signs it",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="기본값 / default: out/evidence"),
    ] = None,
) -> None:
    """모든 관문을 실행해 릴리스를 만듭니다. Run every gate, then freeze, sign and tag a release.

    관문을 통과하지 못하면 보고서만 남기고 1로 끝납니다. Ends with 1 where a gate blocks it.
    """
    from kis_estimator import release
    from kis_estimator.errors import KisError
    from kis_estimator.release.definition import definition
    from kis_estimator.release.names import version_of
    from kis_estimator.terminal import release as screen
    from kis_estimator.web.app import routed
    from kis_estimator.web.openapi import openapi_yaml

    locale = terminal_locale()
    with problems_end_it(locale):
        number = version_of(version)
        checkout = release.Checkout.around(Path.cwd())
        if not Path(__file__).resolve().is_relative_to(checkout.root.resolve()):
            raise KisError.of("RELEASE_OTHER_PROGRAM", root=str(checkout.root))
        outcome = release.cut(
            checkout,
            number,
            output or checkout.root / "out/evidence",
            release.Program(openapi_yaml(routed()), definition()),
            key,
            lambda code: screen.step(code, locale),
        )
    screen.print_outcome(outcome, locale)
    raise typer.Exit(0 if outcome.tag else FAILED)


@app.command()
def verify(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="릴리스 폴더 / folder of a release")
    ],
    public_keys: Annotated[
        list[Path] | None, typer.Option("--pubkey", metavar="FILE", help="공개 키 / public key")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """해시·서명·릴리스 정보를 검증합니다. Check every hash, the signature and the facts."""
    from kis_estimator import release
    from kis_estimator.errors import KisError
    from kis_estimator.evidence import open_pack
    from kis_estimator.evidence.keys import load_public_key
    from kis_estimator.evidence.verify import verdict_response
    from kis_estimator.terminal.evidence import print_report

    locale = terminal_locale()
    with problems_end_it(locale):
        keys = [load_public_key(path) for path in public_keys or ()]
        try:
            with open_pack(folder) as pack:
                report = release.verify(pack, keys)
        except KisError as error:  # its remedy speaks of an estimate
            unreadable = [n for n in error.notices if n.code == "PACK_UNREADABLE"]
            if not unreadable:
                raise
            raise KisError.of("RELEASE_UNREADABLE", **unreadable[0].params) from error
    if as_json:
        verdicts = [verdict_response(verdict, locale) for verdict in report.verdicts]
        facts = {"release": report.predicate, "signedBy": report.signed_by}
        print_json({"ok": report.ok, **facts, "verdicts": verdicts})
    else:
        print_report(str(folder), report, locale)
    raise typer.Exit(0 if report.ok else FAILED)
