"""nginx in front of the colours: an instance of our own below the root, no root account needed."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

from kis_deploy.host.asking import proxy_address, status_of
from kis_deploy.host.commands import Noted
from kis_deploy.host.layout import Layout, template, write
from kis_deploy.host.managers import PROXY, Manager, last_words
from kis_deploy.host.releases import DAY_SEC
from kis_deploy.host.state import State
from kis_deploy.problems import DeployError, Problem
from kis_deploy.runner import Redactor

_CHECK_SEC = 60
_START_SEC = 60
_ESTABLISHED = "01"
_LARGE = 50 << 20
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
        # An account of the service starts nginx itself; root says that it means to be root.
        "@USER@": "" if os.geteuid() or layout.account else "user root;",
    }.items():
        text = text.replace(name, value)
    return text


def provide(layout: Layout, manager: Manager, state: State) -> None:
    """Let the proxy run with the configuration of a state; it is checked before it is used."""
    file, text = layout.proxy / "nginx.conf", configuration(layout, state)
    changed = not file.exists() or file.read_text(encoding="utf-8") != text
    if changed:
        _check(layout, text)
        write(file, text)
    pid, since = manager.pid(PROXY), manager.log_end(PROXY)
    if pid is None:
        manager.start(PROXY)
        _wait_for(layout, manager, state, since)
    elif changed:
        os.kill(pid, signal.SIGHUP)
        _wait_for(layout, manager, state, since)


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


def rotate(layout: Layout, manager: Manager) -> None:
    """Begin each log of the proxy anew that is large, or was not for a day."""
    now, rotated = time.time(), False
    for log in filter(Path.exists, (layout.logs / "access.log", layout.logs / "error.log")):
        earlier = [path.lstat().st_mtime for path in layout.logs.glob(f"{log.name}.*")]
        size = log.lstat().st_size
        if size > _LARGE or (size and all(now - ended > DAY_SEC for ended in earlier)):
            log.rename(log.with_name(f"{log.name}.{now:.0f}"))
            rotated = True
    pid = manager.pid(PROXY)
    if rotated and pid is not None:
        os.kill(pid, signal.SIGUSR1)  # it opens its logs anew


def _check(layout: Layout, text: str) -> None:
    """Let nginx check a configuration, as who will run it: it makes its logs and folders."""
    draft = layout.proxy / "nginx.conf.checked.draft"
    write(draft, text)
    try:
        with layout.as_owner():
            Noted().check(
                [*nginx_command(layout, draft.name), "-t"],
                Problem(
                    "The proxy's configuration",
                    "is refused by nginx",
                    "Check DEPLOY_BIND, DEPLOY_PORTS and the version of nginx",
                ),
                timeout_sec=_CHECK_SEC,
            )
    finally:
        draft.unlink()


def _wait_for(layout: Layout, manager: Manager, state: State, since: str) -> None:
    """Wait until the proxy listens. Raises DeployError with what it logged since then."""
    deadline = time.monotonic() + _START_SEC
    while status_of(*proxy_address(state), "/healthz") is None:
        if manager.pid(PROXY) is None or time.monotonic() > deadline:
            words = last_words(manager, PROXY, Redactor(), since)
            raise DeployError.of(
                f"The proxy on port {state.proxy_port}",
                f"does not run:\n{words}",
                f"Free the port or choose another (APP_PORT); read {layout.logs}/error.log",
            )
        time.sleep(0.05)
