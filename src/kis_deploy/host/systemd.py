"""systemd as the process manager: the units of `ops/systemd`, for this host's root and account."""

from __future__ import annotations

import os
import time
from pathlib import Path

from kis_deploy.host.commands import Noted
from kis_deploy.host.layout import Layout, template, write
from kis_deploy.host.managers import PROXY
from kis_deploy.problems import DeployError, Problem
from kis_deploy.runner import Runner

UNITS = ("kis-estimator@.service", "kis-estimator-proxy.service")
_UNITS_FOLDER = Path("/etc/systemd/system")
_LOGS = Path("/var/log/kis-estimator")
_LOGROTATE = Path("/etc/logrotate.d")
_SEC = 120


class Systemd:
    """The host's systemd; a program that is started is also started when the host boots."""

    kind = "systemd"

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def lacks(self) -> list[Problem]:
        """Return what the host needs for it and has not."""
        if not os.geteuid():
            return []
        remedy = "Log in as root (DEPLOY_HOSTS), or set DEPLOY_PROCESS_MANAGER=supervisord"
        return [Problem("systemd", "takes units from root alone", remedy)]

    def prepare(self) -> None:
        """Install the units, where the logs are looked for, and their rotation."""
        if lacking := self.lacks():
            raise DeployError(*lacking)
        for name in UNITS:
            self._install(name)
        if not _LOGS.exists():
            _LOGS.symlink_to(self._layout.logs)
        if _LOGROTATE.is_dir():
            write(_LOGROTATE / "kis-estimator", template("kis-estimator.logrotate", self._layout))
        self._systemctl("daemon-reload")

    def start(self, name: str) -> None:
        """Start a program."""
        self._systemctl("enable", "--now", _unit(name))

    def stop(self, name: str) -> None:
        """Stop a program."""
        if (_UNITS_FOLDER / UNITS[0]).exists():
            self._systemctl("disable", "--now", _unit(name))

    def pid(self, name: str, *, ending: bool = False) -> int | None:
        """Return the main process of a unit that starts or runs, or, if asked for, is to end."""
        command = ["systemctl", "show", "--property=ActiveState,MainPID", _unit(name)]
        shown = _output(Runner(), command)  # asked again and again: not for the log
        found = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        if found["ActiveState"] == "deactivating" and not ending:
            return None
        return int(found["MainPID"]) or None

    def log_end(self, name: str) -> str:  # noqa: ARG002 - the journal is one for all
        """Return the time, as journalctl reads it."""
        return f"@{time.time():.6f}"

    def tail(self, name: str, lines: int, since: str | None = None) -> list[str]:
        """Return the end of the unit's journal, or of what it has from that time on."""
        command = ["journalctl", "-u", _unit(name), "-n", str(lines), "-o", "cat", "--no-pager"]
        command += [f"--since={since}"] if since else []
        return _output(Runner(), command).splitlines()

    def shut_down(self) -> None:
        """Leave systemd alone: it is the host's."""

    def _install(self, name: str) -> None:
        """Install a unit, unless another root has the name."""
        file, text = _UNITS_FOLDER / name, template(name, self._layout)
        if file.exists() and f"{self._layout.root}/" not in file.read_text(encoding="utf-8"):
            raise DeployError.of(
                str(file), "belongs to another root", "Use one host for one environment"
            )
        write(file, text)

    @staticmethod
    def _systemctl(*arguments: str) -> None:
        _output(Noted(), ["systemctl", *arguments])


def _unit(name: str) -> str:
    return UNITS[1] if name == PROXY else UNITS[0].replace("@", f"@{name}")


def _output(runner: Runner, command: list[str]) -> str:
    """Run a command of systemd. Raises DeployError where it fails."""
    problem = Problem(" ".join(command), "failed", "Is systemd running? Read: journalctl -xe")
    return runner.check(command, problem, timeout_sec=_SEC)
