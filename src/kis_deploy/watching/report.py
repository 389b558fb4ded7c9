"""The report of the last hours: watches, deployments, the proxy's log, and a look at the service.

A figure that nothing tells is "not known", never 0.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from kis_deploy.watching.access_log import AccessLog
from kis_deploy.watching.figures import Figures
from kis_deploy.watching.metrics import quantile
from kis_deploy.watching.probe import Seen
from kis_deploy.watching.record import LOG, known, milliseconds, now, percent, read_figures
from kis_deploy.watching.triggers import ERROR_BUDGET

P95_GOAL_SEC = 0.2
_COVERED = 0.95  # of the hours: what is missing at their edges changes no verdict
_VALIDATION = 7
_DEPLOYING = ("deploy", "rollback", "step")  # how modes begin that change what serves
_UNKNOWN = "not known"
Met = Literal["met", "not met", "not known"]


@dataclass(slots=True)
class Watched:
    """What the logs of watches hold of the time asked for."""

    looks: int = 0
    ready: int = 0
    counted: int = 0  # looks that said what was added
    total: Figures = field(default_factory=Figures)
    triggers: list[dict[str, Any]] = field(default_factory=list)
    oldest_queue_sec: float | None = None
    seconds: float = 0.0
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class Criterion:
    """A line of the success criteria."""

    name: str
    met: Met
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What a report is made of.

    Without an access log `access` is None, where deployments leave no reports `deployments` is.
    """

    hours: float
    watched: Watched
    deployments: Sequence[Mapping[str, Any]] | None
    seen: Mapping[str, Seen]
    access: AccessLog | None


# ---------------------------------------------------------------- reading


def read_watches(folder: Path, since: datetime, urls: Collection[str]) -> Watched:
    """Read what the logs of watches below a folder hold of these addresses.

    A line that a kill has torn is counted.
    """
    found = Watched()
    for path in sorted(folder.glob(f"*/{LOG}")):
        times: list[datetime] = []
        for line in path.read_bytes().splitlines():
            try:
                told = json.loads(line)
                at = datetime.fromisoformat(told["at"])
                if at >= since and told["url"] in urls:
                    _take(found, told)
                    times.append(at)
            except (ValueError, KeyError, TypeError):
                found.unreadable += 1
        if times:
            found.seconds += (max(times) - min(times)).total_seconds()
    return found


def _take(found: Watched, told: Mapping[str, Any]) -> None:
    added = None if told["added"] is None else read_figures(told["added"])
    found.looks += 1
    found.ready += told["ready"]
    if added is not None:
        found.counted += 1
        found.total += added
    found.triggers += [{"at": told["at"], "url": told["url"], **c} for c in told["changes"]]
    oldest = told["queueOldestSeconds"]
    if oldest is not None:
        found.oldest_queue_sec = max(oldest, found.oldest_queue_sec or 0.0)


def read_deployments(folder: Path, since: datetime) -> list[dict[str, Any]] | None:
    """Read the reports of the deployments that were still written to in the time asked for.

    What only looked, or restored a database, is none. One that cannot be read is in the list, with
    a result that is not known. Returns None where there is no such folder.
    """
    if not folder.is_dir():
        return None
    paths = [
        p for p in sorted(folder.glob("*/report.json")) if p.stat().st_mtime >= since.timestamp()
    ]
    found = map(_deployment, paths)
    return [one for one in found if one["mode"].startswith((*_DEPLOYING, _UNKNOWN))]


def _deployment(path: Path) -> dict[str, Any]:
    keys = ("timestamp", "environment", "mode", "version", "result")
    try:
        told = json.loads(path.read_bytes())
        steps = {step["number"]: step["status"] for step in told["steps"]}
        return {key: told[key] or _UNKNOWN for key in keys} | {"steps": steps}
    except (ValueError, KeyError, TypeError):
        return dict.fromkeys(keys, _UNKNOWN) | {"timestamp": path.parent.name, "steps": {}}


def since_hours(hours: float) -> datetime:
    """Return when the last hours began."""
    return datetime.now(UTC) - timedelta(hours=hours)


# ---------------------------------------------------------------- figures


def report(sources: Sources) -> dict[str, Any]:
    """Return the report as JSON; what is not known is null."""
    watched, access = sources.watched, sources.access
    rate, covered = _error_rate(sources)
    total = watched.total if watched.counted else None
    told = {
        "at": now(),
        "hours": sources.hours,
        "source": "access log" if access is not None else "watch" if watched.looks else None,
        "coveredHours": round(covered, 2),
        "requests": _requests(sources),
        "errorRate": rate,
        "availability": None if rate is None else round(1 - rate, 6),
        **_percentiles(sources),
        "watchedHours": round(watched.seconds / 3600, 2),
        "looks": watched.looks or None,
        "readyShare": round(watched.ready / watched.looks, 6) if watched.looks else None,
        "estimatesCompleted": total and total.completed,
        "estimatesFailed": total and total.failed,
        "damagedFiles": total and total.damaged,
        "incompletePacks": total and total.incomplete,
        "oldestQueueSeconds": watched.oldest_queue_sec,
        "now": {url: _look_json(seen) for url, seen in sources.seen.items()},
        "routes": [] if access is None else _routes(access),
        "deployments": None if sources.deployments is None else list(sources.deployments),
        "triggers": watched.triggers,
        "unreadableLines": watched.unreadable + (0 if access is None else access.unreadable),
    }
    criteria = [{"criterion": c.name, "met": c.met, "why": c.why} for c in _criteria(sources, told)]
    return {**told, "criteria": criteria}


def _requests(sources: Sources) -> float | None:
    if sources.access is not None:
        return sources.access.answers
    return sources.watched.total.answers if sources.watched.counted else None


def _error_rate(sources: Sources) -> tuple[float | None, float]:
    """Return the failed share, and of how many hours."""
    access, watched = sources.access, sources.watched
    if access is not None:
        hours = 0.0
        if access.first is not None:
            hours = min(sources.hours, (datetime.now(UTC) - access.first).total_seconds() / 3600)
        answers, failures = float(access.answers), float(access.failures)
    else:
        hours = min(sources.hours, watched.seconds / 3600)
        answers, failures = watched.total.answers, watched.total.failures
    return (round(failures / answers, 6) if answers else None), hours


def _percentiles(sources: Sources) -> dict[str, float | None]:
    access, latency = sources.access, sources.watched.total.latency
    found = {}
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        value = quantile(latency, share) if access is None else access.percentile(share)
        found[f"{name}Seconds"] = None if value is None else round(value, 4)
    return found


def _routes(access: AccessLog) -> list[dict[str, Any]]:
    return [
        {
            "route": name,
            "answers": route.answers,
            "failures": route.failures,
            "errorRate": round(route.failures / route.answers, 6),
            "p50Seconds": route.percentile(0.5),
            "p95Seconds": route.percentile(0.95),
            "p99Seconds": route.percentile(0.99),
        }
        for name, route in sorted(access.routes.items())
    ]


def _look_json(seen: Seen) -> dict[str, Any]:
    gauge = (lambda _: None) if seen.sample is None else seen.sample.gauge
    return {
        "ready": seen.look.ready,
        "said": seen.look.said,
        "queueJobs": gauge("kis_queue_jobs"),
        "queueOldestSeconds": gauge("kis_queue_oldest_seconds"),
        "databaseConnectionsOpen": gauge("kis_db_connections_open"),
        "databaseConnectionsLimit": gauge("kis_db_connections_limit"),
        "databaseRequestsWaiting": gauge("kis_db_requests_waiting"),
    }


# ---------------------------------------------------------------- success criteria


def _criteria(sources: Sources, told: Mapping[str, Any]) -> Iterator[Criterion]:
    """Judge what makes a deployment successful; time without data leaves it open."""
    rate, p95_sec = told["errorRate"], told["p95Seconds"]
    watched, asked, covered = sources.watched, sources.hours, told["coveredHours"]
    data = f"{covered:.1f} of {asked:g} hours have data"
    whole = covered >= _COVERED * asked
    not_ready = watched.looks - watched.ready
    watched_all = watched.seconds / 3600 >= _COVERED * asked
    looked = f"{not_ready} of {watched.looks} looks in {watched.seconds / 3600:.1f} hours not ready"
    fired = [change for change in watched.triggers if change["event"] == "fired"]
    down = [url for url, seen in sources.seen.items() if not seen.look.ready]
    yield Criterion(
        "All health checks passing (200)",
        _met(not_ready > 0 or bool(down), watched_all),
        ", ".join([looked, *(f"{url} is not ready now" for url in down)]),
    )
    yield Criterion(
        f"Error rate < {100 * ERROR_BUDGET:g} %",
        _met(rate is not None and rate >= ERROR_BUDGET, whole and rate is not None),
        f"{percent(rate)}; {data}",
    )
    yield Criterion(
        f"p95 < {1000 * P95_GOAL_SEC:g} ms",
        _met(p95_sec is not None and p95_sec >= P95_GOAL_SEC, whole and p95_sec is not None),
        f"{milliseconds(p95_sec)}; {data}",
    )
    yield Criterion(
        "No critical incidents",
        _met(bool(fired), watched_all),
        f"{len(fired)} triggers fired in {watched.seconds / 3600:.1f} watched hours",
    )
    yield Criterion(
        "All end-to-end tests passing", "not known", "run pytest tests/test_e2e_supabase.py"
    )
    yield _upload(sources.deployments or ())
    yield Criterion("No customer-reported issues", "not known", "ask those who hear of them")


def _met(broken: bool, known: bool) -> Met:  # noqa: FBT001 - two findings
    return "not met" if broken else "met" if known else "not known"


def _upload(deployments: Sequence[Mapping[str, Any]]) -> Criterion:
    """Judge by the validation of the last deployment, which uploads a file and reads it back."""
    name = "Evidence upload and download working"
    status = next(
        (d["steps"][_VALIDATION] for d in reversed(deployments) if _VALIDATION in d["steps"]), None
    )
    if status is None:
        return Criterion(name, "not known", "no deployment with a validation in this time")
    return Criterion(name, _met(status == "failed", status == "done"), f"validation: {status}")


# ---------------------------------------------------------------- text


def report_text(told: Mapping[str, Any]) -> str:
    """Return the report for people; its first line says how many criteria are not met."""
    met = [criterion["met"] for criterion in told["criteria"]]
    broken, open_ = met.count("not met"), met.count("not known")
    judged = f"{broken} of {len(met)} success criteria not met, {open_} not known"
    rows = [
        f"Report of the last {told['hours']:g} hours, {told['at']}: {judged}",
        f"Source: {told['source'] or 'none'}, {told['coveredHours']:.1f} hours have data",
        f"Requests: {known(told['requests'])}",
        f"Availability: {percent(told['availability'])}, error rate {percent(told['errorRate'])}",
        *(f"{name}: {milliseconds(told[f'{name}Seconds'])}" for name in ("p50", "p95", "p99")),
        f"Ready: {percent(told['readyShare'])} of {told['looks'] or 'no'} looks",
        f"Estimates completed: {known(told['estimatesCompleted'])}",
        f"Estimates failed: {known(told['estimatesFailed'])}",
        f"Damaged files: {known(told['damagedFiles'])}",
        f"Incomplete evidence packs: {known(told['incompletePacks'])}",
        f"Longest wait in the queue [s]: {known(told['oldestQueueSeconds'])}",
    ]
    if told["unreadableLines"]:
        rows.append(f"Lines of logs that could not be read: {told['unreadableLines']}")
    for url, now_ in told["now"].items():
        rows.append(
            f"Now: {url} readyz {now_['said']}, queue {known(now_['queueJobs'])}, database"
            f" connections {known(now_['databaseConnectionsOpen'])} of"
            f" {known(now_['databaseConnectionsLimit'])}"
        )
    rows += ["", "Routes"]
    rows += [
        f"  {r['route']}: {r['answers']} answers, errors {percent(r['errorRate'])}, p50"
        f" {milliseconds(r['p50Seconds'])}, p95 {milliseconds(r['p95Seconds'])}, p99"
        f" {milliseconds(r['p99Seconds'])}"
        for r in told["routes"]
    ] or ["  not known: name the proxy's log with --access-log"]
    rows += ["", "Deployments"]
    rows += [
        f"  {d['timestamp']} {d['mode']} {d['version']} ({d['environment']}): {d['result']}"
        for d in told["deployments"] or ()
    ] or [_without_deployments(told)]
    rows += ["", "Triggers"]
    rows += ["  {at} {url} {event}: {trigger} ({why})".format(**t) for t in told["triggers"]] or [
        "  none fired" if told["looks"] else "  not known: nothing was watched in this time"
    ]
    rows += ["", "Success criteria"]
    rows += [f"  {c['criterion']}: {c['met']} ({c['why']})" for c in told["criteria"]]
    return "\n".join(rows) + "\n"


def _without_deployments(told: Mapping[str, Any]) -> str:
    if told["deployments"] is None:
        return "  not known: there is no out/prod_deploy here; name the checkout with --checkout"
    return "  none in this time"
