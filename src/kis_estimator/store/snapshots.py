"""Snapshots of the database: a dump by pg_dump, encrypted, and a signed description beside it.

`<ID>.dump.kis` is the dump, `<ID>.json` says what is in it. The description comes last and is put
in place whole: without it there is no snapshot.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Literal

import psycopg
from psycopg import IsolationLevel, pq

from kis_estimator.errors import KisError
from kis_estimator.store.db import parts_of
from kis_estimator.store.postgres import binaries
from kis_estimator.store.snapshot_contents import (
    QUEUE_PREFIX,
    SCHEMAS,
    Conn,
    Contents,
    Identity,
    TableFigures,
    identity,
    measure,
    migrations,
    roles,
)
from kis_estimator.store.snapshot_file import SnapshotKey, Source

State = Literal["described", "verified", "other_key", "damaged", "missing", "unchecked"]

_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
_FIELDS = frozenset(
    (
        "id",
        "createdAt",
        "database",
        "migrations",
        "roles",
        "grants",
        "schema",
        "tables",
        "keyId",
        "file",
    )
)
_BLOCK = 1 << 20
_LOCK_WAIT = "10s"
_CANCEL_SEC = 5.0
_UNAVAILABLE_CLASSES = ("08", "53", "57")  # connection, resources, stopped by the operator


@dataclass(frozen=True)
class Snapshot:
    """A snapshot as its description tells it; `intact` and the restore look into the dump."""

    folder: Path
    about: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Its name, which begins with its time."""
        return str(self.about["id"])

    @property
    def key_id(self) -> str:
        """Which key opens it."""
        return str(self.about["keyId"])

    @property
    def dump(self) -> Path:
        """The encrypted file."""
        return self.folder / f"{self.id}.dump.kis"

    @property
    def rows(self) -> int:
        """How many rows all tables have together."""
        return sum(table["rows"] for table in self.about["tables"].values())

    @property
    def migrations(self) -> list[str]:
        """The versions of the migrations that were applied, in order."""
        return list(self.about["migrations"])

    @cached_property
    def contents(self) -> Contents:
        """The figures of what was dumped."""
        tables = {name: TableFigures(**told) for name, told in self.about["tables"].items()}
        return Contents(tables, self.about["grants"], self.about["schema"])

    @property
    def identity(self) -> Identity:
        """Whose it is."""
        return Identity(**self.about["database"])

    def is_signed_by(self, key: SnapshotKey) -> bool:
        """Whether the description is as it was written."""
        return hmac.compare_digest(str(self.about.get("signature")), _signature(self.about, key))

    def plain(self, key: SnapshotKey) -> Iterator[bytes]:
        """Yield the dump, decrypted. Raises SNAPSHOT_DAMAGED, SNAPSHOT_UNREADABLE."""
        with _reading(self.id, self.dump) as file:
            yield from key.decrypted(file, self.id)


# ---------------------------------------------------------------- taking one


def take(dsn: str, folder: Path, key: SnapshotKey) -> Snapshot:
    """Take a snapshot over a connection that keeps its session.

    Figures and dump are of one moment. Raises SNAPSHOT_WRITE, SNAPSHOT_DUMP, DATABASE_UNAVAILABLE,
    DATABASE_REFUSED; then nothing of it is left.
    """
    now = datetime.now(UTC)
    name = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    with _writing(folder), session(dsn) as conn:
        conn.isolation_level = IsolationLevel.REPEATABLE_READ
        conn.read_only = True
        contents = measure(conn)
        about = {
            "id": name,
            "createdAt": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "database": dataclasses.asdict(identity(conn)),
            "serverVersion": conn.info.server_version,
            "migrations": migrations(conn),
            "roles": roles(conn),
            "grants": contents.grants,
            "schema": dict(contents.schema),
            "tables": {name: dataclasses.asdict(t) for name, t in contents.tables.items()},
            "keyId": key.id,
        }
        with _dumping(conn, dsn) as dump:
            about["file"] = put(folder, f"{name}.dump.kis", key.encrypted(dump, name))
    about["signature"] = _signature(about, key)
    with _writing(folder):
        text = json.dumps(about, indent=2).encode() + b"\n"
        put(folder, f"{name}.json", [text])
    return Snapshot(folder, about)


@contextmanager
def session(dsn: str) -> Iterator[Conn]:
    """Lend a connection with an open transaction; it commits at the end.

    Raises DATABASE_UNAVAILABLE, DATABASE_REFUSED.
    """
    parts_of(dsn)
    try:
        with psycopg.connect(
            dsn, prepare_threshold=None, application_name="kis snapshot", connect_timeout=10
        ) as conn:
            try:
                yield conn
            except BaseException:
                if conn.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
                    conn.cancel_safe(timeout=_CANCEL_SEC)  # a server works on for nobody otherwise
                raise
    except psycopg.Error as error:
        code = error.sqlstate
        if isinstance(error, psycopg.OperationalError) and (
            code is None or code.startswith(_UNAVAILABLE_CLASSES)
        ):
            raise KisError.of("DATABASE_UNAVAILABLE") from error
        reason = error.diag.message_primary or str(error)
        raise KisError.of("DATABASE_REFUSED", reason=reason) from error


@contextmanager
def _dumping(conn: Conn, dsn: str) -> Iterator[Source]:
    """Run pg_dump on what the transaction of a connection sees; lend what it writes."""
    exported = conn.execute("select pg_export_snapshot()").fetchone()
    foreign = conn.execute(
        "select format('%%I.%%I', schemaname, tablename) from pg_tables"
        " where schemaname = 'public' and not starts_with(tablename, %s) union all"
        " select format('%%I.%%I', schemaname, matviewname) from pg_matviews"
        " where schemaname = 'public' and not starts_with(matviewname, %s)",
        [QUEUE_PREFIX, QUEUE_PREFIX],
    )
    command = [
        str(binaries() / "pg_dump"),
        "--format=custom",
        "--no-password",
        "--no-publications",
        "--no-subscriptions",
        f"--lock-wait-timeout={_LOCK_WAIT}",
        f"--snapshot={exported and exported[0]}",
        *(f"--schema={name}" for name in (*SCHEMAS, "public")),
        *(f"--exclude-table={name}" for (name,) in foreign),
    ]
    environment = client_environment(dsn, encrypted=conn.pgconn.ssl_in_use)
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(  # noqa: S603 - a program of the wheel
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            env=environment,
        ) as process,
    ):
        try:
            assert process.stdout is not None  # noqa: S101 - a pipe was asked for
            yield _Checked(process, process.stdout, said)
        finally:
            process.kill()


class _Checked:
    """The output of a program, whose end is good only when the program's is."""

    def __init__(
        self, process: subprocess.Popen[bytes], output: IO[bytes], said: IO[bytes]
    ) -> None:
        self._process, self._output, self._said = process, output, said

    def read(self, size: int, /) -> bytes:
        data = self._output.read(size)
        if len(data) < size and self._process.wait() != 0:
            self._said.seek(0)
            raise KisError.of("SNAPSHOT_DUMP", reason=last_words(self._said.read()))
        return data


def last_words(said: bytes) -> str:
    """Return what a program of PostgreSQL said last."""
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    return " ".join(lines[-3:]) or "no message"


def client_environment(dsn: str, *, encrypted: bool) -> dict[str, str]:
    """Return the environment in which a program of PostgreSQL connects, the password in it alone.

    The programs of the embedded server come without TLS: they get the client library that this
    process uses itself. `encrypted` refuses a connection that would not be.
    """
    names = {option.keyword.decode(): option.envvar for option in pq.Conninfo.get_defaults()}
    given = {
        variable.decode(): value
        for keyword, value in parts_of(dsn).items()
        if (variable := names.get(keyword))
    }
    kept = {k: v for k, v in os.environ.items() if k in {"HOME", "PATH"} or k.startswith("PG")}
    environment = kept | given | {"LC_ALL": "C"}
    if encrypted:
        if not environment.get("PGSSLMODE", "").startswith("verify"):
            environment["PGSSLMODE"] = "require"
        environment["LD_PRELOAD"] = str(_client_library())
    return environment


def _client_library() -> Path:
    """Return the client library of PostgreSQL that came with the driver."""
    libraries = Path(psycopg.__file__).parents[1] / "psycopg_binary.libs"
    return next(libraries.glob("libpq-*.so*"))


# ---------------------------------------------------------------- files


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Let one process at a time write into the folder; what a killed one left behind goes."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for part in folder.glob("*.part"):
                part.unlink()
            yield
    except OSError as error:
        raise KisError.of("SNAPSHOT_WRITE", path=str(folder), reason=error.strerror) from error


def put(folder: Path, name: str, blocks: Iterable[bytes]) -> dict[str, Any]:
    """Write a file under another name first; return its hash and size."""
    part, digest, size = folder / f"{name}.part", hashlib.sha256(), 0
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            for block in blocks:
                file.write(block)
                digest.update(block)
                size += len(block)
            file.flush()
            os.fsync(file.fileno())
        part.rename(folder / name)
        _sync(folder)
    finally:
        part.unlink(missing_ok=True)
    return {"sha256": digest.hexdigest(), "sizeBytes": size}


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _signature(about: Mapping[str, Any], key: SnapshotKey) -> str:
    told = {name: value for name, value in about.items() if name != "signature"}
    return key.sign(json.dumps(told, sort_keys=True, separators=(",", ":")).encode())


# ---------------------------------------------------------------- finding one


def listed(
    folder: Path, key: SnapshotKey | None, *, verify: bool = False
) -> list[tuple[str, State, Snapshot | None]]:
    """Return the snapshots of a folder, the newest first: id, state, and what is described.

    The state is that of the description and of the dump's size; with `verify` the dump is read and
    compared with its SHA-256.
    """
    names = (path.stem for path in folder.glob("*.json"))
    found = sorted(filter(_ID.fullmatch, names), reverse=True)
    return [_listed(folder, key, name, verify) for name in found]


def _listed(
    folder: Path,
    key: SnapshotKey | None,
    name: str,
    verify: bool,  # noqa: FBT001 - as above
) -> tuple[str, State, Snapshot | None]:
    try:
        snapshot = _read(folder, name)
    except KisError:
        return name, "damaged", None
    if not snapshot.dump.exists():
        return name, "missing", snapshot
    state: State
    if not _is_whole(snapshot, verify=verify):
        state = "damaged"
    elif key is None:
        state = "unchecked"
    elif snapshot.key_id != key.id:
        state = "other_key"
    elif snapshot.is_signed_by(key):
        state = "verified" if verify else "described"
    else:
        state = "damaged"
    return name, state, snapshot


def _is_whole(snapshot: Snapshot, *, verify: bool) -> bool:
    """Whether the dump has the described size and, if that is to be verified, SHA-256."""
    described = snapshot.about["file"]
    if snapshot.dump.stat().st_size != described["sizeBytes"]:
        return False
    if not verify:
        return True
    with snapshot.dump.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == str(described["sha256"])


def opened(folder: Path, key: SnapshotKey, name: str) -> Snapshot:
    """Return a snapshot after every check that needs no database.

    Raises SNAPSHOT_UNKNOWN, SNAPSHOT_OTHER_KEY, SNAPSHOT_DAMAGED, SNAPSHOT_UNREADABLE.
    """
    if not _ID.fullmatch(name) or not (folder / f"{name}.json").exists():
        raise KisError.of("SNAPSHOT_UNKNOWN", id=name, folder=str(folder))
    snapshot = _read(folder, name)
    if snapshot.key_id != key.id:
        raise KisError.of("SNAPSHOT_OTHER_KEY", id=name, key=snapshot.key_id)
    if not snapshot.is_signed_by(key) or snapshot.id != name:
        raise KisError.of("SNAPSHOT_DAMAGED", id=name)
    digest = hashlib.sha256()
    with _reading(name, snapshot.dump) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    if digest.hexdigest() != snapshot.about["file"]["sha256"]:
        raise KisError.of("SNAPSHOT_DAMAGED", id=name)
    for _ in snapshot.plain(key):
        pass
    return snapshot


def require_own(snapshot: Snapshot, conn: Conn) -> None:
    """Raise SNAPSHOT_FOREIGN where the snapshot is not of the database of a connection."""
    ours = identity(conn)
    if not snapshot.identity.same_database(ours):
        raise KisError.of(
            "SNAPSHOT_FOREIGN", id=snapshot.id, theirs=_named(snapshot.identity), ours=_named(ours)
        )


def _named(found: Identity) -> str:
    return " ".join(filter(None, (found.name, found.project, found.installation)))


def _read(folder: Path, name: str) -> Snapshot:
    with _reading(name, folder / f"{name}.json") as file:
        try:
            about = json.load(file)
        except ValueError:
            about = None
    if not isinstance(about, dict) or not about.keys() >= _FIELDS:
        raise KisError.of("SNAPSHOT_DAMAGED", id=name)
    return Snapshot(folder, about)


@contextmanager
def _reading(name: str, path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise KisError.of(
            "SNAPSHOT_UNREADABLE", id=name, path=str(path), reason=error.strerror
        ) from error
