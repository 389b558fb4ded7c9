"""Releases on a host: whole and as they were cut, or not at all."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import time
from collections.abc import Iterator
from os import utime
from pathlib import Path

import pytest
from tests.deploy.host_root import HostRoot, host_root, tree
from tests.deploy.shelf import write_sums

from kis_deploy.host.layout import Layout
from kis_deploy.host.releases import prune, receive
from kis_deploy.host.state import Previous, Serving, State, write_state
from kis_deploy.problems import DeployError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostRoot]:
    """Lend a root with one release, to which nothing may happen."""
    with host_root(tmp_path_factory.mktemp("releases")) as made:
        made.install("2.0.0")
        before = tree(made.path / "releases/v2.0.0")
        yield made
        assert tree(made.path / "releases/v2.0.0") == before


def test_an_installed_release_is_its_own_program(root: HostRoot) -> None:
    kis = root.path / "releases/v2.0.0/venv/bin/kis"
    told = subprocess.run([kis, "--version"], check=True, capture_output=True, text=True, env={})
    assert told.stdout == "kis 2.0.0\n"
    sha256 = subprocess.run(
        [kis, "openapi", "--sha256"], check=True, capture_output=True, text=True, env={}
    ).stdout.strip()
    stamp = json.loads((root.path / "releases/v2.0.0/release.json").read_text(encoding="utf-8"))
    assert sha256 == stamp["openapiSha256"]


def test_a_second_time_changes_nothing(root: HostRoot) -> None:
    root.send("2.0.0")
    for _ in range(2):
        assert root.call("install", version="2.0.0") == {"version": "2.0.0", "installed": False}
    assert root.status()["leftovers"] == []


def test_a_release_is_frozen(root: HostRoot) -> None:
    folder = root.send("2.0.0")
    contract = (folder / "openapi.yaml").read_bytes()
    try:
        (folder / "openapi.yaml").write_bytes(contract + b"# one more line\n")
        write_sums(folder)
        root.send("2.0.0")
        with pytest.raises(DeployError, match="A release is frozen"):
            root.call("install", version="2.0.0")
    finally:
        (folder / "openapi.yaml").write_bytes(contract)
        write_sums(folder)
    root.call("settle")


@pytest.mark.parametrize(
    "name", ["kis_estimator-2.0.1-py3-none-any.whl", "requirements.lock", "openapi.yaml"]
)
def test_a_file_that_is_not_what_was_cut_is_refused(root: HostRoot, name: str) -> None:
    folder = root.send("2.0.1")
    good = (folder / name).read_bytes()
    try:
        (folder / name).write_bytes(good + b"\n")
        root.send("2.0.1")
        with pytest.raises(DeployError, match=name):
            root.call("install", version="2.0.1")
    finally:
        (folder / name).write_bytes(good)
    assert root.status()["releases"] == ["2.0.0"]


def test_a_sum_that_is_missing_is_a_difference(root: HostRoot) -> None:
    folder = root.send("2.0.2")
    (folder / "SHA256SUMS").write_text("", encoding="utf-8")
    root.send("2.0.2")
    with pytest.raises(DeployError, match=r"openapi\.yaml"):
        root.call("install", version="2.0.2")


def test_a_program_of_another_version_is_refused(root: HostRoot) -> None:
    root.send("2.0.3", "other_version")
    noted: list[str] = []
    with pytest.raises(DeployError, match=r"kis 0\.0\.1"):
        root.host.call("install", root.request(version="2.0.3"), note=noted.append)
    log = "\n".join(noted)
    for words in ("local: $ ", " -m venv ", "Processing ", "kis 0.0.1", "exit 0 after"):
        assert words in log, "commands and what they print are for the log"
    assert root.status()["releases"] == ["2.0.0"]
    root.call("settle")
    assert not (root.path / "releases/v2.0.3").exists()


def test_what_was_not_sent_is_not_installed(root: HostRoot) -> None:
    with pytest.raises(DeployError, match="was not sent"):
        root.call("install", version="7.7.7")


@pytest.mark.parametrize("version", ["", "..", "1.0", "v1.0.0", "1.0.0/..", "1.0.0;id", "-1.0.0"])
def test_a_version_is_a_version(root: HostRoot, version: str) -> None:
    with pytest.raises(DeployError, match="The version"):
        root.call("install", version=version)


@pytest.mark.parametrize("name", ["../outside", "/outside", "strange.py", "release.json/.."])
def test_nothing_else_is_received(tmp_path: Path, name: str) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    layout = Layout(tmp_path / "root")
    with pytest.raises(DeployError, match="strange"):
        receive(layout, "1.0.0", io.BytesIO(stream.getvalue()))
    assert list((layout.incoming / "v1.0.0").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_links_are_not_received(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        linked = tarfile.TarInfo("openapi.yaml")
        linked.type, linked.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(linked)
    with pytest.raises(DeployError, match="strange"):
        receive(Layout(tmp_path), "1.0.0", io.BytesIO(stream.getvalue()))


def test_a_transfer_that_ends_early_is_told(root: HostRoot) -> None:
    folder = root.send("2.0.4")
    (folder / "openapi.yaml").unlink()
    with pytest.raises(DeployError, match=r"openapi\.yaml"):
        root.send("2.0.4")
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        archive.add(folder / "SHA256SUMS", arcname="SHA256SUMS")
    with pytest.raises(DeployError, match="did not arrive whole"):
        receive(Layout(root.path), "2.0.4", io.BytesIO(whole.getvalue()[:700]))
    root.call("settle")


@pytest.mark.parametrize(
    ("until", "keep", "kept"),
    [
        ("2000-01-01T00:00:00Z", [], ["1.0.3", "1.0.4"]),
        ("2000-01-01T00:00:00Z", ["1.0.1"], ["1.0.1", "1.0.3", "1.0.4"]),
        ("2999-01-01T00:00:00Z", [], ["1.0.2", "1.0.3", "1.0.4"]),
    ],
)
def test_releases_that_nobody_needs_are_removed(
    tmp_path: Path, until: str, keep: list[str], kept: list[str]
) -> None:
    layout = Layout(tmp_path)
    layout.prepare()
    for number in range(1, 5):
        layout.release(f"1.0.{number}").mkdir()
        complete = layout.release(f"1.0.{number}") / "COMPLETE"
        complete.touch()
        age = 0 if number == 4 else 90_000  # the newest was installed just now
        utime(complete, (time.time() - age,) * 2)
    serving = Serving("1.0.3", "blue", 8001, "2026-11-30T00:00:00Z")
    previous = Previous("1.0.2", "green", 8002, until)
    write_state(layout, State(serving=serving, previous=previous))
    for name, days in {"access.log.9": 15, "access.log.2.gz": 13, "error.log": 400}.items():
        (layout.logs / name).touch()
        utime(layout.logs / name, (time.time() - days * 86_400,) * 2)
    prune(layout, 24, frozenset(keep))
    assert layout.versions() == kept
    found = {log.name for log in layout.logs.iterdir()}
    assert found == {"access.log.2.gz", "error.log"}, "nginx has the other one open"
