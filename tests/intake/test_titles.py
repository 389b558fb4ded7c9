"""What titles and remarks say of their panel, of all panels, and of high voltage."""

from typing import Any

import pytest
from tests.intake.books import GOOD, HEADER, codes, read_rows, table
from tests.intake.books import workbook as book

from kis_estimator.engine.model import AccessorySpec
from kis_estimator.intake import Reading, Vocabulary, read

MAIN: list[Any] = [1, "메인", "MCCB 4P 100A", "EA", 1]
BRANCH: list[Any] = [2, "분기", "ELB 2P 20A", "EA", 5]
SUM: list[Any] = [None, "소계"]
TWO = [MAIN, BRANCH, SUM, [None, "LP-2"], MAIN, BRANCH]


def read_below(above: str, rows: list[list[Any]], vocabulary: Vocabulary) -> Reading:
    """Read a table below lines of their own."""
    return read(f"{above}\n".encode() + table(rows), "t.csv", vocabulary, "ko-KR")


# ---------------------------------------------------------------- above the header


@pytest.mark.parametrize(("above", "rows", "name", "count"), [
    ("LP-1 (3면)", [MAIN, BRANCH], "LP-1", 3),
    ("분전반 L-1 x3", [MAIN, BRANCH], "분전반 L-1", 3),
    ("LP-1 (3면)", [[None, "LP-1"], MAIN, BRANCH], "LP-1", 3),
    ("○○빌딩 분전반 (5면)", [[None, "LP-1"], MAIN, BRANCH], "LP-1", 1),
])  # fmt: skip
def test_a_title_above_the_header_counts(
    above: str, rows: list[list[Any]], name: str, count: int, vocabulary: Vocabulary
) -> None:
    reading = read_below(above, rows, vocabulary)
    assert reading.errors == ()
    (panel,) = reading.panels
    assert (panel.name, panel.quantity) == (name, count)
    assert codes(reading.skipped) == ([("NOTE", 1)] if "5면" in above else [])


@pytest.mark.parametrize(("above", "code"), [
    ("LP-1 (0면)", "QUANTITY_NOT_POSITIVE"), ("LP-1 (두 면)", "QUANTITY_WORD"),
])  # fmt: skip
def test_a_bad_count_above_the_header(above: str, code: str, vocabulary: Vocabulary) -> None:
    assert codes(read_below(above, [MAIN, BRANCH], vocabulary).errors) == [(code, 1)]


@pytest.mark.parametrize("first", [[], [[None, "LP-1"]]])
@pytest.mark.parametrize(("above", "scope"), [
    ("LP-1 옥외 노출 SUS201 1.2T", "first"),
    ("LP-1 (LS)", "first"),
    ("옥외 노출 SUS201 1.2T", "all"),
    ("차단기는 LS산전", "all"),
    ("외함 : 옥외 노출 SUS201 1.2T", "all"),
])  # fmt: skip
def test_whose_wishes_stand_above_the_header(
    above: str, scope: str, first: list[list[Any]], vocabulary: Vocabulary
) -> None:
    reading = read_below(above, [*first, *TWO], vocabulary)
    assert reading.errors == ()
    said = [
        (
            p.name.partition(" ")[0],
            bool(p.location or p.mounting or p.material or p.breakers[0].brand),
        )
        for p in reading.panels
    ]
    one = "LP-1" if first or above.startswith("LP-1") else "t.csv"
    assert said == [(one, True), ("LP-2", scope == "all")]


def test_a_heading_of_the_tab_covers_its_titled_panels(vocabulary: Vocabulary) -> None:
    rows = [[None, "LP-1"], *TWO]
    reading = read_below("전등 분전반 (옥외 노출)", rows, vocabulary)
    assert [(p.name, p.location) for p in reading.panels] == [
        ("LP-1", "outdoor"), ("LP-2", "outdoor"),
    ]  # fmt: skip


def test_a_wish_row_under_the_title_is_no_note(vocabulary: Vocabulary) -> None:
    rows = [[None, "LP-1"], [None, "옥외 자립형 SUS201"], *TWO]
    reading = read_rows(rows, vocabulary)
    first, second = reading.panels
    assert (first.name, first.mounting, first.material) == ("LP-1", "floor", "sus201")
    assert (second.mounting, reading.skipped, reading.warnings) == (None, (), ())
    assert {row: fate for _, row, fate in reading.fates}[3] == "wish"
    rows[0] = [None, "LP-1 (스틸)"]
    assert codes(read_rows(rows, vocabulary).errors) == [("MATERIAL_CONFLICT", 3)]


@pytest.mark.parametrize("at", [0, 2])
def test_a_brand_row_of_a_panel(at: int, vocabulary: Vocabulary) -> None:
    rows = [MAIN, BRANCH]
    rows.insert(at, [None, "전부 LS산전"])
    reading = read_rows([[None, "LP-1"], *rows, SUM, [None, "LP-2"], MAIN], vocabulary)
    assert [(p.name, p.breakers[0].brand) for p in reading.panels] == [
        ("LP-1", "LS"), ("LP-2", None),
    ]  # fmt: skip
    assert reading.skipped == ()


def test_a_wish_row_alone_does_not_name_the_panel(vocabulary: Vocabulary) -> None:
    (panel,) = read_rows([[None, "옥외 자립형 SUS201"], MAIN, BRANCH], vocabulary).panels
    assert (panel.name, panel.mounting) == ("t.csv", "floor")


# ---------------------------------------------------------------- wishes


@pytest.mark.parametrize("row", [
    [3, "외함", None, None, 1, None, None, "옥외 자립"],
    [3, "외함", "옥외 자립", "면", 1],
])  # fmt: skip
def test_an_enclosure_row(row: list[Any], vocabulary: Vocabulary) -> None:
    (panel,) = read_rows([MAIN, BRANCH, row], vocabulary).panels
    assert (panel.location, panel.mounting) == ("outdoor", "floor")


@pytest.mark.parametrize(("wish", "kept"), [
    ("SUS201 2.0T", "1.2"), ("스틸 2.3T", "1.6"), ("2.3T", "1.6"),
    ("SUS201 1.2T", None), ("스틸 1.6T", None), ("스틸", None),
])  # fmt: skip
def test_another_thickness(wish: str, kept: str | None, vocabulary: Vocabulary) -> None:
    in_row = read_rows([MAIN, BRANCH, [3, "외함", wish, "면", 1]], vocabulary)
    assert codes(in_row.warnings) == ([("THICKNESS_KEPT", 4)] if kept else [])
    if kept:
        assert f"{kept}T" in in_row.warnings[0].message()
    if wish != "2.3T":
        in_title = read_rows([[None, f"LP-1 (옥외 자립 {wish})"], MAIN, BRANCH], vocabulary)
        assert codes(in_title.warnings) == ([("THICKNESS_KEPT", 2)] if kept else [])
        text = f"옥외 자립 {wish}, 메인 4P 100A, 누전 2P 20A 2개".encode()
        in_text = read(text, "t.txt", vocabulary)
        assert codes(in_text.warnings) == ([("THICKNESS_KEPT", 1)] if kept else [])


# ---------------------------------------------------------------- high voltage


@pytest.mark.parametrize("above", [
    "※ 고압반 견적은 제외", "고압반 견적은 별도입니다", "수전방식: 22.9kV-Y 3φ4W",
    "수전방식 : 특고압", "고압반 (별도)", "LP-1 (고압반 제외)", "고압 수전은 한전에서 인입",
    "고압반 · 저압반",
])  # fmt: skip
def test_a_remark_on_high_voltage_skips_nothing(above: str, vocabulary: Vocabulary) -> None:
    reading = read_below(above, [MAIN, BRANCH], vocabulary)
    assert (reading.errors, len(reading.panels)) == ((), 1)
    rows = [[above], *GOOD]
    reading = read(book({"T": rows, "U": GOOD}), "a.xlsx", vocabulary)
    assert [p.source.sheet for p in reading.panels if p.source] == ["T", "U"]


@pytest.mark.parametrize("below", [
    [None, "고압반은 별도"], [None, None, None, None, None, None, None, "고압반 별도"],
    [None, None, None, None, None, None, None, "고압반"], [None, "※ 고압반 제외"],
    [None, "고압반 별도"],
])  # fmt: skip
def test_a_remark_below_the_rows_skips_nothing(below: list[Any], vocabulary: Vocabulary) -> None:
    reading = read(book({"T": [*GOOD, below, *GOOD[2:3]], "U": GOOD}), "a.xlsx", vocabulary)
    breakers = [len(p.breakers) for p in reading.panels if p.source and p.source.sheet == "T"]
    assert breakers == [3]


@pytest.mark.parametrize("title", [
    "고압", "특고압반", "HV-1 특고압 수전반", "고압반 HV-1", "고압 수배전반 내역서",
    "22.9kV 수전반", "수전반 (특고압)", "반명칭 : 고압반",
])  # fmt: skip
def test_a_title_of_high_voltage_skips_the_tab(title: str, vocabulary: Vocabulary) -> None:
    for rows in ([[title], HEADER, *GOOD[2:]], [HEADER, [None, title], *GOOD[2:]]):
        reading = read(book({"T": rows, "U": GOOD}), "a.xlsx", vocabulary)
        assert [n.code for n in reading.skipped] == ["TAB_HIGH_VOLTAGE"]


def test_a_panel_before_a_high_voltage_title_is_read(vocabulary: Vocabulary) -> None:
    rows = [*GOOD[2:], SUM, [None, "고압반"], [1, "LBS", "24kV 630A", "식", 1]]
    reading = read_rows(rows, vocabulary)
    assert [len(p.breakers) for p in reading.panels] == [2]
    assert codes(reading.skipped) == [("ROW_HIGH_VOLTAGE", 6), ("BLOCK_HIGH_VOLTAGE", 5)]


# ---------------------------------------------------------------- buttons


@pytest.mark.parametrize(("rows", "expected"), [
    ([[3, "마그네트 MC-22", "ON/OFF", "EA", 2]], [("MC-9", 2), ("PBL-ONOFF", 2)]),
    ([[3, "MC-22 ON/OFF", None, "EA", 2]], [("MC-9", 2), ("PBL-ONOFF", 2)]),
    ([[3, "MC-22", None, "EA", 2, None, None, "ON/OFF"]], [("MC-9", 2), ("PBL-ONOFF", 2)]),
    ([[3, "ON/OFF", "MC-22", "EA", 2]], [("MC-9", 2), ("PBL-ONOFF", 2)]),
    ([[3, "24H 타이머", "SS 포함", "EA", 1]], [("TIMER-24H", 1), ("SS", 1)]),
    ([[3, "24H 타이머", "SS 별도", "EA", 1]], [("TIMER-24H", 1)]),
    ([[3, "PBL", "ON/OFF", "EA", 4]], [("PBL-ONOFF", 4)]),
    ([[3, "PBL", "MC-22용", "EA", 4]], [("PBL-ONOFF", 4)]),
    ([[3, "MCCB", "3P 50A", "EA", 3, None, None, "ON/OFF"]], [("PBL-ONOFF", 3)]),
    ([[3, "ON/OFF MCCB", "3P 50A", "EA", 3]], [("PBL-ONOFF", 3)]),
])  # fmt: skip
def test_a_device_beside_another(
    rows: list[list[Any]], expected: list[tuple[str, int]], vocabulary: Vocabulary
) -> None:
    reading = read_rows([MAIN, BRANCH, *rows], vocabulary)
    assert reading.errors == ()
    found = sorted(reading.panels[0].accessories, key=lambda spec: spec.sku)
    assert found == [AccessorySpec(sku=sku, quantity=count) for sku, count in sorted(expected)]


@pytest.mark.parametrize("above", [True, False])
def test_a_title_asks_for_buttons(above: bool, vocabulary: Vocabulary) -> None:  # noqa: FBT001
    title = "LP-1 (ON/OFF 조작)"
    rows = [MAIN, BRANCH] if above else [[None, title], MAIN, BRANCH]
    reading = read_below(title if above else "견적", rows, vocabulary)
    assert reading.panels[0].accessories == (AccessorySpec(sku="PBL-ONOFF"),)
