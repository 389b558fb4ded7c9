"""Step 5: the bucket is made once, kept as it has to be, and closed to strangers."""

import json
import subprocess
from pathlib import Path
from shutil import copy

import pytest
from tests.deploy.stand_in import REF, ROOT, config_of, storage_config
from tests.e2e.supabase_stack import BUCKET, SIZE_LIMIT, TYPES, Project
from tests.store.storage_server import Reply, Request, StorageServer

from kis_deploy import web
from kis_deploy.problems import DeployError
from kis_deploy.runner import Runner
from kis_deploy.storage import MARKER, Bucket, ensure_bucket, read_marker


@pytest.fixture
def unmade(project: Project) -> Project:
    """The project before its first deployment."""
    project.storage.buckets.clear()
    project.storage.objects.clear()
    return project


def test_a_bucket_is_made_private_and_marked(unmade: Project) -> None:
    told = ensure_bucket(config_of(unmade))
    made = unmade.storage.buckets[BUCKET]
    assert made["public"] is False
    assert made["file_size_limit"] == SIZE_LIMIT
    assert sorted(made["allowed_mime_types"]) == sorted(TYPES)
    data, kind = unmade.storage.objects[BUCKET, MARKER]
    assert json.loads(data) == {"environment": "staging", "projectRef": ""}
    assert kind == "application/json"
    assert told == [
        "Bucket evidence made: private, 50 MiB a file, 6 media types",
        "Marked as the bucket of staging",
        "The public key can't list, read or upload",
    ]


def test_a_second_time_changes_nothing(unmade: Project) -> None:
    ensure_bucket(config_of(unmade))
    buckets, objects = dict(unmade.storage.buckets), dict(unmade.storage.objects)
    assert ensure_bucket(config_of(unmade))[:2] == [
        "Bucket evidence found: private, 50 MiB a file, 6 media types",
        "Is the bucket of staging",
    ]
    assert (unmade.storage.buckets, unmade.storage.objects) == (buckets, objects)


OTHERWISE = [
    ("public", True, "PUBLIC"),
    ("file_size_limit", None, "without a size limit"),
    ("file_size_limit", SIZE_LIMIT + 1, f"limited to {SIZE_LIMIT + 1} bytes a file"),
    ("allowed_mime_types", None, "open for every media type"),
    ("allowed_mime_types", ["text/html", "image/png"], "open for image/png, text/html"),
]


@pytest.mark.parametrize("bucket", ["marked", "empty"])
@pytest.mark.parametrize(("name", "value", "before"), OTHERWISE)
def test_an_own_bucket_is_brought_to_what_the_release_needs(
    unmade: Project, bucket: str, name: str, value: object, before: str
) -> None:
    config = config_of(unmade)
    ensure_bucket(config)
    if bucket == "empty":
        unmade.storage.objects.clear()
    wanted = dict(unmade.storage.buckets[BUCKET])
    unmade.storage.buckets[BUCKET][name] = value
    [change, found, _, closed] = ensure_bucket(config)
    assert change.startswith("Bucket evidence changed; it was ")
    assert before in change
    assert found == "Bucket evidence found: private, 50 MiB a file, 6 media types"
    assert closed.startswith("The public key can't")
    now = unmade.storage.buckets[BUCKET]
    assert [sorted(now.pop("allowed_mime_types")), now] == [
        sorted(wanted.pop("allowed_mime_types")),
        wanted,
    ]
    assert (BUCKET, MARKER) in unmade.storage.objects


@pytest.mark.parametrize("marker", [None, {"environment": "production", "projectRef": ""}])
@pytest.mark.parametrize(("name", "value", "before"), OTHERWISE)
def test_a_bucket_of_somebody_else_is_told_and_not_changed(
    unmade: Project, marker: dict[str, str] | None, name: str, value: object, before: str
) -> None:
    storage = unmade.storage
    ensure_bucket(config_of(unmade))
    storage.objects.clear()
    storage.objects[BUCKET, "photos/a.png"] = (b"a", "image/png")
    if marker is not None:
        storage.objects[BUCKET, MARKER] = (json.dumps(marker).encode(), "application/json")
    storage.buckets[BUCKET][name] = value
    then = dict(storage.buckets[BUCKET]), dict(storage.objects)
    cause = before if marker is None else "another installation"
    with pytest.raises(DeployError, match=cause):
        ensure_bucket(config_of(unmade))
    assert (storage.buckets[BUCKET], storage.objects) == then


def test_a_change_that_does_not_last_is_told(
    unmade: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(unmade)
    ensure_bucket(config)
    unmade.storage.buckets[BUCKET]["public"] = True
    monkeypatch.setattr(Bucket, "update", Bucket.settings)
    with pytest.raises(DeployError, match=r"still .*PUBLIC"):
        ensure_bucket(config)


def test_what_the_storage_is_asked_is_logged(unmade: Project, tmp_path: Path) -> None:
    config, runner = config_of(unmade), Runner()
    runner.open_log(tmp_path / "log")
    ensure_bucket(config, runner)
    runner.close()
    log = (tmp_path / "log").read_text(encoding="utf-8")
    for asked in ("POST {}/bucket: 200", "GET {}/bucket/evidence: 200", "POST {}/object/list/"):
        assert asked.format(unmade.storage.url.partition("://")[2] + "/storage/v1") in log
    assert not [secret for secret in config.secrets if secret in log]


@pytest.mark.parametrize(
    ("method", "path", "verb"),
    [
        ("POST", "/storage/v1/object/list/", "list"),
        ("GET", "/storage/v1/object/", "read"),
        ("POST", f"/storage/v1/object/{BUCKET}/", "upload to"),
    ],
)
def test_a_policy_that_lets_strangers_in_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch, method: str, path: str, verb: str
) -> None:
    real = project.storage._hidden

    def hidden(asked: Request) -> bool:
        opened = asked.method == method and asked.path.startswith(path)
        return real(asked) and not opened

    monkeypatch.setattr(project.storage, "_hidden", hidden)
    with pytest.raises(DeployError) as told:
        ensure_bucket(config_of(project))
    assert [problem.cause for problem in told.value.problems] == [
        f"lets everybody {verb} it with the public key"
    ]
    assert [key for _, key in project.storage.objects if key.startswith("probe/")] == []


@pytest.mark.parametrize(
    "other", [{"APP_ENV": "production"}, {"SUPABASE_PROJECT_REF": REF}], ids=["environment", "ref"]
)
def test_the_bucket_of_another_installation_is_refused(
    project: Project, other: dict[str, str]
) -> None:
    own = config_of(project, SUPABASE_PROJECT_REF="theirs")
    assert read_marker(own) is None
    ensure_bucket(own)
    assert read_marker(own) == {"environment": "staging", "projectRef": "theirs"}
    with pytest.raises(DeployError, match="another installation"):
        ensure_bucket(config_of(project, **other))


def test_a_refused_key_is_told_and_not_shown(project: Project) -> None:
    wrong = "sb_secret_wrong_wrong_wrong"
    with pytest.raises(DeployError, match="SUPABASE_SERVICE_ROLE_KEY: is refused") as told:
        ensure_bucket(config_of(project, SUPABASE_SERVICE_ROLE_KEY=wrong))
    assert wrong not in str(told.value)


def test_a_key_of_the_older_kind_is_a_token_too() -> None:
    key = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJl"
    with StorageServer(key) as storage:
        config = storage_config(storage)
        assert ensure_bucket(config)[0].startswith("Bucket evidence made")


@pytest.mark.parametrize("spoil", ["drop", "truncate", "broken", "moved", "large"])
def test_a_storage_that_fails_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    ensure_bucket(config_of(project))
    storage = project.storage
    match spoil:
        case "drop" | "truncate":
            getattr(storage, spoil)()
        case "broken":
            storage.fail("InternalError")
        case "moved":
            storage.fail(Reply(302, b"", {"location": "http://127.0.0.1:1/storage/v1"}))
        case "large":
            monkeypatch.setattr(web, "MAX_ANSWER", 20)
    with pytest.raises(DeployError, match=r"gives no whole answer|can't be looked at"):
        ensure_bucket(config_of(project))


def test_the_script_is_step_5(tmp_path: Path) -> None:
    (tmp_path / "ops/supabase").mkdir(parents=True)
    script = copy(ROOT / "ops/supabase/storage_init.sh", tmp_path / "ops/supabase")
    (tmp_path / "DEPLOYMENT_SCRIPT.sh").write_text('#!/bin/sh\necho "$@"\n', encoding="ascii")
    (tmp_path / "DEPLOYMENT_SCRIPT.sh").chmod(0o755)
    done = subprocess.run(
        ["bash", script, "--yes"], cwd="/", capture_output=True, text=True, check=True
    )
    assert done.stdout == "--step 5 --yes\n"
