"""`kis estimate`, `kis validate` and `kis lint`."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kis_estimator.cli.catalog import price_book
from kis_estimator.cli.common import (
    FAILED,
    WRONG,
    AsJson,
    print_json,
    problems_end_it,
    read_file,
    read_whole,
    terminal_locale,
)
from kis_estimator.errors import KisError, Locale
from kis_estimator.settings import Settings, read_settings

if TYPE_CHECKING:
    from kis_estimator.evidence import Inputs, RunOptions
    from kis_estimator.evidence.keys import SigningKey
    from kis_estimator.service import Engine, Estimate

_DATE = re.compile(r"20\d\d-\d\d-\d\d")
_NUMBER = re.compile(r"[A-Za-z0-9가-힣][A-Za-z0-9가-힣._-]{0,63}\Z")
_COMPANY_LIMIT = 1024 * 1024

Input = Annotated[
    str, typer.Argument(metavar="INPUT", help=".xlsx .xls .csv .txt .json, - = stdin")
]
DocumentsIn = Annotated[
    Locale | None,
    typer.Option("--locale", help="문서와 화면의 언어 / language of documents and screen"),
]


OutputFolder = Annotated[
    Path, typer.Option("-o", "--output", metavar="DIR", help="결과 폴더 / output folder")
]
Day = Annotated[str | None, typer.Option("--date", metavar="YYYY-MM-DD", help="견적일 / date")]
AcceptMain = Annotated[
    bool, typer.Option("--accept-proposed-main", help="제안된 메인 적용 / accept a proposed main")
]
CompanyFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="공급자 정보 / company.toml of the supplier")
]
FormFile = Annotated[
    Path | None, typer.Option(metavar="FORM.xlsx", help="자사 견적 양식 / your own form")
]
PriceBookFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE.xlsx|FOLDER", help="내보낸 가격표 / an exported price book"),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="오류만 출력 / print errors only")]


def estimate(
    source: Input,
    output: OutputFolder = Path("out"),
    customer: Annotated[str | None, typer.Option(help="고객명 / customer")] = None,
    project: Annotated[str | None, typer.Option(help="공사명 / project")] = None,
    brand: Annotated[str | None, typer.Option(help="차단기 브랜드 / breaker brand")] = None,
    day: Day = None,
    number: Annotated[str | None, typer.Option(help="견적번호 / estimate number")] = None,
    accept_proposed_main: AcceptMain = False,
    company: CompanyFile = None,
    template: FormFile = None,
    catalog: PriceBookFile = None,
    documents_in: DocumentsIn = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """스케줄을 읽어 설계하고 견적합니다. Design and price a schedule."""
    from kis_estimator import service
    from kis_estimator.evidence import RunOptions
    from kis_estimator.terminal.estimate import print_estimate, progress

    locale = documents_in or terminal_locale()
    show = not quiet and not as_json
    with problems_end_it(locale), progress(locale, show=show) as emit:
        settings = read_settings(os.environ)
        files = _files(source, company, template, settings)
        chosen = _date(day)
        engine = _engine(catalog)
        options = RunOptions(
            number="",
            revision=1,
            date=chosen,
            reading_locale=documents_in or "ko-KR",
            locale=documents_in,
            customer=_text(customer),
            project=_text(project),
            brand=_brand(brand, engine.catalog.brands),
            accept_proposed_main=accept_proposed_main,
            production=settings.production,
        )
        signer = _signer(settings)

        def numbered(number: str) -> Estimate:
            inputs = files.inputs(replace(options, number=number), engine)
            return service.estimate(inputs, engine, emit, signer)

        run, folder = service.make_and_write(numbered, _checked(number) or chosen, output, signer)
    if as_json:
        print_json(run.response)
    elif show:
        print_estimate(run, folder, engine.rules, locale)
    raise typer.Exit(0 if run.response["gatesPassed"] else FAILED)


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
        print_json(service.validation_response(reading, locale))
    else:
        from kis_estimator.terminal.estimate import print_reading

        print_reading(reading, locale)
    raise typer.Exit(WRONG if reading.errors else 0)


def lint(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="만든 폴더나 zip / a folder or zip")
    ],
    as_json: AsJson = False,
) -> None:
    """만들어 둔 문서를 검사합니다. Check the documents of a run made earlier."""
    from kis_estimator import service

    locale = terminal_locale()
    with problems_end_it(locale):
        outcome = service.lint_folder(folder, locale)
    if as_json:
        print_json({"gates": list(outcome.gates), "findings": list(outcome.findings)})
    else:
        from kis_estimator.terminal.estimate import print_lint

        print_lint(outcome, locale)
    raise typer.Exit(0 if all(gate.passed for gate in outcome.gates) else FAILED)


# ---------------------------------------------------------------- arguments


def _read_input(source: str) -> tuple[bytes, str]:
    """Return the bytes and the name of the input; `-` is standard input."""
    from kis_estimator import service

    if source == "-":
        return read_whole(sys.stdin.buffer, source, service.MAX_INPUT), source
    path = Path(source)
    return read_file(path, "INPUT", service.MAX_INPUT), path.name


def _engine(catalog: Path | None) -> Engine:
    """Return the engine of the caller's price book, else of the program's."""
    from kis_estimator import service

    engine = service.load_engine()
    if catalog is None:
        return engine
    return service.engine_of(price_book(catalog), engine.rule_bytes)


def _signer(settings: Settings) -> SigningKey | None:
    if settings.signing_key is None:
        return None
    from kis_estimator.evidence.keys import load_signing_key

    return load_signing_key(settings.signing_key)


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of the caller."""

    upload: bytes
    name: str
    company: _Company
    form: bytes | None

    def inputs(self, options: RunOptions, engine: Engine) -> Inputs:
        """Return what a run is given."""
        from kis_estimator.evidence import Inputs

        return Inputs(
            upload_name=self.name,
            upload=self.upload,
            options=options,
            catalog=engine.catalog_files,
            rules=engine.rule_bytes,
            company=self.company.data,
            seal=self.company.seal,
            form=self.form,
        )


def _files(source: str, company: Path | None, form: Path | None, settings: Settings) -> _Files:
    from kis_estimator import service

    upload, name = _read_input(source)
    return _Files(
        upload=upload,
        name=name,
        company=_company(company, settings),
        form=None if form is None else read_file(form, "--template", service.MAX_INPUT),
    )


@dataclass(frozen=True, slots=True)
class _Company:
    data: bytes
    seal: bytes | None


def _company(path: Path | None, settings: Settings) -> _Company:
    """Return the supplier: the file named, else that of KIS_HOME, else the placeholder."""
    from kis_estimator.documents.supplier import SEAL_LIMIT, placeholder_bytes, seal_name

    own = settings.home / "company.toml"
    if path is None and not own.is_file():
        return _Company(placeholder_bytes(), None)
    file = path or own
    data = read_file(file, "company.toml", _COMPANY_LIMIT)
    name = seal_name(data)
    if name is None:
        return _Company(data, None)
    seal = file.parent / name
    if not seal.is_file() or seal.resolve().parent != file.parent.resolve():
        raise KisError.of("SEAL_MISSING", seal=name)
    return _Company(data, read_file(seal, "seal", SEAL_LIMIT))


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


def _text(text: str | None) -> str | None:
    """Return a text of the caller. Raises TEXT_ENCODING where the terminal sent no valid text."""
    if text is not None and any("\ud800" <= char <= "\udfff" for char in text):
        raise KisError.of("TEXT_ENCODING")
    return text


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
