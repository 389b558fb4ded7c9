"""The deployer's command line: what it needs, and how it ends where nothing can be done."""

import getpass
import json
import os
import subprocess
from pathlib import Path

import pytest
from tests.deploy.test_check_env import sound

from kis_deploy.report import Report, audit

NOT_FOR_GOING_BACK = ("KIS_BACKUP_KEY", "KIS_BACKUP_DIR", "KIS_RELEASE_PUBLIC_KEY")


def going_back(
    folder: Path, *arguments: str, mode: str = "--rollback", **more: str
) -> subprocess.CompletedProcess[str]:
    """Ask a host on which nothing was ever installed to go back."""
    environment = {
        **{name: value for name, value in sound(folder).items() if name not in NOT_FOR_GOING_BACK},
        "PATH": os.environ["PATH"],
        "DEPLOY_ROOT": str(folder / "host"),
        "DEPLOY_PROCESS_MANAGER": "supervisord",
        **more,
    }
    for name in ("SUPABASE_OWNER_URL", "SUPABASE_ACCESS_TOKEN"):
        del environment[name]
    script = Path(__file__).parents[2] / "DEPLOYMENT_SCRIPT.sh"
    command = [str(script), "--checkout", str(folder), mode]
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False, env=environment
    )


def test_going_back_waits_for_nothing_that_it_does_not_use(tmp_path: Path) -> None:
    done = going_back(tmp_path)
    assert "has no earlier release" in done.stdout
    assert (done.returncode, done.stderr) == (1, "")


def test_a_host_on_which_nothing_serves_is_not_well(tmp_path: Path) -> None:
    done = going_back(tmp_path, mode="--status")
    assert done.stdout.startswith("local: nothing serves\nlocal: installed: nothing\n")
    assert (done.returncode, done.stderr) == (1, "")
    assert not (tmp_path / "out").exists()


def test_a_snapshot_needs_its_variables(tmp_path: Path) -> None:
    done = going_back(tmp_path, "--snapshot", "20261201T000000Z")
    assert done.returncode == 2
    named = [line.split(":")[0].removeprefix("❌ ") for line in done.stderr.splitlines()]
    assert set(named) == {*NOT_FOR_GOING_BACK, "SUPABASE_OWNER_URL", "SUPABASE_ACCESS_TOKEN"}


def test_a_terminal_without_these_letters_ends_nothing(tmp_path: Path) -> None:
    done = going_back(tmp_path, PYTHONIOENCODING="ascii")
    assert "? local: has no earlier release" in done.stdout
    assert (done.returncode, done.stderr) == (1, "")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("no folder")
    done = going_back(tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"❌ {tmp_path}/out/prod_deploy: Not a directory. Check the disk, and whose file it is\n"
    )


def test_an_account_without_a_name_is_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    audit(tmp_path, Report(tmp_path, "staging", "deploy"), "started")
    (line,) = (tmp_path / "audit.jsonl").read_text().splitlines()
    assert json.loads(line)["user"] == str(os.getuid())
