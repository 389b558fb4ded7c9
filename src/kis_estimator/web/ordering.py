"""What a caller orders: an EstimateRequest as JSON, or a schedule as a file or text of a form."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from fastapi import Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile

from kis_estimator.errors import KisError, Locale, Notice
from kis_estimator.intake.request import EstimateRequestShape, Text
from kis_estimator.service import MAX_INPUT
from kis_estimator.service.orders import Order, OrderOptions, read_schedule
from kis_estimator.service.pricebook import PriceBook
from kis_estimator.web.access import Estimator
from kis_estimator.web.auth import Caller
from kis_estimator.web.errors import caller_locale
from kis_estimator.web.limits import JSON_TYPE
from kis_estimator.web.services import Needs, Services

READ_SEC = 30.0
FORM = "multipart/form-data"
REQUEST_FILE = "request.json"
TEXT_FILE = "-"

_LINE: TypeAdapter[str] = TypeAdapter(Text)

_FIELDS = frozenset(
    {"file", "text", "customer", "project", "brand", "locale", "acceptProposedMain"}
)
_FORM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "description": "Either `file` or `text`.",
    "properties": {
        "file": {
            "type": "string",
            "format": "binary",
            "description": ".xlsx, .xls, .csv, .txt or .json, 20 MiB at most",
        },
        "text": {"type": "string", "minLength": 1, "description": "A few lines of text"},
        "customer": {"type": "string", "maxLength": 200},
        "project": {"type": "string", "maxLength": 200},
        "brand": {"type": "string", "maxLength": 60},
        "locale": {"type": "string", "enum": list(get_args(Locale))},
        "acceptProposedMain": {"type": "boolean"},
    },
}
ORDER_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/EstimateRequest"},
                "examples": {
                    "panel": {
                        "summary": "One panel of 15 branches",
                        "value": {
                            "customer": {"name": "○○전기"},
                            "project": "급식실 증축",
                            "panels": [
                                {
                                    "name": "LP-1",
                                    "breakers": [
                                        {
                                            "role": "main",
                                            "category": "MCCB",
                                            "poles": 4,
                                            "ratedCurrentA": 75,
                                            "frameAf": 100,
                                        },
                                        {
                                            "role": "branch",
                                            "category": "ELB",
                                            "poles": 2,
                                            "ratedCurrentA": 20,
                                            "quantity": 15,
                                        },
                                    ],
                                }
                            ],
                        },
                    }
                },
            },
            FORM: {"schema": _FORM_SCHEMA},
        },
    }
}
"""The body of an order, for the contract; `EstimateRequest` is added to its components."""


async def read_order(
    request: Request,
    caller: Estimator,
    needs: Needs,
    *,
    accept_proposed_main: Annotated[
        bool,
        Query(
            alias="acceptProposedMain",
            description="Take the proposed main breaker for a panel that names none.",
        ),
    ] = False,
) -> Order:
    """Return what is ordered. Raises MEDIA_TYPE and everything that it has wrong."""
    sent = media_type(request)
    if JSON_TYPE.fullmatch(sent):
        body = await request.body()
        options = OrderOptions(accept_proposed_main=accept_proposed_main)
        return await run_in_threadpool(_of_json, needs, caller, body, options)
    if sent != FORM:
        raise KisError.of("MEDIA_TYPE", expected=["application/json", FORM])
    async with request.form(max_files=1, max_fields=len(_FIELDS), max_part_size=MAX_INPUT) as form:
        refuse_unknown(form, _FIELDS)
        name, content = await schedule_of(form)
        options = _options(form, request, accept=accept_proposed_main)
    return await run_in_threadpool(_of_file, needs, caller, (name, content), options)


def _of_json(needs: Services, caller: Caller, body: bytes, options: OrderOptions) -> Order:
    """Read a request in place: JSON of this size takes milliseconds."""
    book = _book(needs, caller)
    vocabulary = book.engine.vocabulary
    request = read_schedule(REQUEST_FILE, body or b" ", options, vocabulary)
    return Order(filename=REQUEST_FILE, content=body, options=options, request=request, book=book)


def _of_file(
    needs: Services, caller: Caller, file: tuple[str, bytes], options: OrderOptions
) -> Order:
    """Read a stranger's file in a child process."""
    book = _book(needs, caller)
    if options.brand is not None and options.brand not in book.engine.catalog.brands:
        known = book.engine.catalog.brands
        raise KisError.of("UNKNOWN_BRAND", brand=options.brand, known=known)
    call = (*file, options, book.engine.vocabulary)
    request = needs.readers.result(read_schedule, call, READ_SEC)
    name, content = file
    return Order(filename=name, content=content, options=options, request=request, book=book)


def _book(needs: Services, caller: Caller) -> PriceBook:
    with needs.database.tenant(caller.principal) as conn:
        return needs.books.in_force(conn)


# ---------------------------------------------------------------- forms


def media_type(request: Request) -> str:
    """Return the type of a body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def schedule_of(form: FormData) -> tuple[str, bytes]:
    """Return name and content of the schedule. Raises SCHEDULE_MISSING unless it is there once."""
    file, text = form.get("file"), form.get("text")
    if isinstance(file, UploadFile) and text is None:
        return (file.filename or REQUEST_FILE)[:500], await file.read()
    if isinstance(text, str) and file is None:
        return TEXT_FILE, text.encode()
    raise KisError.of("SCHEDULE_MISSING")


def refuse_unknown(form: FormData, known: frozenset[str]) -> None:
    """Refuse fields by name, and fields that are there twice. Raises FIELD_UNKNOWN, FIELD_TWICE."""
    names = [name for name, _ in form.multi_items()]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise KisError(*(Notice("FIELD_UNKNOWN", {"field": name[:200]}) for name in unknown))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise KisError.of("FIELD_TWICE", field=twice[0])


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


def request_schema() -> dict[str, Any]:
    """Return the schemas that `ORDER_BODY` speaks of, by name."""
    template = "#/components/schemas/{model}"
    schema = EstimateRequestShape.model_json_schema(by_alias=True, ref_template=template)
    parts = schema.pop("$defs")
    return {**parts, "EstimateRequest": schema}
