"""`kis db`: bring the database's schema up to this release, and say how far it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from kis_estimator.cli.common import WRONG, problems_end_it, terminal_locale
from kis_estimator.errors import Locale

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="데이터베이스 스키마를 관리합니다. Manage the database's schema.",
)


@app.command()
def migrate() -> None:
    """대기 중인 마이그레이션을 적용합니다. Apply the migrations that are pending."""
    from kis_estimator.store.migrate import migrate as apply
    from kis_estimator.store.migrate import migrations_folder
    from kis_estimator.terminal.console import print_said

    locale = terminal_locale()
    with _database(locale) as dsn:
        done = apply(
            dsn,
            migrations_folder(),
            emit=lambda migration: print_said("MIGRATION_DONE", locale, file=migration.file),
        )
        if not done:
            print_said("MIGRATIONS_NONE_PENDING", locale)


@app.command()
def status() -> None:
    """마이그레이션마다 적용 여부를 보여 줍니다. Show which migrations are applied.

    적용된 파일이 바뀌었으면 2로 끝납니다. Ends with 2 where an applied file was changed.
    """
    from kis_estimator.errors import say
    from kis_estimator.store.migrate import migrations_folder
    from kis_estimator.store.migrate import status as read
    from kis_estimator.terminal.console import print_line, stdout

    locale = terminal_locale()
    with _database(locale) as dsn:
        states = read(dsn, migrations_folder())
    for found in states:
        label = say(f"MIGRATION_STATE_{found.state}", locale)
        print_line(stdout(), f"{found.version}_{found.name}", label)
    if any(found.state == "changed" for found in states):
        raise typer.Exit(WRONG)


@contextmanager
def _database(locale: Locale) -> Iterator[str]:
    """Lend the connection string of the schema's owner; ends with 3 where there is no database.

    The embedded server runs for the time of the command, or on, where others use it.
    """
    from kis_estimator.settings import read_settings
    from kis_estimator.store.postgres import EmbeddedPostgres

    with problems_end_it(locale):
        settings = read_settings(os.environ)
        dsn = settings.direct_url or settings.database_url
        if dsn is not None:
            yield dsn
        else:
            with EmbeddedPostgres(settings.home / "postgres") as server:
                yield server.dsn("postgres")
