"""How a host is, and how it gets back to what it should be."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kis_deploy.host.colours import asked, await_ready, ready_sec
from kis_deploy.host.layout import COLOURS, Colour, read_environment, remove
from kis_deploy.host.managers import PROXY
from kis_deploy.host.proxy import nginx_command, provide
from kis_deploy.host.site import Site
from kis_deploy.host.state import State, write_state
from kis_deploy.problems import DeployError, Problem
from kis_deploy.runner import Runner

_PYTHON_SEC = 60

_NOTHING: Mapping[str, Any] = {}

Tell = Callable[[str], None]


def status(site: Site, python: str, request: Mapping[str, Any] = _NOTHING) -> dict[str, Any]:
    """Return how the host is, and what it lacks for serving; nothing on it changes.

    With `ports`, `proxy_port` and `bind`, as for a start, a port that cannot be had is lacking too.
    """
    layout, state = site.layout, site.state()
    existing = next(path for path in (layout.root, *layout.root.parents) if path.exists())
    listening = {"bind": state.bind, "proxy_port": state.proxy_port}
    return {
        "python": platform.python_version(),
        "freeBytes": shutil.disk_usage(existing).free,
        "manager": site.manager.kind,
        "lacks": [
            problem.as_json()
            for problem in (*_lacks(site, python, existing), *_lacking_ports(site, request))
        ],
        "serving": state.serving and asdict(state.serving) | listening,
        "environment": _told_environment(site, state),
        "previous": state.previous and asdict(state.previous),
        "releases": layout.versions(),
        "leftovers": [
            *(f"{colour} runs and does not serve" for colour in _strays(site, state)),
            *(f"{path.relative_to(layout.root)} is unfinished" for path in _unfinished(site)),
        ],
        "proxy": "stopped" if site.manager.pid(PROXY) is None else "running",
    }


def _told_environment(site: Site, state: State) -> dict[str, str]:
    """Return which installation serves, by variables that are no secret."""
    if state.serving is None:
        return {}
    found = read_environment(site.layout.colour(state.serving.colour) / "environment")
    return {name: found[name] for name in ("APP_ENV", "SUPABASE_URL") if name in found}


def settle(site: Site, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Clean up what a killed run left, and start what should run; whoever serves is left alone."""
    state, cleaned = site.state(), []
    for colour in _strays(site, state):
        tell(f"Stopping {colour}, which does not serve")
        cleaned.append(f"stopped {colour}, which did not serve")
    for colour in _idle(state):
        site.manager.stop(colour)  # also one that ended and waits for its next try
    for path in _unfinished(site):
        remove(path)
        cleaned.append(f"removed {path.relative_to(site.layout.root)}, which was unfinished")
    try:
        cleaned += restart(site, request, tell)["started"]
    except DeployError as error:  # what serves is broken: another release is to take its place
        tell(str(error))
        cleaned.append("what should serve does not start")
    return {"cleaned": cleaned}


def restart(site: Site, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Start what should run by state.json and does not; the proxy, too, where the colour fails.

    Raises DeployError where the colour is not ready in time: its manager goes on trying.
    """
    state = site.state()
    if state.serving is None:
        return {"started": []}
    colour = state.serving.colour
    write_state(site.layout, state)
    site.manager.prepare()
    names = {colour: f"{colour}, which should serve", PROXY: "the proxy, which should run"}
    stopped = [name for name in names if site.manager.pid(name) is None]
    for name in stopped:
        tell(f"Starting {names[name]}")
    since = site.manager.log_end(colour)
    if colour in stopped:
        site.manager.start(colour)
    provide(site.layout, site.manager, state)
    if colour in stopped:
        await_ready(site, colour, state.serving.port, ready_sec(request), since)
    return {"started": [f"started {names[name]}" for name in stopped]}


def stop(site: Site, tell: Tell) -> dict[str, Any]:
    """Stop everything: first the proxy, so that requests under way are answered."""
    stopped = []
    for name in (PROXY, *COLOURS):
        if site.manager.pid(name) is not None:
            tell(f"Stopping {name}")
            stopped.append(name)
        site.manager.stop(name)  # one that ends already, or waits for its next try, too
    site.manager.shut_down()
    return {"stopped": stopped}


def _lacks(site: Site, python: str, existing: Path) -> list[Problem]:
    """Return what the host needs for serving and has not."""
    problems = site.manager.lacks()
    for look in (site.layout.find_account, lambda: nginx_command(site.layout)):
        try:
            look()
        except DeployError as error:
            problems += error.problems
    if not os.access(existing, os.W_OK):
        remedy = "Log in as its owner (DEPLOY_HOSTS), or hand it over to who deploys"
        problems.append(Problem("DEPLOY_ROOT", f"{existing} cannot be written to", remedy))
    return problems + _lacking_python(python)


def _lacking_python(python: str) -> list[Problem]:
    """Return why releases cannot be installed with a Python."""
    code = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
    try:
        done = Runner().run([python, "-I", "-B", "-c", code], timeout_sec=_PYTHON_SEC)
    except DeployError as error:
        return list(error.problems)
    if not done.code:
        return []
    remedy = "Install Python 3.11 or newer with python3-venv, and name it in DEPLOY_PYTHON"
    return [Problem(python, done.last_lines(1) or "is older than 3.11", remedy)]


def _lacking_ports(site: Site, request: Mapping[str, Any]) -> Iterator[Problem]:
    """Tell each port of a start that another program has, or that nobody can have."""
    if "ports" not in request:
        return
    state, manager = site.state(), site.manager
    running = [colour for colour in state.ports if manager.pid(colour, ending=True) is not None]
    own = {state.ports[colour] for colour in running}
    for port in asked(site, request).ports.values():
        if port not in own:
            yield from _refusal("DEPLOY_PORTS", "127.0.0.1", port)
    port = int(request["proxy_port"])
    if port != state.proxy_port or manager.pid(PROXY, ending=True) is None:
        yield from _refusal("APP_PORT", str(request.get("bind", state.bind)), port)


def _refusal(name: str, address: str, port: int) -> Iterator[Problem]:
    """Tell why a port cannot be listened on; to be bound for a moment hinders nobody."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        # as servers do: connections of one that has ended do not count
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                yield Problem("DEPLOY_BIND", "is no address of this host", "Name one that it has")
                return
            cause = f"port {port} cannot be listened on ({error.strerror})"
            if error.errno == errno.EADDRINUSE:
                cause = f"port {port} is in use by another program"
            yield Problem(name, cause, f"Free the port, or name another in {name}")


def _strays(site: Site, state: State) -> list[str]:
    """Return the colours that run and do not serve."""
    return [colour for colour in _idle(state) if site.manager.pid(colour) is not None]


def _idle(state: State) -> list[Colour]:
    serving = state.serving and state.serving.colour
    return [colour for colour in COLOURS if colour != serving]


def _unfinished(site: Site) -> list[Path]:
    """Return what was being received, installed or written."""
    layout = site.layout
    releases = [path for path in layout.releases.glob("v*") if path.is_dir()]
    return [
        *sorted(layout.incoming.glob("*")),
        *sorted(p for p in releases if not layout.is_installed(p.name.removeprefix("v"))),
        *layout.root.glob("tools.unfinished"),
        *layout.drafts(),
    ]
