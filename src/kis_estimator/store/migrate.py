"""Migrations: plain SQL files, applied in order, each in a transaction and never twice.

The record is the table of the Supabase command line, so that either tool can go on where the other
left off. A checksum of each file stands beside it: an applied file is never edited.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from kis_estimator.errors import KisError
from kis_estimator.store.db import parts_of
from kis_estimator.store.statements import Statement, split

State = Literal["applied", "pending", "changed", "unknown"]

_FILE = re.compile(r"(\d{14})_(\w[\w-]*)\.sql")
_CONTROL = re.compile(
    r"(begin|start|commit|end|rollback|abort|prepare\s+transaction)\b", re.IGNORECASE
)
_LOCK = 0x6B6973  # any number, as long as every process takes the same
_LOCK_WAIT = "10s"

# As the Supabase command line makes it; the second table is ours.
_RECORD = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (
  version text not null primary key
);
alter table supabase_migrations.schema_migrations add column if not exists statements text[];
alter table supabase_migrations.schema_migrations add column if not exists name text;
create table if not exists supabase_migrations.kis_checksums (
  version text not null primary key, sha256 text not null
);
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """A file of the folder."""

    version: str
    name: str
    text: str

    @property
    def file(self) -> str:
        """The file's name."""
        return f"{self.version}_{self.name}.sql"

    @property
    def sha256(self) -> str:
        """The checksum of its text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def is_recorded_as(self, entry: _Entry) -> bool:
        """Whether this is what was applied; another tool recorded the statements alone."""
        if entry.sha256 is not None or entry.statements is None:
            return entry.sha256 in {None, self.sha256}
        return _bare(self.text) == _bare("".join(entry.statements))


@dataclass(frozen=True, slots=True)
class MigrationState:
    """What became of a migration; `unknown` ones were applied by another release."""

    version: str
    name: str
    state: State


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    statements: list[str] | None
    sha256: str | None


def migrations_folder() -> Path:
    """Return the folder of the migrations: in the installed package, or in the checkout."""
    installed = Path(str(files("kis_estimator"))) / "migrations"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "supabase/migrations"


def migrate(
    dsn: str,
    folder: Path,
    *,
    until: str | None = None,
    emit: Callable[[Migration], None] = lambda _: None,
) -> list[Migration]:
    """Apply what is pending, up to a version, and tell each one done. Several may do so at once.

    Raises MIGRATION_CHANGED, MIGRATION_ORDER, MIGRATION_CONTROL, MIGRATION_FAILED, MIGRATION_NAME,
    DATABASE_UNAVAILABLE. A migration that fails leaves nothing of itself, those before it stay.
    """
    migrations = [found for found in _read(folder) if until is None or found.version <= until]
    done = []
    with _connect(dsn) as conn:
        while applied := _apply_next(conn, migrations):
            done.append(applied)
            emit(applied)
    return done


def status(dsn: str, folder: Path) -> list[MigrationState]:
    """Return every migration of the folder and of the database, in order; changes nothing."""
    migrations = {migration.version: migration for migration in _read(folder)}
    with _connect(dsn) as conn:
        history = _history(conn)
    states = []
    for version in sorted(migrations.keys() | history.keys()):
        entry, migration = history.get(version), migrations.get(version)
        name = migration.name if migration else entry.name if entry else ""
        states.append(MigrationState(version, name, _state(migration, entry)))
    return states


def _state(migration: Migration | None, entry: _Entry | None) -> State:
    if migration is None:
        return "unknown"
    if entry is None:
        return "pending"
    return "applied" if migration.is_recorded_as(entry) else "changed"


def _read(folder: Path) -> list[Migration]:
    """Read the folder in the order of versions. Raises MIGRATION_NAME."""
    migrations: dict[str, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        named = _FILE.fullmatch(path.name)
        if named is None or named[1] in migrations:
            raise KisError.of("MIGRATION_NAME", file=path.name)
        # Universal newlines: git may write either kind.
        migrations[named[1]] = Migration(named[1], named[2], path.read_text(encoding="utf-8"))
    return list(migrations.values())


@contextmanager
def _connect(dsn: str) -> Iterator[Connection[TupleRow]]:
    parts_of(dsn)
    try:
        with psycopg.connect(
            dsn,
            autocommit=True,
            prepare_threshold=None,
            application_name="kis migrate",
            connect_timeout=10,
        ) as conn:
            yield conn
    except psycopg.OperationalError as error:
        raise KisError.of("DATABASE_UNAVAILABLE") from error
    except psycopg.Error as error:
        reason = error.diag.message_primary or str(error)
        raise KisError.of("DATABASE_REFUSED", reason=reason) from error


def _apply_next(conn: Connection[TupleRow], migrations: list[Migration]) -> Migration | None:
    """Apply the first pending migration, in a transaction that holds the lock."""
    with conn.transaction():
        # A lock of the transaction, because a session may change below a transaction pooler.
        conn.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        if not (_exists(conn, "schema_migrations") and _exists(conn, "kis_checksums")):
            conn.execute(_RECORD.encode())
        history = _history(conn)
        _refuse_changes(migrations, history)
        _adopt(conn, migrations, history)
        pending = next((m for m in migrations if m.version not in history), None)
        if pending is not None:
            newest = max(history, default="")
            if pending.version < newest:
                raise KisError.of("MIGRATION_ORDER", file=pending.file, newest=newest)
            _apply(conn, pending)
    return pending


def _refuse_changes(migrations: list[Migration], history: dict[str, _Entry]) -> None:
    for migration in migrations:
        entry = history.get(migration.version)
        if entry is not None and not migration.is_recorded_as(entry):
            raise KisError.of("MIGRATION_CHANGED", file=migration.file)


def _adopt(
    conn: Connection[TupleRow], migrations: list[Migration], history: dict[str, _Entry]
) -> None:
    """Record the checksum of what the Supabase command line applied, once it was compared."""
    for migration in migrations:
        entry = history.get(migration.version)
        if entry is not None and entry.sha256 is None:
            _record_checksum(conn, migration)


def _apply(conn: Connection[TupleRow], migration: Migration) -> None:
    statements = split(migration.text)
    for statement in statements:
        if _CONTROL.match(statement.text, statement.head):
            line = statement.line_of(statement.head)
            raise KisError.of("MIGRATION_CONTROL", file=migration.file, line=line)
    # DDL that waits for a lock makes every later reader wait behind it; better to give up soon.
    conn.execute(f"set local lock_timeout = '{_LOCK_WAIT}'")
    conn.execute("set local statement_timeout = 0")
    for statement in statements:
        try:
            conn.execute(statement.text.encode())
        except psycopg.Error as error:
            if conn.closed:
                raise
            raise _failure(migration, statement, error) from error
    # What a file set for its session must not stay on a pooler's connection.
    conn.execute("reset role; reset all")
    conn.execute(
        "insert into supabase_migrations.schema_migrations (version, name, statements)"
        " values (%s, %s, %s)",
        (migration.version, migration.name, [statement.text for statement in statements]),
    )
    _record_checksum(conn, migration)


def _failure(migration: Migration, statement: Statement, error: psycopg.Error) -> KisError:
    position = error.diag.statement_position
    offset = int(position) - 1 if position else statement.head
    return KisError.of(
        "MIGRATION_FAILED",
        file=migration.file,
        line=statement.line_of(offset),
        reason=error.diag.message_primary or str(error),
    )


def _record_checksum(conn: Connection[TupleRow], migration: Migration) -> None:
    conn.execute(
        "insert into supabase_migrations.kis_checksums (version, sha256) values (%s, %s)"
        " on conflict (version) do update set sha256 = excluded.sha256",
        (migration.version, migration.sha256),
    )


def _exists(conn: Connection[TupleRow], table: str) -> bool:
    row = conn.execute("select to_regclass(%s)", (f"supabase_migrations.{table}",)).fetchone()
    return row is not None and row[0] is not None


def _history(conn: Connection[TupleRow]) -> dict[str, _Entry]:
    """Return what was applied, by version; nothing where no tool has migrated yet."""
    if not _exists(conn, "schema_migrations"):
        return {}
    checksums: dict[str, str] = {}
    if _exists(conn, "kis_checksums"):
        rows = conn.execute("select version, sha256 from supabase_migrations.kis_checksums")
        checksums = dict(rows.fetchall())
    rows = conn.execute(
        "select version, coalesce(name, ''), statements from supabase_migrations.schema_migrations"
    )
    return {v: _Entry(name, statements, checksums.get(v)) for v, name, statements in rows}


def _bare(text: str) -> str:
    """Return SQL without what splitting it drops."""
    return re.sub(r"[\s;]+", "", text)
