"""Enclosure: the required size (§5), and the stock or made-to-measure box that meets it."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Protocol

from kis_estimator.engine.catalog import Catalog
from kis_estimator.engine.formulas import custom_price_krw, ip_at_least
from kis_estimator.engine.model import (
    Candidate,
    EnclosureItem,
    EnclosureNeed,
    EnclosureResult,
    Finding,
    Location,
    Material,
    Mounting,
    PanelDevices,
    PanelSpec,
)
from kis_estimator.engine.rules import EnclosureRules, Rules
from kis_estimator.engine.units import ceil_to
from kis_estimator.errors import KisError, Locale

_SCORE = Decimal("0.0001")
_WIDER_STEPS = 4


class Extents(Protocol):
    """What the layout takes at a width [mm]; the placement's plan is one."""

    @property
    def top_mm(self) -> int: ...  # noqa: D102 - the parts of H = A + B + C + D + E
    @property
    def main_to_branch_mm(self) -> int: ...  # noqa: D102
    @property
    def branches_mm(self) -> int: ...  # noqa: D102
    @property
    def accessories_mm(self) -> int: ...  # noqa: D102
    @property
    def bottom_mm(self) -> int: ...  # noqa: D102
    @property
    def shop_height_mm(self) -> int: ...  # noqa: D102
    @property
    def layout_height_mm(self) -> int: ...  # noqa: D102
    @property
    def least_width_mm(self) -> int: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked of the enclosure, with the defaults filled in."""

    location: Location
    mounting: Mounting
    material: Material
    ip_rating: str


def wish(spec: PanelSpec, rules: EnclosureRules) -> Wish:
    """Return the wish of a panel. A pole stands outdoors; POLE_INDOOR where indoor was asked."""
    mounting = spec.mounting or rules.mounting
    if mounting == "pole" and spec.location == "indoor":
        raise KisError.of("POLE_INDOOR", panel=spec.name)
    default: Location = "outdoor" if mounting == "pole" else rules.location
    return Wish(
        location=spec.location or default,
        mounting=mounting,
        material=spec.material or rules.material,
        ip_rating=spec.ip_rating or rules.ip_rating,
    )


def required(
    devices: PanelDevices, extents: Callable[[int, int], Extents], rules: Rules
) -> EnclosureNeed:
    """Return the required size: max(shop formula, layout), and rounded up the made-to-measure box.

    `extents(width_mm, columns)` is what the layout takes. Where two columns would be taller than
    1,600, four are tried in wider boxes; what stays within the height limit wins, then the smaller
    front.
    """
    need = _need(devices, extents, 2, 0, rules)
    if need.branches_mm <= rules.layout.four_columns_above_mm:
        return need
    step = rules.enclosure.round_front_mm
    wider = [_need(devices, extents, 4, extra * step, rules) for extra in range(_WIDER_STEPS)]

    def rank(option: EnclosureNeed) -> tuple[bool, int]:
        too_tall = option.height_mm > rules.layout.height_limit_mm
        return (too_tall, option.made_width_mm * option.made_height_mm)

    return min(need, *wider, key=rank)


def _need(
    devices: PanelDevices,
    extents: Callable[[int, int], Extents],
    columns: int,
    wider_mm: int,
    rules: Rules,
) -> EnclosureNeed:
    """Return what a panel needs at the shop's width, or `wider_mm` more."""
    shop = rules.enclosure
    shop_width = _shop_width_mm(devices, extents, columns, rules)
    width = max(shop_width, extents(shop_width, columns).least_width_mm) + wider_mm
    taken = extents(width, columns)
    height = max(taken.shop_height_mm, taken.layout_height_mm)
    bodies = (devices.main, *(c.item for c in devices.circuits))
    deepest = max(body.depth_mm for body in bodies)
    depth = _depth_mm(devices, deepest, rules)
    return EnclosureNeed(
        top_mm=taken.top_mm,
        main_to_branch_mm=taken.main_to_branch_mm,
        branches_mm=taken.branches_mm,
        bottom_mm=taken.bottom_mm,
        accessories_mm=taken.accessories_mm,
        columns=columns,
        shop_width_mm=shop_width,
        shop_height_mm=taken.shop_height_mm,
        layout_width_mm=taken.least_width_mm,
        layout_height_mm=taken.layout_height_mm,
        width_mm=width,
        height_mm=height,
        depth_mm=depth,
        made_width_mm=ceil_to(width, shop.round_front_mm),
        made_height_mm=ceil_to(height, shop.round_front_mm),
        made_depth_mm=ceil_to(depth, shop.round_depth_mm),
        deepest_body_mm=deepest,
    )


def _shop_width_mm(
    devices: PanelDevices,
    extents: Callable[[int, int], Extents],
    columns: int,
    rules: Rules,
) -> int:
    """Return W by the main's frame; 500 for a small panel of 30AF branches up to 900 high."""
    shop = rules.enclosure
    main_af = devices.main.frame_af
    frames = [circuit.item.frame_af for circuit in devices.circuits]
    extra = shop.many_branches_mm if len(frames) >= shop.many_branches else 0
    wide = sum(frame in rules.selection.same_frames_af for frame in frames)
    if wide >= shop.wide_branches and main_af <= shop.wide_branches_main_af:
        extra += shop.wide_branches_mm
    extra += sum(
        use.item.width_mm * use.quantity
        for use in devices.accessories
        if use.item.category == "meter" and use.position == "beside"
    )
    if main_af <= shop.narrow_main_af and all(frame <= shop.narrow_frame_af for frame in frames):
        narrow = shop.narrow_width_mm + extra
        if extents(narrow, columns).shop_height_mm <= shop.narrow_height_mm:
            return narrow
    return shop.width_mm.at(main_af) + extra


def _depth_mm(devices: PanelDevices, deepest_mm: int, rules: Rules) -> int:
    """Return D: the deepest body, mounting plate and door clearance; more for parts in the door."""
    shop, layout = rules.enclosure, rules.layout
    depth = max(shop.depth_mm, deepest_mm + layout.plate_offset_mm + layout.door_clearance_mm)
    if any(use.item.category in shop.door_part_categories for use in devices.accessories):
        flat = deepest_mm <= shop.flat_body_mm
        depth = max(depth, shop.door_parts_depth_mm if flat else shop.door_parts_deep_mm)
    return depth


# ---------------------------------------------------------------- choosing


def choose(
    devices: PanelDevices, need: EnclosureNeed, catalog: Catalog, rules: Rules, locale: Locale
) -> EnclosureResult:
    """Return the box: the one asked for, else the best stock box, else one made to measure.

    fit_score = share of the front that is needed, min(1, W*H* / WH), 0 where a hard rule fails;
    best score, then depth, price, sku. Raises UNKNOWN_ENCLOSURE for an unknown sku.
    """
    spec, gate = devices.spec, rules.enclosure.fit_score_gate
    asked = wish(spec, rules.enclosure)
    judged = [(_judge(item, need, asked, rules, locale), item) for item in catalog.enclosures]
    findings: list[Finding] = []
    if spec.mounting == "pole" and spec.location is None:
        findings.append(rules.finding("LOCATION_ASSUMED", locale, spec.name))
    made = _made_to_measure(need, asked, rules.enclosure)
    if spec.enclosure_sku:
        score, box = _asked_for(spec, judged)
        reason = "asked for"
        if score.reason:
            findings.append(_unfit(score, need, rules, locale, spec.name))
    else:
        fitting = [pair for pair in judged if pair[0].fit_score >= gate]
        if fitting:
            score, box = min(fitting, key=_preference)
            reason = "best fit score, then depth, price, sku"
        else:
            score, box = Candidate(sku=made.sku, fit_score=Decimal(1), reason=None), made
            reason = f"no stock box reaches {gate}"
            findings += _cheaper_stock(judged, made, rules, locale, spec.name)
    return EnclosureResult(
        sku=box.sku,
        custom=box is made,
        width_mm=box.width_mm,
        height_mm=box.height_mm,
        depth_mm=box.depth_mm,
        ip_rating=box.ip_rating,
        location=box.location,
        mounting=asked.mounting,
        material=box.material,
        thickness_mm=box.thickness_mm,
        unit_price_krw=box.unit_price_krw,
        fit_score=score.fit_score,
        door_clearance_mm=box.depth_mm - rules.layout.plate_offset_mm - need.deepest_body_mm,
        need=need,
        candidates=tuple(candidate for candidate, _ in judged),
        next_smaller=_next_smaller(judged, asked, box),
        reason=reason,
        findings=tuple(findings),
    )


def _judge(
    item: EnclosureItem, need: EnclosureNeed, asked: Wish, rules: Rules, locale: Locale
) -> Candidate:
    """Score a stock box; the reason of a rejection is what it has, and what is asked for."""

    def word(key: str) -> str:
        return rules.text(key, locale)

    ip_ok = ip_at_least(item.ip_rating, asked.ip_rating)
    rejections = [
        text
        for text, fails in (
            (f"{word('surface')} ≠ {word(asked.mounting)}", asked.mounting != "surface"),
            (f"{word(item.material)} ≠ {word(asked.material)}", item.material != asked.material),
            (f"{word(item.location)} ≠ {word(asked.location)}", item.location != asked.location),
            (f"{item.ip_rating} < {asked.ip_rating}", not ip_ok),
            (f"W {item.width_mm} < {need.width_mm}", item.width_mm < need.width_mm),
            (f"H {item.height_mm} < {need.height_mm}", item.height_mm < need.height_mm),
            (f"D {item.depth_mm} < {need.depth_mm}", item.depth_mm < need.depth_mm),
        )
        if fails
    ]
    if rejections:
        return Candidate(sku=item.sku, fit_score=Decimal(0), reason="; ".join(rejections))
    needed = Decimal(need.made_width_mm * need.made_height_mm)
    share = min(Decimal(1), needed / (item.width_mm * item.height_mm))
    score = share.quantize(_SCORE, rounding=ROUND_DOWN)
    return Candidate(sku=item.sku, fit_score=score, reason=None)


def _preference(judged: tuple[Candidate, EnclosureItem]) -> tuple[Decimal, int, int, str]:
    candidate, item = judged
    return (-candidate.fit_score, item.depth_mm, item.unit_price_krw, item.sku)


def _asked_for(
    spec: PanelSpec, judged: list[tuple[Candidate, EnclosureItem]]
) -> tuple[Candidate, EnclosureItem]:
    for candidate, item in judged:
        if item.sku == spec.enclosure_sku:
            return candidate, item
    known = [item.sku for _, item in judged]
    nearest = difflib.get_close_matches(spec.enclosure_sku or "", known, n=3, cutoff=0.5)
    raise KisError.of("UNKNOWN_ENCLOSURE", sku=spec.enclosure_sku, panel=spec.name, nearest=nearest)


def _made_to_measure(need: EnclosureNeed, asked: Wish, shop: EnclosureRules) -> EnclosureItem:
    width, height, depth = need.made_width_mm, need.made_height_mm, need.made_depth_mm
    steel = asked.material == "steel"
    rate = shop.custom_rate_steel_krw if steel else shop.custom_rate_sus201_krw
    thickness = shop.custom_thickness_steel_mm if steel else shop.custom_thickness_sus201_mm
    return EnclosureItem(
        sku=f"CUSTOM {width}×{height}×{depth}",
        series="CUSTOM",
        material=asked.material,
        thickness_mm=thickness,
        location=asked.location,
        ip_rating=asked.ip_rating,
        width_mm=width,
        height_mm=height,
        depth_mm=depth,
        unit_price_krw=custom_price_krw(width, height, depth, rate, shop),
    )


def _unfit(
    candidate: Candidate, need: EnclosureNeed, rules: Rules, locale: Locale, panel: str
) -> Finding:
    return rules.finding(
        "ENCLOSURE_UNFIT",
        locale,
        panel,
        sku=candidate.sku,
        reason=candidate.reason,
        width=need.width_mm,
        height=need.height_mm,
        depth=need.depth_mm,
    )


def _cheaper_stock(
    judged: list[tuple[Candidate, EnclosureItem]],
    made: EnclosureItem,
    rules: Rules,
    locale: Locale,
    panel: str,
) -> list[Finding]:
    """Recommend the cheapest larger stock box that fits, where it costs less than the made one."""
    fitting = [(c, i) for c, i in judged if not c.reason and i.unit_price_krw < made.unit_price_krw]
    if not fitting:
        return []
    candidate, item = min(fitting, key=lambda pair: (pair[1].unit_price_krw, pair[1].sku))
    return [
        rules.finding(
            "STOCK_CHEAPER",
            locale,
            panel,
            sku=item.sku,
            width=item.width_mm,
            height=item.height_mm,
            depth=item.depth_mm,
            score=candidate.fit_score,
            saving=made.unit_price_krw - item.unit_price_krw,
        )
    ]


def _next_smaller(
    judged: list[tuple[Candidate, EnclosureItem]], asked: Wish, box: EnclosureItem
) -> str | None:
    """Return the next smaller stock box of the kind asked for, and why it was rejected."""
    front = box.width_mm * box.height_mm
    smaller = [
        (item.width_mm * item.height_mm, item.depth_mm, item.sku, candidate)
        for candidate, item in judged
        if item.width_mm * item.height_mm < front
        and (item.material, item.location) == (asked.material, asked.location)
        and ip_at_least(item.ip_rating, asked.ip_rating)
    ]
    if not smaller:
        return None
    *_, sku, candidate = max(smaller, key=lambda entry: entry[:3])
    return f"{sku}: {candidate.reason or f'fit score {candidate.fit_score}'}"
