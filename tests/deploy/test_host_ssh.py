"""A host over ssh: a server of our own, with its own keys, on this machine."""

from __future__ import annotations

import getpass
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.deploy.host_root import SECRET, HostRoot, host_root, processes_with, tree
from tests.store.postgresql import free_port

from kis_deploy.hosts import Host, parse_hosts
from kis_deploy.problems import DeployError


@dataclass(frozen=True)
class Server:
    """A running sshd, and the client's configuration for it."""

    process: subprocess.Popen[bytes]
    port: int
    config: Path

    def host(self, config: Path | None = None) -> Host:
        name = f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}"
        (host,) = parse_hosts(name, config or self.config, sys.executable)
        return host

    def lose_connections(self) -> None:
        """Kill the server's side of every connection."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for pid in children.read_text(encoding="ascii").split():
            os.kill(int(pid), signal.SIGKILL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, port = tmp_path_factory.mktemp("sshd"), free_port()
    for name in ("host", "user"):
        key = ("-q", "-t", "ed25519", "-N", "", "-f", folder / name)
        subprocess.run(["ssh-keygen", *key], check=True)
    public = (folder / "host.pub").read_text(encoding="ascii")
    (folder / "known").write_text(f"[127.0.0.1]:{port} {public}", encoding="ascii")
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\n"
        f"AuthorizedKeysFile {folder}/user.pub\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nPermitRootLogin prohibit-password\n",
        encoding="ascii",
    )
    config = folder / "config"
    config.write_text(
        f"IdentityFile {folder}/user\nIdentitiesOnly yes\nUserKnownHostsFile {folder}/known\n"
        "StrictHostKeyChecking yes\nLogLevel ERROR\n",
        encoding="ascii",
    )
    if not os.geteuid():
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-e", "-f", folder / "sshd_config"], stderr=log
        )
    try:
        wait_for(process, port, folder / "log")
        yield Server(process, port, config)
    finally:
        process.terminate()
        process.wait()


def wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    while process.poll() is None:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise AssertionError(log.read_text(encoding="utf-8"))


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
