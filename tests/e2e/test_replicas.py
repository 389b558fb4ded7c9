"""Several hosts on one Supabase project: two APIs and two workers that share nothing else.

Replica A can listen to the database, replica B only polls. What each does alone is asked of each.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.e2e.live import Sent, follow
from tests.e2e.supabase_stack import BUCKET, Project, Replicas, project_in, replicas_of
from tests.e2e.test_serve import kis
from tests.e2e.test_service import REQUEST, WAIT, ordered
from tests.service.site import schedule, until
from tests.store.storage_server import Reply

PANELS = 12


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with project_in(tmp_path_factory.mktemp("project")) as project:
        yield project


@pytest.fixture(scope="session")
def replicas(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    with replicas_of(project, tmp_path_factory.mktemp("hosts")) as replicas:
        yield replicas


@pytest.fixture
def a(replicas: Replicas) -> Iterator[httpx.Client]:
    with replicas.project.client(replicas.a.url) as client:
        yield client


@pytest.fixture
def b(replicas: Replicas) -> Iterator[httpx.Client]:
    with replicas.project.client(replicas.b.url) as client:
        yield client


def is_ready(client: httpx.Client) -> bool:
    response = client.get("/readyz")
    assert set(response.json()) == {"status", "db", "storage", "ts", "traceId"}
    return response.status_code == 200


def is_whole(client: httpx.Client, estimate_id: str) -> bool:
    """Whether an estimate is done; never failed."""
    status = client.get(f"/v1/estimate/{estimate_id}").json()["status"]
    assert status != "failed"
    return bool(status == "completed")


def big_order(client: httpx.Client) -> str:
    response = client.post("/v1/estimate", json=json.loads(schedule(PANELS)))
    assert response.status_code == 201, response.text
    estimate_id: str = response.json()["id"]
    return estimate_id


# ---------------------------------------------------------------- who calls


def forged(project: Project, secret: bytes) -> str:
    """Return a token with a public key as its HMAC secret, which no library would make."""
    head = {"alg": "HS256", "typ": "JWT", "kid": project.kid}
    parts = [json.dumps(part).encode() for part in (head, project.claims("admin"))]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = hmac.new(secret, signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def test_the_projects_tokens_open_both_replicas(a: httpx.Client, b: httpx.Client) -> None:
    for client in (a, b):
        assert client.get("/v1/estimate").status_code == 200


def test_the_legacy_secret_signs_too(replicas: Replicas) -> None:
    project = replicas.project
    token = jwt.encode(project.claims("viewer"), project.legacy_secret, "HS256")
    answer = httpx.get(
        f"{replicas.a.url}/v1/estimate", headers={"authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 200


def test_a_public_key_is_no_secret(replicas: Replicas) -> None:
    project = replicas.project
    public = project.key.public_key()
    secrets = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(project.storage.jwks["keys"][0]).encode(),
    ]
    for url in (replicas.a.url, replicas.b.url):
        for secret in secrets:
            headers = {"authorization": f"Bearer {forged(project, secret)}"}
            refused = httpx.get(f"{url}/v1/estimate", headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (401, "TOKEN_INVALID")


def test_another_organisation_sees_nothing_on_any_replica(
    replicas: Replicas, a: httpx.Client
) -> None:
    made = ordered(a)
    for url in (replicas.a.url, replicas.b.url):
        with replicas.project.client(url, org_id=uuid4()) as stranger:
            assert stranger.get(f"/v1/estimate/{made['id']}").status_code == 404
            assert stranger.get("/v1/estimate").json()["total"] == 0


# ---------------------------------------------------------------- one service on several hosts


def test_one_worker_listens_and_the_other_polls(replicas: Replicas) -> None:
    workers = (replicas.worker_a, replicas.worker_b)
    assert [worker.said("working")[0]["listen"] for worker in workers] == [True, False]
    listeners = replicas.project.rows(
        "select application_name from pg_stat_activity where query = 'listen kis_events'"
    )
    assert listeners == [("kis events",)]  # of API A; B has no connection that could


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_a_stream_goes_on_at_another_replica(a: httpx.Client, b: httpx.Client, order: str) -> None:
    first, second = (a, b) if order == "ab" else (b, a)
    estimate_id = big_order(first)
    seen = list(islice(follow(first, estimate_id), 5))
    seen += follow(second, estimate_id, seen[-1].id)
    whole = list(follow(first, estimate_id))
    assert seqs(seen) == sorted(set(seqs(seen)))
    assert seqs(stored(seen)) == seqs(whole)
    assert whole[-1].event == "DONE"
    assert whole[-1].data["result"]["status"] == "completed"


def stored(messages: list[Sent]) -> list[Sent]:
    return [sent for sent in messages if sent.event != "HEARTBEAT"]


def seqs(messages: list[Sent]) -> list[int]:
    return [sent.seq for sent in messages]


def test_equal_calls_at_both_replicas_make_one_estimate(a: httpx.Client, b: httpx.Client) -> None:
    before = a.get("/v1/estimate").json()["total"]
    key = {"idempotency-key": str(uuid4())}

    def order(number: int) -> tuple[int, str]:
        response = (a, b)[number % 2].post("/v1/estimate", json=REQUEST, headers=key)
        return response.status_code, response.text

    with ThreadPoolExecutor(20) as pool:
        answers = set(pool.map(order, range(20)))
    assert [status for status, _ in answers] == [201]
    assert b.get("/v1/estimate").json()["total"] == before + 1


def test_links_lead_to_the_storage(replicas: Replicas, a: httpx.Client, b: httpx.Client) -> None:
    made = ordered(a, **WAIT)
    assert made["status"] == "completed"
    listed = b.get("/v1/documents", params={"estimateId": made["id"]}).json()["items"]
    assert {item["kind"] for item in listed} == {"xlsx", "pdf", "svg", "dxf", "json"}
    storage = replicas.project.storage
    for item in listed:
        assert item["url"].startswith(f"{storage.url}/storage/v1/object/sign/{BUCKET}/")
        file = httpx.get(item["url"])  # without a token, and without the project's key
        assert file.status_code == 200
        assert hashlib.sha256(file.content).hexdigest() == item["sha256"]
        assert file.headers["content-disposition"].startswith("attachment")
    pack = b.get(made["evidenceUrl"])
    assert pack.headers["content-type"] == "application/zip"


def test_nothing_in_the_logs_is_a_secret(replicas: Replicas, a: httpx.Client) -> None:
    assert is_ready(a)
    project = replicas.project
    passwords = {httpx.URL(url).password for url in (project.direct, project.owner)}
    secrets = {project.legacy_secret, project.storage.service_key, project.token(), *passwords}
    logs = [path.read_text(encoding="utf-8") for path in replicas.homes.rglob("*.log")]
    assert len(logs) == 4
    assert not [secret for secret in secrets if any(secret in log for log in logs)]


# ---------------------------------------------------------------- what goes away and comes back


def test_a_worker_takes_over_from_one_that_was_killed(replicas: Replicas, a: httpx.Client) -> None:
    replicas.worker_b.stop()
    estimate_id = big_order(a)
    project = replicas.project
    until(lambda: bool(project.rows(RUNNING, UUID(estimate_id))))
    replicas.worker_a.process.kill()
    assert not is_whole(a, estimate_id)
    replicas.worker_b = replicas.start_worker("b")
    until(lambda: is_whole(a, estimate_id))
    assert replicas.worker_b.said("job of a dead worker")
    events = list(follow(a, estimate_id))
    assert [sent.event for sent in events].count("DONE") == 1
    replicas.worker_a = replicas.start_worker("a")


RUNNING = """
select from estimator.estimate_events
  where quote_id = %s and data ->> 'stage' = 'enclosure' limit 1
"""


def test_the_database_is_restarted(replicas: Replicas, a: httpx.Client, b: httpx.Client) -> None:
    estimate_id = big_order(a)
    replicas.project.stop_database()
    try:
        for client in (a, b):
            refused = client.get("/v1/estimate")
            assert refused.status_code == 503
            error = refused.json()
            assert error["code"] == "DATABASE_UNAVAILABLE"
            assert set(error) == {"code", "message", "hint", "traceId", "meta"}
            until(lambda client=client: not is_ready(client))  # type: ignore[misc]  # bound now
            assert client.get("/readyz").json()["db"] == "unavailable"
            assert client.get("/healthz").status_code == 200
    finally:
        replicas.project.start_database()
    for client in (a, b):
        until(lambda client=client: is_ready(client))  # type: ignore[misc]  # bound now
        until(lambda client=client: client.get("/v1/estimate").status_code == 200)  # type: ignore[misc]
    until(lambda: is_whole(b, estimate_id))
    for client in (a, b):
        assert ordered(client, **WAIT)["status"] == "completed"


def test_estimates_wait_for_the_storage(
    replicas: Replicas, a: httpx.Client, b: httpx.Client
) -> None:
    storage, org_id = replicas.project.storage, str(replicas.project.org_id)
    storage.fail(Reply(503, b"<html>"))
    try:
        estimate_id = ordered(a)["id"]
        for client in (a, b):
            until(lambda client=client: not is_ready(client))  # type: ignore[misc]  # bound now
            ready = client.get("/readyz").json()
            assert (ready["db"], ready["storage"]) == ("ok", "unavailable")
        until(lambda: any(org_id in request.path for request in storage.requests))
        assert not is_whole(a, estimate_id)
    finally:
        storage.recover()
    until(lambda: is_whole(b, estimate_id))
    until(lambda: is_ready(a) and is_ready(b))


def test_a_missing_bucket_is_named_in_the_log(replicas: Replicas, a: httpx.Client) -> None:
    made = ordered(a, **WAIT)
    storage = replicas.project.storage
    buckets = storage.buckets
    storage.buckets = {}
    try:
        until(lambda: not is_ready(a))
        refused = a.get("/v1/documents", params={"estimateId": made["id"]})
        assert (refused.status_code, refused.json()["code"]) == (503, "STORAGE_BUCKET")
    finally:
        storage.buckets = buckets
    log = (replicas.homes / "a/serve.log").read_text(encoding="utf-8")
    assert f"The storage has no bucket {BUCKET}. Check STORAGE_BUCKET" in log
    until(lambda: is_ready(a))


# ---------------------------------------------------------------- what a replica refuses


def test_a_direct_address_that_pools_is_refused(project: Project, tmp_path: Path) -> None:
    settings = project.settings(listening=False) | {
        "SUPABASE_DIRECT_URL": "postgresql://kis_api:secret-word@127.0.0.1:6543/project"
    }
    refused = kis(tmp_path, "serve", "--port", "0", **settings)
    assert refused.returncode == 2
    assert "SUPABASE_DIRECT_URL" in refused.stderr
    assert "secret-word" not in refused.stderr


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["worker"]])
def test_a_project_without_the_schema_is_refused(
    project: Project, tmp_path: Path, command: list[str]
) -> None:
    settings = project.settings(listening=False)
    settings["SUPABASE_DB_URL"] = project.pooled.replace("/project", "/postgres")
    refused = kis(tmp_path, *command, **settings)
    assert refused.returncode == 3
    assert "kis db migrate" in refused.stderr
