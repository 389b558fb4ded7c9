"""The database that step 3 compares with: lent by the release's own program, or told why not."""

from pathlib import Path

import pytest
from tests.deploy.stand_in import ROOT

from kis_deploy.config import Config, Release
from kis_deploy.problems import DeployError
from kis_deploy.report import Report
from kis_deploy.run import Run
from kis_deploy.runner import Redactor, Runner
from kis_deploy.steps.schema import _reference

HEAD = "20260101000000"
OWNER = "postgresql://postgres:owner-0123456789@127.0.0.1/project"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A deployment of a release that is installed here; its program is the test's to write."""
    logs = tmp_path / "out/prod_deploy/now"
    logs.mkdir(parents=True)
    variables = {
        "PATH": "/usr/bin:/bin",
        "DEPLOY_HOSTS": "local",
        "DEPLOY_ROOT": str(tmp_path / "root"),
        "SUPABASE_OWNER_URL": OWNER,
    }
    runner = Runner(Redactor([OWNER]))
    runner.open_log(tmp_path / "log")
    release = Release(tmp_path / "v1.0.0", "1.0.0", "0" * 64)
    return Run(Config(variables, ROOT), runner, Report(logs, "staging", "deploy"), release)


def program(run: Run, script: str) -> None:
    path = run.kis("1.0.0")
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
    path.chmod(0o755)


def log(run: Run) -> str:
    run.runner.close()
    assert run.runner.log
    return run.runner.log.read_text(encoding="utf-8")


def test_it_is_lent_for_the_block_and_goes_after_it(run: Run, tmp_path: Path) -> None:
    program(run, f"echo warned >&2; echo postgresql://there; cat; touch {tmp_path}/gone")
    with _reference(run, HEAD) as url:
        assert url == "postgresql://there"
        assert not (tmp_path / "gone").exists()
    assert (tmp_path / "gone").exists()
    told = log(run)
    assert f"bin/kis db reference --until {HEAD}" in told
    assert "warned" in told
    assert "exit 0" in told


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        (f"echo broken at {OWNER} >&2; exit 3", r"broken at .*\*\*\*"),
        ("exit 3", r"gave no address .*\(exit 3\)"),
        ("exec sleep 600", r"gave no address in 0\.5 s \(exit -15\)"),
        ("echo; cat", r"gave no address"),
    ],
)
def test_one_that_does_not_come_is_told(run: Run, script: str, cause: str) -> None:
    program(run, script)
    with pytest.raises(DeployError, match=cause) as told, _reference(run, HEAD, 0.5):
        pass
    assert "owner-0123456789" not in str(told.value) + log(run)


def test_the_time_of_the_comparison_is_not_its_own(run: Run) -> None:
    """Its limit is over while it is lent, and it stays."""
    program(run, "echo postgresql://there; cat")
    with _reference(run, HEAD, 0.5):
        run.runner.run(["sleep", "1"])
    assert "exit 0" in log(run).splitlines()[-1]
