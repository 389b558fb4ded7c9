"""Restoring a snapshot: into a database of its own, or in one transaction in a database's place.

pg_restore turns the dump into SQL part by part; a connection of ours runs it. So drop, restore and
the comparison of all figures are one transaction: readers see the old state or the new one.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import IO, TypeVar

from psycopg import sql

from kis_estimator.errors import KisError
from kis_estimator.store.postgres import binaries
from kis_estimator.store.scratch import signals_held
from kis_estimator.store.snapshot_contents import (
    OBJECTS,
    QUEUE_PREFIX,
    SCHEMAS,
    Conn,
    measure,
    settle,
    tables,
)
from kis_estimator.store.snapshot_file import SnapshotKey
from kis_estimator.store.snapshot_locks import ending_sessions, keep_all_out, keep_writers_out
from kis_estimator.store.snapshots import Snapshot, last_words, require_own, session

Saved = TypeVar("Saved")

LOCK_SEC = 60.0
"""How long a restore tries to get the tables for itself."""

_BLOCK = 1 << 16
_COPY = re.compile(rb"COPY .* FROM stdin;\n")
_META = re.compile(rb"^\\(?:un)?restrict .*\n|^SET transaction_timeout = 0;\n", re.MULTILINE)
_ENTRY = re.compile(r"\d+; \d+ \d+ (?P<kind>[A-Z ]+?) (?P<schema>-|[^\sA-Z]\S*) (?P<rest>.*)")
# An index may have any name; those of other tables in `public` are not in the dump.
_QUEUE_ENTRY = re.compile(rf"(?:[A-Z ]+ )?(?:{QUEUE_PREFIX}|INDEX )")

# As the first migration makes it, which is not run on a copy.
_LOGIN = "kis_api"
_MAKE_LOGIN = "create role kis_api login noinherit; grant authenticated, service_role to kis_api"

# What the privileges by default of the target gave to objects that were just made.
_GIVEN = """
select distinct format('revoke all on %s %s from %s', o.kind, o.name,
                       case a.grantee when 0 then 'public' else a.grantee::regrole::text end)
  from objects o cross join aclexplode(o.acl) a
  where a.grantee <> o.owner and not exists (
    select from aclexplode(o.by_default) d where d.grantee = a.grantee)
"""

_QUEUE_OBJECTS = """
select format('drop %s if exists %s cascade',
              case c.relkind when 'v' then 'view' when 'm' then 'materialized view' else o.kind end,
              o.name)
  from objects o left join pg_class c on o.kind = 'table' and c.oid::regclass::text = o.name
  where o.name like 'public.%'
  order by array_position(array['table', 'sequence', 'routine', 'type'], o.kind)
"""


def load(dsn: str, snapshot: Snapshot, key: SnapshotKey) -> None:
    """Restore into an empty database of a superuser, and compare. Raises SNAPSHOT_DIFFERS.

    Roles that the snapshot names and the server does not know are made.
    """
    with session(dsn) as conn:
        known = {name for (name,) in conn.execute("select rolname from pg_roles")}
        for role in snapshot.about["roles"]:
            if role == _LOGIN and role not in known:
                conn.execute(_MAKE_LOGIN)
            elif role not in known:
                conn.execute(sql.SQL("create role {}").format(sql.Identifier(role)))
        _fill(conn, snapshot, key)


def swap(
    dsn: str,
    snapshot: Snapshot,
    key: SnapshotKey,
    save: Callable[[], Saved],
    lock_sec: float = LOCK_SEC,
    replaced: Callable[[], None] = lambda: None,
) -> Saved:
    """Put the snapshot in the place of what a database holds, in one transaction.

    `save` is called when nobody can write any more, so that what it saves is all there was; what it
    returns is returned. Raises DATABASE_LOCKED, SNAPSHOT_DIFFERS and what `save` raises; then
    nothing has changed. `replaced` is called once it has, before a signal can end what follows.
    """
    with session(dsn) as conn:
        require_own(snapshot, conn)
        settle(conn)
        keep_writers_out(conn, lock_sec)
        saved = save()
        with ending_sessions(conn):
            keep_all_out(conn, lock_sec)
            _drop(conn)
            _fill(conn, snapshot, key)
        with signals_held():
            conn.commit()
            replaced()
    with suppress(KisError), session(dsn) as conn:  # the server would do it by itself, later
        for name in tables(conn):
            conn.execute(sql.SQL("analyze {}").format(sql.Identifier(*name)))
    return saved


def _fill(conn: Conn, snapshot: Snapshot, key: SnapshotKey) -> None:
    """Create the objects, privileges and rows of a snapshot, and compare with its figures."""
    settle(conn)
    entries = _entries(snapshot, key)
    rights = [line for line in entries if _kind(line) == "ACL"]
    others = [line for line in entries if _kind(line) != "ACL"]
    _run(conn, snapshot, key, others, "--section=pre-data")
    settle(conn)
    for (statement,) in conn.execute(OBJECTS + _GIVEN).fetchall():
        conn.execute(statement)
    _run(conn, snapshot, key, rights)
    with _sql(snapshot, key, others, "--section=data") as output:
        _run_data(conn, output)
    _run(conn, snapshot, key, others, "--section=post-data")
    unequal = snapshot.contents.differences(measure(conn))
    if unequal:
        raise KisError.of("SNAPSHOT_DIFFERS", id=snapshot.id, tables=unequal)


def _drop(conn: Conn) -> None:
    """Drop everything that is ours, whatever depends on it too."""
    for (statement,) in conn.execute(OBJECTS + _QUEUE_OBJECTS).fetchall():
        conn.execute(statement)
    for name in SCHEMAS:
        conn.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(name)))


# ---------------------------------------------------------------- what pg_restore makes of a dump


def _entries(snapshot: Snapshot, key: SnapshotKey) -> list[str]:
    """Return the lines of the dump's table of contents that are this product's."""
    with _pg_restore(snapshot, key, "--list") as output:
        lines = [line.decode().rstrip("\n") for line in output if line[:1].isdigit()]
    return [line for line in lines if _is_ours(line)]


def _kind(line: str) -> str:
    found = _ENTRY.match(line)
    return found["kind"] if found else ""


def _is_ours(line: str) -> bool:
    """Whether an entry belongs to a schema of ours or to the job queue in `public`.

    >>> _is_ours("9; 2615 2200 SCHEMA - public postgres")
    False
    >>> _is_ours("9; 0 0 ACL public FUNCTION procrastinate_x(a integer) postgres")
    True
    >>> _is_ours("9; 1259 9 INDEX public a_name_of_its_own postgres")
    True
    """
    found = _ENTRY.match(line)
    if found is None:
        return False
    kind, schema, rest = found["kind"], found["schema"], found["rest"]
    if schema == "-":
        return rest.removeprefix("SCHEMA ").split(" ")[0] in SCHEMAS
    if schema == "public":
        return kind != "DEFAULT ACL" and _QUEUE_ENTRY.match(f"{kind} {rest}") is not None
    return schema in SCHEMAS


def _run(
    conn: Conn, snapshot: Snapshot, key: SnapshotKey, entries: list[str], *options: str
) -> None:
    """Run the SQL of these entries, which has no rows of tables."""
    with _sql(snapshot, key, entries, *options) as output:
        conn.execute(_META.sub(b"", output.read()))


@contextmanager
def _sql(
    snapshot: Snapshot, key: SnapshotKey, entries: list[str], *options: str
) -> Iterator[IO[bytes]]:
    with tempfile.NamedTemporaryFile("w", prefix="kis-entries-") as chosen:
        chosen.write("\n".join(entries) + "\n")
        chosen.flush()
        choice = (f"--use-list={chosen.name}", "--no-owner", "--file=-", *options)
        with _pg_restore(snapshot, key, *choice) as output:
            yield output


def _run_data(conn: Conn, output: IO[bytes]) -> None:
    """Run SQL with the rows of tables between it; no statement there has more than one line."""
    statements = bytearray()
    for line in output:
        if _COPY.fullmatch(line):
            conn.execute(_META.sub(b"", bytes(statements)))
            statements.clear()
            with conn.cursor().copy(line) as copy:
                for block in _rows(output):
                    copy.write(block)
        else:
            statements += line
    conn.execute(_META.sub(b"", bytes(statements)))


def _rows(output: IO[bytes]) -> Iterator[bytes]:
    """Yield the rows of one table in blocks of whole lines, until the line that ends them."""
    block = bytearray()
    for line in output:
        if line == b"\\.\n":
            break
        block += line
        if len(block) > _BLOCK:
            yield bytes(block)
            block.clear()
    yield bytes(block)


@contextmanager
def _pg_restore(snapshot: Snapshot, key: SnapshotKey, *options: str) -> Iterator[IO[bytes]]:
    """Run pg_restore on the decrypted dump; lend what it writes. Raises SNAPSHOT_DAMAGED."""
    problems: list[KisError] = []
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(  # noqa: S603 - a program of the wheel
            [str(binaries() / "pg_restore"), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env={"LC_ALL": "C"},
        ) as process,
    ):
        feeder = Thread(target=_feed, args=(process.stdin, snapshot, key, problems))
        feeder.start()
        try:
            assert process.stdout is not None  # noqa: S101 - a pipe was asked for
            yield process.stdout
            process.stdout.read()
        except BaseException:
            process.kill()  # it would read the rest of the dump first
            raise
        finally:
            feeder.join()
        if problems:
            raise problems[0]
        if process.wait() != 0:
            said.seek(0)
            raise KisError.of("SNAPSHOT_RESTORE", id=snapshot.id, reason=last_words(said.read()))


def _feed(
    target: IO[bytes], snapshot: Snapshot, key: SnapshotKey, problems: list[KisError]
) -> None:
    """Write the dump to pg_restore, which stops reading where it needs no more."""
    try:
        with target:
            for block in snapshot.plain(key):
                target.write(block)
    except BrokenPipeError:
        pass
    except KisError as error:
        problems.append(error)
