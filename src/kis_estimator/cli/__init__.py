"""The command line `kis`: reads arguments, calls one use case, prints; exit codes 0 to 3."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from kis_estimator import __version__
from kis_estimator.errors import KisError, Locale
from kis_estimator.evidence import pretty

GATE_FAILED, WRONG = 1, 2
_DATE = re.compile(r"20\d\d-\d\d-\d\d")
_NUMBER = re.compile(r"[A-Za-z0-9가-힣][A-Za-z0-9가-힣._-]{0,63}\Z")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="차단기 스케줄에서 설계·견적까지. From a breaker schedule to a designed, priced panel.",
)

Input = Annotated[
    str, typer.Argument(metavar="INPUT", help=".xlsx .xls .csv .txt .json, - = stdin")
]
DocumentsIn = Annotated[
    Locale | None,
    typer.Option("--locale", help="문서와 화면의 언어 / language of documents and screen"),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON만 출력 / print the JSON alone")]


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


def terminal_locale() -> Locale:
    """Return the reader's language: English where the environment says so, else Korean."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    value = next((os.environ[name] for name in names if os.environ.get(name)), "")
    return "en-US" if value.lower().startswith("en") else "ko-KR"


@app.command()
def estimate(
    source: Input,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="결과 폴더 / output folder")
    ] = Path("out"),
    customer: Annotated[str | None, typer.Option(help="고객명 / customer")] = None,
    project: Annotated[str | None, typer.Option(help="공사명 / project")] = None,
    brand: Annotated[str | None, typer.Option(help="차단기 브랜드 / breaker brand")] = None,
    day: Annotated[
        str | None, typer.Option("--date", metavar="YYYY-MM-DD", help="견적일 / date")
    ] = None,
    number: Annotated[str | None, typer.Option(help="견적번호 / estimate number")] = None,
    accept_proposed_main: Annotated[
        bool,
        typer.Option("--accept-proposed-main", help="제안된 메인 적용 / accept a proposed main"),
    ] = False,
    documents_in: DocumentsIn = None,
    as_json: AsJson = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="오류만 출력 / print errors only")
    ] = False,
) -> None:
    """스케줄을 읽어 설계하고 견적합니다. Design and price a schedule."""
    from kis_estimator import service, terminal

    locale = documents_in or terminal_locale()
    with _errors(locale), terminal.progress(locale, show=not quiet and not as_json) as emit:
        data, name = _read_input(source)
        chosen = _date(day)
        engine = service.load_engine()
        reading = service.read(data, name, engine, documents_in or "ko-KR")
        options = service.Options(
            date=chosen,
            number=_checked(number) or service.next_number(output, chosen),
            customer=customer,
            project=project,
            brand=_brand(brand, engine.catalog.brands),
            locale=documents_in,
            accept_proposed_main=accept_proposed_main,
        )
        run = service.estimate(reading, options, engine, emit)
        folder = service.write(run.files, run.number, output)
    if as_json:
        _print_json(run.response)
    elif not quiet:
        terminal.print_estimate(run, reading, folder, engine.rules, locale)
    raise typer.Exit(0 if run.response["gatesPassed"] else GATE_FAILED)


@app.command()
def validate(source: Input, as_json: AsJson = False) -> None:
    """스케줄을 읽고 검사만 합니다. Read and check a schedule, estimate nothing."""
    from kis_estimator import service

    locale = terminal_locale()
    try:
        data, name = _read_input(source)
        reading = service.validate(data, name, service.load_engine(), locale)
    except KisError as error:
        reading = service.unreadable(error)
    if as_json:
        _print_json(service.validation_response(reading, locale))
    else:
        from kis_estimator import terminal

        terminal.print_reading(reading, locale)
    raise typer.Exit(WRONG if reading.errors else 0)


# ---------------------------------------------------------------- arguments


def _read_input(source: str) -> tuple[bytes, str]:
    """Return the bytes and the name of the input; `-` is standard input."""
    from kis_estimator import service

    if source == "-":
        return sys.stdin.buffer.read(service.MAX_INPUT + 1), "-"
    try:
        with Path(source).open("rb") as file:
            return file.read(service.MAX_INPUT + 1), Path(source).name
    except OSError as error:
        raise KisError.of("INPUT_UNREADABLE", path=source, reason=error.strerror) from error


def _date(text: str | None) -> date:
    from kis_estimator.service import today

    if text is None:
        return today()
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or not _DATE.fullmatch(text):
        raise KisError.of("DATE_INVALID", text=text)
    return day


def _checked(number: str | None) -> str | None:
    if number is not None and not _NUMBER.match(number):
        raise KisError.of("NUMBER_INVALID", number=number)
    return number


def _brand(brand: str | None, known: tuple[str, ...]) -> str | None:
    if brand is None:
        return None
    for name in known:
        if name.casefold() == brand.casefold():
            return name
    raise KisError.of("UNKNOWN_BRAND", brand=brand, known=known)


# ---------------------------------------------------------------- output


@contextmanager
def _errors(locale: Locale) -> Iterator[None]:
    """Print every notice of an error with its place and remedy, then end with 2."""
    try:
        yield
    except KisError as error:
        from kis_estimator import terminal

        terminal.print_problems(error.notices, locale)
        raise typer.Exit(WRONG) from None


def _print_json(value: dict[str, Any]) -> None:
    sys.stdout.buffer.write(pretty(value))
    sys.stdout.flush()


def main() -> None:
    """Run the command line."""
    app(prog_name="kis")
