"""One estimate from order to evidence, as a customer would make it."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any
from urllib.parse import quote
from uuid import uuid4
from zipfile import BadZipFile, ZipFile

from kis_deploy.problems import DeployError
from kis_deploy.web import OK, Answer, Web

DEADLINE_SEC, STREAM_SEC = 180.0, 30.0
_CREATED = 201
_POLL_SEC = 0.5
_SUMS, _MANIFEST = "SHA256SUMS", "manifest.json"
_SUM_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_MAX_UNPACKED = 256 << 20
_COVER, _SAMPLE = "cover.policy_violations", {"COVER_SAMPLE"}
ORDER = {
    "customer": {"name": "Smoke test"},
    "project": "Deployment check",
    "panels": [
        {
            "name": "SMOKE",
            "quantity": 1,
            "breakers": [
                {"role": "main", "category": "MCCB", "poles": 4, "ratedCurrentA": 100},
                {"role": "branch", "category": "MCCB", "poles": 3, "ratedCurrentA": 30},
                {
                    "role": "branch",
                    "category": "ELB",
                    "poles": 2,
                    "ratedCurrentA": 20,
                    "quantity": 3,
                },
            ],
        }
    ],
}


def smoke_estimate(
    base_url: str,
    token: str,
    tell: Callable[[str], None] = lambda _: None,
    deadline_sec: float = DEADLINE_SEC,
    stream_sec: float = STREAM_SEC,
) -> dict[str, Any]:
    """Order an estimate, follow it to its end, check its gates and its evidence pack.

    Returns estimateId, number, seconds, total and evidenceSha. Raises DeployError with what is
    wrong; a gate that did not run is wrong too.
    """
    began = time.monotonic()
    with Web(base_url, {"authorization": f"Bearer {token}"}) as web:
        key = {"idempotency-key": f"smoke-{uuid4()}"}
        made = web.ask("POST", "/v1/estimate", send=ORDER, headers=key)
        if made.status != _CREATED:
            raise _failed(f"the order is answered with {_said(made)}")
        estimate = _followed(web, made.object(), began + deadline_sec, tell)
        seconds = time.monotonic() - began
        _check_gates(estimate)
        _check_stream(web, estimate["id"], stream_sec)
        pack = web.ask("GET", f"/v1/estimate/{quote(estimate['id'])}/evidence")
        if pack.status != OK:
            raise _failed(f"the evidence is answered with {_said(pack)}")
        files = check_pack(pack.body, estimate["evidenceSha"])
    tell(f"{estimate['number']}: {len(estimate['gates'])} gates and {files} files are right")
    return {
        "estimateId": estimate["id"],
        "number": estimate["number"],
        "seconds": round(seconds, 2),
        "total": estimate["totals"]["total"],
        "evidenceSha": estimate["evidenceSha"],
    }


def check_pack(data: bytes, evidence_sha: str) -> int:
    """Check an evidence pack (zip) against its sums and its hash; return how many files it has.

    Raises DeployError for a pack that is damaged, incomplete or another's.
    """
    try:
        with ZipFile(BytesIO(data)) as pack:
            if sum(info.file_size for info in pack.infolist()) > _MAX_UNPACKED:
                raise _failed("the evidence pack is too large")
            files = {name: pack.read(name) for name in pack.namelist()}
        sums = files.pop(_SUMS).decode()
    except (BadZipFile, KeyError, ValueError, OSError):
        raise _failed("the evidence pack is damaged") from None
    lines = map(_SUM_LINE.fullmatch, sums.splitlines())
    stated = {line[2]: line[1] for line in lines if line}
    actual = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    if stated != actual:
        wrong = sorted(n for n in stated.keys() | actual.keys() if stated.get(n) != actual.get(n))
        raise _failed(f"the evidence pack does not fit its SHA256SUMS: {', '.join(wrong[:5])}")
    if actual.get(_MANIFEST) != evidence_sha:
        raise _failed("the evidence pack is not the one that evidenceSha names")
    return len(actual)


def _followed(
    web: Web, estimate: dict[str, Any], until: float, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Return the estimate when it is completed."""
    path = f"/v1/estimate/{quote(str(estimate.get('id')))}"
    seen = ""
    while True:
        status = str(estimate.get("status"))
        if status != seen:
            tell(f"{estimate.get('number')}: {status}")
            seen = status
        if status == "completed":
            return estimate
        if status == "failed":
            raise _failed(f"the estimate failed ({(estimate.get('error') or {}).get('code')})")
        if time.monotonic() > until:
            raise _failed(f"the estimate is still {status}: no worker takes it")
        time.sleep(_POLL_SEC)
        answer = web.ask("GET", path)
        if answer.status != OK:
            raise _failed(f"the estimate is answered with {_said(answer)}")
        estimate = answer.object()


def _check_gates(estimate: dict[str, Any]) -> None:
    """See that every gate ran and passed, but for one that has to fail in production.

    The organisation of smoke tests has no price book of its own, and a quotation from the sample
    price book must not be sent: the cover gate refuses it, for that reason alone.
    """
    gates = {f"{gate['stage']}.{gate['name']}": gate["passed"] for gate in estimate["gates"]}
    violations = {f["code"] for f in estimate["findings"] if f["severity"] == "violation"}
    wrong = {name for name, passed in gates.items() if passed is not True}
    if violations == _SAMPLE and gates.get(_COVER) is False:
        wrong.remove(_COVER)
    if wrong or not gates:
        words = {False: "failed", None: "was not run"}
        told = ", ".join(f"{name} {words[gates[name]]}" for name in sorted(wrong))
        why = f" ({', '.join(sorted(violations))})" if violations else ""
        raise _failed(f"gates: {told or 'none ran'}{why}")


def _check_stream(web: Web, estimate_id: str, within_sec: float) -> None:
    """See that the events of a completed estimate are replayed, the last of them DONE.

    A service that has lost that end sends heartbeats for ever: the stream has its time.
    """
    path = f"/v1/estimate/stream?estimateId={quote(estimate_id)}"
    try:
        answer = web.ask("GET", path, within_sec=within_sec)
    except DeployError as error:
        raise _failed(f"the stream of events does not end with DONE: {_causes(error)}") from None
    last = answer.body.decode(errors="replace").strip().split("\n\n")[-1]
    fields = dict(line.partition(": ")[::2] for line in last.splitlines())
    try:
        result = json.loads(fields["data"])["result"]
        done = fields["event"] == "DONE" and result["status"] == "completed"
    except (KeyError, TypeError, ValueError):
        done = False
    if answer.status != OK or not done:
        raise _failed("the stream of events does not end with DONE")


def _said(answer: Answer) -> str:
    code = answer.object().get("code")
    return f"{answer.status}" + (f" {code}" if code else "")


def _causes(error: DeployError) -> str:
    return ", ".join(problem.cause for problem in error.problems)


def _failed(cause: str) -> DeployError:
    return DeployError.of("Smoke estimate", cause, "Look into the application's log on the host")
