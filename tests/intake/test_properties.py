"""Nothing from outside breaks the reader, and no row is lost."""

import itertools
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.intake.books import HEADER, table

from kis_estimator.intake import Reading, Vocabulary, read
from kis_estimator.intake.characters import cleaned

CELLS = """
MCCB;ELB;메인;분기;차단기;LP-1;1. 동력반 P-2 (3면);소계;합 게;총계;2P 20A;4P 100AF/75AT;ABN-104;60A
200AF 225AT;80A;1;2EA;두개;0;-1;〃;상동;SPARE;예비;마그네트;MC-22;SPD;CT;케이블;부스바;외함;ACB
고압반;공사명 : 가;※ 참고;품명;수량;규격;LS;옥외 자립;1,000;x3;3면;-;전력량계;타이머;속판;SUS201
단상;특고압
""".replace("\n", ";").split(";")

cells = st.sampled_from(CELLS) | st.text(max_size=12)
rows = st.lists(st.lists(cells, max_size=8), max_size=25)


def check(reading: Reading) -> None:
    """Check what holds for every reading."""
    assert (reading.request is None) == bool(reading.errors)
    assert reading.errors or reading.panels
    for notice in itertools.chain(reading.errors, reading.warnings, reading.skipped):
        assert notice.message("ko-KR")
        assert notice.message("en-US")
        notice.hint("ko-KR")
        notice.hint("en-US")
    for panel in reading.panels:
        assert panel.breakers
        assert panel.name
        assert panel.source is None or panel.source.first_row <= panel.source.last_row


@given(rows)
def test_every_row_of_a_table_is_accounted_for(
    vocabulary: Vocabulary, content: list[list[str]]
) -> None:
    data = table(content)
    reading = read(data, "t.csv", vocabulary, "ko-KR")
    check(reading)
    if {e.code for e in reading.errors} & {"TEXT_BINARY", "CSV_QUOTES", "TEXT_ENCODING"}:
        return
    read_as_breaker = sum(fate == "breaker" for _, _, fate in reading.fates)
    assert read_as_breaker == sum(len(panel.breakers) for panel in reading.panels)
    fates = [(sheet, row) for sheet, row, _ in reading.fates]
    assert len(set(fates)) == len(fates)
    read_whole = not any(s.row is None for s in reading.skipped) or reading.panels
    if read_whole and not any(s.code.startswith("TAB_") for s in reading.skipped):
        filled = sum(any(cleaned(cell).strip() for cell in row) for row in [HEADER, *content])
        assert len(fates) == filled


@given(rows)
def test_every_failed_or_left_out_row_is_told(
    vocabulary: Vocabulary, content: list[list[str]]
) -> None:
    reading = read(table(content), "t.csv", vocabulary, "ko-KR")
    told = {n.row for n in (*reading.errors, *reading.warnings, *reading.skipped)}
    for _, row, fate in reading.fates:
        if fate in {"error", "excluded", "note"}:
            assert row in told


@given(st.lists(cells, max_size=30), st.sampled_from(["\n", ", ", " ", "; "]))
def test_any_text_is_read_or_refused(vocabulary: Vocabulary, words: list[str], joint: str) -> None:
    check(read(joint.join(words).encode(), "t.txt", vocabulary, "ko-KR"))


@given(st.binary(max_size=400), st.sampled_from(["a.xlsx", "a.csv", "a.txt", "a.json", "-"]))
@settings(max_examples=60)
def test_any_bytes_are_read_or_refused(vocabulary: Vocabulary, data: bytes, filename: str) -> None:
    check(read(data, filename, vocabulary, "ko-KR"))


@given(st.data())
@settings(max_examples=25)
def test_a_damaged_workbook_is_read_or_refused(
    examples: Path, vocabulary: Vocabulary, data: st.DataObject
) -> None:
    whole = bytearray((examples / "03_messy.xlsx").read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(4, len(whole) - 1))] = data.draw(st.integers(0, 255))
    check(read(bytes(whole), "a.xlsx", vocabulary, "ko-KR"))
