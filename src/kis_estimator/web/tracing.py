"""OpenTelemetry, for installations that name a collector; without one nothing is loaded.

FastAPI itself makes a span of each request, with the caller's traceparent as its parent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig
    from opentelemetry.sdk.trace import Span, TracerProvider

_provider: TracerProvider | None = None


def start_tracing(endpoint: str) -> None:
    """Send the spans of this process to the collector at `endpoint` (OTLP over HTTP)."""
    # Some 60 modules that only an installation with a collector needs.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    class WithoutQuery(SpanProcessor):
        """A query may hold a customer's name or the signature of a link."""

        def on_start(self, span: Span, parent_context: object = None) -> None:  # noqa: ARG002 - of the interface
            if span.attributes and "url.query" in span.attributes:
                span.set_attribute("url.query", "")

    global _provider  # noqa: PLW0603 - one process, one collector
    _provider = TracerProvider(resource=Resource.create({"service.name": "kis-estimator"}))
    _provider.add_span_processor(WithoutQuery())
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    _provider.add_span_processor(BatchSpanProcessor(exporter))


def stop_tracing() -> None:
    """Send what is not sent yet, and end."""
    global _provider  # noqa: PLW0603 - see start_tracing
    if _provider is not None:
        _provider.shutdown()
        _provider = None


def request_telemetry() -> TelemetryConfig:
    """Return how FastAPI shall trace requests: with our provider or not at all."""
    return {
        "tracer_provider": _provider,
        "tracing": _provider is not None,
        "metrics": False,
        "logs": False,
        "operation_spans": False,
        "auto_configure": False,
    }


@contextmanager
def span(name: str, traceparent: str | None = None) -> Iterator[None]:
    """Time a piece of work as part of the trace around it, or of the one that a job carries."""
    if _provider is None:
        yield
        return
    from opentelemetry import propagate  # noqa: PLC0415 - see start_tracing

    parent = propagate.extract({"traceparent": traceparent}) if traceparent else None
    with _provider.get_tracer("kis_estimator").start_as_current_span(name, context=parent):
        yield


def traceparent() -> str | None:
    """Return the current span for a job to carry to its worker."""
    if _provider is None:
        return None
    from opentelemetry import propagate  # noqa: PLC0415 - see start_tracing

    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent")
