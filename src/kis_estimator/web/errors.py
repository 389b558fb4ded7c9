"""One shape for everything that goes wrong, in the caller's language.

`{code, message, hint?, traceId, meta: {dedupKey}, details?}`: the code leads to the status by one
table, the dedupKey is the same for the same failure of the same organisation at the same route.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from kis_estimator.errors import KisError, Locale, Notice, shown
from kis_estimator.intake.request import path_text
from kis_estimator.web import metrics

JSON_LIMIT = 2**20
UNPROCESSABLE, INTERNAL = 422, 500
STATUS: Mapping[str, int] = {
    **dict.fromkeys(
        (
            "BODY_UNREADABLE",
            "JSON_DUPLICATE_KEY",
            "JSON_ENCODING",
            "JSON_NOT_A_NUMBER",
            "JSON_NUMBER_TOO_LONG",
            "JSON_SYNTAX",
            "JSON_TOO_DEEP",
            "LAST_EVENT_ID",
            "REQUEST_UNREADABLE",
        ),
        400,
    ),
    **dict.fromkeys(("AUTH_REQUIRED", "TOKEN_EXPIRED", "TOKEN_INVALID"), 401),
    **dict.fromkeys(
        ("LINK_EXPIRED", "LINK_INVALID", "ROLE_REQUIRED", "TOKEN_ORGANISATION", "TOKEN_ROLE"), 403
    ),
    **dict.fromkeys(
        ("CATALOG_VERSION", "ESTIMATE_NOT_FOUND", "NOT_FOUND", "STORAGE_KEY", "STORAGE_MISSING"),
        404,
    ),
    "METHOD_NOT_ALLOWED": 405,
    **dict.fromkeys(
        (
            "CATALOG_CHANGED",
            "ESTIMATE_UNFINISHED",
            "IDEMPOTENCY_CONFLICT",
            "NOTHING_TO_COMPARE",
            "QUOTE_SUPERSEDED",
            "REVISION_PENDING",
        ),
        409,
    ),
    **dict.fromkeys(("BODY_TOO_LARGE", "FILE_TOO_LARGE"), 413),
    "MEDIA_TYPE": 415,
    "RATE_LIMITED": 429,
    # What a caller can do nothing about; their texts may name a path of this machine.
    **dict.fromkeys(("FILE_UNREADABLE", "INTERNAL", "SECRET_EXPOSED", "STORAGE_DAMAGED"), 500),
    **dict.fromkeys(
        (
            "AUTH_UNAVAILABLE",
            "DATABASE_UNAVAILABLE",
            "REQUEST_TIMEOUT",
            "STORAGE_BUCKET",
            "STORAGE_DENIED",
            "STORAGE_UNAVAILABLE",
        ),
        503,
    ),
}
"""The status of a code; what is not here is 422, a request that says something wrong."""

STATUS_NAMES: Mapping[int, str] = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    415: "Wrong media type",
    UNPROCESSABLE: "Wrong content",
    429: "Too many requests",
    INTERNAL: "Server error",
    503: "Unavailable",
}
"""What a status is called in the contract; the names of Python's library change with it."""

_MAX_DETAILS = 50
_MAX_FIELD = 200
_LANGUAGE = re.compile(r"\s*([a-z]+)(?:-[a-z0-9-]+)?\s*(?:;\s*q=([01](?:\.\d{1,3})?)\s*)?")


class Detail(BaseModel):
    """One of several problems, with its place in the input."""

    code: str
    message: str
    hint: str | None = None
    sheet: str | None = None
    row: int | None = None
    text: str | None = None


class ErrorMeta(BaseModel):
    """What groups equal errors."""

    dedup_key: Annotated[str, Field(alias="dedupKey", pattern=r"^[0-9a-f]{16}$")]


class Error(BaseModel):
    """Every answer that is not a success; `details` has all problems where there are several."""

    code: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
    message: str
    hint: str | None = None
    trace_id: Annotated[UUID, Field(alias="traceId")]
    meta: ErrorMeta
    details: list[Detail] | None = None


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of routes that may fail with these statuses, or with 500.

    What each one looks like stands once, in the components of the contract.
    """
    return {
        status: {
            "$ref": f"#/components/responses/{response_name(status)}",
            "description": STATUS_NAMES[status],
        }
        for status in sorted({*statuses, INTERNAL})
    }


def response_name(status: int) -> str:
    """Return the name of a status among the components of the contract.

    >>> response_name(404)
    'NotFound'
    """
    return STATUS_NAMES[status].title().replace(" ", "")


def caller_locale(scope: Scope) -> Locale:
    """Return the one of our two languages that the caller likes more; Korean where it is equal."""
    wanted = {"ko": 0.0, "en": 0.0}
    for name, value in scope["headers"]:
        if name == b"accept-language":
            for entry in value.decode("latin-1").lower().split(","):
                match = _LANGUAGE.fullmatch(entry)
                if match and match[1] in wanted:
                    wanted[match[1]] = float(match[2] or 1)
    return "en-US" if wanted["en"] > wanted["ko"] else "ko-KR"


def route_of(scope: Scope) -> str:
    """Return the template of the route that was found, never the path that was asked for."""
    return getattr(scope.get("route"), "path_format", "unmatched")


def respond(scope: Scope, error: KisError) -> Response:
    """Return the answer to a request that failed; what is our own fault is logged, not told."""
    status = STATUS.get(error.notices[0].code, UNPROCESSABLE)
    if status == INTERNAL and error.notices[0].code != "INTERNAL":
        structlog.get_logger().error("request failed", code=error.notices[0].code, exc_info=error)
        error = KisError.of("INTERNAL")
    code = error.notices[0].code
    locale = caller_locale(scope)
    route = route_of(scope)
    scope["state"]["error_code"] = code
    metrics.ERRORS.labels(code, route).inc()
    caller = scope["state"].get("caller")
    key = dedup_key(error, route, caller.principal.org_id if caller else None)
    content = body_of(error, locale, scope["state"]["trace_id"], key)
    body = json.dumps(content, ensure_ascii=False)
    return Response(
        body.encode(),
        status,
        {"content-language": locale, "vary": "Accept-Language", **_headers(error.notices[0])},
        media_type="application/json",
    )


def body_of(error: KisError, locale: Locale, trace_id: str, key: str) -> dict[str, object]:
    """Return the one shape of what went wrong."""
    first = error.notices[0]
    body: dict[str, object] = {
        "code": first.code,
        "message": first.message(locale),
        "hint": first.hint(locale),
        "traceId": trace_id,
        "meta": {"dedupKey": key},
    }
    placed = first.sheet is not None or first.row is not None or first.text is not None
    if placed or len(error.notices) > 1:
        body["details"] = [_detail(notice, locale) for notice in error.notices[:_MAX_DETAILS]]
    return {key: value for key, value in body.items() if value is not None}


def _detail(notice: Notice, locale: Locale) -> dict[str, object]:
    detail = {
        "code": notice.code,
        "message": notice.message(locale),
        "hint": notice.hint(locale),
        "sheet": notice.sheet,
        "row": notice.row,
        "text": notice.text,
    }
    return {key: value for key, value in detail.items() if value is not None}


def dedup_key(error: KisError, route: str, org_id: UUID | None) -> str:
    """Return what is the same for the same failure of the same organisation at the same route."""
    parts = (error.notices[0].code, route, str(org_id or ""))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _headers(notice: Notice) -> dict[str, str]:
    if notice.code == "METHOD_NOT_ALLOWED":
        return {"allow": ", ".join(notice.params["allowed"])}  # type: ignore[arg-type]  # a list of names
    if notice.code == "RATE_LIMITED":
        return {"retry-after": str(notice.params["seconds"])}
    if STATUS.get(notice.code) == 401:  # noqa: PLR2004 - the status
        return {"www-authenticate": "Bearer"}
    return {}


# ---------------------------------------------------------------- what the framework raises


async def on_kis_error(request: Request, error: Exception) -> Response:
    """Answer with what a use case raised."""
    assert isinstance(error, KisError)  # noqa: S101 - for the type
    return respond(request.scope, error)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Answer with what the framework refuses by itself."""
    assert isinstance(error, HTTPException)  # noqa: S101 - for the type
    codes = {400: "BODY_UNREADABLE", 404: "NOT_FOUND"}
    if error.status_code == 405:  # noqa: PLR2004 - the status
        refusal = KisError.of("METHOD_NOT_ALLOWED", allowed=_allowed(request.scope))
    elif error.status_code == 413:  # noqa: PLR2004 - the status
        refusal = too_large(request.scope)
    else:
        refusal = KisError.of(codes[error.status_code])
    return respond(request.scope, refusal)


async def on_invalid_request(request: Request, error: Exception) -> Response:
    """Answer with each field that does not fit the contract, by name."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - for the type
    syntax = error.__cause__
    if isinstance(syntax, json.JSONDecodeError):
        refusal = KisError.of("JSON_SYNTAX", line=syntax.lineno, column=syntax.colno)
    else:
        refusal = KisError(*_field_notices(error.errors()))
    return respond(request.scope, refusal)


def too_large(scope: Scope) -> KisError:
    """Return the refusal of a body over the limit that stands for its route."""
    limit = scope.get("starlette.max_body_size", JSON_LIMIT)
    return KisError.of("BODY_TOO_LARGE", limit=f"{limit / 2**20:g}")


def _allowed(scope: Scope) -> list[str]:
    """Return the methods that this path takes; the framework names those of one route alone."""
    methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    routes = scope["app"].routes
    return [
        method
        for method in methods
        if any(route.matches({**scope, "method": method})[0].name == "FULL" for route in routes)
    ]


_CODES = {
    "extra_forbidden": "FIELD_UNKNOWN",
    "missing": "FIELD_MISSING",
    "literal_error": "FIELD_CHOICE",
    "enum": "FIELD_CHOICE",
    "string_pattern_mismatch": "FIELD_PATTERN",
    "string_too_long": "FIELD_TOO_LONG",
    "too_long": "FIELD_TOO_LONG",
    "string_too_short": "FIELD_EMPTY",
    "too_short": "FIELD_EMPTY",
    "greater_than": "FIELD_RANGE",
    "greater_than_equal": "FIELD_RANGE",
    "less_than": "FIELD_RANGE",
    "less_than_equal": "FIELD_RANGE",
    "decimal_max_digits": "FIELD_DIGITS",
    "decimal_max_places": "FIELD_DIGITS",
    "decimal_whole_digits": "FIELD_DIGITS",
}
_TYPES = {
    "bool": "boolean",
    "decimal": "number",
    "dict": "object",
    "float": "number",
    "int": "integer",
    "invalid": "string",  # the key of an object
    "list": "array",
    "model": "object",
}
_SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


def _field_notices(found: Iterable[Mapping[str, Any]]) -> list[Notice]:
    notices = []
    for problem in found:
        # The first part says where it stands (body, query, path, header); a name tells that best.
        field = shown(path_text(problem["loc"][1:] or problem["loc"]))[:_MAX_FIELD]
        context = problem.get("ctx", {})
        limits = [f"{sign} {context[key]}" for key, sign in _SIGNS.items() if key in context]
        kind = problem["type"].partition("_")[0]
        params = {
            "field": field,
            "limit": " ".join(limits) or context.get("max_length", ""),
            "choices": str(context.get("expected", "")).replace("'", "").replace(" or ", ", "),
            "pattern": context.get("pattern", ""),
            "type": _TYPES.get(kind, kind),
        }
        notices.append(Notice(_CODES.get(problem["type"], "FIELD_TYPE"), params, text=field))
    return notices
