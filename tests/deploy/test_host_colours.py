"""What a colour starts with: its release, environment and files; and what starts, stops and lacks.

The process manager is one of these tests: it answers for a colour as the application does.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from tests.store.postgresql import free_port

from kis_deploy.host import colours, proxy, upkeep
from kis_deploy.host.layout import COLOURS, Layout, read_environment
from kis_deploy.host.managers import PROXY
from kis_deploy.host.site import Site
from kis_deploy.host.state import State, mark, write_state
from kis_deploy.host.systemd import Systemd
from kis_deploy.hosts import parse_hosts
from kis_deploy.problems import DeployError, Problem

ACCOUNT = None if os.geteuid() else "www-data"


class Programs:
    """A manager whose colours answer, unless they are to fail."""

    kind = "supervisord"

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.running: dict[str, ThreadingHTTPServer | None] = {}
        self.environments: dict[str, dict[str, str]] = {}
        self.stopped: list[str] = []
        self.fails = False

    def lacks(self) -> list[Problem]:
        return []

    def prepare(self) -> None:
        pass

    def start(self, name: str) -> None:
        if name not in COLOURS or self.fails:
            self.running[name] = None
            return
        folder = self.layout.colour(name)
        self.environments[name] = read_environment(folder / "environment")
        version = self.layout.version_of(name)

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps({"version": version}).encode())

            def log_message(self, *_: object) -> None:
                pass

        port = int(self.environments[name]["APP_PORT"])
        server = ThreadingHTTPServer(("127.0.0.1", port), Answers)
        self.running[name] = server
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self, name: str) -> None:
        self.stopped.append(name)
        server = self.running.pop(name, None)
        if server is not None:
            server.shutdown()
            server.server_close()

    def pid(self, name: str) -> int | None:
        return os.getpid() if name in self.running else None

    def tail(self, name: str, lines: int) -> list[str]:
        return [name][:lines]

    def shut_down(self) -> None:
        pass


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    for folder in (tmp_path, *tmp_path.parents):
        with suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o011)  # so that another account gets there
    layout = Layout(tmp_path / "root", ACCOUNT)
    layout.prepare()
    for version in ("1.0.0", "1.1.0"):
        layout.release(version).mkdir()
        (layout.release(version) / "COMPLETE").touch()
    made = Programs(layout)
    yield made
    for name in list(made.running):
        made.stop(name)


@pytest.fixture
def site(programs: Programs) -> Site:
    return Site(programs.layout, programs)


PORTS = [free_port() for _ in range(3)]


def tell(_: str) -> None:
    pass


def start(site: Site, version: str, **fields: Any) -> dict[str, Any]:
    request = {"version": version, "ports": PORTS[:2], "proxy_port": PORTS[2], "environment": {}}
    return colours.start(site, request | fields, tell)


def serve(site: Site, version: str, **fields: Any) -> dict[str, Any]:
    """Start a release and let it serve, and return what the status says of it."""
    started = start(site, version, **fields)
    old = site.state().serving
    mark(site.layout, started["colour"])
    write_state(site.layout, site.state() if old else site.state().switched(version))
    if old:
        site.manager.stop(old.colour)
    found: dict[str, Any] = upkeep.status(site, sys.executable)["serving"]
    return found


# ---------------------------------------------------------------- what served before


@pytest.mark.parametrize("newer", ["1.0.0", "1.1.0"])
def test_what_served_comes_back_as_it_was(site: Site, programs: Programs, newer: str) -> None:
    company = site.layout.home / "company.toml"
    company.write_text("old", encoding="utf-8")
    served = serve(site, "1.0.0", environment={"SUPABASE_ANON_KEY": "old"})
    before = programs.environments[served["colour"]]
    company.write_text("new", encoding="utf-8")
    now = serve(site, newer, environment={"SUPABASE_ANON_KEY": "wrong"}, workers=7)
    assert (now["version"], now["colour"] != served["colour"]) == (newer, True)

    started = start(site, "1.0.0", served=served, environment={"SUPABASE_ANON_KEY": "wrong"})
    assert (started["colour"], started["port"]) == (served["colour"], served["port"])
    assert programs.environments[started["colour"]] == before
    assert before["SUPABASE_ANON_KEY"] == "old"
    home = site.layout.colour(started["colour"]) / "home"
    assert (home / "company.toml").read_text(encoding="utf-8") == "old"


def test_what_was_never_switched_serves_on(site: Site, programs: Programs) -> None:
    served = serve(site, "1.0.0")
    start(site, "1.1.0")
    assert start(site, "1.0.0", served=served)["colour"] == served["colour"]
    assert programs.stopped.count(served["colour"]) == 1  # before it was started


def test_what_was_replaced_meanwhile_is_not_taken_for_what_served(site: Site) -> None:
    served = serve(site, "1.0.0")
    serve(site, "1.1.0")
    start(site, "1.1.0")
    with pytest.raises(DeployError, match=r"is not as v1\.0\.0 left it"):
        start(site, "1.0.0", served=served)


def test_the_proxy_stays_where_it_is_until_the_switch(site: Site) -> None:
    serve(site, "1.0.0")
    start(site, "1.1.0", proxy_port=PORTS[2] + 1)
    assert upkeep.status(site, sys.executable)["serving"]["proxy_port"] == PORTS[2]


def test_a_proxy_that_cannot_move_is_put_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    served, ports = serve(site, "1.0.0"), []
    place = {name: start(site, "1.1.0")[name] for name in ("colour", "port")}

    def provide(_: Layout, __: object, state: State) -> None:
        ports.append(state.proxy_port)
        if state.proxy_port != PORTS[2]:
            raise DeployError.of("The proxy", "does not run", "Free the port")

    monkeypatch.setattr(colours, "provide", provide)
    with pytest.raises(DeployError, match="The proxy"):
        colours.switch(site, place | {"proxy_port": PORTS[2] + 1}, tell)
    assert ports == [PORTS[2] + 1, PORTS[2]]
    assert upkeep.status(site, sys.executable)["serving"] == served


# ---------------------------------------------------------------- files


def test_a_link_in_a_home_leads_nowhere(site: Site, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("root's", encoding="utf-8")
    (site.layout.home / "company.toml").write_text("ours", encoding="utf-8")
    copy = site.layout.colour("blue") / "home/company.toml"
    copy.symlink_to(victim)
    start(site, "1.0.0")
    assert victim.read_text(encoding="utf-8") == "root's"
    assert (copy.is_symlink(), copy.read_text(encoding="utf-8")) == (False, "ours")
    assert copy.owner() == (ACCOUNT or tmp_path.owner())


@pytest.mark.skipif(ACCOUNT is None, reason="only root has something to lose")
def test_a_linked_folder_in_a_home_is_not_written_to(site: Site, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o755)
    (site.layout.home / "secrets").mkdir()
    (site.layout.home / "secrets/tokens").write_text("ours", encoding="utf-8")
    (site.layout.colour("blue") / "home/secrets").symlink_to(victim)
    with pytest.raises(PermissionError):
        start(site, "1.0.0")
    assert list(victim.iterdir()) == []
    assert os.geteuid() == 0


@pytest.mark.skipif(ACCOUNT is None, reason="only root has something to lose")
def test_the_account_writes_into_folders_of_its_own_alone(site: Site) -> None:
    start(site, "1.0.0")
    owned = [path for path in site.layout.root.rglob("*") if path.owner() == ACCOUNT]
    homes = [site.layout.colour(colour) / "home" for colour in COLOURS]
    environment = site.layout.colour("blue") / "environment"
    assert set(owned) == {site.layout.logs, site.layout.scratch, *homes, environment}
    others = [path for path in site.layout.root.rglob("*") if path not in owned]
    assert not any(path.lstat().st_mode & 0o022 for path in others if not path.is_symlink())


def test_what_is_shared_no_more_is_taken_out(site: Site) -> None:
    shared = site.layout.home
    (shared / "parts").mkdir()
    for name in ("company.toml", "seal.png", "parts/one"):
        (shared / name).write_bytes(b"\x89")
    (shared / "seal.png").chmod(0o600)
    start(site, "1.0.0")
    home = site.layout.colour("blue") / "home"
    assert stat.S_IMODE((home / "seal.png").stat().st_mode) == 0o600
    (home / "serve.lock").write_text("the application's own", encoding="utf-8")
    for name in ("company.toml", "parts/one"):
        (shared / name).unlink()
    start(site, "1.0.0")
    found = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    assert found == {"seal.png", "serve.lock"}


def test_a_machine_for_tools_needs_no_account(tmp_path: Path) -> None:
    """Commands of a release run as who deploys, whatever manager that machine has."""
    request = {"root": str(tmp_path / "tools"), "account": "no-such-account", "version": "1.0.0"}
    (host,) = parse_hosts("local", None)
    with pytest.raises(DeployError, match="was not sent to this host"):
        host.call("install", request)
    assert [path.name for path in (tmp_path / "tools").iterdir()] == ["lock"]


# ---------------------------------------------------------------- upkeep


def test_the_proxy_starts_where_the_colour_does_not(
    site: Site, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(site, "1.0.0")
    upkeep.stop(site, tell)
    programs.fails = True
    monkeypatch.setattr(upkeep, "provide", lambda _, manager, __: manager.start(PROXY))
    with pytest.raises(DeployError, match=r"was not ready within 0\.3 s"):
        upkeep.restart(site, {"ready_sec": 0.3}, tell)
    assert PROXY in programs.running
    upkeep.stop(site, tell)
    cleaned = upkeep.settle(site, {"ready_sec": 0.3}, tell)["cleaned"]
    assert cleaned == ["what should serve does not start"]


def test_a_stop_waits_for_what_ends_already(
    site: Site, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "pid", lambda _: None)
    assert upkeep.stop(site, tell) == {"stopped": []}
    assert programs.stopped == [PROXY, *COLOURS]


def test_logs_of_the_proxy_begin_anew(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = site.layout.logs
    names = ("access.log", "error.log")

    def rotated() -> int:
        proxy.rotate(site.layout, site.manager)
        return len(list(logs.glob("access.log.*")))

    assert rotated() == 0
    for name in names:
        (logs / name).write_text("1\n", encoding="utf-8")
    assert rotated() == 1
    assert not any((logs / name).exists() for name in names)
    (logs / "access.log").write_text("2\n", encoding="utf-8")
    assert rotated() == 1, "begun within a day"
    (earlier,) = logs.glob("access.log.*")
    earlier.rename(logs / "access.log.1")
    os.utime(logs / "access.log.1", (0, 0))
    assert rotated() == 2
    (logs / "access.log").write_text("3\n", encoding="utf-8")
    monkeypatch.setattr(proxy, "_LARGE", 1)
    monkeypatch.setattr("time.time", lambda: 4_000_000_000.5)
    assert rotated() == 3


# ---------------------------------------------------------------- what a host lacks


def lacking(site: Site, python: str) -> dict[str, str]:
    found = upkeep.status(site, python)["lacks"]
    assert all(problem["remedy"] for problem in found)
    return {problem["what"]: problem["cause"] for problem in found}


def test_a_host_with_everything_lacks_nothing(site: Site) -> None:
    assert lacking(site, sys.executable) == {}


def test_everything_that_a_host_lacks_is_told(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\necho \"No module named 'ensurepip'\"; exit 1\n")
    python.chmod(0o755)
    layout = Layout(tmp_path / "none/yet", "no-such-account")
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr(Systemd, "pid", lambda *_: None)
    assert lacking(Site(layout, Systemd(layout)), str(python)) == {
        "systemd": "takes units from root alone",
        "The account no-such-account": "does not exist on this host",
        "nginx": "is not on this host",
        "DEPLOY_ROOT": f"{tmp_path} cannot be written to",
        str(python): "No module named 'ensurepip'",
    }
    assert "/nowhere/python3" in lacking(site, "/nowhere/python3")
