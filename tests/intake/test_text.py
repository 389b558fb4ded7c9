"""Free text: sentences, lists, several panels, wishes."""

import pytest
from tests.intake.books import codes

from kis_estimator.engine.model import AccessorySpec, SpareSpec
from kis_estimator.intake import Reading, Vocabulary, read
from kis_estimator.intake.delimited import MAX_TEXT_CHARS
from kis_estimator.intake.grid import MAX_CELL_CHARS
from kis_estimator.intake.phrases import phrases
from kis_estimator.intake.text import MAX_PHRASES
from kis_estimator.intake.tokens import fold

LIST = """공사명 : 테스트 공사
옥외 자립 SUS201 1.2T

1. LP-1 (2면)
- 메인 MCCB 4P 100A 1개
- 전등 누전 2P 20A 10개
- 전열 배선용 2P 20A x 5, 마그네트 MC-22 2개 24H 타이머 1개
- 예비 2개
LP-2: 4P 60A 메인차단기, 2P 20A 누전차단기 8개 3P 30A 배선용 2개
차단기는 전부 LS산전
"""


def read_text(text: str, vocabulary: Vocabulary) -> Reading:
    return read(text.encode(), "t.txt", vocabulary, "ko-KR")


def test_a_list_of_two_panels(vocabulary: Vocabulary) -> None:
    reading = read_text(LIST, vocabulary)
    assert reading.errors == reading.warnings == reading.skipped == ()
    assert reading.request is not None
    assert reading.request.project == "테스트 공사"
    first, second = reading.panels
    assert (first.name, first.quantity, second.name) == ("LP-1", 2, "LP-2")
    for panel in reading.panels:
        assert (panel.location, panel.mounting, panel.material) == ("outdoor", "floor", "sus201")
    assert [(b.role, b.category, b.quantity, b.label) for b in first.breakers] == [
        ("main", "MCCB", 1, None), ("branch", "ELB", 10, "전등"), ("branch", "MCCB", 5, "전열"),
    ]  # fmt: skip
    assert first.accessories == (
        AccessorySpec(sku="MC-9", quantity=2),
        AccessorySpec(sku="TIMER-24H"),
    )
    assert first.spares == (SpareSpec(quantity=2),)
    assert [(b.poles, b.category, b.quantity, b.brand) for b in second.breakers] == [
        (4, "MCCB", 1, "LS"), (2, "ELB", 8, None), (3, "MCCB", 2, None),
    ]  # fmt: skip
    assert first.source is not None
    assert (first.source.first_row, first.source.last_row) == (4, 8)


@pytest.mark.parametrize(("text", "parts"), [
    ("메인차단기 4P 40A에 분기차단기 누전 4P 20A 2개, 누전 2P 20A 8개",
     ["메인차단기 4P 40A에", "분기차단기 누전 4P 20A 2개", "누전 2P 20A 8개"]),
    ("4P 40A 메인차단기에 2P 20A 누전차단기 8개", ["4P 40A 메인차단기에", "2P 20A 누전차단기 8개"]),
    ("누전 2P 20A 8개 그리고 배선용 2P 20A 2개", ["누전 2P 20A 8개", "배선용 2P 20A 2개"]),
    ("4P 100A MCCB 1개", ["4P 100A MCCB 1개"]),
    ("메인 4P 1,000A", ["메인 4P 1,000A"]),
    ("마그네트 MC-22 2개 24H 타이머 1개", ["마그네트 MC-22 2개", "24H 타이머 1개"]),
    ("메인 MCCB 4P 100A 1개 분기 ELB 2P 20A 3개 SPARE 2개",
     ["메인 MCCB 4P 100A 1개", "분기 ELB 2P 20A 3개", "SPARE 2개"]),
    ("ABN-104 100A 1개 ABN-103 60A 2개", ["ABN-104 100A 1개", "ABN-103 60A 2개"]),
])  # fmt: skip
def test_phrases(text: str, parts: list[str], vocabulary: Vocabulary) -> None:
    assert phrases(fold(text), vocabulary) == parts


def test_wishes_and_brand_in_the_sentence(vocabulary: Vocabulary) -> None:
    text = "옥내노출 스틸 1.6T, 상도 메인 4P 40A, 누전 2P 20A 8개, 3상 전력량계 1개"
    (panel,) = read_text(text, vocabulary).panels
    assert (panel.location, panel.mounting, panel.material) == ("indoor", "surface", "steel")
    assert [b.brand for b in panel.breakers] == ["SANGDO", None]
    assert panel.accessories == (AccessorySpec(sku="METER-3PH"),)


@pytest.mark.parametrize("text", [
    "메인 4P 100A에 분기 ELB 2P 20A 10개. 옥외 자립 SUS201 1.2T",
    "옥외 자립 SUS201 1.2T 메인 4P 100A에 분기 ELB 2P 20A 10개",
    "메인 4P 100A에 분기 ELB 2P 20A 10개 옥외 자립 SUS201",
    "메인 4P 100A에 분기 ELB 2P 20A 10개 / 외함은 옥외 자립, SUS201",
    "메인 4P 100A에 분기 ELB 2P 20A 10개, 외함은 SUS201로 옥외 자립형으로 부탁드립니다.",
])  # fmt: skip
def test_wishes_need_no_comma(text: str, vocabulary: Vocabulary) -> None:
    reading = read_text(text, vocabulary)
    assert reading.errors == reading.warnings == reading.skipped == ()
    (panel,) = reading.panels
    assert (panel.location, panel.mounting, panel.material) == ("outdoor", "floor", "sus201")
    assert [(b.role, b.poles, b.quantity, b.label) for b in panel.breakers] == [
        ("main", 4, 1, None), ("branch", 2, 10, None),
    ]  # fmt: skip


@pytest.mark.parametrize("label", ["옥외 가로등", "매입 콘센트용", "노출 전등", "옥외"])
def test_a_word_of_a_circuits_name_is_no_wish(label: str, vocabulary: Vocabulary) -> None:
    for phrase in (f"{label} ELB 2P 20A 3개", f"ELB 2P 20A 3개 {label}"):
        (panel,) = read_text(f"메인 4P 100A, {phrase}", vocabulary).panels
        assert (panel.location, panel.mounting) == (None, None)
        assert [breaker.label for breaker in panel.breakers] == [None, label]


def test_one_wish_at_the_end(vocabulary: Vocabulary) -> None:
    text = "메인 4P 100A에 누전 2P 20A 5개 IP65로 해주세요"
    (panel,) = read_text(text, vocabulary).panels
    assert (panel.ip_rating, panel.breakers[1].label) == ("IP65", None)


def test_a_wish_among_items_is_of_their_panel(vocabulary: Vocabulary) -> None:
    text = "옥외 자립 메인 4P 100A, 누전 2P 20A 3개\nLP-2: 메인 4P 60A, 누전 2P 20A 2개"
    first, second = read_text(text, vocabulary).panels
    assert (first.location, second.location, second.mounting) == ("outdoor", None, None)


@pytest.mark.parametrize(("text", "brands"), [
    ("메인 4P 100A에 분기 ELB 2P 20A 10개. 전부 LS 제품", ["LS", None]),
    ("메인 4P 100A에 분기 ELB 2P 20A 10개 LS로", ["LS", None]),
    ("메인 4P 100A에 분기 ELB 2P 20A 10개 LS 제품으로 부탁합니다", ["LS", None]),
    ("메인 4P 100A에 분기 ELB 2P 20A 10개 모두 LS산전", ["LS", None]),
    ("전부 LS로 메인 4P 100A에 분기 ELB 2P 20A 10개", ["LS", None]),
    ("메인 4P 100A에 LS ELB 2P 20A 10개, MCCB 2P 20A 3개", [None, "LS", None]),
    ("메인 4P 100A에 ELB 2P 20A 10개 LS로, MCCB 2P 20A 3개", [None, "LS", None]),
    ("메인 4P 100A, ELB 2P 20A 10개 LS", [None, "LS"]),
    ("ELB 2P 20A 10개, MCCB 2P 20A 3개 전부 LS", ["LS", "LS"]),
    ("상도 메인 4P 100A에 나머지는 전부 LS로 ELB 2P 20A 10개", ["SANGDO", "LS"]),
])  # fmt: skip
def test_the_brand_of_a_text(text: str, brands: list[str | None], vocabulary: Vocabulary) -> None:
    reading = read_text(text, vocabulary)
    assert (reading.errors, reading.warnings) == ((), ())
    assert [(b.brand, b.label) for b in reading.panels[0].breakers] == [(b, None) for b in brands]


def test_brackets_belong_to_their_phrase(vocabulary: Vocabulary) -> None:
    text = "LP-1 (옥외 자립, 3면)\n메인 4P 100A, 누전 2P 20A 3개 (전등, 전열)"
    (panel,) = read_text(text, vocabulary).panels
    assert (panel.name, panel.quantity, panel.mounting) == ("LP-1", 3, "floor")
    assert panel.breakers[1].label == "전등, 전열"


def test_a_title_may_ask_for_buttons(vocabulary: Vocabulary) -> None:
    text = "LP-1 (ON/OFF 조작): 메인 4P 100A, 누전 2P 20A 3개, MC-22 ON/OFF 2개"
    (panel,) = read_text(text, vocabulary).panels
    assert panel.name == "LP-1 (ON/OFF 조작)"
    assert panel.accessories == (
        AccessorySpec(sku="MC-9", quantity=2),
        AccessorySpec(sku="PBL-ONOFF"),
        AccessorySpec(sku="PBL-ONOFF", quantity=2),
    )
    text = "메인 4P 100A, 누전 2P 20A 3개, MC-22 2개 ON/OFF 포함, 24H 타이머 1개 SS 포함"
    reading = read_text(text, vocabulary)
    assert reading.warnings == ()
    assert reading.panels[0].accessories[2:] == (
        AccessorySpec(sku="PBL-ONOFF", quantity=2),
        AccessorySpec(sku="SS"),
    )


def test_no_main_and_no_quantity(vocabulary: Vocabulary) -> None:
    reading = read_text("누전 2P 20A 8개, 누전 2P 30A", vocabulary)
    assert [b.role for b in reading.panels[0].breakers] == ["branch", "branch"]
    assert codes(reading.warnings) == [("QUANTITY_ASSUMED", 1)]


def test_unread_text_is_told_once_per_line(vocabulary: Vocabulary) -> None:
    reading = read_text("안녕하세요, 견적 부탁\n메인 4P 40A, 누전 2P 20A 3개, 빨리요", vocabulary)
    assert codes(reading.warnings) == [("TEXT_UNREAD", 1), ("TEXT_UNREAD", 2)]
    assert [n.text for n in reading.warnings] == ["안녕하세요, 견적 부탁", "빨리요"]
    assert codes(reading.skipped) == [("ROW_EXCLUDED", 1), ("ROW_EXCLUDED", 2)]


@pytest.mark.parametrize(("text", "code"), [
    ("메인 4P 40A, 누전 2P 80A 3개", "UNKNOWN_RATING"),
    ("메인 4P 40A, 누전 2P 20A 두개", "QUANTITY_WORD"),
    ("메인 4P 40A, 누전 2P 20A 약 2개", "QUANTITY_NOT_A_NUMBER"),
    ("메인 4P 40A, 누전 2P 20A 0개", "QUANTITY_NOT_POSITIVE"),
    ("메인 4P 40A, 누전 20A 2개", "POLES_MISSING"),
    ("메인 4P 40A, 메인 4P 60A", "MAIN_TWICE_ROW"),
    ("메인 ABX-104 40A", "UNKNOWN_MODEL"),
    ("메인 ACB 4P 800A", "UNSUPPORTED_BREAKER"),
    ("옥내 전주부착, 메인 4P 40A, 누전 2P 20A 3개", "POLE_INDOOR"),
])  # fmt: skip
def test_errors(text: str, code: str, vocabulary: Vocabulary) -> None:
    assert codes(read_text(text, vocabulary).errors) == [(code, 1)]


@pytest.mark.parametrize("line", ["메인 4P 40A " * 60, "½" * 200], ids=["long", "ligatures"])
def test_a_long_line_is_refused_by_its_number(line: str, vocabulary: Vocabulary) -> None:
    reading = read_text(f"메인 4P 40A, 누전 2P 20A 3개\n{line}\n누전 2P 20A 1개", vocabulary)
    assert codes(reading.errors) == [("CELL_TOO_LONG", 2)]
    assert reading.request is None
    assert ("t.txt", 2, "error") in reading.fates
    assert len(reading.panels[0].breakers) == 3


def test_a_text_of_too_many_phrases_is_refused(vocabulary: Vocabulary) -> None:
    line = "4P 20A 1개, " * 30 + "\n"
    reading = read_text(line * (MAX_PHRASES // 30 + 1), vocabulary)
    assert codes(reading.errors) == [("TOO_MANY_ROWS", None)]


HOSTILE = [
    "(", "((a)", "4P ", "〃", ",", "1~", "111,", "메인메인", "예비1 포함 ", "ﷺ",
    "ABX-{} 4P,", "가{} 2P 20A ", "LS 4P {}A 전부,",
]  # fmt: skip


def largest_text(pattern: str) -> str:
    """Return as many of a pattern as a text may hold, no two lines alike."""
    size = (MAX_CELL_CHARS - 3) // len(pattern.format(1000))
    return "\n".join(
        "".join(pattern.format(1000 + (line * size + at) % 9000) for at in range(size))
        + f"{line:03}"
        for line in range(MAX_TEXT_CHARS // (MAX_CELL_CHARS + 1))
    )


@pytest.mark.parametrize("pattern", HOSTILE)
def test_the_largest_text_is_read(pattern: str, vocabulary: Vocabulary) -> None:
    reading = read_text(largest_text(pattern), vocabulary)
    assert "TOO_MUCH_TEXT" not in {error.code for error in reading.errors}


@pytest.mark.parametrize("pattern", ["(", "4P "])
def test_one_line_of_the_largest_text_is_refused(pattern: str, vocabulary: Vocabulary) -> None:
    reading = read_text(pattern * (90_000 // len(pattern)), vocabulary)
    assert codes(reading.errors) == [("CELL_TOO_LONG", 1)]


def test_panel_names_follow_the_locale(vocabulary: Vocabulary) -> None:
    reading = read(b"MAIN MCCB 4P 40A, ELB 2P 20A x3", "-", vocabulary, "en-US")
    assert reading.panels[0].name == "Panel 1"
    assert reading.request is not None
    assert reading.request.locale == "en-US"
