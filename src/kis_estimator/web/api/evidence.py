"""`/v1/evidence/verify`: is a pack what this program sealed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from starlette.datastructures import UploadFile

from kis_estimator.errors import KisError, Locale
from kis_estimator.evidence import open_pack, pretty, verify
from kis_estimator.evidence.envelope import Verifier
from kis_estimator.evidence.pack import Limits
from kis_estimator.web.access import Viewer
from kis_estimator.web.errors import caller_locale, problems
from kis_estimator.web.forms import FORM, UPLOAD_LIMIT, form_of
from kis_estimator.web.limits import READING
from kis_estimator.web.ordering import READ_SEC
from kis_estimator.web.schemas import Verification
from kis_estimator.web.services import Needs

router = APIRouter(prefix="/v1/evidence", tags=["evidence"])

_LIMITS = Limits(entries=5_000, entry=64 << 20, total=256 << 20)
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "additionalProperties": False,
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "A pack as a zip, 20 MiB at most",
                        }
                    },
                }
            }
        },
    }
}


@router.post(
    "/verify",
    summary="Verify an evidence pack",
    response_class=Response,
    responses={
        200: {"model": Verification, "description": "`ok` says whether every check passed."},
        **problems(400, 401, 403, 413, 415, 422, 429, 503),
    },
    max_body_size=UPLOAD_LIMIT,
    openapi_extra=_BODY,
)
async def verify_pack(request: Request, _caller: Viewer, needs: Needs) -> Response:
    """Check every hash of a pack, and its signature where this installation signs."""
    async with form_of(request, frozenset({"file"})) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise KisError.of("PACK_MISSING")
        data = await file.read()
    call = (data, needs.public_keys, caller_locale(request.scope))
    found = await to_thread.run_sync(needs.readers.result, _verify, call, READ_SEC, limiter=READING)
    return Response(pretty(found), media_type="application/json")


def _verify(data: bytes, keys: Sequence[Verifier], locale: Locale) -> dict[str, Any]:
    """Check a stranger's pack; runs in a child."""
    with open_pack(io.BytesIO(data), _LIMITS) as pack:
        return verify(pack, keys).response(locale)
