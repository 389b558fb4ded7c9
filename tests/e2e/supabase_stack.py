"""A Supabase project on this machine: PostgreSQL 15, a transaction pooler, storage, Auth's keys.

Its roles are as narrow as the real ones: `postgres` owns the schema and is no superuser, `kis_api`
has a password, and the pooler asks for it on a port that tells nothing of what listens there.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import jwt
import psycopg
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from tests.e2e.live import KIS, Live, environment, serving
from tests.service.site import until
from tests.store.postgresql import debian_server, pgbouncer, run_in
from tests.store.storage_server import StorageServer

from kis_estimator.store.supabase_blobs import SupabaseBlobs

BUCKET = "evidence"
SIZE_LIMIT = 50 * 2**20
TYPES = (
    "application/json",
    "application/pdf",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/zip",
    "image/svg+xml",
    "image/vnd.dxf",
)
_SUPERUSER = "supabase_admin"
# What a project has: the owner may make roles and pass on those of requests, and no more.
_OWNER = """
create role postgres login createrole createdb bypassrls;
create database project owner postgres;
"""
_IN_PROJECT = """
grant anon, authenticated, service_role, pg_monitor to postgres;
grant all on schema public to postgres;
"""
_DAY_SEC = 86_400


@dataclass(frozen=True, kw_only=True)
class Project:
    """Where a project answers, and the hands of its operator."""

    folder: Path
    storage: StorageServer
    owner: str = field(repr=False)
    direct: str = field(repr=False)
    pooled: str = field(repr=False)
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    legacy_secret: str = field(repr=False)
    kid: str = "project-key"
    org_id: UUID = field(default_factory=uuid4)

    def settings(self, *, listening: bool) -> dict[str, str]:
        """Return the environment of a process that can listen to the database, or can't."""
        direct = {"SUPABASE_DIRECT_URL": self.direct} if listening else {}
        return direct | {
            "SUPABASE_URL": self.storage.url,
            "SUPABASE_SERVICE_ROLE_KEY": self.storage.service_key,
            "SUPABASE_JWT_SECRET": self.legacy_secret,
            "SUPABASE_DB_URL": self.pooled,
            "DB_TRANSACTION_POOLER": "true",
            "DB_POOL_TIMEOUT": "3",
            "DB_POOL_SIZE": "5",
            "SSE_HEARTBEAT_SEC": "1",
            "LANG": "en_US.UTF-8",
        }

    def claims(self, role: str, org_id: UUID | None = None) -> dict[str, object]:
        """Return the claims of a member's token."""
        return {
            "iss": f"{self.storage.url}/auth/v1",
            "aud": "authenticated",
            "sub": str(UUID(int=7)),
            "exp": int(time.time()) + _DAY_SEC,
            "role": "authenticated",
            "app_metadata": {"org_id": str(org_id or self.org_id), "role": role},
        }

    def token(self, role: str = "admin", org_id: UUID | None = None) -> str:
        """Return a token as the project's Auth gives it."""
        claims = self.claims(role, org_id)
        return jwt.encode(claims, self.key, "ES256", headers={"kid": self.kid})

    def client(self, url: str, role: str = "admin", org_id: UUID | None = None) -> httpx.Client:
        """Return a client of a replica for a member."""
        headers = {"authorization": f"Bearer {self.token(role, org_id)}"}
        return httpx.Client(base_url=url, headers=headers, timeout=60)

    def stop_database(self) -> None:
        """Stop the server, not the pooler."""
        run_in(self.folder, "pg_ctl", "-w", "-m", "fast", "stop")

    def start_database(self) -> None:
        """Start it again on its port."""
        run_in(self.folder, "pg_ctl", "-w", "-l", "log", "restart")

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Read as the owner."""
        with psycopg.connect(self.owner, autocommit=True) as conn:
            return conn.execute(query.encode(), values).fetchall()


@contextmanager
def empty_project(folder: Path) -> Iterator[Project]:
    """Run a project without a schema; it has its private bucket."""
    password, owner_password, legacy = (secrets.token_urlsafe(32) for _ in range(3))
    with (
        debian_server(folder / "server", _SUPERUSER) as url,
        StorageServer() as storage,
        pgbouncer(
            folder / "pooler", url, {"kis_api": password, "postgres": owner_password}, 8
        ) as pooler,
    ):
        _make_roles(url, owner_password)
        _require_passwords(folder / "server")
        address = url.rpartition("@")[2]
        key = ec.generate_private_key(ec.SECP256R1())
        project = Project(
            folder=folder / "server",
            storage=storage,
            owner=f"postgresql://postgres:{owner_password}@{address}/project",
            direct=f"postgresql://kis_api:{password}@{address}/project",
            pooled=f"postgresql://kis_api:{password}@{pooler.rpartition('@')[2]}/project",
            key=key,
            legacy_secret=legacy,
        )
        public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        storage.jwks = {"keys": [public | {"kid": project.kid, "alg": "ES256", "use": "sig"}]}
        blobs = SupabaseBlobs(storage.url, storage.service_key, BUCKET)
        blobs.ensure_bucket(SIZE_LIMIT, TYPES)
        blobs.close()
        yield project


def _make_roles(url: str, owner_password: str) -> None:
    with psycopg.connect(f"{url}/postgres", autocommit=True) as conn:
        for statement in filter(str.strip, _OWNER.split(";")):
            conn.execute(statement.encode())
        conn.execute(f"alter role postgres password '{owner_password}'")
    with psycopg.connect(f"{url}/project", autocommit=True) as conn:
        conn.execute(files("kis_estimator.store").joinpath("embedded_roles.sql").read_bytes())
        conn.execute(_IN_PROJECT.encode())


def _require_passwords(folder: Path) -> None:
    """Let nobody in without a password but the project's administrator."""
    rules = f"host all {_SUPERUSER} 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
    (folder / "data/pg_hba.conf").write_text(rules, encoding="utf-8")
    run_in(folder, "pg_ctl", "reload")


@contextmanager
def project_in(folder: Path) -> Iterator[Project]:
    """Run a project as its operator sets it up (docs/database.md): schema, then the password."""
    with empty_project(folder) as project:
        password = project.pooled.partition("kis_api:")[2].partition("@")[0]
        subprocess.run(
            [*KIS, "db", "migrate"],
            check=True,
            capture_output=True,
            env=environment(
                folder / "operator",
                SUPABASE_DB_URL=project.pooled,
                SUPABASE_DIRECT_URL=project.owner,
            ),
        )
        with psycopg.connect(project.owner, autocommit=True) as conn:
            conn.execute(f"alter role kis_api password '{password}'")
        yield project


# ---------------------------------------------------------------- its replicas


@dataclass(frozen=True)
class Worker:
    """A running `kis worker`."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self, event: str) -> list[dict[str, object]]:
        """Return the lines of its log about an event."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        told = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in told if line.get("event") == event]

    def works(self) -> bool:
        """Whether it has begun to look for jobs."""
        assert self.process.poll() is None, self.log.read_text(encoding="utf-8")[-4000:]
        return bool(self.said("working"))

    def stop(self) -> None:
        """Stop it as an operator does."""
        self.process.terminate()
        assert self.process.wait(60) == 0, self.log.read_text(encoding="utf-8")[-4000:]


def start_worker(project: Project, home: Path, *, listening: bool) -> Worker:
    """Start a worker of another host: nothing but the project is shared."""
    home.mkdir(parents=True, exist_ok=True)
    log = home.parent / f"{home.name}.log"
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [*KIS, "worker", "--workers", "1"],
            stderr=errors,
            env=environment(home, **project.settings(listening=listening)),
        )
    return Worker(process, log)


@dataclass
class Replicas:
    """Two APIs and two workers: those called A can listen to the database, those called B poll."""

    project: Project
    homes: Path
    a: Live
    b: Live
    worker_a: Worker
    worker_b: Worker

    def start_worker(self, name: str) -> Worker:
        """Start a worker, and wait until it works."""
        worker = start_worker(self.project, self.homes / f"worker-{name}", listening=name == "a")
        until(worker.works)
        return worker


@contextmanager
def replicas_of(project: Project, homes: Path) -> Iterator[Replicas]:
    """Run the replicas of a project until the end of the block."""
    for name in "ab":
        (homes / name).mkdir()
    workers = [start_worker(project, homes / f"worker-{n}", listening=n == "a") for n in "ab"]
    try:
        with ExitStack() as stack, ThreadPoolExecutor(2) as pool:  # both start at once

            def serve(name: str) -> Live:
                settings = project.settings(listening=name == "a")
                return stack.enter_context(serving(homes / name / "home", 0, 0, **settings))

            a, b = pool.map(serve, "ab")
            replicas = Replicas(project, homes, a, b, *workers)
            yield replicas
            workers += [replicas.worker_a, replicas.worker_b]
            for worker in (replicas.worker_a, replicas.worker_b):
                worker.stop()
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.wait()
