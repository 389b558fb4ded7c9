"""What a colour starts with: its release, environment and files; and what starts, stops and lacks.

The process manager is one of these tests: it answers for a colour as the application does.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from tests.store.postgresql import free_port

from kis_deploy.host import colours, proxy, systemd, upkeep
from kis_deploy.host.layout import COLOURS, Layout, read_environment
from kis_deploy.host.managers import PROXY
from kis_deploy.host.site import Site
from kis_deploy.host.state import State, mark, write_state
from kis_deploy.host.supervisord import Supervisord
from kis_deploy.host.systemd import Systemd
from kis_deploy.hosts import parse_hosts
from kis_deploy.problems import DeployError, Problem

# What a colour logs when it starts, and says of itself when it is not ready.
LOGGED = ['{"event": "request", "status": 503}'] * 30 + ["Storage refuses the key"]
UNREADY = {"status": "unavailable", "db": "ok", "storage": "unavailable", "traceId": "t-1", "x": 1}
ACCOUNT = None if os.geteuid() else "www-data"


class Programs:
    """A manager whose colours answer, unless they are to fail."""

    kind = "supervisord"

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.running: dict[str, ThreadingHTTPServer | None] = {}
        self.environments: dict[str, dict[str, str]] = {}
        self.stopped: list[str] = []
        self.ending: set[str] = set()
        self.fails = False
        self.ready = True
        self.logs: dict[str, list[str]] = {}

    def lacks(self) -> list[Problem]:
        return []

    def prepare(self) -> None:
        pass

    def start(self, name: str) -> None:
        if name not in COLOURS or self.fails:
            self.running[name] = None
            return
        self.logs.setdefault(name, []).extend(LOGGED)
        folder = self.layout.colour(name)
        self.environments[name] = read_environment(folder / "environment")
        version, ready = self.layout.version_of(name), self.ready

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if ready else 503)
                self.end_headers()
                told = {"version": version} if ready else UNREADY
                self.wfile.write(json.dumps(told).encode())

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

    def pid(self, name: str, *, ending: bool = False) -> int | None:
        return os.getpid() if name in self.running or (ending and name in self.ending) else None

    def log_end(self, name: str) -> str:
        return str(len(self.logs.get(name, ())))

    def tail(self, name: str, lines: int, since: str | None = None) -> list[str]:
        return self.logs.get(name, [])[int(since or 0) :][-lines:]

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


def test_a_colour_that_is_not_ready_says_why(site: Site, programs: Programs) -> None:
    """What it logged at this start alone, without requests, and what /readyz said."""
    programs.logs["blue"] = ["another release"] * 5
    programs.ready = False
    with pytest.raises(DeployError) as told:
        start(site, "1.0.0", ready_sec=0.3)
    assert told.value.problems[0].cause == (
        "was not ready within 0.3 s (/readyz answered 503, status unavailable, db ok,"
        " storage unavailable, traceId t-1); the end of its log since this start:\n"
        "Storage refuses the key"
    )


def test_supervisord_tells_what_was_logged_since(site: Site) -> None:
    manager, log = Supervisord(site.layout), site.layout.run / "blue.log"
    assert manager.tail("blue", 20, manager.log_end("blue")) == []
    log.write_text("before\n", encoding="utf-8")
    since = manager.log_end("blue")
    with log.open("a", encoding="utf-8") as more:
        more.write("one\ntwo\nthree\n")
    assert manager.tail("blue", 2, since) == ["two", "three"]
    assert manager.tail("blue", 20) == ["before", "one", "two", "three"]
    log.write_text("anew\n", encoding="utf-8")
    assert manager.tail("blue", 20, since) == ["anew"]


def test_systemd_tells_what_was_logged_since(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def output(_: object, command: list[str]) -> str:
        asked.append(command)
        return ""

    monkeypatch.setattr(systemd, "_output", output)
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.25)
    manager = Systemd(site.layout)
    manager.tail("blue", 20, manager.log_end("blue"))
    assert asked[0][-1] == "--since=@1700000000.250000"


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
    monkeypatch.setattr(Systemd, "pid", lambda *_, **__: None)
    assert lacking(Site(layout, Systemd(layout)), str(python)) == {
        "systemd": "takes units from root alone",
        "The account no-such-account": "does not exist on this host",
        "nginx": "is not on this host",
        "DEPLOY_ROOT": f"{tmp_path} cannot be written to",
        str(python): "No module named 'ensurepip'",
    }
    assert "/nowhere/python3" in lacking(site, "/nowhere/python3")


def test_a_port_that_another_program_has_is_lacking(site: Site, programs: Programs) -> None:
    """One of our own is not: of a colour that serves, or that is to end."""

    def lacking_ports(**fields: Any) -> list[tuple[str, str]]:
        request = {"ports": PORTS[:2], "proxy_port": PORTS[2], **fields}
        found = upkeep.status(site, sys.executable, request)["lacks"]
        return [(problem["what"], problem["cause"]) for problem in found]

    assert lacking_ports() == []
    with listening() as first, listening() as second:
        taken = f"port {second} is in use by another program"
        assert lacking_ports(ports=[PORTS[0], second]) == [("DEPLOY_PORTS", taken)]
        assert lacking_ports(proxy_port=second) == [("APP_PORT", taken)]
        assert lacking_ports(bind="203.0.113.1") == [("DEPLOY_BIND", "is no address of this host")]
        serve(site, "1.0.0")
        assert lacking_ports() == []
        assert lacking_ports(ports=[first, second]) == [("DEPLOY_PORTS", taken)], "green's alone"
    programs.ending.add("green")
    with listening(PORTS[1]):
        assert lacking_ports() == []
        programs.ending.clear()
        assert [what for what, _ in lacking_ports()] == ["DEPLOY_PORTS"]


@contextmanager
def listening(port: int = 0) -> Iterator[int]:
    """Have a port as another program has it."""
    with socket.create_server(("127.0.0.1", port)) as server:
        yield int(server.getsockname()[1])
