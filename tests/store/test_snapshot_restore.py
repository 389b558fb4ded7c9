"""Restoring as the owner of a Supabase project, who is no superuser, on PostgreSQL 15."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.e2e.live import KIS, environment
from tests.e2e.supabase_stack import Project, empty_project
from tests.service.site import until
from tests.store.blob_stores import code_of
from tests.store.conftest import make_database
from tests.store.postgresql import debian_server, run_as, run_in
from tests.store.test_snapshots import KEY, add_customers, contents, execute
from typer.testing import CliRunner

from kis_estimator.cli import app
from kis_estimator.cli import db as commands
from kis_estimator.errors import KisError
from kis_estimator.store import snapshots
from kis_estimator.store.db import Database, Principal
from kis_estimator.store.migrate import migrate, migrations_folder
from kis_estimator.store.postgres import EmbeddedPostgres
from kis_estimator.store.snapshot_contents import TableFigures
from kis_estimator.store.snapshot_restore import load, swap
from kis_estimator.store.snapshots import Snapshot, session, take

ROWS = 100_000
ORG = UUID(int=11)
CUSTOMERS = "select count(*) from estimator.customers"
NEWER = """
create table estimator.newer (id uuid primary key, org_id uuid references shared.organisations);
alter table estimator.newer enable row level security;
create type estimator.newer_kind as enum ('a');
alter table estimator.quotes add column newer_kind estimator.newer_kind;
alter table estimator.customers add column newer uuid references estimator.newer;
create view estimator.newer_view as select name from estimator.customers;
create view public.newer_view as select name from estimator.newer_view;
create materialized view estimator.newer_sums as select count(*) from shared.members;
create function shared.newer() returns trigger language plpgsql as 'begin return new; end';
create trigger newer before insert on estimator.customers
  for each row execute function shared.newer();
create table public.procrastinate_newer (job_id bigint references public.procrastinate_jobs);
create view public.procrastinate_newer_view as select 1 as one;
create function public.procrastinate_newer(status public.procrastinate_job_status) returns int
  language sql return 1;
grant select on estimator.newer_view to authenticated;
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with the schema and 100,000 customers."""
    with empty_project(tmp_path_factory.mktemp("project")) as made:
        migrate(made.owner, migrations_folder())
        password = made.direct.partition("kis_api:")[2].partition("@")[0]
        execute(made.owner, f"alter role kis_api password '{password}'")
        execute(made.owner, "insert into shared.organisations (id, name) values (%s, 'org')", ORG)
        add_customers(made.owner, ROWS)
        yield made


@pytest.fixture(scope="module")
def taken(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return take(project.owner, tmp_path_factory.mktemp("snapshots"), KEY)


@pytest.fixture
def small(project: Project, tmp_path: Path) -> Iterator[tuple[str, Snapshot]]:
    """The owner's address of a small database on the same server, and its snapshot."""
    name = f"small_{uuid4().hex[:8]}"
    dsn = f"{project.owner.rpartition('/')[0]}/{name}"
    execute(project.owner, f"create database {name}")
    roles = "grant usage on schema public to anon, authenticated, service_role;"
    execute(
        dsn,
        roles + "alter default privileges in schema public grant all on tables to anon;"
        " alter default privileges in schema public grant all on functions to anon",
    )
    migrate(dsn, migrations_folder())
    add_customers(dsn, 20)
    yield dsn, take(dsn, tmp_path / "small", KEY)
    execute(project.owner, f"drop database {name} with (force)")


def saved(dsn: str, snapshot: Snapshot) -> Snapshot:
    """Restore and return the snapshot of the state before."""
    return swap(dsn, snapshot, KEY, lambda: take(dsn, snapshot.folder, KEY))


def number(dsn: str, query: str) -> int:
    with psycopg.connect(dsn) as conn:
        row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def test_a_hundred_thousand_rows_come_back_and_what_was_newer_goes(
    project: Project, taken: Snapshot, tmp_path: Path
) -> None:
    execute(project.owner, "create table public.theirs (a int); insert into theirs values (1)")
    (tmp_path / "29990101000000_newer.sql").write_text(NEWER, encoding="utf-8")
    migrate(project.owner, tmp_path)
    execute(project.owner, "delete from estimator.customers where contact like '%%9'")
    newer = contents(project.owner)
    before = saved(project.owner, taken)
    assert before.contents == newer
    assert contents(project.owner) == taken.contents
    assert number(project.owner, CUSTOMERS) == ROWS
    for name in ("estimator.newer", "public.newer_view", "public.procrastinate_newer"):
        assert project.rows("select to_regclass(%s)", name) == [(None,)]
    assert project.rows("select * from public.theirs") == [(1,)]
    assert saved(project.owner, before).contents == taken.contents  # and forward again
    assert contents(project.owner) == newer


def test_the_copy_on_the_embedded_server_is_the_same(
    postgres: EmbeddedPostgres, taken: Snapshot
) -> None:
    make_database(postgres.dsn("postgres"), "from_15", "template1")
    load(postgres.dsn("postgres", "from_15"), taken, KEY)
    assert contents(postgres.dsn("postgres", "from_15")) == taken.contents


def test_the_service_goes_on_with_the_restored_tables(project: Project, taken: Snapshot) -> None:
    person = Principal(org_id=ORG, user_id=uuid4(), role="estimator")
    add = "insert into estimator.customers (org_id, name) values (%s, %s)"
    with Database(project.direct, pool_size=2, timeout_sec=30) as database:

        def customers() -> int:
            with database.tenant(person) as conn:
                row = conn.execute(CUSTOMERS.encode()).fetchone()
            assert row is not None
            return int(row["count"])

        for _ in range(8):  # often enough that the statement is prepared
            assert customers() == 0
        with database.service() as conn:
            conn.execute(add, [ORG, "later"])
        assert customers() == 1
        saved(project.owner, taken)

        def works() -> bool:
            try:
                return customers() == 0
            except KisError:
                return False

        until(works)


def test_nothing_that_was_committed_is_lost(
    project: Project, postgres: EmbeddedPostgres, taken: Snapshot
) -> None:
    """Each row that was acknowledged is in the snapshot before or in the database after."""
    done, acknowledged = threading.Event(), []

    def write() -> None:
        with Database(project.direct, pool_size=1, timeout_sec=60) as database:
            while not done.is_set():
                name = uuid4()
                try:
                    with database.service() as conn:
                        conn.execute("select count(*) from shared.organisations")
                        conn.execute(
                            "insert into shared.organisations (id, name) values (%s, 'w')", [name]
                        )
                except (KisError, psycopg.Error):
                    continue  # a deadlock's victim, or a session that was ended
                acknowledged.append(name)

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    try:
        until(lambda: len(acknowledged) > 20)
        before = saved(project.owner, taken)
        enough = len(acknowledged) + 20
        until(lambda: len(acknowledged) > enough)
    finally:
        done.set()
        for writer in writers:
            writer.join()
    make_database(postgres.dsn("postgres"), "before", "template1")
    load(postgres.dsn("postgres", "before"), before, KEY)
    with psycopg.connect(postgres.dsn("postgres", "before")) as conn:
        kept = {row[0] for row in conn.execute("select id from shared.organisations")}
    now = {row[0] for row in project.rows("select id from shared.organisations")}
    assert set(acknowledged) <= kept | now


PARTS = """
create index a_name_of_its_own on public.procrastinate_jobs (priority) where priority > 3;
comment on index public.a_name_of_its_own is 'an index';
comment on table public.procrastinate_jobs is 'a table';
create domain estimator.positive as int default 1 check (value > 0);
create type estimator.colour as enum ('red', 'green');
alter type estimator.colour add value 'blue' before 'green';
create sequence estimator.numbers increment 7 cache 3;
create table estimator.parts (
  id bigint generated by default as identity, colour estimator.colour default 'red',
  number estimator.positive not null default nextval('estimator.numbers'),
  twice int generated always as (id * 2) stored,
  unique (colour, number) deferrable initially deferred);
alter sequence estimator.numbers owned by estimator.parts.number;
alter table estimator.parts enable row level security, force row level security;
create policy seen on estimator.parts for select to anon using (twice > 2);
comment on policy seen on estimator.parts is 'a policy';
grant select (id), update (colour) on estimator.parts to anon;
create function shared.doubled(a int) returns int stable strict parallel safe return a * 2;
create function shared.newer() returns trigger language plpgsql as 'begin return new; end';
create trigger newer before update on estimator.parts
  for each row when (old.id > 3) execute function shared.newer();
alter table estimator.parts disable trigger newer;
comment on trigger newer on estimator.parts is 'a trigger';
alter default privileges in schema estimator grant select on tables to anon;
"""


def test_every_part_of_the_schema_comes_back(
    small: tuple[str, Snapshot], postgres: EmbeddedPostgres
) -> None:
    dsn, without = small
    execute(dsn, PARTS)
    snapshot = take(dsn, without.folder, KEY)
    kinds = {name.split(" ")[0] for name in snapshot.contents.differences(without.contents)}
    parts = "column comment constraint default index policy relation routine sequence trigger type"
    assert kinds == {"estimator.parts", "grants", *parts.split()}
    saved(dsn, without)
    assert contents(dsn).differences(without.contents) == []
    saved(dsn, snapshot)
    assert contents(dsn).differences(snapshot.contents) == []
    make_database(postgres.dsn("postgres"), "parts", "template1")
    load(postgres.dsn("postgres", "parts"), snapshot, KEY)


# ---------------------------------------------------------------- ended by a signal


def commanded(dsn: str, snapshot: Snapshot, home: Path) -> tuple[list[str], dict[str, str]]:
    """Return the arguments and the environment of a restore, with the owner's address apart."""
    key = home.with_name("key")
    key.write_text((b"k" * 32).hex(), encoding="ascii")
    key.chmod(0o600)
    files = {"KIS_BACKUP_KEY": str(key), "KIS_BACKUP_DIR": str(snapshot.folder)}
    nowhere = "postgresql://kis_api:none@127.0.0.1:1/postgres"
    addresses = {"SUPABASE_DB_URL": nowhere, "SUPABASE_OWNER_URL": dsn}
    reader = {"LANG": "en_US.UTF-8"}
    return ["db", "restore", snapshot.id], environment(home, **files, **addresses, **reader)


def test_a_check_tells_the_newest_migration(small: tuple[str, Snapshot], tmp_path: Path) -> None:
    dsn, snapshot = small
    arguments, settings = commanded(dsn, snapshot, tmp_path / "home")
    done = CliRunner().invoke(app, [*arguments, "--check"], env=settings)
    assert done.exit_code == 0, done.output
    assert f"Newest migration in the snapshot: {snapshot.migrations[-1]}\n" in done.stdout


def test_an_interrupted_restore_says_that_nothing_was_replaced(
    small: tuple[str, Snapshot], tmp_path: Path
) -> None:
    """It waits for a table when it is told to end, twice."""
    dsn, snapshot = small
    arguments, settings = commanded(dsn, snapshot, tmp_path / "home")
    add_customers(dsn, 5)
    before = contents(dsn)
    sessions = (
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and application_name = 'kis snapshot'"
    )
    with psycopg.connect(dsn) as conn:
        conn.execute("select from estimator.quotes")
        with subprocess.Popen(
            [*KIS, *arguments, "--yes"], env=settings, stderr=subprocess.PIPE, text=True
        ) as process:
            waits = f"{sessions} and wait_event_type = 'Lock'"
            until(lambda: number(dsn, waits) > 0 or process.poll() is not None)
            for _ in range(2):
                process.send_signal(signal.SIGTERM)
            _, said_last = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert f"the database was not replaced by the snapshot {snapshot.id}" in said_last
    until(lambda: number(dsn, sessions) == 0)
    assert contents(dsn) == before
    assert list((tmp_path / "home/rehearsals").iterdir()) == []


def test_a_restore_interrupted_afterwards_says_that_it_was_done(
    small: tuple[str, Snapshot], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn, snapshot = small
    arguments, settings = commanded(dsn, snapshot, tmp_path / "home")
    add_customers(dsn, 5)
    asked = lambda *_: signal.raise_signal(signal.SIGTERM)  # noqa: E731 - in the place of a function
    monkeypatch.setattr(commands, "_unknown_objects", asked)
    done = CliRunner().invoke(app, [*arguments, "--yes"], env=settings)
    assert done.exit_code == 128 + signal.SIGTERM
    assert f"after the database was replaced by the snapshot {snapshot.id}" in done.stderr
    assert contents(dsn) == snapshot.contents


# ---------------------------------------------------------------- a target that stays as it is


@pytest.mark.parametrize("step", ["_drop", "_run_data", "_fill"])
def test_a_killed_restore_changes_nothing(small: tuple[str, Snapshot], step: str) -> None:
    dsn, snapshot = small
    add_customers(dsn, 5)
    before = contents(dsn)
    command = [sys.executable, "-m", "tests.store.snapshot_killed"]
    killed = subprocess.run(
        [*command, dsn, str(snapshot.folder), snapshot.id, step],
        cwd=Path(__file__).parents[2],
        env=environment(snapshot.folder),
        check=False,
    )
    assert killed.returncode < 0
    assert contents(dsn) == before
    saved(dsn, snapshot)
    assert contents(dsn) == snapshot.contents


def test_default_privileges_add_nothing(small: tuple[str, Snapshot]) -> None:
    dsn, snapshot = small
    saved(dsn, snapshot)
    assert contents(dsn).grants == snapshot.contents.grants
    with session(dsn) as conn:
        found = conn.execute(
            "select has_table_privilege('anon', 'public.procrastinate_jobs', 'truncate')"
        )
        assert found.fetchone() == (False,)


def test_figures_that_do_not_fit_change_nothing(small: tuple[str, Snapshot]) -> None:
    dsn, snapshot = small
    add_customers(dsn, 5)
    before = contents(dsn)
    tables = dict(snapshot.contents.tables)
    tables["estimator.customers"] = TableFigures(20, "0" * 64)
    wrong = Snapshot(snapshot.folder, dict(snapshot.about))
    wrong.__dict__["contents"] = replace(snapshot.contents, tables=tables)
    with pytest.raises(KisError, match="SNAPSHOT_DIFFERS") as caught:
        saved(dsn, wrong)
    assert caught.value.notices[0].params["tables"] == ["estimator.customers"]
    assert contents(dsn) == before


def test_another_database_is_refused_before_anything_changes(
    small: tuple[str, Snapshot], taken: Snapshot
) -> None:
    dsn, _ = small
    before = contents(dsn)
    assert code_of(saved, dsn, taken) == "SNAPSHOT_FOREIGN"
    assert contents(dsn) == before


@pytest.mark.parametrize("query", ["select from estimator.quotes", "delete from shared.members"])
def test_who_holds_a_table_is_named(small: tuple[str, Snapshot], query: str) -> None:
    dsn, snapshot = small
    before = contents(dsn)
    with psycopg.connect(dsn, application_name="someone's console") as conn:
        conn.execute(query.encode())
        with pytest.raises(KisError, match="DATABASE_LOCKED") as caught:
            swap(dsn, snapshot, KEY, lambda: None, lock_sec=1)
        holder = f"someone's console (pid {conn.info.backend_pid})"
        assert caught.value.notices[0].params["holders"] == [holder]
        conn.rollback()
    assert contents(dsn) == before


# ---------------------------------------------------------------- the password, and TLS


def test_the_password_is_in_no_command_line(project: Project) -> None:
    password = project.owner.partition("postgres:")[2].partition("@")[0]
    with session(project.owner) as conn, snapshots._dumping(conn, project.owner) as dump:
        assert dump.read(5) == b"PGDMP"
        lines = [line for path in Path("/proc").glob("[0-9]*/cmdline") if (line := said(path))]
        assert any("pg_dump" in line and "--snapshot=" in line for line in lines)
        assert not [line for line in lines if password in line]


def said(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


def certificate(folder: Path) -> None:
    """Write a certificate of `localhost` that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "server.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    plain = serialization.NoEncryption()
    text = key.private_bytes(serialization.Encoding.PEM, form, plain)
    (folder / "server.key").write_bytes(text)
    (folder / "server.key").chmod(0o600)
    if account := run_as():
        os.chown(folder / "server.key", account["user"], account["group"])


def test_a_snapshot_travels_encrypted_where_the_server_asks_for_it(tmp_path: Path) -> None:
    with debian_server(tmp_path / "tls") as url:
        data = tmp_path / "tls/data"
        certificate(data)
        execute(f"{url}/postgres", "alter role postgres password 'secret'")
        execute(f"{url}/postgres", "alter system set ssl = on")
        rule = "hostssl all all 127.0.0.1/32 scram-sha-256\n"
        (data / "pg_hba.conf").write_text(rule, encoding="utf-8")
        run_in(tmp_path / "tls", "pg_ctl", "-w", "restart", "-l", "log")
        port = url.rpartition(":")[2]
        dsn = f"postgresql://postgres:secret@localhost:{port}/postgres?sslmode=verify-full"
        root = f"&sslrootcert={data / 'server.crt'}"
        assert take(f"{dsn}{root}", tmp_path / "s", KEY).rows == 0
        plain = dsn.replace("verify-full", "disable")
        assert code_of(take, plain, tmp_path / "s", KEY) == "DATABASE_UNAVAILABLE"
