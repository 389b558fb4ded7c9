"""The agent: one verb, a request as JSON on standard input, lines of JSON on standard output.

`{"say": …}` and `{"log": …}` while it works, and one last line: `{"result": …}`, or
`{"problems": […]}`.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from kis_deploy.host import colours, proxy, releases, upkeep
from kis_deploy.host.commands import print_line
from kis_deploy.host.layout import Layout, version_in
from kis_deploy.host.site import Site, site_of
from kis_deploy.problems import DeployError, Problem

Tell = Callable[[str], None]

_LOCK_SEC = 60
_MOST_REQUEST = 1 << 20


def _receive(site: Site, request: Mapping[str, Any], _: Tell) -> dict[str, Any]:
    releases.receive(site.layout, version_in(request), sys.stdin.buffer)
    return {}


def _install(site: Site, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    return releases.install(site.layout, version_in(request), _python(request), tell)


def _prune(site: Site, request: Mapping[str, Any], _: Tell) -> dict[str, Any]:
    keep = frozenset(map(str, request.get("keep", ())))
    if site.manager.kind == "supervisord":  # where systemd is, so is logrotate
        proxy.rotate(site.layout, site.manager)
    return releases.prune(site.layout, float(request.get("keep_hours", 24)), keep)


def _python(request: Mapping[str, Any]) -> str:
    """Return the Python that releases are installed with."""
    return str(request.get("python") or sys.executable)


_VERBS: Mapping[str, Callable[[Site, Mapping[str, Any], Tell], dict[str, Any]]] = {
    "status": lambda site, request, _: upkeep.status(site, _python(request), request),
    "receive": _receive,
    "install": _install,
    "start": colours.start,
    "switch": colours.switch,
    "drain": colours.drain,
    "settle": upkeep.settle,
    "prune": _prune,
    "stop": lambda site, _, tell: upkeep.stop(site, tell),
    "restart": upkeep.restart,
}


def main(verb: str) -> int:
    """Do what a verb says; return the exit code, 0 or 1."""
    os.umask(0o022)  # the account of the service reads what is not made private
    try:
        print_line({"result": _run(verb, sys.stdin.buffer)})
    except DeployError as error:
        print_line({"problems": [problem.as_json() for problem in error.problems]})
        return 1
    except OSError as error:
        problem = Problem(
            error.filename or "The host", str(error.strerror or error), "Check disk and permissions"
        )
        print_line({"problems": [problem.as_json()]})
        return 1
    return 0


def _run(verb: str, stdin: IO[bytes]) -> dict[str, Any]:
    if verb not in _VERBS:
        raise DeployError.of("The verb", "is not known", f"Name one of {', '.join(_VERBS)}")
    try:
        request = json.loads(stdin.readline(_MOST_REQUEST) or b"{}")
    except ValueError:
        request = None
    if not isinstance(request, dict):
        raise DeployError.of("The request", "is no JSON object", "Send one line of JSON")
    site = site_of(request)
    if verb == "status":  # changes nothing, so it needs no turn and leaves no lock
        return _VERBS[verb](site, request, _say)
    with _turn(site.layout):
        return _VERBS[verb](site, request, _say)


@contextmanager
def _turn(layout: Layout) -> Iterator[None]:
    """Let one agent at a time work on a root; its lock ends with it. Raises DeployError."""
    layout.root.mkdir(mode=0o755, parents=True, exist_ok=True)
    deadline = time.monotonic() + _LOCK_SEC
    with (layout.root / "lock").open("ab") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise DeployError.of(
                        str(layout.root), "is being worked on", "Wait for the other deployment"
                    ) from None
                time.sleep(0.2)
        yield


def _say(text: str) -> None:
    print_line({"say": text})
