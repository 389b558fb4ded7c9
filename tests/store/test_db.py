"""Transactions in a caller's name, and what happens when the database is away."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from tests.store.conftest import Dsn

from kis_estimator.errors import KisError
from kis_estimator.store.db import Database, Principal
from kis_estimator.store.postgres import EmbeddedPostgres

WHO = """
select current_user::text as role, session_user::text as login,
  current_setting('request.jwt.claims', true) as claims, current_setting('timezone') as timezone,
  current_setting('statement_timeout') as statement,
  current_setting('idle_in_transaction_session_timeout') as idle
"""


def who(conn: psycopg.Connection[dict[str, Any]]) -> dict[str, Any]:
    row = conn.execute(WHO).fetchone()
    assert row is not None
    return row


def code_of(error: pytest.ExceptionInfo[KisError]) -> str:
    return error.value.notices[0].code


def test_a_tenant_is_the_caller_for_one_transaction(db: Database, principal: Principal) -> None:
    with db.tenant(principal) as conn:
        seen = who(conn)
    assert (seen["role"], seen["login"]) == ("authenticated", "kis_api")
    assert json.loads(seen["claims"]) == {
        "sub": str(principal.user_id),
        "role": "authenticated",
        "app_metadata": {"org_id": str(principal.org_id), "role": "estimator"},
    }
    assert (seen["timezone"], seen["statement"], seen["idle"]) == ("UTC", "30s", "30s")


def test_the_policies_read_the_claims(db: Database, principal: Principal) -> None:
    with db.tenant(principal) as conn:
        row = conn.execute("select shared.caller_org() as org, shared.caller_id() as id").fetchone()
    assert row == {"org": principal.org_id, "id": principal.user_id}


def test_service_and_login_have_no_caller(db: Database, principal: Principal) -> None:
    with db.tenant(principal):
        pass
    with db.service() as conn:
        service = who(conn)
        assert conn.execute("select shared.caller_org() as org").fetchone() == {"org": None}
    with db.login() as conn:
        login = who(conn)
    assert (service["role"], json.loads(service["claims"])) == (
        "service_role",
        {"role": "service_role"},
    )
    assert (login["role"], login["claims"]) == ("kis_api", "")


def test_nothing_of_a_caller_stays_on_the_connection(dsn: Dsn, principal: Principal) -> None:
    with Database(dsn(), pool_size=1, max_overflow=0) as db:
        with db.tenant(principal) as conn:
            first = conn.info.backend_pid
        with pytest.raises(psycopg.errors.DivisionByZero), db.tenant(principal) as conn:
            conn.execute("select 1/0")
        with db._connection() as conn:
            assert conn.info.backend_pid == first
            left = who(conn)
    assert (left["role"], left["claims"]) == ("kis_api", "")


def test_a_transaction_begins_in_one_message(dsn: Dsn, db: Database, principal: Principal) -> None:
    last = "select state, query from pg_stat_activity where pid = %s"
    with psycopg.connect(dsn("postgres")) as owner, db.tenant(principal) as conn:
        row = owner.execute(last, (conn.info.backend_pid,)).fetchone()
    assert row is not None
    assert row[0] == "idle in transaction"
    assert row[1].startswith("begin; select set_config('role', 'authenticated', true), ")


def test_commits_at_the_end_and_rolls_back_on_an_error(db: Database, dsn: Dsn) -> None:
    with psycopg.connect(dsn("postgres"), autocommit=True) as owner:
        owner.execute("create table public.kept (x int)")
        owner.execute("grant all on public.kept to service_role")
    with db.service() as conn:
        conn.execute("insert into kept values (1)")
    with pytest.raises(LookupError), db.service() as conn:  # noqa: PT012 - the second raises
        conn.execute("insert into kept values (2)")
        raise LookupError
    with db.service() as conn:
        assert conn.execute("select x from kept").fetchall() == [{"x": 1}]


def test_a_failed_statement_that_was_passed_over_is_no_commit(db: Database) -> None:
    with (
        pytest.raises(psycopg.errors.InFailedSqlTransaction),
        db.service() as conn,
        suppress(psycopg.errors.DivisionByZero),
    ):
        conn.execute("select 1/0")
    with db.service() as conn, conn.transaction():
        assert conn.execute("select 1 as x").fetchone() == {"x": 1}


def test_claims_are_data(db: Database) -> None:
    odd = Principal(uuid4(), uuid4(), "x'); reset role; --\\")  # type: ignore[arg-type]
    with db.tenant(odd) as conn:
        seen = who(conn)
    assert seen["role"] == "authenticated"
    assert json.loads(seen["claims"])["app_metadata"]["role"] == odd.role


def test_callers_at_the_same_time_see_their_own_claims(db: Database) -> None:
    barrier = Barrier(4)

    def one(_: int) -> bool:
        principal = Principal(uuid4(), uuid4(), "viewer")
        with db.tenant(principal) as conn:
            barrier.wait(60)
            row = conn.execute("select shared.caller_id() as id").fetchone()
        return row == {"id": principal.user_id}

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, range(4)))


def test_an_exhausted_pool_is_unavailable(dsn: Dsn, principal: Principal) -> None:
    with Database(dsn(), pool_size=1, max_overflow=1, timeout_sec=0.05) as db:
        with db.service(), db.service():
            assert db.stats() == {"open": 2, "idle": 0, "limit": 2, "waiting": 0}
            with pytest.raises(KisError) as caught, db.tenant(principal):
                pass
        assert code_of(caught) == "DATABASE_UNAVAILABLE"
        with db.tenant(principal):
            pass


def test_a_statement_that_takes_too_long_is_ended(dsn: Dsn) -> None:
    with Database(dsn(), statement_sec=0.05) as db:
        with pytest.raises(KisError) as caught, db.service() as conn:
            conn.execute("select pg_sleep(60)")
        assert code_of(caught) == "DATABASE_UNAVAILABLE"
        db.ping(10)


def test_a_database_that_is_away_shows_no_password() -> None:
    with Database("postgresql://kis_api:the-secret@127.0.0.1:1/x", timeout_sec=0.05) as db:
        with pytest.raises(KisError) as caught, db.service():
            pass
        with pytest.raises(KisError) as pinged:
            db.ping(0.05)
    for error in (caught, pinged):
        assert code_of(error) == "DATABASE_UNAVAILABLE"
        assert "the-secret" not in f"{error.value!r} {error.value.__cause__!r} {db!r}"


def test_a_url_that_cannot_be_read_is_not_quoted() -> None:
    with pytest.raises(KisError) as caught:
        Database("postgresql://kis_api:the%secret@127.0.0.1/x")
    assert code_of(caught) == "DATABASE_URL_INVALID"
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("port", "flag", "prepares"),
    [("5432", None, True), ("6543", None, False), ("6543", False, True), ("5432", True, False)],
)
def test_nothing_is_prepared_for_a_transaction_pooler(
    port: str,
    flag: bool | None,  # noqa: FBT001 - a column of the table
    prepares: bool,  # noqa: FBT001 - as above
) -> None:
    db = Database(f"postgresql://u@db.example:{port}/x", transaction_pooler=flag)
    kwargs = db._pool.kwargs
    assert isinstance(kwargs, dict)
    assert (kwargs["prepare_threshold"] is not None) is prepares


def test_a_constraint_is_the_callers_matter(db: Database) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), db.login() as conn:
        conn.execute("select * from estimator.quotes")


# ---------------------------------------------------------------- the server goes away


def test_survives_a_restart_of_the_database(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path)
    server.start()
    with Database(server.dsn("postgres"), pool_size=4, max_overflow=0, timeout_sec=60) as db:
        with db.service(), db.service(), db.service(), db.service():
            pass
        server.stop()
        server.start()
        for _ in range(4):
            with db.service() as conn:
                conn.execute("select 1")
        with pytest.raises(KisError) as caught, db.service() as conn:  # noqa: PT012 - both matter
            server.stop()
            conn.execute("select 1")
        assert code_of(caught) == "DATABASE_UNAVAILABLE"
        server.start()
        db.ping(60)
    server.stop()


def test_replaces_a_connection_that_was_ended(dsn: Dsn) -> None:
    with (
        Database(dsn(), pool_size=1, max_overflow=0) as db,
        psycopg.connect(dsn("postgres"), autocommit=True) as owner,
    ):
        with db.service() as conn:
            pid = conn.info.backend_pid
        ended = owner.execute("select pg_terminate_backend(%s, 10000)", (pid,)).fetchone()
        assert ended == (True,)
        with db.service() as conn:
            assert conn.info.backend_pid != pid


@pytest.mark.parametrize("call", ["ping", "begin"])
def test_nobody_waits_for_a_server_that_hangs(dsn: Dsn, call: str) -> None:
    with Database(dsn(), pool_size=1, max_overflow=0, timeout_sec=1) as db:
        with db.service() as conn:
            pid = conn.info.backend_pid
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(KisError) as caught, ExitStack() as stack:
                db.ping(0.1) if call == "ping" else stack.enter_context(db.service())
        finally:
            os.kill(pid, signal.SIGCONT)
        assert code_of(caught) == "DATABASE_UNAVAILABLE"
        db.ping(30)
