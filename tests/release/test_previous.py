"""The release before, on the migrations of the checkout: which one, and what is run of it."""

import shutil
import subprocess
from pathlib import Path

import pytest

SMOKE = """\
#!/bin/sh
cd "$(dirname "$0")/.."
echo "version $(cat version), $(ls supabase/migrations | xargs), $*"
exit "$(cat code)"
"""


class Project:
    """A checkout whose tests say what they were run on."""

    def __init__(self, folder: Path, script: Path) -> None:
        self.folder = folder
        (folder / "script").mkdir()
        shutil.copy(script, folder / "script/previous")
        self.write("script/test", SMOKE).chmod(0o755)
        self.git("init", "--quiet")

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def git(self, *arguments: str) -> None:
        who = ("-c", "user.name=A", "-c", "user.email=a@example.com")
        subprocess.run(["git", "-C", str(self.folder), *who, *arguments], check=True)

    def commit(
        self, version: str, migration: str, *, code: int = 0, tag: str | None = None
    ) -> None:
        self.write("version", version)
        self.write("code", str(code))
        self.write(f"supabase/migrations/{migration}.sql", "select 1;")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", version)
        if tag:
            self.git("tag", "--annotate", "--message", tag, tag)

    def previous(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.folder / "script/previous"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path: Path, root: Path) -> Project:
    return Project(tmp_path, root / "script/previous")


def test_without_a_release_nothing_was_run(project: Project) -> None:
    project.commit("1", "1", tag="v1.0.0")  # no tag of a release
    project.commit("2", "2", tag="v2.0.0-estimator")  # the release itself
    assert project.previous("--which").stdout.strip() == ""
    done = project.previous()
    assert (done.returncode, done.stdout) == (3, "")
    assert "Not run: no release was cut before" in done.stderr


@pytest.mark.parametrize("code", [0, 1])
def test_its_own_tests_run_on_the_newer_migrations(project: Project, code: int) -> None:
    project.commit("1", "1", tag="v1.0.0-estimator")
    project.commit("2", "2", code=code, tag="v2.0.0-estimator")
    project.commit("3", "3", code=7)
    project.write("supabase/migrations/4.sql", "select 1;")  # not committed yet
    assert project.previous("--which").stdout == "v2.0.0-estimator\n"
    done = project.previous()
    assert done.returncode == code
    assert done.stdout.splitlines()[-1] == "version 2, 1.sql 2.sql 3.sql 4.sql, -m smoke"
    assert "version 1, " in project.previous("v1.0.0-estimator").stdout
