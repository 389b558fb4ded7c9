"""Each check of the document lint, broken once; a sound run has no finding."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import runs
from tests.documents.forms import Form, form

from kis_estimator.documents.facts import dxf_is_sound, pdf_facts, svg_facts, workbook_facts
from kis_estimator.documents.lint import lint, lint_gate
from kis_estimator.engine.model import Finding
from kis_estimator.errors import KisError
from kis_estimator.service import lint_folder, stages

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


def replaced(name: str, old: str, new: str) -> Files:
    text = sound()[name].decode()
    assert old in text
    return {**sound(), name: text.replace(old, new, 1).encode()}


def workbook_with(change: Callable[[openpyxl.Workbook], None]) -> Files:
    book = openpyxl.load_workbook(io.BytesIO(sound()["quotation.xlsx"]))
    change(book)
    out = io.BytesIO()
    book.save(out)
    return {**sound(), "quotation.xlsx": out.getvalue()}


def with_an_error(book: openpyxl.Workbook) -> None:
    cell = book.worksheets[0]["A1"]
    cell.value, cell.data_type = "#REF!", "e"


def with_other_words(book: openpyxl.Workbook) -> None:
    sheet, cell = next(iter(book.defined_names["KIS_TotalWords"].destinations))
    book[sheet][cell.replace("$", "")].value = "일금 일억원정"


def written(files: Files, folder: Path) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


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
    "error value": (lambda: workbook_with(with_an_error), "LINT_ERROR_VALUE"),
    "words of the total": (lambda: workbook_with(with_other_words), "LINT_TEXT"),
    "form": (lambda: {**sound(), "inputs/form.xlsx": b"PK"}, "LINT_STRUCTURE"),
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


# ---------------------------------------------------------------- names and boxes


def test_a_box_that_the_customer_typed_is_no_finding() -> None:
    made = runs.estimate(runs.inputs(SCHEDULE.encode(), "요청.txt", customer="□□전력", project="□"))
    assert "□□전력" in pdf_facts(made.files["quotation.pdf"]).pages[0]
    assert lint(made.files) == ()


def test_a_box_on_a_page_does_not_end_the_check_of_names() -> None:
    made = runs.estimate(runs.inputs(SCHEDULE.encode(), "요청.txt", customer="로켓🚀□전기"))
    assert codes(made.files) == ["LINT_GLYPH"]
    table = json.loads(made.files["inputs/request.json"])
    table["customer"]["name"] = "다른 전기"
    files = {**made.files, "inputs/request.json": json.dumps(table).encode()}
    found = {f.figures["where"] for f in lint(files) if f.code == "LINT_TEXT"}
    assert found == {"quotation.xlsx", "quotation.pdf"}


def test_characters_of_rows_left_out_and_of_drawings_are_named() -> None:
    rows = "구분,품명,규격,수량\n메인,MCCB,4P 100AF 60A,1\n분기,ELB,2P 30AF 20A,3\n"
    left_out = runs.estimate(runs.inputs(f"{rows}분기,변압기 ⚡ 3상,380/220,1\n".encode(), "a.csv"))
    drawn = runs.estimate(runs.inputs(SCHEDULE.encode(), "a.txt", project="0\u0300"))
    characters = [
        [f.figures["characters"] for f in lint(run.files) if f.code == "LINT_GLYPH"]
        for run in (left_out, drawn)
    ]
    assert characters == [[["⚡ (U+26A1)"]], [["\u0300 (U+0300)"]]]


def test_the_total_in_words_of_another_pdf_is_found() -> None:
    other = runs.estimate(runs.inputs(SCHEDULE.replace("8개", "9개").encode(), "요청.txt"))
    files = {**sound(), "quotation.pdf": other.files["quotation.pdf"]}
    found = [f.figures for f in lint(files) if f.figures.get("what") == "KIS_TotalWords"]
    assert [figures["where"] for figures in found] == ["quotation.pdf"]
    english = runs.estimate(runs.inputs(SCHEDULE.encode(), "요청.txt", locale="en-US"))
    assert lint(english.files) == ()


# ---------------------------------------------------------------- drawings

SVG: dict[str, tuple[str, str]] = {
    "handler": ("<svg ", '<svg onload="alert(1)" '),
    "script link": ("<title>", '<a href="javascript:alert(1)"><text>x</text></a><title>'),
    "remote shape": ("<title>", '<use href="https://example.com/a.svg#b"/><title>'),
    "remote picture": ("<title>", '<image href="https://example.com/a.png"/><title>'),
    "remote ink": ('fill="none"', 'fill="url(https://example.com/a.svg#b)"'),
    "style": ("<title>", "<style>@import url(https://example.com/a.css)</style><title>"),
    "style of a shape": ("<rect ", '<rect style="fill:url(//example.com)" '),
    "animation": ("<title>", '<set attributeName="href" to="javascript:alert(1)"/><title>'),
    "other namespace": ("<title>", '<script xmlns="http://www.w3.org/1999/xhtml"/><title>'),
    "document type": ("<svg ", '<!DOCTYPE svg [<!ENTITY a "b">]><svg '),
    "style sheet": ("<svg ", '<?xml-stylesheet href="https://example.com/a.css"?><svg '),
    "cut": ("</svg>", ""),
}


@pytest.mark.parametrize("name", SVG)
def test_a_drawing_that_can_run_or_load_is_found(name: str) -> None:
    path = drawing("outline.svg")
    files = replaced(path, *SVG[name])
    assert [f.figures for f in lint(files) if f.code == "LINT_DRAWING"] == [{"path": path}]


def test_a_drawing_in_another_encoding_is_found() -> None:
    path = drawing("outline.svg")
    text = sound()[path].decode()
    assert svg_facts(text.encode()).sound
    assert not svg_facts(text.encode("utf-16")).sound
    assert not svg_facts(b"<svg>" * 100_000 + b"</svg>" * 100_000).sound


DXF: dict[str, Callable[[str], str]] = {
    "end alone": lambda _text: "EOF",
    "end as a record": lambda _text: "  0\nEOF\n",
    "cut": lambda text: text[:500],
    "cut and ended": lambda text: text[: text.index("ENTITIES\n")] + "ENTITIES\n  0\nEOF\n",
    "line left out": lambda text: text.replace("ENTITIES\n", "", 1),
    "section left open": lambda text: text.replace("  0\nENDSEC\n", "", 1),
    "section left out": lambda text: re.sub(
        r"  0\nSECTION\n  2\nTABLES\n.*?ENDSEC\n", "", text, count=1, flags=re.DOTALL
    ),
    "order": lambda text: (
        text.replace("CLASSES", "?", 1).replace("TABLES", "CLASSES", 1).replace("?", "TABLES", 1)
    ),
    "early end": lambda text: text.replace("  0\nLINE\n", "  0\nEOF\n  0\nLINE\n", 1),
    "no entity": lambda text: re.sub(
        r"(ENTITIES\n).*?(  0\nENDSEC\n)", r"\1\2", text, count=1, flags=re.DOTALL
    ),
    "remote picture": lambda text: text.replace("  0\nLINE\n", "  0\nIMAGE\n", 1),
    "code that is none": lambda text: text.replace("  0\nLINE\n", "  x\nLINE\n", 1),
    "more after the end": lambda text: text + "  0\nLINE\n",
}


@pytest.mark.parametrize("name", DXF)
def test_a_dxf_that_is_not_whole_is_found(name: str) -> None:
    path = drawing("outline.dxf")
    text = sound()[path].decode()
    assert dxf_is_sound(text.encode())
    changed_text = DXF[name](text)
    assert changed_text != text
    files = {**sound(), path: changed_text.encode()}
    assert [(f.code, f.figures) for f in lint(files)] == [("LINT_DRAWING", {"path": path})]


@pytest.mark.parametrize("kind", ["arrangement", "single-line"])
def test_a_circuit_without_its_label_is_found(kind: str) -> None:
    path = drawing(f"{kind}.svg")
    text = sound()[path].decode()
    branch = re.search(r'<g class="branch"><title>2 .*?</g>\n', text)
    assert branch
    bare = re.sub(r">2</text>", "></text>", branch[0])
    assert bare != branch[0]
    files = {**sound(), path: text.replace(branch[0], bare).encode()}
    assert [(f.code, f.figures) for f in lint(files)] == [
        ("LINT_CIRCUITS", {"path": path, "circuits": [2]})
    ]


# ---------------------------------------------------------------- hostile files

DEEP = "[" * 100_000
HOSTILE: dict[str, tuple[str, bytes]] = {
    "deep JSON": ("estimate.json", DEEP.encode()),
    "deep request": ("inputs/request.json", DEEP.encode()),
    "deep TOML": ("inputs/company.toml", f"name = {DEEP}".encode()),
    "no object": ("estimate.json", b"[]"),
    "no panels": ("estimate.json", b'{"totals": {}}'),
    "panels without end": ("estimate.json", b'{"panels": [' + b"0," * 400_000 + b"0]}"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_unreadable_and_no_crash(name: str) -> None:
    path, data = HOSTILE[name]
    found = {finding.code for finding in lint({**sound(), path: data}, "en-US")}
    assert "LINT_UNREADABLE" in found
    assert "LINT_STRUCTURE" not in found


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        ("inputs/request.json", "customer", "x"),
        ("inputs/request.json", "panels", {"a": 1}),
        ("estimate.json", "createdAt", "9999-12-31T23:00:00Z"),
        ("estimate.json", "totals", {"supply": 1, "vat": None, "total": "1"}),
        ("estimate.json", "number", float("nan")),
        ("estimate.json", "number", "\ud800"),
    ],
)
def test_a_field_of_another_kind_is_unreadable_and_no_crash(
    path: str, field: str, value: object
) -> None:
    assert "LINT_UNREADABLE" in codes(changed(path, lambda t: t.update({field: value})))


# ---------------------------------------------------------------- a run made earlier


def told(folder: Path) -> list[tuple[str, str]]:
    return [(f.severity, f.code) for f in lint_folder(folder, "en-US").findings]


def test_every_workbook_of_a_folder_is_recalculated(tmp_path: Path) -> None:
    given_form = form(Form(extra_formula="=NUMBERSTRING(9,1)"))
    made = runs.estimate(runs.inputs(SCHEDULE.encode(), "요청.txt", form=given_form))
    unverified = [f for f in made.response["findings"] if f["code"] == "FORMULA_UNVERIFIED"]
    assert [(f["severity"], f["figures"]["cell"]) for f in unverified] == [
        ("advisory", "form.xlsx [견적서] B24")
    ]
    record = json.loads(made.files["evidence/4-format/output.json"])
    assert [notice["params"]["cell"] for notice in record["unverified"]] == ["B24"]
    folder = written(made.files, tmp_path)
    outcome = lint_folder(folder, "en-US")
    assert told(folder) == [("advisory", "FORMULA_UNVERIFIED")]
    assert all(gate.passed for gate in outcome.gates)
    (folder / "form.xlsx").write_bytes(b"junk")
    outcome = lint_folder(folder, "en-US")
    assert [gate.passed for gate in outcome.gates] == [False, False, True]
    (folder / "form.xlsx").unlink()
    assert told(folder) == [("violation", "LINT_STRUCTURE")]


def test_a_missing_workbook_is_missing_and_nothing_else(tmp_path: Path) -> None:
    outcome = lint_folder(written(without("quotation.xlsx"), tmp_path), "en-US")
    assert [f.message for f in outcome.findings] == [
        "quotation.xlsx is missing. Run the estimate again to make every document"
    ]
    assert [gate.passed for gate in outcome.gates] == [None, None, False]


def test_findings_are_told_in_the_language_asked_for(tmp_path: Path) -> None:
    folder = written({**sound(), "quotation.xlsx": b"junk"}, tmp_path)

    def korean(findings: tuple[Finding, ...]) -> bool:
        return all(re.search(r"[가-힣]{2}", f.message) for f in findings)

    assert korean(lint_folder(folder, "ko-KR").findings)
    english = lint_folder(folder, "en-US").findings
    assert not any(re.search(r"[가-힣]", f.message) for f in english)


def test_what_the_pack_refuses_is_told(tmp_path: Path) -> None:
    folder = written(sound(), tmp_path / "pack")
    (folder / "drawings" / "more.svg").symlink_to("/etc/passwd")
    [found] = lint_folder(folder, "en-US").findings
    assert found.figures == {"path": "drawings/more.svg", "reason": "It is a link, not a file"}
    assert lint_folder(folder, "en-US").gates[-1].passed is False
    junk = tmp_path / "junk.zip"
    junk.write_bytes(b"junk")
    with pytest.raises(KisError, match="PACK_UNREADABLE"):
        lint_folder(junk, "en-US")


def test_only_documents_are_read_and_not_without_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "_READ_LIMIT", 4 << 20)
    folder = written(sound(), tmp_path)
    (folder / "inputs" / "large").write_bytes(bytes(5 << 20))
    assert told(folder) == []
    (folder / "drawings" / "large.svg").write_bytes(bytes(5 << 20))
    with pytest.raises(KisError, match="LINT_TOO_LARGE"):
        lint_folder(folder, "en-US")


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
