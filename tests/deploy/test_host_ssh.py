"""A host over ssh: a server of our own, with its own keys, on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.deploy.host_root import SECRET, HostRoot, host_root, processes_with, tree
from tests.deploy.sshd import Server, sshd

from kis_deploy.problems import DeployError

pytestmark = pytest.mark.proof


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture(scope="module")
def far(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostRoot]:
    with host_root(tmp_path_factory.mktemp("far"), server.host()) as root:
        yield root


def test_a_release_is_installed_and_serves_there(far: HostRoot) -> None:
    before = tree(far.path)
    assert (far.serving(), far.status()["releases"]) == (None, [])
    assert tree(far.path) == before
    far.install("1.0.0")
    far.deploy("1.0.0")
    found = far.status()
    assert (found["serving"]["version"], found["proxy"]) == ("1.0.0", "running")
    assert processes_with(SECRET) == []


def test_a_connection_that_is_lost_is_told_and_the_next_run_goes_on(
    server: Server, far: HostRoot
) -> None:
    """The agent there may have ended its work, or not: both are a good beginning."""
    if "1.0.0" not in far.status()["releases"]:
        far.install("1.0.0")

    def told(text: str) -> None:
        if "Starting" in text:
            server.lose_connections()

    with pytest.raises(DeployError, match="connection was lost") as lost:
        far.host.call("start", far.starting("1.0.0"), tell=told)
    assert far.host.name in str(lost.value)
    assert SECRET not in str(lost.value)
    far.call("settle")
    assert far.status()["leftovers"] == []
    far.deploy("1.0.0")
    assert far.serving() == "1.0.0"


def test_a_host_with_another_key_is_not_trusted(server: Server, tmp_path: Path) -> None:
    (tmp_path / "known").touch()
    config = tmp_path / "config"
    text = server.config.read_text(encoding="ascii")
    config.write_text(text.replace(f"{server.config.parent}/known", f"{tmp_path}/known"))
    with pytest.raises(DeployError, match="Host key verification failed"):
        server.host(config).call("status", {"root": "/nowhere"})
