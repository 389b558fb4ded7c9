"""A snapshot: figures and dump of one moment, encrypted, signed, and of one database."""

import dataclasses
import hashlib
import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from tests.service.site import until
from tests.store.blob_stores import code_of
from tests.store.conftest import Dsn, make_database

from kis_estimator.store import snapshots
from kis_estimator.store.postgres import EmbeddedPostgres
from kis_estimator.store.snapshot_contents import Contents, Identity, measure
from kis_estimator.store.snapshot_file import SnapshotKey
from kis_estimator.store.snapshot_restore import load
from kis_estimator.store.snapshots import (
    Snapshot,
    client_environment,
    listed,
    opened,
    session,
    take,
)

KEY, OTHER_KEY = SnapshotKey(b"k" * 32), SnapshotKey(b"o" * 32)
CUSTOMER = "고객\\ \t\n'\"\\.\nNULL"


def execute(dsn: str, query: str, *values: object) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(query.encode(), values or None)


def contents(dsn: str) -> Contents:
    with session(dsn) as conn:
        return measure(conn)


def add_customers(dsn: str, count: int) -> None:
    """Add an organisation with customers whose names need care in every format."""
    org = uuid4()
    execute(dsn, "insert into shared.organisations (id, name) values (%s, 'org')", org)
    execute(
        dsn,
        "insert into estimator.customers (org_id, name, contact)"
        " select %s, %s || i, nullif('c' || i, 'c7') from generate_series(1, %s) i",
        org,
        CUSTOMER,
        count,
    )


@pytest.fixture(scope="module")
def owner(dsn: Dsn) -> str:
    add_customers(dsn("postgres"), 500)
    return dsn("postgres")


@pytest.fixture(scope="module")
def taken(owner: str, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return take(owner, tmp_path_factory.mktemp("snapshots") / "made", KEY)


@pytest.fixture
def copy(taken: Snapshot, tmp_path: Path) -> Snapshot:
    """The snapshot in a folder that a test may spoil."""
    folder = tmp_path / "copy"
    shutil.copytree(taken.folder, folder)
    return Snapshot(folder, taken.about)


def test_it_says_what_it_holds_and_shows_nothing_of_it(owner: str, taken: Snapshot) -> None:
    told = json.loads((taken.folder / f"{taken.id}.json").read_text(encoding="utf-8"))
    data = taken.dump.read_bytes()
    assert told["file"] == {"sha256": hashlib.sha256(data).hexdigest(), "sizeBytes": len(data)}
    assert told["tables"]["estimator.customers"]["rows"] == 500
    assert taken.contents == contents(owner)
    assert taken.migrations[-1] >= "20261130090000"
    assert b"customers" not in data
    assert b"PGDMP" not in data
    files = [path for path in taken.folder.iterdir() if path.name != ".lock"]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert taken.folder.stat().st_mode & 0o777 == 0o700


def test_it_comes_back_whole_on_another_database(
    postgres: EmbeddedPostgres, taken: Snapshot
) -> None:
    make_database(postgres.dsn("postgres"), "whole", "template1")
    load(postgres.dsn("postgres", "whole"), opened(taken.folder, KEY, taken.id), KEY)
    assert contents(postgres.dsn("postgres", "whole")) == taken.contents


def test_rows_that_are_written_meanwhile_are_in_both_or_in_neither(
    postgres: EmbeddedPostgres, owner: str, tmp_path: Path
) -> None:
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            add_customers(owner, 3)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = take(owner, tmp_path, KEY)
    finally:
        done.set()
        writer.join()
    make_database(postgres.dsn("postgres"), "meanwhile", "template1")
    load(postgres.dsn("postgres", "meanwhile"), made, KEY)


def test_figures_follow_rows_not_their_order_or_a_sessions_settings(dsn: Dsn, owner: str) -> None:
    before = contents(owner)
    user = dsn("postgres") + " options='-c timezone=Asia/Seoul -c datestyle=German -c"
    assert contents(f"{user} bytea_output=escape -c extra_float_digits=-3'") == before
    execute(owner, "update estimator.customers set contact = contact")  # moves every row
    execute(owner, "create table public.foreign_one (secret text)")
    touched = contents(owner)
    assert touched.differences(before) == ["estimator.customers"]  # `updated_at`
    execute(owner, "update estimator.customers set contact = 'x' where contact = 'c1'")
    assert contents(owner).differences(touched) == ["estimator.customers"]
    execute(owner, "grant delete on estimator.quotes to authenticated")
    assert "grants" in contents(owner).differences(touched)
    execute(owner, "revoke delete on estimator.quotes from authenticated")
    assert "grants" not in contents(owner).differences(touched)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("drop index public.idx_procrastinate_jobs_worker_not_null", "index public.idx_procr"),
        ("create index on public.procrastinate_jobs (args)", "index public.procrastinate_jobs_"),
        ("alter table estimator.quotes force row level security", "relation estimator.quotes"),
        ("alter table estimator.quotes disable row level security", "relation estimator.quotes"),
        ("alter table estimator.quotes add check (attempt < 9)", "constraint estimator.quotes."),
        ("alter table estimator.quotes disable trigger user", "trigger estimator.quotes."),
        ("alter table estimator.quotes alter attempt set default 7", "column estimator.quotes."),
        ("alter table estimator.customers alter name drop not null", "column estimator.customers."),
        ("comment on column estimator.quotes.attempt is 'x'", "comment relation estimator.quotes."),
        ("comment on schema shared is 'x'", "comment schema shared"),
        ("alter sequence public.procrastinate_jobs_id_seq cache 5", "sequence of public.procr"),
        ("alter function shared.health_check_detailed() security invoker", "routine shared.health"),
        ("alter function shared.health_check_detailed() parallel safe", "routine shared.health"),
        ("alter type public.procrastinate_job_status add value 'x'", "type public.procrastinate_"),
        ("grant select (name) on estimator.customers to anon", "column grants estimator.cust"),
        (
            "alter default privileges in schema estimator grant select on tables to anon",
            "default grants estimator",
        ),
    ],
)
def test_each_part_of_the_schema_has_its_figure(owner: str, change: str, part: str) -> None:
    with session(owner) as conn:
        before = measure(conn)
        conn.execute(change.encode())
        unequal = measure(conn).differences(before)
        conn.rollback()
    assert [name for name in unequal if not name.startswith(part)] == []
    assert unequal


def test_what_is_not_ours_in_public_is_left_out(
    postgres: EmbeddedPostgres, owner: str, tmp_path: Path
) -> None:
    execute(owner, "create table public.another (secret text)")
    execute(owner, "create function public.another_one() returns int language sql return 1")
    execute(owner, "comment on schema public is 'another'")
    execute(owner, "create materialized view public.another_sum as select 1 as one")
    execute(owner, "create index another_index on public.another_sum (one)")
    made = take(owner, tmp_path, KEY)
    make_database(postgres.dsn("postgres"), "alone", "template1")
    alone = postgres.dsn("postgres", "alone")
    load(alone, made, KEY)
    with psycopg.connect(alone) as conn:
        assert conn.execute("select to_regclass('public.another')").fetchone() == (None,)
        assert conn.execute("select to_regproc('public.another_one')").fetchone() == (None,)


# ---------------------------------------------------------------- what is not as it was


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def edit(snapshot: Snapshot, change: Callable[[dict[str, object]], object]) -> None:
    path = snapshot.folder / f"{snapshot.id}.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    change(told)
    path.write_text(json.dumps(told), encoding="utf-8")


@pytest.mark.parametrize("position", [0, 20, 48, 1000, -17, -1])
def test_a_changed_byte_is_refused(copy: Snapshot, position: int) -> None:
    flip(copy.dump, position)
    states = [listed(copy.folder, KEY, verify=verify)[0][1] for verify in (False, True)]
    assert states == ["described", "damaged"]
    assert code_of(opened, copy.folder, KEY, copy.id) == "SNAPSHOT_DAMAGED"


@pytest.mark.parametrize("left", [0, 10, 48, 5000])
def test_a_shorter_file_is_refused(copy: Snapshot, left: int) -> None:
    copy.dump.write_bytes(copy.dump.read_bytes()[:left])
    assert listed(copy.folder, KEY)[0][1] == "damaged"
    assert code_of(opened, copy.folder, KEY, copy.id) == "SNAPSHOT_DAMAGED"


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told["tables"].pop("estimator.customers"),
        lambda told: told["tables"]["estimator.customers"].update(rows=499),
        lambda told: told.update(migrations=[]),
        lambda told: told.update(createdAt="2026-01-01T00:00:00Z"),
        lambda told: told["database"].update(installation=str(uuid4())),
        lambda told: told["file"].update(sha256="0" * 64),
        lambda told: told.update(signature="0" * 64),
        lambda told: told.pop("signature"),
        lambda told: told.pop("tables"),
        lambda told: told.update(more=1),
    ],
)
def test_an_edited_description_is_refused(
    copy: Snapshot, change: Callable[[dict[str, object]], object]
) -> None:
    edit(copy, change)
    assert code_of(opened, copy.folder, KEY, copy.id) == "SNAPSHOT_DAMAGED"
    assert [(name, state) for name, state, _ in listed(copy.folder, KEY)] == [(copy.id, "damaged")]


def test_files_of_two_snapshots_are_not_exchanged(copy: Snapshot, owner: str) -> None:
    other = take(owner, copy.folder, KEY)
    copy.dump.write_bytes(other.dump.read_bytes())
    assert code_of(opened, copy.folder, KEY, copy.id) == "SNAPSHOT_DAMAGED"
    shutil.copy(other.folder / f"{other.id}.json", copy.folder / f"{copy.id}.json")
    assert code_of(opened, copy.folder, KEY, copy.id) == "SNAPSHOT_DAMAGED"
    assert opened(copy.folder, KEY, other.id).contents == other.contents


def test_another_key_and_missing_files_are_told_apart(copy: Snapshot) -> None:
    assert code_of(opened, copy.folder, OTHER_KEY, copy.id) == "SNAPSHOT_OTHER_KEY"
    assert [state for _, state, _ in listed(copy.folder, OTHER_KEY)] == ["other_key"]
    assert [state for _, state, _ in listed(copy.folder, None)] == ["unchecked"]
    assert [state for _, state, _ in listed(copy.folder, KEY)] == ["described"]
    states = [state for _, state, _ in listed(copy.folder, KEY, verify=True)]
    assert states == ["verified"]
    for name in ("20000101T000000Z-000000", "../x", "", f"../copy/{copy.id}"):
        assert code_of(opened, copy.folder, KEY, name) == "SNAPSHOT_UNKNOWN"
    copy.dump.unlink()
    assert code_of(opened, copy.folder, KEY, copy.id) == "SNAPSHOT_UNREADABLE"
    assert [state for _, state, _ in listed(copy.folder, KEY)] == ["missing"]


def test_what_a_killed_process_left_is_no_snapshot_and_goes(copy: Snapshot, owner: str) -> None:
    half = copy.folder / "20261130T000000Z-000000.dump.kis"
    half.write_bytes(b"half")
    part = copy.folder / "20261130T000000Z-000001.dump.kis.part"
    part.write_bytes(b"half")
    assert [name for name, *_ in listed(copy.folder, KEY)] == [copy.id]
    made = take(owner, copy.folder, KEY)
    assert [name for name, *_ in listed(copy.folder, KEY)] == sorted([copy.id, made.id])[::-1]
    assert not part.exists()


def test_a_dump_that_fails_leaves_nothing(
    dsn: Dsn, owner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert code_of(take, dsn("kis_api"), tmp_path, KEY) == "DATABASE_REFUSED"
    narrow = {"PGOPTIONS": "-c role=kis_api"}
    monkeypatch.setattr(
        snapshots,
        "client_environment",
        lambda dsn, **how: client_environment(dsn, **how) | narrow,
    )
    assert code_of(take, owner, tmp_path, KEY) == "SNAPSHOT_DUMP"
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    file = tmp_path / "file"
    file.write_bytes(b"")
    assert code_of(take, owner, file, KEY) == "SNAPSHOT_WRITE"


def test_the_server_stops_working_for_one_that_was_ended(owner: str) -> None:
    query = (
        "select from pg_stat_activity where query = 'select pg_sleep(600)' and state = 'active'"
        " and datname = current_database()"
    )
    with psycopg.connect(owner, autocommit=True) as look:

        def works() -> bool:
            return bool(look.execute(query).fetchall())

        def ended_while_it_works() -> None:
            with session(owner) as conn:
                conn.pgconn.send_query(b"select pg_sleep(600)")
                until(works)
                raise SystemExit

        with pytest.raises(SystemExit):
            ended_while_it_works()
        until(lambda: not works())


def test_a_database_without_a_schema_has_a_snapshot_too(empty_dsn: str, tmp_path: Path) -> None:
    made = take(empty_dsn, tmp_path, KEY)
    assert (made.rows, made.migrations, made.identity.installation) == (0, [], None)
    assert opened(tmp_path, KEY, made.id).contents.tables == {}


# ---------------------------------------------------------------- whose it is

HERE = Identity(name="postgres", installation="i", project="p", server="1/5")


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"server": "2/5"}, True),  # moved to another server
        ({"installation": None, "project": None}, True),  # taken before it was named
        ({"installation": "other"}, True),  # named anew on the same database
        ({"installation": "other", "server": "1/6"}, False),
        ({"installation": None, "server": "1/6"}, False),
        ({"installation": None, "server": None}, False),
        ({"project": "other"}, False),  # a copy that became another project
        ({"name": "renamed"}, True),
    ],
)
def test_a_database_is_recognised(changes: dict[str, str | None], same: bool) -> None:  # noqa: FBT001
    other = dataclasses.replace(HERE, **changes)  # type: ignore[arg-type] # names of fields
    assert HERE.same_database(other) is same
    assert other.same_database(HERE) is same
