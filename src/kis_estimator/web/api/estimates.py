"""`/v1/estimate`: order, read, list, revise, compare, follow."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from sse_starlette import EventSourceResponse

from kis_estimator.errors import KisError
from kis_estimator.service import orders
from kis_estimator.service.comparison import difference
from kis_estimator.service.orders import Sent
from kis_estimator.store import estimates
from kis_estimator.store.blobs import blob_key
from kis_estimator.store.listing import FILTERS, PageWish, page_of_quotes
from kis_estimator.store.sql import Row
from kis_estimator.web.access import Estimator, Viewer
from kis_estimator.web.auth import Caller
from kis_estimator.web.errors import problems
from kis_estimator.web.events import Position, Stream
from kis_estimator.web.forms import UPLOAD_LIMIT
from kis_estimator.web.limits import READING
from kis_estimator.web.ordering import ORDER_BODY, order_of, read_order
from kis_estimator.web.schemas import (
    NO_NUL,
    Difference,
    EstimateList,
    EstimateResponse,
    EstimateSummary,
    Revisions,
)
from kis_estimator.web.services import Needs, Services
from kis_estimator.web.stream_schemas import STREAM_EVENT

router = APIRouter(prefix="/v1/estimate", tags=["estimates"])

_JSON = "application/json"
_LONGEST_WAIT_SEC = 50  # less than a request may take
_SLOW_CLIENT_SEC = 30
_PREFER = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})\"?(?:$|[,;\s])", re.IGNORECASE)

EstimateId = Annotated[UUID, Path(description="The id of an estimate")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
        description="The same key and body again answer as the first time; the key with another"
        " body is a 409. Kept for seven days.",
    ),
]
Prefer = Annotated[
    str | None,
    Header(
        alias="Prefer",
        description="`wait=N` answers when the estimate is done, within N seconds (≤ 50).",
    ),
]
_CREATED: dict[int | str, dict[str, Any]] = {
    201: {
        "model": EstimateResponse,
        "description": "Taken in; `Location` names it, its events stream from now on.",
        "headers": {
            "Location": {"schema": {"type": "string"}, "description": "The estimate"},
            "Preference-Applied": {"schema": {"type": "string"}, "description": "wait=N"},
        },
        "links": {
            "export": {
                "operationId": "export_documents",
                "requestBody": {"estimateId": "$response.body#/id", "kinds": ["pdf", "xlsx"]},
                "description": "Pack documents for the customer as soon as it is completed.",
            }
        },
    }
}


@dataclass(frozen=True, slots=True)
class OrderCall:
    """An order with what marks its call."""

    request: Request
    caller: Caller
    needs: Services
    sent: Sent
    key: str | None
    prefer: str | None

    async def placed(self, base_id: UUID | None = None) -> Response:
        """Take the order in; answer with it as ordered, or as it is when the wait is over."""
        waits = None if self.sent.in_place else READING
        quote_id, body = await to_thread.run_sync(self._place, base_id, limiter=waits)
        location = self.request.url_for("get_estimate", estimate_id=quote_id).path
        headers = {"location": location}
        wanted = _PREFER.search(self.prefer) if self.prefer else None
        if wanted is not None:
            seconds = min(int(wanted[1]), _LONGEST_WAIT_SEC)
            headers["preference-applied"] = f"wait={seconds}"
            await _stream(self.needs, self.caller, quote_id).finished(seconds)
            body = await run_in_threadpool(_read, self.needs, self.caller, quote_id)
        return Response(body, 201, headers, media_type=_JSON)

    def _place(self, base_id: UUID | None) -> tuple[UUID, bytes]:
        call = orders.Call(self.key, trace_of(self.request))
        database, principal = self.needs.database, self.caller.principal
        if call.key is not None:
            with database.tenant(principal) as conn:
                earlier = orders.earlier_answer(conn, self.sent, call, base_id)
            if earlier is not None:
                return earlier
        order = order_of(self.needs, self.caller, self.sent)
        return orders.place(database, principal, order, call, base_id)


async def order_call(
    request: Request,
    caller: Estimator,
    needs: Needs,
    sent: Annotated[Sent, Depends(read_order)],
    key: Key = None,
    prefer: Prefer = None,
) -> OrderCall:
    """Return an order as it was called for."""
    return OrderCall(request, caller, needs, sent, key, prefer)


Called = Annotated[OrderCall, Depends(order_call)]


@router.post(
    "",
    status_code=201,
    summary="Order an estimate",
    response_class=Response,
    responses={**_CREATED, **problems(400, 401, 403, 409, 413, 415, 422, 429, 503)},
    max_body_size=UPLOAD_LIMIT,
    openapi_extra=ORDER_BODY,
)
async def create_estimate(call: Called) -> Response:
    """Take in an EstimateRequest, or a schedule as a file, and answer with its number at once."""
    return await call.placed()


@router.post(
    "/{estimate_id}/revisions",
    status_code=201,
    summary="Revise an estimate",
    response_class=Response,
    responses={**_CREATED, **problems(400, 401, 403, 404, 409, 413, 415, 422, 429, 503)},
    max_body_size=UPLOAD_LIMIT,
    openapi_extra=ORDER_BODY,
)
async def create_revision(estimate_id: EstimateId, call: Called) -> Response:
    """Order the estimate anew under its number; the present revision is in force until then."""
    return await call.placed(estimate_id)


class ListQuery(BaseModel):
    """Which estimates, in which order."""

    model_config = ConfigDict(extra="forbid")

    page: Annotated[int, Field(ge=1, le=100_000)] = 1
    size: Annotated[int, Field(ge=1, le=200)] = 20
    sort: Annotated[
        Literal[
            "createdAt", "-createdAt", "updatedAt", "-updatedAt", "number", "-number", "total",
            "-total",
        ],
        Field(description="A leading - sorts downward."),
    ] = "-createdAt"  # fmt: skip
    filter: Annotated[
        list[str],
        Field(
            max_length=len(FILTERS),
            description=f"`field:value`, repeatable; fields: {', '.join(FILTERS)}.",
            examples=[["status:completed", "standing:current"]],
            json_schema_extra={
                "items": {"type": "string", "pattern": rf"^({'|'.join(FILTERS)}):[^\x00]*$"}
            },
        ),
    ] = []
    q: Annotated[
        str | None,
        Field(
            max_length=100,
            description="Searches number, customer and project.",
            examples=["급식실"],
            json_schema_extra=NO_NUL,
        ),
    ] = None


@router.get("", summary="List estimates", responses=problems(401, 403, 422, 429, 503))
def list_estimates(
    caller: Viewer, needs: Needs, query: Annotated[ListQuery, Query()]
) -> EstimateList:
    """Return a page of the organisation's estimates."""
    wish = PageWish(
        page=query.page,
        size=query.size,
        sort=query.sort.removeprefix("-"),
        descending=query.sort.startswith("-"),
        filters=_filters(query.filter),
        search=_text(query.q),
    )
    with needs.database.tenant(caller.principal) as conn:
        rows, total = page_of_quotes(conn, wish)
    items = [summary(row) for row in rows]
    return EstimateList(items=items, total=total, page=query.page, size=query.size)


@router.get(
    "/stream",
    summary="Follow an estimate",
    response_class=Response,
    responses={
        200: {
            "description": "Server-sent events PROGRESS, GATE_RESULT, HEARTBEAT, ERROR and DONE,"
            " which is the last one. `data` is JSON of the schema of that event; the schema below"
            " is that of one event.",
            "content": {
                "text/event-stream": {"schema": {"$ref": f"#/components/schemas/{STREAM_EVENT}"}}
            },
        },
        204: {"description": "The client has everything already."},
        **problems(400, 401, 403, 404, 422, 429, 503),
    },
)
async def stream_events(
    caller: Viewer,
    needs: Needs,
    estimate_id: Annotated[UUID, Query(alias="estimateId")],
    last_event_id: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID",
            description="The `id` of the last event that the client has: go on after it",
            json_schema_extra={"pattern": "^[0-9]{0,19}$"},
        ),
    ] = None,
) -> Response:
    """Stream what happens to an estimate, from the beginning or after `Last-Event-ID`."""
    position = Position.of_last_id(last_event_id)
    stream = _stream(needs, caller, estimate_id)
    if await stream.ended_before(position):
        return Response(status_code=204)
    return EventSourceResponse(
        stream.messages(position), ping=0, send_timeout=_SLOW_CLIENT_SEC, sep="\n"
    )


@router.get(
    "/{estimate_id}",
    summary="Read an estimate",
    response_class=Response,
    responses={200: {"model": EstimateResponse}, **problems(401, 403, 404, 422, 429, 503)},
)
def get_estimate(estimate_id: EstimateId, caller: Viewer, needs: Needs) -> Response:
    """Return an estimate as far as it is."""
    return Response(_read(needs, caller, estimate_id), media_type=_JSON)


@router.get(
    "/{estimate_id}/revisions",
    summary="List the revisions of an estimate",
    responses=problems(401, 403, 404, 422, 429, 503),
)
def list_revisions(estimate_id: EstimateId, caller: Viewer, needs: Needs) -> Revisions:
    """Return every revision of the estimate's number, the first one first."""
    with needs.database.tenant(caller.principal) as conn:
        rows = estimates.revisions(conn, estimate_id)
    return Revisions(items=[summary(row) for row in rows], total=len(rows))


@router.get(
    "/{estimate_id}/difference",
    summary="Compare two estimates",
    responses=problems(401, 403, 404, 409, 422, 429, 503),
)
def compare_estimates(
    estimate_id: EstimateId,
    caller: Viewer,
    needs: Needs,
    base: Annotated[
        UUID | None,
        Query(description="What to compare with; the revision it was made of where it is left out"),
    ] = None,
) -> Difference:
    """Return what differs in money, design, lines and gates; what is equal is left out."""
    with needs.database.tenant(caller.principal) as conn:
        after = estimates.quote(conn, estimate_id)
        before_id = base or after["revised_from"]
        if before_id is None:
            raise KisError.of("NOTHING_TO_COMPARE", number=after["number"])
        before = estimates.quote(conn, before_id)
    found = difference(_completed(before), _completed(after))
    return Difference(before=summary(before), after=summary(after), **found)


@router.get(
    "/{estimate_id}/evidence",
    summary="Download the evidence pack",
    response_class=Response,
    responses={
        200: {
            "description": "The sealed pack; `kis evidence verify` and `replay` check it offline.",
            "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
        },
        **problems(401, 403, 404, 409, 422, 429, 503),
    },
)
def download_evidence(
    request: Request, estimate_id: EstimateId, caller: Estimator, needs: Needs
) -> Response:
    """Return the whole pack as a zip; it holds markup and inputs: it is not for customers."""
    with needs.database.tenant(caller.principal) as conn:
        row = estimates.pack(conn, estimate_id)
        estimates.audit(conn, "evidence.downloaded", estimate_id, {}, trace_of(request))
    data = needs.blobs.get(blob_key(row["org_id"], row["pack_sha"]))
    name = f"{row['number']}-r{row['revision']}.zip"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(data, media_type="application/zip", headers=headers)


# ---------------------------------------------------------------- parts


def _read(needs: Services, caller: Caller, quote_id: UUID) -> bytes:
    with needs.database.tenant(caller.principal) as conn:
        return orders.answer(estimates.quote(conn, quote_id))


def _stream(needs: Services, caller: Caller, quote_id: UUID) -> Stream:
    return Stream(
        database=needs.database,
        watch=needs.watch,
        principal=caller.principal,
        quote_id=quote_id,
        heartbeat_sec=needs.heartbeat_sec,
        expires_at=caller.expires_at,
    )


def trace_of(request: Request) -> str:
    """Return the trace id of a request."""
    return str(request.scope["state"]["trace_id"])


def summary(row: Row) -> EstimateSummary:
    """Return a quote as it stands in a list."""
    return EstimateSummary(
        id=row["id"],
        number=row["number"],
        revision=row["revision"],
        status=row["status"],
        standing=row["standing"],
        revised_from=row["revised_from"],
        customer=row["customer"],
        project=row["project"],
        supply=row["supply"],
        total=row["total"],
        gates_passed=row["gates_passed"],
        created_at=orders.timestamp(row["created_at"]),
        updated_at=orders.timestamp(row["updated_at"]),
    )


def _completed(row: Row) -> dict[str, Any]:
    if row["response"] is None:
        raise KisError.of("ESTIMATE_UNFINISHED", status=row["status"])
    response: dict[str, Any] = json.loads(row["response"])
    return response


def _filters(texts: list[str]) -> list[tuple[str, str]]:
    found = []
    for text in texts:
        name, colon, value = text.partition(":")
        if not colon or name not in FILTERS or "\0" in value:
            raise KisError.of("FILTER_UNKNOWN", text=text[:100], known=list(FILTERS))
        found.append((name, value))
    return found


def _text(text: str | None) -> str | None:
    """Return a search text; a NUL, which no text of the database holds, finds nothing to say."""
    if text is not None and "\0" in text:
        raise KisError.of("SEARCH_TEXT")
    return text
