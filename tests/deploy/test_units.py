"""The files that a host's administrator sees: units, the proxy's configuration, log rotation."""

from __future__ import annotations

import getpass
import json
import re
import subprocess
import xmlrpc.client
from pathlib import Path

import pytest
from tests.deploy.shelf import ROOT

from kis_deploy.host import systemd
from kis_deploy.host.layout import Layout, template
from kis_deploy.host.managers import PROXY
from kis_deploy.host.proxy import configuration, nginx_command
from kis_deploy.host.state import State
from kis_deploy.host.supervisord import Supervisord
from kis_deploy.host.systemd import UNITS, Systemd
from kis_deploy.problems import DeployError

TEMPLATES = ROOT / "src/kis_deploy/host/templates"
EXPOSURE = {"kis-estimator@blue.service": 1.5, "kis-estimator-proxy.service": 1.9}


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Return a folder with the units as the agent installs them, and a root that has all parts."""
    layout = Layout(tmp_path / "root", "www-data")
    layout.prepare()
    for colour in ("blue", "green"):
        kis = layout.colour(colour) / "release/venv/bin/kis"
        kis.parent.mkdir(parents=True)
        kis.write_text("#!/bin/sh\n", encoding="utf-8")
        kis.chmod(0o755)
    units = tmp_path / "units"
    units.mkdir()
    for name in UNITS:
        text = template(name, layout)
        assert "/opt/kis-estimator" not in text
        (units / name.replace("@", "@blue")).write_text(text, encoding="utf-8")
    return units


def analyze(*arguments: object) -> str:
    done = subprocess.run(
        ["systemd-analyze", *map(str, arguments)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_finds_nothing_wrong_with_the_units(installed: Path) -> None:
    assert analyze("verify", "--man=no", *sorted(installed.iterdir())) == ""


@pytest.mark.parametrize("name", EXPOSURE)
def test_the_units_are_hardened(installed: Path, name: str) -> None:
    threshold = int(EXPOSURE[name] * 10)
    analyze("security", "--offline=yes", f"--threshold={threshold}", installed / name)


def test_the_files_of_ops_are_those_that_the_agent_installs() -> None:
    shipped = {
        **{f"ops/systemd/{name}": name for name in UNITS},
        "ops/logrotate/kis-estimator": "kis-estimator.logrotate",
        "ops/nginx/nginx.conf": "nginx.conf",
    }
    for place, name in shipped.items():
        assert (ROOT / place).samefile(TEMPLATES / name)
    assert {path.name for path in TEMPLATES.iterdir()} == set(shipped.values())


def test_a_unit_belongs_to_its_root_and_account() -> None:
    text = template(UNITS[0], Layout(Path("/srv/kis-staging"), "kis-staging"))
    assert "User=kis-staging\nGroup=kis-staging\n" in text
    assert "SyslogIdentifier=kis-estimator-%i" in text
    assert "ExecStart=/srv/kis-staging/colours/%i/release/venv/bin/kis serve" in text
    usual = Layout(Path("/opt/kis-estimator"))
    for name in UNITS:
        assert template(name, usual) == (TEMPLATES / name).read_text(encoding="utf-8")


# ---------------------------------------------------------------- with a systemd that is none


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Record what the agent asks systemd for."""
    log, tools = tmp_path / "asked", tmp_path / "tools"
    tools.mkdir()
    for name in ("systemctl", "journalctl"):
        (tools / name).write_text(
            f'#!/bin/sh\necho {name} "$@" >> {log}\n'
            "state() { echo MainPID=$1; echo ActiveState=$2; }\n"
            'case "$*" in *MainPID*green*) state 4712 deactivating;; *MainPID*blue*) '
            "state 4711 active;; *MainPID*) state 0 inactive;; *-n*) echo last;; esac\n"
            'case "$*" in *--now*proxy*) echo no such unit >&2; exit 5;; esac\n',
            encoding="utf-8",
        )
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    for name in ("_UNITS_FOLDER", "_LOGROTATE"):
        monkeypatch.setattr(systemd, name, tmp_path / name)
        (tmp_path / name).mkdir()
    monkeypatch.setattr(systemd, "_LOGS", tmp_path / "var-log")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return log


def test_what_systemd_is_asked_for(tmp_path: Path, asked: Path) -> None:
    layout = Layout(tmp_path / "root")
    manager = Systemd(layout)
    manager.stop("green")
    assert not asked.exists(), "no unit, nothing to stop"
    manager.prepare()
    manager.start("blue")
    manager.stop("green")
    assert [manager.pid(name) for name in ("blue", "green", PROXY)] == [4711, None, None]
    assert manager.tail("blue", 20) == ["last"]
    assert asked.read_text(encoding="utf-8").splitlines() == [
        "systemctl daemon-reload",
        "systemctl enable --now kis-estimator@blue.service",
        "systemctl disable --now kis-estimator@green.service",
        "systemctl show --property=ActiveState,MainPID kis-estimator@blue.service",
        "systemctl show --property=ActiveState,MainPID kis-estimator@green.service",
        "systemctl show --property=ActiveState,MainPID kis-estimator-proxy.service",
        "journalctl -u kis-estimator@blue.service -n 20 -o cat --no-pager",
    ]
    assert {path.name for path in (tmp_path / "_UNITS_FOLDER").iterdir()} == set(UNITS)
    assert (tmp_path / "var-log").readlink() == layout.logs
    assert str(layout.root) in (tmp_path / "_LOGROTATE/kis-estimator").read_text(encoding="utf-8")


def test_what_systemd_refuses_is_told(tmp_path: Path, asked: Path) -> None:
    assert not asked.exists()
    with pytest.raises(DeployError, match=r"(?s)enable --now kis-estimator-proxy.*no such unit"):
        Systemd(Layout(tmp_path / "root")).start(PROXY)


def test_units_of_another_root_are_left_alone(tmp_path: Path, asked: Path) -> None:
    Systemd(Layout(tmp_path / "one")).prepare()
    with pytest.raises(DeployError, match="belongs to another root"):
        Systemd(Layout(tmp_path / "two")).prepare()
    assert asked.exists()


@pytest.mark.usefixtures("asked")
def test_only_root_installs_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(DeployError, match="DEPLOY_PROCESS_MANAGER=supervisord"):
        Systemd(Layout(tmp_path / "root")).prepare()


# ---------------------------------------------------------------- with a supervisord that is none


def test_a_supervisord_that_shuts_down_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses every order until it has ended."""
    left = [3]

    def refused(*_: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise ConnectionRefusedError
        raise xmlrpc.client.Fault(6, "SHUTDOWN_STATE")

    manager = Supervisord(Layout(tmp_path))
    monkeypatch.setattr(manager, "_call", refused)
    assert manager.pid("blue") is None
    assert left[0] < 0
    left[0] = 3
    manager.stop("blue")
    manager.shut_down()
    assert left[0] < 0


def test_what_does_not_start_is_tried_for_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path)
    layout.prepare()
    manager = Supervisord(layout)
    monkeypatch.setattr(manager, "_launch", lambda: None)
    manager.prepare()
    for name in ("blue", "green", PROXY):
        text = (layout.run / f"programs/{name}.conf").read_text(encoding="utf-8")
        (tries,) = re.findall(r"^startretries=(\d+)$", text, re.MULTILINE)
        assert sum(range(int(tries))) > 30 * 86_400, "each try waits a second longer"


# ---------------------------------------------------------------- the proxy and its logs


@pytest.mark.parametrize("bind", ["127.0.0.1", "::1"])
def test_nginx_finds_nothing_wrong_with_its_configuration(tmp_path: Path, bind: str) -> None:
    layout = Layout(tmp_path / "root")
    layout.prepare()
    state = State(bind=bind, proxy_port=18_000, ports={"blue": 18_001, "green": 18_002})
    text = configuration(layout, state)
    assert "@" not in re.sub(r"@(too_large|unavailable)", "", text)
    (layout.proxy / "nginx.conf").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [*nginx_command(layout), "-t"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr
    for body in re.findall(r"return \d+ '(.*)';", text):
        assert {"code", "message", "hint", "traceId", "meta"} == set(json.loads(body))


def test_logrotate_finds_nothing_wrong_with_its_configuration(tmp_path: Path) -> None:
    file = tmp_path / "kis-estimator"
    layout = Layout(tmp_path / "root", getpass.getuser())
    file.write_text(template("kis-estimator.logrotate", layout), encoding="utf-8")
    done = subprocess.run(
        ["/usr/sbin/logrotate", "-d", "-s", tmp_path / "state", file],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "error:" not in done.stderr
