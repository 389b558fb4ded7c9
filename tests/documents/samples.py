"""Hand-made engine results: panels of every kind, an ordinary quotation and a hostile one."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from tests.documents.builders import Feeder, Shape, breaker, line, panel

from kis_estimator.documents.sheet import EstimateHeader, Quotation, build_quotation
from kis_estimator.documents.supplier import parse_supplier, placeholder_bytes
from kis_estimator.engine.model import (
    Customer,
    EngineResult,
    EstimateRequest,
    PanelResult,
    PricingTerms,
    Totals,
)
from kis_estimator.errors import Locale

HOSTILE = (
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "가나다라마바사아자차" * 30,
    "패널 🔌⚡👨‍👩‍👧",
    "a\x00b\x1f\u202e&amp;\"'",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "   ",
    "History",
    "[:*?/\\]",
    "_x0041_\ud800\ufffe",
)


def small(name: str = "LP-1") -> PanelResult:
    """Return six branches in a 600 x 800 box."""
    return panel(
        name,
        [
            Feeder("ELB", 4, 50, 30, "동력 펌프"),
            Feeder("MCCB", 3, 50, 30, "냉난방기"),
            Feeder("ELB", 2, 30, 20, "전등"),
            Feeder("ELB", 2, 30, 20, "전열"),
            Feeder("ELB", 2, 30, 30, "냉장고"),
            Feeder("MCCB", 2, 50, 20, "비상등"),
        ],
        box=Shape(600, 900),
        spares=2,
    )


def many_small(name: str = "L-2") -> PanelResult:
    """Return 24 small breakers, side by side, with ducts."""
    feeders = [Feeder("ELB", 2, 30, 20, f"전열 {i}") for i in range(1, 25)]
    return panel(name, feeders, box=Shape(700, 1100, duct=True), quantity=3)


def big(name: str = "동력반 P-1") -> PanelResult:
    """Return a 400AF panel."""
    feeders = [
        Feeder("MCCB", 4, 225, 150, "엘리베이터"),
        Feeder("MCCB", 3, 225, 125, "소방펌프"),
        Feeder("MCCB", 3, 100, 100, "급수펌프"),
        Feeder("MCCB", 3, 100, 75, "배수펌프"),
        Feeder("ELB", 3, 50, 50),
        Feeder("ELB", 2, 50, 30, "용접기", "RS"),
        Feeder("ELB", 2, 50, 30),
    ]
    return panel(
        name, feeders, box=Shape(800, 1300, 250, top=250),
        main=breaker("MCCB", 4, 400, 300), custom=True,
    )  # fmt: skip


def sixty(name: str = "L-60") -> PanelResult:
    """Return 60 branches in two columns."""
    feeders = [Feeder("ELB", 4, 50, 30)] * 6 + [Feeder("ELB", 2, 30, 20, "전등·전열")] * 54
    return panel(name, feeders, box=Shape(700, 1900), main=breaker("MCCB", 4, 225, 200))


def wide(name: str = "L-WIDE") -> PanelResult:
    """Return 60 branches in four columns and two corridors."""
    feeders = [Feeder("MCCB", 4, 100, 60, "FCU")] * 8 + [Feeder("MCCB", 2, 50, 20)] * 52
    box = Shape(1200, 1700, columns=4)
    return panel(name, feeders, box=box, main=breaker("MCCB", 4, 225, 200))


def domestic(name: str = "세대 분전반") -> PanelResult:
    """Return a single-phase panel, which has no phases to balance."""
    feeders = [Feeder("ELB", 2, 30, 20, label) for label in ("전등", "전열", "주방", "에어컨")]
    return panel(
        name, feeders, box=Shape(400, 500, 150, top=130, bare=True),
        main=breaker("MCCB", 2, 50, 40), balanced=False,
    )  # fmt: skip


def result(
    *panels: PanelResult,
    pricing: PricingTerms | None = None,
    customer: Customer | None = None,
    project: str | None = "한빛 물류센터 신축공사",
    locale: Locale = "ko-KR",
    sample: bool = True,
) -> EngineResult:
    """Return a priced result with the rules' arithmetic."""
    pricing = pricing or PricingTerms()
    lines_sum = sum(one.lines_sum * one.quantity for one in panels)
    discount = int(lines_sum * pricing.discount_pct / 100 + Decimal("0.5"))
    rounding = (lines_sum - discount) % pricing.round_down_to
    supply = lines_sum - discount - rounding
    vat = supply // 10
    return EngineResult(
        request=EstimateRequest(
            customer=customer or Customer(name="주식회사 한빛전기", contact="김현수 과장"),
            panels=tuple(one.devices.spec for one in panels),
            project=project,
            locale=locale,
            pricing=pricing,
        ),
        panels=panels,
        totals=Totals(
            lines_sum=lines_sum, discount=discount, rounding=rounding,
            supply=supply, vat=vat, total=supply + vat,
        ),
        gates=(),
        findings=(),
        catalog_sha="0" * 64,
        catalog_is_sample=sample,
        rule_set="test",
        rules_sha="0" * 64,
    )  # fmt: skip


def header(locale: Locale = "ko-KR") -> EstimateHeader:
    """Return the header of the sample estimate."""
    return EstimateHeader(
        number="KIS-20251124-0001",
        revision=1,
        date=date(2025, 11, 24),
        valid_until=date(2025, 12, 24),
        locale=locale,
        vat_pct=Decimal(10),
        supplier=parse_supplier(placeholder_bytes()),
        design_sha="0" * 64,
    )


def ordinary() -> Quotation:
    """Return a quotation of three panels with discount and 절사."""
    terms = PricingTerms(discount_pct=Decimal("3.3"), round_down_to=1000)
    return build_quotation(result(small(), many_small(), big(), pricing=terms), header())


def hostile() -> EngineResult:
    """Return a panel for every hostile name, with a hostile customer and project."""
    panels = []
    for name in HOSTILE:
        plain = small(name)
        lines = (line("branch", name, name, "1", 1000), *plain.lines[1:])
        lines_sum = sum(one.amount for one in lines)
        panels.append(replace(plain, lines=lines, lines_sum=lines_sum))
    return result(
        *panels,
        customer=Customer(name=HOSTILE[0], contact=HOSTILE[2]),
        project=HOSTILE[2],
    )
