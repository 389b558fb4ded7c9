"""systemd as the process manager: the units of `ops/systemd`, for this host's root and account."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from kis_deploy.host.layout import Layout, template, write
from kis_deploy.host.managers import PROXY
from kis_deploy.problems import DeployError

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

    def prepare(self) -> None:
        """Install the units, where the logs are looked for, and their rotation."""
        if os.geteuid():
            raise DeployError.of(
                "systemd",
                "takes units from root alone",
                "Log in as root (DEPLOY_HOSTS), or set DEPLOY_PROCESS_MANAGER=supervisord",
            )
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

    def pid(self, name: str) -> int | None:
        """Return the main process of a unit that starts or runs; not of one that is to end."""
        shown = self._systemctl("show", "--property=ActiveState,MainPID", _unit(name))
        found = dict(line.split("=", 1) for line in shown.splitlines())
        return None if found["ActiveState"] == "deactivating" else int(found["MainPID"]) or None

    def tail(self, name: str, lines: int) -> list[str]:
        """Return the end of the unit's journal."""
        command = ["journalctl", "-u", _unit(name), "-n", str(lines), "-o", "cat", "--no-pager"]
        return _output(command).splitlines()

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
    def _systemctl(*arguments: str) -> str:
        return _output(["systemctl", *arguments])


def _unit(name: str) -> str:
    return UNITS[1] if name == PROXY else UNITS[0].replace("@", f"@{name}")


def _output(command: list[str]) -> str:
    """Run a command of systemd. Raises DeployError where it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - commands of this module
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SEC,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeployError.of(" ".join(command[:2]), str(error), "Is systemd running?") from None
    if done.returncode:
        raise DeployError.of(" ".join(command), done.stderr.strip()[-500:], "Read: journalctl -xe")
    return done.stdout
