"""What the contract says beyond the routes: examples, failures, events and headers.

The framework describes parameters and models. Bodies that an endpoint reads itself, answers that
every route may give and the messages of the stream are added here; examples are data, in
`examples.yaml`, and tests hold them against the schemas.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, cast

import yaml
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from kis_estimator.errors import KisError, Locale, Notice
from kis_estimator.intake.request import EstimateRequestShape
from kis_estimator.web.errors import INTERNAL, STATUS, UNPROCESSABLE, Error, body_of, response_name
from kis_estimator.web.stream_schemas import EVENTS, STREAM_EVENT

TAGS = [
    {
        "name": "estimates",
        "description": "Order, follow, read, list, revise and compare estimates.",
    },
    {"name": "schedules", "description": "Check a breaker schedule without estimating it."},
    {"name": "documents", "description": "Quotations and drawings, as links that expire."},
    {"name": "evidence", "description": "Packs that prove how an estimate came about."},
    {"name": "catalog", "description": "The price book: search, versions, import."},
    {"name": "service", "description": "The service itself: health, metrics, this contract."},
]
SERVERS = [{"url": "/", "description": "The installation that this contract was read from"}]
DESCRIPTION = """\
Money is in won, quantities and money are JSON numbers, units are in the names, times are UTC.
Whole numbers of an EstimateRequest are written without a fraction: 75, not 75.0.

Every answer has `X-Trace-Id`; a W3C `traceparent` is honoured. Every answer that is no success is
an `Error`, in Korean or English by `Accept-Language`. A path that takes another method answers 405
with `Allow`. Unknown fields of a body are refused by name.
"""

_PART = "Request"
_LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum"}
_REF = "#/components/schemas/{model}"
_TRACE_ID = "11111111-2222-4333-8444-555555555555"
_DEDUP_KEY = "0123456789abcdef"
_LOCALES: tuple[Locale, ...] = ("ko-KR", "en-US")
_FAILURES: Mapping[int, KisError] = {
    400: KisError.of("JSON_SYNTAX", line=1, column=12),
    401: KisError.of("AUTH_REQUIRED"),
    403: KisError.of("ROLE_REQUIRED", role="estimator"),
    404: KisError.of("ESTIMATE_NOT_FOUND", id="7e93c8fd-f88c-4930-a56b-1cb85c029c1d"),
    405: KisError.of("METHOD_NOT_ALLOWED", allowed=["GET", "POST"]),
    409: KisError.of("IDEMPOTENCY_CONFLICT", key="order-17"),
    413: KisError.of("BODY_TOO_LARGE", limit="1"),
    415: KisError.of("MEDIA_TYPE", expected=["application/json"]),
    422: KisError(Notice("FIELD_UNKNOWN", {"field": "colour"}, text="colour")),
    429: KisError.of("RATE_LIMITED", seconds=1),
    500: KisError.of("INTERNAL"),
    503: KisError.of("REQUEST_TIMEOUT", seconds=60),
}
_HIDDEN = {code for code, status in STATUS.items() if status == INTERNAL} - {"INTERNAL"}
_FAILURE_HEADERS: Mapping[int, tuple[str, str]] = {
    401: ("WWW-Authenticate", "Bearer"),
    405: ("Allow", "The methods that this path takes"),
    429: ("Retry-After", "Seconds until the next request is taken"),
}
_TRACE_HEADER = {"X-Trace-Id": {"$ref": "#/components/headers/TraceId"}}


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document of the framework with all that it leaves out."""
    parts = document["components"]
    models: list[type[BaseModel]] = [Error, *EVENTS.values()]
    _, extra = models_json_schema([(m, "serialization") for m in models], ref_template=_REF)
    schemas = {**parts["schemas"], **_request_schema(), **extra["$defs"]}
    schemas[STREAM_EVENT] = _stream_event()
    parts["schemas"] = dict(sorted(schemas.items()))
    parts["responses"] = {response_name(status): _failure(status) for status in _FAILURES}
    parts["headers"] = {
        "TraceId": {
            "description": "The id of the request in logs and traces",
            "required": True,
            "schema": {"type": "string", "format": "uuid"},
        }
    }
    _untitle(document["paths"])
    _untitle(parts["schemas"])
    examples = _examples()
    for path in document["paths"].values():
        for operation in path.values():
            for response in operation["responses"].values():
                if "$ref" not in response:
                    response["headers"] = {**response.get("headers", {}), **_TRACE_HEADER}
            for parameter in operation.get("parameters", ()):
                _plain(parameter["schema"])
            _illustrate(operation, examples.get(operation["operationId"], {}))
    return document


def _request_schema() -> dict[str, Any]:
    """Return the schemas of EstimateRequest, by name; parts are called RequestPanel, …."""
    template = f"#/components/schemas/{_PART}{{model}}"
    schema = EstimateRequestShape.model_json_schema(by_alias=True, ref_template=template)
    parts = {f"{_PART}{name}": part for name, part in schema.pop("$defs").items()}
    text = json.dumps({**parts, "EstimateRequest": schema}).replace(f"{_PART}_", _PART)
    found: dict[str, Any] = json.loads(text, object_hook=_number)
    return found


def _number(node: dict[str, Any]) -> dict[str, Any]:
    """Return a decimal as the number that it is in a request; others as they are.

    The library takes texts as well, and calls the limits by names of its own.
    """
    if "decimal_places" not in node:
        return node
    number = {
        "type": "number",
        "description": f"{node['decimal_places']} decimals at most",
        **{_LIMITS[key]: value for key, value in node.items() if key in _LIMITS},
    }
    return {**number, "default": json.loads(node["default"])} if "default" in node else number


def _failure(status: int) -> dict[str, Any]:
    """Return the response that all routes share for a status, in both languages."""
    # The other codes of a 500 are for the log alone.
    codes = sorted(c for c, found in STATUS.items() if found == status and c not in _HIDDEN)
    named = ", ".join(f"`{code}`" for code in codes)
    described = "What the request or the schedule has wrong, each with its place"
    headers: dict[str, Any] = dict(_TRACE_HEADER)
    if status in _FAILURE_HEADERS:
        name, text = _FAILURE_HEADERS[status]
        headers[name] = {"description": text, "required": True, "schema": {"type": "string"}}
    error = _FAILURES[status]
    return {
        "description": described if status == UNPROCESSABLE else f"One of {named}",
        "headers": headers,
        "content": {
            "application/json": {
                "schema": {"$ref": _REF.format(model="Error")},
                "examples": {
                    locale[:2]: {"value": body_of(error, locale, _TRACE_ID, _DEDUP_KEY)}
                    for locale in _LOCALES
                },
            }
        },
    }


def _stream_event() -> dict[str, Any]:
    """Return the schema of one message; its data is JSON."""
    return {
        "description": "One server-sent event",
        "oneOf": [
            {
                "type": "object",
                "description": model.__doc__,
                "required": ["event", "id", "data"],
                "properties": {
                    "event": {"const": event},
                    "id": {"type": "string", "pattern": "^[1-9][0-9]*$"},
                    "data": {
                        "type": "string",
                        "contentMediaType": "application/json",
                        "contentSchema": {"$ref": _REF.format(model=model.__name__)},
                    },
                },
            }
            for event, model in EVENTS.items()
        ],
    }


def _plain(schema: dict[str, Any]) -> None:
    """Leave out what a parameter says itself, and null, which no query, path or header has."""
    schema.pop("description", None)
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        schema.update({**kinds[0], **schema})


def _examples() -> dict[str, Any]:
    text = (files("kis_estimator.web") / "examples.yaml").read_text(encoding="utf-8")
    return cast("dict[str, Any]", yaml.safe_load(text))


def _illustrate(operation: dict[str, Any], examples: Mapping[str, Any]) -> None:
    """Put the examples of an operation where they belong, by media type."""
    for media_type, named in examples.get("request", {}).items():
        operation["requestBody"]["content"][media_type]["examples"] = named
    for status, by_type in examples.get("responses", {}).items():
        for media_type, named in by_type.items():
            operation["responses"][str(status)]["content"][media_type]["examples"] = named


def _untitle(node: object) -> None:
    """Take away the titles that are made from names: they say nothing."""
    if isinstance(node, dict):
        if isinstance(node.get("title"), str):
            del node["title"]
        for value in node.values():
            _untitle(value)
    elif isinstance(node, list):
        for value in node:
            _untitle(value)
