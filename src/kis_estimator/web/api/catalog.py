"""`/v1/catalog`: the price book in force, its versions, and new ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, Path, Query, Request, Response

from kis_estimator.errors import KisError
from kis_estimator.service.orders import timestamp
from kis_estimator.service.pricebook_files import TABLES, Head, Kind, export_csv, export_workbook
from kis_estimator.service.pricebook_import import (
    Action,
    Plan,
    Wish,
    adopt,
    plan_file,
    plan_files,
    plan_items,
    rule_skus,
)
from kis_estimator.store import catalog
from kis_estimator.store.sql import Row
from kis_estimator.web.access import Admin, Viewer
from kis_estimator.web.api.estimates import trace_of
from kis_estimator.web.auth import Caller
from kis_estimator.web.catalog_schemas import (
    CatalogChange,
    CatalogItem,
    CatalogList,
    CatalogVersion,
    Counts,
    FileGiven,
    ItemChange,
    ItemRef,
    ItemsGiven,
    StoredVersion,
    VersionList,
)
from kis_estimator.web.errors import problems
from kis_estimator.web.forms import FORM, UPLOAD_LIMIT, each_field_once
from kis_estimator.web.ordering import READ_SEC
from kis_estimator.web.schemas import NO_NUL, Change
from kis_estimator.web.services import Needs, Services

router = APIRouter(prefix="/v1/catalog", tags=["catalog"])

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_CHANGES = problems(400, 401, 403, 409, 413, 415, 422, 429, 503)

PlanOf = Callable[[Mapping[str, str]], Plan]


@router.get("", summary="Search the price book", responses=problems(401, 403, 422, 429, 503))
def list_items(
    caller: Viewer,
    needs: Needs,
    kind: Kind | None = None,
    q: Annotated[
        str | None,
        Query(
            max_length=100,
            description="Items that have every word: sku, brand, model, 4P, 75A, 100AF, size …",
            examples=["LS ELB 2P 20A"],
            json_schema_extra=NO_NUL,
        ),
    ] = None,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    size: Annotated[int, Query(ge=1, le=200)] = 50,
) -> CatalogList:
    """Return items of the price book in force, by kind and sku."""
    if q is not None and "\0" in q:
        raise KisError.of("SEARCH_TEXT")
    words = tuple((q or "").split())
    wish = catalog.ItemWish(page=page, size=size, kind=kind, words=words)
    with needs.database.tenant(caller.principal) as conn:
        version = catalog.version_in_force(conn, needs.books.program.catalog.sha)
        rows, total = catalog.page_of_items(conn, version["id"], wish)
    items = [CatalogItem(**row) for row in rows]
    return CatalogList(
        items=items, total=total, page=page, size=size, version=CatalogVersion(**_head(version))
    )


@router.get(
    "/versions",
    summary="List the versions of the price book",
    responses=problems(401, 403, 422, 429, 503),
)
def list_versions(
    caller: Viewer,
    needs: Needs,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    size: Annotated[int, Query(ge=1, le=200)] = 50,
) -> VersionList:
    """Return the versions, the newest and the one in force first; none ever changes."""
    with needs.database.tenant(caller.principal) as conn:
        program_sha = needs.books.program.catalog.sha
        rows, total = catalog.versions(conn, program_sha, page, size)
    items = [
        StoredVersion(**_head(row), items=row["items"], created_at=timestamp(row["created_at"]))
        for row in rows
    ]
    return VersionList(items=items, total=total, page=page, size=size)


@router.post("/items", summary="Add or replace items", responses=_CHANGES)
def upsert_items(request: Request, caller: Admin, needs: Needs, given: ItemsGiven) -> CatalogChange:
    """Make a new version in which these items replace those of the same sku, or are added."""
    items = [(item.kind, item.model_dump(by_alias=False, exclude={"kind"})) for item in given.items]
    head = Head(name=given.name, version=given.version, sample=given.sample)
    wish = _wish(needs, head)

    def made(base: Mapping[str, str]) -> Plan:
        plan: Plan = needs.readers.result(plan_items, (base, items, wish), READ_SEC)
        return plan

    return _change(needs, caller, request, made, base=given.base, preview=given.preview)


@router.post(
    "/import",
    summary="Import a price book",
    responses=_CHANGES,
    max_body_size=UPLOAD_LIMIT,
    dependencies=[Depends(each_field_once)],
)
def import_file(
    request: Request,
    caller: Admin,
    needs: Needs,
    given: Annotated[FileGiven, Form(media_type=FORM)],
) -> CatalogChange:
    """Make a new version from a CSV of one table, or a workbook with a tab for each table.

    Validated whole before anything changes; `preview` says what would.
    """
    data, name = given.file.file.read(), given.file.filename or "-"
    head = Head(name=given.name, version=given.version, sample=given.sample)
    wish = _wish(needs, head, replace=given.mode == "replace")

    def made(base: Mapping[str, str]) -> Plan:
        plan: Plan = needs.readers.result(plan_file, (base, data, name, wish), READ_SEC)
        return plan

    return _change(needs, caller, request, made, base=given.base, preview=given.preview)


@router.post(
    "/versions/{number}/restore",
    summary="Restore a version",
    responses=problems(401, 403, 404, 409, 422, 429, 503),
)
def restore_version(
    request: Request,
    caller: Admin,
    needs: Needs,
    number: Annotated[int, Path(ge=0, le=2**31 - 1, description="0 = the program's own")],
) -> CatalogChange:
    """Make an earlier version the newest again, under a new number."""
    with needs.database.tenant(caller.principal) as conn:
        found = catalog.numbered_version(conn, number, needs.books.program.catalog.sha)
        files = catalog.version_files(conn, found["id"])

    def made(base: Mapping[str, str]) -> Plan:
        plan: Plan = needs.readers.result(plan_files, (base, files), READ_SEC)
        return plan

    return _change(needs, caller, request, made, action="catalog.restored")


@router.get(
    "/export",
    summary="Download the price book",
    response_class=Response,
    responses={
        200: {
            "description": "The version in force; importing it again changes nothing.",
            "content": {_XLSX: _BINARY, "text/csv": _BINARY},
        },
        **problems(401, 403, 422, 429, 503),
    },
)
def export_book(
    caller: Viewer,
    needs: Needs,
    kind: Annotated[Kind | None, Query(description="This table alone, as CSV")] = None,
) -> Response:
    """Return a workbook with a tab for each table, or one table as CSV."""
    with needs.database.tenant(caller.principal) as conn:
        version = catalog.version_in_force(conn, needs.books.program.catalog.sha)
        files = catalog.version_files(conn, version["id"])
    if kind is None:
        data, name = needs.readers.result(export_workbook, (files,), READ_SEC), "catalog.xlsx"
    else:
        data, name = export_csv(files, kind), f"{TABLES[kind]}.csv"
    headers = {"content-disposition": f'attachment; filename="{version["number"]}-{name}"'}
    return Response(data, headers=headers, media_type="text/csv" if kind else _XLSX)


# ---------------------------------------------------------------- parts


def _wish(needs: Services, head: Head, *, replace: bool = False) -> Wish:
    return Wish(replace=replace, head=head, needed=rule_skus(needs.books.program.rules))


def _change(  # noqa: PLR0913 - a request, and what it asks
    needs: Services,
    caller: Caller,
    request: Request,
    made: PlanOf,
    *,
    base: int | None = None,
    preview: bool = False,
    action: Action = "catalog.imported",
) -> CatalogChange:
    """Plan a version after the one in force and adopt it; no transaction is open meanwhile."""
    with needs.database.tenant(caller.principal) as conn:
        before = catalog.version_in_force(conn, needs.books.program.catalog.sha)
        files = catalog.version_files(conn, before["id"])
    number = before["number"]
    if base not in {None, number}:
        raise KisError.of("CATALOG_CHANGED")
    plan = made(files)
    outcome: Literal["preview", "unchanged", "created"] = "preview"
    if plan.unchanged:
        outcome = "unchanged"
    elif not preview:
        outcome = "created"
        with needs.database.tenant(caller.principal) as conn:
            adopt(conn, number, plan, action, trace_of(request))
    return _answer(plan, before, outcome)


def _answer(
    plan: Plan, before: Row, outcome: Literal["preview", "unchanged", "created"]
) -> CatalogChange:
    number = before["number"]
    return CatalogChange(
        outcome=outcome,
        base=number,
        version=CatalogVersion(
            number=number if outcome == "unchanged" else number + 1,
            sha256=plan.sha256,
            name=plan.name,
            version=plan.version,
            sample=plan.sample,
        ),
        counts=Counts(**plan.counts),
        head=_changes(plan.head),
        added=_refs(plan.added),
        removed=_refs(plan.removed),
        changed=[
            ItemChange(
                **_ref(changed.item), fields=_changes(changed.fields), price_pct=changed.price_pct
            )
            for changed in plan.changed
        ],
        sample_prices=plan.sample_prices,
    )


def _head(version: Row) -> dict[str, Any]:
    return {key: version[key] for key in ("number", "sha256", "name", "version", "sample")}


def _changes(fields: Mapping[str, tuple[Any, Any]]) -> dict[str, Change]:
    return {key: Change(before=before, after=after) for key, (before, after) in fields.items()}


def _refs(rows: Iterable[Row]) -> list[ItemRef]:
    return [ItemRef(**_ref(row)) for row in rows]


def _ref(row: Row) -> dict[str, Any]:
    return {key: row[key] for key in ("kind", "sku", "name", "unitPrice")}
