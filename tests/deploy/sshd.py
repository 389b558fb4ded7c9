"""A server of ssh on this machine, with keys of its own, and a client's configuration for it."""

from __future__ import annotations

import getpass
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.store.postgresql import free_port

from kis_deploy.hosts import Host, parse_hosts


@dataclass(frozen=True)
class Server:
    """A running sshd, and the client's configuration for it."""

    process: subprocess.Popen[bytes]
    port: int
    config: Path

    @property
    def address(self) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}"

    def host(self, config: Path | None = None) -> Host:
        (host,) = parse_hosts(self.address, config or self.config, sys.executable)
        return host

    def lose_connections(self) -> None:
        """Kill the server's side of every connection."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for pid in children.read_text(encoding="ascii").split():
            os.kill(int(pid), signal.SIGKILL)


@contextmanager
def sshd(folder: Path) -> Iterator[Server]:
    """Run a server in a folder until the end of the block."""
    port = free_port()
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
        _wait_for(process, port, folder / "log")
        yield Server(process, port, config)
    finally:
        process.terminate()
        process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    while process.poll() is None:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise AssertionError(log.read_text(encoding="utf-8"))
