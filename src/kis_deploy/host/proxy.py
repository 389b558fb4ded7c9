"""nginx in front of the colours: an instance of our own below the root, no root account needed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from kis_deploy.host.asking import proxy_address, status_of
from kis_deploy.host.layout import Layout, template, write
from kis_deploy.host.managers import PROXY, Manager, last_words
from kis_deploy.host.state import State
from kis_deploy.problems import DeployError
from kis_deploy.runner import Redactor

_FOLDERS = ("body", "proxy", "fastcgi", "uwsgi", "scgi")
_CHECK_SEC = 60
_START_SEC = 60
_ESTABLISHED = "01"
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def nginx_command(layout: Layout, configuration: str = "nginx.conf") -> list[str]:
    """Return how nginx is started with a configuration of the root. Raises DeployError."""
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if program is None:
        raise DeployError.of(
            "nginx", "is not on this host", "Install it: apt-get install nginx-light"
        )
    folder = f"{layout.proxy}/"
    log = f"{layout.logs}/error.log"
    return [program, "-p", folder, "-e", log, "-c", f"{folder}{configuration}"]


def configuration(layout: Layout, state: State) -> str:
    """Return nginx.conf for the ports of a state."""
    bind = f"[{state.bind}]" if ":" in state.bind else state.bind
    text = template("nginx.conf", layout)
    for name, value in {
        "@LISTEN@": f"{bind}:{state.proxy_port}",
        "@BLUE@": f"127.0.0.1:{state.ports['blue']}",
        "@GREEN@": f"127.0.0.1:{state.ports['green']}",
        # Who is root must name an account, also to check: nginx gives its folders to that one.
        "@USER@": "" if os.geteuid() else f"user {layout.account or 'root'};",
    }.items():
        text = text.replace(name, value)
    return text


def provide(layout: Layout, manager: Manager, state: State) -> None:
    """Let the proxy run with the configuration of a state; it is checked before it is used."""
    for name in _FOLDERS:
        folder = layout.proxy / "tmp" / name
        folder.mkdir(parents=True, exist_ok=True)
        layout.hand_over(folder.parent, folder)
    file, text = layout.proxy / "nginx.conf", configuration(layout, state)
    changed = not file.exists() or file.read_text(encoding="utf-8") != text
    if changed:
        _check(layout, text)
        # The check has made these, where there were none.
        layout.hand_over(*layout.logs.glob("*.log"), *layout.proxy.glob("nginx.pid"))
        write(file, text)
    pid = manager.pid(PROXY)
    if pid is None:
        manager.start(PROXY)
        _wait_for(layout, manager, state)
    elif changed:
        os.kill(pid, signal.SIGHUP)
        _wait_for(layout, manager, state)


def connections(port: int) -> int:
    """Return how many connections to a port of this host are open."""
    count = 0
    for table in _TABLES:
        if table.exists():
            rows = (line.split() for line in table.read_text(encoding="ascii").splitlines()[1:])
            count += sum(
                int(row[1].rpartition(":")[2], 16) == port and row[3] == _ESTABLISHED
                for row in rows
            )
    return count


def _check(layout: Layout, text: str) -> None:
    draft = layout.proxy / "nginx.conf.checked.draft"
    draft.write_text(text, encoding="utf-8")
    try:
        done = subprocess.run(  # noqa: S603 - the host's nginx, our own configuration
            [*nginx_command(layout, draft.name), "-t", "-q"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_CHECK_SEC,
            check=False,
        )
    finally:
        draft.unlink()
    if done.returncode:
        raise DeployError.of(
            "The proxy's configuration",
            f"is refused by nginx: {done.stderr.strip()[-500:]}",
            "Check DEPLOY_BIND, DEPLOY_PORTS and the version of nginx",
        )


def _wait_for(layout: Layout, manager: Manager, state: State) -> None:
    """Wait until the proxy listens. Raises DeployError with the end of its log."""
    deadline = time.monotonic() + _START_SEC
    while status_of(*proxy_address(state), "/healthz") is None:
        if manager.pid(PROXY) is None or time.monotonic() > deadline:
            words = last_words(manager, PROXY, Redactor())
            raise DeployError.of(
                f"The proxy on port {state.proxy_port}",
                f"does not run:\n{words}",
                f"Free the port or choose another (APP_PORT); read {layout.logs}/error.log",
            )
        time.sleep(0.05)
