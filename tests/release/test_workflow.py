"""The pipeline: what it runs exists, it may do little, and a deployment waits for everything."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kis_deploy.variables import VARIABLES

PINNED = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40}")
SCRIPT = re.compile(r"(?<![\w$./\"-])(?:\./)?((?:script|ops|tests)/[\w./-]+|DEPLOYMENT_SCRIPT\.sh)")
TOOL = re.compile(r"\.venv-dev/bin/([\w-]+)")


@pytest.fixture(scope="module")
def workflow(root: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load((root / ".github/workflows/ci.yml").read_text())
    return found


@pytest.fixture(scope="module")
def jobs(workflow: dict[Any, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = workflow["jobs"]
    return found


def runs(jobs: dict[str, dict[str, Any]]) -> list[str]:
    return [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]


def test_it_runs_for_branches_requests_and_releases(workflow: dict[Any, Any]) -> None:
    on = workflow[True]  # YAML 1.1 reads `on` so
    assert on["push"] == {"branches": ["main"], "tags": ["v*-estimator"]}
    assert "pull_request" in on
    assert "pull_request_target" not in on


def test_it_may_read_and_nothing_else(
    workflow: dict[Any, Any], jobs: dict[str, dict[str, Any]]
) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert [name for name, job in jobs.items() if "permissions" in job] == []
    checkouts = [
        step["with"]["persist-credentials"]
        for job in jobs.values()
        for step in job["steps"]
        if step.get("uses", "").startswith("actions/checkout@")
    ]
    assert checkouts == [False] * len(jobs)


def test_every_action_is_pinned_to_a_commit(jobs: dict[str, dict[str, Any]]) -> None:
    used = [step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step]
    assert [action for action in used if not PINNED.fullmatch(action)] == []


def test_what_it_runs_exists(root: Path, jobs: dict[str, dict[str, Any]]) -> None:
    text = "\n".join(runs(jobs))
    scripts = set(SCRIPT.findall(text))
    assert {"script/test", "script/kis", "DEPLOYMENT_SCRIPT.sh"} <= scripts
    assert sorted(name for name in scripts if not (root / name).exists()) == []
    dev = (root / "pyproject.toml").read_text(encoding="utf-8")
    tools = {"lint-imports": "import-linter"}
    assert [t for t in TOOL.findall(text) if f'"{tools.get(t, t)}"' not in dev] == []


def test_its_commands_are_whole(jobs: dict[str, dict[str, Any]]) -> None:
    for command in runs(jobs):
        subprocess.run(["bash", "-n"], input=command, text=True, check=True)


def test_no_text_of_a_stranger_becomes_a_command(jobs: dict[str, dict[str, Any]]) -> None:
    assert [command for command in runs(jobs) if "${{" in command] == []


def test_a_deployment_waits_for_everything_and_for_a_person(
    jobs: dict[str, dict[str, Any]],
) -> None:
    deploy = jobs["deploy"]
    assert sorted(deploy["needs"]) == sorted(jobs.keys() - {"deploy"})
    assert deploy["environment"] == "production"
    assert deploy["concurrency"] == {"group": "production", "cancel-in-progress": False}
    for word in ("push", "refs/tags/v", "-estimator"):
        assert f"'{word}'" in deploy["if"]
    others = yaml.safe_dump({name: job for name, job in jobs.items() if name != "deploy"})
    assert "secrets." not in others


def test_a_deployment_checks_release_and_environment_first(
    jobs: dict[str, dict[str, Any]],
) -> None:
    text = "\n".join(step.get("run", "") for step in jobs["deploy"]["steps"])
    order = ["release verify", ".message", "--check-env", "DEPLOYMENT_SCRIPT.sh --yes"]
    places = [text.index(word) for word in order]
    assert places == sorted(places)


def test_every_variable_of_the_deployment_is_one_that_it_knows(
    jobs: dict[str, dict[str, Any]],
) -> None:
    (given,) = (s["env"] for s in jobs["deploy"]["steps"] if "APP_ENV" in s.get("env", {}))
    known = {variable.name for variable in VARIABLES}
    required = {variable.name for variable in VARIABLES if variable.required}
    assert given.keys() <= known
    assert required <= given.keys()
    secret = {variable.name for variable in VARIABLES if variable.secret}
    assert [n for n in secret & given.keys() if not given[n].startswith("${{ secrets.")] == []
