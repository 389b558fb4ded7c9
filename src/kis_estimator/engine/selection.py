"""Breaker selection: what the customer asked for -> breakers that can be bought (§2)."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from kis_estimator.engine.catalog import Catalog
from kis_estimator.engine.model import (
    AccessoryUse,
    BreakerItem,
    BreakerSpec,
    Circuit,
    Finding,
    PanelDevices,
    PanelSpec,
    Spare,
    SpareSpec,
)
from kis_estimator.engine.rules import Rules, SelectionRules
from kis_estimator.engine.units import half_up, neighbours
from kis_estimator.errors import KisError, Locale, Notice


@dataclass(frozen=True, slots=True)
class Choice:
    """A breaker and, where it differs from what was asked, the code that says how."""

    item: BreakerItem
    code: str | None = None


def describe(spec: BreakerSpec) -> str:
    """Return what was asked for, in the trade's notation.

    >>> describe(BreakerSpec(role="branch", category="ELB", poles=2, rated_current_a=20))
    'ELB 2P 20A'
    """
    rating = (
        f"{spec.frame_af}AF/{spec.rated_current_a}AT"
        if spec.frame_af
        else f"{spec.rated_current_a}A"
    )
    parts = [spec.model or spec.category, f"{spec.poles}P", rating]
    if spec.breaking_capacity_ka:
        parts.append(f"{spec.breaking_capacity_ka.normalize():f}kA")
    return " ".join(parts)


def choose(spec: BreakerSpec, brand: str, catalog: Catalog, rules: SelectionRules) -> Choice:
    """Return the breaker for a row: AT, AF and kA as asked, smallest frame, economy first.

    Falls back to the brand's next larger frame, then to the brand without the tier named, then to
    another brand, each with its code. Raises UNKNOWN_MODEL, UNKNOWN_RATING, MODEL_MISMATCH,
    UNKNOWN_BRAND, AT_EXCEEDS_AF or NO_BREAKER, naming the nearest.
    """
    if spec.frame_af and spec.rated_current_a > spec.frame_af:
        raise KisError.of("AT_EXCEEDS_AF", at=spec.rated_current_a, af=spec.frame_af)
    if spec.model:
        return Choice(_of_model(spec, catalog, rules))
    if brand not in catalog.brands:
        raise KisError.of("UNKNOWN_BRAND", brand=brand, known=catalog.brands)
    pool = catalog.rated(spec.category, spec.poles, spec.rated_current_a)
    if not pool:
        raise KisError(_unknown_rating(spec, catalog))
    others = [name for name in catalog.brands if name != brand]
    tiers = (True, False) if spec.tier else (True,)
    for name in (brand, *others):
        for named_tier in tiers:
            found = _in_brand(
                spec, [b for b in pool if b.brand == name], rules, named_tier=named_tier
            )
            if found:
                code = "MIXED_BRAND" if name != brand else found.code
                return Choice(found.item, code)
    shortlist = sorted(
        pool, key=lambda b: (b.brand != brand, -b.breaking_capacity_ka, b.frame_af, b.sku)
    )[:3]
    nearest = [
        f"{b.model} {b.frame_af}AF {b.breaking_capacity_ka.normalize():f}kA" for b in shortlist
    ]
    raise KisError.of("NO_BREAKER", request=describe(spec), nearest=nearest)


def _unknown_rating(spec: BreakerSpec, catalog: Catalog) -> Notice:
    ratings = catalog.ratings(spec.category, spec.poles)
    if not ratings:
        known = [f"{poles}P" for poles in catalog.poles(spec.category)]
        params = {"kind": spec.category, "poles": f"{spec.poles}P", "known": known}
        return Notice("UNKNOWN_POLES", params)
    kind = f"{spec.category} {spec.poles}P"
    nearest = neighbours(spec.rated_current_a, ratings)
    return Notice(
        "UNKNOWN_RATING", {"rating": spec.rated_current_a, "kind": kind, "nearest": nearest}
    )


def _in_brand(
    spec: BreakerSpec, pool: list[BreakerItem], rules: SelectionRules, *, named_tier: bool
) -> Choice | None:
    fitting = [b for b in pool if _allowed(b, spec, rules, named_tier=named_tier)]
    if not named_tier:
        code: str | None = "TIER_CHANGED"
    else:
        code = None
    asked = spec.frame_af
    if asked is None:
        return Choice(_preferred(fitting, spec, rules), code) if fitting else None
    same = [b for b in fitting if frame_class(b.frame_af, rules) == frame_class(asked, rules)]
    if same:
        return Choice(_preferred(same, spec, rules), code)
    larger = [b for b in fitting if b.frame_af > asked]
    if not larger:
        return None
    item = _preferred(larger, spec, rules)
    silent = spec.breaking_capacity_ka and (asked, item.frame_af) == rules.silent_rise_af
    return Choice(item, code if silent else code or "FRAME_CHANGED")


def _allowed(
    item: BreakerItem, spec: BreakerSpec, rules: SelectionRules, *, named_tier: bool
) -> bool:
    if spec.breaking_capacity_ka and item.breaking_capacity_ka < spec.breaking_capacity_ka:
        return False
    if _is_low_voltage(item, spec, rules):
        return False
    if spec.tier and named_tier:
        return item.tier == spec.tier
    if item.tier == rules.compact_tier:
        return _takes_compact(spec, rules)
    return True


def _is_low_voltage(item: BreakerItem, spec: BreakerSpec, rules: SelectionRules) -> bool:
    """Return whether a small device of 220 V is asked to break a higher voltage."""
    return item.tier == rules.small_tier and (spec.voltage or 0) > rules.small_device_voltage_v


def _takes_compact(spec: BreakerSpec, rules: SelectionRules) -> bool:
    return (
        spec.tier is None
        and spec.poles == rules.compact_poles
        and spec.frame_af == rules.compact_frame_af
        and spec.rated_current_a in rules.compact_ratings_a
    )


def _preferred(items: list[BreakerItem], spec: BreakerSpec, rules: SelectionRules) -> BreakerItem:
    order = [rules.small_tier, *rules.tier_order, rules.compact_tier]
    if _takes_compact(spec, rules):
        order.insert(0, order.pop())

    def key(item: BreakerItem) -> tuple[int, int, int, str]:
        rank = order.index(item.tier) if item.tier in order else len(order)
        return (item.frame_af, rank, item.unit_price_krw, item.sku)

    return min(items, key=key)


def frame_class(frame_af: int, rules: SelectionRules) -> int:
    """Return the frame that stands for its class (225 and 250 AF are one)."""
    return rules.same_frames_af[0] if frame_af in rules.same_frames_af else frame_af


def _of_model(spec: BreakerSpec, catalog: Catalog, rules: SelectionRules) -> BreakerItem:
    model = spec.model or ""
    items = catalog.of_model(model)
    if not items:
        nearest = difflib.get_close_matches(model.upper(), catalog.models, n=3, cutoff=0.5)
        code = "UNKNOWN_MODEL" if nearest else "UNKNOWN_MODEL_FAR"
        raise KisError.of(code, model=model, nearest=nearest)
    for item in items:
        if item.rated_current_a != spec.rated_current_a:
            continue
        short = spec.breaking_capacity_ka and item.breaking_capacity_ka < spec.breaking_capacity_ka
        frame = spec.frame_af or item.frame_af
        other_frame = frame_class(frame, rules) != frame_class(item.frame_af, rules)
        low_voltage = _is_low_voltage(item, spec, rules)
        if (
            (item.category, item.poles) != (spec.category, spec.poles)
            or short
            or other_frame
            or low_voltage
        ):
            real = (
                f"{item.category} {item.poles}P {item.frame_af}AF {item.breaking_capacity_ka:f}kA"
            )
            raise KisError.of("MODEL_MISMATCH", model=item.model, real=real, request=describe(spec))
        return item
    known = tuple(sorted(item.rated_current_a for item in items))
    raise KisError.of(
        "UNKNOWN_RATING",
        rating=spec.rated_current_a,
        kind=items[0].model,
        nearest=neighbours(spec.rated_current_a, known),
    )


def panel_brand(spec: PanelSpec, catalog: Catalog, rules: SelectionRules) -> str:
    """Return the panel's brand: the main's (by name or model), else the default."""
    for row in spec.breakers:
        if row.role == "main":
            items = catalog.of_model(row.model) if row.model else ()
            if items:
                return items[0].brand
            if row.brand:
                return row.brand
    return rules.default_brand


def select_panel(
    spec: PanelSpec, catalog: Catalog, rules: Rules, locale: Locale
) -> tuple[PanelDevices, tuple[Finding, ...]]:
    """Return the real devices of a panel and what differs from the request.

    Raises one KisError with a notice per row that has no breaker, and MAIN_COUNT, UNKNOWN_ACCESSORY
    or NO_SPARE_BODY.
    """
    selection = rules.selection
    brand = panel_brand(spec, catalog, selection)
    problems: list[Notice] = []
    findings: list[Finding] = []
    chosen: list[tuple[BreakerSpec, BreakerItem]] = []
    for row in spec.breakers:
        try:
            choice = choose(row, row.brand or brand, catalog, selection)
        except KisError as error:
            problems += [
                Notice(n.code, n.params, sheet=spec.name, text=describe(row)) for n in error.notices
            ]
            continue
        chosen.append((row, choice.item))
        if choice.code:
            findings.append(_difference(choice, row, row.brand or brand, rules, locale, spec.name))
    mains = [(row, item) for row, item in chosen if row.role == "main"]
    if not problems and (len(mains) != 1 or mains[0][0].quantity != 1):
        count = sum(row.quantity for row, _ in mains)
        problems.append(Notice("MAIN_COUNT", {"panel": spec.name, "count": count}))
    accessories: list[AccessoryUse] = []
    wishes = rules.accessories
    for asked in spec.accessories:
        if asked.sku in (wishes.selector_switch_sku, wishes.p_cover_sku):
            continue
        try:
            item = catalog.accessory(asked.sku)
        except KisError as error:
            problems += error.notices
            continue
        accessories.append(
            AccessoryUse(
                item=item,
                quantity=asked.quantity,
                asked=True,
                rule="asked",
                position=asked.position,
            )
        )
    if problems:
        raise KisError(*problems)
    circuits = _circuits(chosen, accessories, brand, catalog, rules)
    devices = PanelDevices(
        spec=spec,
        main=mains[0][1],
        main_spec=mains[0][0],
        circuits=circuits,
        spares=tuple(_spares(spec.spares, circuits, brand, catalog, selection)),
        brand=brand,
        accessories=tuple(accessories),
        steel_p_cover=any(a.sku == wishes.p_cover_sku for a in spec.accessories),
    )
    return devices, tuple(findings)


def _difference(
    choice: Choice, row: BreakerSpec, brand: str, rules: Rules, locale: Locale, panel: str
) -> Finding:
    item = choice.item

    def tier(name: str | None) -> str:
        return rules.text(name, locale) if name and name in rules.texts else str(name)

    return rules.finding(
        choice.code or "",
        locale,
        panel,
        request=describe(row),
        brand=item.brand if choice.code == "MIXED_BRAND" else brand,
        asked=tier(row.tier) if choice.code == "TIER_CHANGED" else brand,
        model=item.model,
        frame=item.frame_af,
        rating=item.rated_current_a,
        tier=tier(item.tier),
    )


def _circuits(
    chosen: list[tuple[BreakerSpec, BreakerItem]],
    accessories: list[AccessoryUse],
    brand: str,
    catalog: Catalog,
    rules: Rules,
) -> tuple[Circuit, ...]:
    """Expand quantities and sort: poles, frame, AT falling, equal ones in the request's order.

    Each SPD asked for gets a breaker, unless the schedule lists one labelled for it.
    """
    label = rules.selection.spd_label
    rows = [(r, item, label in (r.label or "")) for r, item in chosen if r.role == "branch"]
    surge = sum(
        use.quantity for use in accessories if use.item.category == rules.selection.spd_category
    )
    missing = surge - sum(row.quantity for row, _, is_spd in rows if is_spd)
    if missing > 0:
        row, item = _spd_breaker(missing, brand, catalog, rules.selection)
        rows.append((row, item, True))
    rows.sort(key=lambda r: (-r[1].poles, -r[1].frame_af, -r[1].rated_current_a))
    circuits: list[Circuit] = []
    for row, item, is_spd in rows:
        stated = row.load_a is not None
        load = row.load_a if row.load_a is not None else Decimal(item.rated_current_a)
        for _ in range(row.quantity):
            circuits.append(
                Circuit(
                    number=len(circuits) + 1,
                    item=item,
                    spec=row,
                    load_a=Decimal(0) if is_spd else half_up(load, rules.phase.load_step_a),
                    load_stated=stated,
                    is_spd=is_spd,
                    two_phase=row.voltage == rules.phase.line_voltage_v and not item.three_phase,
                )
            )
    return tuple(circuits)


def _spd_breaker(
    quantity: int, brand: str, catalog: Catalog, rules: SelectionRules
) -> tuple[BreakerSpec, BreakerItem]:
    ratings = catalog.ratings("MCCB", rules.spd_poles, brand)
    rating = next((r for r in ratings if r >= rules.spd_rating_a), rules.spd_rating_a)
    row = BreakerSpec(
        role="branch",
        category="MCCB",
        poles=rules.spd_poles,
        rated_current_a=rating,
        quantity=quantity,
        load_a=Decimal(0),
        label=rules.spd_label,
    )
    return row, choose(row, brand, catalog, rules).item


def _spares(
    specs: tuple[SpareSpec, ...],
    circuits: tuple[Circuit, ...],
    brand: str,
    catalog: Catalog,
    rules: SelectionRules,
) -> Iterator[Spare]:
    for spec in specs:
        like = [c.item for c in circuits if not c.is_spd and _is_body_of(c.item, spec, rules)]
        if like:
            body = Counter(like).most_common(1)[0][0]
        else:
            bodies = [item for item in catalog.breakers if _is_body_of(item, spec, rules)]
            if not bodies or spec.poles is spec.frame_af is None:
                raise KisError.of(
                    "NO_SPARE_BODY", poles=spec.poles or "-", frame=spec.frame_af or "-"
                )
            compact = rules.compact_tier
            body = min(
                bodies, key=lambda b: (b.brand != brand, b.frame_af, b.tier == compact, b.sku)
            )
        for _ in range(spec.quantity):
            yield Spare(item=body)


def _is_body_of(item: BreakerItem, spec: SpareSpec, rules: SelectionRules) -> bool:
    """Return whether a breaker has the poles and the frame that a spare names, if it does."""
    return spec.poles in (None, item.poles) and (
        spec.frame_af is None
        or frame_class(spec.frame_af, rules) == frame_class(item.frame_af, rules)
    )
