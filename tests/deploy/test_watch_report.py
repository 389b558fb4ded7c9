"""The report of the last hours, and the check of the environment."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.deploy.test_check_env import KEY, sound
from tests.deploy.watched import Service, served

from kis_deploy.problems import DeployError
from kis_deploy.watching.access_log import percentile, read_access_logs, route_of
from kis_deploy.watching.report import (
    Sources,
    read_deployments,
    read_watches,
    report,
    report_text,
    since_hours,
)

KIS = (sys.executable, "-P", "-m", "kis_estimator.cli")
ID = "0b0e4d5c-3f43-4f4e-9a3f-0d8a4f2f1f10"


def hours_ago(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat()


def ops(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME"}}
    source = str(Path(__file__).parents[2] / "src")
    return subprocess.run(
        [*KIS, "ops", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**kept, "PYTHONPATH": source, "LANG": "en_US.UTF-8", **environment},
    )


def request(hours: float, path: str, **more: Any) -> str:
    line = {"ts": hours_ago(hours), "method": "GET", "path": path, "status": 200, "seconds": 0.1}
    return json.dumps(line | more) + "\n"


LOG = "".join(
    [
        request(30, "/v1/catalog", status=500, seconds=9),  # before the time asked for
        *(request(1 + i, "/v1/catalog", seconds=0.01 * i) for i in range(1, 20)),
        request(2, f"/v1/estimate/{ID}", status=503, seconds=0.2),
        request(2, "/v1/estimate/stream", seconds=900),
        request(2, "/v1/estimate", method="POST", seconds=20, status=201),
        request(2, "/readyz", status=503),
        request(2, "/wp-login.php", status=404),
        request(2, "/static/page.css"),
        "torn {\n",
        '{"ts": 1}\n',
    ]
)


def test_the_log_of_the_proxy(tmp_path: Path) -> None:
    plain, packed = tmp_path / "access.log", tmp_path / "access.log.2.gz"
    plain.write_text(LOG)
    packed.write_bytes(gzip.compress(request(3, "/v1/catalog", status=500, seconds=1).encode()))
    found = read_access_logs([plain, packed], since_hours(24))
    assert {name: (r.answers, r.failures) for name, r in found.routes.items()} == {
        "GET /v1/catalog": (20, 1),
        "GET /v1/estimate/{}": (1, 1),
        "GET /v1/estimate/stream": (1, 0),
        "POST /v1/estimate": (1, 0),
    }
    assert (found.answers, found.failures, found.unreadable) == (23, 2, 2)
    assert found.percentile(1) == 1
    assert found.percentile(0.5) == 0.11


def test_logs_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(b"no gzip")
    for path in (tmp_path / "missing", tmp_path / "x.gz", tmp_path):
        with pytest.raises(DeployError, match="cannot be read"):
            read_access_logs([path], since_hours(1))


def test_routes_and_percentiles() -> None:
    assert route_of(f"/v1/estimate/{ID}/evidence") == "/v1/estimate/{}/evidence"
    assert route_of("/v1/documents/Ab12") == "/v1/documents/{}"
    assert route_of("/v1/nothing", 404) == "unmatched"
    assert route_of(f"/v1/estimate/{ID}", 404) == "/v1/estimate/{}"
    assert [percentile(range(1, 101), s) for s in (0, 0.5, 0.95, 1)] == [1, 50, 95, 100]
    assert percentile([], 0.5) is None


def look(hours: float, **more: Any) -> str:
    added = {
        "answers": 100.0,
        "failures": 0.0,
        "latency": {"0.1": 99.0, "0.5": 100.0, "+Inf": 100.0},
        "damaged": 0.0,
        "incomplete": 0.0,
        "completed": 2.0,
        "failed": 1.0,
    }
    line = {
        "at": hours_ago(hours),
        "url": "http://h",
        "ready": True,
        "said": "200 ok",
        "queueOldestSeconds": 4.0,
        "added": added,
        "changes": [],
    }
    return json.dumps(line | more) + "\n"


def write_watch(checkout: Path, *lines: str) -> None:
    folder = checkout / "out/watch/20260101_000000"
    folder.mkdir(parents=True)
    (folder / "watch.jsonl").write_text("".join(lines))


def write_deployment(checkout: Path, name: str, validation: str, **more: str | None) -> None:
    folder = checkout / "out/prod_deploy" / name
    folder.mkdir(parents=True)
    told = {
        "timestamp": name,
        "environment": "production",
        "mode": "deploy",
        "version": "2.1.0",
        "result": "successful",
        "steps": [{"number": 7, "name": "Validation", "status": validation, "seconds": 3.0}],
        "problems": [],
        **more,
    }
    (folder / "report.json").write_text(json.dumps(told))


def made(checkout: Path, *, log: str | None = None, hours: float = 24) -> dict[str, Any]:
    since = since_hours(hours)
    access = None
    if log is not None:
        (checkout / "access.log").write_text(log)
        access = read_access_logs([checkout / "access.log"], since)
    return report(
        Sources(
            hours=hours,
            watched=read_watches(checkout / "out/watch", since, ["http://h"]),
            deployments=read_deployments(checkout / "out/prod_deploy", since),
            seen={},
            access=access,
        )
    )


def criteria(told: dict[str, Any]) -> list[str]:
    return [line["met"] for line in told["criteria"]]


def test_nothing_is_known_where_nothing_tells(tmp_path: Path) -> None:
    told = made(tmp_path)
    assert set(criteria(told)) == {"not known"}
    figures = {k: v for k, v in told.items() if k.endswith("Seconds") or k.startswith("estimates")}
    assert set(figures.values()) == {None}
    assert (told["requests"], told["errorRate"], told["readyShare"]) == (None, None, None)
    text = report_text(told)
    assert "Requests: not known" in text
    assert "not known: nothing was watched" in text
    assert "Ready: not known of no looks" in text
    assert "not known: there is no out/prod_deploy here" in text
    assert text.splitlines()[0].endswith(": 0 of 7 success criteria not met, 7 not known")
    (tmp_path / "out/prod_deploy").mkdir(parents=True)
    assert "Deployments\n  none in this time" in report_text(made(tmp_path))


def test_a_day_that_was_watched(tmp_path: Path) -> None:
    elsewhere = look(1, url="http://other", ready=False)
    write_watch(tmp_path, look(23.9), look(12), elsewhere, look(0.1), '{"torn')
    write_deployment(tmp_path, "20260101_000000", "done")
    for number, mode in enumerate(("dry run", "restore", "check of a snapshot")):
        write_deployment(tmp_path, f"20260102_00000{number}", "failed", mode=mode, version=None)
    write_deployment(tmp_path, "20260103_000000", "done", mode="rollback", version=None)
    told = made(tmp_path)
    met = ["met", "met", "met", "met", "not known", "met", "not known"]
    assert criteria(told) == met
    assert (told["requests"], told["errorRate"], told["estimatesCompleted"]) == (300, 0, 6)
    assert told["p50Seconds"] < 0.1
    assert told["oldestQueueSeconds"] == 4
    assert told["unreadableLines"] == 1
    assert [one["mode"] for one in told["deployments"]] == ["deploy", "rollback"]
    text = report_text(told)
    assert "2.1.0 (production): successful" in text
    assert "rollback not known (production): successful" in text


def test_an_hour_is_no_day(tmp_path: Path) -> None:
    write_watch(tmp_path, look(0.99), look(0))
    told = made(tmp_path)
    assert criteria(told)[:4] == ["not known"] * 4
    assert "1.0 of 24 hours have data" in told["criteria"][1]["why"]
    assert criteria(made(tmp_path, hours=1))[:4] == ["met"] * 4


def test_a_bad_hour_is_a_bad_day(tmp_path: Path) -> None:
    fired = {"trigger": "readyz", "event": "fired", "why": "503"}
    write_watch(tmp_path, look(1), look(0.5, ready=False, added=None, changes=[fired]))
    write_deployment(tmp_path, "20260101_000000", "failed")
    log = LOG + request(1, "/v1/catalog", seconds=3) * 5
    told = made(tmp_path, log=log)
    expected = ["not met", "not met", "not met", "not met", "not known", "not met", "not known"]
    assert criteria(told) == expected
    assert told["source"] == "access log"
    assert [t["trigger"] for t in told["triggers"]] == ["readyz"]
    assert ": 5 of 7 success criteria not met" in report_text(told).splitlines()[0]


def test_a_deployment_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    write_deployment(tmp_path, "20260101_000000", "done")
    torn = tmp_path / "out/prod_deploy/20260102_000000/report.json"
    torn.parent.mkdir()
    torn.write_text("{")
    found = read_deployments(tmp_path / "out/prod_deploy", since_hours(24))
    assert found is not None
    assert [one["result"] for one in found] == ["successful", "not known"]
    assert read_deployments(tmp_path / "out/prod_deploy", since_hours(-1)) == []


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text(LOG)
    options = ("--checkout", tmp_path, "--access-log", tmp_path / "access.log")
    with served(Service()) as service:
        text = ops("report", "--url", service.url, *options)
        told = ops("report", "--url", service.url, *options, "--json")
    assert (text.returncode, told.returncode) == (0, 0)
    assert f"Now: {service.url} readyz 200 ok" in text.stdout
    assert json.loads(told.stdout)["requests"] == 22
    assert "is not ready now" not in text.stdout
    gone = ops("report", "--url", service.url, *options)
    assert gone.returncode == 0
    assert f"not met (0 of 0 looks in 0.0 hours not ready, {service.url} is not ready now" in (
        gone.stdout
    )
    missing = ops("report", "--url", "http://127.0.0.1:1", "--access-log", tmp_path / "no.log")
    assert missing.returncode == 2
    assert "no.log: cannot be read" in missing.stderr


def test_check_env(tmp_path: Path) -> None:
    good = ops("check-env", **sound(tmp_path))
    assert (good.returncode, good.stderr) == (0, "")
    assert "Environment variables validated" in good.stdout
    bad = sound(tmp_path) | {
        "SUPABASE_DB_URL": "postgresql://u:hidden-password@h",
        "STORAGE_BUCKET": "Hidden Bucket",
        "KIS_SIGNING_KEY": "",
        "DB_POOL_SIZE": "hidden",
        "SUPABASE_ANON_KEY": "your-hidden-key",
    }
    text, told = ops("check-env", **bad), ops("check-env", "--json", **bad)
    assert (text.returncode, told.returncode) == (2, 2)
    named = [problem["what"] for problem in json.loads(told.stdout)["problems"]]
    for name in ("SUPABASE_DB_URL", "STORAGE_BUCKET", "DB_POOL_SIZE", "SUPABASE_ANON_KEY"):
        assert named.count(name) == 1
        assert name in text.stderr
    said = text.stdout + text.stderr + told.stdout + told.stderr
    assert "idden" not in said
    assert KEY not in said
