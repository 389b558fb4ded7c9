"""Getting all tables for oneself while the service works on them.

PostgreSQL cannot let a session go on that waits for a table, as long as another one has read the
table and now waits for us to write. So the locks are asked for in short tries, and the sessions of
the service that wait for us are ended before each: what they began was never confirmed to anybody.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal, LiteralString

from psycopg import sql
from psycopg.errors import (
    DeadlockDetected,
    InsufficientPrivilege,
    LockNotAvailable,
    UndefinedObject,
)

from kis_estimator.errors import KisError
from kis_estimator.store.snapshot_contents import Conn, tables

_ONE_TRY = "900ms"  # less than the server's deadlock_timeout: it is the other who gives in
_BETWEEN_SEC = 0.02

_LOCKS: dict[str, LiteralString] = {
    "write": "lock table {} in exclusive mode",
    "read": "lock table {} in access exclusive mode",
}

_END_ALL = """
select pg_terminate_backend(a.pid) from pg_stat_activity a
  where a.datname = current_database() and a.usename = 'kis_api'
"""
_END_WAITING = f"{_END_ALL} and pg_backend_pid() = any (pg_blocking_pids(a.pid))"

_HOLDERS = """
select distinct coalesce(nullif(a.application_name, ''), a.usename, '?') || ' (pid ' || l.pid || ')'
  from pg_locks l left join pg_stat_activity a on a.pid = l.pid
  where l.granted and l.pid <> pg_backend_pid() and l.relation = any (%s::regclass[]::oid[])
    and l.database = (select oid from pg_database where datname = current_database())
  order by 1
"""


def shut_out(conn: Conn, verb: Literal["read", "write"], limit_sec: float) -> None:
    """Keep others from reading, or from writing, all tables until the end of the transaction.

    Who must not read is sent away where `ending_sessions` allows it. Raises DATABASE_LOCKED with
    the names of those who hold a table for longer.
    """
    names = [sql.Identifier(*name) for name in reversed(tables(conn))]  # in the service's order
    if not names:
        return
    conn.execute(sql.SQL("set local lock_timeout = {}").format(_ONE_TRY))
    lock = sql.SQL(_LOCKS[verb]).format(sql.SQL(", ").join(names))
    deadline = time.monotonic() + limit_sec
    while not _locked(conn, lock, end_waiting=verb == "read"):
        if time.monotonic() > deadline:
            relations = [name.as_string(conn) for name in names]
            holders = [name for (name,) in conn.execute(_HOLDERS, [relations])]
            raise KisError.of("DATABASE_LOCKED", holders=holders or ["?"])
        time.sleep(_BETWEEN_SEC)


def _locked(conn: Conn, lock: sql.Composed, *, end_waiting: bool) -> bool:
    if end_waiting:
        _end(conn, _END_WAITING)
    try:
        with conn.transaction():
            conn.execute(lock)
    except (LockNotAvailable, DeadlockDetected):
        return False
    return True


@contextmanager
def ending_sessions(conn: Conn) -> Iterator[None]:
    """Be allowed to end sessions of the service for a while; at the end, all of them are.

    They remember the old tables. Members of a role may end its sessions, and the owner of the
    schema may join the role, since he made it. Elsewhere they are left alone.
    """
    joined = False
    with suppress(InsufficientPrivilege, UndefinedObject), conn.transaction():
        found = conn.execute("select pg_has_role(current_user, 'kis_api', 'usage')")
        if found.fetchone() == (False,):
            conn.execute("grant kis_api to current_user")
            joined = True
    yield
    _end(conn, _END_ALL)
    if joined:
        conn.execute("revoke kis_api from current_user")


def _end(conn: Conn, query: LiteralString) -> None:
    with suppress(InsufficientPrivilege), conn.transaction():
        conn.execute(query)
