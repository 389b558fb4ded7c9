"""Bill of materials of one panel (§6): every line priced, each derived one with its rule id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

from kis_estimator.engine.accessories import CONTACTOR
from kis_estimator.engine.formulas import ZERO, branch_busbar_mass_kg, main_busbar_mass_kg
from kis_estimator.engine.model import (
    AccessoryUse,
    BreakerItem,
    BreakerSpec,
    EnclosureResult,
    Layout,
    Line,
    LineGroup,
    PanelDevices,
)
from kis_estimator.engine.rules import Rules
from kis_estimator.engine.units import half_up, started, won
from kis_estimator.errors import Locale

_SUPPORTS = frozenset({"insulator", "support"})


@dataclass(frozen=True, slots=True)
class Article:
    """A line before pricing: `cost_krw` is the price of the price book, without markup."""

    group: LineGroup
    sku: str
    name: str
    spec: str
    unit: str
    quantity: Decimal
    cost_krw: Decimal
    rule: str


def lines(
    devices: PanelDevices,
    enclosure: EnclosureResult,
    layout: Layout,
    rules: Rules,
    markup_pct: Decimal,
    locale: Locale,
) -> tuple[Line, ...]:
    """Return the lines of one panel in the order of the quotation.

    The markup is folded into every unit price (half-up to 1 won); amount = quantity x unit price,
    half-up to 1 won.
    """
    writer = _Writer(devices, enclosure, layout, rules, locale)
    articles = [
        *writer.enclosure_lines(),
        *writer.breakers(),
        *writer.accessories(asked=False),
        *writer.accessories(asked=True),
        *writer.busbars(),
        *writer.supports(),
        *writer.services(),
    ]
    return tuple(_priced(article, markup_pct) for article in articles)


def _priced(article: Article, markup_pct: Decimal) -> Line:
    unit_price = won(article.cost_krw * (100 + markup_pct) / 100)
    return Line(
        group=article.group,
        sku=article.sku,
        name=article.name,
        spec=article.spec,
        unit=article.unit,
        quantity=article.quantity,
        unit_price=unit_price,
        amount=won(article.quantity * unit_price),
        rule=article.rule,
    )


class _Writer:
    """Writes the articles of one panel, group by group."""

    def __init__(
        self,
        devices: PanelDevices,
        enclosure: EnclosureResult,
        layout: Layout,
        rules: Rules,
        locale: Locale,
    ) -> None:
        self.devices, self.box, self.layout, self.rules = devices, enclosure, layout, rules
        self.locale = locale
        self.text = partial(rules.text, locale=locale)

    def enclosure_lines(self) -> Iterator[Article]:
        """Enclosure, steel P-cover when asked, base and pole mounting."""
        box, bom = self.box, self.rules.bom
        size = f"{box.width_mm}×{box.height_mm}×{box.depth_mm}"
        form = f"{self.text(box.location)} {self.text(box.mounting)}"
        sheet = f"{self.text(box.material)} {box.thickness_mm.normalize():f}T"
        spec = f"{self.text('custom') if box.custom else box.sku} {size} {sheet} {box.ip_rating}"
        rule = "enclosure.custom_base_krw" if box.custom else "enclosure.fit_score_gate"
        make = partial(self._one, "enclosure")
        yield replace(
            make(box.sku, "enclosure", spec, Decimal(box.unit_price_krw), rule),
            name=f"{self.text('enclosure')} ({form})",
        )
        if self.devices.steel_p_cover:
            area = Decimal(box.width_mm * box.height_mm) / bom.p_cover_area_mm2
            cost = half_up(area * bom.p_cover_krw, bom.p_cover_round_krw)
            yield make(
                "P-COVER", "p_cover", f"{box.width_mm}×{box.height_mm}", cost, "bom.p_cover_krw"
            )
        if box.mounting == "floor" or (box.location == "outdoor" and box.mounting != "pole"):
            cost = Decimal(box.width_mm * bom.base_height_mm) / bom.base_area_mm2 * bom.base_krw
            yield make("BASE", "base", f"{box.width_mm}×{bom.base_height_mm}", cost, "bom.base_krw")
        if box.mounting == "pole":
            cost = Decimal(bom.pole_mount_krw)
            yield make("POLE-MOUNT", "pole_mount", "", cost, "bom.pole_mount_krw")

    def _one(
        self, group: LineGroup, sku: str, text: str, spec: str, cost_krw: Decimal, rule: str
    ) -> Article:
        return Article(
            group, sku, self.text(text), spec, self.text("set"), Decimal(1), cost_krw, rule
        )

    def breakers(self) -> Iterator[Article]:
        """The main, then the branches: poles, AT falling, equal ones in one line."""
        main = self._breaker(
            "main", self.devices.main, self.devices.main_spec, 1, "selection.tier_order"
        )
        yield main
        groups: Counter[tuple[BreakerItem, int | None, bool]] = Counter()
        specs: dict[tuple[BreakerItem, int | None, bool], BreakerSpec] = {}
        for circuit in self.devices.circuits:
            key = (circuit.item, circuit.spec.sensitivity_ma, circuit.is_spd)
            groups[key] += 1
            specs[key] = circuit.spec
        for key in sorted(groups, key=_quotation_order):
            item, _, is_spd = key
            rule = "selection.spd_rating_a" if is_spd else "selection.tier_order"
            yield self._breaker("branch", item, specs[key], groups[key], rule)

    def _breaker(
        self, group: LineGroup, item: BreakerItem, spec: BreakerSpec, quantity: int, rule: str
    ) -> Article:
        name = self.text(item.category)
        parts = [
            item.model,
            f"{item.poles}P",
            f"{item.frame_af}AF/{item.rated_current_a}AT",
            f"{item.breaking_capacity_ka.normalize():f}kA",
        ]
        if spec.sensitivity_ma and item.category == "ELB":
            parts.append(f"{spec.sensitivity_ma}mA")
        if rule == "selection.spd_rating_a":
            parts.append(self.rules.selection.spd_label)
        return Article(
            group,
            item.sku,
            self.text("main", name=name) if group == "main" else name,
            " ".join(parts),
            self.text("ea"),
            Decimal(quantity),
            Decimal(item.unit_price_krw),
            rule,
        )

    def accessories(self, *, asked: bool) -> Iterator[Article]:
        """Accessories asked for (optional), or derived by a rule (required)."""
        for use in self.devices.accessories:
            if use.asked is asked and use.item.category not in _SUPPORTS:
                yield self._accessory("optional" if asked else "required", use)

    def supports(self) -> Iterator[Article]:
        """Insulators and supports of small breakers."""
        for use in self.devices.accessories:
            if use.item.category in _SUPPORTS:
                yield self._accessory("support", use)

    def _accessory(self, group: LineGroup, use: AccessoryUse) -> Article:
        item = use.item
        name = item.name_en if self.locale == "en-US" else item.name_ko
        unit = self.text(item.unit) if item.unit in self.rules.texts else item.unit
        return Article(
            group,
            item.sku,
            name,
            item.sku,
            unit,
            Decimal(use.quantity),
            Decimal(item.unit_price_krw),
            use.rule,
        )

    def busbars(self) -> Iterator[Article]:
        """Main busbar by the box's front, branch busbars by their length as mounted."""
        bom, main, box = self.rules.bom, self.devices.main, self.box
        factor = bom.busbar_factor.at(main.rated_current_a)
        mass = main_busbar_mass_kg(
            box.width_mm, box.height_mm, factor, main.poles, bom.busbar_factor_poles
        )
        yield self._copper(
            "BUSBAR-MAIN", "busbar_main", mass, bom.busbar_main_krw, "bom.busbar_factor"
        )
        masses: dict[str, Decimal] = {}
        circuits = {circuit.number: circuit.item for circuit in self.devices.circuits}
        for number, length_mm in self._branch_lengths_mm():
            item = circuits[number]
            section = bom.busbar_section.at(item.frame_af)
            mass = branch_busbar_mass_kg(section, length_mm, item.poles, bom.copper_density)
            masses[section] = masses.get(section, ZERO) + mass
        for section in sorted(masses, key=lambda s: int(s.split("x")[0])):
            yield self._copper(
                f"BUSBAR-BRANCH-{section}",
                "busbar_branch",
                masses[section],
                bom.busbar_branch_krw,
                "bom.busbar_section",
                section=section.replace("x", "T×"),
            )

    def _copper(
        self, sku: str, text: str, mass_kg: Decimal, krw_per_kg: int, rule: str, section: str = ""
    ) -> Article:
        quantity = half_up(mass_kg, self.rules.bom.mass_step_kg)
        return Article(
            "busbar",
            sku,
            self.text(text, section=section),
            self.text("busbar_copper"),
            self.text("kg"),
            quantity,
            Decimal(krw_per_kg),
            rule,
        )

    def _branch_lengths_mm(self) -> Iterator[tuple[int, int]]:
        """Yield circuit and the length from its corridor's centre to the nearest body edge."""
        centres = [p.x_mm + p.width_mm // 2 for p in self.layout.placements if p.role == "busbar"]
        least = self.rules.bom.busbar_min_length_mm
        for placement in self.layout.placements:
            if placement.circuit is None:
                continue
            edge = placement.right_mm if placement.side == "left" else placement.x_mm
            yield placement.circuit, max(least, min(abs(centre - edge) for centre in centres))

    def services(self) -> Iterator[Article]:
        """Coating, consumables and labour."""
        bom, frame, box = self.rules.bom, self.devices.main.frame_af, self.box
        make = partial(self._one, "consumables")
        yield make("COATING", "coating", "", Decimal(bom.coating_krw.at(frame)), "bom.coating_krw")
        steps = started(box.width_mm - bom.consumables_width_mm, bom.consumables_step_mm)
        steps += started(box.height_mm - bom.consumables_height_mm, bom.consumables_step_mm)
        asked = sum(use.quantity for use in self.devices.accessories if use.asked)
        consumables = bom.consumables_krw + steps * bom.consumables_step_krw
        consumables += asked * bom.consumables_accessory_krw
        cost = Decimal(min(consumables, bom.consumables_max_krw))
        yield make("CONSUMABLES", "consumables", "", cost, "bom.consumables_krw")
        yield make("LABOUR", "labour", "", Decimal(self._labour_krw()), "bom.labour_krw")

    def _labour_krw(self) -> int:
        """Return labour by the main's frame: base, height steps, small branches, contactors."""
        bom, frame = self.rules.bom, self.devices.main.frame_af
        steps = started(self.box.height_mm - bom.labour_height_mm.at(frame), bom.labour_step_mm)
        total = bom.labour_krw.at(frame) + steps * bom.labour_step_krw.at(frame)
        small = sum(
            circuit.item.tier == self.rules.selection.small_tier
            and circuit.item.rated_current_a == bom.labour_small_rating_a
            for circuit in self.devices.circuits
        )
        if 2 * small > len(self.devices.circuits):
            total += bom.labour_small_krw.at(frame)
        contactors = sum(
            use.quantity for use in self.devices.accessories if use.item.category == CONTACTOR
        )
        return total + contactors * bom.labour_contactor_krw


def _quotation_order(key: tuple[BreakerItem, int | None, bool]) -> tuple[object, ...]:
    item, sensitivity, is_spd = key
    return (
        -item.poles,
        -item.rated_current_a,
        -item.frame_af,
        item.category,
        item.sku,
        sensitivity or 0,
        is_spd,
    )
