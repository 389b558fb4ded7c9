"""The cover stage: what a quotation must say before it may be sent, as a list of named checks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kis_estimator.documents.sheet import Quotation
from kis_estimator.engine.model import Finding, Gate, Severity
from kis_estimator.errors import Locale, Notice

_REGISTRATION = re.compile(r"\d{3}-\d{2}-\d{5}")
_CHECK_DIGITS = (1, 3, 7, 1, 3, 7, 1, 3, 5)


@dataclass(frozen=True, slots=True)
class Cover:
    """What the checks look at: the quotation as printed, and where it is made."""

    quotation: Quotation
    production: bool


Problems = Iterator[tuple[Severity, str, dict[str, object]]]
Check = Callable[[Cover], Problems]


def check_cover(quotation: Quotation, *, production: bool) -> tuple[Finding, ...]:
    """Run every check; a violation keeps the quotation from being sent, a warning does not."""
    cover = Cover(quotation, production)
    return tuple(
        finding(severity, code, params, quotation.locale)
        for check in CHECKS
        for severity, code, params in check(cover)
    )


def cover_gate(findings: tuple[Finding, ...]) -> Gate:
    """Count the violations of the cover policy."""
    count = sum(f.severity == "violation" for f in findings)
    return Gate(stage="cover", name="policy_violations", value=count, limit=0, passed=count == 0)


def finding(severity: Severity, code: str, params: dict[str, object], locale: Locale) -> Finding:
    """Return a finding that says where and what to do."""
    text = Notice(code, params).explained(locale)
    return Finding(severity=severity, code=code, message=text, figures=params, source="documents")


def number_and_dates(cover: Cover) -> Problems:
    """The quotation has a number, and its validity ends after its date."""
    quotation = cover.quotation
    if not quotation.number:
        yield "violation", "COVER_NUMBER", {}
    if quotation.valid_until <= quotation.date:
        yield "violation", "COVER_VALIDITY", {"date": quotation.valid_until.isoformat()}


def customer(cover: Cover) -> Problems:
    """A customer who is not named stays blank, with a warning."""
    if not cover.quotation.customer:
        yield "warning", "COVER_CUSTOMER", {}


def supplier(cover: Cover) -> Problems:
    """The supplier is a real company: no placeholder in production, a valid registration number."""
    company = cover.quotation.supplier
    if company.placeholder:
        yield "violation" if cover.production else "warning", "COVER_PLACEHOLDER", {}
    elif not valid_registration(company.registration_number):
        yield "violation", "COVER_REGISTRATION", {"number": company.registration_number}


def valid_registration(number: str) -> bool:
    """Check a Korean business registration number (사업자등록번호) by its last digit.

    >>> valid_registration("120-81-47521"), valid_registration("120-81-47522")
    (True, False)
    """
    if not _REGISTRATION.fullmatch(number):
        return False
    digits = [int(char) for char in number if char.isdigit()]
    total = sum(digit * weight for digit, weight in zip(digits, _CHECK_DIGITS, strict=False))
    return (total + digits[8] * 5 // 10 + digits[9]) % 10 == 0


def amounts(cover: Cover) -> Problems:
    """The summary adds up as printed, and VAT is stated."""
    quotation = cover.quotation
    totals = quotation.totals
    rows = {row.kind: row.value for row in quotation.summary}
    printed = rows["lines_sum"] + rows.get("discount", 0) + rows.get("rounding", 0)
    panels = sum(panel.amount for panel in quotation.panels)
    for what, found, expected in (
        ("lines", rows["lines_sum"], panels),
        ("supply", printed, totals.supply),
        ("total", rows["supply"] + rows.get("vat", 0), totals.total),
    ):
        if found != expected:
            params = {"what": what, "found": found, "expected": expected}
            yield "violation", "COVER_TOTALS", params
    if "vat" not in rows:
        yield "violation", "COVER_VAT", {}


def prices(cover: Cover) -> Problems:
    """A quotation from the sample price book cannot be sent in production."""
    if cover.quotation.sample:
        yield "violation" if cover.production else "warning", "COVER_SAMPLE", {}


CHECKS: tuple[Check, ...] = (number_and_dates, customer, supplier, amounts, prices)
