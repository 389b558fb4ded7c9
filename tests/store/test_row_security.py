"""Who may read and write what, asked of the database itself, table by table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege, RaiseException
from psycopg.types.json import Jsonb
from tests.store import quotes
from tests.store.conftest import Dsn

from kis_estimator.store.db import Database, Principal, Role
from kis_estimator.store.sql import Conn

OURS, THEIRS = uuid4(), uuid4()
ROLES: tuple[Role, ...] = ("viewer", "estimator", "admin")
TABLES = (
    "estimator.breakers",
    "estimator.catalog_items",
    "estimator.catalog_versions",
    "estimator.customers",
    "estimator.documents",
    "estimator.estimate_events",
    "estimator.evidence_blobs",
    "estimator.idempotency_keys",
    "estimator.number_sequences",
    "estimator.panels",
    "estimator.quote_inputs",
    "estimator.quote_items",
    "estimator.quotes",
    "shared.audit_logs",
    "shared.members",
    "shared.organisations",
)
HIDDEN_FROM: dict[str, set[Role]] = {"shared.audit_logs": {"viewer", "estimator"}}
"""Tables that a role sees nothing of, not even of its own organisation."""


def caller(role: Role, org: object = OURS) -> Principal:
    return Principal(org_id=org, user_id=uuid4(), role=role)  # type: ignore[arg-type] # a UUID


@pytest.fixture(scope="module")
def filled(db: Database) -> Database:
    """Both organisations have a row in every table."""
    for org in (OURS, THEIRS):
        quote_id = quotes.ordered(db, caller("estimator", org), key="k")
        assert quotes.complete(db, quote_id)
        with db.tenant(caller("admin", org)) as conn:
            version = conn.execute(
                "insert into estimator.catalog_versions"
                " (org_id, number, sha256, name, version, sample, files, items)"
                " values (%s, 1, repeat('a', 64), 'own', '1', false, '{}', 1) returning id",
                [org],
            ).fetchone()
            assert version is not None
            conn.execute(
                "insert into estimator.catalog_items"
                " (version_id, org_id, kind, sku, name, unit_price, search, fields)"
                " values (%s, %s, 'breaker', 'X', 'X', 1, 'x', '{}')",
                [version["id"], org],
            )
    return db


def org_column(table: str) -> sql.Identifier:
    return sql.Identifier("id" if table == "shared.organisations" else "org_id")


def name(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))


def count(conn: Conn, table: str, org: object) -> int:
    query = sql.SQL("select count(*) as n from {} where {} = %s")
    row = conn.execute(query.format(name(table), org_column(table)), [org]).fetchone()
    assert row is not None
    return int(row["n"])


def test_the_list_of_tables_is_whole(dsn: Dsn) -> None:
    with psycopg.connect(dsn("postgres")) as conn:
        found = conn.execute(
            "select schemaname || '.' || tablename from pg_tables"
            " where schemaname in ('shared', 'estimator') order by 1"
        ).fetchall()
    listed = {row[0] for row in found}
    assert listed == {*TABLES, "shared.installation"}  # the latter is of no organisation


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("role", ROLES)
def test_a_role_reads_its_own_rows_alone(filled: Database, table: str, role: Role) -> None:
    with filled.service() as conn:
        assert count(conn, table, OURS) > 0
        assert count(conn, table, THEIRS) > 0
    with filled.tenant(caller(role)) as conn:
        hidden = role in HIDDEN_FROM.get(table, set())
        assert (count(conn, table, OURS) > 0) is not hidden
        assert count(conn, table, THEIRS) == 0


@contextmanager
def refused() -> Iterator[None]:
    with pytest.raises(InsufficientPrivilege):
        yield


@pytest.mark.parametrize("table", TABLES)
def test_no_role_adds_a_row_to_another_organisation(filled: Database, table: str) -> None:
    query = sql.SQL("select to_jsonb(t) as row from {} t where {} = %s limit 1")
    with filled.service() as conn:
        found = conn.execute(query.format(name(table), org_column(table)), [THEIRS]).fetchone()
    assert found is not None
    insert = sql.SQL("insert into {0} select * from jsonb_populate_record(null::{0}, %s)")
    for role in ROLES:
        with refused(), filled.tenant(caller(role)) as conn:
            conn.execute(insert.format(name(table)), [Jsonb(found["row"])])


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "verb", ["update {0} set {1} = {1} where {1} = %s", "delete from {0} where {1} = %s"]
)
def test_no_role_changes_a_row_of_another_organisation(
    filled: Database, table: str, verb: str
) -> None:
    query = sql.SQL(verb).format(name(table), org_column(table))
    for role in ROLES:
        try:
            with filled.tenant(caller(role)) as conn:
                assert conn.execute(query, [THEIRS]).rowcount == 0
        except (InsufficientPrivilege, RaiseException):
            continue


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.usefixtures("filled")
def test_without_claims_there_is_nothing(dsn: Dsn, table: str) -> None:
    with psycopg.connect(dsn()) as conn:
        with refused():
            conn.execute(sql.SQL("select from {}").format(name(table)))
        conn.rollback()
        conn.execute("set local role authenticated")
        assert conn.execute(sql.SQL("select from {}").format(name(table))).rowcount == 0
        conn.execute("reset role")
    with psycopg.connect(dsn("postgres")) as conn, refused():
        conn.execute("set local role anon")
        conn.execute(sql.SQL("select from {}").format(name(table)))


def test_a_viewer_orders_nothing(filled: Database) -> None:
    with refused():
        quotes.ordered(filled, caller("viewer", uuid4()))


def test_a_caller_cannot_write_results(filled: Database) -> None:
    with refused(), filled.tenant(caller("admin")) as conn:
        conn.execute("update estimator.quotes set total = 1")


def test_a_caller_cannot_make_up_events(filled: Database) -> None:
    with filled.tenant(caller("viewer")) as conn:
        quote = conn.execute("select id from estimator.quotes limit 1").fetchone()
    assert quote is not None
    with refused(), filled.tenant(caller("admin")) as conn:
        conn.execute(
            "insert into estimator.estimate_events values (%s, %s, 99, 'DONE', '{}')",
            [quote["id"], OURS],
        )


def test_a_quote_is_made_with_a_price_book_that_its_caller_may_read(filled: Database) -> None:
    with filled.service() as conn:
        theirs = conn.execute(
            "select id from estimator.catalog_versions where org_id = %s", [THEIRS]
        ).fetchone()
        ours = conn.execute(
            "select to_jsonb(q) as row from estimator.quotes q where org_id = %s", [OURS]
        ).fetchone()
    assert theirs is not None
    assert ours is not None
    person = caller("estimator")
    kept = ("org_id", "day", "customer_id", "customer", "locale")
    fresh = {name: ours["row"][name] for name in kept} | {
        "id": str(uuid4()), "number": "KIS-20260131-9999", "revision": 1, "standing": "current",
        "status": "pending", "attempt": 0, "last_event": 1, "created_by": str(person.user_id),
        "created_at": "2026-01-31T00:00:00Z", "updated_at": "2026-01-31T00:00:00Z",
    }  # fmt: skip
    record = "jsonb_populate_record(null::estimator.quotes, %s)"
    insert = sql.SQL("insert into estimator.quotes select * from {}").format(sql.SQL(record))
    book = {"catalog_version": str(theirs["id"])}
    with refused(), filled.tenant(person) as conn:
        conn.execute(insert, [Jsonb(fresh | book)])
    book = {"catalog_version": ours["row"]["catalog_version"]}
    with filled.tenant(person) as conn:
        conn.execute(insert, [Jsonb(fresh | book)])


@pytest.mark.parametrize(
    ("role", "action"), [("viewer", "estimate.revised"), ("admin", "estimate.completed")]
)
def test_nobody_logs_what_is_not_theirs(filled: Database, role: Role, action: str) -> None:
    with refused(), filled.tenant(caller(role)) as conn:
        conn.execute("select shared.audit(%s, 'x', '{}', null)", [action])


@pytest.mark.parametrize("role", ROLES)
def test_only_an_administrator_changes_members_and_price_books(
    filled: Database, role: Role
) -> None:
    member = "insert into shared.members (org_id, user_id, role) values (%s, %s, 'viewer')"
    version = (
        "insert into estimator.catalog_versions"
        " (org_id, number, sha256, name, version, sample, files, items)"
        " values (%s, %s, repeat('b', 64), 'own', '2', false, '{}', 0)"
    )
    for query, params in ((member, [OURS, uuid4()]), (version, [OURS, 2])):
        if role == "admin":
            with filled.tenant(caller(role)) as conn:
                conn.execute(query, params)
        else:
            with refused(), filled.tenant(caller(role)) as conn:
                conn.execute(query, params)


def test_nobody_reads_the_queue_but_the_login(filled: Database) -> None:
    for role in ROLES:
        with refused(), filled.tenant(caller(role)) as conn:
            conn.execute("select from public.procrastinate_jobs")
    with filled.login() as conn:
        assert conn.execute("select from public.procrastinate_jobs").rowcount > 0


def test_the_login_owns_nothing(dsn: Dsn) -> None:
    with psycopg.connect(dsn("postgres")) as conn:
        owned = conn.execute(
            "select count(*) from pg_class where relowner = 'kis_api'::regrole"
        ).fetchone()
    assert owned == (0,)


def test_every_table_of_the_service_is_protected(filled: Database) -> None:
    with filled.login() as conn:
        row = conn.execute("select shared.health_check_detailed() as health").fetchone()
    assert row is not None
    assert row["health"]["unprotectedTables"] == []
    assert row["health"]["timeZone"] == "UTC"
