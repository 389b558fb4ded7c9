"""Deployments on this machine: a first one, one under load, and releases that must not serve.

The tests build on each other in this order, as an operator's days do.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from tests.deploy.load import Load
from tests.deploy.site import Site, site_in

MORE = {"20270101000000_more.sql": "create table shared.more (id bigint primary key);\n"}
BROKEN = {
    "20270101000000_more.sql": MORE["20270101000000_more.sql"],
    "20270102000000_broken.sql": "create table shared.late (id bigint);\nselect 1 / 0;\n",
}
ORDER = {
    "customer": {"name": "한국전기"},
    "panels": [
        {
            "name": "LP-1",
            "breakers": [
                {"role": "main", "category": "MCCB", "poles": 4, "ratedCurrentA": 100},
                {
                    "role": "branch",
                    "category": "MCCB",
                    "poles": 2,
                    "ratedCurrentA": 20,
                    "quantity": 9,
                },
            ],
        }
    ],
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_in(tmp_path_factory.mktemp("site")) as made:
        yield made


def order(site: Site) -> str:
    """Order an estimate as a customer's program does, and wait until it is completed."""
    with site.project.client(site.url) as client:
        made = client.post("/v1/estimate", json=ORDER, headers={"prefer": "wait=50"})
        assert made.status_code == 201, made.text
        estimate_id = str(made.json()["id"])
        deadline = time.monotonic() + 90
        while (told := client.get(f"/v1/estimate/{estimate_id}").json())["status"] != "completed":
            assert time.monotonic() < deadline, told
            time.sleep(0.1)
    return estimate_id


def test_a_dry_run_changes_nothing(site: Site) -> None:
    told = site.script("--dry-run", cut=site.release("1.0.1"))
    assert told.returncode == 0, told.stdout + site.logs()
    assert "Dry run: nothing was changed" in told.stdout
    assert site.project.storage.buckets == {}
    assert not (site.folder / "host/releases").exists()
    assert site.project.rows("select 1 from pg_namespace where nspname = 'estimator'") == []


def test_a_first_deployment(site: Site) -> None:
    told = site.deploy(site.release("1.1.0"))
    assert "🎉 DEPLOYMENT SUCCESSFUL!" in told
    assert site.serving == "1.1.0"
    assert httpx.get(f"{site.url}/readyz").json()["status"] == "ok"
    assert site.project.storage.buckets["evidence"]["public"] is False
    report = site.report()
    assert [step["status"] for step in report["steps"]] == ["done"] * 8
    assert report["result"] == "successful"
    order(site)


def test_a_newer_one_under_load(site: Site) -> None:
    before = site.content()
    cut = site.release("1.2.0", migrations=MORE)
    with Load(site.url, token=site.project.token()) as load:
        told = site.deploy(cut)
    assert load.failures == []
    assert load.versions_seen == {"1.1.0", "1.2.0"}
    assert "Rehearsed on a copy of the database: migrations, then v1.2.0 and v1.1.0" in told
    assert site.migrations()[-1] == "20270101000000"
    assert site.content() == before
    assert not list(cut.rglob(".temp"))  # a release is never written to
    order(site)
    before_it = site.report()["figures"]["Snapshot"]
    done = site.script("--restore", before_it, "--yes")
    assert done.returncode == 1
    assert "ends with migration 20261130090000, and v1.2.0 needs 20270101000000" in done.stdout
    assert f"--rollback --to-tag v1.1.0 --snapshot {before_it}" in done.stdout
    assert site.migrations()[-1] == "20270101000000"


@pytest.mark.parametrize(
    ("version", "spoil", "migrations", "said"),
    [
        ("1.3.0", "broken_start", MORE, "this release cannot start"),
        ("1.5.0", None, BROKEN, "20270102000000_broken"),
    ],
)
def test_a_release_that_does_not_work_on_a_copy_touches_nothing(
    site: Site, version: str, spoil: object, migrations: dict[str, str], said: str
) -> None:
    before, applied = site.content(), site.migrations()
    cut = site.release(version, spoil=spoil, migrations=migrations)  # type: ignore[arg-type]
    with Load(site.url, token=site.project.token()) as load:
        told = site.deploy(cut, code=1)
    assert load.failures == []
    assert load.versions_seen == {"1.2.0"}
    assert said in told
    assert (site.serving, site.content(), site.migrations()) == ("1.2.0", before, applied)
    report = site.report()
    assert report["result"] == "failed"
    assert report["steps"][-1] | {"told": [], "seconds": 0} == {
        "number": 4,
        "name": "Snapshot, rehearsal and Database Migrations",
        "status": "failed",
        "seconds": 0,
        "told": [],
    }
    assert any(problem["what"] == "Rehearsal" for problem in report["problems"])


def test_a_colour_that_does_not_get_ready_is_stopped_again(site: Site) -> None:
    cut = site.release("1.4.0", "failing_readyz", MORE)
    with Load(site.url, token=site.project.token()) as load:
        told = site.deploy(cut, "--step", "6", "--step", "7", code=1, DEPLOY_READY_SEC="20")
    assert load.failures == []
    assert load.versions_seen == {"1.2.0"}
    assert "v1.4.0" in told
    assert site.serving == "1.2.0"
    assert site.status()["leftovers"] == []
    assert site.report()["result"] == "failed"


def test_what_fails_its_validation_is_rolled_back(site: Site) -> None:
    before = site.content()
    cut = site.release("1.6.0", spoil="errors", migrations=MORE)
    told = site.deploy(cut, "--step", "6", "--step", "7", code=1)
    assert "ℹ Step 8: Automatic rollback" in told
    assert "v1.2.0 serves again" in told
    assert site.serving == "1.2.0"
    assert site.content() == before
    assert site.report()["result"] == "rolled back"
    assert site.status()["previous"]["version"] == "1.1.0"  # not the one that failed
    order(site)


def test_what_fails_with_new_variables_is_rolled_back_to_the_old_ones(site: Site) -> None:
    environments = {path: path.read_bytes() for path in site.folder.glob("host/colours/*/env*")}
    before = site.status()["serving"]
    new = {"DB_POOL_TIMEOUT": "29", "DEPLOY_P95_MS": "1"}
    told = site.deploy(site.folder / "cut/v1.2.0", "--step", "6", "--step", "7", code=1, **new)
    assert "v1.2.0 serves again, with the variables that it had" in told
    after = site.status()["serving"]
    assert after["colour"] == before["colour"]
    serving = site.folder / f"host/colours/{after['colour']}/environment"
    assert serving.read_bytes() == environments[serving]
    order(site)


def spoiled(folder: Path, act: Callable[[Path], object]) -> Path:
    copy = folder / "spoiled"
    subprocess.run(["cp", "-r", folder / "cut/v1.2.0", copy], check=True)
    act(copy)
    return copy


def _other_wheel(cut: Path) -> None:
    (wheel,) = cut.glob("*.whl")
    wheel.write_bytes(wheel.read_bytes() + b" ")


def _other_sums(cut: Path) -> None:
    lines = (cut / "SHA256SUMS").read_text(encoding="ascii").splitlines()
    (cut / "SHA256SUMS").write_text("\n".join(reversed(lines)) + "\n", encoding="ascii")


def _one_more_migration(cut: Path) -> None:
    (cut / "supabase/migrations/20990101000000_more.sql").write_text("select 1;\n")


def _no_signature(cut: Path) -> None:
    (cut / "release.dsse.json").unlink()


def _edited_signature(cut: Path) -> None:
    envelope = json.loads((cut / "release.dsse.json").read_bytes())
    envelope["signatures"][0]["sig"] = "A" * 86 + "=="
    (cut / "release.dsse.json").write_text(json.dumps(envelope), encoding="utf-8")


@pytest.mark.parametrize(
    "act",
    [_one_more_migration, _other_wheel, _other_sums, _no_signature, _edited_signature],
    ids=lambda a: a.__name__,
)
def test_a_release_that_was_changed_is_refused(site: Site, act: Callable[[Path], object]) -> None:
    cut = spoiled(site.folder, act)
    try:
        told = site.deploy(cut, "--step", "6", code=1)  # no step goes on without the pre-flight
    finally:
        subprocess.run(["rm", "-r", cut], check=True)
    assert "SHA256SUMS" in told or "release.dsse.json" in told or ".whl" in told
    assert [step["number"] for step in site.report()["steps"]] == [0]
    assert site.serving == "1.2.0"


# ---------------------------------------------------------------- going back

ROWS = """
insert into estimator.customers (org_id, name)
select %s, 'Customer ' || n from generate_series(1, 100000) n
"""


def test_a_missing_tag_is_an_error_before_anything_changes(site: Site) -> None:
    before = site.status()
    script = site.checkout / "ops/rollback/production_rollback.sh"
    done = subprocess.run(
        [script, "--to-tag", "v9.9.9"],
        capture_output=True,
        text=True,
        check=False,
        env=site.environment,
    )
    assert done.returncode == 1
    assert "has no release v9.9.9. Installed: " in done.stdout
    for tag in ("", "v", "-estimator", "../v1"):
        assert "is no release's tag" in site.script("--rollback", f"--to-tag={tag}").stdout
    other = site.script("--rollback", APP_ENV="staging")
    assert other.returncode == 1
    assert "local: APP_ENV: is not that of what serves there" in other.stdout
    assert site.status()["serving"] == before["serving"]


def test_rollback_of_application_and_database_under_load(
    site: Site, record_property: Callable[[str, object], None]
) -> None:
    with psycopg.connect(site.project.owner, autocommit=True) as conn:
        conn.execute(ROWS, (site.project.org_id,))
    before = site.content()
    snapshot = site.snapshot()
    with psycopg.connect(site.project.owner, autocommit=True) as conn:
        conn.execute("delete from estimator.customers where name like 'Customer %7'")
        conn.execute("create table shared.newer (id bigint)")
    assert site.content() != before

    began = time.monotonic()
    with Load(site.url, token=site.project.token()) as load:
        done = site.script("--rollback", "--snapshot", snapshot, "--yes")
    assert done.returncode == 0, done.stdout + site.logs()
    # What they are compared with is in data/release_areas.toml.
    record_property("rollbackTotalSec", round(time.monotonic() - began, 3))
    record_property("rollbackApplicationSec", site.report()["figures"]["Application seconds"])
    assert load.failures == []
    assert load.versions_seen == {"1.2.0", "1.1.0"}
    assert site.content() == before
    assert site.project.rows("select to_regclass('shared.newer')") == [(None,)]
    assert site.serving == "1.1.0"
    order(site)
    told = site.deploy(site.folder / "cut/v1.2.0", "--step", "3")
    assert "The database is what its migrations make" in told


def test_a_watch_goes_back_by_itself(site: Site) -> None:
    site.deploy(site.release("1.7.0", "errors"), "--step", "6")
    assert site.serving == "1.7.0"
    with Load(site.url, token=site.project.token()) as load:
        done = site.watch("--minutes", "0.1")
        failed = len(load.failures)
        load.more()
    assert done.returncode == 4, done.stdout
    words = ("FIRED: all fail", "ROLLBACK because of", "v1.1.0 serves again", "RESET: all fail")
    places = [done.stdout.find(word) for word in words]
    assert -1 not in places, done.stdout
    assert places == sorted(places)
    assert 0 < failed == len(load.failures)
    assert site.serving == "1.1.0"
    order(site)


def test_who_serves_is_told_without_a_trace(site: Site) -> None:
    folders = list((site.checkout / "out/prod_deploy").iterdir())
    done = site.script("--status")
    assert done.returncode == 0, done.stdout
    assert "local: v1.1.0 serves since 20" in done.stdout
    assert "installed: v1.1.0, v1.2.0, v1.3.0" in done.stdout
    assert done.stdout.splitlines()[-1].split(" ", 1)[1].startswith("rollback v1.1.0: successful")
    assert list((site.checkout / "out/prod_deploy").iterdir()) == folders


def test_no_secret_is_in_anything_that_was_written(site: Site) -> None:
    looked = 0
    for folder in (site.checkout / "out", site.folder / "host"):
        for path in folder.rglob("*"):
            if not path.is_file() or path.is_symlink() or "site-packages" in path.parts:
                continue
            data = path.read_bytes()
            looked += 1
            if path.name == "environment" and path.parent.name in {"blue", "green"}:
                assert path.stat().st_mode & 0o077 == 0
                continue
            for secret in site.secrets:
                assert secret.encode() not in data, path
    assert looked > 50
