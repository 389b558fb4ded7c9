"""Steps 2, 3 and the migrations of step 4: the real command line on a PostgreSQL 15."""

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.deploy.stand_in import (
    REF,
    ROOT,
    administrator,
    checkout_in,
    config_of,
    new_database,
)
from tests.e2e.supabase_stack import Project, empty_project

from kis_deploy import database
from kis_deploy.config import Config
from kis_deploy.crosscheck import crosscheck, reachable
from kis_deploy.database import address
from kis_deploy.problems import DeployError
from kis_deploy.runner import Redactor, Runner
from kis_deploy.supabase import cli, login_and_link
from kis_estimator.store.migrate import migrate, migrations_folder
from kis_estimator.store.postgres import EmbeddedPostgres

FIRST, SECOND, THIRD = "20260101000000", "20260102000000", "20260103000000"
TOKEN = "sbp_" + "0123456789abcdef" * 3
_NAMES = (f"steps_{number}" for number in count())
# Notes what it is asked, and with which environment; says the version of a real one.
SHIM = """#!/bin/sh
if [ "$1" = --version ]; then echo {version}; exit; fi
printf '%s\\n' "$@" >> {folder}/arguments
env > {folder}/environment
{ending}
"""
REAL = ROOT / "node_modules/.bin/supabase"


def shim(folder: Path, ending: str = "exit 0", version: str = "2.0.0") -> str:
    return SHIM.format(folder=folder, ending=ending, version=version)


@pytest.fixture
def runner(project: Project, tmp_path: Path) -> Iterator[Runner]:
    made = Runner(Redactor([*config_of(project).secrets, TOKEN]))
    made.open_log(tmp_path / "log")
    yield made
    made.close()


@pytest.fixture
def empty(project: Project) -> Project:
    """The project with a database of the test's own."""
    return new_database(project, next(_NAMES))


def deployment(project: Project, folder: Path, migrations: dict[str, str] | None = None) -> Config:
    """Return settings with a checkout whose command line is the real one, and is listened to."""
    checkout = checkout_in(folder / "checkout", shim(folder, f'exec {REAL} "$@"'), migrations)
    return config_of(project, checkout)


def files(config: Config) -> list[str]:
    return sorted(path.name for path in (config.checkout / "supabase/migrations").iterdir())


# ---------------------------------------------------------------- step 2


def hosted(project: Project, checkout: Path) -> Config:
    return config_of(
        project,
        checkout,
        SUPABASE_URL=f"https://{REF}.supabase.co",
        SUPABASE_PROJECT_REF=REF,
        SUPABASE_ACCESS_TOKEN=TOKEN,
    )


def test_a_hosted_project_is_linked_with_the_token_of_the_environment(
    project: Project, tmp_path: Path, runner: Runner
) -> None:
    config = hosted(project, checkout_in(tmp_path / "checkout", shim(tmp_path)))
    assert "linked" in login_and_link(config, runner)
    arguments = (tmp_path / "arguments").read_text(encoding="utf-8").splitlines()
    assert arguments == ["link", "--project-ref", REF]
    seen = (tmp_path / "environment").read_text(encoding="utf-8")
    assert f"SUPABASE_ACCESS_TOKEN={TOKEN}" in seen
    assert not [secret for secret in config.secrets if secret != TOKEN and secret in seen]
    assert TOKEN not in (tmp_path / "log").read_text(encoding="utf-8")


def test_a_refused_token_is_told_and_not_shown(
    project: Project, tmp_path: Path, runner: Runner
) -> None:
    refusing = shim(tmp_path, 'echo "Unauthorized: $SUPABASE_ACCESS_TOKEN" >&2; exit 1')
    config = hosted(project, checkout_in(tmp_path / "checkout", refusing))
    with pytest.raises(DeployError, match="SUPABASE_ACCESS_TOKEN") as refused:
        login_and_link(config, runner)
    assert "Unauthorized" in str(refused.value)
    assert TOKEN not in str(refused.value) + (tmp_path / "log").read_text(encoding="utf-8")


def test_a_project_of_ones_own_needs_no_link(
    project: Project, tmp_path: Path, runner: Runner
) -> None:
    config = config_of(project, checkout_in(tmp_path / "checkout", shim(tmp_path)))
    assert login_and_link(config, runner).startswith("not needed: ")
    assert not (tmp_path / "arguments").exists()


@pytest.mark.parametrize("version", ["1.226.4", "broken"])
def test_an_old_command_line_is_refused(
    project: Project, tmp_path: Path, runner: Runner, version: str
) -> None:
    old = checkout_in(tmp_path / "checkout", shim(tmp_path, version=version))
    with pytest.raises(DeployError, match="npm ci"):
        cli(config_of(project, old), runner)


def test_the_command_line_may_be_on_the_path(
    project: Project, tmp_path: Path, runner: Runner
) -> None:
    binaries = checkout_in(tmp_path / "elsewhere", shim(tmp_path)) / "node_modules/.bin"
    found = cli(config_of(project, tmp_path, PATH=str(binaries)), runner)
    assert found == str(binaries / "supabase")
    with pytest.raises(DeployError, match="not installed"):
        cli(config_of(project, tmp_path, PATH="/nowhere"), runner)


# ---------------------------------------------------------------- step 3


def test_the_schema_has_no_errors_until_it_has_one(
    empty: Project, tmp_path: Path, runner: Runner
) -> None:
    config = deployment(empty, tmp_path)
    migrate(empty.owner, migrations_folder())
    assert "No errors" in database.lint(config, runner)
    with psycopg.connect(empty.owner, autocommit=True) as conn:
        conn.execute(
            "create function shared.wrong() returns int language plpgsql as"
            " $$ begin return (select no_such from shared.members); end $$"
        )
    with pytest.raises(DeployError, match="no_such"):
        database.lint(config, runner)


def test_a_linter_that_cannot_work_is_no_pass(
    empty: Project, tmp_path: Path, runner: Runner
) -> None:
    with psycopg.connect(administrator(empty)) as conn:
        conn.execute("drop extension plpgsql_check")
    with pytest.raises(DeployError, match="create extension plpgsql_check"):
        database.lint(deployment(empty, tmp_path), runner)


def test_migrations_are_pending_until_they_are_pushed(
    empty: Project, tmp_path: Path, runner: Runner
) -> None:
    config = deployment(empty, tmp_path)
    assert database.head(config) is None
    assert database.pending(config, runner, config.checkout) == files(config)
    assert database.push(config, runner, config.checkout) == files(config)
    assert database.pending(config, runner, config.checkout) == []
    assert database.push(config, runner, config.checkout) == []
    assert database.head(config) == files(config)[-1][:14]
    assert migrate(empty.owner, migrations_folder()) == []  # our own tool goes on from there
    assert database.pending(config, runner, config.checkout) == []
    seen = (tmp_path / "arguments").read_text(encoding="utf-8")
    assert "--remote=postgresql://postgres@" in seen
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert not [secret for secret in config.secrets for text in (seen, log) if secret in text]
    for url in (empty.owner, empty.direct):
        password = url.partition("://")[2].partition("@")[0].partition(":")[2]
        assert password not in seen + log


def test_edited_late_and_unknown_migrations_are_refused(
    empty: Project, tmp_path: Path, runner: Runner
) -> None:
    text = "create table public.one (a int);"
    config = deployment(empty, tmp_path, {f"{SECOND}_second.sql": text})
    folder = config.checkout / "supabase/migrations"
    database.push(config, runner, config.checkout)
    (folder / f"{SECOND}_second.sql").write_text(text + " -- edited", encoding="utf-8")
    (folder / f"{FIRST}_first.sql").write_text("select 1;", encoding="utf-8")
    with pytest.raises(DeployError) as refused:
        database.pending(config, runner, config.checkout)
    assert [(p.what, p.cause) for p in refused.value.problems] == [
        (f"{SECOND}_second.sql", "was edited after it was applied"),
        (f"{FIRST}_first.sql", f"is older than the applied {SECOND}"),
    ]
    for path in folder.iterdir():
        path.unlink()
    assert database.pending(config, runner, config.checkout) == []  # an older release
    (folder / f"{THIRD}_third.sql").write_text("select 1;", encoding="utf-8")
    with pytest.raises(DeployError, match=f"{SECOND}: is applied, and this release has no such"):
        database.pending(config, runner, config.checkout)
    (folder / "third.sql").write_text("select 1;", encoding="utf-8")
    with pytest.raises(DeployError, match="no migration's name"):
        database.pending(config, runner, config.checkout)


def test_a_failing_migration_leaves_nothing_and_tells_what_was_applied(
    empty: Project, tmp_path: Path, runner: Runner
) -> None:
    one, two = f"{FIRST}_one.sql", f"{SECOND}_two.sql"
    texts = {
        one: "create table public.one (a int);",
        two: "create table public.two (a int);\nselect no_such_thing;",
    }
    config = deployment(empty, tmp_path, texts)
    with pytest.raises(DeployError) as failed:
        database.push(config, runner, config.checkout)
    [problem] = failed.value.problems
    assert problem.what == two
    assert "no_such_thing" in problem.cause
    assert f"applied before it: {one}\n" in problem.cause
    assert empty.rows("select to_regclass('public.one')::text, to_regclass('public.two')") == [
        ("one", None)
    ]
    assert database.pending(config, runner, config.checkout) == [two]


def test_migrations_that_take_too_long_may_go_on_at_the_server(
    empty: Project, tmp_path: Path, runner: Runner
) -> None:
    endless = shim(tmp_path, 'case "$*" in *push*) sleep 600;; esac')
    checkout = checkout_in(tmp_path / "checkout", endless, {f"{FIRST}_one.sql": "select 1;"})
    with pytest.raises(DeployError, match="pg_stat_activity") as told:
        database.push(config_of(empty, checkout), runner, checkout, limit_sec=0.5)
    assert "did not end within 0.5 s" in told.value.problems[0].cause


# ---------------------------------------------------------------- drift


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an embedded database with the same migrations, as the release lends it."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("reference") / "postgres") as server:
        migrate(server.dsn("postgres"), migrations_folder())
        known = conninfo_to_dict(server.dsn("postgres"))
        socket = quote(str(known["host"]), safe="")
        yield f"postgresql://postgres@localhost/{known['dbname']}?host={socket}&sslmode=disable"


DRIFT = {
    'ADD COLUMN "extra"': "alter table shared.members add column extra text default E'it\\'s; x'",
    'CREATE POLICY "open"': "create policy open on estimator.quotes to anon using (true)",
    "$ select 3; $": "create or replace function shared.role_rank(name text) returns integer"
    " language sql immutable set search_path = '' as $$ select 3; $$",
    "DISABLE ROW LEVEL SECURITY": "alter table estimator.panels disable row level security",
    'DROP TRIGGER "no_truncate"': "drop trigger no_truncate on shared.audit_logs",
    "CREATE INDEX mine": "create index mine on estimator.quotes (created_at)",
    "public.helper": "create function public.helper() returns int language sql return 1",
    'UPDATE ON TABLE "shared"."organisations" TO "authenticated"': (
        "grant all on shared.organisations to authenticated"
    ),
    'FROM "service_role"': "revoke insert on public.procrastinate_jobs from service_role",
}


def test_only_what_was_changed_by_hand_differs(
    empty: Project, tmp_path: Path, runner: Runner, reference: str
) -> None:
    config = deployment(empty, tmp_path)
    migrate(empty.owner, migrations_folder())
    assert database.difference(config, runner, reference) == ""
    with psycopg.connect(empty.owner, autocommit=True) as conn:
        conn.execute("create schema elsewhere")
        conn.execute("create table elsewhere.t (a int)")
        conn.execute("alter default privileges in schema public grant select on tables to anon")
    assert database.difference(config, runner, reference) == ""
    with psycopg.connect(empty.owner, autocommit=True) as conn:
        for statement in DRIFT.values():
            conn.execute(statement.encode())
    drift = database.difference(config, runner, reference)
    assert [text for text in DRIFT if text not in drift] == []
    assert "elsewhere" not in drift


def test_a_comparison_that_fails_is_no_pass(
    empty: Project, tmp_path: Path, runner: Runner, reference: str
) -> None:
    for number, told in enumerate(("broken", '{"diff": "drop WARNING')):
        program = shim(tmp_path, f"echo '{told}'; exit 0")
        failing = checkout_in(tmp_path / f"checkout-{number}", program)
        with pytest.raises(DeployError, match="can't compare"):
            database.difference(config_of(empty, failing), runner, reference)


# ---------------------------------------------------------------- installation and login


def test_an_installation_is_claimed_once(empty: Project, tmp_path: Path) -> None:
    staging = deployment(empty, tmp_path)
    assert database.installation(staging) is None
    migrate(empty.owner, migrations_folder())
    database.claim_installation(staging)
    first = database.installation(staging)
    assert first is not None
    assert (first["environment"], first["bucket"]) == ("staging", "evidence")
    assert first["projectRef"] is None
    other = config_of(empty, APP_ENV="production", STORAGE_BUCKET="it's", SUPABASE_PROJECT_REF=REF)
    database.claim_installation(other)
    assert database.installation(staging) == first | {"projectRef": REF}


def test_the_login_is_made_with_its_password_and_never_changed(tmp_path: Path) -> None:
    """A project before its first deployment; the password has every awkward sign."""
    runner = Runner(Redactor())  # which knows no secret: none comes to it
    runner.open_log(tmp_path / "log")
    with empty_project(tmp_path) as project:
        place = project.owner.rpartition("@")[2]
        one, other = (
            f"postgresql://kis_api:{quote(word, safe='')}@{place}"
            for word in ("a b'c\"d\\e$f:g@h/i%j", "other")
        )
        assert database.make_login(config_of(project, SUPABASE_DB_URL=one), runner)
        assert not database.make_login(config_of(project, SUPABASE_DB_URL=other))
        psycopg.connect(one).close()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(other)
        with psycopg.connect(administrator(project)) as conn:
            [stored] = conn.execute("select rolpassword from pg_authid where rolname = 'kis_api'")
    assert stored[0].startswith("SCRAM-SHA-256$")
    runner.close()
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert "create role kis_api login" in log
    assert "a b'c" not in log


def test_addresses_are_told_without_their_password() -> None:
    told, known = address("postgresql://kis_api.ref:p%40s%2Fs@pool.internal:6543/db?a=b")
    assert told == "postgresql://kis_api.ref@pool.internal:6543/db?a=b"
    assert known["PGPASSWORD"] == "p@s/s"
    assert known["PGSSLMODE"] == "require"
    assert address("postgresql://u:p@127.0.0.1/db")[1]["PGSSLMODE"] == "disable"


def test_a_warning_of_the_server_is_no_result(
    empty: Project, tmp_path: Path, runner: Runner
) -> None:
    """As after an update of the operating system: it comes with every login."""
    with psycopg.connect(administrator(empty), autocommit=True) as conn:
        conn.execute(
            "update pg_database set datcollversion = '0' where datname = current_database()"
        )
    config = deployment(empty, tmp_path)
    done, lines = database.run_psql(config, empty.owner, "select 1;", runner=runner)
    assert "collation version" in done.output
    assert lines == ["1"]
    assert database.head(config, runner) is None
    assert database.pending(config, runner, config.checkout) == files(config)
    assert database.installation(config, runner) is None
    assert not database.make_login(config, runner)
    assert crosscheck(config, runner) == []
    assert reachable(config, runner) == []
    log = (tmp_path / "log").read_text(encoding="utf-8")
    for text in ("collation version", "from supabase_migrations.", '"login" : true', "exit 0"):
        assert text in log
    assert not [secret for secret in config.secrets if secret in log]


@pytest.mark.parametrize("lines", [["WARNING: broken"], [], ["1", "2"]])
def test_a_result_that_cannot_be_read_is_told(lines: list[str]) -> None:
    with pytest.raises(DeployError, match="can't be read") as told:
        database.values_of(lines, 1)
    assert "step's log" in told.value.problems[0].remedy


def test_what_the_database_says_is_told(project: Project) -> None:
    config = config_of(project)
    with pytest.raises(DeployError, match="no_such_table"):
        database.psql(config, project.owner, "select * from no_such_table;")
    [line] = database.psql(
        config, project.owner, "select to_json(:'text'::text);", {"text": "';\\! id"}
    )
    assert json.loads(line) == "';\\! id"
