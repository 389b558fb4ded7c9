"""Getting all tables for oneself while the service works on them.

PostgreSQL cannot give us a table that somebody has read who now waits for us to write. So the
service's own transactions wait at a gate before they read anything. For sessions that do not (of
the queue, of other programs) locks are asked for in short tries, and those of the service that wait
for us are ended in between: what they began was never confirmed to anybody.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import LiteralString

from psycopg import sql
from psycopg.errors import (
    DeadlockDetected,
    InsufficientPrivilege,
    LockNotAvailable,
    UndefinedObject,
)

from kis_estimator.errors import KisError
from kis_estimator.store.db import GATE
from kis_estimator.store.snapshot_contents import Conn, tables

_ONE_TRY = "900ms"  # less than the server's deadlock_timeout: it is the other who gives in
_BETWEEN_SEC = 0.004  # a session that was ended is gone by then, and not back yet

# Of the service's sessions: those that wait for us, and all that do not wait at the gate.
_END_WAITING = """
select pg_terminate_backend(a.pid) from pg_stat_activity a
  where a.datname = current_database() and a.usename = 'kis_api'
    and pg_backend_pid() = any (pg_blocking_pids(a.pid))
"""
_END_OTHERS = """
select pg_terminate_backend(a.pid) from pg_stat_activity a
  where a.datname = current_database() and a.usename = 'kis_api' and not exists (
    select from pg_locks l where l.pid = a.pid and l.locktype = 'advisory' and l.objid = %s)
"""

_HOLDERS = """
select distinct coalesce(nullif(a.application_name, ''), a.usename, '?') || ' (pid ' || l.pid || ')'
  from pg_locks l left join pg_stat_activity a on a.pid = l.pid
  where l.granted and l.pid <> pg_backend_pid()
    and (l.relation = any (%s::regclass[]::oid[]) or (l.locktype = 'advisory' and l.objid = %s))
    and l.database = (select oid from pg_database where datname = current_database())
  order by 1
"""


def keep_writers_out(conn: Conn, limit_sec: float) -> None:
    """Close the gate, and let others only read, until the end of the transaction.

    Raises DATABASE_LOCKED with the names of those who write for longer than the limit.
    """
    names, deadline = _names(conn), time.monotonic() + limit_sec
    _close_gate(conn, limit_sec)
    if names:
        lock = sql.SQL("lock table {} in exclusive mode").format(sql.SQL(", ").join(names))
        _take(conn, lock, names, deadline)


def _close_gate(conn: Conn, limit_sec: float) -> None:
    """Wait until no transaction of the service is open; whoever comes meanwhile waits behind us."""
    conn.execute(sql.SQL("set local lock_timeout = {}").format(f"{limit_sec:.3f}s"))
    try:
        with conn.transaction():
            conn.execute("select pg_advisory_xact_lock(%s)", [GATE])
    except LockNotAvailable:
        raise _locked(conn, []) from None


def keep_all_out(conn: Conn, limit_sec: float) -> None:
    """Let nobody read a table until the end of the transaction; use it in `ending_sessions`.

    Table by table, so that whoever comes waits before he has read anything. Raises DATABASE_LOCKED
    with the names of those who read for longer than the limit.
    """
    deadline = time.monotonic() + limit_sec
    for name in _names(conn):
        lock = sql.SQL("lock table {} in access exclusive mode").format(name)
        _take(conn, lock, [name], deadline, end_waiting=True)


def _names(conn: Conn) -> list[sql.Identifier]:
    """Return the tables in the order in which the service comes to them, more or less."""
    return [sql.Identifier(*name) for name in reversed(tables(conn))]


def _take(
    conn: Conn,
    lock: sql.Composed,
    names: list[sql.Identifier],
    deadline: float,
    *,
    end_waiting: bool = False,
) -> None:
    conn.execute(sql.SQL("set local lock_timeout = {}").format(_ONE_TRY))
    while True:
        try:
            with conn.transaction():
                conn.execute(lock)
        except (LockNotAvailable, DeadlockDetected):
            if time.monotonic() > deadline:
                raise _locked(conn, names) from None
        else:
            return
        if end_waiting:
            _end(conn, _END_WAITING)
        time.sleep(_BETWEEN_SEC)


def _locked(conn: Conn, names: list[sql.Identifier]) -> KisError:
    relations = [name.as_string(conn) for name in names]
    holders = [name for (name,) in conn.execute(_HOLDERS, [relations, GATE])]
    return KisError.of("DATABASE_LOCKED", holders=holders or ["?"])


@contextmanager
def ending_sessions(conn: Conn) -> Iterator[None]:
    """Be allowed to end sessions of the service for a while; at the end, those of the queue are.

    They remember the old tables' types. Members of a role may end its sessions, and the owner of
    the schema may join the role, since he made it. Elsewhere they are left alone.
    """
    joined = False
    with suppress(InsufficientPrivilege, UndefinedObject), conn.transaction():
        found = conn.execute("select pg_has_role(current_user, 'kis_api', 'usage')")
        if found.fetchone() == (False,):
            conn.execute("grant kis_api to current_user")
            joined = True
    yield
    _end(conn, _END_OTHERS, GATE)
    if joined:
        conn.execute("revoke kis_api from current_user")


def _end(conn: Conn, query: LiteralString, *values: int) -> None:
    with suppress(InsufficientPrivilege), conn.transaction():
        conn.execute(query, values)
