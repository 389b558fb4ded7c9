"""Start, switch, drain and roll back on a real host: supervisord, nginx and two colours."""

from __future__ import annotations

import getpass
import json
import os
import stat
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from tests.deploy.host_root import SECRET, HostRoot, host_root, processes_with, tree
from tests.deploy.load import Load
from tests.store.postgresql import free_port

from kis_deploy.host.layout import Colour, Layout
from kis_deploy.host.managers import PROXY
from kis_deploy.host.proxy import provide, rotate
from kis_deploy.host.state import State
from kis_deploy.host.supervisord import Supervisord
from kis_deploy.problems import DeployError

pytestmark = pytest.mark.proof


def answering(root: HostRoot) -> str:
    return str(httpx.get(f"{root.url}/healthz", timeout=60).json()["version"])


def connection(root: HostRoot) -> HTTPConnection:
    return HTTPConnection("127.0.0.1", root.ports[2], timeout=60)


def version_over(kept: HTTPConnection) -> str:
    kept.request("GET", "/healthz")
    return str(json.loads(kept.getresponse().read())["version"])


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def previous_of(root: HostRoot) -> str | None:
    found = root.status()["previous"]
    return found and str(found["version"])


def environments(root: HostRoot) -> list[Path]:
    return sorted(root.path.glob("colours/*/environment"))


# ---------------------------------------------------------------- forth and back


def test_a_deployment_and_its_rollback_fail_no_request(
    host: HostRoot, two: tuple[str, str]
) -> None:
    old, new = two
    with Load(host.url, rate=60, token=host.token()) as load:
        load.more()
        host.deploy(new)
        load.until(lambda: new in load.versions_seen)
        load.more()
        assert load.versions_seen == {old, new}
        assert host.status()["previous"]["version"] == old
        load.versions_seen.clear()
        host.deploy(old)
        load.until(lambda: old in load.versions_seen)
        load.more()
    assert load.failures == []
    assert (host.serving(), answering(host)) == (old, old)
    assert host.status()["previous"]["version"] == new


def test_a_request_under_way_is_answered_by_the_colour_that_began_it(
    host: HostRoot, two: tuple[str, str]
) -> None:
    """Half of its body comes before the switch, the rest when the old colour is to end."""
    old, new = two
    body = json.dumps({"text": "메인 4P 100A\n분기 2P 20A 9EA"}).encode()
    upload, kept = connection(host), connection(host)
    upload.putrequest("POST", "/v1/evidence/verify")
    upload.putheader("authorization", f"Bearer {host.token()}")
    upload.putheader("content-type", "application/json")
    upload.putheader("content-length", str(len(body)))
    upload.endheaders(body[:10])
    assert version_over(kept) == old
    started, colour = host.start(new), host.status()["serving"]["colour"]
    host.call("switch", colour=started["colour"], port=started["port"])
    assert version_over(kept) == new, "over the same connection"
    answers: list[int] = []

    def told(text: str) -> None:
        if "Draining" in text:
            assert answering(host) == new
            upload.send(body[10:])
            answers.append(upload.getresponse().status)

    host.host.call("drain", host.request(colour=colour), tell=told)
    assert answers == [415], "the application's own answer: that is no pack"
    assert host.status()["leftovers"] == []
    upload.close()
    kept.close()


def test_what_serves_is_never_drained(host: HostRoot) -> None:
    now = host.status()["serving"]
    with pytest.raises(DeployError, match="is the one that serves"):
        host.call("drain", colour=now["colour"])
    assert answering(host) == now["version"]


def test_a_colour_that_does_not_run_is_not_switched_to(host: HostRoot) -> None:
    now = host.status()["serving"]
    idle = {"blue": "green", "green": "blue"}[now["colour"]]
    with pytest.raises(DeployError, match="does not run"):
        host.call("switch", colour=idle, port=now["port"])
    assert answering(host) == now["version"]


def test_what_served_comes_back_with_the_variables_that_it_had(host: HostRoot) -> None:
    """The same release was deployed again, with a variable that is wrong."""
    served = host.status()["serving"]
    file = host.path / "colours" / served["colour"] / "environment"
    before, previous = file.read_bytes(), previous_of(host)
    wrong = host.starting(served["version"])
    wrong["environment"]["SUPABASE_ANON_KEY"] = "wrong"
    with Load(host.url) as load:
        for request in (wrong, host.request(version=served["version"], served=served)):
            now = host.status()["serving"]["colour"]
            started = host.host.call("start", request)
            place = {"colour": started["colour"], "port": started["port"]}
            host.call("switch", **place, bind=served["bind"], proxy_port=served["proxy_port"])
            host.call("drain", colour=now)
            load.more()
    assert load.failures == []
    found = host.status()
    assert (found["serving"]["colour"], file.read_bytes()) == (served["colour"], before)
    assert previous_of(host) == previous


# ---------------------------------------------------------------- what cannot serve


@pytest.mark.parametrize(
    ("version", "ready_sec", "cause"),
    [
        ("1.2.0", 90, "this release cannot start"),
        ("1.3.0", 6, "was not ready within 6 s"),
        ("9.9.9", 90, "is not installed"),
    ],
)
def test_a_release_that_cannot_serve_changes_nothing(
    host: HostRoot, version: str, ready_sec: float, cause: str
) -> None:
    before = host.status()
    with Load(host.url) as load:
        with pytest.raises(DeployError, match=cause) as told:
            host.start(version, ready_sec)
        load.more()
    assert load.failures == []
    assert SECRET not in str(told.value)
    if version == "1.3.0":
        assert "/readyz answered 503, status unavailable, db ok, storage ok, traceId" in str(
            told.value
        )
        assert '"event": "request"' not in str(told.value)
    after = host.status()
    assert {**after, "freeBytes": 0} == {**before, "freeBytes": 0}


def test_a_log_that_holds_a_secret_is_shown_without_it(host: HostRoot) -> None:
    colour = "green" if host.status()["serving"]["colour"] == "blue" else "blue"
    wordy = host.starting("1.2.0")
    wordy["environment"]["OTHER_KEY"] = "this release cannot"  # what the release then prints
    noted: list[str] = []
    with pytest.raises(DeployError) as told:
        host.host.call("start", wordy, note=noted.append)
    assert "*** start" in str(told.value)
    assert "this release cannot" not in "".join((str(told.value), *noted))
    assert f"local: supervisord: start {colour}" in noted
    assert (host.path / f"run/{colour}.log").is_file()


# ---------------------------------------------------------------- secrets


def test_secrets_are_in_private_files_and_in_no_argument(host: HostRoot) -> None:
    host.start("1.1.0")
    assert environments(host)
    for file in environments(host):
        assert SECRET in file.read_text(encoding="utf-8")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert processes_with(SECRET) == []
    kept = {*environments(host)}
    files = [p for p in host.path.rglob("*") if p.is_file() and "venv" not in p.parts]
    assert [p for p in files if p not in kept and SECRET.encode() in p.read_bytes()] == []


@pytest.mark.parametrize("value", ["it's", "two\nlines", "nul\0", "bell\a"])
def test_a_value_that_no_file_can_hold_is_refused_by_name(host: HostRoot, value: str) -> None:
    request = host.starting("1.1.0")
    request["environment"]["SUPABASE_ANON_KEY"] = value
    with pytest.raises(DeployError, match="SUPABASE_ANON_KEY") as told:
        host.host.call("start", request)
    assert value not in str(told.value)


def test_the_access_log_is_json_without_queries_and_tokens(host: HostRoot) -> None:
    token = host.token()
    headers = {"authorization": f"Bearer {token}"}
    sent = httpx.get(f"{host.url}/v1/estimate?q=hidden-words", headers=headers, timeout=60)
    assert sent.status_code == 200
    text = (host.path / "logs/access.log").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    (line,) = [line for line in lines if line["traceId"] == sent.headers["x-trace-id"]]
    assert (line["path"], line["status"]) == ("/v1/estimate", 200)
    assert token not in text
    assert "hidden-words" not in text


# ---------------------------------------------------------------- upkeep


def test_status_changes_nothing(host: HostRoot, tmp_path: Path) -> None:
    live = {"logs", "blobs", "postgres", "run"}  # what the service itself writes to meanwhile

    def still(path: str) -> bool:
        return not live & set(Path(path).relative_to(host.path).parts)

    before = {path: found for path, found in tree(host.path).items() if still(path)}
    host.status()
    assert {path: found for path, found in tree(host.path).items() if still(path)} == before
    missing = host.host.call("status", {"root": str(tmp_path / "none" / "at-all")})
    assert (missing["serving"], missing["releases"]) == (None, [])
    assert list(tmp_path.iterdir()) == []


def test_everything_stops_and_starts_again(host: HostRoot) -> None:
    now = host.serving()
    assert len(host.call("stop")["stopped"]) >= 2
    assert host.status()["proxy"] == "stopped"
    with pytest.raises(httpx.ConnectError):
        answering(host)
    assert len(host.call("restart")["started"]) == 2
    assert answering(host) == now
    assert host.call("restart") == {"started": []}


def test_a_socket_may_lie_elsewhere_where_the_root_is_deep(
    rooted: HostRoot, tmp_path: Path
) -> None:
    """The manager starts, and answers, below a path that no socket could have."""
    with host_root(tmp_path, name="deep-" * 30 + "down") as deep:
        (deep.path / "releases").symlink_to(rooted.path / "releases")
        assert deep.start("1.0.0")["colour"] == "blue"
        assert deep.status()["leftovers"] == ["blue runs and does not serve"]
        assert deep.call("settle") == {"cleaned": ["stopped blue, which did not serve"]}


def test_what_no_colour_answers_is_told_as_other_errors_are(host: HostRoot) -> None:
    now = host.status()["serving"]
    Supervisord(Layout(host.path)).stop(now["colour"])
    answer = httpx.get(f"{host.url}/readyz", timeout=60)
    told = answer.json()
    assert (answer.status_code, told["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert str(UUID(told["traceId"])) == told["traceId"] == answer.headers["x-trace-id"]
    assert host.call("settle")["cleaned"] == [f"started {now['colour']}, which should serve"]
    large = httpx.post(f"{host.url}/v1/estimate", content=bytes(25 * 2**20 + 1), timeout=60)
    assert (large.status_code, large.json()["code"]) == (413, "BODY_TOO_LARGE")


def test_the_proxy_runs_as_the_account_of_the_service(tmp_path: Path) -> None:
    """Where the agent is root; who is not root is that account."""
    layout = Layout(tmp_path / "root", None if os.geteuid() else "www-data")
    for parent in layout.root.parents:
        if parent.owner() == getpass.getuser():
            parent.chmod(parent.stat().st_mode | 0o011)
    layout.prepare()
    manager = Supervisord(layout)
    ports: dict[Colour, int] = {"blue": free_port(), "green": free_port()}
    state = State(proxy_port=free_port(), ports=ports)
    manager.prepare()
    try:
        provide(layout, manager, state)
        pid = manager.pid(PROXY)
        command = ["supervisorctl", "-c", str(layout.run / "supervisord.conf"), "status", PROXY]
        shown = subprocess.run(command, check=False, capture_output=True, text=True)
        assert shown.stdout.split()[:2] in ([PROXY, "STARTING"], [PROXY, "RUNNING"])
        assert Path(f"/proc/{pid}").owner() == (layout.account or getpass.getuser())
        large = httpx.post(
            f"http://127.0.0.1:{state.proxy_port}/", content=bytes(2**20), timeout=60
        )
        assert large.status_code == 503
        rotate(layout, manager)
        (rotated,) = layout.logs.glob("access.log.*")
        assert '"status":503' in rotated.read_text(encoding="utf-8")
        wait_for((layout.logs / "access.log").exists)
        moved = replace(state, proxy_port=free_port())
        provide(layout, manager, moved)
        assert manager.pid(PROXY) == pid, "a reload"
        assert httpx.get(f"http://127.0.0.1:{moved.proxy_port}/", timeout=60).status_code == 503
        wait_for(lambda: (layout.logs / "access.log").stat().st_size > 0)
    finally:
        manager.stop(PROXY)
        manager.shut_down()


def test_what_serves_and_is_broken_keeps_no_other_from_its_place(
    host: HostRoot, two: tuple[str, str]
) -> None:
    broken, good = two
    program = host.path / "releases" / f"v{broken}" / "venv/bin/kis"
    program.rename(program.with_name("kis.away"))
    try:
        host.call("stop")
        assert "what should serve does not start" in host.call("settle")["cleaned"]
        host.deploy(good)
        assert (host.serving(), answering(host)) == (good, good)
    finally:
        program.with_name("kis.away").rename(program)
