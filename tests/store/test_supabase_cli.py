"""The Supabase command line and `kis db migrate` follow each other on a PostgreSQL 15."""

import os
import shutil
import subprocess
from collections.abc import Callable
from itertools import count
from pathlib import Path

import psycopg
import pytest
from tests.store.conftest import make_database

from kis_estimator.errors import KisError
from kis_estimator.store.migrate import migrate, migrations_folder, status

FIRST, SECOND, THIRD = "20260101000000", "20260102000000", "20260103000000"
TRICKY = """-- A comment; with a quote '
create schema one;

/* block ; /* nested ; */ */
create table one.t (a int, b text default 'it''s; fine', c text default E'it\\'s; fine');
create function one.f() returns int language plpgsql as $body$
begin
  -- inside ; comment
  return 1;
end $body$;
create function one.g() returns int
begin atomic
  select 1;
  select case when true then 2 else 3 end;
end;
do $$ begin perform 1; end $$;
;
create table one."we;ird" (x int);;
select 1 as "begin", 2 as atomic;

-- at the end
"""

_NAMES = (f"cli_{number}" for number in count())
Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def url(postgres15: str) -> str:
    """The URL of a database as Supabase has it before the first migration."""
    name = next(_NAMES)
    make_database(postgres15, name, "supabase")
    return f"{postgres15}/{name}"


@pytest.fixture
def project(tmp_path: Path, root: Path) -> Path:
    """A project folder with our configuration and no migrations."""
    (tmp_path / "supabase/migrations").mkdir(parents=True)
    shutil.copy(root / "supabase/config.toml", tmp_path / "supabase")
    return tmp_path


@pytest.fixture
def folder(project: Path) -> Path:
    return project / "supabase/migrations"


@pytest.fixture
def cli(root: Path, project: Path, url: str) -> Cli:
    """Run the command line on the project and the database."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                root / "node_modules/.bin/supabase",
                *arguments,
                f"--remote={url}",
                "--workdir",
                project,
            ],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(project),
                "PGSSLMODE": "disable",
                "SUPABASE_TELEMETRY_DISABLED": "1",
                "DO_NOT_TRACK": "1",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def history(url: str) -> list[tuple[str, str, list[str]]]:
    with psycopg.connect(url) as conn:
        return list(
            conn.execute(
                "select version, name, statements"
                " from supabase_migrations.schema_migrations order by version"
            )
        )


def push(cli: Cli) -> None:
    done = cli("db", "push", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr


def copy_real(folder: Path) -> None:
    for path in migrations_folder().glob("*.sql"):
        shutil.copy(path, folder)


def states(url: str, folder: Path) -> list[str]:
    return [found.state for found in status(url, folder)]


def test_we_record_what_the_command_line_records(
    cli: Cli, url: str, folder: Path, postgres15: str
) -> None:
    (folder / f"{FIRST}_first.sql").write_text(TRICKY, encoding="utf-8")
    (folder / f"{SECOND}_second-file.sql").write_bytes(b"create table u(a int);\r\nselect 1")
    push(cli)
    name = next(_NAMES)
    make_database(postgres15, name, "supabase")
    migrate(f"{postgres15}/{name}", folder)
    assert history(f"{postgres15}/{name}") == history(url)
    described = """
        select attname, atttypid::regtype::text, attnotnull from pg_attribute
        where attrelid = 'supabase_migrations.schema_migrations'::regclass and attnum > 0
        order by attnum
    """
    with psycopg.connect(url) as theirs, psycopg.connect(f"{postgres15}/{name}") as ours:
        assert ours.execute(described).fetchall() == theirs.execute(described).fetchall()


def test_theirs_then_ours(cli: Cli, url: str, folder: Path) -> None:
    copy_real(folder)
    push(cli)
    assert set(states(url, folder)) == {"applied"}
    assert migrate(url, folder) == []
    later = folder / "29990101000000_later.sql"
    later.write_text("create table public.later (a int);", encoding="utf-8")
    assert [migration.file for migration in migrate(url, folder)] == [later.name]


def test_ours_then_theirs(cli: Cli, url: str, folder: Path) -> None:
    copy_real(folder)
    applied = migrate(url, folder)
    assert applied
    push(cli)
    assert [version for version, *_ in history(url)] == [m.version for m in applied]
    (folder / "29990101000000_later.sql").write_text(
        "create table public.later (a int);", encoding="utf-8"
    )
    push(cli)
    assert set(states(url, folder)) == {"applied"}
    assert migrate(url, folder) == []


def test_an_edit_after_the_command_line_applied_it_is_refused(
    cli: Cli, url: str, folder: Path
) -> None:
    path = folder / f"{FIRST}_first.sql"
    path.write_text(TRICKY, encoding="utf-8")
    push(cli)
    path.write_text(TRICKY.replace("return 1", "return 2"), encoding="utf-8")
    assert states(url, folder) == ["changed"]
    with pytest.raises(KisError, match="MIGRATION_CHANGED"):
        migrate(url, folder)


def test_the_linter_finds_nothing(cli: Cli, url: str, folder: Path) -> None:
    copy_real(folder)
    migrate(url, folder)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("create extension plpgsql_check")
    schemas = ("--schema", "public,shared,estimator")
    clean = cli("db", "lint", "--fail-on", "error", *schemas)
    assert clean.returncode == 0, clean.stdout + clean.stderr
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(
            "create function shared.wrong() returns int language plpgsql as"
            " $$ begin return (select no_such from shared.members); end $$"
        )
    wrong = cli("db", "lint", "--fail-on", "error", *schemas)
    assert wrong.returncode != 0
    assert "no_such" in wrong.stdout + wrong.stderr
