"""The project itself, cut by the command: the real wheel, everything it should hold, next steps."""

from __future__ import annotations

import email
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.release.conftest import Keys
from tests.release.projects import copy_project
from tests.release.trees import TAG, VERSION, Tree, new_git, put_gates
from typer.testing import CliRunner

from kis_estimator import release
from kis_estimator.cli import app
from kis_estimator.evidence import open_pack
from kis_estimator.release.wheel import build_wheel

WHEEL = f"kis_estimator-{VERSION}-py3-none-any.whl"


@pytest.fixture(scope="module")
def builder(root: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the build tool that the project pins; it is fetched from a package index."""
    pyproject = (root / "pyproject.toml").read_text(encoding="utf-8")
    pinned = re.search(r'^requires = \["(hatchling==[\d.]+)"\]', pyproject, re.MULTILINE)
    assert pinned
    fetch = [sys.executable, "-I", "-m", "pip", "download", "--quiet", "--no-deps", pinned[1]]
    folder = tmp_path_factory.mktemp("builder")
    if subprocess.run([*fetch, "--dest", str(folder)], check=False).returncode:
        pytest.skip(f"{pinned[1]} cannot be fetched here")
    return pinned[1]


@pytest.fixture(scope="module")
def project(root: Path, tmp_path_factory: pytest.TempPathFactory, builder: str) -> Tree:
    """Return this project as it is now, ready to be cut; its gates only copy reports."""
    assert builder
    tree = Tree(copy_project(root, tmp_path_factory.mktemp("project") / "checkout"))
    start = tree.root / "src/kis_estimator/__init__.py"
    start.write_text(
        re.sub(r"(?m)^__version__ = .*$", f'__version__ = "{VERSION}"', start.read_text())
    )
    changes = (tree.root / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = f"## [Unreleased]\n\n## [{VERSION}] - 2026-01-31\n"
    tree.write("CHANGELOG.md", changes.replace("## [Unreleased]\n", heading, 1))
    put_gates(tree)
    new_git(tree)
    tree.commit()
    tree.write("openapi.yaml", kis(tree, "openapi").stdout)  # it names the version
    tree.commit()
    return tree


def kis(tree: Tree, *arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("KIS_", "SUPABASE_"))}
    source = {
        "PYTHONPATH": str(tree.root / "src"),
        "LANG": "en_US.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, "-P", "-m", "kis_estimator.cli", *map(str, arguments)],
        cwd=tree.root / "docs",
        env={**kept, **source, **more},
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def done(project: Tree, keys: Keys) -> subprocess.CompletedProcess[str]:
    """Return how the command ended that cut this project."""
    done = kis(project, "release", "cut", f"v{VERSION}", KIS_RELEASE_KEY=str(keys.private))
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def folder(project: Tree, done: subprocess.CompletedProcess[str]) -> Path:
    """Return the release."""
    assert str(project.output / f"v{VERSION}") in done.stdout
    return project.output / f"v{VERSION}"


def test_the_command_says_what_it_does_and_what_is_next(
    project: Tree, done: subprocess.CompletedProcess[str]
) -> None:
    for said in (f"git push origin {TAG}", "./DEPLOYMENT_SCRIPT.sh --check-env"):
        assert said in done.stdout
    for step in ("Files and wheel", "script/test", "script/bench service"):
        assert step in done.stderr
    assert project.tags() == [TAG]


def test_its_release_is_verified(folder: Path, keys: Keys) -> None:
    with open_pack(folder) as pack:
        report = release.verify(pack, [keys.loaded])
    assert (report.ok, report.signed_by) == (True, keys.loaded.key_id)


def test_the_wheel_holds_both_packages_and_the_migrations(project: Tree, folder: Path) -> None:
    with zipfile.ZipFile(folder / WHEEL) as wheel:
        held = set(wheel.namelist())
        about = email.message_from_bytes(wheel.read(f"kis_estimator-{VERSION}.dist-info/METADATA"))
    assert about["Version"] == VERSION
    tracked = project.git("ls-files", "src/kis_estimator", "src/kis_deploy").splitlines()
    assert {name.removeprefix("src/") for name in tracked} <= held
    migrations = project.git("ls-files", "supabase/migrations").splitlines()
    assert {f"kis_estimator/migrations/{Path(name).name}" for name in migrations} <= held


def test_the_same_commit_gives_the_same_wheel(project: Tree, folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "elsewhere"
    project.checkout.export("HEAD", source)
    for path in source.rglob("*"):
        os.utime(path, (10**9, 10**9))
    at = project.checkout.committed_at("HEAD")
    again = build_wheel(source, tmp_path / "again", VERSION, at)
    assert again.read_bytes() == (folder / WHEEL).read_bytes()


def test_another_program_does_not_cut_a_project(
    tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_git(Tree(tmp_path))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["release", "cut", "v1.0.0", "--key", str(keys.private)])
    assert (done.exit_code, "RELEASE_OTHER_PROGRAM" in done.output) == (2, True)
