"""Branches in columns: the exact two-column split and the R, S, T alternation (§4).

Within a column the order is fixed by the trade (poles, frame, AT falling), so only the side of each
row is free: a small exact dynamic programme over the reachable column heights.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from kis_estimator.engine.model import BreakerItem, Circuit, PanelDevices, Spare
from kis_estimator.engine.rules import LayoutRules, Rules

Device = Circuit | Spare

TWO, FOUR = 2, 4
"""A layout has two columns, or four."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A device in a column: rank 0 is next to the corridor; y from the top of the branches."""

    device: Device
    column: int
    rank: int
    y_mm: int
    pitch_mm: int


@dataclass(frozen=True, slots=True)
class Row:
    """Devices side by side in one column, inner first, and their common pitch [mm]."""

    devices: tuple[Device, ...]
    pitch_mm: int


def split_evenly(pitches: list[int]) -> list[bool]:
    """Return for each row whether it goes right, so that the taller column is as short as possible.

    Exact: `reach[i]` holds, as the bits of an integer, every left height that the rows from i on
    can make. Going down, a row takes the shorter column while the optimum stays reachable.

    >>> split_evenly([100, 50, 50]), split_evenly([75, 75, 50, 50, 50])
    ([False, True, True], [False, False, True, True, True])
    """
    total = sum(pitches)
    reach = [1]
    for pitch in reversed(pitches):
        reach.append(reach[-1] | reach[-1] << pitch)
    reach.reverse()
    # the largest reachable height of at most half is the shorter column of the optimum
    shorter = (reach[0] & ((1 << (total // 2 + 1)) - 1)).bit_length() - 1
    tallest = total - shorter
    heights = [0, 0]
    sides: list[bool] = []
    for index, pitch in enumerate(pitches):
        first = 1 if heights[1] < heights[0] else 0
        for side in (first, 1 - first):
            left = heights[0] + (pitch if side == 0 else 0)
            # the rest must bring the left column to between total - tallest and tallest
            window = (1 << (tallest - left + 1)) - 1 if left <= tallest else 0
            low = max(0, total - tallest - left)
            if (reach[index + 1] & window) >> low:
                heights[side] += pitch
                sides.append(side == 1)
                break
    return sides


def mounting_order(devices: PanelDevices) -> list[Device]:
    """Return branches and spares from the top: poles, frame, AT; spares after their like."""
    everything: list[Device] = [*devices.circuits, *devices.spares]
    return sorted(everything, key=lambda device: order_key(device.item))


def order_key(item: BreakerItem) -> tuple[int, int, int]:
    """Return the sort key of the mounting order."""
    return (-item.poles, -item.frame_af, -item.rated_current_a)


def pitch_mm(item: BreakerItem, rules: LayoutRules) -> int:
    """Return the vertical pitch [mm] of a branch: by poles and frame, never less than its body."""
    return max(rules.pitch_mm[item.poles].at(item.frame_af), item.width_mm)


def arrange(devices: PanelDevices, columns: int, abreast: int, rules: Rules) -> list[Slot]:
    """Return every branch and spare in its column; `abreast` small ones share a row of a column.

    Columns 0 and 1 face the first corridor, 2 and 3 the second.
    """
    rows = _rows(mounting_order(devices), abreast, rules)
    groups = [rows]
    if columns == FOUR:
        sides = split_evenly([row.pitch_mm for row in rows])
        groups = [
            [row for row, right in zip(rows, sides, strict=True) if right is b]
            for b in (False, True)
        ]
    slots: list[Slot] = []
    for number, group in enumerate(groups):
        heights = [0, 0]
        sides = split_evenly([row.pitch_mm for row in group])
        for row, right in zip(group, sides, strict=True):
            for rank, device in enumerate(row.devices):
                slots.append(Slot(device, 2 * number + right, rank, heights[right], row.pitch_mm))
            heights[right] += row.pitch_mm
    return slots


def _rows(order: list[Device], abreast: int, rules: Rules) -> list[Row]:
    rows: list[Row] = []
    small = rules.selection.small_tier
    for device in order:
        pitch = pitch_mm(device.item, rules.layout)
        last = rows[-1] if rows else None
        if (
            last
            and device.item.tier == small
            and last.devices[0].item.tier == small
            and len(last.devices) < abreast
        ):
            rows[-1] = Row((*last.devices, device), max(last.pitch_mm, pitch))
        else:
            rows.append(Row((device,), pitch))
    return rows


def columns_height_mm(slots: list[Slot]) -> int:
    """Return the height of the tallest column [mm]."""
    return max((slot.y_mm + slot.pitch_mm for slot in slots), default=0)


def alternate(slots: list[Slot], assignment: dict[int, str]) -> tuple[list[Slot], dict[int, str]]:
    """Permute equal loads and equal positions so that neighbours of a column differ in phase.

    The phase sums do not change: phases are exchanged between circuits of equal load, and circuits
    between positions of equal device. Returns the slots and the assignment.
    """
    mounted = _Mounted(slots, _deal(slots, assignment))
    indexes = range(len(slots))
    for index in indexes:
        if mounted.clashes(index):
            any(mounted.improve(index, other) for other in indexes)
    contents = zip(slots, mounted.devices, strict=True)
    return [replace(slot, device=device) for slot, device in contents], mounted.phases


class _Mounted:
    """Devices in their slots with their phases, and the exchanges that leave the sums alone."""

    def __init__(self, slots: list[Slot], phases: dict[int, str]) -> None:
        self.devices = [slot.device for slot in slots]
        self.phases = phases
        self.neighbours = _neighbours(slots)

    def clashes(self, index: int) -> int:
        """Count the neighbours on the same one or two phases."""
        own = self._phase(index)
        return sum(own == self._phase(n) for n in self.neighbours[index] if own != "RST")

    def improve(self, index: int, other: int) -> bool:
        """Exchange two devices' phases or places if that leaves fewer clashes."""
        before = self.clashes(index) + self.clashes(other)
        if not self._exchange(index, other):
            return False
        if self.clashes(index) + self.clashes(other) < before:
            return True
        self._exchange(index, other)
        return False

    def _exchange(self, index: int, other: int) -> bool:
        """Exchange phases of equal loads, else positions of equal devices, where allowed."""
        first, second = self.devices[index], self.devices[other]
        if not isinstance(first, Circuit) or not isinstance(second, Circuit):
            return False
        if _load(first) == _load(second):
            one, two = first.number, second.number
            self.phases[one], self.phases[two] = self.phases[two], self.phases[one]
            return True
        if _position(first) == _position(second):
            self.devices[index], self.devices[other] = second, first
            return True
        return False

    def _phase(self, index: int) -> str | None:
        device = self.devices[index]
        return self.phases[device.number] if isinstance(device, Circuit) else None


def _load(circuit: Circuit) -> tuple[object, ...]:
    return (circuit.load_a, circuit.two_phase, circuit.item.three_phase)


def _position(circuit: Circuit) -> tuple[object, ...]:
    item = circuit.item
    return (order_key(item), item.width_mm, item.height_mm, item.tier)


def _neighbours(slots: list[Slot]) -> list[list[int]]:
    """Return for each slot the indexes of those before and after it in its column."""
    result: list[list[int]] = [[] for _ in slots]
    last: dict[int, int] = {}
    for index, slot in enumerate(slots):
        if slot.column in last:
            result[index].append(last[slot.column])
            result[last[slot.column]].append(index)
        last[slot.column] = index
    return result


def _deal(slots: list[Slot], assignment: dict[int, str]) -> dict[int, str]:
    """Deal the phases of each load class down the columns, avoiding the neighbour's."""
    left: dict[tuple[object, ...], Counter[str]] = {}
    for slot in slots:
        if isinstance(slot.device, Circuit):
            phase = assignment[slot.device.number]
            left.setdefault(_load(slot.device), Counter())[phase] += 1
    phases: dict[int, str] = {}
    last: dict[int, str] = {}
    for slot in slots:
        if not isinstance(slot.device, Circuit):
            last.pop(slot.column, None)
            continue
        stock = left[_load(slot.device)]
        before = last.get(slot.column)
        phase = min((p for p in stock if stock[p]), key=lambda p: (p == before, -stock[p], p))
        stock[phase] -= 1
        phases[slot.device.number] = last[slot.column] = phase
    return phases
