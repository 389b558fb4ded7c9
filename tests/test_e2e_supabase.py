"""The seven checks of a Supabase project in the release checklist.

They run against the live project that SUPABASE_URL, SUPABASE_SERVICE_ROLE_KEY and SUPABASE_DB_URL
name (`live` in the test's id; KIS_API_URL names a deployed API for the last check), otherwise
against a project on this machine (`stand-in`). Nothing is left behind, and no secret is told: what
goes wrong outside this file is told by its message alone, since a traceback shows arguments.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from tests.e2e.supabase_stack import project_in

from kis_estimator.assembly import Addresses, api_services, blobs_of, reached
from kis_estimator.errors import KisError
from kis_estimator.settings import Settings, require_service_settings
from kis_estimator.store.blobs import blob_key
from kis_estimator.store.db import Database, Principal
from kis_estimator.store.migrate import migrations_folder
from kis_estimator.store.sql import queries
from kis_estimator.web.app import create_app

pytestmark = pytest.mark.smoke

NEEDED = ("SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_DB_URL")
WHERE = "live" if all(map(os.environ.get, NEEDED)) else "stand-in"
SKEW = timedelta(minutes=2)


@contextmanager
def quiet() -> Iterator[None]:
    """Tell an error of a library by its message."""
    try:
        yield
    except (KisError, httpx.HTTPError, psycopg.Error) as error:
        told = f"{type(error).__name__}: {error}"
        if isinstance(error, KisError):
            told = "\n".join(notice.explained("en-US") for notice in error.notices)
        raise pytest.fail.Exception(told, pytrace=False) from None


def quietly(test: Callable[..., None]) -> Callable[..., None]:
    """Run a check in quiet."""

    @functools.wraps(test)
    def told(**fixtures: object) -> None:
        with quiet():
            test(**fixtures)

    return told


@dataclass(frozen=True)
class Checked:
    """The project as the service sees it."""

    settings: Settings
    addresses: Addresses
    database: Database

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask the storage's REST interface."""
        return httpx.get(f"{self.settings.supabase_url}/storage/v1{path}", headers=headers)

    def key(self) -> dict[str, str]:
        """Return the headers of the project's secret key."""
        key = self.settings.service_role_key or ""
        newer = key.startswith("sb_")  # which is no token
        return {"apikey": key} | ({} if newer else {"authorization": f"Bearer {key}"})


@pytest.fixture(scope="session", params=[WHERE])
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checked]:
    environ = {"KIS_HOME": str(tmp_path_factory.mktemp("home"))}
    with ExitStack() as stack:
        if WHERE == "live":
            environ |= os.environ
        else:
            made = stack.enter_context(project_in(tmp_path_factory.mktemp("project")))
            environ |= made.settings(listening=False)
        with quiet():
            settings = require_service_settings(environ)
            addresses = stack.enter_context(reached(settings))
            pooled = addresses.transaction_pooler
            database = Database(
                addresses.login, pool_size=1, timeout_sec=10, transaction_pooler=pooled
            )
            stack.enter_context(database)
        yield Checked(settings, addresses, database)


def health(project: Checked) -> dict[str, object]:
    with project.database.service() as conn:
        found: dict[str, object] = queries().health(conn)
    return found


@quietly
def test_1_the_database_answers(project: Checked) -> None:
    project.database.ping(10)


@quietly
def test_2_its_time_is_utc(project: Checked) -> None:
    told = health(project)
    assert told["timeZone"] == "UTC"
    assert abs(datetime.fromisoformat(str(told["ts"])) - datetime.now(UTC)) < SKEW


@quietly
def test_3_what_is_uploaded_is_downloaded(project: Checked) -> None:
    data = b'{"check": "' + secrets.token_hex(50_000).encode() + b'"}'
    sha256 = hashlib.sha256(data).hexdigest()
    key = blob_key(uuid4(), sha256)
    with closing(blobs_of(project.settings)) as blobs:
        try:
            blobs.put(key, data, "application/json")
            assert hashlib.sha256(blobs.get(key)).hexdigest() == sha256
            link = httpx.get(blobs.sign(key, 60, "check.json"))
            assert link.status_code == httpx.codes.OK
            assert hashlib.sha256(link.content).hexdigest() == sha256
        finally:
            blobs.delete([key])
        with pytest.raises(KisError) as gone:
            blobs.get(key)
    assert gone.value.notices[0].code == "STORAGE_MISSING"


class Undone(Exception):  # noqa: N818 - how a transaction ends that leaves nothing
    """Rolls back."""


@quietly
def test_4_evidence_is_kept_apart(project: Checked) -> None:
    """Write as the service does, read as two organisations, and take it all back."""
    owner, stranger = (Principal(uuid4(), uuid4(), "admin") for _ in range(2))
    become = "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)"
    seen = []
    with pytest.raises(Undone), project.database.service() as conn:  # noqa: PT012 - it rolls back
        conn.execute(
            "insert into shared.organisations (id, name) values (%s, 'check')", (owner.org_id,)
        )
        conn.execute(
            "insert into estimator.evidence_blobs (org_id, sha256, size_bytes, media_type)"
            " values (%s, %s, 1, 'application/json')",
            (owner.org_id, hashlib.sha256(b"1").hexdigest()),
        )
        for caller in (owner, stranger):
            conn.execute(become, ("authenticated", caller.claims()))
            seen.append(conn.execute("select org_id from estimator.evidence_blobs").fetchall())
        raise Undone
    assert seen == [[{"org_id": owner.org_id}], []]


@quietly
def test_5_the_bucket_is_private(project: Checked) -> None:
    bucket = project.settings.bucket
    found = project.get(f"/bucket/{bucket}", **project.key())
    assert found.status_code == httpx.codes.OK
    assert found.json()["public"] is False
    data = b'{"check": 5}'
    key = blob_key(uuid4(), hashlib.sha256(data).hexdigest())
    with closing(blobs_of(project.settings)) as blobs:
        try:
            blobs.put(key, data, "application/json")
            for path in (f"/object/public/{bucket}/{key}", f"/object/{bucket}/{key}"):
                refused = project.get(path)
                assert refused.is_client_error
                assert data not in refused.content
        finally:
            blobs.delete([key])


@quietly
def test_6_the_schema_is_whole(project: Checked) -> None:
    told = health(project)
    newest = max(path.name.partition("_")[0] for path in migrations_folder().glob("*.sql"))
    assert (told["status"], told["migration"]) == ("ok", newest)
    assert told["unprotectedTables"] == []


async def asked(app: FastAPI, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        return await client.get(path)


@quietly
def test_7_the_service_is_ready(project: Checked) -> None:
    """Ask the deployed API, or this checkout's on the same project."""
    deployed = os.environ.get("KIS_API_URL") if WHERE == "live" else None
    if deployed:
        answer = httpx.get(f"{deployed.rstrip('/')}/readyz", timeout=30)
    else:
        with api_services(project.settings, project.addresses) as services:
            answer = asyncio.run(asked(create_app(project.settings, services), "/readyz"))
    told = answer.json()
    assert (answer.status_code, told["status"]) == (httpx.codes.OK, "ok")
    assert (told["db"], told["storage"]) == ("ok", "ok")
    assert told["traceId"]
