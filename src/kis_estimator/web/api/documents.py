"""`/v1/documents` and the links to what they name."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Annotated, Literal, get_args
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from kis_estimator.errors import KisError
from kis_estimator.service import orders
from kis_estimator.service.jobs import media_type
from kis_estimator.store import estimates, queue
from kis_estimator.store.blobs import blob_key
from kis_estimator.store.local_blobs import LocalBlobs
from kis_estimator.store.sql import Row
from kis_estimator.web.access import Estimator, Viewer
from kis_estimator.web.api.estimates import trace_of
from kis_estimator.web.errors import problems
from kis_estimator.web.schemas import Document, DocumentList, ExportAccepted, Kind
from kis_estimator.web.services import Needs, Services

router = APIRouter(prefix="/v1", tags=["documents"])

_MEDIA_TYPES = sorted({media_type(f"document.{kind}") for kind in get_args(Kind)})

ExportKind = Literal["xlsx", "pdf", "svg", "dxf", "json"]


class ExportRequest(BaseModel):
    """Which documents of an estimate a customer gets."""

    model_config = ConfigDict(extra="forbid")

    estimate_id: Annotated[UUID, Field(alias="estimateId")]
    kinds: Annotated[set[ExportKind], Field(min_length=1, examples=[["pdf", "xlsx"]])]


@router.get(
    "/documents",
    summary="List the documents of an estimate",
    responses=problems(401, 403, 404, 422, 429, 503),
)
def list_documents(
    caller: Viewer,
    needs: Needs,
    estimate_id: Annotated[UUID, Query(alias="estimateId")],
    kind: Kind | None = None,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    size: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> DocumentList:
    """Return the documents with links that download them and expire."""
    with needs.database.tenant(caller.principal) as conn:
        estimates.quote_status(conn, estimate_id)
        rows = estimates.documents(conn, estimate_id, kind)
    shown = rows[(page - 1) * size : page * size]
    return DocumentList(items=_linked(needs, shown), total=len(rows), page=page, size=size)


@router.post(
    "/documents/export",
    status_code=202,
    summary="Make a pack for the customer",
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
)
def export_documents(
    request: Request, caller: Estimator, needs: Needs, wish: ExportRequest
) -> ExportAccepted:
    """Pack documents of some kinds with manifest and signature, without margins and inputs.

    The zip appears among the documents, with kind `zip`.
    """
    kinds = sorted(wish.kinds)
    with needs.database.tenant(caller.principal) as conn:
        estimates.pack(conn, wish.estimate_id)
        estimates.audit(
            conn, "documents.exported", wish.estimate_id, {"kinds": kinds}, trace_of(request)
        )
        queue.as_login(conn)
        queue.put_export(conn, wish.estimate_id, kinds)
    listed = request.url_for("list_documents").path
    return ExportAccepted(
        estimate_id=wish.estimate_id,
        kinds=list(kinds),
        documents_url=f"{listed}?estimateId={wish.estimate_id}&kind=zip",
    )


@router.get(
    "/files/{key:path}",
    summary="Download a document by its link",
    response_class=Response,
    responses={
        200: {
            "description": "The file; its hash was checked.",
            "content": {
                kind: {"schema": {"type": "string", "format": "binary"}} for kind in _MEDIA_TYPES
            },
        },
        **problems(403, 404, 422, 429, 503),
    },
)
def download_file(
    needs: Needs,
    key: Annotated[str, Path(max_length=200)],
    exp: Annotated[int, Query(ge=0, le=2**53)],
    sig: Annotated[str, Query(max_length=64)],
    name: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Return the file that a link of this installation names, as long as the link is good."""
    if not isinstance(needs.blobs, LocalBlobs):
        raise KisError.of("LINK_INVALID")
    data = needs.blobs.open_link(key, exp, name, sig, time.time())
    shown = name or PurePosixPath(key).name
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(shown)}"}
    return Response(data, headers=headers, media_type=media_type(shown))


def _linked(needs: Services, rows: Sequence[Row]) -> list[Document]:
    expires = datetime.fromtimestamp(int(time.time()) + needs.signed_url_ttl_sec, UTC)
    return [
        Document(
            id=row["id"],
            kind=row["kind"],
            path=row["path"],
            sha256=row["sha256"],
            size_bytes=row["size_bytes"],
            url=needs.blobs.sign(
                blob_key(row["org_id"], row["sha256"]),
                needs.signed_url_ttl_sec,
                PurePosixPath(row["path"]).name,
            ),
            expires_at=orders.timestamp(expires),
            created_at=orders.timestamp(row["created_at"]),
        )
        for row in rows
    ]
