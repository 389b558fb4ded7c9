"""Each check of the cover policy, broken once."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.documents.samples import ordinary

from kis_estimator.documents.cover import check_cover, cover_gate, valid_registration
from kis_estimator.documents.sheet import Quotation

REAL = {"placeholder": False, "registration_number": "120-81-47521"}


def quotation(**fields: Any) -> Quotation:
    plain = ordinary()
    supplier = replace(plain.supplier, **{**REAL, **fields.pop("supplier", {})})
    return replace(plain, **{"sample": False, "supplier": supplier, **fields})


def judged(made: Quotation, *, production: bool = True) -> list[tuple[str, str]]:
    return [(f.severity, f.code) for f in check_cover(made, production=production)]


def without_vat() -> Quotation:
    plain = quotation()
    return replace(plain, summary=tuple(row for row in plain.summary if row.kind != "vat"))


def wrong_supply() -> Quotation:
    plain = quotation()
    return replace(plain, totals=replace(plain.totals, supply=plain.totals.supply + 1))


def test_a_sound_quotation_has_no_finding() -> None:
    findings = check_cover(quotation(), production=True)
    assert findings == ()
    assert cover_gate(findings).passed is True


@pytest.mark.parametrize(
    ("made", "finding"),
    [
        (quotation(number=""), ("violation", "COVER_NUMBER")),
        (quotation(valid_until=quotation().date), ("violation", "COVER_VALIDITY")),
        (quotation(valid_until=quotation().date - timedelta(1)), ("violation", "COVER_VALIDITY")),
        (quotation(customer=""), ("warning", "COVER_CUSTOMER")),
        (quotation(supplier={"placeholder": True}), ("violation", "COVER_PLACEHOLDER")),
        (
            quotation(supplier={"registration_number": "120-81-47522"}),
            ("violation", "COVER_REGISTRATION"),
        ),
        (quotation(sample=True), ("violation", "COVER_SAMPLE")),
        (without_vat(), ("violation", "COVER_VAT")),
        (wrong_supply(), ("violation", "COVER_TOTALS")),
        (quotation(panels=quotation().panels[:1]), ("violation", "COVER_TOTALS")),
    ],
)
def test_what_breaks_the_policy(made: Quotation, finding: tuple[str, str]) -> None:
    findings = check_cover(made, production=True)
    assert finding in [(f.severity, f.code) for f in findings]
    assert cover_gate(findings).passed is (finding[0] != "violation")
    assert all(re.search(r"[가-힣]", f.message) for f in findings)


def test_placeholder_and_sample_only_warn_outside_production() -> None:
    made = quotation(sample=True, supplier={"placeholder": True})
    assert judged(made, production=False) == [
        ("warning", "COVER_PLACEHOLDER"),
        ("warning", "COVER_SAMPLE"),
    ]


@pytest.mark.parametrize(
    "number", ["", "120-81-4752", "1208147521", "000-00-00001", "abc-de-fghij"]
)
def test_invalid_registration_numbers(number: str) -> None:
    assert not valid_registration(number)
