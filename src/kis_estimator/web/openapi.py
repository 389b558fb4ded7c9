"""The contract as a file: made from the code, the same bytes each time."""

from __future__ import annotations

import hashlib
from typing import Any

import yaml
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from kis_estimator.web.contract import completed
from kis_estimator.web.errors import problems

MEDIA_TYPE = "application/yaml"
router = APIRouter(tags=["service"])


class _Dumper(yaml.SafeDumper):
    """Writes every value out where it stands, and texts of several lines as they are."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)


class Described(FastAPI):
    """An application whose contract has all that the framework leaves out."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI 3.1 document."""
        fresh = self.openapi_schema is None
        document = super().openapi()
        return completed(document) if fresh else document


def openapi_yaml(app: FastAPI) -> bytes:
    """Return `openapi.yaml`; computed once for each state of the routes."""
    document = app.openapi()
    cached: tuple[object, bytes] | None = getattr(app.state, "openapi_yaml", None)
    if cached is None or cached[0] is not document:
        text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
        cached = app.state.openapi_yaml = (document, text.encode())
    return cached[1]


def openapi_sha256(app: FastAPI) -> str:
    """Return the hash of `openapi.yaml`, by which versions of the contract are compared."""
    return hashlib.sha256(openapi_yaml(app)).hexdigest()


@router.get(
    "/openapi",
    summary="This contract",
    response_class=Response,
    responses={
        200: {
            "description": "OpenAPI 3.1",
            "content": {MEDIA_TYPE: {"schema": {"type": "object"}}},
        },
        **problems(429, 503),
    },
)
async def openapi_document(request: Request) -> Response:
    """Return the OpenAPI 3.1 document as YAML."""
    return Response(openapi_yaml(request.app), media_type=MEDIA_TYPE)


@router.get(
    "/openapi.json",
    summary="This contract as JSON",
    response_class=JSONResponse,
    responses={
        200: {
            "description": "OpenAPI 3.1",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        **problems(429, 503),
    },
)
async def openapi_json(request: Request) -> JSONResponse:
    """Return the OpenAPI 3.1 document as JSON."""
    return JSONResponse(request.app.openapi())
