"""`/v1/validate`: read a schedule and say what it holds, estimate nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request, Response

from kis_estimator import intake, service
from kis_estimator.errors import Locale
from kis_estimator.evidence import pretty
from kis_estimator.web.access import Viewer
from kis_estimator.web.auth import Caller
from kis_estimator.web.errors import caller_locale, problems
from kis_estimator.web.forms import FORM, UPLOAD_LIMIT, form_of, schedule_of
from kis_estimator.web.limits import READING
from kis_estimator.web.ordering import READ_SEC, form_schema
from kis_estimator.web.schemas import ValidationResponse
from kis_estimator.web.services import Needs, Services

router = APIRouter(prefix="/v1", tags=["schedules"])

_FIELDS = frozenset({"file", "text"})
_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {FORM: {"schema": form_schema({})}}}
}


@router.post(
    "/validate",
    summary="Check a schedule",
    response_class=Response,
    responses={
        200: {"model": ValidationResponse, "description": "`valid` says whether it can be used."},
        **problems(400, 401, 403, 413, 415, 422, 429, 503),
    },
    max_body_size=UPLOAD_LIMIT,
    openapi_extra=_BODY,
)
async def validate_schedule(request: Request, caller: Viewer, needs: Needs) -> Response:
    """Read a schedule of any kind and report panels, warnings, errors and skipped rows."""
    async with form_of(request, _FIELDS) as form:
        name, content = await schedule_of(form)
    locale = caller_locale(request.scope)
    found = await to_thread.run_sync(
        _validate, needs, caller, (content, name), locale, limiter=READING
    )
    return Response(pretty(found), media_type="application/json")


def _validate(
    needs: Services, caller: Caller, file: tuple[bytes, str], locale: Locale
) -> dict[str, Any]:
    with needs.database.tenant(caller.principal) as conn:
        engine = needs.books.in_force(conn).engine
    given = (*file, dict(engine.catalog_files), engine.rule_bytes, locale)
    reading: intake.Reading = needs.readers.result(_read, given, READ_SEC)
    return service.validation_response(reading, locale)


def _read(
    data: bytes, name: str, catalog: Mapping[str, bytes], rules: bytes, locale: Locale
) -> intake.Reading:
    """Read a stranger's file; runs in a child, to which an engine travels as its files."""
    return service.validate(data, name, service.engine_of(catalog, rules), locale)
