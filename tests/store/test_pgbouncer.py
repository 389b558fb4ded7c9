"""Behind a transaction pooler, as on Supabase's port 6543: PgBouncer with one server connection."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from tests.store.conftest import make_database
from tests.store.postgresql import pgbouncer

from kis_estimator.store.db import Database, Principal
from kis_estimator.store.migrate import migrate, migrations_folder, status


@pytest.fixture(scope="module")
def direct(postgres15: str) -> str:
    """The URL of a migrated database, past the pooler."""
    make_database(postgres15, "pooled", "supabase")
    return f"{postgres15}/pooled"


@pytest.fixture(scope="module")
def pooled(direct: str, postgres15: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the same database through the pooler; migrated through it, too."""
    with pgbouncer(tmp_path_factory.mktemp("pooler") / "pgbouncer", postgres15) as url:
        owner = f"{url}/pooled".replace("kis_api@", "postgres@")
        assert migrate(owner, migrations_folder())
        assert {found.state for found in status(direct, migrations_folder())} == {"applied"}
        yield f"{url}/pooled"


@pytest.fixture
def db(pooled: str) -> Iterator[Database]:
    with Database(pooled, pool_size=4, max_overflow=0, transaction_pooler=True) as database:
        yield database


def caller(conn: psycopg.Connection[dict[str, object]]) -> object:
    row = conn.execute("select shared.caller_id() as id, pg_backend_pid() as pid").fetchone()
    assert row is not None
    return row["id"]


def test_many_transactions_share_one_connection_and_keep_their_callers(db: Database) -> None:
    def one(number: int) -> bool:
        principal = Principal(uuid4(), uuid4(), "viewer")
        with db.tenant(principal) as conn:
            first = caller(conn)
            # Often enough that psycopg would prepare it on a direct connection.
            conn.execute("select %s::int", (number,))
            return first == caller(conn) == principal.user_id

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, range(80)))


def test_no_claims_and_no_role_reach_another_client(db: Database, pooled: str) -> None:
    principal = Principal(uuid4(), uuid4(), "admin")
    with psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as other:
        left = (
            "select pg_backend_pid(), current_user::text,"
            " current_setting('request.jwt.claims', true)"
        )
        with db.tenant(principal) as conn:
            pid = conn.execute("select pg_backend_pid() as pid").fetchone()
        assert pid is not None
        assert other.execute(left).fetchone() == (pid["pid"], "kis_api", "")
        with pytest.raises(psycopg.errors.DivisionByZero), db.tenant(principal) as conn:
            conn.execute("select 1/0")
        assert other.execute(left).fetchone() == (pid["pid"], "kis_api", "")


def test_a_prepared_statement_would_not_last_here(pooled: str) -> None:
    with (
        psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as one,
        psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as two,
    ):
        one.execute("prepare mine as select 1")
        two.execute("deallocate all")
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            one.execute("execute mine")


def test_a_direct_url_listens_to_what_the_pooled_one_says(db: Database, direct: str) -> None:
    with psycopg.connect(direct, autocommit=True) as listener:
        listener.execute("listen told")
        with db.service() as conn:
            conn.execute("select pg_notify('told', 'progress')")
        (heard,) = listener.notifies(timeout=60, stop_after=1)
    assert (heard.channel, heard.payload) == ("told", "progress")


def test_answers_a_ping(db: Database) -> None:
    db.ping(60)
