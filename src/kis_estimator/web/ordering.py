"""What a caller orders: an EstimateRequest as JSON, or a schedule as a file or text of a form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from fastapi import Query, Request
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import FormData

from kis_estimator.errors import KisError, Locale
from kis_estimator.intake.request import Text
from kis_estimator.service.orders import (
    MOST_JSON,
    REQUEST_FILE,
    Order,
    OrderOptions,
    Sent,
    read_schedule,
)
from kis_estimator.web.access import Estimator
from kis_estimator.web.auth import Caller
from kis_estimator.web.errors import caller_locale
from kis_estimator.web.forms import FORM, form_of, media_type, schedule_of
from kis_estimator.web.limits import JSON_TYPE
from kis_estimator.web.services import Services

READ_SEC = 30.0

_LINE: TypeAdapter[str] = TypeAdapter(Text)

_OPTIONS: dict[str, Any] = {
    "customer": _LINE.json_schema(),
    "project": _LINE.json_schema(),
    "brand": _LINE.json_schema(),
    "locale": {"type": "string", "enum": list(get_args(Locale))},
    "acceptProposedMain": {"type": "boolean"},
}
_SCHEDULES: dict[str, Any] = {
    "file": {
        "type": "string",
        "format": "binary",
        "description": ".xlsx, .xls, .csv, .txt or .json, 20 MiB at most",
    },
    "text": {"type": "string", "description": "A few lines of text"},
}


def form_schema(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a form with a schedule, as a file or as text, and with options."""
    one_of_both: dict[str, Any] = {"minProperties": 1, "maxProperties": 1}
    if options:
        one_of_both = {"oneOf": [{"required": [name]} for name in _SCHEDULES]}
    return {
        "type": "object",
        "description": "Either `file` or `text`",
        "additionalProperties": False,
        **one_of_both,
        "properties": {**_SCHEDULES, **options},
    }


_FIELDS = frozenset({*_SCHEDULES, *_OPTIONS})
ORDER_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/EstimateRequest"},
            },
            FORM: {"schema": form_schema(_OPTIONS)},
        },
    }
}
"""The body of an order, for the contract, whose components have `EstimateRequest`."""


async def read_order(
    request: Request,
    _caller: Estimator,
    *,
    accept_proposed_main: Annotated[
        bool,
        Query(
            alias="acceptProposedMain",
            description="Take the proposed main breaker for a panel that names none.",
        ),
    ] = False,
) -> Sent:
    """Return what is sent. Raises MEDIA_TYPE, BODY_TOO_LARGE, or what the form has wrong."""
    kind = media_type(request)
    if JSON_TYPE.fullmatch(kind):
        body = await request.body() or b" "  # which is no JSON either, and says so
        if len(body) > MOST_JSON:
            raise KisError.of("BODY_TOO_LARGE", limit=f"{MOST_JSON / 2**20:g}")
        return Sent(REQUEST_FILE, body, OrderOptions(accept_proposed_main=accept_proposed_main))
    if kind != FORM:
        raise KisError.of("MEDIA_TYPE", expected=["application/json", FORM])
    async with form_of(request, _FIELDS) as form:
        name, content = await schedule_of(form)
        return Sent(name, content, _options(form, request, accept=accept_proposed_main))


def order_of(needs: Services, caller: Caller, sent: Sent) -> Order:
    """Return an order of what was sent. Raises everything that it has wrong.

    JSON of this size takes milliseconds; a stranger's file is read in a child process.
    """
    with needs.database.tenant(caller.principal) as conn:
        book = needs.books.in_force(conn)
    catalog, brand = book.engine.catalog, sent.options.brand
    if brand is not None and brand not in catalog.brands:
        raise KisError.of("UNKNOWN_BRAND", brand=brand, known=catalog.brands)
    call = (sent, book.engine.vocabulary)
    if sent.in_place:
        return Order(sent, read_schedule(*call), book)
    return Order(sent, needs.readers.result(read_schedule, call, READ_SEC), book)


# ---------------------------------------------------------------- what was sent


def _options(form: FormData, request: Request, *, accept: bool) -> OrderOptions:
    wanted = _word(form, "acceptProposedMain")
    if wanted not in {None, "true", "false"}:
        choices = ["true", "false"]
        raise KisError.of("FIELD_CHOICE", field="acceptProposedMain", choices=choices)
    locale = _word(form, "locale")
    if locale not in {None, *get_args(Locale)}:
        raise KisError.of("FIELD_CHOICE", field="locale", choices=list(get_args(Locale)))
    return OrderOptions(
        reading_locale=locale or caller_locale(request.scope),  # type: ignore[arg-type] # checked
        locale=locale,  # type: ignore[arg-type] # checked above
        customer=_line(form, "customer"),
        project=_line(form, "project"),
        brand=_line(form, "brand"),
        accept_proposed_main=accept or wanted == "true",
    )


def _word(form: FormData, name: str) -> str | None:
    value = form.get(name)
    return value if isinstance(value, str) and value else None


def _line(form: FormData, name: str) -> str | None:
    """Return a text of a form, as strict as the same text in JSON."""
    value = _word(form, name)
    if value is None:
        return None
    try:
        return _LINE.validate_python(value)
    except ValidationError as error:
        raise KisError.of("FIELD_TEXT", field=name) from error
