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
from tests.documents import builders, samples

from kis_estimator.documents.sheet import Quotation, build_quotation
from kis_estimator.documents.xlsx import render_workbook
from kis_estimator.documents.xlsx.book import sheet_name
from kis_estimator.engine.model import Customer, EngineResult, PricingTerms

ROOT = Path(__file__).parents[2]
RECALCULATE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode"
 oor:op="fuse"><value>0</value></prop></item>
</oor:items>
"""
AMOUNT = re.compile(r"=ROUND\((E\d+|ROUND\(E\d+\*100,0\))\*F\d+(/100)?,0\)")
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
    data = render_workbook(quotation)
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
    formulas = read(render_workbook(quotation), values=False)
    for name in amounts(quotation):
        value = named(formulas, formulas, name)
        assert isinstance(value, str), name
        assert value.startswith("="), name


def test_vat_is_truncated_and_discount_exact_by_formula() -> None:
    formulas = read(render_workbook(samples.ordinary()), values=False)
    assert named(formulas, formulas, "KIS_VAT") == "=INT(KIS_Supply*1/10)"
    assert named(formulas, formulas, "KIS_Discount") == "=-ROUND(KIS_LinesSum*33/1000,0)"
    assert named(formulas, formulas, "KIS_Supply") == "=KIS_LinesSum+KIS_Discount+KIS_Rounding"


def test_summary_without_deductions_has_no_such_lines() -> None:
    quotation = quotation_of(samples.result(samples.small()))
    text = [value for _, _, value in cells(read(render_workbook(quotation), values=True))]
    assert "절사" not in text
    assert not [value for value in text if str(value).startswith("할인")]


def test_cover_states_the_amount_in_words_and_figures() -> None:
    quotation = samples.ordinary()
    data = render_workbook(quotation)
    cover = sheet_of(read(data, values=True), "표지")
    found = {cell.coordinate: cell for row in cover.iter_rows() for cell in row if cell.value}
    (words,) = [c for c in found.values() if str(c.value).startswith("일금")]
    assert words.value == "일금 삼백칠십오만사천삼백원정"
    figures = cover[f"E{words.row}"]
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
    book = read(render_workbook(quotation_of(result)), values=True)
    for sheet in book.worksheets:
        marked = [v for row in sheet.iter_rows(values_only=True) for v in row if "SAMPLE" in str(v)]
        assert bool(marked) is sample
        footer = footer_of(sheet)
        assert ("SAMPLE" in footer) is sample


def test_page_setup() -> None:
    for sheet in read(render_workbook(samples.ordinary()), values=True).worksheets:
        assert sheet.page_setup.paperSize == 9
        assert sheet.page_setup.orientation == "portrait"
        assert sheet.sheet_properties.pageSetUpPr is not None
        assert sheet.sheet_properties.pageSetUpPr.fitToPage
        assert sheet.page_setup.fitToWidth in (None, 1)  # one page wide is the default
        assert sheet.page_setup.fitToHeight == 0
        last = "F" if sheet.title == "표지" else "H"  # the rules beside a panel are not printed
        assert re.search(rf"\$A\$1:\${last}\$\d+$", str(sheet.print_area))
        assert sheet.print_title_rows
        assert "&P / &N" in footer_of(sheet)


def test_fonts_are_named_and_not_left_to_the_theme() -> None:
    with zipfile.ZipFile(io.BytesIO(render_workbook(samples.ordinary()))) as parts:
        styles = parts.read("xl/styles.xml").decode("utf-8")
    assert "맑은 고딕" in styles
    assert "<scheme" not in styles


def test_user_text_never_becomes_a_formula_or_a_link() -> None:
    data = render_workbook(QUOTATIONS["hostile"]())
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
    values = read(render_workbook(QUOTATIONS["hostile"]()), values=True)
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
        data = render_workbook(quotation)
    assert len(read(data, values=True).worksheets) == 3


def forget_cached_values(data: bytes) -> bytes:
    """Replace the cached value of every formula, so that only a recalculation is right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            part = source.read(name)
            if name.startswith("xl/worksheets/"):
                part = re.sub(rb"(</f>)<v>[^<]*</v>", rb"\1<v>1</v>", part)
            target.writestr(name, part)
    return out.getvalue()


@pytest.fixture(scope="module")
def recalculated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Workbook]:
    folder = tmp_path_factory.mktemp("libreoffice")
    profile = folder / "profile" / "user"
    profile.mkdir(parents=True)
    (profile / "registrymodifications.xcu").write_text(RECALCULATE, encoding="utf-8")
    for case, make in QUOTATIONS.items():
        data = forget_cached_values(render_workbook(make()))
        (folder / f"{case}.xlsx").write_bytes(data)
    files = [str(folder / f"{case}.xlsx") for case in QUOTATIONS]
    subprocess.run(
        ["soffice", f"-env:UserInstallation={profile.parent.as_uri()}", "--headless",
         "--convert-to", "xlsx", "--outdir", str(folder / "out"), *files],
        check=True, capture_output=True, timeout=180,
    )  # fmt: skip
    return {
        case: load_workbook(folder / "out" / f"{case}.xlsx", data_only=True) for case in QUOTATIONS
    }


@pytest.mark.parametrize("case", QUOTATIONS)
def test_libreoffice_calculates_the_same(case: str, recalculated: dict[str, Workbook]) -> None:
    data = render_workbook(QUOTATIONS[case]())
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
from kis_estimator.documents.xlsx import render_workbook
from kis_estimator.documents.drawing import arrangement_files
result = samples.result(samples.small(), samples.wide())
from kis_estimator.documents.sheet import build_quotation
quotation = build_quotation(result, samples.header())
digest = hashlib.sha256(render_workbook(quotation))
for name, svg in arrangement_files(result, quotation).items():
    digest.update((name + svg).encode())
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
    assert render_workbook(samples.ordinary()) == render_workbook(samples.ordinary())


def test_rows_are_tall_enough_for_wrapped_names() -> None:
    book = read(render_workbook(QUOTATIONS["hostile"]()), values=True)
    cover = sheet_of(book, "표지")
    (row,) = [
        cell.row
        for cell in cover["B"]
        if cell.value == "가나다라마바사아자차" * 30 and cell.row > 8
    ]
    assert cast("float", cover.row_dimensions[row].height) > 200


def test_markup_and_exclusions() -> None:
    result = samples.result(samples.small(), pricing=PricingTerms(markup_pct=Decimal(17)))
    header = replace(samples.header(), exclusions=("=1+1 접지봉", "\x00"))
    data = render_workbook(build_quotation(result, header))
    text = [str(value) for _, _, value in cells(read(data, values=True))]
    assert "견적 제외: =1+1 접지봉" in text
    assert not [value for value in text if "17" in value and "%" in value]
