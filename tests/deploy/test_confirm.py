"""The question before production is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kis_deploy.config import Config
from kis_deploy.problems import CancelledError, DeployError
from kis_deploy.report import Report
from kis_deploy.run import Run
from kis_deploy.runner import Runner


class Answers:
    def __init__(self, terminal: bool) -> None:  # noqa: FBT001 - as a terminal says it
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def run_of(environment: str, *, yes: bool = False) -> Run:
    config = Config({"APP_ENV": environment}, Path())
    return Run(config, Runner(), Report(Path(), environment, "deploy"), None, assume_yes=yes)


@pytest.mark.parametrize("answer", ["", "no", "y", "YES", "yes please"])
def test_production_goes_on_with_yes_alone(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr("sys.stdin", Answers(terminal=True))
    monkeypatch.setattr("builtins.input", lambda _: answer)
    with pytest.raises(CancelledError, match="the answer was not yes"):
        run_of("production").confirm("Sure?")
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    run_of("production").confirm("Sure?")


def test_where_nobody_can_be_asked_production_needs_the_option(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", Answers(terminal=False))
    with pytest.raises(DeployError, match="Add --yes"):
        run_of("production").confirm("Sure?")
    run_of("production", yes=True).confirm("Sure?")
    run_of("staging").confirm("Sure?")
    with pytest.raises(DeployError, match="Add --yes"):
        run_of("staging").confirm("Replace the database?", everywhere=True)
