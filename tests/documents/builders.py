"""Builders of panels by hand: enough of each to draw and to price, laid out simply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from kis_estimator.engine.model import (
    AccessoryCategory,
    AccessoryItem,
    AccessoryUse,
    BreakerItem,
    BreakerSpec,
    Circuit,
    EnclosureNeed,
    EnclosureResult,
    Layout,
    Line,
    LineGroup,
    PanelDevices,
    PanelResult,
    PanelSpec,
    PhaseBalance,
    Placement,
    PlacementRole,
    Side,
    Spare,
)

Kind = Literal["MCCB", "ELB"]
BODIES = {
    (30, 2): (33, 70), (50, 2): (50, 96), (100, 2): (50, 130), (50, 3): (75, 130),
    (100, 3): (75, 130), (50, 4): (100, 130), (100, 4): (100, 130), (225, 3): (105, 165),
    (225, 4): (140, 165), (400, 3): (140, 257), (400, 4): (187, 257), (800, 4): (280, 280),
}  # fmt: skip
PITCH_GAP = 7
CORRIDOR = 80
_PARTS: tuple[tuple[str, AccessoryCategory, str], ...] = (
    ("MC-9", "magnet_contactor", "전자접촉기 MC-9~22"),
    ("METER-3PH", "meter", "전자식 전력량계 3상"),
    ("ET-S", "earth_terminal", "접지단자 E.T (~250AF)"),
    ("NT", "neutral_terminal", "중성선단자 N.T"),
)
ACCESSORIES = tuple(
    AccessoryUse(
        item=AccessoryItem(
            sku=sku, category=category, name_ko=name, name_en=sku, width_mm=0, height_mm=0,
            mounting="panel", unit="EA", unit_price_krw=1000,
        ),
        quantity=1,
        asked=True,
        rule="asked",
    )
    for sku, category, name in _PARTS
)  # fmt: skip


@dataclass(frozen=True)
class Feeder:
    """A branch of a sample panel."""

    kind: Kind
    poles: int
    frame: int
    amps: int
    label: str = ""
    phases: str = ""


@dataclass(frozen=True)
class Shape:
    """The box of a sample panel."""

    width: int = 600
    height: int = 800
    depth: int = 200
    columns: int = 2
    duct: bool = False
    top: int = 170
    bare: bool = False


def breaker(kind: Kind, poles: int, frame: int, amps: int) -> BreakerItem:
    """Return a breaker of the sample catalogue's kind."""
    width, height = BODIES[frame, poles]
    return BreakerItem(
        sku=f"{kind}-{frame}-{poles}-{amps}",
        brand="SANGDO",
        category=kind,
        tier="economy",
        model=f"S{kind[0]}E-{frame // 10 * 10}{poles}",
        frame_af=frame,
        poles=poles,
        rated_current_a=amps,
        breaking_capacity_ka=Decimal(25),
        width_mm=width,
        height_mm=height,
        depth_mm=60,
        power_loss_w_per_pole=Decimal("1.11"),
        unit_price_krw=10_000 + frame * poles * 100,
    )


def circuit(number: int, feeder: Feeder) -> Circuit:
    """Return one branch of a panel."""
    item = breaker(feeder.kind, feeder.poles, feeder.frame, feeder.amps)
    spec = BreakerSpec(
        role="branch",
        category=feeder.kind,
        poles=feeder.poles,
        rated_current_a=feeder.amps,
        label=feeder.label or None,
    )
    return Circuit(
        number=number,
        item=item,
        spec=spec,
        load_a=Decimal(feeder.amps),
        load_stated=False,
        two_phase=len(feeder.phases) == 2,
    )


@dataclass
class _Stack:
    """Devices of one column, stacked from the top; small ones stand side by side."""

    side: Side
    corridor_edge: int
    room: int
    y: int
    row_x: int = 0
    row_height: int = 0

    def put(self, width: int, height: int) -> tuple[int, int]:
        """Return the x, y of a body as mounted."""
        if self.row_height == height and self.row_x + width <= self.room:
            offset = self.row_x
            self.row_x += width + PITCH_GAP
            y = self.y - height - PITCH_GAP
        else:
            offset, self.row_x, self.row_height = 0, width + PITCH_GAP, height
            y = self.y
            self.y += height + PITCH_GAP
        if self.side == "left":
            return self.corridor_edge - offset - width, y
        return self.corridor_edge + offset, y


def _placement(
    role: PlacementRole, at: tuple[int, int], size: tuple[int, int], **rest: object
) -> Placement:
    fields: dict[str, object] = {
        "id": f"{role}-{at[0]}-{at[1]}", "circuit": None, "model": role, "role": role,
        "side": "top", "x_mm": at[0], "y_mm": at[1], "width_mm": size[0], "height_mm": size[1],
        "phase": None, "rated_current_a": None, "load_a": None, "loss_w": None,
    }  # fmt: skip
    return Placement(**(fields | rest))  # type: ignore[arg-type]


def _layout(
    main: BreakerItem, circuits: Sequence[Circuit], phases: Sequence[str], spares: int, box: Shape
) -> tuple[Placement, ...]:
    margin = 90 if box.duct else 40
    main_at = ((box.width - main.width_mm) // 2, box.top)
    top = box.top + main.height_mm + 30
    spacing = box.width // (box.columns // 2)
    stacks: list[_Stack] = []
    corridors: list[int] = []
    for pair in range(box.columns // 2):
        middle = spacing * pair + spacing // 2
        room = spacing // 2 - CORRIDOR // 2 - (margin if box.columns == 2 else 20)
        corridors.append(middle - CORRIDOR // 2)
        stacks.append(_Stack("left", middle - CORRIDOR // 2, room, top))
        stacks.append(_Stack("right", middle + CORRIDOR // 2, room, top))
    placed = [
        _placement("main", main_at, (main.width_mm, main.height_mm), model=main.model, phase="RST")
    ]
    for one, phase in zip(circuits, phases, strict=True):
        stack = min(stacks, key=lambda s: (s.y, s.row_x))
        size = one.item.height_mm, one.item.width_mm
        at = stack.put(*size)
        placed.append(
            _placement(
                "branch", at, size, circuit=one.number, model=one.item.model, side=stack.side,
                phase=phase or None, id=f"branch-{one.number}",
            )
        )  # fmt: skip
    for _ in range(spares):
        stack = min(stacks, key=lambda s: s.y)
        placed.append(_placement("spare", stack.put(96, 50), (96, 50), side=stack.side))
    bottom = max(stack.y for stack in stacks)
    placed += [_placement("busbar", (x, top), (CORRIDOR, bottom - top)) for x in corridors]
    if box.duct:
        placed += [_placement("duct", (x, 60), (50, box.height - 120)) for x in (0, box.width - 50)]
    if box.bare:
        return tuple(placed)
    placed += [
        _placement("accessory", (150, bottom + 40), (46, 75), model="MC-9"),
        _placement("accessory", (220, bottom + 40), (130, 130), model="METER-3PH"),
        _placement("terminal", (60, box.height - 70), (150, 30), model="ET-S"),
        _placement("terminal", (box.width - 210, box.height - 70), (150, 30), model="NT"),
    ]
    return tuple(placed)


def _need(box: Shape) -> EnclosureNeed:
    return EnclosureNeed(
        top_mm=box.top, main_to_branch_mm=30, branches_mm=300, bottom_mm=150, accessories_mm=120,
        columns=box.columns, shop_width_mm=box.width, shop_height_mm=box.height,
        layout_width_mm=box.width, layout_height_mm=box.height, width_mm=box.width,
        height_mm=box.height, depth_mm=box.depth, made_width_mm=box.width,
        made_height_mm=box.height, made_depth_mm=box.depth, deepest_body_mm=60,
    )  # fmt: skip


def enclosure(box: Shape, *, custom: bool = False) -> EnclosureResult:
    """Return a chosen enclosure."""
    size = f"{box.width}×{box.height}×{box.depth}"
    return EnclosureResult(
        sku=f"CUSTOM {size}" if custom else f"HB {box.width // 10} {box.height // 10} 20",
        custom=custom,
        width_mm=box.width,
        height_mm=box.height,
        depth_mm=box.depth,
        ip_rating="IP44",
        location="indoor",
        mounting="surface",
        material="steel",
        thickness_mm=Decimal("1.6"),
        unit_price_krw=115_000,
        fit_score=Decimal("0.98"),
        door_clearance_mm=box.depth - 110,
        need=_need(box),
        candidates=(),
        next_smaller=None,
        reason="",
    )


def _balance(circuits: Sequence[Circuit], phases: Sequence[str]) -> PhaseBalance:
    sums = dict.fromkeys("RST", Decimal(0))
    for one, phase in zip(circuits, phases, strict=True):
        for letter in phase:
            sums[letter] += one.load_a
    spread = max(sums.values()) - min(sums.values())
    pct = (spread * 300 / sum(sums.values())).quantize(Decimal("0.0001"))
    return PhaseBalance(
        assignment={c.number: p for c, p in zip(circuits, phases, strict=True)},
        r_a=sums["R"],
        s_a=sums["S"],
        t_a=sums["T"],
        spread_a=spread,
        lower_bound_a=spread,
        imbalance_pct=pct,
        lower_bound_pct=pct,
        proof="residue",
        korean_unbalance_pct=Decimal(5),
        i2_over_i1=Decimal("0.01"),
    )


def line(group: LineGroup, name: str, spec: str, quantity: str, price: int) -> Line:
    """Return a priced line; the amount is rounded half-up as the engine does."""
    amount = int(Decimal(quantity) * price + Decimal("0.5"))
    return Line(
        group=group, sku=name, name=name, spec=spec, unit="KG" if "." in quantity else "EA",
        quantity=Decimal(quantity), unit_price=price, amount=amount, rule=f"bom.{group}",
    )  # fmt: skip


def _lines(main: BreakerItem, circuits: Sequence[Circuit], box: Shape) -> tuple[Line, ...]:
    found = [
        line("enclosure", f"HB {box.width} {box.height}", f"{box.width}×{box.height}×{box.depth} "
             "IP44 스틸 1.6T 옥내 노출", "1", 115_000),
        line("main", f"{main.category} (메인)", f"{main.model} {main.poles}P 25kA", "1", 93_200),
    ]  # fmt: skip
    counts: dict[str, tuple[BreakerItem, int]] = {}
    for one in circuits:
        counts[one.item.sku] = (one.item, counts.get(one.item.sku, (one.item, 0))[1] + 1)
    found += [
        line("branch", f"{item.category} {item.model}",
             f"{item.poles}P {item.frame_af}AF/{item.rated_current_a}AT", str(count), 12_345)
        for item, count in counts.values()
    ]  # fmt: skip
    found += [
        line("required", "접지단자 E.T (~250AF)", "ET-S", "2", 4_500),
        line("required", "중성선단자 N.T", "NT", "1", 3_000),
        line("required", "N.P 카드홀더", "NP-CARD", str(len(circuits)), 800),
        line("optional", "전자접촉기 MC-9~22", "MC-9", "1", 18_000),
        line("optional", "전자식 전력량계 3상", "METER-3PH", "1", 95_000),
        line("busbar", "메인 부스바", "3.36 kg 동 t3", "3.36", 20_000),
        line("busbar", "분기 부스바", "3T×15", "0.29", 19_550),
        line("support", "절연애자 (~250AF)", "INSULATOR-S", "4", 1_100),
        line("consumables", "잡자재", "소모품 일식", "1", 7_000),
        line("consumables", "조립비", "600×800 조립·결선·시험", "1", 65_000),
    ]
    return tuple(found)


_CYCLE = "RST"


def panel(
    name: str,
    feeders: Sequence[Feeder],
    *,
    box: Shape | None = None,
    main: BreakerItem | None = None,
    quantity: int = 1,
    spares: int = 0,
    custom: bool = False,
    balanced: bool = True,
) -> PanelResult:
    """Return a whole panel."""
    box = box or Shape()
    main = main or breaker("MCCB", 4, 100, 75)
    circuits = [circuit(i, feeder) for i, feeder in enumerate(feeders, start=1)]
    phases = [
        feeder.phases or ("RST" if feeder.poles > 2 else _CYCLE[i % 3])
        for i, feeder in enumerate(feeders)
    ]
    if not balanced:
        phases = [""] * len(circuits)
    lines = _lines(main, circuits, box)
    return PanelResult(
        devices=PanelDevices(
            spec=PanelSpec(name=name, breakers=(), quantity=quantity),
            main=main,
            main_spec=BreakerSpec(
                role="main", category="MCCB", poles=main.poles, rated_current_a=main.rated_current_a
            ),
            circuits=tuple(circuits),
            spares=(Spare(item=breaker("ELB", 2, 50, 20)),) * spares,
            brand="SANGDO",
            accessories=ACCESSORIES,
        ),
        enclosure=enclosure(box, custom=custom),
        phase=_balance(circuits, phases) if balanced else None,
        layout=Layout(
            placements=_layout(main, circuits, phases, spares, box),
            columns=box.columns,
            heat_w=Decimal("123.4"),
            rdf=Decimal("0.6"),
            phase_current_a=Decimal("61.5"),
        ),
        findings=(),
        lines=lines,
        lines_sum=sum(one.amount for one in lines),
    )
