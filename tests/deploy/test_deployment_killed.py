"""Deployments that are killed in the middle of each step, and two at the same time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.deploy.load import Load
from tests.deploy.processes import Arguments
from tests.deploy.site import Site, site_in
from tests.service.site import until

MORE = {"20270101000000_more.sql": "create table shared.more (id bigint primary key);\n"}
STEPS = range(8)
# What is told or logged when a step is in the middle of its work.
SIGNS = [
    *((n, f"ℹ Step {n}:") for n in range(3)),
    (3, "db reference"),
    (4, "db snapshot"),
    (4, "db rehearse"),
    pytest.param(4, "db push --yes", marks=pytest.mark.proof),
    (5, "ℹ Step 5:"),
    (6, "Starting v1.2.0"),
    (7, ": pending"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Lend a site that 1.1.0 serves; 1.2.0 is cut."""
    with site_in(tmp_path_factory.mktemp("killed")) as made:
        with Arguments(made.secrets) as arguments:
            made.deploy(made.release("1.1.0"))
        assert arguments.seen > 20
        assert arguments.telling == []
        made.release("1.2.0", migrations=MORE)
        yield made


def start(
    site: Site, told: Path, *arguments: str, version: str = "1.2.0"
) -> subprocess.Popen[bytes]:
    with told.open("wb") as file:
        return subprocess.Popen(
            site.command("--yes", *arguments),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=site.with_release(site.folder / f"cut/v{version}"),
            start_new_session=True,
        )


def kill_at(sign: str, site: Site, told: Path, *arguments: str, version: str = "1.2.0") -> None:
    """Start the deployer and kill it as soon as the sign is told, or logged."""
    logs = site.checkout / "out/prod_deploy"
    older = {path.parent for path in logs.glob("2*/report.json")}

    def texts() -> list[str]:
        ours = [path for path in logs.glob("2*/*.log") if path.parent not in older]
        return [path.read_text(encoding="utf-8") for path in (told, *ours)]

    process = start(site, told, *arguments, version=version)
    until(lambda: any(sign in text for text in texts()) or process.poll() is not None)
    process.kill()
    assert process.wait() == -signal.SIGKILL, told.read_text()


@pytest.mark.parametrize(("number", "sign"), SIGNS)
def test_a_kill_in_the_middle_of_a_step(site: Site, tmp_path: Path, number: int, sign: str) -> None:
    before, told = site.content(), tmp_path / "told"
    # The last steps are run alone: the ones before them have been killed on their own.
    alone = [f"--step={n}" for n in STEPS if n >= number] if number >= 4 else []
    with Load(site.url, token=site.project.token()) as load:
        kill_at(sign, site, told, *alone)
        load.more()
    assert load.failures == []
    assert site.content() == before
    assert site.serving in ({"1.1.0"} if number < 6 else {"1.1.0", "1.2.0"})
    assert site.migrations()[-1] in {"20261130090000", "20270101000000"}


def test_the_next_run_says_so_and_cleans_up(site: Site) -> None:
    with Load(site.url, token=site.project.token()) as load:
        told = site.deploy(site.folder / "cut/v1.2.0")
    assert load.failures == []
    assert "was killed in step 7" in told
    assert site.serving == "1.2.0"
    assert site.status()["leftovers"] == []
    assert site.migrations()[-1] == "20270101000000"


def test_an_interrupted_one_says_what_was_left(site: Site, tmp_path: Path) -> None:
    told = tmp_path / "told"
    process = start(site, told)
    until(lambda: "ℹ Step 4:" in told.read_text())
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait() == 1
    assert "DEPLOYMENT INTERRUPTED" in told.read_text()
    assert site.report()["result"] == "interrupted"


def test_an_interrupted_rollback_leaves_nothing_beside_what_serves(
    site: Site, tmp_path: Path
) -> None:
    told, serving = tmp_path / "told", site.serving
    process = start(site, told, "--rollback")
    until(lambda: "Starting v1.1.0" in told.read_text())
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait() == 1
    assert site.status()["leftovers"] == []
    assert site.serving in {serving, "1.1.0"}
    assert f"Serving now: local v{site.serving}" in told.read_text()
    assert "was interrupted by a person or a signal" in site.report()["problems"][0]["cause"]
    if site.serving != serving:
        site.deploy(site.folder / f"cut/v{serving}", "--step", "6")


def test_two_at_the_same_time_are_refused(site: Site, tmp_path: Path) -> None:
    first = tmp_path / "told"
    process = start(site, first)
    until(lambda: "ℹ Step 0:" in first.read_text())
    process.send_signal(signal.SIGSTOP)  # so that it is surely under way
    second = site.script("--yes", cut=site.folder / "cut/v1.2.0")
    elsewhere = tmp_path / "elsewhere"  # another machine's checkout
    subprocess.run(["cp", "-r", site.checkout, elsewhere], check=True)
    third = subprocess.run(
        [elsewhere / "DEPLOYMENT_SCRIPT.sh", "--yes"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=site.with_release(site.folder / "cut/v1.2.0"),
    )
    process.terminate()
    process.send_signal(signal.SIGCONT)
    assert process.wait() == 1, first.read_text()
    assert second.returncode == 1
    assert "another deployment of this project is under way on this machine" in second.stdout
    assert f"(process {process.pid} since 20" in second.stdout
    assert third.returncode == 1
    assert "another deployment of this project is under way" in third.stdout


def test_every_start_and_end_is_in_the_audit_log(site: Site) -> None:
    lines = (site.checkout / "out/prod_deploy/audit.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    started = [entry for entry in entries if entry["event"] == "started"]
    finished = [entry for entry in entries if entry["event"] == "finished"]
    assert len(SIGNS) - 1 <= len(started) - len(finished) <= len(SIGNS)  # the killed ones
    assert all(entry["environment"] == "production" for entry in entries)


@pytest.mark.proof
def test_a_kill_while_it_goes_back(site: Site, tmp_path: Path) -> None:
    before, serving = site.content(), site.serving
    site.release("1.3.0", "errors")
    steps = ("--step=6", "--step=7")
    kill_at("ℹ Step 8:", site, tmp_path / "told", *steps, version="1.3.0")
    assert site.serving in {"1.3.0", serving}
    site.deploy(site.folder / f"cut/v{serving}", *steps)
    assert site.serving == serving
    assert site.status()["leftovers"] == []
    assert site.content() == before


@pytest.mark.proof
def test_a_kill_in_the_middle_of_a_restore(site: Site, tmp_path: Path) -> None:
    before, snapshot = site.content(), site.snapshot()
    newer = "select to_regclass('shared.newer') is not null"
    with psycopg.connect(site.project.owner, autocommit=True) as conn:
        conn.execute("create table shared.newer (id bigint)")
    kill_at(f"{snapshot} --yes", site, tmp_path / "told", "--restore", snapshot)
    assert site.project.rows(newer) in ([(True,)], [(False,)])
    assert site.content() == before
    until(lambda: site.script("--restore", snapshot, "--yes").returncode == 0)
    assert site.project.rows(newer) == [(False,)]
    assert site.content() == before
