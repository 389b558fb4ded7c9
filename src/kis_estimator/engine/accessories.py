"""Accessories of a panel: those asked for, and those that a rule derives from them (§6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from kis_estimator.engine.catalog import Catalog
from kis_estimator.engine.model import AccessoryUse, Finding, PanelDevices
from kis_estimator.engine.rules import Rules
from kis_estimator.engine.units import half_up
from kis_estimator.errors import Locale

CONTACTOR, TIMER, METER = "magnet_contactor", "timer", "meter"
DUCT, CT = "pvc_duct", "current_transformer"
BARS = frozenset({"earth_terminal", "neutral_terminal"})


@dataclass(frozen=True, slots=True)
class Accessories:
    """The complete list, asked for first, and what was changed or left out."""

    uses: tuple[AccessoryUse, ...]
    findings: tuple[Finding, ...]


def derive(
    devices: PanelDevices, phase_current_a: Decimal, catalog: Catalog, rules: Rules, locale: Locale
) -> Accessories:
    """Return all accessories of one panel.

    `phase_current_a` is the diversified phase current [A]: above the limit a direct three-phase
    meter becomes a CT meter. Raises UNKNOWN_ACCESSORY where the price book lacks a derived article.
    """
    table = rules.accessories
    current = min(Decimal(devices.main.rated_current_a), phase_current_a)
    findings: list[Finding] = []
    asked: list[AccessoryUse] = []
    for use in devices.accessories:
        if use.item.sku == table.meter_direct_sku and current > table.meter_ct_above_a:
            findings.append(
                rules.finding(
                    "METER_CT",
                    locale,
                    devices.spec.name,
                    current=half_up(current, Decimal("0.1")),
                    limit=table.meter_ct_above_a,
                )
            )
            asked.append(
                AccessoryUse(
                    item=catalog.accessory(table.meter_ct_sku),
                    quantity=use.quantity,
                    asked=True,
                    rule="accessories.meter_ct_above_a",
                    position=use.position,
                )
            )
        else:
            asked.append(use)
    selector = sum(
        wish.quantity for wish in devices.spec.accessories if wish.sku == table.selector_switch_sku
    )
    if selector:
        findings.append(
            rules.finding(
                "NOT_PRICED",
                locale,
                devices.spec.name,
                item=table.selector_switch_sku,
                quantity=selector,
            )
        )
    derived = tuple(
        AccessoryUse(item=catalog.accessory(sku), quantity=count, asked=False, rule=rule)
        for sku, count, rule in _derived(devices, asked, rules, selector=bool(selector))
        if count > 0
    )
    return Accessories((*asked, *derived), tuple(findings))


def _derived(
    devices: PanelDevices, asked: list[AccessoryUse], rules: Rules, *, selector: bool
) -> Iterator[tuple[str, int, str]]:
    """Yield sku, quantity and rule of every derived accessory, in the order of the quotation."""
    table = rules.accessories

    def count(*categories: str) -> int:
        return sum(use.quantity for use in asked if use.item.category in categories)

    contactors = count(CONTACTOR)
    for sku, each in table.per_contactor.items():
        yield sku, each * contactors, "accessories.per_contactor"
    lamps = "timer_lamps_selector" if selector else "timer_lamps"
    yield table.timer_lamp_sku, count(TIMER) * getattr(table, lamps), f"accessories.{lamps}"
    wired = count(METER, rules.selection.spd_category)
    yield table.meter_wire_sku, wired, "accessories.meter_wire_sku"
    ct_meters = sum(use.quantity for use in asked if use.item.sku == table.meter_ct_sku)
    yield table.ct_set_sku, ct_meters - count(CT), "accessories.ct_set_sku"
    frame, branches = devices.main.frame_af, len(devices.circuits)
    earths = 1 + branches // table.branches_per_extra_earth
    yield table.earth_sku.at(frame), earths, "accessories.earth_sku"
    yield table.neutral_sku, 1, "accessories.neutral_sku"
    yield table.name_card_sku, branches, "accessories.name_card_sku"
    yield table.name_plate_sku, 1, "accessories.name_plate_sku"
    yield table.insulator_sku.at(frame), table.insulators, "accessories.insulators"
    bodies = [devices.main, *(circuit.item for circuit in devices.circuits)]
    small = sum(body.tier == rules.selection.small_tier for body in bodies)
    yield table.small_support_sku, small, "accessories.small_support_sku"
