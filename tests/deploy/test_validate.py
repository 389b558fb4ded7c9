"""Step 7 against a real service on the stand-in project: checks that pass, fail, are not run."""

import hashlib
import io
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest
from tests.deploy.auth_server import Auth
from tests.deploy.stand_in import ROOT, config_of, storage_config, storage_settings
from tests.e2e.live import Live
from tests.e2e.supabase_stack import BUCKET, Project
from tests.store.postgresql import free_port
from tests.store.storage_server import StorageServer

from kis_deploy.config import Config
from kis_deploy.problems import DeployError
from kis_deploy.smoke import _check_gates, check_pack, smoke_estimate
from kis_deploy.tokens import SMOKE_ORG, member_token
from kis_deploy.validate import Check, Limits, _Load, evidence_upload, validate
from kis_estimator import __version__

NAMES = [
    "/healthz",
    "/readyz",
    "status",
    "db",
    "storage",
    "traceId",
    "openapi",
    "evidence upload",
    "smoke estimate",
    "p95",
    "error rate",
]
SHA256 = hashlib.sha256((ROOT / "openapi.yaml").read_bytes()).hexdigest()
PATIENT = Limits(requests=12, p95_ms=60_000)


def unpassed(checks: list[Check]) -> dict[str, bool | None]:
    return {check.name: check.passed for check in checks if check.passed is not True}


@pytest.fixture
def auth(project: Project) -> Iterator[Auth]:
    """The project's authentication, where no secret of tokens is known."""
    project.storage.auth = made = Auth(project)
    yield made
    project.storage.auth = None


def signing_in(project: Project) -> Config:
    return config_of(project, SUPABASE_JWT_SECRET="")


# ---------------------------------------------------------------- all of it


def test_a_sound_service_passes_every_check(project: Project, on_project: Live) -> None:
    said: list[str] = []
    config, limits = config_of(project), Limits(p95_ms=60_000)
    checks = validate(
        on_project.url, SHA256, config, said.append, version=__version__, limits=limits
    )
    assert [check.name for check in checks] == NAMES
    assert unpassed(checks) == {}
    values = {check.name: check.value for check in checks}
    assert values["/healthz"] == f"200, version {__version__}"
    assert values["openapi"] == SHA256
    assert values["error rate"] == "0.00 % of 200 requests"
    assert said[-1] == "200 requests, 4 at a time"
    assert not [s for s in config.secrets for text in (*said, *map(str, checks)) if s in text]
    [(quarantined,)] = project.rows(
        "select quarantined from shared.organisations where id = %s", SMOKE_ORG
    )
    assert quarantined is True
    assert [key for _, key in project.storage.objects if key.startswith("probe/")] == []


def test_each_wrong_figure_fails_its_own_check(project: Project, on_project: Live) -> None:
    checks = validate(
        on_project.url,
        "0" * 64,
        config_of(project),
        version="99.0.0",
        limits=Limits(requests=6, p95_ms=0, error_pct=0),
    )
    assert [check.name for check in checks] == NAMES
    wrong = ("/healthz", "openapi", "p95", "error rate")
    assert unpassed(checks) == dict.fromkeys(wrong, False)


def test_nothing_passes_where_nobody_answers(project: Project) -> None:
    checks = validate(f"http://127.0.0.1:{free_port()}", SHA256, config_of(project), limits=PATIENT)
    assert [check.name for check in checks] == NAMES
    assert [check.name for check in checks if check.passed] == ["evidence upload"]
    assert {check.name for check in checks if check.passed is None} == {
        "status",
        "db",
        "storage",
        "traceId",
        "p95",
    }


def test_without_a_release_its_contract_is_not_run(project: Project, on_project: Live) -> None:
    checks = validate(on_project.url, None, config_of(project), limits=PATIENT)
    assert unpassed(checks) == {"openapi": None}


def test_requests_that_fail_are_counted(project: Project, on_project: Live) -> None:
    with member_token(config_of(project)) as token:
        load = _Load(on_project.url, token, str(uuid4()), 0, request_sec=60)
        p95, errors = load.checks(Limits(requests=9, p95_ms=60_000, error_pct=34))
        assert (p95.passed, errors.passed) == (True, True)
        assert errors.value == "33.33 % of 9 requests"
        again = _Load(on_project.url, token, str(uuid4()), 0, request_sec=60)
        p95, errors = again.checks(Limits(requests=90, p95_ms=60_000))
    assert (p95.passed, errors.passed) == (None, False), "one is too many: it ends there"
    assert len(again.results) < 90


# ---------------------------------------------------------------- users of the smoke test


def test_without_a_secret_a_user_is_made_signed_in_and_deleted(
    project: Project, on_project: Live, auth: Auth
) -> None:
    with member_token(signing_in(project)) as token:
        [user] = auth.users.values()
        assert user["app_metadata"] == {
            "org_id": str(SMOKE_ORG),
            "role": "estimator",
            "quarantined": True,
        }
        headers = {"authorization": f"Bearer {token}"}
        answer = httpx.get(f"{on_project.url}/v1/estimate", headers=headers, timeout=60)
        assert answer.status_code == 200
    assert auth.users == {}


def test_a_user_who_cannot_sign_in_is_deleted_and_told(
    project: Project, on_project: Live, auth: Auth
) -> None:
    auth.email_enabled = False
    checks = validate(on_project.url, SHA256, signing_in(project), limits=PATIENT)
    assert auth.users == {}
    told = {"smoke user": False, "smoke estimate": None, "p95": None, "error rate": None}
    assert unpassed(checks) == told


def test_a_user_who_cannot_be_deleted_is_told(
    project: Project, on_project: Live, auth: Auth
) -> None:
    auth.keeps_users = True
    checks = validate(on_project.url, SHA256, signing_in(project), limits=PATIENT)
    assert unpassed(checks) == {"smoke user": False}
    [user] = auth.users.values()
    [check] = [check for check in checks if check.name == "smoke user"]
    assert user["email"] in check.detail
    assert user["password"] not in check.detail


# ---------------------------------------------------------------- the smoke estimate


def test_an_estimate_that_nobody_works_on_fails(project: Project, on_project: Live) -> None:
    with (
        member_token(config_of(project)) as token,
        pytest.raises(DeployError, match="still pending"),
    ):
        smoke_estimate(on_project.url, token, deadline_sec=0)


def test_a_refused_order_is_told_by_its_code(on_project: Live) -> None:
    with pytest.raises(DeployError, match="401 TOKEN_INVALID"):
        smoke_estimate(on_project.url, "no.valid.token")


@pytest.mark.parametrize(
    ("passed", "cause"), [(False, r"lint\.errors failed"), (None, r"lint\.errors was not run")]
)
def test_a_gate_that_did_not_pass_fails(passed: bool | None, cause: str) -> None:  # noqa: FBT001 - a gate's own shape
    good = {"stage": "breaker", "name": "clearance_violations", "passed": True}
    other = {"stage": "lint", "name": "errors", "passed": passed}
    with pytest.raises(DeployError, match=cause):
        _check_gates({"gates": [good, other], "findings": []})
    with pytest.raises(DeployError, match="none ran"):
        _check_gates({"gates": [], "findings": []})


def test_the_sample_price_book_alone_may_fail_the_cover() -> None:
    """As it has to in production, where the organisation of smoke tests has no other."""
    refused = {"stage": "cover", "name": "policy_violations", "passed": False}
    sample, other = (
        {"severity": "violation", "code": code} for code in ("COVER_SAMPLE", "COVER_PLACEHOLDER")
    )
    _check_gates({"gates": [refused], "findings": [sample]})
    for findings in ([], [other], [sample, other]):
        with pytest.raises(DeployError, match=r"cover\.policy_violations failed"):
            _check_gates({"gates": [refused], "findings": findings})


def pack_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as pack:
        for name, data in files.items():
            pack.writestr(name, data)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """The files of a sound pack."""
    made = {"manifest.json": b"{}", "evidence/a.json": b"[1]", "quotation.pdf": b"%PDF"}
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in made.items()]
    return made | {"SHA256SUMS": "".join(lines).encode()}


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"evidence/a.json": b"[2]"}, r"SHA256SUMS: evidence/a\.json"),
        ({"evidence/more.json": b""}, r"SHA256SUMS: evidence/more\.json"),
        ({"manifest.json": b"{ }"}, r"SHA256SUMS: manifest\.json"),
        ({"SHA256SUMS": b""}, "SHA256SUMS: evidence"),
        ({"SHA256SUMS": b"\xff"}, "damaged"),
        ({"quotation.pdf": None}, r"SHA256SUMS: quotation\.pdf"),
        ({"SHA256SUMS": None}, "damaged"),
    ],
)
def test_a_pack_that_was_touched_is_refused(
    files: dict[str, bytes], change: dict[str, bytes | None], cause: str
) -> None:
    evidence_sha = hashlib.sha256(files["manifest.json"]).hexdigest()
    assert check_pack(pack_of(files), evidence_sha) == 3
    touched = {n: data for n, data in (files | change).items() if data is not None}
    with pytest.raises(DeployError, match=cause):
        check_pack(pack_of(touched), evidence_sha)
    with pytest.raises(DeployError, match="evidenceSha"):
        check_pack(pack_of(files), "0" * 64)
    with pytest.raises(DeployError, match="damaged"):
        check_pack(pack_of(files)[:-9], evidence_sha)


# ---------------------------------------------------------------- evidence


@pytest.fixture
def storage() -> Iterator[StorageServer]:
    """A storage of the test's own, which nobody else asks for anything."""
    with StorageServer() as server:
        server.buckets[BUCKET] = {"file_size_limit": None, "allowed_mime_types": None}
        yield server


def test_evidence_is_read_back_and_deleted(storage: StorageServer) -> None:
    sent, read = evidence_upload(storage_config(storage))
    assert sent == read
    assert storage.objects == {}
    assert evidence_upload(storage_config(storage)) != (sent, read), "each time another"


def test_damaged_evidence_is_seen(storage: StorageServer) -> None:
    storage.work(1)
    storage.damage(1)
    sent, read = evidence_upload(storage_config(storage))
    assert sent != read
    assert storage.objects == {}


def upload_test(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-S", ROOT / "scripts/test_evidence_upload.py", *arguments],
        env={"PATH": "/usr/bin:/bin", "PYTHONUTF8": "1", **environment},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_upload_test_of_the_command_line(storage: StorageServer) -> None:
    settings = storage_settings(storage)
    done = upload_test("--env", "staging", **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert "SHA-256 match" in done.stdout
    mixed = upload_test("--env", "production", **settings)
    assert (mixed.returncode, mixed.stdout) == (2, "")
    assert "APP_ENV" in mixed.stderr
    missing = upload_test("--env", "staging", **settings | {"SUPABASE_SERVICE_ROLE_KEY": ""})
    assert missing.returncode == 2
    assert "SUPABASE_SERVICE_ROLE_KEY" in missing.stderr
    assert upload_test().returncode == 2
    storage.work(1)
    storage.damage(1)
    damaged = upload_test("--env", "staging", **settings)
    assert damaged.returncode == 1
    storage.fail("InternalError")
    failed = upload_test("--env", "staging", **settings)
    assert failed.returncode == 3
    told = "".join(run.stdout + run.stderr for run in (done, mixed, missing, damaged, failed))
    assert storage.service_key not in told
