"""Hosts by name, and what is told of those that do not answer."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kis_deploy.host.layout import Layout, read_environment, write, write_environment
from kis_deploy.hosts import _BOOT, Host, agent_zip, parse_hosts
from kis_deploy.problems import DeployError


def test_hosts_in_their_order() -> None:
    hosts = parse_hosts("local, ssh://deploy@app1.internal,ssh://k@10.0.0.2:2222", Path("/c f"))
    assert [host.name for host in hosts] == ["local", "deploy@app1.internal", "k@10.0.0.2:2222"]
    assert [host.local for host in hosts] == [True, False, False]
    assert hosts[2].ssh[-5:] == ("2222", "-l", "k", "--", "10.0.0.2")
    assert hosts[1].ssh[hosts[1].ssh.index("-F") :][:2] == ("-F", "/c f")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "local,",
        "remote",
        "ssh://app1",
        "ssh://-oProxyCommand=id@app1",
        "ssh://deploy@-oProxyCommand=id",
        "ssh://deploy@app1 -v",
        "ssh://deploy@app1;id",
        "ssh://deploy@app1/path",
        "ssh://deploy:secret@app1",
        "ssh://deploy@app1:0",
        "ssh://deploy@app1:99999",
        "ssh://deploy@app1\n-v",
        "ssh://deploy@$(id)",
        "ssh://deploy@앱",
        "http://app1",
        "local,local",
    ],
)
def test_hostile_names_are_refused(text: str) -> None:
    with pytest.raises(DeployError, match="DEPLOY_HOSTS"):
        parse_hosts(text, None)


@given(st.text(max_size=40))
def test_no_text_becomes_an_option(text: str) -> None:
    try:
        hosts = parse_hosts(text, None)
    except DeployError:
        return
    for host in hosts:
        assert host.local or host.ssh[host.ssh.index("--") + 1][0].isalnum()


@pytest.mark.parametrize("python", ["-c", "python3; id", "", "python 3"])
def test_a_python_is_a_program(python: str) -> None:
    with pytest.raises(DeployError, match="DEPLOY_PYTHON"):
        parse_hosts("local", None, python)


@pytest.mark.parametrize("root", ["relative", "/a b", "/a/../b", "/a;id", "/", "/a\n", "/a%i", 7])
def test_a_root_is_a_plain_path(root: object) -> None:
    (host,) = parse_hosts("local", None)
    with pytest.raises(DeployError, match="local: DEPLOY_ROOT"):
        host.call("status", {"root": root})


def test_an_unknown_verb_is_told() -> None:
    (host,) = parse_hosts("local", None)
    with pytest.raises(DeployError, match="Name one of status"):
        host.call("destroy", {"root": "/nowhere"})


def test_a_host_that_does_not_answer_is_named(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host app1\n  ProxyCommand false\n", encoding="utf-8")
    (host,) = parse_hosts("ssh://deploy@app1", config)
    with pytest.raises(DeployError, match=r"The host deploy@app1: cannot be reached"):
        host.call("status", {"root": "/nowhere"})


def test_a_host_without_python_is_named() -> None:
    with pytest.raises(DeployError, match=r"The host local: .*cannot be started"):
        Host("local", local=True, python="/nowhere/python3").call("status", {})


def test_an_agent_that_hangs_is_ended(tmp_path: Path) -> None:
    silent = tmp_path / "python3"
    silent.write_text("#!/bin/sh\nexec sleep 600\n", encoding="utf-8")
    silent.chmod(0o755)
    host = Host("local", local=True, python=str(silent))
    with pytest.raises(DeployError, match=r"did not answer within 0\.5 s"):
        host.call("status", {}, timeout_sec=0.5)


def test_an_old_python_is_told_what_is_missing() -> None:
    code = f"import sys; sys.version_info = (3, 9, 2)\n{_BOOT}"
    told = subprocess.run(
        [sys.executable, "-I", "-c", code, "status"],
        check=False,
        capture_output=True,
        text=True,
        input="",
    )
    assert told.returncode == 1
    assert "is older than 3.11" in told.stdout


def test_the_agent_is_the_same_each_time_and_needs_nothing_else() -> None:
    agent_zip.cache_clear()
    first = agent_zip()
    agent_zip.cache_clear()
    assert agent_zip() == first
    with zipfile.ZipFile(BytesIO(first)) as archive:
        names = archive.namelist()
    assert all(name.startswith("kis_deploy/") and "__pycache__" not in name for name in names)


# ---------------------------------------------------------------- files


@given(st.text(st.characters(blacklist_characters="'", min_codepoint=32, max_codepoint=126)))
def test_a_shell_reads_what_was_written(value: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "environment"
        write_environment(file, {"NAME": value, "OTHER": "x"})
        assert read_environment(file) == {"NAME": value, "OTHER": "x"}
        script = f"set -a; . {file}; exec printenv NAME"
        told = subprocess.run(["/bin/sh", "-c", script], check=True, capture_output=True, env={})
        assert told.stdout.decode() == f"{value}\n"


def test_a_draft_that_was_left_is_no_obstacle(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.with_name("state.json.draft").write_text("half", encoding="utf-8")
    write(file, "whole", 0o600)
    assert file.read_text(encoding="utf-8") == "whole"
    assert file.stat().st_mode & 0o777 == 0o600
    assert Layout(tmp_path).drafts() == []
