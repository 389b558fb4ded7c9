import asyncio
import io
import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from kis_estimator.errors import KisError
from kis_estimator.web import metrics, tracing
from kis_estimator.web.logs import configure_logs

from .conftest import ORG, MakeWeb, Web, bearer

ITEM = f"/v1/test/{UUID(int=5)}"
TEMPLATE = "/v1/test/{item_id}"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
UUID_FORM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def scrape(web: Web) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = web("GET", "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(found: dict[Any, float], name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0)


# ---------------------------------------------------------------- trace id and headers


@pytest.mark.parametrize("path", [ITEM, "/nothing", "/healthz", "/", "/v1/crash"])
def test_trace_id_of_the_caller(web: Web, path: str) -> None:
    answer = web("GET", path, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    assert answer.headers["x-trace-id"] == str(UUID(TRACE))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "x",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
    ],
)
def test_trace_id_of_our_own(web: Web, header: str) -> None:
    answers = [web("GET", "/healthz", headers={"traceparent": header}) for _ in range(2)]
    ids = {answer.headers["x-trace-id"] for answer in answers}
    assert len(ids) == 2
    assert all(UUID_FORM.fullmatch(text) and UUID(text) != UUID(TRACE) for text in ids)


@pytest.mark.parametrize("path", ["/", "/healthz", ITEM, "/v1/crash", "/static/page.css"])
def test_safe_headers(web: Web, path: str) -> None:
    headers = web("GET", path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert ("cache-control" in headers) != ("etag" in headers)
    assert "strict-transport-security" not in headers


def test_https_alone_in_production(make_web: MakeWeb) -> None:
    answer = make_web(app_env="production")("GET", "/healthz")
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")


def test_other_sites_are_not_let_in(web: Web) -> None:
    asked = {"origin": "https://elsewhere.test", "access-control-request-method": "POST"}
    preflight = web("OPTIONS", ITEM, headers=asked)
    assert preflight.status_code == 405
    answers = [preflight, web("GET", ITEM, headers=asked | bearer())]
    assert not any("access-control" in name for answer in answers for name in answer.headers)


# ---------------------------------------------------------------- logs


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handlers, level = logging.root.handlers[:], logging.root.level
    before = structlog.get_config()
    logging.root.handlers = []  # which `configure_logs` would close
    configure_logs(stream)
    yield stream
    structlog.configure(**before)
    logging.root.handlers, logging.root.level = handlers, level


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_a_line_for_each_request(web: Web, log: io.StringIO) -> None:
    answer = web("GET", f"{ITEM}?size=2&q=secret-customer", headers=bearer())
    (line,) = lines(log)
    assert line.pop("ms") >= 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", line.pop("ts"))
    assert line == {
        "event": "request",
        "level": "info",
        "method": "GET",
        "route": TEMPLATE,
        "status": 200,
        "org": str(ORG),
        "code": None,
        "traceId": answer.headers["x-trace-id"],
    }


def test_a_line_of_a_refusal_says_the_code(web: Web, log: io.StringIO) -> None:
    web("BREW", "/v1/no/secret-customer")
    (line,) = lines(log)
    assert (line["method"], line["route"]) == ("other", "unmatched")
    assert (line["status"], line["code"], line["org"]) == (404, "NOT_FOUND", None)
    assert "secret-customer" not in log.getvalue()


def test_a_crash_is_logged_with_its_trace(web: Web, log: io.StringIO) -> None:
    answer = web("GET", "/v1/crash")
    crash, request = lines(log)
    assert crash["traceId"] == request["traceId"] == answer.json()["traceId"]
    assert "RuntimeError" in crash["exception"]


def test_what_an_endpoint_logs_has_the_trace(web: Web, log: io.StringIO) -> None:
    @web.app.get("/v1/talk")
    def talk() -> None:
        structlog.get_logger().info("working", panels=3)
        logging.getLogger("library").warning("slow")

    answer = web("GET", "/v1/talk")
    own, library, _ = lines(log)
    assert (own["event"], own["panels"]) == ("working", 3)
    assert (library["event"], library["logger"], library["level"]) == ("slow", "library", "warning")
    assert own["traceId"] == library["traceId"] == answer.headers["x-trace-id"]


# ---------------------------------------------------------------- metrics


def test_metrics_by_route_template(web: Web) -> None:
    before = scrape(web)
    web("GET", ITEM, headers=bearer())
    web("GET", f"/v1/test/{UUID(int=6)}", headers=bearer())
    web("GET", ITEM)
    web("GET", "/static/page.css")
    after = scrape(web)

    def more(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert more("kis_http_requests_total", method="GET", route=TEMPLATE, status="200") == 2
    assert more("kis_http_requests_total", method="GET", route=TEMPLATE, status="401") == 1
    assert more("kis_http_request_seconds_count", method="GET", route=TEMPLATE) == 3
    static = {"method": "GET", "route": "/static/{path}", "status": "200"}
    assert more("kis_http_requests_total", **static) == 1
    assert more("kis_errors_total", code="AUTH_REQUIRED", route=TEMPLATE) == 1
    assert value(after, "kis_http_requests_in_progress") == 1  # the one that asks
    assert not any(str(UUID(int=5)) in str(labels) for _, labels in after)


def test_metrics_of_other_parts(web: Web) -> None:
    before = scrape(web)
    metrics.observe_storage("put", "ok", 0.02)
    metrics.GATE_FAILURES.labels("lint", "lint.errors").inc()
    metrics.FINISHED.labels("completed").inc()
    after = scrape(web)
    for name, labels in (
        ("kis_storage_operation_seconds_count", {"operation": "put", "outcome": "ok"}),
        ("kis_gate_failures_total", {"stage": "lint", "gate": "lint.errors"}),
        ("kis_estimates_finished_total", {"status": "completed"}),
    ):
        assert value(after, name, **labels) - value(before, name, **labels) == 1


def test_what_is_looked_up_when_asked(make_web: MakeWeb) -> None:
    def broken() -> dict[str, float]:
        raise KisError.of("DATABASE_UNAVAILABLE")

    queue = {"kis_queue_jobs": 4.0, "kis_queue_oldest_seconds": 1.5}
    found = scrape(make_web(samples=(lambda: queue, broken)))
    assert value(found, "kis_queue_jobs") == 4
    assert value(found, "kis_queue_oldest_seconds") == 1.5
    assert value(found, "kis_db_connections_open") == 3
    assert value(found, "kis_db_requests_waiting") == 1


WRITER = """
from kis_estimator.web import metrics
metrics.FINISHED.labels("completed").inc()
metrics.IN_PROGRESS.inc()
print(metrics.exposition({"kis_queue_jobs": 2}).decode())
"""


def test_processes_of_a_host_write_to_one_folder(tmp_path: Path) -> None:
    env = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": "src"}
    outputs = [
        subprocess.run(
            [sys.executable, "-c", WRITER], env=env, check=True, capture_output=True, text=True
        ).stdout
        for _ in range(2)
    ]
    assert 'kis_estimates_finished_total{status="completed"} 1.0' in outputs[0]
    assert 'kis_estimates_finished_total{status="completed"} 2.0' in outputs[1]
    assert "kis_queue_jobs 2.0" in outputs[1]


# ---------------------------------------------------------------- health


def test_healthz_touches_nothing(web: Web) -> None:
    web.backend.database = web.backend.storage = RuntimeError("touched")
    answer = web("GET", "/healthz")
    body = answer.json()
    assert answer.status_code == 200
    assert set(body) == {"status", "version", "openapiSha256", "ts", "traceId"}
    assert body["status"] == "ok"
    assert body["traceId"] == answer.headers["x-trace-id"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["ts"])


def test_readyz(web: Web) -> None:
    answer = web("GET", "/readyz")
    body = answer.json()
    assert answer.status_code == 200
    assert set(body) == {"status", "db", "storage", "ts", "traceId"}
    assert (body["status"], body["db"], body["storage"]) == ("ok", "ok", "ok")


@pytest.mark.parametrize(
    ("database", "storage", "parts"),
    [
        (KisError.of("DATABASE_UNAVAILABLE"), None, ("unavailable", "ok")),
        (None, KisError.of("STORAGE_UNAVAILABLE", reason="x"), ("ok", "unavailable")),
        (RuntimeError("password"), RuntimeError("key"), ("unavailable", "unavailable")),
        (1.0, None, ("unavailable", "ok")),
    ],
)
def test_503_of_readyz_has_the_same_shape(
    web: Web, monkeypatch: pytest.MonkeyPatch, database: Any, storage: Any, parts: tuple[str, str]
) -> None:
    monkeypatch.setattr("kis_estimator.web.api.health._PROBE_SEC", -0.8)
    web.backend.database, web.backend.storage = database, storage
    answer = web("GET", "/readyz")
    body = answer.json()
    assert answer.status_code == 503
    assert (body["status"], body["db"], body["storage"]) == ("unavailable", *parts)
    assert set(body) == {"status", "db", "storage", "ts", "traceId"}
    assert "password" not in answer.text


def test_many_who_ask_at_once_share_a_probe(web: Web) -> None:
    answers = web.together(*["/readyz"] * 20)
    assert {answer.status_code for answer in answers} == {200}
    assert web.backend.asked == 1


# ---------------------------------------------------------------- OpenTelemetry


@pytest.fixture
def collector() -> Iterator[tuple[str, list[Any]]]:
    spans: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            request = ExportTraceServiceRequest.FromString(body)
            spans.extend(
                span
                for resource in request.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            )
            assert self.path == "/v1/traces"
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", spans
        tracing.stop_tracing()
        server.shutdown()


def test_spans(make_web: MakeWeb, collector: tuple[str, list[Any]]) -> None:
    endpoint, spans = collector
    web = make_web(otlp_endpoint=endpoint)
    carried: list[str | None] = []

    @web.app.get("/v1/work/{name}")
    def work(name: str) -> None:
        assert name == "x"
        with tracing.span("solve"):
            carried.append(tracing.traceparent())

    path = "/v1/work/x?q=secret-customer"
    answer = web("GET", path, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    own = web("GET", "/healthz")
    with tracing.span("job", carried[0]):
        pass
    tracing.stop_tracing()

    found = {span.name: span for span in spans}
    request, solve, job = (found[name] for name in ("GET /v1/work/{name}", "solve", "job"))
    assert answer.headers["x-trace-id"] == str(UUID(TRACE))
    assert {span.trace_id.hex() for span in (request, solve, job)} == {TRACE}
    assert request.parent_span_id.hex() == PARENT
    assert solve.parent_span_id == request.span_id
    assert job.parent_span_id == solve.span_id
    assert "secret-customer" not in str(spans)
    health = found["GET /healthz"]
    assert own.headers["x-trace-id"] == str(UUID(bytes=health.trace_id))


UNTRACED = """
import sys
from kis_estimator.web import app, tracing
with tracing.span("work"):
    assert tracing.traceparent() is None
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exp"))])
"""


def test_nothing_is_loaded_without_a_collector() -> None:
    env = os.environ | {"PYTHONPATH": "src"}
    run = subprocess.run(
        [sys.executable, "-c", UNTRACED], env=env, check=True, capture_output=True, text=True
    )
    assert run.stdout == "[]\n"


def test_hooks_run_as_long_as_the_application(make_web: MakeWeb) -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def hook() -> AsyncIterator[None]:
        seen.append("start")
        yield
        seen.append("stop")

    app = make_web(hooks=(hook,)).app

    async def run() -> None:
        async with app.router.lifespan_context(app):
            assert app.state.openapi_yaml  # made before the first request
            assert seen == ["start"]

    asyncio.run(run())
    assert seen == ["start", "stop"]
