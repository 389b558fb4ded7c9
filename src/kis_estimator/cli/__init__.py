"""The command line `kis`: reads arguments, calls one use case, prints; exit codes 0 to 3."""

from __future__ import annotations

from typing import Annotated

import typer

from kis_estimator import __version__
from kis_estimator.cli import catalog, db, evidence, ops, release
from kis_estimator.cli.estimate import estimate, lint, validate
from kis_estimator.cli.openapi import openapi
from kis_estimator.cli.serve import api, serve, token, worker

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="차단기 스케줄에서 설계·견적까지. From a breaker schedule to a designed, priced panel.",
)
app.command()(estimate)
app.command()(validate)
app.command()(lint)
app.command()(serve)
app.command()(worker)
app.command(hidden=True)(api)
app.command()(token)
app.command()(openapi)
app.add_typer(catalog.app, name="catalog")
app.add_typer(db.app, name="db")
app.add_typer(evidence.app, name="evidence")
app.add_typer(release.app, name="release")
app.add_typer(ops.app, name="ops")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kis {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", help="버전 / version", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    """Hold the options of `kis` itself."""


def main() -> None:
    """Run the command line."""
    app(prog_name="kis")
