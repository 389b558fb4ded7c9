"""The contract as a file: made from the code, the same bytes each time."""

from __future__ import annotations

import hashlib
from typing import Any

import yaml
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from kis_estimator.web.ordering import request_schema

MEDIA_TYPE = "application/yaml"
router = APIRouter(tags=["service"])


class Described(FastAPI):
    """An application whose contract also has the schemas of bodies that its endpoints read."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI 3.1 document."""
        fresh = self.openapi_schema is None
        document = super().openapi()
        if fresh:
            document["components"]["schemas"].update(request_schema())
        return document


def openapi_yaml(app: FastAPI) -> bytes:
    """Return `openapi.yaml`; computed once for each state of the routes."""
    document = app.openapi()
    cached: tuple[object, bytes] | None = getattr(app.state, "openapi_yaml", None)
    if cached is None or cached[0] is not document:
        text = yaml.safe_dump(document, sort_keys=True, allow_unicode=True, width=100)
        cached = app.state.openapi_yaml = (document, text.encode())
    return cached[1]


def openapi_sha256(app: FastAPI) -> str:
    """Return the hash of `openapi.yaml`, by which versions of the contract are compared."""
    return hashlib.sha256(openapi_yaml(app)).hexdigest()


@router.get(
    "/openapi",
    summary="This contract",
    response_class=Response,
    responses={200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}},
)
async def openapi_document(request: Request) -> Response:
    """Return the OpenAPI 3.1 document as YAML."""
    return Response(openapi_yaml(request.app), media_type=MEDIA_TYPE)


@router.get("/openapi.json", summary="This contract as JSON", response_class=JSONResponse)
async def openapi_json(request: Request) -> JSONResponse:
    """Return the OpenAPI 3.1 document as JSON."""
    return JSONResponse(request.app.openapi())
