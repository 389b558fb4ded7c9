"""Price books as files: what an import makes of the book in force, and what it refuses."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pytest
from openpyxl import Workbook, load_workbook
from tests.runs import engine

from kis_estimator.engine.catalog import parse_catalog
from kis_estimator.errors import KisError, Locale, Notice
from kis_estimator.service.pricebook import text_of
from kis_estimator.service.pricebook_files import (
    COLUMNS,
    Head,
    Kind,
    complete_files,
    export_csv,
    export_workbook,
    head_text,
    read_upload,
)
from kis_estimator.service.pricebook_import import Plan, Wish, plan_file, plan_items, rule_skus

BASE = text_of(engine().catalog_files)
KINDS: tuple[Kind, ...] = ("breaker", "enclosure", "accessory")
LOCALES: tuple[Locale, ...] = ("ko-KR", "en-US")
MODES = (Wish(), Wish(replace=True))
HEADER = ",".join(COLUMNS["accessory"])
MC9 = "MC-9,magnet_contactor,전자접촉기 MC-9~22,Magnetic contactor 9-22 A,46,75,panel,EA,"
NEW = "MC-900,magnet_contactor,전자접촉기 특대,Contactor,46,75,panel,EA,999000"


def csv(*rows: str, header: str = HEADER) -> bytes:
    return "\n".join([header, *rows]).encode()


def imported(data: bytes, base: Mapping[str, str] = BASE, wish: Wish = Wish()) -> Plan:  # noqa: B008 - frozen
    return plan_file(base, data, "prices.csv", wish)


def refusals(data: bytes, wish: Wish = Wish()) -> tuple[Notice, ...]:  # noqa: B008 - frozen
    with pytest.raises(KisError) as error:
        imported(data, wish=wish)
    assert all(notice.message(locale) for notice in error.value.notices for locale in LOCALES)
    assert all(notice.hint(locale) for notice in error.value.notices for locale in LOCALES)
    return error.value.notices


def places(notices: tuple[Notice, ...]) -> list[tuple[object, ...]]:
    return [(n.sheet, n.row, n.params["field"]) for n in notices]


def book(tabs: Mapping[str, list[list[object]]]) -> bytes:
    made = Workbook()
    assert made.active is not None
    made.remove(made.active)
    for name, rows in tabs.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    buffer = io.BytesIO()
    made.save(buffer)
    return buffer.getvalue()


def repriced(factor: int) -> dict[str, str]:
    """The sample book with every price multiplied."""
    files = dict(BASE)
    for name, text in BASE.items():
        if name.endswith(".csv"):
            head, *rows = text.splitlines()
            parts = [row.rpartition(",") for row in rows]
            lines = [f"{row},{int(price) * factor + 1}" for row, _, price in parts]
            files[name] = "\n".join([head, *lines]) + "\n"
    return files


# ---------------------------------------------------------------- what comes back unchanged


@pytest.mark.parametrize("wish", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_an_exported_table_changes_nothing(kind: Kind, wish: Wish) -> None:
    data = export_csv(BASE, kind)
    assert data.startswith(b"\xef\xbb\xbf")
    plan = imported(data, wish=wish)
    assert plan.unchanged
    assert plan.files == BASE
    assert plan.sha256 == engine().catalog.sha
    assert (plan.added, plan.removed, plan.changed) == ([], [], [])
    assert plan.same == plan.sample_prices == len(plan.rows)


@pytest.mark.parametrize("wish", MODES)
def test_an_exported_workbook_changes_nothing(wish: Wish) -> None:
    data = export_workbook(BASE)
    assert export_workbook(BASE) == data
    assert plan_file(BASE, data, "a.xlsx", wish).unchanged


def test_a_workbook_made_by_another_program_reads_the_same() -> None:
    """Saved anew, numbers come as numbers and texts of digits stay texts."""
    base = {**BASE, "accessories.csv": csv(NEW, MC9 + "18000").decode().replace("MC-900", "00900")}
    saved = io.BytesIO()
    load_workbook(io.BytesIO(export_workbook(base))).save(saved)
    assert plan_file(base, saved.getvalue(), "a.xlsx", Wish(replace=True)).unchanged


def test_a_number_that_no_cell_holds_exactly_is_written_as_text() -> None:
    rows = [
        f"X-{n},HB,steel,{mm},indoor,IP30,400,500,150,1"
        for n, mm in enumerate(["1.00000000000000000001", "1E-999999"])
    ]
    base = {**BASE, "enclosures.csv": csv(*rows, header=",".join(COLUMNS["enclosure"])).decode()}
    data = export_workbook(base)
    assert plan_file(base, data, "a.xlsx", Wish(replace=True)).unchanged
    assert "1.00000000000000000001" in str([*load_workbook(io.BytesIO(data))["enclosures"].values])


def test_an_exported_workbook_is_a_price_book_by_itself() -> None:
    files = complete_files(read_upload(export_workbook(BASE), "a.xlsx"))
    catalog, known = parse_catalog(files), engine().catalog
    assert (catalog.name, catalog.version, catalog.sample) == (
        known.name,
        known.version,
        known.sample,
    )
    assert (catalog.breakers, catalog.enclosures) == (known.breakers, known.enclosures)
    assert catalog.accessories == known.accessories


# ---------------------------------------------------------------- what changes


def test_an_upsert_replaces_and_adds_and_leaves_the_rest() -> None:
    plan = imported(csv(MC9 + "19500", NEW))
    assert [row["sku"] for row in plan.added] == ["MC-900"]
    assert plan.removed == []
    (changed,) = plan.changed
    assert changed.item["sku"] == "MC-9"
    assert changed.fields == {"unitPriceKrw": (18000, 19500)}
    assert changed.price_pct == 8.3
    assert plan.counts == {"added": 1, "removed": 0, "changed": 1, "unchanged": plan.same}
    assert plan.same == len(plan.rows) - 2
    assert not plan.unchanged
    catalog = parse_catalog({name: text.encode() for name, text in plan.files.items()})
    assert catalog.sha == plan.sha256 != engine().catalog.sha
    assert catalog.accessories["MC-9"].unit_price_krw == 19500
    assert catalog.breakers == engine().catalog.breakers
    assert list(catalog.accessories)[: len(engine().catalog.accessories)] == list(
        engine().catalog.accessories
    )


def test_a_replaced_table_becomes_exactly_its_rows() -> None:
    plan = imported(csv(MC9 + "18000"), wish=Wish(replace=True))
    known = set(engine().catalog.accessories)
    assert {row["sku"] for row in plan.removed} == known - {"MC-9"}
    assert (plan.added, plan.changed) == ([], [])
    assert plan.files["breakers.csv"] == BASE["breakers.csv"]


def test_accessories_that_the_rules_need_are_not_lost() -> None:
    wish = Wish(replace=True, needed=rule_skus(engine().rules))
    (notice,) = refusals(csv(MC9 + "18000"), wish)
    assert notice.code == "CATALOG_NEEDS"
    assert notice.params["skus"] == sorted(rule_skus(engine().rules))
    assert rule_skus(engine().rules) <= set(engine().catalog.accessories)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters(encoding: str, delimiter: str) -> None:
    columns = [*reversed(COLUMNS["accessory"])]
    cells = [*reversed((MC9 + "20000").split(","))]
    text = "\r\n".join([delimiter.join(columns).upper(), "", delimiter.join(cells), ""])
    plan = imported(text.encode(encoding))
    assert [change.fields for change in plan.changed] == [{"unitPriceKrw": (18000, 20000)}]


def test_a_price_from_nothing_has_no_percentage() -> None:
    base = {**BASE, "accessories.csv": csv(MC9 + "0").decode()}
    (changed,) = imported(csv(MC9 + "5"), base).changed
    assert changed.price_pct is None


def test_items_given_as_objects() -> None:
    fields = dict(zip(COLUMNS["accessory"], (MC9 + "17000").split(","), strict=True))
    plan = plan_items(BASE, [("accessory", fields)], Wish())
    assert [change.price_pct for change in plan.changed] == [-5.6]
    with pytest.raises(KisError) as error:
        plan_items(BASE, [("accessory", fields), ("accessory", fields)], Wish())
    assert places(error.value.notices) == [("items", 2, "sku")]


# ---------------------------------------------------------------- sample prices


def test_a_book_with_a_sample_price_stays_a_sample() -> None:
    assert imported(csv(MC9 + "19500")).sample
    everything = export_workbook(repriced(2))
    for wish in MODES:
        plan = plan_file(BASE, everything, "a.xlsx", wish)
        assert (plan.sample_prices, len(plan.changed)) == (0, len(plan.rows))


def test_a_book_without_a_sample_price_is_none_unless_its_file_says_so() -> None:
    files = repriced(2)
    marked = plan_file(BASE, export_workbook(files), "a.xlsx", Wish(replace=True))
    assert marked.sample  # its own tab says TRUE
    files["catalog.toml"] = head_text('Our "own"\\', "2027.1", sample=False)
    plain = plan_file(BASE, export_workbook(files), "a.xlsx", Wish(replace=True))
    assert not plain.sample
    assert plain.head["sample"] == (True, False)
    assert (plain.name, plain.version) == ('Our "own"\\', "2027.1")
    kept = plan_file(plain.files, csv(MC9 + "1"), "b.csv", Wish())
    assert not kept.sample


def test_a_file_cannot_clear_the_mark_of_sample_prices_a_caller_can() -> None:
    files = {**BASE, "catalog.toml": head_text("A", "1", sample=False)}
    data = export_workbook(files)
    assert plan_file(BASE, data, "a.xlsx", Wish()).sample
    assert not plan_file(BASE, data, "a.xlsx", Wish(head=Head(sample=False))).sample
    assert plan_file(files, csv(NEW), "a.csv", Wish(head=Head(sample=True))).sample


# ---------------------------------------------------------------- what is refused


def test_every_problem_is_told_at_its_place() -> None:
    data = csv(
        MC9 + "18000",
        "",
        MC9 + "-1",
        "X,kettle,가,A,46,75,panel,EA,1",
        "Y,timer,,A,4.5,75,panel,EA,x",
    )
    notices = refusals(data)
    assert places(notices) == [
        ("prices.csv", 4, "unit_price_krw"),
        ("prices.csv", 4, "sku"),
        ("prices.csv", 5, "category"),
        ("prices.csv", 6, "name_ko"),
        ("prices.csv", 6, "width_mm"),
        ("prices.csv", 6, "unit_price_krw"),
    ]
    assert len(refusals(csv(*[f"S{n},kettle,가,A,0,0,panel,EA,1" for n in range(80)]))) == 50


def test_problems_of_a_workbook_name_tab_and_row() -> None:
    good: list[object] = ["X", "timer", "가", "A", 1, 1, "panel", "EA", 5]
    bad: list[object] = ["Z", "timer", "가", "A", 1, 1, "panel", "EA", "=1/0"]
    header: list[object] = [*COLUMNS["accessory"]]
    with pytest.raises(KisError) as error:
        plan_file(BASE, book({"Accessories": [[], header, good, [], bad]}), "a.xlsx", Wish())
    assert places(error.value.notices) == [("Accessories", 5, "unit_price_krw")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "FILE_EMPTY"),
        (b" \n", "FILE_EMPTY"),
        (b"%PDF-1.4 and so on", "CATALOG_TABLE"),
        (b"\xff\x81\x81", "TEXT_ENCODING"),
        (b"MZ\x00\x01", "TEXT_BINARY"),
        (b"PK\x03\x04 broken", "NOT_A_WORKBOOK"),
        (b"name,amount\na,1\n", "CATALOG_TABLE"),
        (csv(), "CATALOG_ROW"),
        (csv(MC9 + "1", header=HEADER + ",colour"), "CATALOG_HEADER"),
        (csv(MC9 + "1", header=HEADER.replace("name_en", "name_ko")), "CATALOG_HEADER"),
        (csv(MC9 + "1,surplus"), "CATALOG_ROW"),
        (csv("S" * 201 + ",timer,가,A,0,0,panel,EA,1"), "CATALOG_ROW"),
        (csv('"open'), "CSV_QUOTES"),
        (book({"breakers": [["sku"]]}), "CATALOG_HEADER"),
        (book({"Sheet1": [["sku"]]}), "CATALOG_TAB"),
        (book({"catalog": [["name", "version", "sample"], ["A", "1", True]]}), "CATALOG_TABLE"),
        (book({"catalog": [["name", "version", "sample"], ["A", "1", "?"]]}), "CATALOG_ROW"),
        (book({"catalog": [["name", "version", "sample"], ["A" * 201, None, 0]]}), "CATALOG_ROW"),
        (book({"catalog": [["name", "version", "sample"]]}), "CATALOG_ROW"),
        (csv(*["x"] * 100_001), "TOO_MANY_ROWS"),
        (csv("x" * 200_000), "CSV_QUOTES"),
        (b"x" * (20 * 2**20 + 1), "FILE_TOO_LARGE"),
    ],
)
def test_what_is_no_price_book(data: bytes, code: str) -> None:
    assert {notice.code for notice in refusals(data)} == {code}


def test_a_wrong_header_is_told_by_name() -> None:
    (notice,) = refusals(csv(MC9 + "1", header=HEADER.replace("unit_price_krw", "price")))
    assert notice.params == {
        "file": "prices.csv",
        "missing": ["unit_price_krw"],
        "surplus": ["price"],
    }
    assert notice.row == 1
