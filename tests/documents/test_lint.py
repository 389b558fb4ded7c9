"""Each check of the document lint, broken once; a sound run has no finding."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import runs

from kis_estimator.documents.facts import pdf_facts, workbook_facts
from kis_estimator.documents.lint import lint, lint_gate

Files = dict[str, bytes]
SCHEDULE = "메인차단기 4P 40A에 분기차단기 누전 4P 20A 2개, 누전 2P 20A 8개"
# One page in a font that is not embedded, without a page number.
PLAIN_PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R
/Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>endobj
4 0 obj<</Length 36>>stream
BT /F 12 Tf 20 100 Td (hello) Tj ET
endstream endobj
trailer<</Root 1 0 R>>
%%EOF
"""


@cache
def sound() -> Files:
    given = runs.inputs(SCHEDULE.encode(), "요청.txt", customer="△△건설", project="신축 공사")
    return runs.estimate(given).files


def codes(files: Files) -> list[str]:
    return sorted({finding.code for finding in lint(files)})


def changed(name: str, change: Callable[[Any], None]) -> Files:
    table = json.loads(sound()[name])
    change(table)
    return {**sound(), name: json.dumps(table).encode()}


def without(*names: str) -> Files:
    return {name: data for name, data in sound().items() if name not in names}


def drawing(kind: str) -> str:
    return next(name for name in sound() if name.endswith(f"-{kind}") and "drawings/" in name)


def workbook_with_an_error() -> Files:
    book = openpyxl.load_workbook(io.BytesIO(sound()["quotation.xlsx"]))
    cell = book.worksheets[0]["A1"]
    cell.value, cell.data_type = "#REF!", "e"
    out = io.BytesIO()
    book.save(out)
    return {**sound(), "quotation.xlsx": out.getvalue()}


def test_a_sound_run_has_no_finding() -> None:
    findings = lint(sound())
    assert findings == ()
    assert lint_gate(findings).passed is True


BROKEN: dict[str, tuple[Callable[[], Files], str]] = {
    "no pdf": (lambda: without("quotation.pdf"), "LINT_STRUCTURE"),
    "no workbook": (lambda: without("quotation.xlsx"), "LINT_STRUCTURE"),
    "no outline": (lambda: without(drawing("outline.dxf")), "LINT_DRAWING_COUNT"),
    "total": (
        lambda: changed("estimate.json", lambda t: t["totals"].update(total=1)), "LINT_TOTAL",
    ),
    "quantity": (
        lambda: changed(
            "inputs/request.json", lambda t: t["panels"][0]["breakers"][1].update(quantity=3)
        ),
        "LINT_QUANTITY",
    ),
    "panels": (
        lambda: changed("inputs/request.json", lambda t: t["panels"][0].update(quantity=2)),
        "LINT_QUANTITY",
    ),
    "number": (lambda: changed("estimate.json", lambda t: t.update(number="KIS-1")), "LINT_TEXT"),
    "date": (
        lambda: changed("estimate.json", lambda t: t.update(createdAt="2026-03-01T15:00:00Z")),
        "LINT_TEXT",
    ),
    "customer": (
        lambda: changed("inputs/request.json", lambda t: t["customer"].update(name="□□전력")),
        "LINT_TEXT",
    ),
    "panel name": (
        lambda: changed("estimate.json", lambda t: t["panels"][0].update(name="LP-77")),
        "LINT_TEXT",
    ),
    "supplier": (
        lambda: {
            **sound(),
            "inputs/company.toml": sound()["inputs/company.toml"].replace(
                "(상호를 기입하십시오)".encode(), "다른 회사".encode()
            ),
        },
        "LINT_TEXT",
    ),
    "font": (lambda: {**sound(), "quotation.pdf": PLAIN_PDF}, "LINT_FONT"),
    "page number": (lambda: {**sound(), "quotation.pdf": PLAIN_PDF}, "LINT_PAGE"),
    "sample mark": (
        lambda: changed("evidence/4-format/input.json", lambda t: t.update(sample=False)),
        "LINT_SAMPLE",
    ),
    "error value": (workbook_with_an_error, "LINT_ERROR_VALUE"),
    "script": (
        lambda: {
            **sound(),
            drawing("outline.svg"): b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>',
        },
        "LINT_DRAWING",
    ),
    "cut dxf": (
        lambda: {**sound(), drawing("outline.dxf"): sound()[drawing("outline.dxf")][:500]},
        "LINT_DRAWING",
    ),
    "circuit": (
        lambda: {
            **sound(),
            drawing("single-line.svg"): b'<svg xmlns="http://www.w3.org/2000/svg"></svg>',
        },
        "LINT_CIRCUITS",
    ),
    "broken workbook": (lambda: {**sound(), "quotation.xlsx": b"junk"}, "LINT_UNREADABLE"),
    "broken pdf": (lambda: {**sound(), "quotation.pdf": b"junk"}, "LINT_UNREADABLE"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_found(name: str) -> None:
    files, code = BROKEN[name][0](), BROKEN[name][1]
    findings = lint(files)
    assert code in [finding.code for finding in findings]
    assert lint_gate(findings).passed is False


def test_a_character_that_cannot_be_printed_fails_the_gate() -> None:
    made = runs.estimate(runs.inputs(SCHEDULE.encode(), "요청.txt", customer="로켓🚀전기"))
    gate = next(g for g in made.response["gates"] if g["name"] == "errors")
    assert gate["passed"] is False
    assert "LINT_GLYPH" in {finding["code"] for finding in made.response["findings"]}


@pytest.mark.parametrize("name", ["None Ltd. {total}", "nan #REF! 100%", "=1+1", "<b>&amp;</b>"])
def test_odd_names_are_no_findings(name: str) -> None:
    made = runs.estimate(runs.inputs(SCHEDULE.encode(), "요청.txt", customer=name, project=name))
    assert [g["passed"] for g in made.response["gates"] if g["stage"] == "lint"] == [True]


@settings(max_examples=60)
@given(
    st.binary(max_size=400), st.sampled_from(["quotation.pdf", "quotation.xlsx", "estimate.json"])
)
def test_junk_is_a_finding_and_never_a_crash(junk: bytes, name: str) -> None:
    assert codes({**sound(), name: junk})


def test_facts_of_a_sound_run(examples: Path) -> None:
    made = runs.sample(examples / "01_two_tabs.xlsx")
    book, pdf = workbook_facts(made.files["quotation.xlsx"]), pdf_facts(made.files["quotation.pdf"])
    assert book.names["KIS_Total"] == made.response["totals"]["total"]
    assert book.errors == ()
    assert f"{made.response['totals']['total']:,}" in pdf.pages[0]
    assert set(pdf.fonts.values()) == {True}
