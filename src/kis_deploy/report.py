"""The report of a deployment: written anew after every step, so that a kill leaves the truth."""

from __future__ import annotations

import getpass
import json
import os
import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

Status = Literal["running", "done", "not run", "failed", "cancelled", "interrupted"]
Outcome = Literal[
    "running", "successful", "failed", "rolled back", "rollback failed", "cancelled", "interrupted"
]
CHANGES_NOTHING = ("dry run", "check of a snapshot")  # modes
FILE = "report.json"


@dataclass(slots=True)
class StepReport:
    """What became of a step."""

    number: int
    name: str
    status: Status = "running"
    seconds: float = 0.0
    told: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it for the report."""
        return {
            "number": self.number,
            "name": self.name,
            "status": self.status,
            "seconds": round(self.seconds, 3),
            "told": self.told,
        }


@dataclass(slots=True)
class Report:
    """What a deployment is, did, and came to; no value of a secret ever goes in."""

    folder: Path
    environment: str
    mode: str
    version: str | None = None
    previous: str | None = None
    looked: bool = False  # whether the hosts said what served before
    result: Outcome = "running"
    steps: list[StepReport] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def write(self) -> None:
        """Write the JSON, whole or not at all."""
        told = {
            "timestamp": self.folder.name,
            "startedAt": self.started.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "environment": self.environment,
            "mode": self.mode,
            "version": self.version,
            "previousVersion": self.previous,
            "result": self.result,
            "pid": os.getpid(),
            "steps": [step.as_json() for step in self.steps],
            "figures": self.figures,
            "problems": self.problems,
        }
        new = self.folder / f".{FILE}"
        new.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        new.replace(self.folder / FILE)

    def summary(self) -> str:
        """Return the text of the last step, as operators know it."""
        line = "=" * 42
        before = f"v{self.previous}" if self.previous else "nothing served"
        before = before if self.looked else "not known"
        rows = [
            line,
            "  KIS Estimator Deployment Summary",
            line,
            f"Timestamp: {self.folder.name}",
            f"Environment: {self.environment}",
            f"Mode: {self.mode.upper()}",
            f"Version: {self.version or 'not known'} (before: {before})",
            *(f"{name}: {value}" for name, value in self.figures.items()),
            f"Logs: {self.folder}",
            *(
                f"  {step.number} {step.name}: {step.status} ({step.seconds:.1f} s)"
                for step in self.steps
            ),
            line,
        ]
        return "\n".join(rows)


def audit(folder: Path, report: Report, event: Literal["started", "finished"]) -> None:
    """Append a line to the log of all deployments, and see that it is on the disk."""
    entry = {
        "at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "event": event,
        "user": _user(),
        "host": platform.node(),
        "environment": report.environment,
        "mode": report.mode,
        "version": report.version,
        "result": report.result,
        "logs": report.folder.name,
    }
    handle = os.open(folder / "audit.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "a", encoding="utf-8") as file:
        file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def ended_runs(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of all runs that came to an end, the last one last."""
    try:
        lines = (folder / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [entry for entry in map(json.loads, lines) if entry["event"] == "finished"]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        return str(os.getuid())


def unfinished(folder: Path) -> str | None:
    """Return what the last run that changes things was doing when it was killed; else None."""
    for path in sorted(folder.glob(f"*/{FILE}"), reverse=True):
        name = path.parent.name
        try:
            told = json.loads(path.read_bytes())
            if told["mode"] in CHANGES_NOTHING:
                continue
            if told["result"] != "running":
                return None
            last = told["steps"][-1]
            when = "in" if last["status"] == "running" else "after"
            return f"{name} was killed {when} step {last['number']} ({last['name']})"
        except (ValueError, KeyError, TypeError, IndexError):
            return f"{name} was killed"
    return None
