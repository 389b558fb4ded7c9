"""A root on this machine, as an agent keeps it; the tests call the agent as a deployment does."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.deploy.shelf import Spoil, release
from tests.store.postgresql import free_port

from kis_deploy.hosts import Host, agent_zip, parse_hosts

SECRET = "sb_secret_0123456789abcdef"  # noqa: S105 - looked for where it must not be


@dataclass(frozen=True)
class HostRoot:
    """Where it is, the host it is on, and the ports of the colours and the proxy."""

    path: Path
    shelf: Path
    host: Host
    ports: list[int] = field(default_factory=lambda: [free_port() for _ in range(3)])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[2]}"

    def request(self, **fields: Any) -> dict[str, Any]:
        return {"root": str(self.path), "manager": "supervisord", **fields}

    def call(self, verb: str, **fields: Any) -> dict[str, Any]:
        return self.host.call(verb, self.request(**fields))

    def status(self) -> dict[str, Any]:
        return self.call("status")

    def serving(self) -> str | None:
        found = self.status()["serving"]
        return found and str(found["version"])

    def send(self, version: str, spoil: Spoil | None = None) -> Path:
        folder = self.shelf / f"v{version}"
        if not folder.exists():
            release(folder, version, spoil=spoil)
        self.host.send_release(folder, str(self.path), version, lambda _: None)
        return folder

    def install(self, version: str, spoil: Spoil | None = None) -> None:
        self.send(version, spoil)
        assert self.call("install", version=version)["installed"]

    def starting(self, version: str, ready_sec: float = 90) -> dict[str, Any]:
        """Return the request for a start."""
        return self.request(
            version=version,
            environment={"SUPABASE_ANON_KEY": SECRET, "LANG": "en_US.UTF-8"},
            ports=self.ports[:2],
            proxy_port=self.ports[2],
            workers=1,
            ready_sec=ready_sec,
        )

    def start(self, version: str, ready_sec: float = 90) -> dict[str, Any]:
        return self.host.call("start", self.starting(version, ready_sec))

    def deploy(self, version: str) -> None:
        """Start, switch and drain, as step 6 does."""
        before = self.status()["serving"]
        started = self.start(version)
        self.call("switch", colour=started["colour"], port=started["port"])
        if before:
            self.call("drain", colour=before["colour"])

    def cut_short(self, verb: str, request: dict[str, Any], at: str = "") -> None:
        """Kill an agent as soon as it says something that begins so; nothing else is killed."""
        process = subprocess.Popen(
            self.host._command(verb),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        agent = agent_zip()
        head = f"{len(agent)}\n".encode()
        process.stdin.write(head + agent + json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        for line in process.stdout:
            if json.loads(line).get("say", "").startswith(at):
                break
        else:
            raise AssertionError(f"{verb} never said {at!r}")
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()

    def token(self) -> str:
        """Return a token that both colours take: they share a secret and an organisation."""
        home = self.path / "colours" / self.status()["serving"]["colour"]
        return subprocess.run(
            [home / "release/venv/bin/kis", "token"],
            check=True,
            capture_output=True,
            text=True,
            env={"KIS_HOME": str(home / "home"), "PATH": os.environ["PATH"]},
        ).stdout.strip()


@contextmanager
def host_root(folder: Path, host: Host | None = None, name: str = "root") -> Iterator[HostRoot]:
    """Lend a root; whatever runs below it is stopped in the end."""
    made = HostRoot(folder / name, folder / "shelf", host or parse_hosts("local", None)[0])
    shared = made.path / "shared/home/secrets"
    shared.mkdir(parents=True)
    (shared / "tokens").touch(mode=0o600)
    (shared / "tokens").write_bytes(secrets.token_bytes(32))
    (shared.parent / "organisation").write_text(str(UUID(int=7)), encoding="ascii")
    try:
        yield made
    finally:
        made.call("stop")


def tree(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return what is in a folder: kind and mode, size, time of the last change."""
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        stat = path.lstat()
        found[str(path)] = (stat.st_mode, stat.st_size, stat.st_mtime_ns)
    return found


def processes_with(text: str) -> list[str]:
    """Return the command lines on this machine that hold a text."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().decode(errors="replace"))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
    return [line for line in lines if text in line]
