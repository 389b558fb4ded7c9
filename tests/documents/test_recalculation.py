"""The format stage counts and names whatever is wrong with a finished workbook."""

import io
import json
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest
import xlsxwriter
from tests import runs
from tests.documents import office, samples

from kis_estimator.documents.ooxml.contents import Contents, WrittenWorkbook
from kis_estimator.documents.recalculation import FormatReport, check_workbook, recalculate
from kis_estimator.documents.sheet import build_quotation
from kis_estimator.documents.xlsx import write_workbook
from kis_estimator.engine.model import Customer, PricingTerms
from kis_estimator.errors import KisError

SUPPLY = "<f>KIS_LinesSum+KIS_Discount+KIS_Rounding</f>"
STORED = f"{SUPPLY}<v>3413000</v>"
PRICE = r'(<c r="F6" s="\d+")><v>115000</v>'
LP_1 = "xl/worksheets/sheet3.xml"


@pytest.fixture(scope="module")
def written() -> WrittenWorkbook:
    return write_workbook(samples.ordinary())


def replaced(data: bytes, pattern: str, new: str, part: str = ".xml") -> bytes:
    """Return the workbook with the only match of a pattern in some of its parts replaced."""
    hits = 0

    def edit(name: str, content: bytes) -> bytes:
        nonlocal hits
        if not name.endswith(part):
            return content
        text, count = re.subn(pattern, new, content.decode("utf-8"))
        hits += count
        return text.encode("utf-8")

    changed = office.edited(data, edit)
    assert hits == 1
    return changed


def check(written: WrittenWorkbook, pattern: str, new: str, part: str = ".xml") -> FormatReport:
    return check_workbook(replaced(written.data, pattern, new, part), written.contents)


def found(report: FormatReport) -> list[tuple[str, str | None, object, object, object]]:
    return [
        (n.code, n.sheet, n.params.get("cell", n.params.get("name")), n.params["expected"],
         n.params["found"])
        for n in report.problems
    ]  # fmt: skip


@pytest.mark.parametrize("locale", ["ko-KR", "en-US"])
@pytest.mark.parametrize("discount", ["0", "3.3", "7.25"])
def test_a_workbook_of_ours_has_nothing_wrong(locale: str, discount: str) -> None:
    result = samples.result(
        samples.small(), samples.many_small(), samples.domestic(), samples.big(),
        pricing=PricingTerms(discount_pct=Decimal(discount), round_down_to=1000),
        locale=locale,  # type: ignore[arg-type]
    )  # fmt: skip
    written = write_workbook(build_quotation(result, samples.header(result.request.locale)))
    report = check_workbook(written.data, written.contents)
    assert report.problems == report.unverified == ()
    assert (report.formula_loss, report.named_range_loss) == (0, 0)
    assert report.formulas == len(written.contents.formulas) > 50
    assert report.names == len(written.contents.names) > 15
    assert check_workbook(written.data).problems == ()


def test_hostile_names_do_no_harm() -> None:
    quotation = build_quotation(samples.hostile(), samples.header())
    written = write_workbook(quotation)
    assert check_workbook(written.data, written.contents).problems == ()


def test_a_stored_value_that_is_not_ours(written: WrittenWorkbook) -> None:
    report = check(written, re.escape(STORED), f"{SUPPLY}<v>1</v>")
    assert found(report) == [("STORED_VALUE_WRONG", "표지", "F18", "3413000", "1")]
    assert (report.formula_loss, report.named_range_loss) == (1, 0)


def test_a_stored_value_that_differs_where_ours_is_not_known(written: WrittenWorkbook) -> None:
    report = check_workbook(replaced(written.data, re.escape(STORED), f"{SUPPLY}<v>1</v>"))
    assert found(report) == [("RECALCULATION_DIFFERS", "표지", "F18", "1", "3413000")]


def test_a_price_changed_behind_the_formulas(written: WrittenWorkbook) -> None:
    report = check(written, PRICE, r"\1><v>115001</v>", LP_1)
    assert report.formula_loss == len(report.problems) > 5
    assert ("RECALCULATION_DIFFERS", "LP-1", "G6", "115000", "115001") in found(report)


def test_a_formula_turned_into_a_number(written: WrittenWorkbook) -> None:
    report = check(written, re.escape(STORED), "<v>3413000</v>")
    formula = "=KIS_LinesSum+KIS_Discount+KIS_Rounding"
    assert found(report) == [("FORMULA_LOST", "표지", "F18", formula, "3413000")]
    assert report.formula_loss == 1


def test_a_formula_that_was_changed(written: WrittenWorkbook) -> None:
    report = check(written, re.escape(SUPPLY), "<f>KIS_LinesSum+KIS_Discount</f>")
    formula = "=KIS_LinesSum+KIS_Discount+KIS_Rounding"
    expected = ("FORMULA_CHANGED", "표지", "F18", formula, "=KIS_LinesSum+KIS_Discount")
    assert expected in found(report)


def test_a_formula_that_was_not_written(written: WrittenWorkbook) -> None:
    report = check(written, PRICE, r"\1><f>115000</f><v>115000</v>", LP_1)
    assert found(report) == [("FORMULA_ADDED", "LP-1", "F6", "", "=115000")]


def test_an_error_that_is_stored(written: WrittenWorkbook) -> None:
    cell = rf'<c r="F18"( s="\d+")>{re.escape(STORED)}'
    report = check(written, cell, rf'<c r="F18"\1 t="e">{SUPPLY}<v>#REF!</v>')
    assert found(report) == [("CELL_SHOWS_ERROR", "표지", "F18", "3413000", "#REF!")]


def test_an_error_cell_without_a_formula(written: WrittenWorkbook) -> None:
    report = check(written, PRICE, r'\1 t="e"><v>#N/A</v>', LP_1)
    assert ("CELL_SHOWS_ERROR", "LP-1", "F6", "", "#N/A") in found(report)


def test_a_name_that_is_gone(written: WrittenWorkbook) -> None:
    report = check(written, r'<definedName name="KIS_Supply">[^<]*</definedName>', "")
    assert report.named_range_loss == 1
    assert ("NAME_LOST", None, "KIS_Supply", "표지!$F$18", "") in found(report)
    errors = [cell for code, _, cell, *_ in found(report) if code == "CELL_SHOWS_ERROR"]
    assert report.formula_loss == len(errors) == 4  # VAT, total, and both amounts at the top


def test_a_name_that_points_elsewhere(written: WrittenWorkbook) -> None:
    report = check(written, r'(name="KIS_Customer">)[^<]*<', r"\1#REF!<")
    assert found(report) == [("NAME_CHANGED", None, "KIS_Customer", "표지!$A$7", "#REF!")]
    assert (report.formula_loss, report.named_range_loss) == (0, 1)


def test_a_print_area_that_is_gone(written: WrittenWorkbook) -> None:
    area = r'<definedName name="_xlnm.Print_Area" localSheetId="1">[^<]*</definedName>'
    report = check(written, area, "")
    assert [(code, sheet, name) for code, sheet, name, *_ in found(report)] == [
        ("NAME_LOST", "총괄", "_xlnm.Print_Area")
    ]


def test_a_sheet_that_is_gone(written: WrittenWorkbook) -> None:
    report = check(written, r'<sheet name="총괄"[^>]*/>', "")
    assert report.formula_loss > 5
    assert report.named_range_loss > 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda data: data[:-200],
        lambda _: b"PK\x03\x04junk",
        lambda data: office.edited(
            data, lambda name, part: part[:99] if name.endswith("sheet2.xml") else part
        ),
        lambda data: office.edited(
            data, lambda name, part: None if name.endswith("sheet2.xml") else part
        ),
        lambda data: office.edited(
            data, lambda name, part: None if name.endswith("workbook.xml") else part
        ),
    ],
)
def test_a_file_that_does_not_open_has_lost_everything(
    written: WrittenWorkbook, spoil: Callable[[bytes], bytes]
) -> None:
    report = check_workbook(spoil(written.data), written.contents)
    assert report.formula_loss == len(written.contents.formulas)
    assert report.named_range_loss == len(written.contents.names)
    (problem,) = report.problems
    assert problem.message("ko-KR")
    assert problem.message("en-US")
    assert check_workbook(spoil(written.data)).formula_loss == 1


def test_problems_tell_the_place_in_both_languages(written: WrittenWorkbook) -> None:
    problem, *_ = check(written, re.escape(STORED), "<v>3413000</v>").problems
    assert problem.sheet == "표지"
    assert problem.message("ko-KR") == (
        "F18 셀의 수식 =KIS_LinesSum+KIS_Discount+KIS_Rounding가 없어졌습니다 (지금 값: 3413000)"
    )
    assert "F18" in problem.message("en-US")


def test_it_is_calculated_for_a_day(written: WrittenWorkbook) -> None:
    data = replaced(written.data, re.escape(STORED), "<f>TODAY()</f><v>45658</v>")
    wrong = [
        {notice.params["cell"] for notice in check_workbook(data, today=day).problems}
        for day in (date(2025, 1, 1), date(2025, 1, 2))
    ]
    assert "F18" not in wrong[0]
    assert "F18" in wrong[1]


def test_what_only_excel_calculates_is_told_apart(written: WrittenWorkbook) -> None:
    data = replaced(written.data, re.escape(STORED), "<f>NUMBERSTRING(9,1)</f>")
    report = check_workbook(data)
    assert [n.params["cell"] for n in report.unverified] == ["F18"]
    lost = check_workbook(data, written.contents)
    assert ("FORMULA_CHANGED", "F18") in [(n.code, n.params["cell"]) for n in lost.problems]


def test_empty_contents() -> None:
    result = samples.result(samples.small(), customer=Customer())
    written = write_workbook(build_quotation(result, samples.header()))
    report = check_workbook(written.data, Contents({}, {}))
    assert {n.code for n in report.problems} == {"FORMULA_ADDED"}


def test_a_panel_of_a_main_alone_adds_up() -> None:
    main = {"role": "main", "category": "MCCB", "poles": 4, "ratedCurrentA": 75, "frameAf": 100}
    request = {"customer": {"name": "한빛"}, "panels": [{"name": "LP-1", "breakers": [main]}]}
    run = runs.estimate(runs.inputs(json.dumps(request).encode(), "request.json"))
    assert run.response["gatesPassed"] is True


def test_a_workbook_that_runs_in_a_circle_is_told() -> None:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        book.add_worksheet("A").write_formula(4, 0, "=ROUND(SUM(A5:A4),1)")
    with pytest.raises(KisError, match="WORKBOOK_NOT_CALCULATED"):
        recalculate(out.getvalue(), [("A", "A5")])
