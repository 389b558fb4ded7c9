"""The hosts of a deployment: this machine, or others over ssh; all run the same agent.

The agent travels with each call, as a zip on standard input, and lives in memory: a host keeps no
copy that could be out of date, and asking for its status changes nothing there.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from threading import Thread, Timer
from typing import IO, Any

from kis_deploy.host.releases import PARTS, wheel_name
from kis_deploy.problems import DeployError, Problem

_CALL_SEC = 300.0
_SEND_SEC = 900.0
_CONNECT_SEC = 15
_SSH = re.compile(
    r"ssh://(?P<user>[A-Za-z0-9_][\w.-]*)@(?P<host>[A-Za-z0-9][\w.-]*)(:(?P<port>\d{1,5}))?",
    re.ASCII,
)
_PYTHON = re.compile(r"[\w./][\w./-]*", re.ASCII)
_LOST = 255  # how ssh ends when it is ssh that failed
# What commands here need; secrets of the deployment's environment stay here.
_KEPT = ("HOME", "LANG", "LOGNAME", "PATH", "SSH_AUTH_SOCK", "TMPDIR", "USER")
# Also for a Python that is too old to read the agent.
_BOOT = """
import json, os, sys
if sys.version_info < (3, 11):
    print(json.dumps({"problems": [{"what": "Python on this host", "cause": "is older than 3.11",
        "remedy": "Install Python 3.11 and name it in DEPLOY_PYTHON"}]}))
    sys.exit(1)
size = int(sys.stdin.buffer.readline())
agent = os.memfd_create("agent")
with open(agent, "wb", closefd=False) as file:
    file.write(sys.stdin.buffer.read(size))
sys.path.insert(0, "/proc/self/fd/%d" % agent)
from kis_deploy.host.agent import main
sys.exit(main(sys.argv[1]))
"""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Host:
    """A host: `local`, or an address for ssh. Its `python` is 3.11 or newer."""

    name: str
    local: bool
    python: str = "python3"
    ssh: tuple[str, ...] = ()

    def call(
        self,
        verb: str,
        request: Mapping[str, Any],
        *,
        tell: Tell = lambda _: None,
        note: Tell = lambda _: None,
        timeout_sec: float = _CALL_SEC,
    ) -> dict[str, Any]:
        """Do a verb there and return its result.

        What the agent says goes to `tell`, its commands and what they print to `note`. Raises
        DeployError with the agent's problems, and for a host that does not answer. The request
        goes over standard input: it may hold secrets.
        """
        return self._run(verb, request, b"", {"say": tell, "log": note}, timeout_sec)

    def send_release(
        self, folder: Path, root: str, version: str, tell: Tell = lambda _: None
    ) -> None:
        """Send what a host needs of a release, into `incoming` below the root."""
        tell(f"{self.name}: sending v{version}")
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for name in (*PARTS, wheel_name(version)):
                try:
                    archive.add(folder / name, arcname=name)
                except OSError as error:
                    raise DeployError.of(
                        str(folder / name), f"cannot be read ({error.strerror})", "Fetch it again"
                    ) from None
        request = {"root": root, "version": version}
        self._run("receive", request, stream.getvalue(), {"say": tell}, _SEND_SEC)

    def _run(
        self,
        verb: str,
        request: Mapping[str, Any],
        payload: bytes,
        tells: Mapping[str, Tell],
        timeout_sec: float,
    ) -> dict[str, Any]:
        agent = agent_zip()
        head = f"{len(agent)}\n".encode()
        stdin = head + agent + json.dumps(request).encode() + b"\n" + payload
        try:
            process = subprocess.Popen(  # noqa: S603 - our own command line
                self._command(verb),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={name: os.environ[name] for name in _KEPT if name in os.environ},
                start_new_session=True,  # so that all of it can be ended
            )
        except OSError as error:
            raise DeployError.of(
                f"The host {self.name}",
                f"{self._command(verb)[0]} cannot be started ({error.strerror})",
                "Install it (openssh-client for ssh)",
            ) from None
        return self._read(process, stdin, tells, timeout_sec)

    def _command(self, verb: str) -> list[str]:
        agent = [self.python, "-I", "-c", _BOOT, verb]
        return agent if self.local else [*self.ssh, shlex.join(agent)]

    def _read(
        self,
        process: subprocess.Popen[bytes],
        stdin: bytes,
        tells: Mapping[str, Tell],
        timeout_sec: float,
    ) -> dict[str, Any]:
        """Read what the agent says until its last line."""
        errors: list[bytes] = []
        threads = [
            Thread(target=_feed, args=(process.stdin, stdin), daemon=True),
            Thread(target=_collect, args=(process.stderr, errors), daemon=True),
        ]
        timer = Timer(timeout_sec, _kill, (process,))
        last: dict[str, Any] = {}
        try:
            for thread in (*threads, timer):
                thread.start()
            with process.stdout or io.BytesIO() as lines:
                for line in lines:
                    last = _parsed(line)
                    for kind in tells.keys() & last.keys():
                        tells[kind](f"{self.name}: {last[kind]}")
            code = process.wait()
        finally:
            expired = not timer.is_alive()
            timer.cancel()
            _kill(process)
            process.wait()
        for thread in threads:
            thread.join(1)
        if "problems" in last:
            raise DeployError(*(self._problem(found) for found in last["problems"]))
        if "result" in last:
            return dict(last["result"])
        if expired:
            raise self._failure(f"did not answer within {timeout_sec:g} s", "Run the step again")
        raise self._lost(code, b"".join(errors).decode(errors="replace"))

    def _problem(self, found: Mapping[str, str]) -> Problem:
        return Problem(f"{self.name}: {found['what']}", found["cause"], found["remedy"])

    def _lost(self, code: int, errors: str) -> DeployError:
        words = "\n".join(errors.strip().splitlines()[-5:])
        if not self.local and code == _LOST:
            return self._failure(
                f"cannot be reached over ssh, or the connection was lost:\n{words}",
                "Check that `ssh` logs in without a password and knows the host's key, and run "
                "the step again: it goes on where this one ended",
            )
        return self._failure(
            f"ended the agent with exit code {code}:\n{words}",
            "Check that Python 3.11 is there (DEPLOY_PYTHON), and run the step again",
        )

    def _failure(self, cause: str, remedy: str) -> DeployError:
        return DeployError.of(f"The host {self.name}", cause, remedy)


def parse_hosts(text: str, ssh_config: Path | None, python: str = "python3") -> tuple[Host, ...]:
    """Return the hosts of `local` and `ssh://USER@HOST[:PORT]`, separated by commas.

    Raises DeployError for anything else: the text ends up on the command line of ssh.

    >>> [host.name for host in parse_hosts("local, ssh://deploy@app1.internal:2222", None)]
    ['local', 'deploy@app1.internal:2222']
    """
    if not _PYTHON.fullmatch(python):
        raise DeployError.of("DEPLOY_PYTHON", "is no program's name", "Write python3.11, or a path")
    names = [part.strip() for part in text.split(",")]
    if len(set(names)) != len(names):
        raise DeployError.of("DEPLOY_HOSTS", "names a host twice", "Name each host once")
    return tuple(_host(name, ssh_config, python) for name in names)


def _host(name: str, ssh_config: Path | None, python: str) -> Host:
    if name == "local":
        return Host("local", local=True, python=sys.executable)
    found = _SSH.fullmatch(name)
    if found is None or not 0 < int(found["port"] or 22) < 65_536:  # noqa: PLR2004 - ports
        raise DeployError.of(
            "DEPLOY_HOSTS",
            "names something that is neither local nor ssh://USER@HOST[:PORT]",
            'Write, for example, export DEPLOY_HOSTS="ssh://deploy@app1.internal"',
        )
    options = ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={_CONNECT_SEC}"]
    options += ["-o", "ServerAliveInterval=15", "-T"]
    if ssh_config is not None:
        options += ["-F", str(ssh_config)]
    if found["port"]:
        options += ["-p", found["port"]]
    command = ("ssh", *options, "-l", found["user"], "--", found["host"])
    return Host(name.removeprefix("ssh://"), local=False, python=python, ssh=command)


@cache
def agent_zip() -> bytes:
    """Return this package as a zip that Python runs; the same bytes for the same files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in sorted(_walk(files("kis_deploy"), "kis_deploy")):
            archive.writestr(zipfile.ZipInfo(name), file.read_bytes(), zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _walk(folder: Traversable, name: str) -> list[tuple[str, Traversable]]:
    found = []
    for entry in folder.iterdir():
        path = f"{name}/{entry.name}"
        if entry.is_dir() and entry.name != "__pycache__":
            found += _walk(entry, path)
        elif entry.is_file():
            found.append((path, entry))
    return found


def _parsed(line: bytes) -> dict[str, Any]:
    """Return a line of the agent; anything else that a login prints is passed over."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _feed(pipe: IO[bytes], stdin: bytes) -> None:
    # One that ends without reading says why with its exit code.
    with suppress(BrokenPipeError), pipe:
        pipe.write(stdin)


def _collect(pipe: IO[bytes], errors: list[bytes]) -> None:
    with pipe:
        errors.append(pipe.read())


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
