"""Migrations: in order, once, whole, and unchanged afterwards."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from kis_estimator.errors import KisError
from kis_estimator.store.migrate import Migration, migrate, migrations_folder, status
from kis_estimator.store.postgres import EmbeddedPostgres
from kis_estimator.store.statements import split

Command = Callable[..., subprocess.CompletedProcess[str]]
FIRST, SECOND, THIRD = "20260101000000", "20260102000000", "20260103000000"


def write(folder: Path, version: str, text: str, name: str = "step") -> Path:
    path = folder / f"{version}_{name}.sql"
    path.write_text(text, encoding="utf-8")
    return path


def applied(dsn: str) -> list[tuple[str, str, list[str]]]:
    with psycopg.connect(dsn) as conn:
        rows = conn.execute(
            "select version, name, statements from supabase_migrations.schema_migrations order by 1"
        )
        return list(rows)


def has_table(dsn: str, name: str) -> bool:
    with psycopg.connect(dsn) as conn:
        return conn.execute("select to_regclass(%s)", (name,)).fetchone() != (None,)


def states(dsn: str, folder: Path) -> list[tuple[str, str]]:
    return [(found.version, found.state) for found in status(dsn, folder)]


def failure(dsn: str, folder: Path) -> tuple[str, dict[str, object]]:
    with pytest.raises(KisError) as caught:
        migrate(dsn, folder)
    (notice,) = caught.value.notices
    return notice.code, dict(notice.params)


def test_applies_in_order_once_and_records_the_statements(empty_dsn: str, folder: Path) -> None:
    write(folder, SECOND, "alter table t add column b int;\n\n-- 50 % done;\nselect 1;")
    write(folder, FIRST, "create table t (a int);", name="make-t")
    seen: list[str] = []
    done = migrate(empty_dsn, folder, emit=lambda migration: seen.append(migration.file))
    assert seen == [f"{FIRST}_make-t.sql", f"{SECOND}_step.sql"] == [m.file for m in done]
    assert applied(empty_dsn) == [
        (FIRST, "make-t", ["create table t (a int)"]),
        (SECOND, "step", ["alter table t add column b int", "-- 50 % done;\nselect 1"]),
    ]
    assert migrate(empty_dsn, folder) == []


def test_status_changes_nothing_and_names_every_state(empty_dsn: str, folder: Path) -> None:
    first = write(folder, FIRST, "create table t (a int);")
    assert states(empty_dsn, folder) == [(FIRST, "pending")]
    assert not has_table(empty_dsn, "supabase_migrations.schema_migrations")
    second = write(folder, SECOND, "create table u (a int);")
    migrate(empty_dsn, folder)
    first.write_text("create table t (a bigint);", encoding="utf-8")
    second.unlink()
    write(folder, THIRD, "select 1")
    assert states(empty_dsn, folder) == [
        (FIRST, "changed"),
        (SECOND, "unknown"),
        (THIRD, "pending"),
    ]


def test_an_edited_applied_file_is_refused(empty_dsn: str, folder: Path) -> None:
    path = write(folder, FIRST, "create table t (a int);")
    migrate(empty_dsn, folder)
    path.write_text("create table t (a int); -- harmless", encoding="utf-8")
    write(folder, SECOND, "create table u (a int);")
    assert failure(empty_dsn, folder) == ("MIGRATION_CHANGED", {"file": path.name})
    assert not has_table(empty_dsn, "u")


def test_line_ends_of_another_system_are_no_edit(empty_dsn: str, folder: Path) -> None:
    path = write(folder, FIRST, "create table t (\n  a int\n);\n")
    migrate(empty_dsn, folder)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert migrate(empty_dsn, folder) == []


def test_an_older_file_is_refused_after_a_newer_one(empty_dsn: str, folder: Path) -> None:
    write(folder, SECOND, "create table t (a int);")
    migrate(empty_dsn, folder)
    path = write(folder, FIRST, "create table u (a int);")
    assert failure(empty_dsn, folder) == (
        "MIGRATION_ORDER",
        {"file": path.name, "newest": SECOND},
    )
    assert not has_table(empty_dsn, "u")


def test_an_earlier_release_finds_nothing_to_do_on_a_later_schema(
    empty_dsn: str, folder: Path
) -> None:
    write(folder, FIRST, "create table t (a int);")
    later = write(folder, SECOND, "create table u (a int);")
    migrate(empty_dsn, folder)
    later.unlink()
    assert migrate(empty_dsn, folder) == []


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("create table u (a int);\n\n-- why\nselect 1,\n  nonsense;", 5, "nonsense"),
        ("create table u (a int unique);\ninsert into u values\n(1), (1);", 2, "duplicate key"),
        (
            "create table u (a int);\n/* 주석 */ do $$\nbegin\n  raise 'no; %', 1;\nend $$;",
            2,
            "no; 1",
        ),
        ("create table u (a int);\nselect '한글' || ,;", 2, "syntax error"),
        (
            "create table u (a int);\nset statement_timeout = '10ms'; select pg_sleep(60);",
            2,
            "timeout",
        ),
        ("create table u (a int);\nselect 'no end", 2, "unterminated"),
    ],
)
def test_a_failing_file_leaves_nothing_and_says_where(
    empty_dsn: str, folder: Path, text: str, line: int, reason: str
) -> None:
    write(folder, FIRST, "create table t (a int);")
    path = write(folder, SECOND, text)
    code, params = failure(empty_dsn, folder)
    assert (code, params["file"], params["line"]) == ("MIGRATION_FAILED", path.name, line)
    assert reason in str(params["reason"])
    assert has_table(empty_dsn, "t")
    assert not has_table(empty_dsn, "u")
    assert [version for version, *_ in applied(empty_dsn)] == [FIRST]
    path.write_text("create table u (a int);", encoding="utf-8")
    assert [migration.file for migration in migrate(empty_dsn, folder)] == [path.name]


@pytest.mark.parametrize("control", ["COMMIT", "begin", "-- so\n rollback", "start transaction"])
def test_a_file_does_not_steer_its_transaction(empty_dsn: str, folder: Path, control: str) -> None:
    path = write(folder, FIRST, f"create table t (a int);\n{control};\nselect nonsense;")
    line = 2 + control.count("\n")
    assert failure(empty_dsn, folder) == ("MIGRATION_CONTROL", {"file": path.name, "line": line})
    assert not has_table(empty_dsn, "t")


def test_what_a_file_sets_ends_with_it(empty_dsn: str, folder: Path) -> None:
    write(folder, FIRST, "set search_path = pg_catalog; set role service_role;")
    write(folder, SECOND, "create table t (a int);")
    migrate(empty_dsn, folder)
    assert has_table(empty_dsn, "public.t")


@pytest.mark.parametrize("name", ["1_short", f"{FIRST}", f"{FIRST}_", "schema"])
def test_a_file_with_another_name_is_refused(empty_dsn: str, folder: Path, name: str) -> None:
    (folder / f"{name}.sql").write_text("select 1", encoding="utf-8")
    assert failure(empty_dsn, folder) == ("MIGRATION_NAME", {"file": f"{name}.sql"})


def test_two_files_of_one_version_are_refused(empty_dsn: str, folder: Path) -> None:
    write(folder, FIRST, "select 1", name="a")
    write(folder, FIRST, "select 2", name="b")
    assert failure(empty_dsn, folder) == ("MIGRATION_NAME", {"file": f"{FIRST}_b.sql"})


def test_several_at_once_apply_each_file_once(empty_dsn: str, folder: Path) -> None:
    for day in range(1, 9):
        write(
            folder, f"202601{day:02}000000", f"create table t{day} (a int); select pg_sleep(0.02)"
        )
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: migrate(empty_dsn, folder), range(4)))
    done = sorted(migration.version for run in runs for migration in run)
    assert done == [f"202601{day:02}000000" for day in range(1, 9)]


def test_the_real_migrations_apply_to_an_empty_database(empty_dsn: str) -> None:
    done = migrate(empty_dsn, migrations_folder())
    assert [m.file for m in done] == sorted(p.name for p in migrations_folder().glob("*.sql"))
    assert {found.state for found in status(empty_dsn, migrations_folder())} == {"applied"}


def test_only_an_owner_may_migrate(empty_dsn: str, folder: Path) -> None:
    write(folder, FIRST, "select 1")
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        conn.execute("create role stranger login")
    code, params = failure(f"{empty_dsn} user=stranger", folder)
    assert code == "DATABASE_REFUSED"
    assert "permission denied" in str(params["reason"])


def test_no_error_shows_the_password(folder: Path) -> None:
    for dsn in ("postgresql://u:se%cret@127.0.0.1:1/db", "host=127.0.0.1 port=1 password='secret"):
        with pytest.raises(KisError) as caught:
            migrate(dsn, folder)
        assert caught.value.notices[0].code == "DATABASE_URL_INVALID"
        assert caught.value.__suppress_context__
    with pytest.raises(KisError, match="DATABASE_UNAVAILABLE") as unavailable:
        migrate("postgresql://u:secret@127.0.0.1:1/db", folder)
    assert "secret" not in str(unavailable.value.__cause__)


# ---------------------------------------------------------------- splitting


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("a;b", ["a", "b"]),
        (" ; ;\n", []),
        ("select E'it\\'s; '; x", ["select E'it\\'s; '", "x"]),
        ("select 'back\\'; x", ["select 'back\\'", "x"]),
        ("select 'it''s; '; x", ["select 'it''s; '", "x"]),
        ('select ";"";"; x', ['select ";"";"', "x"]),
        ("/* ; /* ' */ ; */ a; b", ["/* ; /* ' */ ; */ a", "b"]),
        ("-- it's ; /*\na; b", ["-- it's ; /*\na", "b"]),
        ("do $a$ ; $$ ; $$ ; $a$; b", ["do $a$ ; $$ ; $$ ; $a$", "b"]),
        ("select a$b$c; d$b$", ["select a$b$c", "d$b$"]),
        ("select $1; select $2", ["select $1", "select $2"]),
        (
            "create function f() begin atomic select case when a then b end; c; end; d",
            ["create function f() begin atomic select case when a then b end; c; end", "d"],
        ),
        ("select case when a then b end; c", ["select case when a then b end", "c"]),
        ("select bookend; c", ["select bookend", "c"]),
    ],
)
def test_splits_where_postgresql_does(text: str, statements: list[str]) -> None:
    assert [statement.text for statement in split(text)] == statements


# ---------------------------------------------------------------- command line


@pytest.fixture
def kis(tmp_path: Path) -> Command:
    """Run `kis db` on an installation of its own."""

    def run(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        program = "from kis_estimator.cli.db import app; app()"
        return subprocess.run(
            [sys.executable, "-c", program, command],
            env={"PYTHONPATH": "src", "KIS_HOME": str(tmp_path / "home"), "LANG": "en_US.UTF-8"}
            | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_the_command_migrates_the_embedded_database(kis: Command, tmp_path: Path) -> None:
    files = [p.name for p in sorted(migrations_folder().glob("*.sql"))]
    before = kis("status")
    assert (before.returncode, before.stderr) == (0, "")
    assert before.stdout.split() == [
        word for f in files for word in ("pending", f.removesuffix(".sql"))
    ]
    done = kis("migrate")
    assert (done.returncode, done.stdout) == (0, "".join(f"Applied: {f}\n" for f in files))
    again = kis("migrate", LANG="ko_KR.UTF-8")
    assert (again.returncode, again.stdout) == (0, "적용할 마이그레이션이 없습니다\n")
    assert kis("status").stdout.count("applied ") == len(files)
    assert not (tmp_path / "home/postgres/data/postmaster.pid").exists()


def test_the_command_leaves_a_server_in_use_running(kis: Command, tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "home/postgres") as server:
        assert kis("migrate").returncode == 0
        with psycopg.connect(server.dsn("kis_api")) as conn:
            assert conn.execute("select 1").fetchone() == (1,)


def test_the_command_ends_with_3_without_a_database(kis: Command, tmp_path: Path) -> None:
    away = kis("status", SUPABASE_DB_URL="postgresql://postgres:secret@127.0.0.1:1/postgres")
    assert (away.returncode, away.stdout) == (3, "")
    assert "DATABASE_UNAVAILABLE" in away.stderr
    assert "secret" not in away.stderr
    (tmp_path / "home").mkdir()
    (tmp_path / "home/postgres").touch()
    broken = kis("migrate")
    assert broken.returncode == 3
    assert "POSTGRES_START" in broken.stderr


def test_the_command_prefers_the_direct_url(kis: Command, empty_dsn: str) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(empty_dsn)
    url = f"postgresql://postgres@localhost/{parts['dbname']}?host={parts['host']}"
    away = "postgresql://postgres@127.0.0.1:1/postgres"
    done = kis("migrate", SUPABASE_DB_URL=away, SUPABASE_DIRECT_URL=url)
    assert (done.returncode, done.stderr) == (0, "")
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        conn.execute("update supabase_migrations.kis_checksums set sha256 = 'edited'")
    assert kis("status", SUPABASE_DB_URL=url).returncode == 2
    refused = kis("migrate", SUPABASE_DB_URL=url)
    assert refused.returncode == 2
    assert "MIGRATION_CHANGED" in refused.stderr


def test_a_migration_knows_itself_by_its_text() -> None:
    migration = Migration(FIRST, "a", "select 1;")
    assert migration.file == f"{FIRST}_a.sql"
    assert migration.sha256 != Migration(FIRST, "a", "select 2;").sha256
