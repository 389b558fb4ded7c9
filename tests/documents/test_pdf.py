import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.documents import builders, samples
from tests.documents.test_supplier import png

from kis_estimator.documents.drawing import drawing_files
from kis_estimator.documents.hangul import amount_in_hangul
from kis_estimator.documents.lettering import clean
from kis_estimator.documents.pdf import render_pdf
from kis_estimator.documents.pdf.glyphs import printable
from kis_estimator.documents.sheet import EstimateHeader, PanelTable, Quotation, build_quotation
from kis_estimator.engine.model import Customer, EngineResult, Finding, PanelResult, PricingTerms

ROOT = Path(__file__).parents[2]
SHA = hashlib.sha256(b"design").hexdigest()
TYPST_MARKUP = (
    "#let x = 1; *bold* _it_ `raw` $x^2$ @ref <label>",
    "C:\\new\\table \\u{41} \\n",
    "= heading",
    "- list // c /* d */",
    '#panic("no")',
    "W" * 120 + "-" + "x/" * 40,
    "100x200 -> fi ffl",
)
LONG = 90
ITEM = re.compile(r"^ *(\d+)  +.* ([\d,.]+) +([\d,]+) +([\d,]+)$", re.MULTILINE)


class Case(NamedTuple):
    quotation: Quotation
    document: bytes


def header(**changes: object) -> EstimateHeader:
    return replace(samples.header(), design_sha=SHA, **changes)  # type: ignore[arg-type]


def render(result: EngineResult, heading: EstimateHeader | None = None) -> Case:
    quotation = build_quotation(result, heading or header(locale=result.request.locale))
    drawn = drawing_files(result, quotation)
    drawings = [data.decode() for name, data in drawn.items() if name.endswith("-arrangement.svg")]
    return Case(quotation, render_pdf(quotation, drawings))


def long_panel(name: str = "LP-LONG", quantity: int = 1) -> PanelResult:
    """Return a panel whose bill of materials goes over several pages."""
    plain = samples.small(name)
    more = tuple(
        builders.line("branch", f"배선용차단기 {i}", "SBE-104 4P 100AF/75AT 14kA", "2", 10_007 + i)
        for i in range(LONG)
    )
    lines = (*plain.lines, *more)
    spec = replace(plain.devices.spec, quantity=quantity)
    return replace(
        plain,
        lines=lines,
        lines_sum=sum(line.amount for line in lines),
        devices=replace(plain.devices, spec=spec),
    )


def ordinary() -> Case:
    terms = PricingTerms(
        discount_pct=Decimal("3.3"), round_down_to=1000, markup_pct=Decimal("17.7")
    )
    panels = samples.small(), samples.many_small(), samples.big(), samples.domestic()
    return render(samples.result(*panels, pricing=terms), header(exclusions=("ACB 3P 1600A",)))


def english() -> Case:
    return render(samples.result(samples.small(), samples.many_small(), locale="en-US"))


def hostile() -> Case:
    panels = [samples.small(name) for name in (*samples.HOSTILE, *TYPST_MARKUP)]
    return render(
        samples.result(
            *panels,
            customer=Customer(name=samples.HOSTILE[2], contact=TYPST_MARKUP[0]),
            project=TYPST_MARKUP[5],
        ),
        header(exclusions=TYPST_MARKUP),
    )


def long() -> Case:
    return render(samples.result(long_panel(), long_panel("L-2", 4)))


MAKERS: dict[str, Callable[[], Case]] = {
    "ordinary": ordinary, "english": english, "hostile": hostile, "long": long,
}  # fmt: skip


@cache
def case(name: str) -> Case:
    return MAKERS[name]()


def run(*command: str, data: bytes) -> str:
    done = subprocess.run(command, input=data, capture_output=True, check=True)
    return done.stdout.decode()


def pages(data: bytes) -> list[str]:
    return run("pdftotext", "-layout", "-", "-", data=data).split("\f")[:-1]


def squeezed(data: bytes) -> str:
    """Return the text in reading order without its spaces, so that broken lines are joined."""
    return "".join(run("pdftotext", "-raw", "-", "-", data=data).split())


def bill_pages(found: list[str], panel: PanelTable) -> list[str]:
    """Return the pages of a panel's bill of materials."""
    first = next(i for i, page in enumerate(found) if panel.title in page)
    last = next(
        i for i in range(first, len(found)) if re.search(r"합계 \(1면\)|one panel", found[i])
    )
    ending = re.split("부하집계표|load schedule", found[last])[0]
    return [*found[first:last], ending]


def items(page: str) -> list[tuple[str, ...]]:
    return [found.groups() for found in ITEM.finditer(page)]


def won(text: str) -> int:
    return int(text.replace(",", ""))


# ---------------------------------------------------------------- figures


def test_the_cover_shows_the_quotation() -> None:
    quotation, document = case("ordinary")
    cover = pages(document)[0]
    total = quotation.totals.total
    assert f"일금 {amount_in_hangul(total)}원정 (₩{total:,})" in re.sub(" +", " ", cover)
    assert "부가세 포함" in cover
    for line in quotation.summary:
        assert re.search(rf"{re.escape(line.label)} +{line.value:,}$", cover, re.MULTILINE)
    assert {line.kind for line in quotation.summary} >= {"discount", "rounding"}
    for panel in quotation.panels:
        figures = rf"{panel.quantity} +{panel.unit_price:,} +{panel.amount:,}$"
        assert re.search(rf"^ *{panel.number} .*{figures}", cover, re.MULTILINE)
    supplier = quotation.supplier
    for text in (
        "견 적 서", quotation.customer, "귀하", quotation.number, quotation.date_text,
        quotation.valid_until_text, quotation.project, supplier.registration_number,
        supplier.name, supplier.representative, supplier.address, supplier.phone,
        supplier.business_item, supplier.delivery, supplier.payment, supplier.bank_account,
        *supplier.notes, "견적 제외", "ACB 3P 1600A", quotation.words["sample_mark"],
        quotation.words["placeholder_mark"],
    ):  # fmt: skip
        assert text in cover


@pytest.mark.parametrize("name", ["ordinary", "english", "long"])
def test_every_line_of_every_bill(name: str) -> None:
    quotation, document = case(name)
    found = pages(document)
    for panel in quotation.panels:
        bill = bill_pages(found, panel)
        rows = [row for group in panel.groups for row in group.rows]
        assert [row for page in bill for row in items(page)] == [
            (
                f"{row.number}",
                f"{row.quantity:,}",
                f"{row.unit_price:,}",
                f"{row.amount:,}",
            )
            for row in rows
        ]
        text = "\n".join(bill)
        for group in panel.groups:
            assert re.search(rf"(소계|Subtotal) +{group.subtotal:,}$", text, re.MULTILINE)
        assert re.search(rf"(합계 \(1면\)|one panel\)) +{panel.unit_price:,}$", text, re.MULTILINE)
        several = re.search(
            rf"(합계|Total) × {panel.quantity}면? +{panel.amount:,}$", text, re.MULTILINE
        )
        assert bool(several) == (panel.quantity > 1)


def test_sums_are_carried_from_page_to_page() -> None:
    quotation, document = case("long")
    found = pages(document)
    for panel in quotation.panels:
        bill = bill_pages(found, panel)
        assert len(bill) > 2
        so_far = 0
        for number, page in enumerate(bill, start=1):
            if number > 1:
                carried = re.search(rf"{panel.name} \(계속\) +전 쪽에서 이월 +([\d,]+)", page)
                assert carried
                assert won(carried[1]) == so_far
            assert "품명" in page
            so_far += sum(won(row[3]) for row in items(page))
            onward = re.search(r"다음 쪽으로 이월 +([\d,]+)$", page, re.MULTILINE)
            assert bool(onward) == (number < len(bill))
            assert onward is None or won(onward[1]) == so_far
        assert so_far == panel.unit_price


def test_the_load_schedule_shows_every_circuit_and_its_sums() -> None:
    quotation, document = case("ordinary")
    text = "\n".join(pages(document))
    for panel in quotation.panels:
        loads = panel.loads
        part = text.split(f"{panel.name} 부하집계표")[1].split("배치도")[0]
        sums = (loads.r_a,) if loads.single_phase else (loads.r_a, loads.s_a, loads.t_a)
        label = r"합계 \(A\)" if loads.single_phase else r"상별 합계 \(A\)"
        figures = " +".join(f"{value:,.0f}" for value in sums)
        assert re.search(rf"{label} +{figures}$", part, re.MULTILINE)
        for row in loads.rows:
            assert re.search(rf"^ *{row.circuit} +.*{re.escape(row.rating)}", part, re.MULTILINE)
        if loads.imbalance_pct is not None:
            assert f"= {loads.imbalance_pct:.2f}%" in part


def test_the_last_page_shows_every_check_and_the_hash() -> None:
    quotation, document = case("ordinary")
    last = pages(document)[-1]
    assert "설계검토" in last
    for row in quotation.checks:
        assert row.clause in last
    assert {"○ 적합", "△ 미확인"} <= set(re.findall("[○×△] [가-힣]+", last))
    assert SHA in squeezed(document)
    assert quotation.rule_set in last


def test_nothing_internal_is_printed() -> None:
    quotation, document = case("ordinary")
    text = "\n".join(pages(document))
    assert "17.7" not in text
    rules = {row.rule for panel in quotation.panels for g in panel.groups for row in g.rows}
    assert rules
    assert not [rule for rule in rules if rule in text]


# ---------------------------------------------------------------- drawings, marks, seal


@pytest.mark.parametrize("name", ["ordinary", "long"])
def test_every_panel_has_its_drawing_as_vectors(name: str) -> None:
    quotation, document = case(name)
    found = pages(document)
    for panel in quotation.panels:
        (drawing,) = (page for page in found if page.lstrip().startswith(f"{panel.name} 배치도"))
        assert "MAIN" in drawing
    assert len(run("pdfimages", "-list", "-", data=document).splitlines()) == 2


def test_a_drawing_too_few_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 drawings for 1 panels"):
        render_pdf(build_quotation(samples.result(samples.small()), header()), [])


def test_the_seal_is_printed_and_a_real_supplier_is_not_marked() -> None:
    supplier = replace(samples.header().supplier, placeholder=False, seal=png())
    result = samples.result(samples.small(), sample=False)
    quotation, document = render(result, header(supplier=supplier))
    images = run("pdfimages", "-list", "-", data=document).splitlines()[2:]
    assert [line.split()[:5:2] for line in images] == [["1", "image", "64"], ["1", "smask", "64"]]
    text = "\n".join(pages(document))
    for mark in ("placeholder_mark", "sample_mark", "sample_short"):
        assert quotation.words[mark] not in text


def test_every_page_of_a_sample_says_so() -> None:
    quotation, document = case("long")
    found = pages(document)
    for number, page in enumerate(found, start=1):
        assert quotation.words["sample_short"] in page
        assert re.search(rf"{quotation.number} +{number} / {len(found)} ", page)


# ---------------------------------------------------------------- the file


@pytest.mark.parametrize("name", MAKERS)
def test_the_file_is_sound(name: str, tmp_path: Path) -> None:
    _, document = case(name)
    path = tmp_path / "quotation.pdf"
    path.write_bytes(document)
    assert "No syntax or stream encoding errors" in run("qpdf", "--check", str(path), data=b"")
    facts = run("pdfinfo", str(path), data=b"")
    assert re.search(r"^Page size: .*\(A4\)$", facts, re.MULTILINE)
    assert re.search(r"^Tagged: +yes$", facts, re.MULTILINE)
    for claim in (b"<pdfaid:part>2<", b"<pdfaid:conformance>A<", b"<pdfuaid:part>1<"):
        assert claim in document


@pytest.mark.parametrize("name", MAKERS)
def test_only_our_fonts_and_all_of_them_embedded(name: str) -> None:
    rows = run("pdffonts", "-", data=case(name).document).splitlines()[2:]
    assert {row.split()[0].partition("+")[2] for row in rows} == {
        "Pretendard-Regular-Identity-H", "Pretendard-Bold-Identity-H",
    }  # fmt: skip
    assert {tuple(row.split()[-5:-2]) for row in rows} == {("yes", "yes", "yes")}


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_runs_out_of_the_page(name: str) -> None:
    layout = run("pdftotext", "-bbox", "-", "-", data=case(name).document)
    words = re.findall(r'<word xMin="([\d.-]+)" .*?xMax="([\d.-]+)" yMax="([\d.-]+)"', layout)
    assert len(words) > 300
    assert all(
        float(left) >= 20 and float(right) <= 575.3 and float(bottom) <= 822
        for left, right, bottom in words
    )


@pytest.mark.parametrize(("name", "language"), [("ordinary", "ko-KR"), ("english", "en-US")])
def test_title_language_and_alternative_texts(name: str, language: str, tmp_path: Path) -> None:
    quotation, document = case(name)
    plain = tmp_path / "plain.pdf"
    command = ("qpdf", "--qdf", "--object-streams=disable", "-", str(plain))
    path = tmp_path / "quotation.pdf"
    path.write_bytes(document)
    run(*command[:3], str(path), command[-1], data=b"")
    objects = plain.read_bytes()
    assert f"/Lang ({language})".encode() in objects
    title = f"{'견적서' if name == 'ordinary' else 'Quotation'} {quotation.number}"
    assert title in run("pdfinfo", str(path), data=b"")
    charts = sum(not panel.loads.single_phase for panel in quotation.panels)
    assert objects.count(b"/Alt ") == len(quotation.panels) + charts + 1


def test_english() -> None:
    quotation, document = case("english")
    text = "\n".join(pages(document))
    for label in ("QUOTATION", "Korean won, VAT included", "Bill of materials", "Load schedule"):
        assert label.lower() in text.lower()
    assert f"₩{quotation.totals.total:,}" in text
    for word in ("견 적 서", "합계", "소계", "귀하", "이월", "적합"):
        assert word not in text


# ---------------------------------------------------------------- hostile text


def test_hostile_text_is_printed_as_it_is() -> None:
    quotation, document = case("hostile")
    text = squeezed(document)
    given = [*samples.HOSTILE, *TYPST_MARKUP, quotation.project, quotation.contact]
    for name in given:
        (expected,), _ = printable([clean(name)])
        assert "".join(expected.split()) in text


def test_what_the_font_lacks_is_a_box() -> None:
    _, document = case("hostile")
    assert "패널□□" in squeezed(document)


@pytest.mark.parametrize(
    ("text", "shown", "missing"),
    [
        ("한글 Ω ㎟ ㈜ ½ ℃", "한글 Ω ㎟ ㈜ ½ ℃", set()),
        ("단자\ue14e", "단자□", {"\ue14e"}),
        ("단자\U000f0000", "단자□", {"\U000f0000"}),
        ("漢字", "□□", {"漢", "字"}),
        ("1\ufe0f", "1", set()),
        ("⚡\ufe0e", "□", {"⚡"}),
    ],
)
def test_printable(text: str, shown: str, missing: set[str]) -> None:
    assert printable([text]) == ([shown], missing)


def test_a_drawing_has_no_combining_marks() -> None:
    assert printable(["0\u0300"]) == (["0\u0300"], set())
    assert printable(["0\u0300"], drawn=True) == (["0□"], {"\u0300"})
    _, document = render(samples.result(samples.small("0\u0300")))
    assert "0\u0300내역서" in squeezed(document)


@given(st.text(max_size=120) | st.text("\u0300\u0323\u200d0aA가<>&'\"-=~#$\\", max_size=120))
@settings(max_examples=25)
def test_any_text_is_set(text: str) -> None:
    customer = Customer(name=text, contact=text)
    render(samples.result(samples.small(text), customer=customer, project=text))


def test_a_large_amount_is_not_cut() -> None:
    panel = samples.small()
    lines = (builders.line("main", "금 차단기", "24K", "9999", 999_999_999), *panel.lines[1:])
    panel = replace(panel, lines=lines, lines_sum=sum(line.amount for line in lines))
    quotation, document = render(samples.result(panel))
    found = pages(document)
    assert f"{quotation.totals.total:,}" in found[0]
    assert f"{lines[0].amount:,}" in found[1]


# ---------------------------------------------------------------- determinism

CHILD = """
import hashlib
from tests.documents import test_pdf
print(hashlib.sha256(test_pdf.case("ordinary").document).hexdigest())
"""


def test_same_bytes_in_any_process() -> None:
    digests = {hashlib.sha256(case("ordinary").document).hexdigest()}
    for zone, seed in (("Asia/Seoul", "1"), ("America/New_York", "2")):
        env = os.environ | {
            "TZ": zone, "PYTHONHASHSEED": seed, "LC_ALL": "C",
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        }  # fmt: skip
        child = subprocess.run(
            [sys.executable, "-c", CHILD], env=env, check=True, capture_output=True, text=True
        )
        digests.add(child.stdout.strip())
    assert len(digests) == 1


def test_earlier_documents_leave_no_trace() -> None:
    before = ordinary().document
    long()
    assert ordinary().document == before


# ---------------------------------------------------------------- pages that go on


def test_a_load_schedule_that_goes_on_says_whose_it_is() -> None:
    document = render(samples.result(samples.small("LP-0"), samples.sixty("L-60"))).document
    going_on = [page for page in pages(document) if "L-60 부하집계표 (계속)" in page]
    assert going_on
    assert not any("LP-0 부하집계표 (계속)" in page for page in pages(document))
    assert all(re.search(r"회로 +부하명", page) for page in going_on)


@pytest.mark.parametrize("count", [1, 2, 3, *range(9, 22)])
def test_the_totals_are_never_alone_on_a_page(count: int) -> None:
    panels = [samples.domestic(f"LP-{number}") for number in range(1, count + 1)]
    [page] = [
        page for page in pages(render(samples.result(*panels)).document) if "공급가액" in page
    ]
    assert f"LP-{count} " in page
    assert count == 1 or f"LP-{count - 1} " in page


def test_an_exceeded_advisory_is_told_apart() -> None:
    quotation = case("ordinary").quotation
    [row, *_] = [check for check in quotation.checks if check.clause == "10.10"]
    checks = (replace(row, status="exceeded"),)
    drawings = ["<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'/>"] * len(
        quotation.panels
    )
    last = squeezed(render_pdf(replace(quotation, checks=checks), drawings))
    assert "▲미확인·기준초과(참고)" in last


@pytest.mark.parametrize(
    ("code", "status"), [("TEMPERATURE", "not_verified"), ("TEMPERATURE_HIGH", "exceeded")]
)
def test_a_temperature_above_its_limit_is_told_apart(code: str, status: str) -> None:
    rise = Finding(severity="advisory", code=code, message="", figures={"air": 61, "limit": 55})
    panel = replace(samples.small(), findings=(rise,))
    [row] = [
        check
        for check in build_quotation(samples.result(panel), header()).checks
        if check.clause == "10.10"
    ]
    assert (row.status, row.figure, row.limit) == (status, "61 °C", "≤ 55 °C")
