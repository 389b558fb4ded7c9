"""`/v1/catalog` over the real database: search, versions, imports, and who may do what."""

from __future__ import annotations

import asyncio
import io
import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from openpyxl import load_workbook
from psycopg.errors import InsufficientPrivilege
from tests.service.site import Site, site_in

from kis_estimator.engine.units import camel
from kis_estimator.service.children import Children
from kis_estimator.service.pricebook import PriceBooks
from kis_estimator.service.pricebook_files import COLUMNS
from kis_estimator.store.db import Principal, Role
from kis_estimator.web.api import catalog
from kis_estimator.web.app import create_app
from kis_estimator.web.auth import Authenticator, mint_token
from kis_estimator.web.catalog_schemas import AccessoryGiven, BreakerGiven, EnclosureGiven
from kis_estimator.web.services import Services

SECRET = secrets.token_bytes(32)
HEADER = ",".join(COLUMNS["accessory"])
MC9 = "MC-9,magnet_contactor,전자접촉기 MC-9~22,Magnetic contactor 9-22 A,46,75,panel,EA,"
CONTACTOR = {
    "kind": "accessory",
    "sku": "MC-9",
    "category": "magnet_contactor",
    "nameKo": "전자접촉기 MC-9~22",
    "nameEn": "Magnetic contactor 9-22 A",
    "widthMm": 46,
    "heightMm": 75,
    "mounting": "panel",
    "unit": "EA",
    "unitPriceKrw": 19500,
}


@dataclass(frozen=True)
class Client:
    """A caller of the API."""

    app: FastAPI
    principal: Principal

    def __call__(self, method: str, path: str = "", **fields: Any) -> httpx.Response:
        return self.together((method, path, fields))[0]

    def together(self, *calls: tuple[str, str, dict[str, Any]]) -> list[httpx.Response]:
        token = mint_token(SECRET, self.principal, 60)
        headers = {"authorization": f"Bearer {token}", "accept-language": "en"}

        async def run() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://kis.test", headers=headers
            ) as client:
                requests = [
                    client.request(method, "/v1/catalog" + path, **fields)
                    for method, path, fields in calls
                ]
                return list(await asyncio.gather(*requests))

        return asyncio.run(run())

    def as_role(self, role: Role, org_id: UUID | None = None) -> Client:
        org_id = org_id or self.principal.org_id
        return Client(self.app, Principal(org_id=org_id, user_id=uuid4(), role=role))

    def upload(self, data: bytes, filename: str = "a.csv", **form: str) -> httpx.Response:
        return self("POST", "/import", files={"file": (filename, data)}, data=form)

    def versions(self) -> list[dict[str, Any]]:
        return cast("list[dict[str, Any]]", self("GET", "/versions").json()["items"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_in(tmp_path_factory.mktemp("catalog") / "home") as made:
        yield made


@pytest.fixture(scope="module")
def app(site: Site) -> Iterator[FastAPI]:
    with closing(Children.start(1, 2 << 30, "kis_estimator.service.pricebook_import")) as readers:
        services = Services(
            database=site.database,
            blobs=cast("Any", None),
            books=PriceBooks(site.engine),
            readers=readers,
            watch=cast("Any", None),
            authenticator=Authenticator.local(SECRET),
            signed_url_ttl_sec=60,
            heartbeat_sec=1,
        )
        made = create_app(site.settings, services)
        if not any(getattr(route, "name", "") == "import_file" for route in made.routes):
            made.include_router(catalog.router)
        yield made


@pytest.fixture
def admin(app: FastAPI) -> Client:
    """An administrator of an organisation that no other test knows."""
    return Client(app, Principal(org_id=uuid4(), user_id=uuid4(), role="admin"))


def csv(*rows: str) -> bytes:
    return "\n".join([HEADER, *rows]).encode()


# ---------------------------------------------------------------- reading


def test_the_program_s_price_book_is_there_from_the_start(admin: Client, site: Site) -> None:
    answer = admin.as_role("viewer")("GET")
    assert answer.status_code == 200
    found = answer.json()
    known = site.engine.catalog
    assert found["version"] == {
        "number": 0,
        "sha256": known.sha,
        "name": known.name,
        "version": known.version,
        "sample": known.sample,
    }
    every = len(known.breakers) + len(known.enclosures) + len(known.accessories)
    assert (found["total"], found["page"], found["size"], len(found["items"])) == (every, 1, 50, 50)
    keys = [(item["kind"], item["sku"]) for item in found["items"]]
    assert keys == sorted(keys)
    assert [version["number"] for version in admin.versions()] == [0]
    assert admin.versions()[0]["items"] == every


def test_every_word_is_found(admin: Client, site: Site) -> None:
    found = admin("GET", params={"q": "ls elb 2p 20a", "size": 200}).json()
    expected = {
        item.sku
        for item in site.engine.catalog.breakers
        if (item.brand, item.category, item.poles, item.rated_current_a) == ("LS", "ELB", 2, 20)
    }
    assert expected
    assert expected <= {item["sku"] for item in found["items"]}
    assert all("ELB" in item["fields"].values() for item in found["items"])
    assert found["total"] == len(found["items"])
    one = admin("GET", params={"q": "MC-9", "kind": "accessory"}).json()["items"]
    assert [item["sku"] for item in one] == ["MC-9"]
    assert one[0]["unitPrice"] == one[0]["fields"]["unitPriceKrw"] == 18000
    assert {**one[0]["fields"], "kind": "accessory"} == {**CONTACTOR, "unitPriceKrw": 18000}
    assert admin("GET", params={"q": "%"}).json()["total"] == 0
    assert admin("GET", params={"q": "전자접촉기", "kind": "breaker"}).json()["total"] == 0


def test_pages_hold_every_item_once(admin: Client) -> None:
    asked = {"kind": "accessory", "size": 10}
    pages = [admin("GET", params={**asked, "page": page}).json() for page in (1, 2, 3, 4)]
    skus = [item["sku"] for page in pages for item in page["items"]]
    assert len(skus) == len(set(skus)) == pages[0]["total"]
    assert pages[3]["items"] == []
    assert pages[3]["total"] == pages[0]["total"]


@pytest.mark.parametrize(
    "query", [{"q": "\0"}, {"kind": "cable"}, {"size": 201}, {"page": 0}, {"q": "x" * 101}]
)
def test_a_wrong_question(admin: Client, query: dict[str, Any]) -> None:
    assert admin("GET", params=query).status_code == 422


# ---------------------------------------------------------------- items


def test_an_item_is_replaced_in_a_new_version(admin: Client) -> None:
    given = {**CONTACTOR, "widthMm": 46.0}
    answer = admin("POST", "/items", json={"items": [given], "version": "2026.2"})
    assert answer.status_code == 200
    change = answer.json()
    assert change["outcome"] == "created"
    assert (change["base"], change["version"]["number"]) == (0, 1)
    assert change["version"]["version"] == "2026.2"
    assert change["version"]["sample"] is True
    assert change["head"] == {"version": {"before": "2026.1", "after": "2026.2"}}
    assert (change["counts"]["changed"], change["counts"]["added"]) == (1, 0)
    assert change["samplePrices"] == change["counts"]["unchanged"]
    (item,) = change["changed"]
    assert item["fields"] == {"unitPriceKrw": {"before": 18000, "after": 19500}}
    assert item["pricePct"] == 8.3
    listed = admin("GET", params={"q": "mc-9", "kind": "accessory"}).json()
    assert [item["unitPrice"] for item in listed["items"]] == [19500]
    assert listed["version"] == change["version"]
    assert [version["number"] for version in admin.versions()] == [1, 0]
    again = admin("POST", "/items", json={"items": [CONTACTOR]}).json()
    assert (again["outcome"], again["version"]) == ("unchanged", change["version"])
    assert len(admin.versions()) == 2


def test_a_preview_changes_nothing(admin: Client) -> None:
    asked = {"items": [{**CONTACTOR, "sku": "MC-X"}], "preview": True}
    change = admin("POST", "/items", json=asked).json()
    assert change["outcome"] == "preview"
    assert [item["sku"] for item in change["added"]] == ["MC-X"]
    assert len(admin.versions()) == 1
    made = admin("POST", "/items", json={**asked, "preview": False}).json()
    assert made == {**change, "outcome": "created"}


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"colour": "red"}, "FIELD_UNKNOWN", "colour"),
        ({"unit_price_krw": 5}, "FIELD_UNKNOWN", "unit_price_krw"),
        ({"category": "kettle"}, "FIELD_CHOICE", "category"),
        ({"unitPriceKrw": -1}, "FIELD_RANGE", "unitPriceKrw"),
        ({"unitPriceKrw": "5"}, "FIELD_TYPE", "unitPriceKrw"),
        ({"widthMm": 1.5}, "FIELD_TYPE", "widthMm"),
        ({"sku": ""}, "FIELD_EMPTY", "sku"),
        ({"sku": "x" * 201}, "FIELD_TOO_LONG", "sku"),
        ({"kind": "cable"}, "FIELD_TYPE", "items"),
        ({"nameKo": " "}, "CATALOG_ROW", "nameKo"),
    ],
)
def test_a_wrong_item_is_refused_by_name(
    admin: Client, change: dict[str, Any], code: str, field: str
) -> None:
    answer = admin("POST", "/items", json={"items": [{**CONTACTOR, **change}]})
    assert answer.status_code == 422
    assert answer.json()["code"] == code
    assert field in answer.text
    assert len(admin.versions()) == 1


def test_items_are_validated_together(admin: Client) -> None:
    breaker = admin("GET", params={"kind": "breaker", "size": 1}).json()["items"][0]
    wrong = {"kind": "breaker", **breaker["fields"], "ratedCurrentA": 1_000}
    answer = admin("POST", "/items", json={"items": [CONTACTOR, wrong, CONTACTOR]})
    assert answer.status_code == 422
    details = answer.json()["details"]
    assert [(detail["sheet"], detail["row"]) for detail in details] == [("items", 2), ("items", 3)]
    assert "ratedCurrentA" in details[0]["message"]


def test_the_fields_are_those_of_the_tables() -> None:
    for kind, model in (
        ("breaker", BreakerGiven),
        ("enclosure", EnclosureGiven),
        ("accessory", AccessoryGiven),
    ):
        names = {field.alias for field in model.model_fields.values()}
        assert names == {"kind", *map(camel, COLUMNS[kind])}  # type: ignore[index] # a kind


@pytest.mark.parametrize("kind", ["breaker", "enclosure", "accessory"])
def test_listed_items_can_be_given_back(admin: Client, kind: str) -> None:
    listed = admin("GET", params={"kind": kind, "size": 200}).json()["items"]
    items = [{"kind": kind, **item["fields"]} for item in listed]
    answer = admin("POST", "/items", json={"items": items}).json()
    assert answer["outcome"] == "unchanged"


# ---------------------------------------------------------------- files


def test_a_csv_is_imported(admin: Client) -> None:
    preview = admin.upload(csv(MC9 + "20000"), preview="true")
    assert preview.status_code == 200
    assert preview.json()["outcome"] == "preview"
    assert len(admin.versions()) == 1
    made = admin.upload(csv(MC9 + "20000"), base="0", name="우리 가격표", sample="false").json()
    assert made["outcome"] == "created"
    assert made["version"]["sample"] is False
    assert made["version"]["name"] == "우리 가격표"
    assert admin.upload(csv(MC9 + "20000")).json()["outcome"] == "unchanged"


def test_a_table_is_replaced_as_far_as_the_rules_allow(admin: Client) -> None:
    answer = admin.upload(csv(MC9 + "20000"), mode="replace")
    assert (answer.status_code, answer.json()["code"]) == (422, "CATALOG_NEEDS")
    rows = admin("GET", "/export", params={"kind": "accessory"}).text.splitlines()
    kept = [row for row in rows if not row.startswith("MC-9,")]
    change = admin.upload("\n".join(kept).encode(), mode="replace").json()
    assert [item["sku"] for item in change["removed"]] == ["MC-9"]
    assert admin("GET", params={"q": "MC-9", "kind": "accessory"}).json()["total"] == 0


@pytest.mark.parametrize("mode", ["upsert", "replace"])
@pytest.mark.parametrize(
    "query", [{}, *({"kind": k} for k in ("breaker", "enclosure", "accessory"))]
)
def test_an_export_can_be_imported_unchanged(
    admin: Client, query: dict[str, str], mode: str
) -> None:
    admin("POST", "/items", json={"items": [CONTACTOR], "sample": False})
    answer = admin.as_role("viewer")("GET", "/export", params=query)
    assert answer.status_code == 200
    name = "catalog.xlsx" if not query else "table.csv"
    assert admin.upload(answer.content, name, mode=mode).json()["outcome"] == "unchanged"
    assert len(admin.versions()) == 2


def test_a_workbook_has_a_tab_for_each_table(admin: Client) -> None:
    answer = admin("GET", "/export")
    assert answer.headers["content-disposition"] == 'attachment; filename="0-catalog.xlsx"'
    book = load_workbook(io.BytesIO(answer.content))
    assert book.sheetnames == ["catalog", "breakers", "enclosures", "accessories"]
    table = admin("GET", "/export", params={"kind": "breaker"})
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert table.headers["content-disposition"] == 'attachment; filename="0-breakers.csv"'


def test_problems_of_a_file_are_told_with_row_and_field(admin: Client) -> None:
    answer = admin.upload(csv(MC9 + "x", MC9.replace("MC-9,", "MC-10,") + "-5"), "가격.csv")
    assert answer.status_code == 422
    details = answer.json()["details"]
    assert [(detail["sheet"], detail["row"]) for detail in details] == [
        ("가격.csv", 2),
        ("가격.csv", 3),
    ]
    assert all("unit_price_krw" in detail["message"] and detail["hint"] for detail in details)
    assert len(admin.versions()) == 1


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"mode": "merge"}, "FIELD_CHOICE"),
        ({"colour": "red"}, "FIELD_UNKNOWN"),
        ({"preview": "maybe"}, "FIELD_TYPE"),
        ({"base": "-1"}, "FIELD_RANGE"),
        ({"version": "x" * 101}, "FIELD_TOO_LONG"),
    ],
)
def test_a_wrong_form(admin: Client, form: dict[str, str], code: str) -> None:
    answer = admin.upload(csv(MC9 + "1"), **form)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_a_form_without_a_file(admin: Client) -> None:
    answer = admin("POST", "/import", files={"mode": (None, "upsert")})
    assert (answer.status_code, answer.json()["code"]) == (422, "FIELD_MISSING")
    wrong = admin("POST", "/import", json={})
    assert (wrong.status_code, wrong.json()["code"]) == (415, "MEDIA_TYPE")


def test_a_large_file_goes_through(admin: Client) -> None:
    """More than a JSON body may hold, and as many rows as an organisation may have."""
    rows = [
        f"CABLE-{n},timer,타이머 제어 전원 장치 {n},Timer,46,75,panel,EA,{n + 1}"
        for n in range(20_000)
    ]
    data = csv(*rows)
    assert len(data) > 2**20
    change = admin.upload(data).json()
    assert change["counts"]["added"] == 20_000
    assert admin("GET", params={"q": "cable-19999"}).json()["total"] == 1
    assert admin.upload(b"x" * (21 * 2**20)).status_code == 413


# ---------------------------------------------------------------- versions


def test_an_earlier_version_becomes_the_newest_again(admin: Client, site: Site) -> None:
    first = admin.upload(csv(MC9 + "20000")).json()["version"]
    admin.upload(csv(MC9 + "30000"))
    restored = admin("POST", "/versions/1/restore").json()
    assert restored["outcome"] == "created"
    assert restored["version"] == {**first, "number": 3}
    assert [change["pricePct"] for change in restored["changed"]] == [-33.3]
    assert admin("GET").json()["version"] == restored["version"]
    assert admin("POST", "/versions/3/restore").json()["outcome"] == "unchanged"
    program = admin("POST", "/versions/0/restore").json()["version"]
    assert (program["number"], program["sha256"]) == (4, site.engine.catalog.sha)
    assert [version["number"] for version in admin.versions()] == [4, 3, 2, 1, 0]
    missing = admin("POST", "/versions/5/restore")
    assert (missing.status_code, missing.json()["code"]) == (404, "CATALOG_VERSION")


def test_an_import_made_for_another_version_is_refused(admin: Client) -> None:
    admin.upload(csv(MC9 + "20000"))
    for answer in (
        admin.upload(csv(MC9 + "30000"), base="0"),
        admin("POST", "/items", json={"items": [CONTACTOR], "base": 0}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "CATALOG_CHANGED")
    assert admin.upload(csv(MC9 + "30000"), base="1").json()["version"]["number"] == 2


def test_of_imports_at_once_none_is_lost(admin: Client) -> None:
    calls = [
        ("POST", "/items", {"json": {"items": [{**CONTACTOR, "sku": f"NEW-{n}"}]}})
        for n in range(6)
    ]
    answers = admin.together(*calls)
    made = [n for n, answer in enumerate(answers) if answer.status_code == 200]
    assert made
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert {a.json()["code"] for a in answers if a.status_code == 409} <= {"CATALOG_CHANGED"}
    listed = admin("GET", params={"q": "new-"}).json()["items"]
    assert [item["sku"] for item in listed] == [f"NEW-{n}" for n in made]
    assert len(admin.versions()) == len(made) + 1


def test_what_was_done_is_logged(admin: Client, site: Site) -> None:
    made = admin.upload(csv(MC9 + "20000"))
    admin("POST", "/versions/0/restore")
    logged = site.rows(
        "select action, actor, details, trace_id from shared.audit_logs"
        " where org_id = %s order by seq",
        admin.principal.org_id,
    )
    assert [row["action"] for row in logged] == ["catalog.imported", "catalog.restored"]
    assert {row["actor"] for row in logged} == {admin.principal.user_id}
    assert logged[0]["details"] == {
        "number": 1,
        "sha256": made.json()["version"]["sha256"],
        "sample": True,
        **made.json()["counts"],
    }
    assert logged[0]["trace_id"] == made.headers["x-trace-id"]


def test_a_version_and_its_items_never_change(admin: Client, site: Site) -> None:
    admin.upload(csv(MC9 + "20000"))
    for statement in (
        "update estimator.catalog_versions set sample = false",
        "update estimator.catalog_items set unit_price = 1",
        "delete from estimator.catalog_items",
        "delete from estimator.catalog_versions",
    ):
        with (
            pytest.raises(InsufficientPrivilege),
            site.database.tenant(admin.principal) as conn,
        ):
            conn.execute(statement.encode())


# ---------------------------------------------------------------- who may


@pytest.mark.parametrize("role", ["viewer", "estimator"])
def test_only_an_administrator_changes_prices(admin: Client, role: Role) -> None:
    caller = admin.as_role(role)
    answers = [
        caller("POST", "/items", json={"items": [CONTACTOR]}),
        caller.upload(csv(MC9 + "1")),
        caller("POST", "/versions/0/restore"),
    ]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {
        (403, "ROLE_REQUIRED")
    }
    for path in ("", "/versions", "/export"):
        assert caller("GET", path).status_code == 200


def test_another_organisation_sees_nothing_of_it(admin: Client) -> None:
    admin("POST", "/items", json={"items": [{**CONTACTOR, "sku": "SECRET-1"}]})
    other = admin.as_role("admin", uuid4())
    assert other("GET", params={"q": "secret-1"}).json()["total"] == 0
    assert [version["number"] for version in other.versions()] == [0]
    assert other("POST", "/versions/1/restore").status_code == 404
    assert "SECRET-1" not in other("GET", "/export", params={"kind": "accessory"}).text


def test_an_estimate_is_ordered_with_the_version_in_force(admin: Client, site: Site) -> None:
    admin("POST", "/items", json={"items": [CONTACTOR]})
    books = PriceBooks(site.engine)
    with site.database.tenant(admin.principal) as conn:
        book = books.in_force(conn)
    assert book.engine.catalog.accessories["MC-9"].unit_price_krw == 19500
    assert book.engine.catalog.sha == admin("GET").json()["version"]["sha256"]
