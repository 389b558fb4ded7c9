"""Rows, titles, sums, tabs and accessories of a schedule."""

from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from tests.intake.books import GOOD, HEADER, codes, read_rows, table
from tests.intake.books import workbook as book

from kis_estimator.engine.model import AccessorySpec, SpareSpec
from kis_estimator.intake import Vocabulary, read

MAIN: list[Any] = [1, "메인", "MCCB 4P 100A", "EA", 1]
BRANCH: list[Any] = [2, "분기", "ELB 2P 20A", "EA", 5]


def only_panel(rows: list[list[Any]], vocabulary: Vocabulary) -> Any:
    reading = read_rows(rows, vocabulary)
    assert reading.errors == ()
    (panel,) = reading.panels
    return panel


# ---------------------------------------------------------------- titles


@pytest.mark.parametrize(
    ("title", "name", "count"),
    [
        ("LP-1", "LP-1", 1),
        ("분전반 L-1", "분전반 L-1", 1),
        ("1. 동력반 P-2", "동력반 P-2", 1),
        ("가. 전등반 L-3", "전등반 L-3", 1),
        ("(2) LP-1", "LP-1", 1),
        ("LP-1 (3면)", "LP-1", 3),
        ("LP-1 x3", "LP-1", 3),
        ("LP-1 × 3면", "LP-1", 3),
        ("ＬＰ－１", "LP-1", 1),
        ("LP-1 (1층 전등·전열)", "LP-1 (1층 전등·전열)", 1),
        ("LP-1 (옥외 자립 SUS201 1.2T, 3면)", "LP-1", 3),
        ("LV-1 (ACB반 제외)", "LV-1 (ACB반 제외)", 1),
    ],
)
def test_title(title: str, name: str, count: int, vocabulary: Vocabulary) -> None:
    panel = only_panel([[None, title], MAIN, BRANCH], vocabulary)
    assert (panel.name, panel.quantity) == (name, count)
    assert (panel.source.first_row, panel.source.last_row) == (2, 4)


@pytest.mark.parametrize(("title", "code"), [
    ("LP-1 (0면)", "QUANTITY_NOT_POSITIVE"),
    ("LP-1 (두 면)", "QUANTITY_WORD"),
    ("LP-1 (옥내 전주부착)", "POLE_INDOOR"),
    ("LP-1 (옥내 옥외)", "LOCATION_CONFLICT"),
    ("LP-1 (SUS304)", "MATERIAL_UNKNOWN"),
])  # fmt: skip
def test_bad_title(title: str, code: str, vocabulary: Vocabulary) -> None:
    assert code in dict(codes(read_rows([[None, title], MAIN, BRANCH], vocabulary).errors))


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("옥내 노출 스틸 1.6T", ("indoor", "surface", "steel", None)),
        ("옥외노출", ("outdoor", "surface", None, None)),
        ("매입형", (None, "flush", None, None)),
        ("옥외 자립 SUS201 1.2T IP55", ("outdoor", "floor", "sus201", "IP55")),
        ("전주부착", ("outdoor", "pole", None, None)),
    ],
)
def test_wishes(wish: str, expected: tuple[str | None, ...], vocabulary: Vocabulary) -> None:
    in_title = [[None, f"LP-1 ({wish})"], MAIN, BRANCH]
    in_row = [[None, "LP-1"], MAIN, BRANCH, [3, "외함", wish, "면", 1]]
    for rows in (in_title, in_row):
        panel = only_panel(rows, vocabulary)
        got = (panel.location, panel.mounting, panel.material, panel.ip_rating)
        assert got == expected
    above = ("\n".join(["외함 : " + wish, "LP-1"]) + "\n").encode()
    reading = read(above + table([MAIN, BRANCH]), "t.csv", vocabulary, "ko-KR")
    assert (reading.panels[0].name, reading.panels[0].location) == ("LP-1", expected[0])


@pytest.mark.parametrize(("above", "title", "location"), [
    ("공사명 : 옥외 조명 공사", "LP-1", None),
    ("○○스틸 옥외광고 주식회사", "LP-1", None),
    ("", "LP-1 옥외 가로등", None),
    ("", "LP-1 (옥외)", "outdoor"),
    ("", "옥외 분전반 LP-1", "outdoor"),
    ("옥외 노출", "LP-1", "outdoor"),
])  # fmt: skip
def test_what_is_lit_outdoors_need_not_stand_there(
    above: str, title: str, location: str | None, vocabulary: Vocabulary
) -> None:
    data = f"{above}\n".encode() + table([[None, title], MAIN, BRANCH])
    (panel,) = read(data, "t.csv", vocabulary, "ko-KR").panels
    assert (panel.location, panel.material) == (location, None)


def test_contradicting_wishes(vocabulary: Vocabulary) -> None:
    rows = [[None, "LP-1 (SUS201)"], MAIN, BRANCH, [3, "외함", "스틸 1.6T", "면", 1]]
    assert codes(read_rows(rows, vocabulary).errors) == [("MATERIAL_CONFLICT", 5)]


def test_a_count_of_panels_in_the_quantity_column(vocabulary: Vocabulary) -> None:
    assert (
        only_panel([[None, "LP-1 분전반", None, "면", 2], MAIN, BRANCH], vocabulary).quantity == 2
    )


def test_notes_and_projects(vocabulary: Vocabulary) -> None:
    rows: list[list[Any]] = [
        ["공사명 : ○○ 공사"], [None, "가. 전등"], [None, "LP-1"], MAIN, BRANCH,
        [None, "※ 부가세 별도"], [None, "비고 아래"], [3, "", ""],
    ]  # fmt: skip
    reading = read_rows(rows, vocabulary)
    assert reading.request is not None
    assert reading.request.project == "○○ 공사"
    assert [p.name for p in reading.panels] == ["LP-1"]
    assert codes(reading.skipped) == [("NOTE", 3), ("NOTE", 7), ("NOTE", 8)]


# ---------------------------------------------------------------- sums and blocks


@pytest.mark.parametrize("label", [
    "소계", "합계", "소게", "합게", "소  게", "합 게", "계", "총 계", "subtotal", "TOTAL",
    "[소계]", "소계 :", "LP-1 소계", "소계(LP-1)",
])  # fmt: skip
@pytest.mark.parametrize("column", [1, 2, 5])
def test_sums_end_a_block(label: str, column: int, vocabulary: Vocabulary) -> None:
    total = [None] * column + [label]
    rows = [MAIN, BRANCH, total, [], MAIN, BRANCH, total, [], [], MAIN, BRANCH]
    reading = read_rows(rows, vocabulary)
    assert reading.errors == ()
    assert [p.name for p in reading.panels] == ["t.csv", "t.csv-2", "t.csv-3"]
    sources = [(p.source.first_row, p.source.last_row) for p in reading.panels if p.source]
    assert sources == [(2, 4), (6, 8), (11, 12)]


def test_blank_rows_inside_a_block_are_tolerated(vocabulary: Vocabulary) -> None:
    assert len(only_panel([[None, "LP-1"], MAIN, [], [], BRANCH], vocabulary).breakers) == 2


def test_sums_are_checked(vocabulary: Vocabulary) -> None:
    rows = [
        [*MAIN, 1000, 1000],
        [*BRANCH, 10],  # the amount is missing: 5 × 10
        [None, None, None, None, None, "소계", 1050],
        [],
        [*MAIN, 1000, "1,000"],
        [None, None, None, None, None, "소계", 999],
        [None, None, None, None, None, "총계", 2050],
        [None, None, None, None, None, "총계", 2051],
    ]
    reading = read_rows(rows, vocabulary)
    assert codes(reading.warnings) == [("SUBTOTAL_DIFFERS", 7), ("SUBTOTAL_DIFFERS", 9)]
    first, second = reading.warnings
    assert (first.params["stated"], first.params["computed"]) == (999, 1000)
    assert (second.params["stated"], second.params["computed"]) == (2051, 2050)
    assert first.message() == "소계 999원이 행을 더한 1,000원과 다릅니다"
    assert [(p.row, p.unit_price, p.amount) for p in reading.prices] == [
        (2, 1000, 1000), (3, 10, None), (6, 1000, 1000),
    ]  # fmt: skip


# ---------------------------------------------------------------- mains, brands, labels


def test_the_first_largest_row_is_the_main(vocabulary: Vocabulary) -> None:
    panel = only_panel([[1, "MCCB", "4P 100A", "", 1], [2, "MCCB", "2P 20A", "", 3]], vocabulary)
    assert [b.role for b in panel.breakers] == ["main", "branch"]


@pytest.mark.parametrize("first", [
    [1, "MCCB", "4P 60A", "", 1],  # not the largest
    [1, "MCCB", "4P 100A", "", 2],  # not one
    [1, "분기", "MCCB 4P 100A", "", 1],  # says that it is a branch
])  # fmt: skip
def test_no_main(first: list[Any], vocabulary: Vocabulary) -> None:
    reading = read_rows([first, [2, "MCCB", "4P 75A", "", 3]], vocabulary)
    assert reading.errors == ()
    assert all(b.role == "branch" for b in reading.panels[0].breakers)


def test_two_mains(vocabulary: Vocabulary) -> None:
    reading = read_rows([MAIN, BRANCH, MAIN], vocabulary)
    assert codes(reading.errors) == [("MAIN_TWICE_ROW", 4)]
    reading = read_rows([[1, "메인", "MCCB 4P 100A", "EA", 2], BRANCH], vocabulary)
    assert codes(reading.errors) == [("MAIN_QUANTITY_ROW", 2)]


def test_a_remark_may_say_main(vocabulary: Vocabulary) -> None:
    rows = [BRANCH, [1, "MCCB", "4P 100A", "EA", 1, None, None, "메인"]]
    assert [b.role for b in only_panel(rows, vocabulary).breakers] == ["branch", "main"]


@pytest.mark.parametrize("rows", [
    [[1, "LS 메인", "MCCB 4P 100A", "EA", 1]],
    [[1, "메인", "MCCB 4P 100A", "EA", 1, None, None, "LS산전"]],
    [[None, "LP-1 (LS)"], MAIN],
    [[1, "메인", "ABN-104 100A", "EA", 1]],
])  # fmt: skip
def test_the_panels_brand(rows: list[list[Any]], vocabulary: Vocabulary) -> None:
    """It stands on the main, which covers the panel; a row keeps its own alone."""
    more = [BRANCH, [3, "분기", "SBE-103 60A", "EA", 1], [4, "상도 분기", "2P 20A", "EA", 1]]
    main, *branches = only_panel([*rows, *more], vocabulary).breakers
    assert main.brand == "LS" or main.model == "ABN-104"
    assert [b.brand for b in branches] == [None, None, "SANGDO"]


def test_a_brand_that_is_not_held(vocabulary: Vocabulary) -> None:
    reading = read_rows([MAIN, [2, "분기", "2P 20A", "EA", 1, None, None, "대륙"]], vocabulary)
    assert codes(reading.warnings) == [("BRAND_NOT_HELD", 3)]


@pytest.mark.parametrize(("name", "spec", "remark", "label"), [
    ("배선용차단기(전등)", "2P 20A", None, "전등"),
    ("배선용차단기", "2P 20A", "전열 #3", "전열 #3"),
    ("배선용차단기(전등)", "2P 20A", "전열", "전열"),
    ("전등", "2P 20A", None, "전등"),
    ("분기", "MCCB 2P 20A", "단상", None),
    ("고압나트륨등", "2P 20A", None, "고압나트륨등"),
    ("콘센트용 차단기", "2P 20A", None, "콘센트용"),
    ("SPD용 차단기", "4P 40A", None, "SPD용"),
])  # fmt: skip
def test_label(
    name: str, spec: str, remark: str | None, label: str | None, vocabulary: Vocabulary
) -> None:
    rows = [MAIN, [2, name, spec, "EA", 1, None, None, remark]]
    assert only_panel(rows, vocabulary).breakers[1].label == label


def test_load_columns(vocabulary: Vocabulary) -> None:
    header = ["부하명", "규격", "수량", "부하(A)", "전압"]
    rows = [
        ["메인", "MCCB 3P 100A", 1, None],
        ["급탕기", "3P 50A 380V", 1, "28.5A"],
        ["x", "2P 20A", 1, 0],
    ]
    reading = read_rows(rows, vocabulary, header)
    breakers = reading.panels[0].breakers
    assert [b.load_a for b in breakers] == [None, Decimal("28.5"), 0]
    assert [b.label for b in breakers] == ["메인", "급탕기", "x"]
    assert breakers[1].voltage == 380
    bad = read_rows([["a", "2P 20A", 1, "많음"], ["b", "2P 20A", 1, -3]], vocabulary, header)
    assert codes(bad.errors) == [("LOAD_NOT_A_NUMBER", 2), ("LOAD_NOT_A_NUMBER", 3)]


def test_load_in_kilowatts_is_not_amperes(vocabulary: Vocabulary) -> None:
    reading = read_rows(
        [["MCCB", "2P 20A", 1, 5]], vocabulary, ["품명", "규격", "수량", "부하(kW)"]
    )
    assert reading.panels[0].breakers[0].load_a is None


def test_unread_parts_of_a_specification_are_told(vocabulary: Vocabulary) -> None:
    rows = [MAIN, [2, "분기", "2P 20A 방우형", "EA", 1], [3, "분기", "2P 30A 방우형", "EA", 1]]
    (warning,) = read_rows(rows, vocabulary).warnings
    assert (warning.code, warning.params) == ("SPEC_UNREAD", {"text": "방우형", "rows": [3, 4]})


# ---------------------------------------------------------------- repeats and merged cells


@pytest.mark.parametrize("mark", ["〃", "″", '"', "상동", "동상", " 〃 "])
def test_repeats(mark: str, vocabulary: Vocabulary) -> None:
    rows = [MAIN, [2, "누전", "2P 20A", "EA", 3], [3, mark, "2P 30A", mark, mark]]
    breakers = only_panel(rows, vocabulary).breakers
    assert [(b.category, b.rated_current_a, b.quantity) for b in breakers[1:]] == [
        ("ELB", 20, 3), ("ELB", 30, 3),
    ]  # fmt: skip


def test_merged_names(vocabulary: Vocabulary) -> None:
    def merge(book: openpyxl.Workbook) -> None:
        book["A"].merge_cells("B3:B5")

    rows = [HEADER, MAIN, [2, "누전", "2P 20A", "EA", 3]]
    rows += [[3, None, "2P 30A", "EA", 3], [4, None, "4P 20A", "EA", 1], [5, None, "2P 20A", "", 1]]
    reading = read(book({"A": rows}, merge), "a.xlsx", vocabulary, "ko-KR")
    kinds = [b.category for b in reading.panels[0].breakers]
    assert kinds == ["MCCB", "ELB", "ELB", "ELB", "MCCB"]


def test_broken_headers(vocabulary: Vocabulary) -> None:
    rows: list[list[Any]] = [
        ["견적"], ["NO.", "품   명", "규 격\n(SPEC)", "", "단\n위", "Remark"],
        [None, None, None, "수 량"], [1, "메인", "MCCB 4P 100A", "1 EA"],
    ]  # fmt: skip
    reading = read(book({"A": rows}), "a.xlsx", vocabulary, "ko-KR")
    assert (reading.errors, len(reading.panels)) == ((), 1)


def test_english_header_repeated_on_each_page(vocabulary: Vocabulary) -> None:
    header = ["No", "Item", "Spec", "Unit", "Qty", "Price", "Amount", "Remark"]
    reading = read_rows([MAIN, header, BRANCH], vocabulary, header)
    assert len(reading.panels[0].breakers) == 2


# ---------------------------------------------------------------- accessories


@pytest.mark.parametrize(("name", "spec", "unit", "quantity", "remark", "expected"), [
    ("마그네트", "MC-22", "EA", 2, None, ("MC-9", 2, "below")),
    ("마그네트", "MC-40", "EA", 3, None, ("MC-32", 3, "below")),
    ("전자접촉기", "75A", "EA", 1, None, ("MC-75", 1, "below")),
    ("MC-65", None, "EA", 1, None, ("MC-50", 1, "below")),
    ("24H 타이머", "220V 20A", "EA", 1, None, ("TIMER-24H", 1, "below")),
    ("타이머", "24시간", "EA", 1, None, ("TIMER-24H", 1, "below")),
    ("타이머", "일몰일출 20A", "EA", 1, None, ("TIMER-SUNSET", 1, "below")),
    ("전자식 전력량계", "3상4선", "EA", 1, None, ("METER-3PH", 1, "below")),
    ("전력량계", "단상 2선식", "EA", 1, "하부취부", ("METER-1PH", 1, "below")),
    ("전력량계", "", "EA", 1, "측면취부", ("METER-3PH", 1, "beside")),
    ("전력량계", "CT부", "EA", 1, None, ("METER-CT", 1, "below")),
    ("변류기 CT", "100/5A", "EA", 3, None, ("CT-SET", 1, "below")),
    ("CT", "100/5A", "SET", 3, None, ("CT-SET", 3, "below")),
    ("SPD", "4P Type2 40kA", "EA", 1, None, ("SPD-4P-T2", 1, "below")),
    ("서지보호기", "", "EA", 1, None, ("SPD-4P-T2", 1, "below")),
    ("V/A METER", "CAM S/W 포함", "SET", 1, None, ("VA-METER", 1, "below")),
    ("PBL", "ON/OFF", "EA", 4, None, ("PBL-ONOFF", 4, "below")),
    ("단자대", "600V", "EA", 2, None, ("TB-600V", 2, "below")),
    ("PVC 덕트", "40", "EA", 2, None, ("DUCT-PVC-40", 2, "below")),
    ("퓨즈홀더", "4A", "EA", 1, None, ("FUSE-HOLDER", 1, "below")),
    ("선택스위치", "SS", "EA", 1, None, ("SS", 1, "below")),
    ("속판", "스틸", "EA", 1, None, ("P-COVER", 1, "below")),
    ("P-COVER STEEL", "", "EA", 1, None, ("P-COVER", 1, "below")),
])  # fmt: skip
def test_accessory(
    name: str,
    spec: str | None,
    unit: str,
    quantity: int,
    remark: str | None,
    expected: tuple[str, int, str],
    vocabulary: Vocabulary,
) -> None:
    rows = [MAIN, BRANCH, [3, name, spec, unit, quantity, None, None, remark]]
    (found,) = only_panel(rows, vocabulary).accessories
    sku, count, position = expected
    assert found == AccessorySpec(sku=sku, quantity=count, position=position)  # type: ignore[arg-type]


def test_a_meter_of_a_single_phase_panel(vocabulary: Vocabulary) -> None:
    rows = [[1, "메인", "MCCB 2P 50A", "EA", 1], [2, "계량기", "", "EA", 1]]
    assert only_panel(rows, vocabulary).accessories[0].sku == "METER-1PH"


@pytest.mark.parametrize(("name", "spec", "warning", "skip"), [
    ("케이블", "CV 35sq", "ROW_UNKNOWN", "ROW_EXCLUDED"),
    ("ATS", "4P 100A", "ROW_UNKNOWN", "ROW_EXCLUDED"),
    ("절환스위치", "MCCB형 4P 100A", "ROW_UNKNOWN", "ROW_EXCLUDED"),
    ("콘센트", "2P 20A", "ROW_UNKNOWN", "ROW_EXCLUDED"),
    ("부가가치세", "10%", "ROW_UNKNOWN", "ROW_EXCLUDED"),
    ("마그네트", "MC-150", "ACCESSORY_UNKNOWN", "ROW_EXCLUDED"),
    ("SPD", "2P", "ACCESSORY_UNKNOWN", "ROW_EXCLUDED"),
    ("타이머", "", "ACCESSORY_ASSUMED", None),
    ("부스바", "3T×15", None, "ROW_DERIVED"),
    ("조립비", "", None, "ROW_DERIVED"),
    ("속판", "아크릴", None, "ACRYLIC_COVER_INCLUDED"),
    ("외함", "600×800×200", None, "ENCLOSURE_ROW"),
])  # fmt: skip
def test_rows_left_out_are_told(
    name: str, spec: str, warning: str | None, skip: str | None, vocabulary: Vocabulary
) -> None:
    reading = read_rows([MAIN, BRANCH, [3, name, spec, "EA", 1]], vocabulary)
    assert reading.errors == ()
    assert codes(reading.warnings) == ([(warning, 4)] if warning else [])
    assert codes(reading.skipped) == ([(skip, 4)] if skip else [])


def test_spares(vocabulary: Vocabulary) -> None:
    rows = [MAIN, BRANCH, [3, "SPARE", "-", "EA", 2], [4, "예비", "MCCB 3P 50AF", "EA", 1]]
    assert only_panel(rows, vocabulary).spares == (
        SpareSpec(quantity=2),
        SpareSpec(quantity=1, poles=3, frame_af=50),
    )


def test_spd_breakers_carry_no_load(vocabulary: Vocabulary) -> None:
    breaker = only_panel([MAIN, [2, "SPD용 MCCB", "4P 40A", "EA", 1]], vocabulary).breakers[1]
    assert (breaker.label, breaker.load_a) == ("SPD용", 0)


# ---------------------------------------------------------------- tabs

LOW = GOOD
HIGH = [HEADER, [1, "VCB", "24kV 630A", "식", 1], [2, "MOF", "22.9kV", "식", 1]]
NOTES = [["참고"], ["부가세 별도"]]
TITLED = [HEADER, [None, "HV-1 특고압 수전반"], *GOOD[2:]]
LAMPS = [HEADER, [None, "LP-9"], MAIN, [2, "고압나트륨등", "ELB 2P 20A", "EA", 3]]


@pytest.mark.parametrize(("tabs", "read_tabs", "skips", "warnings"), [
    ([LOW], [0], [], []),
    ([LOW, LOW], [0, 1], [], []),
    ([LOW, HIGH], [0], ["TAB_HIGH_VOLTAGE_ROWS"], []),
    ([LOW, HIGH, LOW], [0, 2], ["TAB_HIGH_VOLTAGE_ROWS"], []),
    ([LOW, NOTES, LOW], [0, 2], ["TAB_SECOND"], []),
    ([LOW, LOW, LOW], [0, 1, 2], [], ["TAB_SECOND_READ"]),
    ([LOW, HIGH, LOW, NOTES, LOW], [0, 2, 4], ["TAB_HIGH_VOLTAGE_ROWS", "TAB_LATER"],
     ["TAB_LATER_READ"]),
    ([TITLED, LOW], [1], ["TAB_HIGH_VOLTAGE"], []),
    ([NOTES, LOW], [1], ["TAB_NO_HEADER"], []),
    ([LOW, []], [0], ["TAB_EMPTY"], []),
    ([LAMPS], [0], [], []),
])  # fmt: skip
def test_tabs(
    tabs: list[Any],
    read_tabs: list[int],
    skips: list[str],
    warnings: list[str],
    vocabulary: Vocabulary,
) -> None:
    data = book({f"T{index}": rows for index, rows in enumerate(tabs)})
    reading = read(data, "a.xlsx", vocabulary, "ko-KR")
    assert reading.errors == ()
    assert [p.source.sheet for p in reading.panels if p.source] == [f"T{i}" for i in read_tabs]
    assert [n.code for n in reading.skipped] == skips
    assert [n.code for n in reading.warnings] == warnings


def test_high_voltage_by_name(vocabulary: Vocabulary) -> None:
    reading = read(book({"특고압반": LOW, "저압": LOW}), "a.xlsx", vocabulary, "ko-KR")
    assert [n.sheet for n in reading.skipped] == ["특고압반"]
    assert len(reading.panels) == 1


def test_high_voltage_block_in_a_tab(vocabulary: Vocabulary) -> None:
    rows = [[None, "HV-1 고압반"], *HIGH[1:], [None, "LP-1"], MAIN, BRANCH]
    reading = read_rows(rows, vocabulary)
    assert (reading.errors, [p.name for p in reading.panels]) == ((), ["LP-1"])
    assert [n.code for n in reading.skipped] == [
        "ROW_HIGH_VOLTAGE", "ROW_HIGH_VOLTAGE", "BLOCK_HIGH_VOLTAGE",
    ]  # fmt: skip


def test_hidden_tabs_are_told(vocabulary: Vocabulary) -> None:
    def hide(book: openpyxl.Workbook) -> None:
        book["B"].sheet_state = "hidden"

    reading = read(book({"A": LOW, "B": LOW}, hide), "a.xlsx", vocabulary, "ko-KR")
    assert len(reading.panels) == 1
    assert [(n.code, n.sheet) for n in reading.warnings] == [("TAB_HIDDEN", "B")]
    assert [(n.code, n.sheet) for n in reading.skipped] == [("TAB_HIDDEN", "B")]


# ---------------------------------------------------------------- encodings and delimiters


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_text_tables(encoding: str, delimiter: str, vocabulary: Vocabulary) -> None:
    text = table([MAIN, BRANCH]).decode().replace(",", delimiter)
    for filename in ("t.csv", "t.txt", "-", "t.xls"):
        reading = read(text.encode(encoding), filename, vocabulary, "ko-KR")
        assert (reading.errors, len(reading.panels[0].breakers)) == ((), 2)


def test_rows_are_physical_lines(vocabulary: Vocabulary) -> None:
    text = '품명,규격,수량\n"메인\n차단기","4P\n100A",1\n\n누전,2P 80A,1\n'
    reading = read(text.encode(), "t.csv", vocabulary, "ko-KR")
    assert codes(reading.errors) == [("UNKNOWN_RATING", 6)]
    assert reading.panels[0].source is not None
    assert reading.panels[0].source.first_row == 2
