"""Blue and green: start the one that is idle, switch the proxy to it, let the other one end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from kis_deploy.host.asking import proxy_address, readiness_of, version_of
from kis_deploy.host.layout import (
    COLOURS,
    Colour,
    Layout,
    link,
    read_environment,
    remove,
    version_in,
    write,
    write_environment,
)
from kis_deploy.host.managers import last_words
from kis_deploy.host.proxy import connections, provide
from kis_deploy.host.site import Site
from kis_deploy.host.state import KEPT_HOURS, State, mark, moment, other, write_state
from kis_deploy.problems import DeployError
from kis_deploy.runner import Redactor
from kis_deploy.variables import BY_NAME

_READY_SEC, _SWITCH_SEC, _DRAIN_SEC = 90.0, 30.0, 30.0
_LOOK_SEC = 0.1
_OK = 200

Tell = Callable[[str], None]


def start(site: Site, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Start a release in the colour that does not serve, and wait until it is ready.

    With `served`, who served before as `status` told it, that colour starts as it was left: its
    release, environment and files. Raises DeployError with the end of its log where it does not
    become ready; it is stopped then.
    """
    began, version, served = time.monotonic(), version_in(request), request.get("served")
    if not site.layout.is_installed(version):
        raise DeployError.of(
            f"Release v{version}", "is not installed on this host", "Run step 6 again"
        )
    state = asked(site, request) if served is None else site.state()
    colour = state.idle
    if served is not None:
        if state.serving is not None and served["colour"] == state.serving.colour:
            return {"colour": served["colour"], "port": state.serving.port, "seconds": 0.0}
        _check_left(site, state, served)
    if site.manager.pid(colour) is not None:
        tell(f"Stopping what {colour} runs")
    site.manager.stop(colour)  # also one that ended and waits for its next try
    site.layout.prepare()
    if served is None:
        _furnish(site, state, version, request)
    write_state(site.layout, state)
    site.manager.prepare()
    tell(f"Starting v{version} as {colour} on port {state.ports[colour]}")
    try:
        since = site.manager.log_end(colour)
        site.manager.start(colour)
        await_ready(site, colour, state.ports[colour], ready_sec(request), since)
    except BaseException:
        site.manager.stop(colour)
        raise
    return {
        "colour": colour,
        "port": state.ports[colour],
        "seconds": round(time.monotonic() - began, 2),
    }


def ready_sec(request: Mapping[str, Any]) -> float:
    """Return how long a request lets a colour take until it is ready."""
    return float(request.get("ready_sec", _READY_SEC))


def await_ready(site: Site, colour: Colour, port: int, seconds: float, since: str) -> None:
    """Wait until a colour is ready as the version that it is to run.

    Raises DeployError with what /readyz said last, and what the colour logged `since` then.
    """
    version = site.layout.version_of(colour)
    deadline, first, said = time.monotonic() + seconds, None, "/readyz did not answer"
    while True:
        pid = site.manager.pid(colour)
        first = first or pid
        if pid is None or pid != first:  # the manager may have started it again already
            raise _not_ready(site, colour, "ended while it started", since)
        status, told = readiness_of("127.0.0.1", port)
        said = told or said
        if status == _OK and version_of("127.0.0.1", port) == version:
            return
        if time.monotonic() > deadline:
            cause = f"was not ready within {seconds:g} s ({said})"
            raise _not_ready(site, colour, cause, since)
        time.sleep(_LOOK_SEC)


def switch(site: Site, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Send requests to the colour that was started; put back what was where it does not answer.

    With `bind` and `proxy_port` the proxy listens there from then on. With `back` the release that
    is left is one that nobody returns to by default.
    """
    began, state = time.monotonic(), site.state()
    colour, port = _colour_in(request), request.get("port")
    version = site.layout.version_of(colour)
    old = state.serving
    listening = replace(
        state,
        bind=str(request.get("bind", state.bind)),
        proxy_port=int(request.get("proxy_port", state.proxy_port)),
    )
    if old is not None and (old.colour, old.port) == (colour, port):
        provide(site.layout, site.manager, listening)
        write_state(site.layout, listening)
        return {"from": old.version, "to": old.version, "seconds": 0.0}
    if version is None or state.ports.get(colour) != port or site.manager.pid(colour) is None:
        raise DeployError.of(
            f"The colour {colour}", f"does not run on port {port}", "Run step 6 again"
        )
    try:
        provide(site.layout, site.manager, listening)
        tell(f"Switching the proxy to {colour} (v{version})")
        mark(site.layout, colour)
        _await_version(listening, version)
    except BaseException:
        mark(site.layout, other(colour))
        if old is not None:
            provide(site.layout, site.manager, state)
        raise
    tell(f"Requests go to v{version}")
    write_state(site.layout, listening.switched(version, back=bool(request.get("back"))))
    return {
        "from": old and old.version,
        "to": version,
        "seconds": round(time.monotonic() - began, 2),
    }


def drain(site: Site, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Let a colour that serves no more answer what it has begun, then stop it.

    It is waited for until no connection is left, or `drain_sec` are over; a stream that is cut goes
    on with the other colour. Raises DeployError for the colour that serves.
    """
    colour, state = _colour_in(request), site.state()
    if state.serving is None or state.serving.colour == colour:
        raise DeployError.of(
            f"The colour {colour}", "is the one that serves", "Switch to the other one first"
        )
    if site.manager.pid(colour) is not None:
        tell(f"Draining {colour}")
        deadline = time.monotonic() + float(request.get("drain_sec", _DRAIN_SEC))
        while connections(state.ports[colour]) and time.monotonic() < deadline:
            time.sleep(_LOOK_SEC)
        tell(f"Stopping {colour}")
    site.manager.stop(colour)  # one that ends already is waited for
    if state.previous is not None and state.previous.colour == colour:
        until = moment(timedelta(hours=KEPT_HOURS))
        state = replace(state, previous=replace(state.previous, until=until))
    write_state(site.layout, state)
    return {"colour": colour, "until": state.previous and state.previous.until}


def asked(site: Site, request: Mapping[str, Any]) -> State:
    """Return the state with what a request asks for; the colour that serves keeps its port."""
    state = site.state()
    ports = [int(port) for port in request["ports"]]
    of_colours = dict(zip(COLOURS, ports, strict=True))
    if state.serving is not None:
        free = [port for port in ports if port != state.serving.port]
        wanted = of_colours[state.idle]
        of_colours = {
            state.serving.colour: state.serving.port,
            state.idle: wanted if wanted in free else free[0],
        }
    state = replace(state, manager=site.manager.kind, account=site.layout.account, ports=of_colours)
    if state.serving is not None:  # its proxy stays where it is until the switch
        return state
    bind = str(request.get("bind", state.bind))
    return replace(state, bind=bind, proxy_port=int(request["proxy_port"]))


def _check_left(site: Site, state: State, served: Mapping[str, Any]) -> None:
    """Whether the idle colour is as it served. Raises DeployError."""
    folder = site.layout.colour(state.idle)
    left = {"version": site.layout.version_of(state.idle), "port": state.ports.get(state.idle)}
    if not left.items() <= served.items() or not (folder / "environment").is_file():
        raise DeployError.of(
            f"The colour {state.idle}",
            f"is not as v{served['version']} left it",
            "Go back by hand: ./DEPLOYMENT_SCRIPT.sh --rollback",
        )


def _furnish(site: Site, state: State, version: str, request: Mapping[str, Any]) -> None:
    """Give the idle colour its release, its environment and the shared files of KIS_HOME."""
    folder = site.layout.colour(state.idle)
    _share(site.layout, folder)
    link(folder / "release", site.layout.release(version))
    write_environment(
        folder / "environment",
        {
            **request["environment"],
            "KIS_HOME": str(folder / "home"),
            "APP_PORT": str(state.ports[state.idle]),
            "DEPLOY_WORKERS": str(int(request.get("workers", 2))),
        },
    )
    site.layout.hand_over(folder / "environment")


def _share(layout: Layout, folder: Path) -> None:
    """Put the shared files into a KIS_HOME, and take out those that are shared no more."""
    home, listed = folder / "home", folder / "shared.json"
    there = {path.relative_to(layout.home): path for path in sorted(layout.home.rglob("*"))}
    files = {
        name: (path.read_bytes(), path.stat().st_mode & 0o777)
        for name, path in there.items()
        if path.is_file()
    }
    before = json.loads(listed.read_bytes()) if listed.exists() else []
    gone = [name for name in map(Path, before) if name not in files]
    write(listed, json.dumps([str(name) for name in (*files, *gone)]))
    with layout.as_owner():
        for name in gone:
            remove(home / name)
        for name, path in there.items():
            if path.is_dir():
                (home / name).mkdir(mode=0o700, exist_ok=True)
        for name, (content, mode) in files.items():
            write(home / name, content, mode)


def _not_ready(site: Site, colour: Colour, cause: str, since: str) -> DeployError:
    secrets = Redactor()
    for name, value in read_environment(site.layout.colour(colour) / "environment").items():
        if name not in BY_NAME or BY_NAME[name].secret:
            secrets.learn(value)
    words = last_words(site.manager, colour, secrets, since)
    return DeployError.of(
        f"v{site.layout.version_of(colour)} ({colour})",
        f"{secrets(cause)}; the end of its log since this start:\n{words}",
        "Nothing was switched. Correct what the log says, and run the step again",
    )


def _await_version(state: State, version: str) -> None:
    deadline = time.monotonic() + _SWITCH_SEC
    while (found := version_of(*proxy_address(state))) != version:
        if time.monotonic() > deadline:
            raise DeployError.of(
                "The proxy",
                f"answers with version {found} instead of {version}",
                "The old one serves again. Read the proxy's error.log",
            )
        time.sleep(_LOOK_SEC)


def _colour_in(request: Mapping[str, Any]) -> Colour:
    found = [colour for colour in COLOURS if colour == request.get("colour")]
    if not found:
        raise DeployError.of("The colour", "is neither blue nor green", "Name one of them")
    return found[0]
