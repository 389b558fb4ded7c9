"""How a host is, and how it gets back to what it should be."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kis_deploy.host.colours import await_ready
from kis_deploy.host.layout import COLOURS, remove
from kis_deploy.host.managers import PROXY
from kis_deploy.host.proxy import provide
from kis_deploy.host.site import Site
from kis_deploy.host.state import State, write_state
from kis_deploy.problems import DeployError

Tell = Callable[[str], None]


def status(site: Site) -> dict[str, Any]:
    """Return how the host is; nothing on it changes."""
    layout, state = site.layout, site.state()
    existing = next(path for path in (layout.root, *layout.root.parents) if path.exists())
    return {
        "python": platform.python_version(),
        "freeBytes": shutil.disk_usage(existing).free,
        "manager": site.manager.kind,
        "serving": state.serving and asdict(state.serving),
        "previous": state.previous and asdict(state.previous),
        "releases": layout.versions(),
        "leftovers": [
            *(f"{colour} runs and does not serve" for colour in _strays(site, state)),
            *(f"{path.relative_to(layout.root)} is unfinished" for path in _unfinished(site)),
        ],
        "proxy": "stopped" if site.manager.pid(PROXY) is None else "running",
    }


def settle(site: Site, tell: Tell) -> dict[str, Any]:
    """Clean up what a killed run left, and start what should run; whoever serves is left alone."""
    state, cleaned = site.state(), []
    for colour in _strays(site, state):
        tell(f"Stopping {colour}, which does not serve")
        site.manager.stop(colour)
        cleaned.append(f"stopped {colour}, which did not serve")
    for path in _unfinished(site):
        remove(path)
        cleaned.append(f"removed {path.relative_to(site.layout.root)}, which was unfinished")
    try:
        cleaned += restart(site, tell)["started"]
    except DeployError as error:  # what serves is broken: another release is to take its place
        tell(str(error))
        cleaned.append("what should serve does not start")
    return {"cleaned": cleaned}


def restart(site: Site, tell: Tell) -> dict[str, Any]:
    """Start what should run by state.json and does not."""
    state = site.state()
    started: list[str] = []
    if state.serving is None:
        return {"started": started}
    colour = state.serving.colour
    write_state(site.layout, state)
    site.manager.prepare()
    if site.manager.pid(colour) is None:
        tell(f"Starting {colour}, which should serve")
        site.manager.start(colour)
        await_ready(site, colour, state.serving.port)
        started.append(f"started {colour}, which should serve")
    stopped = site.manager.pid(PROXY) is None
    provide(site.layout, site.manager, state)
    if stopped:
        started.append("started the proxy, which should run")
    return {"started": started}


def stop(site: Site, tell: Tell) -> dict[str, Any]:
    """Stop everything: first the proxy, so that requests under way are answered."""
    stopped = []
    for name in (PROXY, *COLOURS):
        if site.manager.pid(name) is not None:
            tell(f"Stopping {name}")
            site.manager.stop(name)
            stopped.append(name)
    site.manager.shut_down()
    return {"stopped": stopped}


def _strays(site: Site, state: State) -> list[str]:
    """Return the colours that run and do not serve."""
    serving = state.serving and state.serving.colour
    return [
        colour for colour in COLOURS if colour != serving and site.manager.pid(colour) is not None
    ]


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
