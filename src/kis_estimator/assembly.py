"""What the processes of the service work with, made from the settings: the one place for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4, uuid5

from kis_estimator.errors import KisError
from kis_estimator.evidence.envelope import Verifier
from kis_estimator.service import load_engine
from kis_estimator.service.children import Children
from kis_estimator.service.company import company_of
from kis_estimator.service.jobs import Workshop
from kis_estimator.service.pricebook import PriceBooks, add_program_version
from kis_estimator.service.runner import Runner
from kis_estimator.settings import Settings
from kis_estimator.store import estimates, queue
from kis_estimator.store.blobs import Blobs
from kis_estimator.store.db import Database, Principal, Role, pools_transactions
from kis_estimator.store.local_blobs import LocalBlobs
from kis_estimator.store.migrate import Migration, migrate, migrations_folder
from kis_estimator.store.postgres import EmbeddedPostgres
from kis_estimator.store.sql import queries
from kis_estimator.store.supabase_blobs import SupabaseBlobs
from kis_estimator.web import metrics
from kis_estimator.web.auth import Authenticator, installation_secret
from kis_estimator.web.events import EventWatch
from kis_estimator.web.services import Services

SCRATCH = "KIS_SCRATCH"
"""The variable by which a supervisor tells a worker where runs keep their files."""

_LOCKED_SEC = 10  # how long a worker that is frozen in a transaction keeps others from its quote
_READERS = 2


# ---------------------------------------------------------------- the database


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Connection strings: of the login, and of a connection that can listen.

    Nothing of a session lasts where the login's is a `transaction_pooler`; without `session` there
    is no other. `server` is the embedded one.
    """

    login: str = field(repr=False)
    session: str | None = field(repr=False)
    transaction_pooler: bool = False
    server: EmbeddedPostgres | None = None

    @property
    def queue(self) -> str:
        """The connection of a worker to the queue."""
        return self.session or self.login


@contextmanager
def reached(settings: Settings) -> Iterator[Addresses]:
    """Lend the addresses of the database; the embedded server runs as long as anybody has them.

    Raises SETTING_FORMAT for a direct connection that is none: nobody would ever hear a notice.
    """
    if settings.database_url is None:
        with EmbeddedPostgres(settings.home / "postgres") as server:
            login = server.dsn("kis_api")
            yield Addresses(login=login, session=login, server=server)
        return
    if settings.direct_url is not None and pools_transactions(settings.direct_url):
        raise KisError.of(
            "SETTING_FORMAT", name="SUPABASE_DIRECT_URL", expected="postgresql://…:5432/…"
        )
    login, pooled = settings.database_url, settings.transaction_pooler
    if pooled is None:
        pooled = pools_transactions(login)
    session = settings.direct_url or (None if pooled else login)
    yield Addresses(login=login, session=session, transaction_pooler=pooled)


def prepare_database(
    settings: Settings, addresses: Addresses, emit: Callable[[Migration], None] = lambda _: None
) -> None:
    """Make the database ready for this release: schema, price book, the local organisation.

    The schema of an external database is its owner's business: raises DATABASE_BEHIND.
    """
    if addresses.server is not None:
        migrate(addresses.server.dsn("postgres"), migrations_folder(), emit=emit)
    with Database(
        addresses.login,
        pool_size=1,
        max_overflow=0,
        timeout_sec=settings.pool_timeout_sec,
        transaction_pooler=addresses.transaction_pooler,
    ) as database:
        require_schema(database)
        with database.service() as conn:
            add_program_version(conn, load_engine())
        if settings.local_storage:
            with database.tenant(local_principal(settings.home, "admin")) as conn:
                estimates.ensure_caller(conn)


def require_schema(database: Database) -> None:
    """Raise DATABASE_BEHIND where the schema is older than this release."""
    newest = max(path.name.partition("_")[0] for path in migrations_folder().glob("*.sql"))
    with database.service() as conn:
        known = conn.execute(
            "select to_regproc('shared.health_check_detailed') is not null as known"
        ).fetchone()
        applied = queries().health(conn)["migration"] if known and known["known"] else ""
    if applied < newest:
        raise KisError.of("DATABASE_BEHIND", newest=newest)


# ---------------------------------------------------------------- files and callers


def blobs_of(settings: Settings) -> Blobs:
    """Return where files are kept: a folder of the installation, or Supabase Storage."""
    if settings.supabase_url is None:
        secret = installation_secret(settings.home, "links")
        folder = settings.home / "blobs"
        return LocalBlobs(folder, secret, "", metrics.observe_storage)
    return SupabaseBlobs(
        settings.supabase_url,
        settings.service_role_key or "",
        settings.bucket,
        observe=metrics.observe_storage,
    )


def local_secret(settings: Settings) -> bytes:
    """Return what tokens of `kis token` are signed with. Raises TOKENS_ELSEWHERE."""
    if settings.supabase_url is not None:
        raise KisError.of("TOKENS_ELSEWHERE")
    if settings.jwt_secret is not None:
        return settings.jwt_secret.encode()
    return installation_secret(settings.home, "tokens")


def local_principal(home: Path, role: Role) -> Principal:
    """Return the local organisation's member of a role; the same one each time."""
    file = home / "organisation"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not file.exists():
        draft = home / f"organisation.{os.getpid()}"
        draft.write_text(str(uuid4()), encoding="ascii")
        try:
            file.hardlink_to(draft)
        except FileExistsError:
            pass  # another process was faster
        finally:
            draft.unlink()
    org_id = UUID(file.read_text(encoding="ascii"))
    return Principal(org_id=org_id, user_id=uuid5(org_id, role), role=role)


def _authenticator(settings: Settings) -> Authenticator:
    if settings.supabase_url is not None:
        return Authenticator.supabase(settings.supabase_url, settings.jwt_secret)
    return Authenticator.local(local_secret(settings))


# ---------------------------------------------------------------- the processes


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one run may take, in time and address space; 200 large panels take half of either.

    `read_bytes` is for a child that only reads what a stranger sends.
    """

    run_sec: float = 180
    run_bytes: int = 4 << 30
    read_bytes: int = 2 << 30


LIMITS = Limits()


@contextmanager
def api_services(settings: Settings, addresses: Addresses) -> Iterator[Services]:
    """Lend what the API works with."""
    readers = Children.start(_READERS, LIMITS.read_bytes, "kis_estimator.service.pricebook_import")
    with (
        closing(readers),
        Database(
            addresses.login,
            pool_size=settings.pool_size,
            max_overflow=settings.max_overflow,
            timeout_sec=settings.pool_timeout_sec,
            transaction_pooler=addresses.transaction_pooler,
        ) as database,
        closing(blobs_of(settings)) as blobs,
    ):
        watch = EventWatch(database, addresses.session)
        yield Services(
            database=database,
            blobs=blobs,
            books=PriceBooks(load_engine()),
            readers=readers,
            watch=watch,
            authenticator=_authenticator(settings),
            signed_url_ttl_sec=settings.signed_url_ttl_sec,
            heartbeat_sec=settings.heartbeat_sec,
            public_keys=_public_keys(settings),
            samples=(lambda: metrics.pool_sample(database.stats()), lambda: _queue(database)),
            hooks=(watch.running,),
        )


@contextmanager
def workshop(
    settings: Settings, addresses: Addresses, processes: int, limits: Limits = LIMITS
) -> Iterator[Workshop]:
    """Lend what a worker works with."""
    company, seal = company_of(settings.home)
    scratch = os.environ.get(SCRATCH)
    children = Children.start(processes, limits.run_bytes, "kis_estimator.service.runner")
    with (
        closing(children),
        Database(
            addresses.login,
            pool_size=processes + 2,
            max_overflow=0,
            timeout_sec=settings.pool_timeout_sec,
            statement_sec=_LOCKED_SEC,
            transaction_pooler=addresses.transaction_pooler,
        ) as database,
        closing(blobs_of(settings)) as blobs,
    ):
        require_schema(database)
        yield Workshop(
            database=database,
            blobs=blobs,
            books=PriceBooks(load_engine()),
            runner=Runner(
                children, limits.run_sec, settings.signing_key, Path(scratch) if scratch else None
            ),
            company=company,
            seal=seal,
            production=settings.production,
            retention_days=settings.retention_days,
            finished=_count,
        )


def _public_keys(settings: Settings) -> tuple[Verifier, ...]:
    if settings.signing_key is None:
        return ()
    from kis_estimator.evidence.keys import load_signing_key  # noqa: PLC0415 - slow to load

    return (load_signing_key(settings.signing_key).public,)


def _queue(database: Database) -> Mapping[str, float]:
    with database.login() as conn:
        figures = queue.figures(conn)
    return {
        "kis_queue_jobs": float(figures["waiting"]),
        "kis_queue_oldest_seconds": float(figures["oldest_sec"]),
    }


def _count(status: str, gates: Iterable[Mapping[str, Any]]) -> None:
    metrics.FINISHED.labels(status).inc()
    for gate in gates:
        if gate["passed"] is False:
            metrics.GATE_FAILURES.labels(gate["stage"], gate["name"]).inc()
