"""supervisord as the process manager: one of our own, below the root, asked over its socket."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import stat
import time
import xmlrpc.client
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from kis_deploy.host.commands import Noted
from kis_deploy.host.layout import COLOURS, Layout, write
from kis_deploy.host.managers import PROXY
from kis_deploy.host.proxy import nginx_command
from kis_deploy.problems import DeployError, Problem

STOP_SEC = 60
_START_SEC = 60
_ANSWER_SEC = STOP_SEC + 30
_ENDING = "STOPPING"
_SOCKET_PATH_BYTES = 90  # of 103: supervisord binds under a longer name first
_LOG_OPTIONS = "stdout_logfile={log}\nstdout_logfile_maxbytes=20MB\nstdout_logfile_backups=5\n"
_MAIN = """\
[unix_http_server]
file={socket}
chmod=0700

[supervisord]
logfile={root}/run/supervisord.log
logfile_maxbytes=10MB
logfile_backups=3
pidfile={root}/run/supervisord.pid
childlogdir={root}/run
umask=027

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{socket}

[include]
files={root}/run/programs/*.conf
"""
# The shell reads the environment from its file and becomes the program; secrets are in neither
# the arguments nor this configuration.
_COLOUR = (
    "/bin/sh -c 'set -a; . {folder}/environment; exec {folder}/release/venv/bin/kis serve "
    '--host 127.0.0.1 --port "$APP_PORT" --workers "$DEPLOY_WORKERS"\''
)
# What does not start is tried again for ever: each try waits a second longer than the last.
_PROGRAM = """\
[program:{name}]
command={command}
directory={folder}
autostart=false
autorestart=true
startsecs=2
startretries=100000
stopsignal={signal}
stopwaitsecs={stop_sec}
stopasgroup=false
killasgroup=true
redirect_stderr=true
"""
_note = Noted().note


class Supervisord:
    """A supervisord below the root; it outlives the agent that starts it."""

    kind = "supervisord"

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._configuration = layout.run / "supervisord.conf"
        self._socket = _socket_path(layout)

    def lacks(self) -> list[Problem]:
        """Return what the host needs for it and has not."""
        if shutil.which("supervisord") is not None:
            return []
        remedy = "Install it: apt-get install supervisor"
        return [Problem("supervisord", "is not on this host", remedy)]

    def prepare(self) -> None:
        """Write the configuration, and start the daemon where it does not run."""
        programs = self._layout.run / "programs"
        programs.mkdir(exist_ok=True)
        nginx = " ".join(nginx_command(self._layout))
        for name in COLOURS:
            folder = self._layout.colour(name)
            command = _COLOUR.format(folder=folder)
            write(programs / f"{name}.conf", self._program(name, command, folder, "TERM"))
        proxy = self._program(PROXY, nginx, self._layout.proxy, "QUIT")
        write(programs / f"{PROXY}.conf", proxy)
        write(
            self._configuration,
            _MAIN.format(root=self._layout.root, socket=self._socket),
        )
        if self._alive():
            return
        if self._socket.parent != self._layout.run:
            _make_private(self._socket.parent)
        self._launch()

    def start(self, name: str) -> None:
        """Start a program with its present configuration."""
        if self.pid(name) is not None:
            return
        self.stop(name)  # one that ended and waits for its next try begins anew
        [[added, changed, _]] = self._call("reloadConfig")
        if name in changed:
            self._call("removeProcessGroup", name)
        if name in {*added, *changed}:
            self._call("addProcessGroup", name)
        _note(f"supervisord: start {name}")
        self._call("startProcess", name, False)  # noqa: FBT003 - its second parameter is `wait`

    def stop(self, name: str) -> None:
        """Stop a program, and wait until it has ended."""
        if not self._alive():
            return
        with suppress(xmlrpc.client.Fault):  # it does not run, or is being stopped already
            self._call("stopProcess", name)
            _note(f"supervisord: stopped {name}")
        self._await_end(name)

    def pid(self, name: str, *, ending: bool = False) -> int | None:
        """Return the process of a program that starts or runs, or, if asked for, is to end."""
        if not self._alive():
            return None
        found = self._process(name)
        if found["statename"] == _ENDING and not ending:
            return None
        return found["pid"] or None

    def log_end(self, name: str) -> str:
        """Return the size of the program's log."""
        log = self._log(name)
        return str(log.stat().st_size if log.is_file() else 0)

    def tail(self, name: str, lines: int, since: str | None = None) -> list[str]:
        """Return the end of the program's log, or of what is behind that size."""
        log = self._log(name)
        if not log.is_file():
            return []
        text, start = log.read_bytes(), int(since or 0)
        added = text[start:] if start <= len(text) else text  # a smaller one was begun anew
        return added.decode(errors="replace").splitlines()[-lines:]

    def shut_down(self) -> None:
        """End the daemon."""
        if self._alive():
            self._call("shutdown")
            _note("supervisord: shutdown")
            _wait(lambda: self._answers() is False, "does not end")
        if self._socket.parent != self._layout.run:
            shutil.rmtree(self._socket.parent, ignore_errors=True)

    def _log(self, name: str) -> Path:
        """Return where a program logs: opened by root, so not where the account may write."""
        return self._layout.run / f"{name}.log"

    def _process(self, name: str) -> dict[str, Any]:
        try:
            return dict(self._call("getProcessInfo", name))
        except xmlrpc.client.Fault:  # it was never started
            return {"statename": "STOPPED", "pid": 0}

    def _await_end(self, name: str) -> None:
        """Wait for a program that is being stopped, perhaps by an agent that was killed."""
        _wait(lambda: self._process(name)["statename"] != _ENDING, f"does not end {name}")

    def _program(self, name: str, command: str, folder: Path, signal: str) -> str:
        text = _PROGRAM.format(
            name=name, command=command, folder=folder, signal=signal, stop_sec=STOP_SEC
        ) + _LOG_OPTIONS.format(log=self._log(name))
        if self._layout.account is not None and not os.geteuid():
            text += f"user={self._layout.account}\n"
        return text

    def _launch(self) -> None:
        if lacking := self.lacks():
            raise DeployError(*lacking)
        Noted().check(
            ["supervisord", "-c", str(self._configuration)],
            Problem("supervisord", "does not start", f"Read {self._layout.run}/supervisord.log"),
            cwd=Path("/"),
            timeout_sec=_START_SEC,
        )
        _wait(self._alive, f"does not answer at {self._socket}")

    def _alive(self) -> bool:
        """Whether the daemon takes orders; the end of one that shuts down is waited for."""
        _wait(lambda: self._answers() is not None, "does not end")
        return bool(self._answers())

    def _answers(self) -> bool | None:
        """Whether the daemon answers, None while it shuts down and refuses every order."""
        try:
            self._call("getPID")
        except xmlrpc.client.Fault:
            return None
        except (OSError, HTTPException):
            return False
        return True

    def _call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401 - as answered
        transport = _SocketTransport(self._socket)
        with xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=transport) as server:
            return getattr(server.supervisor, method)(*arguments)


class _SocketTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: object) -> HTTPConnection:
        """Return a connection to the socket, whatever the URL says."""
        self._connection = str(host), _SocketConnection(self._path)  # closed with the transport
        return self._connection[1]


class _SocketConnection(HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_ANSWER_SEC)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _socket_path(layout: Layout) -> Path:
    """Return where the daemon listens: a socket's path has few bytes, a root may have many."""
    path = layout.run / "supervisor.sock"
    if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(layout.root)).hexdigest()[:16]
    return Path(f"/var/tmp/kis-{os.geteuid()}-{digest}/supervisor.sock")  # noqa: S108 - made private


def _make_private(folder: Path) -> None:
    """Make the folder of the socket, or refuse one that somebody else has made."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise DeployError.of(str(folder), "belongs to somebody else", "Remove it")


def _wait(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _ANSWER_SEC
    while not condition():
        if time.monotonic() > deadline:
            raise DeployError.of("supervisord", otherwise, "Read its log below the root")
        time.sleep(0.05)
