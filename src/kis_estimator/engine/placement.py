"""Placement: every device in millimetres of the front view (§4), and the room it takes.

`plan` arranges a panel for a width and says what it takes; `place` sets the plan into the chosen
box. Origin is the enclosure's outer top-left, y downwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import chain

from kis_estimator.engine.accessories import BARS, CT, DUCT, METER
from kis_estimator.engine.columns import (
    TWO,
    Slot,
    alternate,
    arrange,
    columns_height_mm,
    mounting_order,
)
from kis_estimator.engine.formulas import ZERO, breaker_loss_w
from kis_estimator.engine.model import (
    AccessoryItem,
    Circuit,
    Layout,
    PanelDevices,
    PhaseBalance,
    Placement,
    PlacementRole,
    Side,
)
from kis_estimator.engine.rules import Rules
from kis_estimator.engine.units import half_up

_WATT = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Rack:
    """A row of accessories or terminals, left to right."""

    items: tuple[AccessoryItem, ...]

    @property
    def width_mm(self) -> int:
        """Return the sum of the body widths."""
        return sum(item.width_mm for item in self.items)

    @property
    def height_mm(self) -> int:
        """Return the tallest body."""
        return max(item.height_mm for item in self.items)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a panel takes at a width [mm]: the parts of H = A + B + C + D + E, and the least width.

    `terminals_mm` is the bottom zone that the terminals really take; D is the shop's figure.
    """

    columns: int
    slots: tuple[Slot, ...]
    racks: tuple[Rack, ...]
    meters: tuple[AccessoryItem, ...]
    beside: tuple[AccessoryItem, ...]
    current_transformers: tuple[AccessoryItem, ...]
    terminals: tuple[Rack, ...]
    ducts: AccessoryItem | None
    side_mm: int
    top_mm: int
    main_to_branch_mm: int
    branches_mm: int
    accessories_mm: int
    bottom_mm: int
    terminals_mm: int
    least_width_mm: int

    @property
    def shop_height_mm(self) -> int:
        """Return H of the shop formula."""
        return (
            self.top_mm
            + self.main_to_branch_mm
            + self.branches_mm
            + self.accessories_mm
            + self.bottom_mm
        )

    @property
    def layout_height_mm(self) -> int:
        """Return the height that the layout takes."""
        return self.shop_height_mm + max(0, self.terminals_mm - self.bottom_mm)


def plan(devices: PanelDevices, width_mm: int, columns: int, rules: Rules) -> Plan:
    """Return the arrangement of a panel in a box of `width_mm` with 2 or 4 columns."""
    layout, shop = rules.layout, rules.enclosure
    loose = [(use.item, use.position) for use in devices.accessories for _ in range(use.quantity)]
    meters = [(item, position) for item, position in loose if item.category == METER]
    beside = tuple(item for item, position in meters if position == "beside")
    below = tuple(item for item, position in meters if position == "below")
    ducts = next((item for item, _ in loose if item.category == DUCT), None)
    usable = width_mm - shop.accessory_usable_loss_mm
    rows = [item for item, _ in loose if item.category in shop.accessory_row_categories]
    racks = _racks(rows, usable)
    placed_elsewhere = (METER, DUCT, CT, *shop.accessory_row_categories)
    rest = [item for item, _ in loose if item.category not in placed_elsewhere]
    bodied = [item for item in rest if item.width_mm and item.height_mm]
    bars = [_bar(item, rules) for item in rest if item.category in BARS]
    terminals = [*_racks(bodied, usable), *_racks(bars, usable)]
    bodies = [device.item for device in mounting_order(devices)]
    widest = max((body.height_mm for body in bodies), default=0)
    side = _side_mm(devices, rules, with_ducts=ducts is not None)
    beside_mm = sum(item.width_mm + layout.group_gap_mm for item in beside)
    gap = _column_gap_mm(devices, rules) if columns > TWO else 0
    fixed = 2 * side + gap + layout.corridor_mm * columns // 2 + beside_mm
    room = (width_mm - fixed) // columns
    small = [body.height_mm for body in bodies if body.tier == rules.selection.small_tier]
    pair = layout.small_abreast * max(small, default=0) + layout.small_facing_gap_mm
    slots = arrange(devices, columns, layout.small_abreast if small and room >= pair else 1, rules)
    gap_mm = layout.group_gap_mm
    return Plan(
        columns=columns,
        slots=tuple(slots),
        racks=tuple(racks),
        meters=below,
        beside=beside,
        current_transformers=tuple(item for item, _ in loose if item.category == CT),
        terminals=tuple(terminals),
        ducts=ducts,
        side_mm=side,
        top_mm=shop.top_mm.at(devices.main.rated_current_a) + devices.main.height_mm,
        main_to_branch_mm=shop.main_to_branch_mm,
        branches_mm=max(
            columns_height_mm(slots), sum(item.height_mm + gap_mm for item in beside[:1])
        ),
        accessories_mm=_accessories_mm(racks, len(below), rules),
        bottom_mm=shop.bottom_mm.at(devices.main.rated_current_a),
        terminals_mm=gap_mm + sum(rack.height_mm + gap_mm for rack in terminals),
        least_width_mm=max(fixed + columns * widest, devices.main.width_mm + 2 * side),
    )


def _accessories_mm(racks: list[Rack], meters: int, rules: Rules) -> int:
    """Return E: rows + 40 x (rows + 1) + 40, and 200 for each meter below (+ 50 from two)."""
    shop = rules.enclosure
    total = meters * shop.meter_zone_mm + (shop.meter_extra_mm if meters > 1 else 0)
    if racks:
        total += sum(rack.height_mm for rack in racks)
        total += shop.accessory_row_gap_mm * (len(racks) + 1) + shop.accessory_tail_mm
    return total


def _racks(items: list[AccessoryItem], usable_mm: int) -> list[Rack]:
    """Fill rows in falling order of height; a body that does not fit starts the next row."""
    racks: list[Rack] = []
    for item in sorted(items, key=lambda i: (-i.height_mm, -i.width_mm, i.sku)):
        if racks and racks[-1].width_mm + item.width_mm <= usable_mm:
            racks[-1] = Rack((*racks[-1].items, item))
        else:
            racks.append(Rack((item,)))
    return racks


def _bar(item: AccessoryItem, rules: Rules) -> AccessoryItem:
    """Give a terminal bar the space that is kept for it; the catalogue has no body for it."""
    layout = rules.layout
    return replace(item, width_mm=layout.terminal_width_mm, height_mm=layout.terminal_height_mm)


def _has_large(devices: PanelDevices, rules: Rules) -> bool:
    bodies = (devices.main, *(device.item for device in mounting_order(devices)))
    return any(body.frame_af >= rules.layout.large_frame_af for body in bodies)


def _side_mm(devices: PanelDevices, rules: Rules, *, with_ducts: bool) -> int:
    """Return the distance from the box's side to the bodies; a duct stands within it."""
    layout = rules.layout
    margin = layout.side_margin_mm + (layout.duct_width_mm if with_ducts else 0)
    return max(margin, layout.large_side_clearance_mm) if _has_large(devices, rules) else margin


def _column_gap_mm(devices: PanelDevices, rules: Rules) -> int:
    """Return the gap between the two column pairs of a four-column layout."""
    layout = rules.layout
    large = _has_large(devices, rules)
    return max(layout.group_gap_mm, layout.large_body_gap_mm if large else 0)


# ---------------------------------------------------------------- placing


def place(
    devices: PanelDevices,
    phase: PhaseBalance | None,
    arrangement: Plan,
    size_mm: tuple[int, int],
    load: tuple[Decimal, Decimal],
    rules: Rules,
) -> Layout:
    """Return the position, phase and loss of every device in a box of (W, H) [mm].

    `load` is (RDF [1], diversified phase current [A]). Devices keep the plan's arrangement; the
    corridor is centred in the box, terminals stand at its bottom.
    """
    rdf, current = load
    slots, phases = list(arrangement.slots), dict[int, str]()
    if phase is not None:
        slots, phases = alternate(slots, phase.assignment)
    builder = _Builder(devices, arrangement, size_mm, rules)
    main_current = min(Decimal(devices.main.rated_current_a), current)
    placements = [
        builder.main(main_current, current, "RST" if phase else None),
        *builder.busbars("RST" if phase else None),
        *(builder.slot(slot, phases, rdf) for slot in slots),
        *builder.accessories(),
    ]
    heat = sum((p.loss_w for p in placements if p.loss_w is not None), ZERO)
    return Layout(
        placements=tuple(placements),
        columns=arrangement.columns,
        heat_w=half_up(heat, Decimal("0.01")),
        rdf=rdf,
        phase_current_a=half_up(current, Decimal("0.01")),
    )


@dataclass(frozen=True, slots=True)
class _Spot:
    """An accessory, terminal or duct and its top-left corner [mm]."""

    role: PlacementRole
    item: AccessoryItem
    x_mm: int
    y_mm: int


class _Builder:
    """Turns the plan's rows into positions in one box."""

    def __init__(
        self, devices: PanelDevices, arrangement: Plan, size_mm: tuple[int, int], rules: Rules
    ) -> None:
        self.devices, self.plan, self.rules = devices, arrangement, rules
        self.width, self.height = size_mm
        self.beside_mm = sum(i.width_mm + rules.layout.group_gap_mm for i in arrangement.beside)
        self.branch_top = arrangement.top_mm + arrangement.main_to_branch_mm
        self.branch_end = self.branch_top + arrangement.branches_mm
        self.spares = 0

    def _corridor(self, column: int) -> int:
        """Return the left edge of the corridor that a column faces."""
        layout = self.rules.layout
        usable = self.width - self.beside_mm
        if self.plan.columns == TWO:
            return (usable - layout.corridor_mm) // 2
        gap = _column_gap_mm(self.devices, self.rules)
        half = (usable - 2 * self.plan.side_mm - gap) // 2
        start = self.plan.side_mm + (0 if column < TWO else half + gap)
        return start + (half - layout.corridor_mm) // 2

    def _side(self, x_mm: int, width_mm: int) -> Side:
        return "left" if 2 * x_mm + width_mm < self.width else "right"

    def main(self, current: Decimal, load: Decimal, phase: str | None) -> Placement:
        item = self.devices.main
        loss = breaker_loss_w(item.poles, item.power_loss_w_per_pole, item.rated_current_a, current)
        return Placement(
            id="MAIN",
            circuit=None,
            model=item.model,
            role="main",
            side="top",
            x_mm=(self.width - item.width_mm) // 2,
            y_mm=self.plan.top_mm - item.height_mm,
            width_mm=item.width_mm,
            height_mm=item.height_mm,
            phase=phase,
            rated_current_a=item.rated_current_a,
            load_a=half_up(load, Decimal("0.01")),
            loss_w=half_up(loss, _WATT),
        )

    def busbars(self, phase: str | None) -> Iterator[Placement]:
        for number, column in enumerate(range(0, self.plan.columns, 2), start=1):
            yield Placement(
                id=f"BUSBAR-{number}",
                circuit=None,
                model="BUSBAR",
                role="busbar",
                side="top",
                x_mm=self._corridor(column),
                y_mm=self.plan.top_mm,
                width_mm=self.rules.layout.corridor_mm,
                height_mm=self.branch_end - self.plan.top_mm,
                phase=phase,
                rated_current_a=None,
                load_a=None,
                loss_w=None,
            )

    def slot(self, slot: Slot, phases: dict[int, str], rdf: Decimal) -> Placement:
        item = slot.device.item
        right = slot.column % 2 == 1
        offset = slot.rank * (item.height_mm + self.rules.layout.small_facing_gap_mm)
        corridor = self._corridor(slot.column)
        inner = corridor + self.rules.layout.corridor_mm + offset if right else corridor - offset
        x_mm = inner if right else inner - item.height_mm
        y_mm = self.branch_top + slot.y_mm + (slot.pitch_mm - item.width_mm) // 2
        side: Side = "right" if right else "left"
        if not isinstance(slot.device, Circuit):
            self.spares += 1
            return Placement(
                id=f"SPARE-{self.spares}",
                circuit=None,
                model="SPARE",
                role="spare",
                side=side,
                x_mm=x_mm,
                y_mm=y_mm,
                width_mm=item.height_mm,
                height_mm=item.width_mm,
                phase=None,
                rated_current_a=None,
                load_a=ZERO,
                loss_w=ZERO,
            )
        circuit = slot.device
        loss = breaker_loss_w(
            item.poles, item.power_loss_w_per_pole, item.rated_current_a, circuit.load_a * rdf
        )
        return Placement(
            id=f"C{circuit.number:03d}",
            circuit=circuit.number,
            model=item.model,
            role="branch",
            side=side,
            x_mm=x_mm,
            y_mm=y_mm,
            width_mm=item.height_mm,
            height_mm=item.width_mm,
            phase=phases.get(circuit.number),
            rated_current_a=item.rated_current_a,
            load_a=circuit.load_a,
            loss_w=half_up(loss, _WATT),
        )

    def accessories(self) -> Iterator[Placement]:
        spots = (
            self._incoming(),
            self._ducts(),
            self._beside(),
            self._below(),
            self._terminals(),
        )
        for number, spot in enumerate(chain.from_iterable(spots), start=1):
            yield Placement(
                id=f"{spot.role.upper()}-{number}",
                circuit=None,
                model=spot.item.sku,
                role=spot.role,
                side=self._side(spot.x_mm, spot.item.width_mm),
                x_mm=spot.x_mm,
                y_mm=spot.y_mm,
                width_mm=spot.item.width_mm,
                height_mm=spot.item.height_mm,
                phase=None,
                rated_current_a=None,
                load_a=None,
                loss_w=None,
            )

    def _incoming(self) -> Iterator[_Spot]:
        """Current transformers sit on the incoming bars above the main."""
        if self.plan.current_transformers:
            free = self.plan.top_mm - self.devices.main.height_mm
            for item, x_mm in self._spread(Rack(self.plan.current_transformers)):
                yield _Spot("accessory", item, x_mm, (free - item.height_mm) // 2)

    def _ducts(self) -> Iterator[_Spot]:
        """One duct stands on each side of the branches and accessory rows."""
        if self.plan.ducts is None:
            return
        layout = self.rules.layout
        length = self.plan.branches_mm + self.plan.accessories_mm
        item = replace(self.plan.ducts, width_mm=layout.duct_width_mm, height_mm=length)
        wall = self.plan.side_mm - layout.duct_clear_mm - layout.duct_width_mm
        for x_mm in (wall, self.width - wall - item.width_mm):
            yield _Spot("duct", item, x_mm, self.branch_top)

    def _beside(self) -> Iterator[_Spot]:
        gap = self.rules.layout.group_gap_mm
        x_mm = self.width - self.plan.side_mm - self.beside_mm + gap
        for item in self.plan.beside:
            yield _Spot("accessory", item, x_mm, self.branch_top)
            x_mm += item.width_mm + gap

    def _below(self) -> Iterator[_Spot]:
        """Rows of accessories below the branches, then the meters, one above the other."""
        shop = self.rules.enclosure
        y_mm = self.branch_end
        for rack in self.plan.racks:
            y_mm += shop.accessory_row_gap_mm
            for item, x_mm in self._spread(rack):
                yield _Spot("accessory", item, x_mm, y_mm)
            y_mm += rack.height_mm
        if self.plan.racks:
            y_mm += shop.accessory_row_gap_mm + shop.accessory_tail_mm
        for item in self.plan.meters:
            x_mm = (self.width - item.width_mm) // 2
            yield _Spot("accessory", item, x_mm, y_mm + (shop.meter_zone_mm - item.height_mm) // 2)
            y_mm += shop.meter_zone_mm

    def _terminals(self) -> Iterator[_Spot]:
        gap = self.rules.layout.group_gap_mm
        y_mm = self.height - self.plan.terminals_mm + gap
        for rack in self.plan.terminals:
            for item, x_mm in self._spread(rack):
                yield _Spot("terminal", item, x_mm, y_mm)
            y_mm += rack.height_mm + gap

    def _spread(self, rack: Rack) -> Iterator[tuple[AccessoryItem, int]]:
        """Centre a row, with gaps of up to 20 mm where the usable width has them."""
        usable = self.width - self.rules.enclosure.accessory_usable_loss_mm
        count = len(rack.items)
        spare = max(0, usable - rack.width_mm)
        gap = min(self.rules.layout.group_gap_mm, spare // (count - 1)) if count > 1 else 0
        x_mm = (self.width - rack.width_mm - gap * (count - 1)) // 2
        for item in rack.items:
            yield item, x_mm
            x_mm += item.width_mm + gap
