import io
import os
import re
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook
from openpyxl.cell.cell import Cell
from openpyxl.worksheet.header_footer import HeaderFooterItem
from openpyxl.worksheet.worksheet import Worksheet
from tests.documents import builders, office, samples
from tests.documents.test_supplier import png

from kis_estimator.documents.checks import CheckRow
from kis_estimator.documents.sheet import Quotation, build_quotation
from kis_estimator.documents.xlsx import write_workbook
from kis_estimator.documents.xlsx.book import sheet_name
from kis_estimator.engine.model import Customer, EngineResult, PricingTerms

ROOT = Path(__file__).parents[2]
AMOUNT = re.compile(r"=ROUND\((E\d+|ROUND\(E\d+\*100,0\))\*F\d+(/100)?,0\)")
EXCEEDED = "미확인 · 기준 초과(참고)"
HALF_WON = [
    ("0.29", 19_550),
    ("0.13", 19_550),
    ("0.18", 22_425),
    ("1.15", 24_870),
    ("4.35", 22_430),
]


def quotation_of(result: EngineResult) -> Quotation:
    return build_quotation(result, samples.header(result.request.locale))


def half_won() -> Quotation:
    """Return a quotation whose amounts end on half a won, where binary arithmetic may slip."""
    lines = tuple(
        builders.line("busbar", f"부스바 {i}", "3T×15", quantity, price)
        for i, (quantity, price) in enumerate(HALF_WON)
    )
    panel = replace(samples.small(), lines=lines, lines_sum=sum(line.amount for line in lines))
    terms = PricingTerms(discount_pct=Decimal("7.25"), round_down_to=10)
    return quotation_of(samples.result(panel, panel, pricing=terms))


QUOTATIONS: dict[str, Callable[[], Quotation]] = {
    "ordinary": samples.ordinary,
    "hostile": lambda: quotation_of(samples.hostile()),
    "half-won": half_won,
    "plain-english": lambda: quotation_of(
        samples.result(
            samples.wide(), samples.domestic(),
            locale="en-US", sample=False, customer=Customer(), project=None,
        )
    ),
}  # fmt: skip


def read(data: bytes, *, values: bool) -> Workbook:
    return load_workbook(io.BytesIO(data), data_only=values)


def cells(book: Workbook) -> Iterator[tuple[str, str, object]]:
    for sheet in book.worksheets:
        for row in sheet.iter_rows():
            for cell in row:
                value: object = cell.value
                if value is not None:
                    yield sheet.title, cell.coordinate, value


def named(formulas: Workbook, values: Workbook, name: str) -> object:
    ((title, where),) = formulas.defined_names[name].destinations
    return cell_of(values, title, where.replace("$", "")).value


def cell_of(book: Workbook, title: str, where: str) -> Cell:
    return cast("Cell", sheet_of(book, title)[where])


def sheet_of(book: Workbook, title: str) -> Worksheet:
    return cast("Worksheet", book[title])


def footer_of(sheet: Worksheet) -> str:
    footer = cast("HeaderFooterItem", sheet.oddFooter)
    return " ".join(str(part.text) for part in (footer.left, footer.center, footer.right))


def amounts(quotation: Quotation) -> dict[str, int]:
    totals = quotation.totals
    found = {
        "KIS_LinesSum": totals.lines_sum,
        "KIS_Discount": -totals.discount,
        "KIS_Rounding": -totals.rounding,
        "KIS_Supply": totals.supply,
        "KIS_VAT": totals.vat,
        "KIS_Total": totals.total,
    }
    found |= {f"KIS_Panel{panel.number}_Total": panel.unit_price for panel in quotation.panels}
    shown = {line.kind for line in quotation.summary}
    for name, kind in (("KIS_Discount", "discount"), ("KIS_Rounding", "rounding")):
        if kind not in shown:
            del found[name]
    return found


@pytest.mark.parametrize("case", QUOTATIONS)
def test_cached_amounts_are_ours(case: str) -> None:
    quotation = QUOTATIONS[case]()
    data = write_workbook(quotation).data
    formulas, values = read(data, values=False), read(data, values=True)
    for name, amount in amounts(quotation).items():
        assert named(formulas, values, name) == amount, name
    written = [
        (cell_of(values, title, where).value, formula)
        for title, where, formula in cells(formulas)
        if isinstance(formula, str)
        and re.match(r"=ROUND\((E\d+|ROUND\(E\d+\*100,0\))\*F\d+(/100)?,0\)$", formula)
    ]
    assert [value for value, _ in written] == [
        row.amount for panel in quotation.panels for group in panel.groups for row in group.rows
    ]


@pytest.mark.parametrize("case", QUOTATIONS)
def test_every_sum_is_a_formula(case: str) -> None:
    quotation = QUOTATIONS[case]()
    formulas = read(write_workbook(quotation).data, values=False)
    for name in amounts(quotation):
        value = named(formulas, formulas, name)
        assert isinstance(value, str), name
        assert value.startswith("="), name


def test_vat_is_truncated_and_discount_exact_by_formula() -> None:
    formulas = read(write_workbook(samples.ordinary()).data, values=False)
    assert named(formulas, formulas, "KIS_VAT") == "=INT(KIS_Supply*1/10)"
    assert named(formulas, formulas, "KIS_Discount") == "=-ROUND(KIS_LinesSum*33/1000,0)"
    assert named(formulas, formulas, "KIS_Supply") == "=KIS_LinesSum+KIS_Discount+KIS_Rounding"


def test_summary_without_deductions_has_no_such_lines() -> None:
    quotation = quotation_of(samples.result(samples.small()))
    text = [value for _, _, value in cells(read(write_workbook(quotation).data, values=True))]
    assert "절사" not in text
    assert not [value for value in text if str(value).startswith("할인")]


def test_cover_states_the_amount_in_words_and_figures() -> None:
    quotation = samples.ordinary()
    data = write_workbook(quotation).data
    cover = sheet_of(read(data, values=True), "표지")
    found = {cell.coordinate: cell for row in cover.iter_rows() for cell in row if cell.value}
    (words,) = [c for c in found.values() if str(c.value).startswith("일금")]
    assert words.value == "일금 삼백칠십오만사천삼백원정"
    figures = cover[f"F{words.row}"]
    assert figures.value == quotation.totals.total
    assert figures.number_format == '"(₩"#,##0")  부가세 포함"'


@pytest.mark.parametrize("sample", [True, False])
@pytest.mark.parametrize("locale", ["ko-KR", "en-US"])
def test_sample_mark_is_on_every_sheet(sample: bool, locale: str) -> None:  # noqa: FBT001
    result = samples.result(
        samples.small(),
        samples.big(),
        sample=sample,
        locale=locale,  # type: ignore[arg-type]
    )
    book = read(write_workbook(quotation_of(result)).data, values=True)
    for sheet in book.worksheets:
        marked = [v for row in sheet.iter_rows(values_only=True) for v in row if "SAMPLE" in str(v)]
        assert bool(marked) is sample
        footer = footer_of(sheet)
        assert ("SAMPLE" in footer) is sample


def test_page_setup() -> None:
    for sheet in read(write_workbook(samples.ordinary()).data, values=True).worksheets:
        assert sheet.page_setup.paperSize == 9
        assert sheet.page_setup.orientation == "portrait"
        assert sheet.sheet_properties.pageSetUpPr is not None
        assert sheet.sheet_properties.pageSetUpPr.fitToPage
        assert sheet.page_setup.fitToWidth in (None, 1)  # one page wide is the default
        assert sheet.page_setup.fitToHeight == 0
        # the rules beside a panel are not printed
        last = {"표지": "G", "총괄": "I", "부하집계표": "I", "설계검토": "F"}.get(sheet.title, "H")
        assert re.search(rf"\$A\$1:\${last}\$\d+$", str(sheet.print_area))
        assert bool(sheet.print_title_rows) is (sheet.title != "표지")
        assert "&P / &N" in footer_of(sheet)


def test_fonts_are_named_and_not_left_to_the_theme() -> None:
    with zipfile.ZipFile(io.BytesIO(write_workbook(samples.ordinary()).data)) as parts:
        styles = parts.read("xl/styles.xml").decode("utf-8")
    assert "맑은 고딕" in styles
    assert "<scheme" not in styles


def test_user_text_never_becomes_a_formula_or_a_link() -> None:
    data = write_workbook(QUOTATIONS["hostile"]()).data
    formulas = read(data, values=False)
    ours = re.compile(r"^=(-?[A-Z]+\(|KIS_|[A-Z]+\d+\*)")
    for title, where, value in cells(formulas):
        cell = cell_of(formulas, title, where)
        if cell.data_type == "f":
            assert ours.match(str(value)), value
        assert cell.hyperlink is None
    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        assert not [name for name in parts.namelist() if "external" in name.lower()]
        for name in parts.namelist():
            text = parts.read(name).decode("utf-8")
            assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\u202e\ufffe]", text)


def test_hostile_names_survive_as_text() -> None:
    values = read(write_workbook(QUOTATIONS["hostile"]()).data, values=True)
    text = {value for _, _, value in cells(values)}
    assert {"=cmd|' /C calc'!A0", "<script>alert(1)</script>", "+1+1", "@SUM(A1)"} <= text
    assert "가나다라마바사아자차" * 30 in text


@given(st.lists(st.text(max_size=40) | st.sampled_from(samples.HOSTILE), max_size=12))
def test_sheet_names_are_valid_and_unique(wanted: list[str]) -> None:
    taken: set[str] = set()
    for one in wanted:
        name = sheet_name(one, taken)
        assert 0 < len(name.encode("utf-16-le")) // 2 <= 31
        assert not re.search(r"[\[\]:*?/\\'\x00-\x1f]", name)
        assert name.strip()
        assert name.lower() != "history"
        assert name.lower() not in taken
        taken.add(name.lower())


@settings(deadline=None, max_examples=25)
@given(st.text(max_size=50), st.text(max_size=50))
def test_any_name_gives_a_workbook_that_opens(name: str, project: str) -> None:
    panels = samples.small(name), samples.small(name)
    quotation = quotation_of(samples.result(*panels, project=project))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = write_workbook(quotation).data
    assert len(read(data, values=True).worksheets) == 6


@pytest.fixture(scope="module")
def recalculated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Workbook]:
    files = {
        case: office.forget_stored_values(write_workbook(make()).data)
        for case, make in QUOTATIONS.items()
    }
    saved = office.recalculate(files, tmp_path_factory.mktemp("libreoffice"))
    return {case: read(data, values=True) for case, data in saved.items()}


@pytest.mark.parametrize("case", QUOTATIONS)
def test_libreoffice_calculates_the_same(case: str, recalculated: dict[str, Workbook]) -> None:
    data = write_workbook(QUOTATIONS[case]()).data
    formulas, values, theirs = read(data, values=False), read(data, values=True), recalculated[case]
    compared = 0
    for title, where, _ in cells(formulas):
        if cell_of(formulas, title, where).data_type == "f":
            calculated = cell_of(theirs, title, where).value
            assert calculated == cell_of(values, title, where).value, (title, where)
            compared += 1
    assert compared > 10


CHILD = """
import hashlib, sys
from tests.documents import samples
from kis_estimator.documents.xlsx import write_workbook
from kis_estimator.documents.drawing import drawing_files
result = samples.result(samples.small(), samples.wide())
from kis_estimator.documents.sheet import build_quotation
quotation = build_quotation(result, samples.header())
digest = hashlib.sha256(write_workbook(quotation).data)
for name, content in drawing_files(result, quotation).items():
    digest.update(name.encode() + content)
print(digest.hexdigest())
"""


def test_same_bytes_in_another_time_zone_locale_and_hash_seed() -> None:
    digests = set()
    for zone, seed in (("Asia/Seoul", "1"), ("America/New_York", "2")):
        env = os.environ | {
            "TZ": zone, "PYTHONHASHSEED": seed, "LC_ALL": "C",
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        }  # fmt: skip
        run = subprocess.run(
            [sys.executable, "-c", CHILD], env=env, check=True, capture_output=True, text=True
        )
        digests.add(run.stdout)
    assert len(digests) == 1


def test_same_bytes_twice() -> None:
    assert write_workbook(samples.ordinary()).data == write_workbook(samples.ordinary()).data


def test_rows_are_tall_enough_for_wrapped_names() -> None:
    book = read(write_workbook(QUOTATIONS["hostile"]()).data, values=True)
    summary = sheet_of(book, "총괄")
    (row,) = [cell.row for cell in summary["B"] if cell.value == "가나다라마바사아자차" * 30]
    assert cast("float", summary.row_dimensions[row].height) > 200


def test_markup_and_exclusions() -> None:
    result = samples.result(samples.small(), pricing=PricingTerms(markup_pct=Decimal(17)))
    header = replace(samples.header(), exclusions=("=1+1 접지봉", "\x00"))
    data = write_workbook(build_quotation(result, header)).data
    text = [str(value) for _, _, value in cells(read(data, values=True))]
    assert "견적 제외: =1+1 접지봉" in text
    assert not [value for value in text if "17" in value and "%" in value]


def test_order_of_sheets() -> None:
    book = read(write_workbook(samples.ordinary()).data, values=True)
    panels = [panel.name for panel in samples.ordinary().panels]
    assert book.sheetnames == ["표지", "총괄", *panels, "부하집계표", "설계검토"]


def test_no_panel_takes_the_name_of_a_sheet_of_ours() -> None:
    result = samples.result(*map(samples.small, ("부하집계표", "총괄", "표지")))
    book = read(write_workbook(quotation_of(result)).data, values=True)
    names = ["부하집계표 (2)", "총괄 (2)", "표지 (2)"]
    assert book.sheetnames == ["표지", "총괄", *names, "부하집계표", "설계검토"]


def text_of(book: Workbook, title: str) -> list[str]:
    return [str(value) for sheet, _, value in cells(book) if sheet == title]


def test_cover_names_the_supplier_and_the_terms() -> None:
    supplier = replace(
        samples.header().supplier,
        registration_number="120-81-47521", name="한빛전기㈜", representative="김한빛",
        address="경기도 화성시 동탄산업로 123", phone="031-123-4567", fax="031-123-4568",
        delivery="=발주 후 14일", payment="현금", bank_account="국민 123", notes=("운반비 별도",),
    )  # fmt: skip
    header = replace(samples.header(), supplier=supplier)
    text = text_of(
        read(
            write_workbook(build_quotation(samples.result(samples.small()), header)).data,
            values=True,
        ),
        "표지",
    )
    assert {
        "120-81-47521", "한빛전기㈜", "김한빛  (인)", "경기도 화성시 동탄산업로 123",
        "031-123-4567", "031-123-4568", "제조 / 배전반, 분전반",
        "=발주 후 14일", "현금", "국민 123", "1. 운반비 별도",
    } <= set(text)  # fmt: skip


def test_seal_lies_on_the_cover_at_its_own_proportions() -> None:
    header = replace(
        samples.header(), supplier=replace(samples.header().supplier, seal=png(80, 40))
    )
    data = write_workbook(build_quotation(samples.result(samples.small()), header)).data
    parts = office.parts_of(data)
    assert parts["xl/media/image1.png"] == png(80, 40)
    drawing = parts["xl/drawings/drawing1.xml"].decode()
    (extent,) = re.findall(r'<a:ext cx="(\d+)" cy="(\d+)"', drawing)
    assert int(extent[0]) == 2 * int(extent[1])
    assert "xl/media/image1.png" not in office.parts_of(write_workbook(samples.ordinary()).data)


def test_many_exclusions_are_all_told() -> None:
    exclusions = tuple(f"제외 품목 {i} " + "가" * 50 for i in range(2000))
    header = replace(samples.header(), exclusions=exclusions)
    data = write_workbook(build_quotation(samples.result(samples.small()), header)).data
    told = " ".join(text_of(read(data, values=True), "표지"))
    assert all(f"제외 품목 {i} " in told for i in range(2000))


@pytest.mark.parametrize("case", QUOTATIONS)
def test_load_schedule_lists_every_circuit(case: str) -> None:
    quotation = QUOTATIONS[case]()
    data = write_workbook(quotation).data
    formulas, values = read(data, values=False), read(data, values=True)
    title = quotation.words["loads_sheet"]
    rows = [row for row in sheet_of(values, title).iter_rows(values_only=True) if row[4]]
    wanted = [row for panel in quotation.panels for row in panel.loads.rows]
    assert [row[:6] for row in rows[1:]] == [
        (r.circuit, r.label, r.kind, f"{r.poles}P", r.rating, r.phase) for r in wanted
    ]
    numbers = [
        tuple(None if v is None else float(v) for v in (r.r_a, r.s_a, r.t_a)) for r in wanted
    ]
    assert [row[6:] for row in rows[1:]] == numbers
    sums = [
        cell_of(values, title, where).value
        for sheet, where, value in cells(formulas)
        if sheet == title and str(value).startswith("=ROUND(SUM(")
    ]
    assert sums == [
        float(amperes)
        for panel in quotation.panels
        for amperes in (panel.loads.r_a, panel.loads.s_a, panel.loads.t_a)
        if not panel.loads.single_phase or amperes
    ]


def test_every_panel_starts_a_page_of_the_load_schedule() -> None:
    sheet = sheet_of(read(write_workbook(samples.ordinary()).data, values=True), "부하집계표")
    starts = [row.id + 1 for row in sheet.row_breaks.brk]
    assert [sheet.cell(row, 1).value for row in starts] == ["L-2", "동력반 P-1"]


def test_design_checks_are_words_with_colours_and_counts() -> None:
    checks = (
        CheckRow(section="gate", clause="critic.violations", panel="", item="=1+1", status="fail",
                 figure="2", limit="= 0", source="–"),
        CheckRow(section="iec61439", clause="10.3", panel="LP-1", item="IP", status="pass",
                 figure="IP44", limit="≥ IP44", source="자재표"),
        CheckRow(section="iec61439", clause="10.9", panel="LP-1", item="절연", figure="–",
                 status="not_verified", limit="–", source="제조자 확인"),
        CheckRow(section="iec61439", clause="10.10", panel="LP-1", item="온도상승",
                 figure="61 °C", status="exceeded", limit="≤ 55 °C", source="참고값"),
    )  # fmt: skip
    quotation = replace(samples.ordinary(), checks=checks, design_sha="ab" * 32)
    data = write_workbook(quotation).data
    book, formulas = read(data, values=True), read(data, values=False)
    sheet = sheet_of(book, "설계검토")
    found = [
        row
        for row in sheet.iter_rows(values_only=True)
        if row[2] in ("적합", "부적합", "미확인", EXCEEDED)
    ]
    assert found == [
        ("", "=1+1", "부적합", "2", "= 0", "–"),
        ("10.3", "IP", "적합", "IP44", "≥ IP44", "자재표"),
        ("10.9", "절연", "미확인", "–", "–", "제조자 확인"),
        ("10.10", "온도상승", EXCEEDED, "61 °C", "≤ 55 °C", "참고값"),
    ]
    counted = [
        c for s, c, v in cells(formulas) if s == "설계검토" and str(v).startswith("=COUNTIF")
    ]
    assert [cell_of(book, "설계검토", where).value for where in counted] == [1, 1, 1, 1]
    rules = [rule for area in sheet.conditional_formatting for rule in area.rules]
    assert {rule.formula[0] for rule in rules} == {
        '"적합"', '"부적합"', '"미확인"', f'"{EXCEEDED}"',
    }  # fmt: skip
    assert any("ab" * 32 in text for text in text_of(book, "설계검토"))


def test_the_writer_tells_what_it_wrote() -> None:
    written = write_workbook(samples.ordinary())
    formulas = read(written.data, values=False)
    found = {
        (title, where): str(value)[1:]
        for title, where, value in cells(formulas)
        if cell_of(formulas, title, where).data_type == "f"
    }
    assert {place: formula.text for place, formula in written.contents.formulas.items()} == found
    names = {name for sheet, name in written.contents.names if not sheet}
    assert names == set(formulas.defined_names)


@pytest.mark.parametrize("placeholder", [True, False])
def test_the_cover_of_a_placeholder_supplier_is_marked(placeholder: bool) -> None:  # noqa: FBT001
    quotation = samples.ordinary()
    supplier = replace(quotation.supplier, placeholder=placeholder)
    book = read(write_workbook(replace(quotation, supplier=supplier)).data, values=True)
    assert (quotation.words["placeholder_mark"] in text_of(book, "표지")) is placeholder


def test_a_long_contact_is_whole_on_the_cover() -> None:
    contact = "구매본부 전기자재구매팀 책임매니저 김현수 " * 3 + "끝"
    quotation = replace(samples.ordinary(), contact=contact)
    sheet = sheet_of(read(write_workbook(quotation).data, values=True), "표지")
    [cell] = [c for row in sheet.iter_rows() for c in row if contact in str(c.value)]
    assert cell.alignment.wrap_text
    height = sheet.row_dimensions[cast("int", cell.row)].height
    assert height is not None
    assert height >= 50
