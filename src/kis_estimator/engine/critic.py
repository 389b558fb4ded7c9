"""The critic: recomputes what placement and enclosure claim, and says what it finds (§4).

It imports nothing of them: overlaps, clearances, fit, heat, phase sums and order are computed again
from the devices and their positions.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from math import ceil

from kis_estimator.engine.accessories import BARS
from kis_estimator.engine.formulas import (
    ZERO,
    breaker_loss_w,
    busbar_ampacity,
    imbalance_pct,
    ip_at_least,
    rated_diversity_factor,
    temperature_rise,
)
from kis_estimator.engine.model import (
    THREE_POLES,
    Circuit,
    EnclosureResult,
    Finding,
    Layout,
    PanelDevices,
    PhaseBalance,
    Placement,
)
from kis_estimator.engine.rules import Rules
from kis_estimator.engine.units import half_up
from kis_estimator.errors import Locale

_TENTH = Decimal("0.1")
_HUNDREDTH = Decimal("0.01")
GEOMETRY = frozenset({"DEVICE_COUNT", "OVERLAP", "CLEARANCE", "OUTSIDE_BOX"})
THERMAL = frozenset({"HEAT_BAND", "HEAT_PANEL"})


@dataclass(frozen=True, slots=True)
class Design:
    """One panel as designed: all that the critic looks at."""

    devices: PanelDevices
    enclosure: EnclosureResult
    phase: PhaseBalance | None
    layout: Layout


def review(design: Design, asked_ip: str, rules: Rules, locale: Locale) -> tuple[Finding, ...]:
    """Return every violation, warning, recommendation and advisory of a panel, in that order."""
    inspector = _Inspector(design, rules, locale)
    findings = [
        *inspector.geometry(),
        *inspector.heat(),
        *inspector.enclosure(asked_ip),
        *inspector.loads(),
        *inspector.breaking_capacity(),
        *inspector.order(),
        *inspector.phases(),
        *inspector.temperature(),
        *inspector.busbar(),
    ]
    rank = ("violation", "warning", "recommendation", "advisory")
    return tuple(sorted(findings, key=lambda finding: rank.index(finding.severity)))


class _Inspector:
    """The checks of one panel; each yields what it finds."""

    def __init__(self, design: Design, rules: Rules, locale: Locale) -> None:
        self.design, self.rules, self.locale = design, rules, locale
        self.devices, self.box = design.devices, design.enclosure
        self.placements = design.layout.placements
        self.circuits = {circuit.number: circuit for circuit in design.devices.circuits}
        bodies = [design.devices.main, *(circuit.item for circuit in design.devices.circuits)]
        bodies += [spare.item for spare in design.devices.spares]
        self.has_large = any(body.frame_af >= rules.layout.large_frame_af for body in bodies)

    def _finding(self, code: str, **figures: object) -> Finding:
        return self.rules.finding(code, self.locale, self.devices.spec.name, **figures)

    # ------------------------------------------------------------ geometry

    def geometry(self) -> Iterator[Finding]:
        """Overlaps, clearances and margins, from the rectangles alone."""
        mounted, needed = self._mounted(), self._needed()
        for device in sorted(mounted.keys() | needed.keys()):
            if mounted[device] != needed[device]:
                yield self._finding(
                    "DEVICE_COUNT", device=device, count=mounted[device], needed=needed[device]
                )
        for placement in self.placements:
            yield from self._margin(placement)
        layout = self.rules.layout
        reach = max(
            layout.small_facing_gap_mm,
            layout.duct_clear_mm,
            layout.large_body_gap_mm,
            layout.group_gap_mm,
            self.rules.enclosure.main_to_branch_mm,
        )
        ordered = sorted(self.placements, key=lambda p: (p.y_mm, p.x_mm, p.id))
        for index, first in enumerate(ordered):
            for second in ordered[index + 1 :]:
                if second.y_mm >= first.bottom_mm + reach:
                    break
                yield from self._pair(first, second)

    def _mounted(self) -> Counter[str]:
        """Count what is mounted, by what it is and the size of its body as mounted."""
        return Counter(
            _body(_name(p), p.width_mm, p.height_mm)
            for p in self.placements
            if p.role not in ("duct", "busbar")
        )

    def _needed(self) -> Counter[str]:
        """Count what has to be mounted: main, circuits and spares on their side, plate parts."""
        main, layout = self.devices.main, self.rules.layout
        name = f"MAIN {main.model} {main.rated_current_a}A"
        needed = Counter([_body(name, main.width_mm, main.height_mm)])
        for circuit in self.devices.circuits:
            body = circuit.item
            name = f"C{circuit.number:03d} {body.model} {body.rated_current_a}A"
            needed[_body(name, body.height_mm, body.width_mm)] += 1
        for spare in self.devices.spares:
            needed[_body("SPARE", spare.item.height_mm, spare.item.width_mm)] += 1
        for use in self.devices.accessories:
            item = use.item
            if item.category in BARS:
                size = (layout.terminal_width_mm, layout.terminal_height_mm)
            elif item.width_mm and item.height_mm:
                size = (item.width_mm, item.height_mm)
            else:
                continue
            needed[_body(item.sku, *size)] += use.quantity
        return needed

    def _margin(self, device: Placement) -> Iterator[Finding]:
        layout = self.rules.layout
        sides, ends = layout.side_margin_mm, layout.group_gap_mm
        if device.role in ("duct", "busbar"):
            sides = ends = 0
        elif device.role in ("main", "branch", "spare") and self.has_large:
            sides = layout.large_side_clearance_mm
        across = max(sides - device.x_mm, device.right_mm - (self.box.width_mm - sides))
        down = max(ends - device.y_mm, device.bottom_mm - (self.box.height_mm - ends))
        for excess, limit in ((across, sides), (down, ends)):
            if excess > 0:
                yield self._finding("OUTSIDE_BOX", device=device.id, excess=excess, limit=limit)

    def _pair(self, first: Placement, second: Placement) -> Iterator[Finding]:
        across = max(second.x_mm - first.right_mm, first.x_mm - second.right_mm)
        down = max(second.y_mm - first.bottom_mm, first.y_mm - second.bottom_mm)
        if across < 0 and down < 0:
            yield self._finding(
                "OVERLAP", first=first.id, second=second.id, overlap=min(-across, -down)
            )
            return
        limit = self._clearance(first, second, facing=down < 0)
        distance = max(across, down)
        if distance < limit:
            yield self._finding(
                "CLEARANCE", first=first.id, second=second.id, distance=distance, limit=limit
            )

    def _clearance(self, first: Placement, second: Placement, *, facing: bool) -> int:
        """Return the least distance [mm] between two devices, by what they are."""
        layout = self.rules.layout
        roles = {_group(first), _group(second)}
        if "busbar" in roles or roles == {"duct"}:
            return 0
        if "duct" in roles:
            return layout.duct_clear_mm
        if roles == {"main", "branch"}:
            return self.rules.enclosure.main_to_branch_mm
        if roles == {"branch"} and facing:
            small = self.rules.selection.small_tier
            if all(self._tier(p) == small for p in (first, second)):
                return layout.small_facing_gap_mm
            return layout.large_body_gap_mm if self.has_large else 0
        return 0 if len(roles) == 1 else layout.group_gap_mm

    def _tier(self, placement: Placement) -> str | None:
        circuit = self._circuit(placement)
        return circuit.item.tier if circuit else None

    def _circuit(self, placement: Placement) -> Circuit | None:
        """Return the circuit that a device is; None for others, and for one that does not exist."""
        return self.circuits.get(placement.circuit) if placement.circuit else None

    # ------------------------------------------------------------ heat

    def _diversity(self) -> tuple[Decimal, Decimal]:
        """Return RDF and the diversified phase current [A], from circuits and mounted phases."""
        loaded = [circuit for circuit in self.devices.circuits if not circuit.is_spd]
        largest = max((circuit.item.rated_current_a for circuit in loaded), default=0)
        main = self.devices.main.rated_current_a
        rdf = rated_diversity_factor(len(loaded), main, largest, self.rules.heat)
        return rdf, max(self._phase_sums().values(), default=ZERO) * rdf

    def _phase_sums(self) -> dict[str, Decimal]:
        """Return the load [A] on each phase as mounted; a single-phase panel has one."""
        sums = {"R": ZERO, "S": ZERO, "T": ZERO}
        if self.devices.single_phase:
            return {"": sum((c.load_a for c in self.devices.circuits), ZERO)}
        for placement in self.placements:
            circuit = self._circuit(placement)
            if circuit:
                for letter in placement.phase or "":
                    sums[letter] += circuit.load_a
        return sums

    def heat(self) -> Iterator[Finding]:
        """Losses of the panel and of every band of 300 mm, at the diversified currents."""
        limits = self.rules.heat
        rdf, current = self._diversity()
        sources: list[tuple[int, int, Decimal]] = []
        for placement in self.placements:
            if placement.role == "main":
                item, amps = (
                    self.devices.main,
                    min(Decimal(self.devices.main.rated_current_a), current),
                )
            elif circuit := self._circuit(placement):
                item, amps = circuit.item, circuit.load_a * rdf
            else:
                continue
            loss = breaker_loss_w(
                item.poles, item.power_loss_w_per_pole, item.rated_current_a, amps
            )
            sources.append((placement.y_mm, placement.bottom_mm, loss))
        total = half_up(sum((loss for *_, loss in sources), ZERO), _HUNDREDTH)
        if total > limits.panel_limit_w:
            yield self._finding("HEAT_PANEL", heat=total, limit=limits.panel_limit_w)
        worst = half_up(worst_band_w(sources, limits.band_mm), _HUNDREDTH)
        if worst > limits.band_limit_w:
            yield self._finding(
                "HEAT_BAND", heat=worst, limit=limits.band_limit_w, band=limits.band_mm
            )

    # ------------------------------------------------------------ box

    def enclosure(self, asked_ip: str) -> Iterator[Finding]:
        """Protection, door, height limit and use of the mounting plate."""
        box, layout = self.box, self.rules.layout
        if not ip_at_least(box.ip_rating, asked_ip):
            yield self._finding("IP_RATING", sku=box.sku, rating=box.ip_rating, asked=asked_ip)
        bodies = [self.devices.main, *(circuit.item for circuit in self.devices.circuits)]
        deepest = max(body.depth_mm for body in bodies)
        door = box.depth_mm - layout.plate_offset_mm - deepest
        if door < layout.door_clearance_mm:
            yield self._finding("DOOR_CLEARANCE", distance=door, limit=layout.door_clearance_mm)
        if box.need.height_mm > layout.height_limit_mm:
            yield self._finding(
                "HEIGHT_LIMIT", height=box.need.height_mm, limit=layout.height_limit_mm
            )
            branches = len(self.devices.circuits)
            fixed = box.need.height_mm - box.need.branches_mm
            panels = max(2, ceil(box.need.branches_mm / max(1, layout.height_limit_mm - fixed)))
            yield self._finding(
                "SPLIT_PANEL", branches=branches, panels=panels, each=ceil(branches / panels)
            )
        margin = 2 * layout.side_margin_mm
        plate = (box.width_mm - margin) * (box.height_mm - margin)
        used = sum(
            p.width_mm * p.height_mm for p in self.placements if p.role not in ("busbar", "duct")
        )
        share = half_up(Decimal(used) / plate, _HUNDREDTH)
        if share > layout.space_use_max:
            yield self._finding("SPACE_USE", share=share, limit=layout.space_use_max)

    # ------------------------------------------------------------ electrical

    def loads(self) -> Iterator[Finding]:
        """Whether the main carries the diversified load, and feeds every pole."""
        main = self.devices.main
        rdf, current = self._diversity()
        loaded = [circuit for circuit in self.devices.circuits if not circuit.is_spd]
        if current > main.rated_current_a:
            stated = all(circuit.load_stated for circuit in loaded)
            yield self._finding(
                "MAIN_OVERLOAD" if stated else "MAIN_OVERLOAD_RATED",
                current=half_up(current, _TENTH),
                rating=main.rated_current_a,
                rdf=rdf,
            )
        if self.devices.single_phase:
            for circuit in self.devices.circuits:
                if circuit.item.poles > main.poles:
                    yield self._finding(
                        "POLES_ABOVE_MAIN",
                        device=f"C{circuit.number:03d}",
                        poles=circuit.item.poles,
                        main=main.poles,
                    )
        elif main.poles == THREE_POLES:
            needing = sum(
                circuit.item.poles != THREE_POLES and not circuit.two_phase for circuit in loaded
            )
            if needing:
                yield self._finding("NEUTRAL_MISSING", count=needing)

    def breaking_capacity(self) -> Iterator[Finding]:
        """Branches that break less than the main, and brands that are mixed as asked."""
        main = self.devices.main.breaking_capacity_ka
        weaker = [
            circuit.item.breaking_capacity_ka
            for circuit in self.devices.circuits
            if circuit.item.breaking_capacity_ka < main
        ]
        if weaker:
            yield self._finding("BRANCH_KA", count=len(weaker), lowest=min(weaker), main=main)
        brands = Counter([self.devices.main.brand, *(c.item.brand for c in self.devices.circuits)])
        if len(brands) > 1:
            yield self._finding("BRANDS_MIXED", brands=sorted(brands))

    def order(self) -> Iterator[Finding]:
        """Poles, frame, AT falling from the top of every column."""
        corridors = sorted(p.x_mm for p in self.placements if p.role == "busbar")
        columns: dict[tuple[int, str], list[tuple[int, int, Circuit]]] = {}
        for placement in self.placements:
            circuit = self._circuit(placement)
            if circuit is None or not corridors:
                continue
            corridor = min(corridors, key=lambda x: abs(x - placement.x_mm))
            entry = (placement.y_mm, abs(corridor - placement.x_mm), circuit)
            columns.setdefault((corridor, placement.side), []).append(entry)
        for (_, side), entries in sorted(columns.items()):
            entries.sort(key=lambda e: (e[0], e[1]))
            for (*_, first), (*_, second) in pairwise(entries):
                if _rank(second) > _rank(first):
                    yield self._finding(
                        "ORDER",
                        side=side,
                        first=f"C{first.number:03d}",
                        second=f"C{second.number:03d}",
                    )

    def phases(self) -> Iterator[Finding]:
        """Phase sums from the mounted devices, imbalance and the Korean unbalance rate."""
        phase = self.design.phase
        if phase is None:
            return
        limits, sums = self.rules.phase, self._phase_sums()
        reported = {"R": phase.r_a, "S": phase.s_a, "T": phase.t_a}
        for letter, recomputed in sums.items():
            if recomputed != reported[letter]:
                yield self._finding(
                    "PHASE_SUMS", phase=letter, reported=reported[letter], recomputed=recomputed
                )
        imbalance = imbalance_pct(sums["R"], sums["S"], sums["T"])
        if imbalance > limits.imbalance_gate_pct:
            figures = {"imbalance": half_up(imbalance, _TENTH), "limit": limits.imbalance_gate_pct}
            if phase.proven_optimal:
                yield self._finding("IMBALANCE_OPTIMAL", **figures, **self._remedy(sums))
            else:
                bound = half_up(phase.lower_bound_pct, _TENTH)
                yield self._finding("IMBALANCE_OPEN", **figures, bound=bound)
        elif imbalance > limits.imbalance_target_pct:
            figures = {"imbalance": half_up(imbalance, _TENTH)}
            yield self._finding("IMBALANCE_TARGET", **figures, target=limits.imbalance_target_pct)
        rate = half_up(phase.korean_unbalance_pct, _TENTH)
        limit = limits.korean_unbalance_limit_pct
        if phase.korean_unbalance_pct > limit:
            yield self._finding("UNBALANCE_RATE", rate=rate, limit=limit)
        ratio = half_up(phase.i2_over_i1, Decimal("0.001"))
        yield self._finding("PHASE_ADVISORY", rate=rate, limit=limit, ratio=ratio)

    def _remedy(self, sums: dict[str, Decimal]) -> dict[str, object]:
        """Return how many more of the commonest one-phase circuits would even out the sums."""
        singles = Counter(
            c.load_a
            for c in self.devices.circuits
            if not c.item.three_phase and not c.two_phase and c.load_a
        )
        if not singles:
            return {"count": 1, "load": ZERO}
        load = singles.most_common(1)[0][0]
        gap = sum((max(sums.values()) - value for value in sums.values()), ZERO)
        return {"count": max(1, round(gap / load)), "load": load}

    def temperature(self) -> Iterator[Finding]:
        """Temperature rise by the IEC TR 60890 method; never blocks."""
        box, rules = self.box, self.rules.temperature
        exposure = {"surface": "wall", "flush": "flush"}.get(box.mounting, "free")
        size = (box.width_mm, box.height_mm, box.depth_mm)
        heat = self.design.layout.heat_w
        rise = temperature_rise(size, heat, exposure, rules)  # type: ignore[arg-type]
        area = half_up(rise.area_m2, Decimal("0.001"))
        if rise.mid_k is None or rise.top_k is None:
            yield self._finding(
                "TEMPERATURE_UNKNOWN", area=area, low=rules.area_min_m2, high=rules.area_max_m2
            )
            return
        air = rules.ambient_c + rise.top_k
        yield self._finding(
            "TEMPERATURE_HIGH" if air > rules.air_limit_c else "TEMPERATURE",
            heat=heat,
            area=area,
            mid=half_up(rise.mid_k, _TENTH),
            top=half_up(rise.top_k, _TENTH),
            air=half_up(air, _TENTH),
            limit=rules.air_limit_c,
            ambient=rules.ambient_c,
        )

    def busbar(self) -> Iterator[Finding]:
        """Ampacity of the main busbar inside the enclosure."""
        rating = self.devices.main.rated_current_a
        section = self.rules.bom.busbar_section.at(self.devices.main.frame_af)
        ampacity = busbar_ampacity(section, self.rules.ampacity)
        if ampacity is None:
            yield self._finding("BUSBAR_UNKNOWN", section=section)
            return
        code = "BUSBAR_EXCEEDED" if rating > ampacity.current_a else "BUSBAR_AMPACITY"
        yield self._finding(
            code, section=section, bar=ampacity.bar, ampacity=ampacity.current_a, rating=rating
        )


def _name(placement: Placement) -> str:
    if placement.circuit is not None:
        return f"C{placement.circuit:03d} {placement.model} {placement.rated_current_a}A"
    if placement.role == "main":
        return f"MAIN {placement.model} {placement.rated_current_a}A"
    return placement.model


def _body(name: str, width_mm: int, height_mm: int) -> str:
    return f"{name} {width_mm}×{height_mm}"


def _group(placement: Placement) -> str:
    return "branch" if placement.role == "spare" else placement.role


def _rank(circuit: Circuit) -> tuple[int, int, int]:
    return (circuit.item.poles, circuit.item.frame_af, circuit.item.rated_current_a)


def worst_band_w(sources: list[tuple[int, int, Decimal]], band_mm: int) -> Decimal:
    """Return the greatest loss [W] in any band of `band_mm`; a body counts by its share of height.

    Each source is (top, bottom [mm], loss [W]). The loss inside a sliding band is piecewise linear,
    so its maximum starts or ends at a body's edge.

    >>> worst_band_w([(0, 100, Decimal(10)), (350, 450, Decimal(10))], 300)
    Decimal('10')
    >>> worst_band_w([(0, 100, Decimal(10)), (200, 300, Decimal(6))], 300)
    Decimal('16')
    """
    ordered = sorted(sources)
    edges = {edge for top, bottom, _ in ordered for edge in (top, bottom)}
    tallest = max((bottom - top for top, bottom, _ in ordered), default=0)
    tops = [top for top, *_ in ordered]
    worst = ZERO
    for start in {edge for e in edges for edge in (e, e - band_mm)}:
        end = start + band_mm
        loss = ZERO
        for top, bottom, source in ordered[bisect_left(tops, start - tallest) :]:
            if top >= end:
                break
            inside = min(bottom, end) - max(top, start)
            if inside > 0:
                loss += source * inside / (bottom - top)
        worst = max(worst, loss)
    return worst
