"""What the steps of one deployment share: settings, log, report, and how it talks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from kis_deploy.config import Config, Release
from kis_deploy.hosts import Host, parse_hosts
from kis_deploy.problems import CancelledError, DeployError
from kis_deploy.report import Report
from kis_deploy.runner import Runner

_T = TypeVar("_T")
CALL_SEC = 600.0  # besides the time that a start may take
INSTALL_SEC = 1200.0


def require_terminal() -> None:
    """See that somebody can be asked. Raises DeployError."""
    if not sys.stdin.isatty():
        raise DeployError.of(
            "Confirmation", "nobody can be asked here", "Add --yes where nobody needs to be"
        )


@dataclass(slots=True)
class Run:
    """One call of the deployer."""

    config: Config
    runner: Runner
    report: Report
    release: Release | None
    assume_yes: bool = False
    dry: bool = False
    say: Callable[[str], None] = print
    snapshot: str | None = None
    switched: list[str] = field(default_factory=list)
    before: dict[str, dict[str, Any] | None] = field(default_factory=dict)  # who served, by host

    def told(self, text: str) -> None:
        """Tell something that is done: on the terminal, in the log and in the report."""
        self.report.steps[-1].told.append(self.runner.redact(text))
        self.runner.note(text)
        self.say(f"✅ {self.runner.redact(text)}")

    def progress(self, text: str) -> None:
        """Tell what is under way: on the terminal and in the log."""
        self.runner.note(text)
        self.say(f"   {self.runner.redact(text)}")

    def deployed(self) -> Release:
        """Return the release to deploy. Raises DeployError where none was named."""
        if self.release is None:
            raise DeployError.of(
                "DEPLOY_RELEASE", "names no release", "Name the folder of a release"
            )
        return self.release

    def confirm(self, question: str, *, everywhere: bool = False) -> None:
        """Ask for `yes`, in production or `everywhere`.

        Raises CancelledError on every other answer, DeployError where nobody can be asked.
        """
        if self.assume_yes or not (self.config.production or everywhere):
            return
        require_terminal()
        try:
            answer = input(f"{question} (yes/NO): ")
        except EOFError:
            answer = ""
        if answer.strip() != "yes":
            raise CancelledError.of("Confirmation", "the answer was not yes", "Nothing was changed")

    # ------------------------------------------------------------ hosts

    def call(
        self, host: Host, verb: str, timeout_sec: float = CALL_SEC, **request: object
    ) -> dict[str, Any]:
        """Ask the agent of a host; its commands and what they print go into the log."""
        ready_sec = int(self.config["DEPLOY_READY_SEC"])
        self.runner.note(f"{host.name}: {verb}")
        asked = {
            "root": self.config["DEPLOY_ROOT"],
            "python": self.config["DEPLOY_PYTHON"],
            "manager": self.config["DEPLOY_PROCESS_MANAGER"] or None,
            "ready_sec": ready_sec,
            **request,
        }
        limit = timeout_sec + ready_sec
        return host.call(verb, asked, tell=self.progress, note=self.runner.note, timeout_sec=limit)

    def each_host(self, act: Callable[[Host], _T], hosts: Sequence[Host] = ()) -> dict[str, _T]:
        """Do something on these hosts, or all, at the same time.

        Raises every host's problems at once. An interrupt waits for what the hosts do; a second one
        does not.
        """
        hosts = hosts or self.config.hosts
        pool = ThreadPoolExecutor(len(hosts))
        tasks = {host.name: pool.submit(act, host) for host in hosts}
        try:
            wait(tasks.values())
        except KeyboardInterrupt:
            self.say("⚠️  Waiting for what the hosts do now")
            wait(tasks.values())
            raise
        problems = [
            problem
            for task in tasks.values()
            if isinstance(error := task.exception(), DeployError)
            for problem in error.problems
        ]
        if problems:
            raise DeployError(*problems)
        return {name: task.result() for name, task in tasks.items()}

    @property
    def listening(self) -> dict[str, Any]:
        """Where the application is to listen, as an agent is asked."""
        return {
            "ports": [int(port) for port in self.config["DEPLOY_PORTS"].split(",")],
            "proxy_port": int(self.config["APP_PORT"]),
            "bind": self.config["DEPLOY_BIND"],
        }

    def statuses(self, **request: Any) -> dict[str, dict[str, Any]]:  # noqa: ANN401 - as an agent is asked
        """Return what every host says of itself; what serves there goes into the report.

        What served before this run, `before`, is what a host said before it was switched.
        """
        found = self.each_host(lambda host: self.call(host, "status", **request))
        self.report.looked = True
        for name, status in found.items():
            if name not in self.switched:
                serving = self.before[name] = status["serving"]
                self.report.previous = serving["version"] if serving else self.report.previous
        return found

    # ------------------------------------------------------------ installed releases

    def tools(self) -> tuple[Host, str]:
        """Return a host on this machine, and the root where releases are installed for commands.

        That is the application's own root where a host of the application is this machine.
        """
        for host in self.config.hosts:
            if host.local:
                return host, self.config["DEPLOY_ROOT"]
        here = parse_hosts("local", None, self.config["DEPLOY_PYTHON"])[0]
        return here, str(self.report.folder.parents[1] / "tools")

    def kis(self, version: str) -> Path:
        """Return the program of an installed release on this machine, there or not."""
        return Path(self.tools()[1]) / "releases" / f"v{version}" / "venv/bin/kis"
