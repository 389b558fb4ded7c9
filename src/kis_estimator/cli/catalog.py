"""`kis catalog`: the price book of the local organisation: list, export, import."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kis_estimator.cli.common import (
    WRONG,
    AsJson,
    print_json,
    problems_end_it,
    read_file,
    terminal_locale,
)
from kis_estimator.errors import KisError, Locale, say

if TYPE_CHECKING:
    from kis_estimator.service import Engine
    from kis_estimator.store.db import Database, Principal

_EVERY = 1_000_000

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="가격표를 보고 바꿉니다. Show and change the price book.",
)


@app.command("list")
def list_items(
    q: Annotated[
        str, typer.Option("--q", metavar="WORDS", help="모든 낱말이 든 품목 / words to find")
    ] = "",
    kind: Annotated[
        Literal["breaker", "enclosure", "accessory"] | None, typer.Option(help="종류 / kind")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """사용 중인 가격표의 품목을 보여 줍니다. Show the items of the price book in force."""
    from kis_estimator.store import catalog
    from kis_estimator.terminal.catalog import print_items, print_version

    locale = terminal_locale()
    with _installation(locale) as place, place.database.tenant(place.principal) as conn:
        version = catalog.version_in_force(conn, place.engine.catalog.sha)
        wish = catalog.ItemWish(page=1, size=_EVERY, kind=kind, words=tuple(q.split()))
        rows, total = catalog.page_of_items(conn, version["id"], wish)
    if as_json:
        about = {key: version[key] for key in ("number", "sha256", "name", "version", "sample")}
        items = [{("unitPrice" if k == "unit_price" else k): v for k, v in r.items()} for r in rows]
        print_json({"items": items, "total": total, "version": about})
    else:
        print_version(version, locale)
        print_items(rows, locale)


@app.command("export")
def export_book(
    target: Annotated[
        Path, typer.Argument(metavar="FILE.xlsx|FOLDER", help="새 파일이나 폴더 / a new one")
    ],
) -> None:
    """사용 중인 가격표를 파일로 저장합니다. Save the price book in force.

    «kis catalog import»와 «kis estimate --catalog»로 다시 읽을 수 있습니다. It can be read again.
    """
    from kis_estimator.store import catalog
    from kis_estimator.terminal.console import print_said

    locale = terminal_locale()
    with _installation(locale) as place:
        with place.database.tenant(place.principal) as conn:
            version = catalog.version_in_force(conn, place.engine.catalog.sha)
            files = catalog.version_files(conn, version["id"])
        _write(target, files)
        print_said("CATALOG_SAVED", locale, path=str(target), number=version["number"])


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=".csv, .xlsx")],
    mode: Annotated[
        Literal["upsert", "replace"],
        typer.Option(help="replace: 표 전체를 바꿈 / a table becomes exactly the file's rows"),
    ] = "upsert",
    preview: Annotated[
        bool, typer.Option("--preview", help="바뀔 것만 보기 / show what would change")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="묻지 않기 / do not ask")] = False,
    sample: Annotated[
        bool | None, typer.Option("--sample/--no-sample", help="견본 가격인지 / sample prices")
    ] = None,
    name: Annotated[str | None, typer.Option(help="가격표 이름 / name of the price book")] = None,
    version: Annotated[str | None, typer.Option(help="판 / its edition")] = None,
) -> None:
    """CSV나 엑셀 가격표를 가져와 새 버전을 만듭니다. Import a price book as a new version.

    전체를 검사한 뒤에만 바뀝니다. It is validated whole before anything changes.
    """
    from kis_estimator.service.pricebook_files import MAX_BYTES, Head
    from kis_estimator.service.pricebook_import import Wish, adopt, plan_file, rule_skus
    from kis_estimator.store import catalog
    from kis_estimator.terminal.catalog import print_plan
    from kis_estimator.terminal.console import print_said

    locale = terminal_locale()
    with _installation(locale) as place:
        data = read_file(file, "FILE", MAX_BYTES)
        with place.database.tenant(place.principal) as conn:
            before = catalog.version_in_force(conn, place.engine.catalog.sha)
            files = catalog.version_files(conn, before["id"])
        wish = Wish(
            replace=mode == "replace",
            head=Head(name=_label(name, 200), version=_label(version, 100), sample=sample),
            needed=rule_skus(place.engine.rules),
        )
        plan = plan_file(files, data, file.name, wish)
        if plan.unchanged:
            print_said("CATALOG_UNCHANGED", locale, number=before["number"])
            return
        print_plan(plan, locale)
        if preview:
            return
        _confirm(locale, yes=yes)
        with place.database.tenant(place.principal) as conn:
            number = adopt(conn, before["number"], plan, "catalog.imported", None)
        print_said("CATALOG_IMPORTED", locale, style="green", number=number)


def price_book(path: Path) -> dict[str, bytes]:
    """Return the files of an exported price book: of its folder, or of its workbook."""
    from kis_estimator.engine.catalog import FILES
    from kis_estimator.service.pricebook_files import MAX_BYTES
    from kis_estimator.service.pricebook_import import whole_book

    if path.is_dir():
        return {name: read_file(path / name, "--catalog", MAX_BYTES) for name in FILES}
    return whole_book(read_file(path, "--catalog", MAX_BYTES), path.name)


# ---------------------------------------------------------------- parts


@dataclass(frozen=True, slots=True)
class _Installation:
    database: Database
    principal: Principal
    engine: Engine


@contextmanager
def _installation(locale: Locale) -> Iterator[_Installation]:
    """Lend the database in the name of the local administrator; ends with 2 or 3 on a problem."""
    from kis_estimator.assembly import local_principal, prepare_database, reached
    from kis_estimator.service import load_engine
    from kis_estimator.settings import require_service_settings
    from kis_estimator.store.db import Database

    with problems_end_it(locale):
        settings = require_service_settings(os.environ)
        if not settings.local_storage:
            raise KisError.of("CATALOG_ELSEWHERE")
        with reached(settings) as addresses:
            prepare_database(settings, addresses)
            with Database(
                addresses.login,
                pool_size=1,
                max_overflow=0,
                transaction_pooler=addresses.transaction_pooler,
            ) as database:
                principal = local_principal(settings.home, "admin")
                yield _Installation(database, principal, load_engine())


def _write(target: Path, files: Mapping[str, str]) -> None:
    """Write a workbook, or a folder of the price book's files; nothing is overwritten."""
    from kis_estimator.service.pricebook_files import export_workbook

    try:
        if target.suffix.lower() == ".xlsx":
            contents = {target: export_workbook(files)}
        else:
            target.mkdir(parents=True, exist_ok=True)
            contents = {target / name: text.encode() for name, text in files.items()}
        for path in contents:
            if path.exists():
                raise KisError.of("FILE_EXISTS", path=str(path))
        for path, data in contents.items():
            with path.open("xb") as file:
                file.write(data)
    except OSError as error:
        raise KisError.of("FILE_UNWRITABLE", path=str(target), reason=error.strerror) from error


def _label(text: str | None, longest: int) -> str | None:
    from kis_estimator.intake.characters import cleaned

    if text is not None and not (text.strip() and len(text) <= longest and cleaned(text) == text):
        raise KisError.of("CATALOG_LABEL", limit=longest)
    return text


def _confirm(locale: Locale, *, yes: bool) -> None:
    """Ask whether to go on. Raises CATALOG_CONFIRM where nobody is there to answer."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise KisError.of("CATALOG_CONFIRM")
    if not typer.confirm(say("CATALOG_ASK", locale)):
        raise typer.Exit(WRONG)
