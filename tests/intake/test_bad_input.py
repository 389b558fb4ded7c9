"""Bad input gives a clear error with code and place, in both languages, and never a crash."""

import io
import json
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from msoffcrypto.format.ooxml import OOXMLFile
from tests.intake.books import GOOD, HEADER, codes, read_rows, repacked
from tests.intake.books import workbook as book

from kis_estimator.errors import KisError, Locale
from kis_estimator.intake import Reading, Vocabulary, dump_request, read, workbook
from kis_estimator.intake.request import parse_request

MEGABYTE = 2**20
LOCALES: tuple[Locale, ...] = ("ko-KR", "en-US")
DATA = Path(__file__).with_name("data")


def first_error(data: bytes, filename: str, vocabulary: Vocabulary) -> str:
    reading = read(data, filename, vocabulary, "ko-KR")
    assert reading.request is None
    for locale in LOCALES:
        assert reading.errors[0].message(locale)
    return reading.errors[0].code


def encrypted() -> bytes:
    out = io.BytesIO()
    OOXMLFile(io.BytesIO(book({"A": GOOD}))).encrypt("secret", out)
    return out.getvalue()


def encrypted_xls() -> bytes:
    """Return an .xls whose first record after the start is FILEPASS, as a password leaves it."""
    data = bytearray((DATA / "plain.xls").read_bytes())
    start = data.find(b"\x09\x08\x10\x00\x00\x06\x05\x00")
    following = start + 4 + int.from_bytes(data[start + 2 : start + 4], "little")
    data[following : following + 2] = b"\x2f\x00"
    return bytes(data)


def zip_of(**parts: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return out.getvalue()


def padded(size: int) -> bytes:
    """Return a workbook whose sheet unpacks to `size` bytes of white space."""

    def pad(name: str, part: bytes) -> bytes:
        end = b"</worksheet>"
        return part.replace(end, b" " * size + end) if "sheet1" in name else part

    return repacked(book({"A": GOOD}), pad)


def with_doctype(name: str, part: bytes) -> bytes:
    if "sheet1" not in name:
        return part
    entity = b'<!DOCTYPE x [<!ENTITY a "x">]>'
    return part.replace(b"<worksheet", entity + b"<worksheet", 1)


def cell(reference: str) -> bytes:
    def put(book: openpyxl.Workbook) -> None:
        book["A"][reference] = "x"

    return book({"A": GOOD}, put)


FILES: list[tuple[str, str, Callable[[], bytes], str]] = [
    ("empty file", "a.xlsx", lambda: b"", "FILE_EMPTY"),
    ("blank text", "a.txt", lambda: b" \n\t", "FILE_EMPTY"),
    ("over 20 MB", "a.xlsx", lambda: b"PK" + bytes(20 * MEGABYTE), "FILE_TOO_LARGE"),
    ("text named xlsx", "a.xlsx", lambda: b"hello", "NOT_A_WORKBOOK"),
    ("html named xls", "a.xls", lambda: b"<html><table></table></html>", "NOT_A_WORKBOOK"),
    ("pdf", "a.pdf", lambda: b"%PDF-1.7 x", "NOT_A_WORKBOOK"),
    ("broken zip", "a.xlsx", lambda: b"PK\x03\x04" + b"x" * 999, "NOT_A_WORKBOOK"),
    ("broken ole", "a.xls", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 999,
     "NOT_A_WORKBOOK"),
    ("another zip", "a.xlsx", lambda: zip_of(a="b"), "NOT_A_WORKBOOK"),
    ("name leads out of the zip", "a.xlsx", lambda: zip_of(**{"../a": "b"}), "NOT_A_WORKBOOK"),
    ("truncated", "a.xlsx", lambda: book({"A": GOOD})[:-200], "NOT_A_WORKBOOK"),
    ("encrypted xlsx", "a.xlsx", encrypted, "WORKBOOK_ENCRYPTED"),
    ("encrypted xls", "a.xls", encrypted_xls, "WORKBOOK_ENCRYPTED"),
    ("zip bomb", "a.xlsx", lambda: padded(300 * MEGABYTE), "ZIP_BOMB"),
    ("doctype", "a.xlsx", lambda: repacked(book({"A": GOOD}), with_doctype), "WORKBOOK_BROKEN"),
    ("last cell of a sheet", "a.xlsx", lambda: cell("XFD1048576"), "CELL_OUT_OF_RANGE"),
    ("last row of a sheet", "a.xlsx", lambda: cell("C1048576"), "CELL_OUT_OF_RANGE"),
    ("far column", "a.xlsx", lambda: cell("ZZ5"), "CELL_OUT_OF_RANGE"),
    ("10,001 rows", "a.xlsx", lambda: book({"A": [["x"]] * 10_001}), "TOO_MANY_ROWS"),
    ("10,001 rows in two tabs", "a.xlsx",
     lambda: book({"A": [["x"]] * 6000, "B": [["x"]] * 4001}), "TOO_MANY_ROWS"),
    ("10,001 lines", "a.csv", lambda: b"a,b\n" * 10_001, "TOO_MANY_ROWS"),
    ("10,001 lines of text", "a.txt", lambda: b"a\n" * 10_001, "TOO_MANY_ROWS"),
    ("too much text", "a.txt", ("2P 20A, " * 15_000).encode, "TOO_MUCH_TEXT"),
    ("too much text in a table", "a.csv",
     ("품명,수량\n" + f"{'x' * 400},1\n" * 3_000).encode, "TOO_MUCH_TEXT"),
    ("too much text in cells", "a.xlsx",
     lambda: book({"A": [HEADER, *[["x" * 500] * 8] * 600]}), "TOO_MUCH_TEXT"),
    ("empty tabs", "a.xlsx", lambda: book({"A": [], "B": []}), "FILE_EMPTY"),
    ("no header", "a.xlsx", lambda: book({"A": GOOD[2:]}), "NO_HEADER"),
    ("no header, no breaker", "a.xlsx", lambda: book({"A": [["x"]]}), "NO_HEADER"),
    ("header past row 30", "a.xlsx", lambda: book({"A": [["x"]] * 30 + GOOD}), "NO_HEADER"),
    ("no header in csv", "a.csv", lambda: b"a,b\n1,2\n", "NO_HEADER"),
    ("no breaker row", "a.xlsx", lambda: book({"A": [HEADER, [1, "케이블", "CV", "M", 3]]}),
     "NO_BREAKER_ROW"),
    ("header alone", "a.xlsx", lambda: book({"A": [HEADER]}), "NO_BREAKER_ROW"),
    ("text without breaker", "a.txt", "안녕하세요".encode, "TEXT_NO_BREAKER"),
    ("neither utf-8 nor cp949", "a.txt", lambda: b"2P 20A \xff\xff\x80", "TEXT_ENCODING"),
    ("nul bytes", "a.csv", lambda: b"\0" * 9, "TEXT_BINARY"),
    ("open quote", "a.csv", '품명,수량\n"MCCB 2P 20A,1\n'.encode, "CSV_QUOTES"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("filename", "make", "code"), [case[1:] for case in FILES], ids=[case[0] for case in FILES]
)
def test_bad_file(
    filename: str, make: Callable[[], bytes], code: str, vocabulary: Vocabulary
) -> None:
    assert first_error(make(), filename, vocabulary) == code


def test_styled_cells_far_out_are_no_trap(vocabulary: Vocabulary) -> None:
    def style(book: openpyxl.Workbook) -> None:
        for row in range(1, 200):
            book["A"].cell(row=row + 1_000_000, column=500).number_format = "0.00"

    assert read(book({"A": GOOD}, style), "a.xlsx", vocabulary, "ko-KR").errors == ()


def test_a_far_cell_in_an_xls_never_crashes(vocabulary: Vocabulary) -> None:
    code = first_error((DATA / "far_cell.xls").read_bytes(), "a.xls", vocabulary)
    assert code in {"CELL_OUT_OF_RANGE", "WORKBOOK_LIMITS"}


def test_a_plain_xls_is_read(vocabulary: Vocabulary) -> None:
    reading = read((DATA / "plain.xls").read_bytes(), "a.xls", vocabulary, "ko-KR")
    assert [(p.name, len(p.breakers)) for p in reading.panels] == [("LP-1", 2)]


@pytest.mark.parametrize("outcome", ["crash", "time", "noise"])
def test_a_dead_child_is_an_error(outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> subprocess.CompletedProcess[bytes]:
        if outcome == "time":
            raise subprocess.TimeoutExpired("python", 1)
        return subprocess.CompletedProcess([], -6 if outcome == "crash" else 0, b"{", b"")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(KisError) as caught:
        workbook.read_workbook(b"PK")
    assert caught.value.notices[0].code == "WORKBOOK_LIMITS"


# ---------------------------------------------------------------- rows


def test_formula_without_value(vocabulary: Vocabulary) -> None:
    rows = [
        HEADER,
        [1, '="메인"', "MCCB 4P 100A", "EA", 1],
        [2, "분기", '="ELB 2P 20A"', "EA", 5],
        [3, "분기", "ELB 2P 20A", "EA", "=1+1"],
        [4, "분기", "ELB 2P 20A", "EA", 1, "=1+1", "=2"],
        [None, None, None, None, "=SUM(E2:E5)", "소계", "=SUM(G2:G5)"],
    ]
    reading = read(book({"A": rows}), "a.xlsx", vocabulary, "ko-KR")
    assert codes(reading.errors) == [
        ("FORMULA_NO_VALUE", 2), ("FORMULA_NO_VALUE", 3), ("FORMULA_NO_VALUE", 4),
    ]  # fmt: skip
    assert [e.params["cell"] for e in reading.errors] == ["B2", "C3", "E4"]
    assert codes(reading.warnings) == [("FORMULA_NO_VALUE_PRICE", 5)]
    assert reading.warnings[0].params["count"] == 4


def test_a_row_of_formulas_alone_is_not_lost(vocabulary: Vocabulary) -> None:
    rows = [*GOOD, [None, "=X1", "=X2", None, "=X3"]]
    reading = read(book({"A": rows}), "a.xlsx", vocabulary, "ko-KR")
    assert codes(reading.errors) == [("FORMULA_NO_VALUE", 5)] * 3


def test_error_values(vocabulary: Vocabulary) -> None:
    rows = [*GOOD, [3, "분기", "#N/A", "EA", 1], [4, "분기", "2P 20A", "EA", 1, "#N/A"]]
    reading = read(book({"A": rows}), "a.xlsx", vocabulary, "ko-KR")
    assert codes(reading.errors) == [("CELL_ERROR", 5)]
    assert codes(reading.warnings) == [("CELL_ERROR_PRICE", 6)]


def test_a_long_cell(vocabulary: Vocabulary) -> None:
    reading = read_rows([*GOOD[1:], [3, "분기", "2P 20A" + " x" * 300, "EA", 1]], vocabulary)
    assert codes(reading.errors) == [("CELL_TOO_LONG", 5)]


ROWS = [
    ("ELB", "2P 80A", 1, "UNKNOWN_RATING", "75, 100"),
    ("MCCB", "3P 15A", 1, "UNKNOWN_RATING", "20"),
    ("MCCB", "4P 1000A", 1, "UNKNOWN_RATING", "800"),
    ("MCCB", "200AF 225AT 3P", 1, "AT_EXCEEDS_AF", "AF"),
    ("MCCB", "3P 30/50A", 1, "AT_EXCEEDS_AF", "AF"),
    ("MCCB", "ABN-105 60A", 1, "UNKNOWN_MODEL", "ABN-104"),
    ("MCCB", "HGM-103 3P 100A", 1, "UNKNOWN_MODEL", "-103"),
    ("MCCB", "ABN-104 80A", 1, "UNKNOWN_RATING", "75, 100"),
    ("MCCB", "ABN-104", 1, "MODEL_RATING_MISSING", "60A, 75A, 100A"),
    ("MCCB", "ABN-104 3P 60A", 1, "MODEL_MISMATCH", None),
    ("누전차단기", "ABN-104 60A", 1, "MODEL_MISMATCH", None),
    ("상도 MCCB", "ABN-104 60A", 1, "MODEL_MISMATCH", None),
    ("ELB", "1P 20A", 1, "UNKNOWN_POLES", "2P, 3P, 4P"),
    ("MCCB", "5P 20A", 1, "UNKNOWN_POLES", "2P, 3P, 4P"),
    ("MCCB", "100A", 1, "POLES_MISSING", "2P"),
    ("MCCB", "3P", 1, "RATING_MISSING", "AT"),
    ("MCCB", "3P 50/30mA", 1, "RATING_MISSING", "AT"),
    ("MCCB", "3P 2021/04", 1, "RATING_MISSING", "AT"),
    ("MCCB", "3P 100A 75AT", 1, "RATING_CONFLICT", "AT"),
    ("배선용차단기", "ELB 2P 20A", 1, "KIND_CONFLICT", "MCCB"),
    ("MCCB", "2P 20A", 0, "QUANTITY_NOT_POSITIVE", "1"),
    ("MCCB", "2P 20A", -1, "QUANTITY_NOT_POSITIVE", "1"),
    ("MCCB", "2P 20A", "-2EA", "QUANTITY_NOT_POSITIVE", "1"),
    ("MCCB", "2P 20A", "두개", "QUANTITY_WORD", "2개"),
    ("MCCB", "2P 20A", "한 대", "QUANTITY_WORD", "2개"),
    ("MCCB", "2P 20A", "약간", "QUANTITY_NOT_A_NUMBER", "2개"),
    ("MCCB", "2P 20A", "2 3", "QUANTITY_NOT_A_NUMBER", "2개"),
    ("MCCB", "2P 20A", "약 2개", "QUANTITY_NOT_A_NUMBER", "2개"),
    ("MCCB", "2P 20A", "2개 정도", "QUANTITY_NOT_A_NUMBER", "2개"),
    ("MCCB", "2P 20A", "최소 2개", "QUANTITY_NOT_A_NUMBER", "2개"),
    ("MCCB", "3P 22.5A", 1, "UNKNOWN_RATING", "20, 30"),
    ("SPARE", "2P 5P", 1, "POLES_CONFLICT", None),
    ("SPARE", "2P 30AF 50AT", 1, "AT_EXCEEDS_AF", None),
    ("SPARE", "3P 5000A", 1, "UNKNOWN_RATING", "800"),
    ("MCCB", "2P 20A", 1.5, "QUANTITY_NOT_WHOLE", "1"),
    ("MCCB", "2P 20A", 1001, "QUANTITY_TOO_LARGE", None),
    ("MCCB", "2P 20A", None, "QUANTITY_MISSING", "1"),
    ("MCCB", "2P 20A", "-", "QUANTITY_MISSING", "1"),
    ("MCCB", "2P 20A x2 3EA", None, "QUANTITY_CONFLICT", None),
    ("ACB", "4P 1600A", 1, "UNSUPPORTED_BREAKER", None),
    ("〃", "2P 20A", 1, "DITTO_NOTHING_ABOVE", None),
    ("마그네트", "MC-22", "두개", "QUANTITY_WORD", "2개"),
    ("SPARE", "-", 0, "QUANTITY_NOT_POSITIVE", "1"),
]


@pytest.mark.parametrize(("name", "spec", "quantity", "code", "hint"), ROWS)
def test_bad_row(
    name: str, spec: str, quantity: object, code: str, hint: str | None, vocabulary: Vocabulary
) -> None:
    reading = read_rows([[1, name, spec, "EA", quantity]], vocabulary)
    assert codes(reading.errors) == [(code, 2)]
    error = reading.errors[0]
    assert (error.sheet, reading.request) == ("t.csv", None)
    assert name in (error.text or "")
    if hint:
        assert hint in f"{error.message()} {error.hint()}"


def test_an_error_keeps_the_other_panels(vocabulary: Vocabulary) -> None:
    rows = [*GOOD[1:], [None, "LP-2"], [1, "MCCB", "2P 80A", "EA", 1]]
    reading = read_rows(rows, vocabulary)
    assert [panel.name for panel in reading.panels] == ["LP-1"]
    assert codes(reading.errors) == [("UNKNOWN_RATING", 6)]


def test_messages_read_well(vocabulary: Vocabulary) -> None:
    reading: Reading = read_rows([[1, "누전차단기", "2P 80A", "EA", 1]], vocabulary)
    error = reading.errors[0]
    assert error.message() == "ELB 2P에는 정격전류 80A가 없습니다"
    assert error.hint() == "가까운 정격(A)으로 고쳐 주십시오: 75, 100"
    assert error.message("en-US") == "There is no ELB 2P rated 80 A"


# ---------------------------------------------------------------- what steers a terminal


def steers_nothing(reading: Reading) -> bool:
    """Return whether all of a reading that reaches a terminal or a document is plain text."""
    notices = (*reading.errors, *reading.warnings, *reading.skipped)
    messages = [f"{n.message()} {n.hint()} {n.sheet} {n.text}" for n in notices]
    request = dump_request(reading.request) if reading.request else {}
    written = json.dumps(request, ensure_ascii=False)  # writes C0 controls as escapes
    return "\\" not in written and "".join([*messages, written]).isprintable()


def coloured(name: str, part: bytes) -> bytes:
    """Write the marks of a cell as characters: ESC as Excel escapes it, the others as they are."""
    if not name.endswith(".xml"):
        return part
    marks = {b"@esc@": b"_x001B_", b"@9b@": "\x9b".encode(), b"@rlo@": "\u202e".encode()}
    for mark, char in marks.items():
        part = part.replace(mark, char)
    return part


def test_a_workbook_steers_no_terminal(vocabulary: Vocabulary) -> None:
    rows = [
        HEADER,
        [None, "LP-1"],
        [1, "메인", "MCCB 4P@esc@[31m 100A", "EA", 1],
        [2, "분기", "ELB 2P 20A", "EA", 5, None, None, "전등@esc@[31m @9b@A@rlo@"],
        [3, "@esc@[2J@rlo@모름", "x@9b@y", "EA", 1],
    ]
    data = repacked(book({"T@9b@1": rows}), coloured)
    reading = read(data, "a.xlsx", vocabulary)
    assert reading.request is not None
    (panel,) = reading.request.panels
    assert panel.source is not None
    assert panel.source.sheet == "T1"
    assert [b.label for b in panel.breakers] == [None, "전등 A"]
    assert codes(reading.warnings) == [("ROW_UNKNOWN", 5)]
    assert steers_nothing(reading)


@pytest.mark.parametrize("filename", ["t\x1b[31m\u202e.csv", "t\x9b.txt"])
def test_texts_and_their_names_steer_no_terminal(filename: str, vocabulary: Vocabulary) -> None:
    text = "공사명: 가\u202e나\n메인 4P 40A, 누전 2P 20A 3개\u202e, 모름\x9b\n"
    if "csv" in filename:
        text = "품명,규격,수량,비고\n메인,4P 40A,1,가\u202e\n누전,2P 20A,3,\x9b나\n모름\x9b,,1,\n"
    reading = read(text.encode(), filename, vocabulary)
    assert reading.request is not None
    assert reading.warnings
    assert steers_nothing(reading)


def test_what_is_read_is_a_request_that_is_taken(vocabulary: Vocabulary) -> None:
    data = repacked(book({"@9b@": GOOD[:1] + GOOD[2:]}), coloured)
    reading = read(data, "a.xlsx", vocabulary)
    assert reading.request is not None
    assert parse_request(json.dumps(dump_request(reading.request)).encode()) == reading.request
