"""The connections of a process, and transactions in the name of a caller.

Row-level security tells callers apart by the role and the claims of a transaction. They are set
for that transaction alone, in the round trip that begins it, so that nothing is left on a
connection that the next caller, or another client of a transaction pooler, gets.
"""

from __future__ import annotations

import json
import select
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Literal, Self
from uuid import UUID

import psycopg
from psycopg import Connection, sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

from kis_estimator.errors import KisError

Role = Literal["viewer", "estimator", "admin"]

GATE = 0x6B697321
"""An advisory lock: every transaction here shares it, a restore of the database has it alone.

So a restore finds nobody who has read a table and waits to write to it.
"""

_TRANSACTION_POOLER_PORT = "6543"
_RECONNECT_SEC = 5  # then the next request tries again, at once
_ASIDE, _ASIDE_SEC = 4, 3  # connections and time for what must not wait for a transaction
_ANSWERS = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)
_UNAVAILABLE_CLASSES = ("08", "53", "57")  # connection, resources, stopped by the operator


def parts_of(dsn: str) -> dict[str, str]:
    """Return the parts of a connection string. Raises DATABASE_URL_INVALID, without the password.

    >>> parts_of("postgresql://kis_api:secret@db.example:6543/postgres")["port"]
    '6543'
    """
    try:
        return {name: str(value) for name, value in conninfo_to_dict(dsn).items()}
    except psycopg.ProgrammingError:  # quotes what it could not read
        raise KisError.of("DATABASE_URL_INVALID") from None


def pools_transactions(dsn: str) -> bool:
    """Whether a connection string leads to the port of Supabase's transaction pooler."""
    return _TRANSACTION_POOLER_PORT in parts_of(dsn).get("port", "").split(",")


@dataclass(frozen=True, slots=True)
class Principal:
    """In whose name a transaction reads and writes; a `quarantined` one belongs to a smoke test."""

    org_id: UUID
    user_id: UUID
    role: Role
    quarantined: bool = False

    def claims(self) -> str:
        """Return the claims of the caller's token that the policies of the database read."""
        metadata: dict[str, object] = {"org_id": str(self.org_id), "role": self.role}
        if self.quarantined:
            metadata |= {"quarantined": True}
        return json.dumps(
            {"sub": str(self.user_id), "role": "authenticated", "app_metadata": metadata}
        )


class Database:
    """A pool of connections: `with Database(dsn) as db, db.tenant(principal) as conn: …`.

    At most `pool_size` + `max_overflow` connections are open, and a few aside; unused ones are
    closed after a while.
    Nothing is prepared on a `transaction_pooler` (by default: what listens on port 6543).
    A transaction begins within `timeout_sec`; a statement in it ends after `statement_sec`, and a
    transaction in which nothing happens that long, too.
    Raises DATABASE_URL_INVALID.
    """

    def __init__(
        self,
        dsn: str,
        *,
        pool_size: int = 20,
        max_overflow: int = 10,
        timeout_sec: float = 30,
        statement_sec: float = 30,
        transaction_pooler: bool | None = None,
    ) -> None:
        if transaction_pooler is None:
            transaction_pooler = pools_transactions(dsn)
        self._limit_sec = statement_sec
        self._timeout_sec = timeout_sec
        self._pool = self._new_pool(dsn, 1, pool_size + max_overflow, pooled=transaction_pooler)
        self._aside = self._new_pool(dsn, 0, _ASIDE, pooled=transaction_pooler)

    def _new_pool(
        self, dsn: str, least: int, most: int, *, pooled: bool
    ) -> ConnectionPool[Connection[DictRow]]:
        return ConnectionPool(
            dsn,
            kwargs={
                "autocommit": True,  # BEGIN goes with the settings of the transaction
                "row_factory": dict_row,
                "prepare_threshold": None if pooled else 5,
                "application_name": "kis",
                "connect_timeout": 5,
                "keepalives_idle": 30,
                "tcp_user_timeout": 30_000,
            },
            min_size=least,
            max_size=most,
            timeout=self._timeout_sec,
            reconnect_timeout=_RECONNECT_SEC,
            check=self._check,
            name="kis",
            open=False,
        )

    def __enter__(self) -> Self:
        """Open the pool."""
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the pool."""
        self.close()

    def open(self) -> None:
        """Begin to connect, in the background; a database that is away is no error yet."""
        self._pool.open()
        self._aside.open()

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()
        self._aside.close()

    def tenant(self, principal: Principal) -> AbstractContextManager[Connection[DictRow]]:
        """One transaction in a caller's name: row-level security shows the caller's rows alone.

        Costs one round trip to begin, one for each statement, one to commit. Raises
        DATABASE_UNAVAILABLE, as every transaction here.
        """
        return self._transaction("authenticated", principal.claims())

    def aside(self, principal: Principal, query: sql.Composable) -> DictRow:
        """Return the row of one query in a caller's name, which is done at once and for good.

        For what many callers wait for in turn: query and commit are one message, on one of a few
        connections of its own, so that a caller whose transaction is open may ask. What it
        writes is on disk when the caller's next transaction is, not before.
        """
        claims = principal.claims()
        begin = self._begin("authenticated", claims, _ASIDE_SEC, synchronous_commit="off")
        deadline = time.monotonic() + self._timeout_sec
        with self._connection(pool=self._aside) as conn:
            _ask(conn, begin.as_bytes(conn), deadline)
            row = conn.execute(sql.SQL("{}; commit").format(query)).fetchone()
        if row is None:
            raise psycopg.ProgrammingError("the query has no row")
        return row

    def service(self) -> AbstractContextManager[Connection[DictRow]]:
        """One transaction of the service itself, across organisations, which its queries name."""
        return self._transaction("service_role", '{"role": "service_role"}')

    def login(self) -> AbstractContextManager[Connection[DictRow]]:
        """One transaction as the login role, which has the queue and no organisation's rows."""
        return self._transaction("none", "")

    def ping(self, timeout_sec: float) -> None:
        """Ask the database for an answer in that time, even if the server hangs."""
        deadline = time.monotonic() + timeout_sec
        with self._connection(timeout_sec) as conn:
            _ask(conn, b"select 1", deadline)

    def stats(self) -> dict[str, int]:
        """Return how many connections are open, idle and allowed, and how many requests wait."""
        figures = self._pool.get_stats()
        return {
            "open": figures["pool_size"],
            "idle": figures["pool_available"],
            "limit": figures["pool_max"],
            "waiting": figures["requests_waiting"],
        }

    def _begin(
        self, role: str, claims: str, limit_sec: float | None = None, **more: str
    ) -> sql.Composed:
        """Return what begins a transaction as a role; without parameters it goes in one message."""
        limit = f"{limit_sec or self._limit_sec:.3f}s"
        settings = {
            "role": role,
            "request.jwt.claims": claims,
            "statement_timeout": limit,
            "idle_in_transaction_session_timeout": limit,
            "timezone": "UTC",
            **more,
        }
        return sql.SQL("begin; select {}, pg_advisory_xact_lock_shared({})").format(
            sql.SQL(", ").join(
                sql.SQL("set_config({}, {}, true)").format(sql.Literal(name), sql.Literal(value))
                for name, value in settings.items()
            ),
            sql.Literal(GATE),
        )

    @contextmanager
    def _transaction(self, role: str, claims: str) -> Iterator[Connection[DictRow]]:
        deadline = time.monotonic() + self._timeout_sec
        with self._connection() as conn:
            _ask(conn, self._begin(role, claims).as_bytes(conn), deadline)
            yield conn
            if conn.info.transaction_status is TransactionStatus.INERROR:
                # PostgreSQL would answer COMMIT by rolling back, without an error.
                raise psycopg.errors.InFailedSqlTransaction("a failed statement was passed over")

    @contextmanager
    def _connection(
        self,
        timeout_sec: float | None = None,
        pool: ConnectionPool[Connection[DictRow]] | None = None,
    ) -> Iterator[Connection[DictRow]]:
        """Lend a connection; it commits at the end, or rolls back."""
        try:
            with (pool or self._pool).connection(timeout_sec) as conn:
                yield conn
        except psycopg.errors.IdleInTransactionSessionTimeout as error:
            raise KisError.of("DATABASE_UNAVAILABLE") from error
        except psycopg.OperationalError as error:  # a PoolTimeout is one, without a code
            if error.sqlstate is None or error.sqlstate.startswith(_UNAVAILABLE_CLASSES):
                raise KisError.of("DATABASE_UNAVAILABLE") from error
            raise

    def _check(self, conn: Connection[DictRow]) -> None:
        """Find a dead connection without a round trip: an idle one has nothing to read.

        Where one is dead the server was restarted most likely, so all idle ones are replaced.
        """
        try:
            if _readable(conn, 0):
                _ask(conn, b"select 1", time.monotonic() + self._timeout_sec)
        except psycopg.OperationalError:
            self._pool.drain()
            raise


def _ask(conn: Connection[DictRow], query: bytes, deadline: float) -> None:
    """Send a query and wait for its end until then, no longer.

    A transaction pooler has no server for a transaction before it begins, and keeps silent for
    minutes where there is none; a server that hangs does so for ever.
    """
    refusal: psycopg.Error | None = None
    conn.pgconn.send_query(query)
    conn.pgconn.flush()
    while True:
        while conn.pgconn.is_busy():
            if not _readable(conn, deadline - time.monotonic()):
                conn.close()
                raise psycopg.OperationalError("no answer")
            conn.pgconn.consume_input()
        result = conn.pgconn.get_result()
        if result is None:
            break
        if result.status not in _ANSWERS:
            refusal = psycopg.errors.error_from_result(result)
    if refusal is not None:
        raise refusal


def _readable(conn: Connection[DictRow], timeout_sec: float) -> bool:
    """Whether the server sent something, or closed the connection, in that time."""
    poll = select.poll()
    poll.register(conn.fileno(), select.POLLIN)
    return bool(poll.poll(max(0, timeout_sec * 1000)))
