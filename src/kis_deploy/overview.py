"""`--status`: who serves on each host, what was before, and what the last runs came to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kis_deploy.report import ended_runs, unfinished
from kis_deploy.run import Run

_LAST_RUNS = 5


def overview(run: Run, logs: Path) -> bool:
    """Tell how every host is, and the last runs; return whether all serve and lack nothing.

    Nothing changes anywhere. Raises DeployError for a host that does not answer.
    """
    well = True
    for name, status in run.statuses().items():
        for line in _host(status):
            run.say(f"{name}: {line}")
        well = well and bool(status["serving"]) and status["proxy"] == "running"
        well = well and not (status["lacks"] or status["leftovers"])
    killed = unfinished(logs)
    if killed:
        run.say(f"⚠️  The deployment {killed}")
    for entry in ended_runs(logs)[-_LAST_RUNS:]:
        version = f" v{entry['version']}" if entry["version"] else ""
        run.say(f"{entry['at']} {entry['mode']}{version}: {entry['result']} ({entry['user']})")
    return well


def _host(status: Mapping[str, Any]) -> Iterator[str]:
    serving, previous = status["serving"], status["previous"]
    if serving:
        place = f"{serving['colour']}, port {serving['port']}"
        yield f"v{serving['version']} serves since {serving['since']} ({place})"
    else:
        yield "nothing serves"
    if previous:
        yield f"v{previous['version']} served before, and is kept until {previous['until']}"
    yield f"installed: {', '.join(f'v{version}' for version in status['releases']) or 'nothing'}"
    yield f"{status['manager']}, proxy {status['proxy']}, {status['freeBytes'] >> 30} GiB free"
    yield from (f"⚠️  {text}" for text in status["leftovers"])
    yield from (f"❌ {p['what']}: {p['cause']}. {p['remedy']}" for p in status["lacks"])
