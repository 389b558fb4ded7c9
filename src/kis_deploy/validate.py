"""The checks after a deployment: what answers is the release, whole, right and fast enough."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import uuid4

from kis_deploy.config import Config
from kis_deploy.problems import DeployError
from kis_deploy.smoke import smoke_estimate
from kis_deploy.storage import Bucket
from kis_deploy.tokens import member_token
from kis_deploy.web import OK, Answer, Web

_CONCURRENCY = 4
_WITH_TOKEN = {"smoke estimate", "p95", "error rate"}
_REQUEST_SEC = 10.0  # what takes longer is an error: a release that hangs is to be found soon
_OF_THE_LIMIT = 0.7  # a check is not to be refused by RATE_LIMIT_RPS, nor to use it up

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Check:
    """One check: `passed` is None where it was not run, which is no pass."""

    name: str
    passed: bool | None
    value: str = ""
    limit: str = ""
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it for a JSON report."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is fast and sound enough."""

    requests: int = 200
    p95_ms: float = 200.0
    error_pct: float = 0.5


def validate(
    base_url: str,
    release_openapi_sha256: str | None,
    config: Config,
    tell: Tell = lambda _: None,
    *,
    version: str | None = None,
    limits: Limits = Limits(),
) -> list[Check]:
    """Run every check, also after one that failed, and return them all.

    With `version`, the service has to be of that version. Raises nothing for what is wrong; `tell`
    hears what takes time.
    """
    with Web(base_url) as web:
        health, ready, document = (
            _asked(web, path) for path in ("/healthz", "/readyz", "/openapi")
        )
    checks = [_health(*health, version), *_readiness(*ready)]
    checks += [_contract(*document, health[0], release_openapi_sha256), _evidence(config)]
    try:
        with member_token(config) as token:
            smoke, estimate_id = _smoke(base_url, token, tell)
            checks.append(smoke)
            load = _Load(base_url, token, estimate_id, float(config["RATE_LIMIT_RPS"] or 0))
            tell(f"{limits.requests} requests, {_CONCURRENCY} at a time")
            checks += load.checks(limits)
    except DeployError as error:
        checks.append(Check("smoke user", passed=False, detail=str(error)))
    ran = {check.name for check in checks}
    return checks + [Check(name, None, detail="no token") for name in sorted(_WITH_TOKEN - ran)]


def evidence_upload(config: Config) -> tuple[str, str]:
    """Upload random evidence, read it back and delete it; return both SHA-256, sent and read.

    Raises DeployError where the storage refuses or does not answer.
    """
    data = json.dumps({"probe": secrets.token_hex(100_000)}).encode()
    key = f"probe/{uuid4()}.json"
    bucket = Bucket(config)
    try:
        _succeeded(bucket.upload(key, data), "uploaded")
        try:
            read = bucket.read(key)
            _succeeded(read, "read back")
        finally:
            gone = bucket.delete(key)
        _succeeded(gone, "deleted")
    finally:
        bucket.close()
    return hashlib.sha256(data).hexdigest(), hashlib.sha256(read.body).hexdigest()


def _succeeded(answer: Answer, what: str) -> None:
    if answer.status != OK:
        raise DeployError.of(
            "Evidence upload",
            f"the probe can't be {what} (status {answer.status})",
            "Check SUPABASE_SERVICE_ROLE_KEY and STORAGE_BUCKET; step 5 makes the bucket",
        )


# ---------------------------------------------------------------- the checks


def _asked(web: Web, path: str) -> tuple[Answer, str]:
    """Return the answer; one of status 0, and the reason, where there is none."""
    try:
        return web.ask("GET", path), ""
    except DeployError as error:
        return Answer(0, {}, b""), str(error)


def _health(answer: Answer, detail: str, version: str | None) -> Check:
    found = answer.object().get("version")
    right = answer.status == OK and bool(found) and version in {None, found}
    limit = f"200, version {version}" if version else "200"
    value = f"{answer.status}, version {found}" if answer.status else ""
    return Check("/healthz", right, value, limit, detail)


def _readiness(answer: Answer, detail: str) -> list[Check]:
    """Return a check for the status and one for each part of the answer."""
    told, answered = answer.object(), bool(answer.status)
    checks = [Check("/readyz", answer.status == OK, str(answer.status or ""), "200", detail)]
    checks += [
        Check(name, told.get(name) == "ok" if answered else None, str(told.get(name, "")), "ok")
        for name in ("status", "db", "storage")
    ]
    present = bool(told.get("traceId"))
    value = "present" if present else ""
    return [*checks, Check("traceId", present if answered else None, value, "present")]


def _contract(document: Answer, detail: str, health: Answer, expected: str | None) -> Check:
    """Return whether the served document, and the one that the service tells, are the release's."""
    served = hashlib.sha256(document.body).hexdigest() if document.status == OK else ""
    told = health.object().get("openapiSha256")
    if served and served != told:
        detail = "/healthz tells another checksum"
    if expected is None:
        return Check("openapi", None, served, detail="no release was named to compare it with")
    return Check("openapi", served == told == expected, served, expected, detail)


def _evidence(config: Config) -> Check:
    try:
        sent, read = evidence_upload(config)
    except DeployError as error:
        return Check("evidence upload", passed=False, detail=str(error))
    return Check("evidence upload", sent == read, read, sent)


def _smoke(base_url: str, token: str, tell: Tell) -> tuple[Check, str | None]:
    try:
        figures = smoke_estimate(base_url, token, tell)
    except DeployError as error:
        return Check("smoke estimate", passed=False, detail=str(error)), None
    value = f"{figures['number']} in {figures['seconds']} s, total {figures['total']}"
    return Check("smoke estimate", passed=True, value=value), figures["estimateId"]


# ---------------------------------------------------------------- under load


@dataclass(slots=True)
class _Load:
    """What is asked in turn, and what came of it: seconds and success of each request."""

    base_url: str
    token: str = field(repr=False)
    estimate_id: str | None
    rps: float
    request_sec: float = _REQUEST_SEC
    results: list[tuple[float, bool]] = field(default_factory=list, repr=False)

    def checks(self, limits: Limits) -> list[Check]:
        """Send requests over a few connections at a time, and judge them.

        It ends early where more good answers could not bring the errors below their limit.
        """
        read = f"/v1/estimate/{self.estimate_id}" if self.estimate_id else "/v1/estimate?size=5"
        paths = itertools.cycle(("/healthz", "/v1/catalog?q=100&size=20", read))
        todo = list(itertools.islice(paths, limits.requests))
        with ThreadPoolExecutor(_CONCURRENCY) as pool:
            list(pool.map(lambda n: self._ask(todo[n::_CONCURRENCY], limits), range(_CONCURRENCY)))
        made = len(self.results)
        cut = made < limits.requests
        detail = f"ended after {made} of {limits.requests} requests" if cut else ""
        errors = 100 * self._failures() / made
        return [
            _p95(sorted(seconds * 1000 for seconds, good in self.results if good), limits, detail),
            Check(
                "error rate",
                errors < limits.error_pct,
                f"{errors:.2f} % of {made} requests",
                f"< {limits.error_pct:g} %",
                detail,
            ),
        ]

    def _failures(self) -> int:
        return sum(not good for _, good in self.results)

    def _ask(self, paths: list[str], limits: Limits) -> None:
        pause = _CONCURRENCY / (self.rps * _OF_THE_LIMIT) if self.rps else 0.0
        headers = {"authorization": f"Bearer {self.token}"}
        with Web(self.base_url, headers, timeout_sec=self.request_sec) as web:
            for path in paths:
                failures = self._failures()
                if failures and 100 * failures / limits.requests >= limits.error_pct:
                    return
                began, good = time.perf_counter(), False
                with suppress(DeployError):
                    good = web.ask("GET", path, within_sec=self.request_sec).status == OK
                seconds = time.perf_counter() - began
                self.results.append((seconds, good))
                time.sleep(max(0.0, pause - seconds))


def _p95(times_ms: list[float], limits: Limits, cut: str) -> Check:
    """Return the check of the times of answers; a refusal may be quick and is not one.

    Some of the requests alone are no measurement, whatever they show.
    """
    limit = f"< {limits.p95_ms:g} ms"
    if cut or not times_ms:
        return Check("p95", None, limit=limit, detail=cut or "no request was answered")
    p95 = times_ms[math.ceil(0.95 * len(times_ms)) - 1]
    return Check("p95", p95 < limits.p95_ms, f"{p95:.1f} ms of {len(times_ms)} answers", limit)
