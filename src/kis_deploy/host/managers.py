"""The process manager of a host: systemd, or supervisord where there is none."""

from __future__ import annotations

import json
from typing import Protocol

from kis_deploy.problems import Problem
from kis_deploy.runner import Redactor

PROXY = "proxy"
_READ_LINES = 10_000  # a colour that is asked ten times a second logs little else
_SHOWN_LINES = 20


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

    def pid(self, name: str, *, ending: bool = False) -> int | None:
        """Return the process of a program that runs; with `ending` also of one that is to end."""

    def log_end(self, name: str) -> str:
        """Return where a program's log ends now, for a `tail` from there on."""

    def tail(self, name: str, lines: int, since: str | None = None) -> list[str]:
        """Return the end of a program's log, or of what was added since then."""

    def shut_down(self) -> None:
        """End what this manager started for itself; its programs are stopped."""


def last_words(manager: Manager, name: str, secrets: Redactor, since: str) -> str:
    """Return the end of what a program logged since then, for an error's text.

    Secrets are hidden, and the lines of answered requests left out.
    """
    said = [line for line in manager.tail(name, _READ_LINES, since) if not _is_request(line)]
    return "\n".join(map(secrets, said[-_SHOWN_LINES:])) or "(it logged nothing)"


def _is_request(line: str) -> bool:
    """Whether a line of a log is the application's own about a request."""
    try:
        told = json.loads(line)
    except ValueError:
        return False
    return isinstance(told, dict) and told.get("event") == "request"
