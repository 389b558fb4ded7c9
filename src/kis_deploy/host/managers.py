"""The process manager of a host: systemd, or supervisord where there is none."""

from __future__ import annotations

from typing import Protocol

from kis_deploy.problems import Problem
from kis_deploy.runner import Redactor

PROXY = "proxy"


class Manager(Protocol):
    """Keeps programs running: the two colours and the proxy, by name."""

    kind: str

    def lacks(self) -> list[Problem]:
        """Return what the host needs for this manager and has not."""

    def prepare(self) -> None:
        """Make the programs known. Raises DeployError."""

    def start(self, name: str) -> None:
        """Start a program; one that runs is left alone."""

    def stop(self, name: str) -> None:
        """Let a program finish and end; killed after a minute."""

    def pid(self, name: str) -> int | None:
        """Return the process of a program that runs."""

    def tail(self, name: str, lines: int) -> list[str]:
        """Return the end of a program's log."""

    def shut_down(self) -> None:
        """End what this manager started for itself; its programs are stopped."""


def last_words(manager: Manager, name: str, secrets: Redactor, lines: int = 20) -> str:
    """Return the end of a program's log without secrets, for an error's text."""
    words = [secrets(line) for line in manager.tail(name, lines)]
    return "\n".join(words) or "(its log is empty)"
