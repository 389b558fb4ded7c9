"""Forms as strangers send them: fields known, each once, texts in UTF-8."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from kis_estimator.errors import KisError, Notice, shown
from kis_estimator.intake.characters import cleaned
from kis_estimator.service.orders import REQUEST_FILE

FORM = "multipart/form-data"
TEXT_FILE = "-"
UPLOAD_LIMIT = 20 * 2**20 + 64 * 2**10
"""`max_body_size` of a route that takes a file: 20 MiB, and what multipart adds."""


class _RefusedError(MultiPartException):
    """Ends the framework's parser, which closes its files, with a refusal of ours."""

    def __init__(self, refusal: KisError) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


class _Parser(MultiPartParser):
    """The framework's parser, which would read a text that is no UTF-8 as Latin-1."""

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        part, limit = self._current_part, self.max_part_size
        if part.file is None and len(part.data) + end - start > limit:
            raise _RefusedError(KisError.of("BODY_TOO_LARGE", limit=f"{limit / 2**20:g}"))
        super().on_part_data(data, start, end)

    def on_part_end(self) -> None:
        part = self._current_part
        if part.file is None:
            try:
                part.data.decode("utf-8")
            except UnicodeDecodeError as error:
                field = shown(part.field_name)[:200]
                raise _RefusedError(KisError.of("FIELD_TEXT", field=field)) from error
        super().on_part_end()


@asynccontextmanager
async def form_of(request: Request, known: frozenset[str]) -> AsyncIterator[FormData]:
    """Lend the form of a request; a text in it may be as long as the body.

    Raises BODY_UNREADABLE for what is no form, FIELD_UNKNOWN, FIELD_TWICE, FIELD_TEXT, or
    BODY_TOO_LARGE for a text over the limit.
    """
    if media_type(request) != FORM:
        raise KisError.of("MEDIA_TYPE", expected=[FORM])
    parser = _Parser(
        request.headers,
        request.stream(),
        max_files=1,
        max_fields=len(known),
        max_part_size=UPLOAD_LIMIT,
    )
    try:
        form = await parser.parse()
    except _RefusedError as error:
        raise error.refusal from error
    except MultiPartException as error:
        raise KisError.of("BODY_UNREADABLE") from error
    try:
        _refuse_unknown(form, known)
        yield form
    finally:
        await form.close()


def media_type(request: Request) -> str:
    """Return the type of a body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def schedule_of(form: FormData) -> tuple[str, bytes]:
    """Return name and content of the schedule. Raises SCHEDULE_MISSING unless it is there once."""
    file, text = form.get("file"), form.get("text")
    if isinstance(file, UploadFile) and text is None:
        return cleaned(file.filename or "")[:500] or REQUEST_FILE, await file.read()
    if isinstance(text, str) and file is None:
        return TEXT_FILE, text.encode()
    raise KisError.of("SCHEDULE_MISSING")


async def each_field_once(request: Request) -> None:
    """Refuse a form that the framework reads, which would take the last of several."""
    refuse_twice(name for name, _ in (await request.form()).multi_items())


def refuse_twice(names: Iterable[str]) -> None:
    """Refuse what is there more than once. Raises FIELD_TWICE."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise KisError.of("FIELD_TWICE", field=shown(min(twice))[:200])


def _refuse_unknown(form: FormData, known: frozenset[str]) -> None:
    names = [name for name, _ in form.multi_items()]
    unknown = [shown(name)[:200] for name in names if name not in known]
    if unknown:
        raise KisError(*(Notice("FIELD_UNKNOWN", {"field": name}) for name in unknown))
    refuse_twice(names)
