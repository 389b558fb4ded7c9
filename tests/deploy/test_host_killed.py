"""An agent that is killed in the middle of its work: the old one serves, and the next run works."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import httpx
import pytest
from tests.deploy.host_root import HostRoot, host_root
from tests.deploy.load import Load

from kis_deploy.host.layout import Layout
from kis_deploy.host.state import mark, marked, read_state

pytestmark = pytest.mark.proof


def answering(root: HostRoot) -> str:
    return str(httpx.get(f"{root.url}/healthz", timeout=60).json()["version"])


def test_killed_in_a_start(host: HostRoot, two: tuple[str, str]) -> None:
    old, new = two
    with Load(host.url) as load:
        host.cut_short("start", host.starting(new), "Starting")
        assert host.serving() == old
        host.call("settle")
        assert host.status()["leftovers"] == []
        assert answering(host) == old
        host.deploy(new)
        load.more()
    assert load.failures == []
    assert answering(host) == new


def test_killed_in_a_switch(host: HostRoot, two: tuple[str, str]) -> None:
    """Wherever it was killed, what serves is what the status says, and the next run ends it."""
    old, new = two
    with Load(host.url) as load:
        started = host.start(new)
        target = {"colour": started["colour"], "port": started["port"]}
        host.cut_short("switch", host.request(**target), "Switching")
        assert answering(host) == host.serving()
        host.call("settle")
        assert host.status()["leftovers"] == []
        assert answering(host) == host.serving()
        if host.serving() == old:
            host.deploy(new)
        load.more()
    assert load.failures == []
    assert answering(host) == new


def test_a_switch_that_was_not_written_down_counts(host: HostRoot, two: tuple[str, str]) -> None:
    """The moment between the mark of the proxy and the file of the state."""
    old, new = two
    host.start(new)
    layout = Layout(host.path)
    written = layout.state.read_bytes()
    mark(layout, read_state(layout).idle)
    assert answering(host) == new == host.serving()
    assert layout.state.read_bytes() == written, "a status writes nothing"
    host.call("settle")
    found = host.status()
    assert (found["serving"]["version"], found["previous"]["version"]) == (new, old)
    assert found["serving"]["colour"] == marked(layout)


def test_killed_in_a_drain(host: HostRoot, two: tuple[str, str]) -> None:
    old, new = two
    colour = host.status()["serving"]["colour"]
    with Load(host.url) as load:
        started = host.start(new)
        host.call("switch", colour=started["colour"], port=started["port"])
        for at in ("Draining", "Stopping"):
            host.cut_short("drain", host.request(colour=colour), at)
        host.call("drain", colour=colour)
        load.more()
    assert load.failures == []
    found = host.status()
    assert (found["serving"]["version"], found["previous"]["version"]) == (new, old)
    assert found["leftovers"] == []


def test_killed_while_everything_stops_or_starts(host: HostRoot) -> None:
    now = host.serving()
    host.cut_short("stop", host.request(), "Stopping proxy")
    host.call("stop")
    host.cut_short("restart", host.request(), "Starting")
    host.call("restart")
    assert answering(host) == now


def test_killed_while_it_settles(host: HostRoot, two: tuple[str, str]) -> None:
    old, new = two
    host.start(new)
    host.cut_short("settle", host.request(), "Stopping")
    host.call("settle")
    assert host.status()["leftovers"] == []
    assert answering(host) == old


def test_killed_in_an_installation(tmp_path: Path) -> None:
    with host_root(tmp_path) as root:
        for at in ("Installing v", "Preparing pip", "Installing the program"):
            root.send("1.0.0")
            root.cut_short("install", root.request(version="1.0.0"), at)
            assert root.status()["releases"] == []
            assert any("unfinished" in text for text in root.status()["leftovers"])
            assert root.call("settle")["cleaned"]
            assert root.status()["leftovers"] == []
            assert not (root.path / "releases/v1.0.0").exists()
        root.install("1.0.0")


def test_a_killed_application_is_started_again(host: HostRoot) -> None:
    """Not an agent's death: the process manager looks after what serves."""
    now = host.status()["serving"]
    layout = Layout(host.path)
    lock = layout.colour(now["colour"]) / "home/serve.lock"
    pid = json.loads(lock.read_text(encoding="utf-8"))["pid"]
    os.kill(pid, signal.SIGKILL)
    with Load(host.url) as load:
        load.until(lambda: now["version"] in load.versions_seen)
