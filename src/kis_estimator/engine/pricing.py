"""Totals of the quote (§6). Exact: Decimal percentages, integer won."""

from __future__ import annotations

from collections.abc import Iterable

from kis_estimator.engine.model import PricingTerms, Totals
from kis_estimator.engine.rules import PricingRules
from kis_estimator.engine.units import won
from kis_estimator.errors import KisError


def totals(panels: Iterable[tuple[int, int]], terms: PricingTerms, rules: PricingRules) -> Totals:
    """Return the totals of (lines sum [won], number of identical panels) pairs.

    discount = lines sum x discountPct, half-up; the supply price is cut down to a multiple of
    roundDownTo, the cut is its own line; VAT is truncated to 1 won. Raises PRICING_RANGE.
    """
    if not 0 <= terms.discount_pct <= rules.discount_max_pct:
        raise KisError.of("PRICING_RANGE", field="discountPct", limit=rules.discount_max_pct)
    lines_sum = sum(amount * quantity for amount, quantity in panels)
    discount = won(lines_sum * terms.discount_pct / 100)
    rounding = (lines_sum - discount) % terms.round_down_to
    supply = lines_sum - discount - rounding
    vat = int(supply * rules.vat_pct / 100)
    return Totals(
        lines_sum=lines_sum,
        discount=discount,
        rounding=rounding,
        supply=supply,
        vat=vat,
        total=supply + vat,
    )
