"""What a deployment asks of its hosts: which variables, how long, and what goes into the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kis_deploy.config import Config
from kis_deploy.host import agent, colours, supervisord
from kis_deploy.hosts import Host
from kis_deploy.problems import DeployError
from kis_deploy.report import Report, StepReport
from kis_deploy.run import Run
from kis_deploy.runner import Redactor, Runner
from kis_deploy.steps import application, preflight

SERVED = {"version": "1.0.0", "colour": "blue", "port": 8001, "since": "2026-11-30T00:00:00Z"}
LISTENING = {"bind": "127.0.0.1", "proxy_port": 8000}
STATUS: dict[str, Any] = {
    "serving": SERVED | LISTENING,
    "previous": None,
    "releases": ["1.0.0"],
    "freeBytes": 1 << 40,
    "lacks": [],
    "environment": {},
}


@dataclass(frozen=True)
class Asked(Host):
    """A host that writes down what it is asked, and answers as an agent does."""

    status: dict[str, Any] = field(default_factory=lambda: dict(STATUS))
    calls: list[tuple[str, dict[str, Any], float]] = field(default_factory=list)

    def call(
        self,
        verb: str,
        request: Mapping[str, Any],
        *,
        tell: object = None,  # noqa: ARG002 - as the real one
        note: Any = None,
        timeout_sec: float = 0,
    ) -> dict[str, Any]:
        self.calls.append((verb, dict(request), timeout_sec))
        note(f"{self.name}: $ {verb} hidden-secret")
        answers = {
            "status": self.status,
            "settle": {"cleaned": []},
            "start": {"colour": "green", "port": 8002},
        }
        return answers.get(verb, {})

    def asked(self, verb: str) -> dict[str, Any]:
        (found,) = (request for name, request, _ in self.calls if name == verb)
        return found


@pytest.fixture
def host() -> Asked:
    return Asked("local", local=True)


@pytest.fixture
def run(host: Asked, tmp_path: Path) -> Iterator[Run]:
    environment = {
        "SUPABASE_ANON_KEY": "hidden-secret",
        "APP_PORT": "9000",
        "DEPLOY_READY_SEC": "7",
    }
    config = Config(environment, tmp_path)
    config.__dict__["hosts"] = (host,)
    made = Run(
        config, Runner(Redactor(config.secrets)), Report(tmp_path, "staging", "deploy"), None
    )
    made.report.steps.append(StepReport(6, "Deploying Application"))
    made.runner.open_log(tmp_path / "step-6.log")
    yield made
    made.runner.close()


def test_a_deployment_sends_the_present_variables(run: Run, host: Asked) -> None:
    application.serve(run, "1.1.0")
    asked = host.asked("start")
    assert asked["environment"]["SUPABASE_ANON_KEY"] == "hidden-secret"
    assert (asked["version"], asked["proxy_port"], "served" in asked) == ("1.1.0", 9000, False)
    assert host.asked("switch")["proxy_port"] == 9000


def test_what_served_is_asked_for_as_it_was(run: Run, host: Asked) -> None:
    run.statuses()
    run.switched.append(host.name)
    host.status["serving"] = {**SERVED, "version": "1.1.0", "colour": "green"}
    run.statuses()
    assert run.report.previous == "1.0.0", "what served before this run"
    application.restore_served(run, host)
    asked = host.asked("start")
    assert (asked["version"], asked["served"]) == ("1.0.0", SERVED | LISTENING)
    assert "environment" not in asked
    assert host.asked("switch").items() >= {"back": True, **LISTENING}.items()
    assert host.asked("drain")["colour"] == "blue"


def test_where_nothing_served_there_is_nothing_to_go_back_to(run: Run, host: Asked) -> None:
    host.status["serving"] = None
    run.statuses()
    with pytest.raises(DeployError, match="local: served nothing before"):
        application.restore_served(run, host)


def test_an_agent_has_the_time_to_say_why(run: Run, host: Asked) -> None:
    """Its turn, two stops of a minute and the last question, besides the wait itself."""
    application.serve(run, "1.1.0")
    application.prune(run)
    for verb, request, limit in host.calls:
        assert request["ready_sec"] == 7, verb
        longest = 2 * supervisord._ANSWER_SEC + 2 * colours._SWITCH_SEC
        assert limit - request["ready_sec"] > agent._LOCK_SEC + longest, verb


def test_commands_of_the_hosts_are_in_the_log_of_the_step(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    application.serve(run, "1.1.0")
    assert run.runner.log is not None
    log = run.runner.log.read_text(encoding="utf-8")
    assert "local: $ start ***" in log
    assert "hidden-secret" not in log
    assert "$ start" not in capsys.readouterr().out


def test_what_a_host_lacks_stops_the_first_step(run: Run, host: Asked) -> None:
    assert preflight._hosts(run) == []
    assert host.calls[-1][1].items() >= {"ports": [8001, 8002], "proxy_port": 9000}.items()
    host.status["freeBytes"] = 0
    host.status["lacks"] = [{"what": "nginx", "cause": "is missing", "remedy": "Install it"}]
    told = [str(problem) for problem in preflight._hosts(run)]
    assert told[0].startswith("Disk of local: ")
    assert told[1:] == ["local: nginx: is missing. Install it"]


def test_a_folder_for_snapshots_that_cannot_be_made_stops_the_first_step(tmp_path: Path) -> None:
    assert preflight._snapshots(tmp_path / "not/yet") == []
    assert list(tmp_path.iterdir()) == []
    file = tmp_path / "file"
    file.touch()
    for folder in (Path("/proc/x"), file / "x"):
        [problem] = preflight._snapshots(folder)
        assert (problem.what, problem.cause[:30]) == (
            "KIS_BACKUP_DIR",
            "cannot be made or written to (",
        )
