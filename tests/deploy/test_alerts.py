"""Alerts and dashboard: `promtool` runs the rules; no figure is asked for that nobody counts."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram
from tests.e2e.live import Live

from kis_deploy.watching.triggers import RULES
from kis_estimator.web import metrics

GET = '{method="GET", route="/v1/catalog"'
OK, BAD = (
    f'kis_http_requests_total{GET}, status="200"}}',
    f'kis_http_requests_total{GET}, status="500"}}',
)
READY = 'kis_http_requests_total{method="GET", route="/readyz", status="200"}'
NOT_READY = READY.replace("200", "503")
TIMED = f'kis_http_request_seconds_bucket{GET}, le="+Inf"}}'
IN_TIME = TIMED.replace("+Inf", "0.5")
STREAM = 'kis_http_request_seconds_bucket{method="GET", route="/v1/estimate/stream", le="+Inf"}'
ORDER = 'kis_http_request_seconds_bucket{method="POST", route="/v1/estimate", le="+Inf"}'
DAMAGED = 'kis_storage_operation_seconds_count{operation="get", outcome="STORAGE_DAMAGED"}'
STORED = 'kis_storage_operation_seconds_count{operation="put", outcome="ok"}'
UNSTORED = STORED.replace('"ok"', '"STORAGE_UNAVAILABLE"')
INCOMPLETE = 'kis_gate_failures_total{stage="evidence", gate="complete"}'
COMPLETED = 'kis_estimates_finished_total{status="completed"}'
FAILED = COMPLETED.replace("completed", "failed")
UP = 'up{job="kis-estimator"}'

GOOD = {
    UP: "1x180",
    OK: "0+100x180",
    READY: "0+3x180",
    TIMED: "0+100x180",
    IN_TIME: "0+98x180",
    STORED: "0+5x180",
    COMPLETED: "0+5x180",
    "kis_queue_oldest_seconds": "20x180",
    "kis_db_requests_waiting": "0x180",
}
"""Samples of a good service, 15 s apart, for 45 minutes."""

SCENES: dict[str, tuple[dict[str, str], set[str]]] = {
    "good": ({}, set()),
    "a few errors": ({BAD: "0+0.3x180"}, set()),
    "an old burst of errors": ({BAD: "0+50x4 250x180"}, set()),
    "a refusal of a scanner": (
        {'kis_http_requests_total{method="GET", route="unmatched", status="404"}': "0+900x180"},
        set(),
    ),
    "slightly too many errors": ({BAD: "0+0.8x180"}, {"KisErrorsBurnFast", "KisErrorsBurnSlow"}),
    "a burst of errors": ({BAD: "0x130 0+50x50"}, {"KisErrorsBurnFast", "KisErrorsBurnSlow"}),
    "errors before a route is found": (
        {'kis_http_requests_total{method="GET", route="unmatched", status="500"}': "0+20x180"},
        {"KisErrorsBurnFast", "KisErrorsBurnSlow"},
    ),
    "slow": ({IN_TIME: "0+90x180"}, {"KisLatencyBurnFast", "KisLatencyBurnSlow"}),
    "streams and orders that callers wait for": ({STREAM: "0+90x180", ORDER: "0+90x180"}, set()),
    "nobody asks": ({OK: "7x180", TIMED: "7x180", IN_TIME: "7x180"}, set()),
    "few ask and one fails": ({OK: "0+0.05x180", BAD: "0x160 1x20"}, set()),
    "few ask and all fail": ({OK: "7x180", BAD: "0+0.5x180"}, {"KisAllFail"}),
    "down": ({UP: "1x130 0x50"}, {"KisDown"}),
    "not ready": ({READY: "9x180", NOT_READY: "0+3x180"}, {"KisNotReady"}),
    "damage for the first time": ({DAMAGED: "_x170 1x10"}, {"KisIntegrity"}),
    "damage again": ({DAMAGED: "1x170 2x10"}, {"KisIntegrity"}),
    "damage of yesterday": ({DAMAGED: "1x180"}, set()),
    "an incomplete pack": ({INCOMPLETE: "_x170 1x10"}, {"KisIntegrity"}),
    "a stuck queue": ({"kis_queue_oldest_seconds": "0+15x180"}, {"KisQueueStuck"}),
    "estimates fail": ({FAILED: "0+9x180"}, {"KisEstimatesFail"}),
    "storage fails": ({UNSTORED: "0+1x180"}, {"KisStorageFails"}),
    "connections are waited for": (
        {"kis_db_requests_waiting": "3x180"},
        {"KisDatabaseConnectionsWaited"},
    ),
    "another process": ({OK: "0+100x150 0+100x30", TIMED: "0+100x150 0+100x30"}, set()),
}


@pytest.fixture(scope="module")
def ops(root: Path) -> Path:
    return root / "ops"


def promtool(*arguments: str | Path) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_configuration_and_rules_are_valid(ops: Path) -> None:
    promtool("check", "config", ops / "prometheus/prometheus.yml")
    promtool("check", "rules", ops / "prometheus/alerts.yml")


def on_host(series: str) -> str:
    return series.replace("{", '{instance="a", ') if "{" in series else f'{series}{{instance="a"}}'


def test_what_alerts(ops: Path, tmp_path: Path) -> None:
    fired = 'group by (alertname) (ALERTS{alertstate="firing"})'
    tests = [
        {
            "name": name,
            "interval": "15s",
            "input_series": [
                {"series": on_host(series), "values": values}
                for series, values in (GOOD | changed).items()
            ],
            "promql_expr_test": [
                {
                    "expr": fired,
                    "eval_time": "44m",
                    "exp_samples": [
                        {"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in alerts
                    ],
                }
            ],
        }
        for name, (changed, alerts) in SCENES.items()
    ]
    rules = str(ops / "prometheus/alerts.yml")
    told = {"rule_files": [rules], "evaluation_interval": "30s", "tests": tests}
    file = tmp_path / "tests.yml"
    file.write_text(json.dumps(told))
    promtool("test", "rules", file)


def alerts(ops: Path) -> list[dict[str, Any]]:
    groups = yaml.safe_load((ops / "prometheus/alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_alert_is_shown_to_fire(ops: Path) -> None:
    known = {rule["alert"] for rule in alerts(ops) if "alert" in rule}
    assert known == set().union(*(fired for _, fired in SCENES.values()))


def test_every_alert_names_a_section_of_the_runbook(ops: Path, root: Path) -> None:
    sections = re.findall(r"^## (.+)$", (root / "docs/Runbook.md").read_text(), re.MULTILINE)
    for rule in alerts(ops):
        if "alert" in rule:
            named = re.findall(r'"(.+?)"', rule["annotations"]["runbook"])
            assert named
            assert set(named) <= set(sections), rule["alert"]


def test_budgets_are_those_of_the_watch(ops: Path) -> None:
    found = {
        (match[1], float(match[2]), float(match[3]))
        for rule in alerts(ops)
        for match in re.finditer(r"kis_(\w+?)_share:\w+ > ([\d.]+) \* ([\d.]+)", rule["expr"])
    }
    of_watch = {
        (
            "failed" if burn.trigger == "error rate" else "slow",
            float(burn.times),
            round(burn.limit / burn.times, 6),
        )
        for burn in RULES.burns
    }
    assert found == of_watch


# ---------------------------------------------------------------- names


def asked(ops: Path) -> set[str]:
    """Return the name of every metric that an alert or a panel asks for."""
    dashboard = json.loads((ops / "grafana/kis-estimator.json").read_text())
    texts = [rule["expr"] for rule in alerts(ops)]
    texts += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return set(re.findall(r"(?<![:\w])kis_\w+(?!:)\b", " ".join(texts))) - _RECORDED


_RECORDED = {"kis_answers", "kis_failed_share", "kis_timed", "kis_slow_share"}


def test_only_what_is_counted_is_asked_for(ops: Path, live: Live) -> None:
    counted = {
        family.name
        for metric in vars(metrics).values()
        if isinstance(metric, Counter | Gauge | Histogram)
        for family in metric.describe()
    }
    names = asked(ops)
    known = {f"{name}_total" for name in counted} | counted | set(metrics.SAMPLED)
    known |= {f"{name}{part}" for name in counted for part in ("_bucket", "_count", "_sum")}
    assert names <= known
    served = httpx.get(f"{live.url}/metrics").text
    for name in set(metrics.SAMPLED) & names:
        assert f"\n{name} " in served


def test_every_metric_is_on_the_dashboard(ops: Path) -> None:
    text = (ops / "grafana/kis-estimator.json").read_text()
    families = [
        "kis_http_requests_total",
        "kis_http_request_seconds_bucket",
        "kis_http_requests_in_progress",
        "kis_errors_total",
        "kis_storage_operation_seconds_count",
        "kis_gate_failures_total",
        "kis_estimates_finished_total",
        *metrics.SAMPLED,
    ]
    assert [name for name in families if name not in text] == []


def test_the_dashboard_is_one(ops: Path) -> None:
    board = json.loads((ops / "grafana/kis-estimator.json").read_text())
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    for panel in panels:
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"


def test_prometheus_reads_every_query_of_the_dashboard(ops: Path, tmp_path: Path) -> None:
    board = json.loads((ops / "grafana/kis-estimator.json").read_text())
    rules = [
        {"record": f"panel:p{panel['id']}:{number}", "expr": text.replace("$__rate_interval", "5m")}
        for panel in board["panels"]
        for number, target in enumerate(panel["targets"])
        for text in [target["expr"].replace("$instance", ".*")]
    ]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", file)
