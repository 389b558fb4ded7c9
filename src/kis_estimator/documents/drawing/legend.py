"""The legend beside the title block, with the load of each phase as bars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kis_estimator.documents.drawing.border import BASELINE, PAD, Plate
from kis_estimator.documents.drawing.scene import Box, Group, Rect, Shape, Text
from kis_estimator.documents.lettering import fitting_size, shorten
from kis_estimator.documents.texts import Texts, say

if TYPE_CHECKING:
    from kis_estimator.engine.model import PanelResult, PhaseBalance

_LEGEND_WIDTH, _SWATCH_WIDTH, _PITCH = 52, 8, 5.6
_HEADING_SIZE, _SIZE = 3.0, 2.6

Draw = Callable[[Box], Sequence[Shape]]
Swatch = tuple[str, Draw]


def legend(panel: PanelResult, plate: Plate, swatches: Sequence[Swatch], words: Texts) -> Group:
    """Return the legend of what is drawn, the load of each phase, imbalance and heat."""
    box = plate.notes
    left = Box(box.x + PAD * 1.5, box.y + PAD, _LEGEND_WIDTH, box.height - 2 * PAD)
    right = Box(left.right, left.y, box.right - left.right - PAD, left.height)
    shapes: list[Shape] = [
        Rect(box, "frame"),
        Text(left.x, left.y + 4, words["legend"], _HEADING_SIZE, "bold"),
        Text(right.x, left.y + 4, words["phase_loads"], _HEADING_SIZE, "bold"),
        *_swatches(swatches, left),
        *_loads(panel, right, words),
    ]
    return Group("legend", tuple(shapes))


def _swatches(entries: Sequence[Swatch], box: Box) -> list[Shape]:
    pitch = min(_PITCH, (box.height - 7) / len(entries))
    shapes: list[Shape] = []
    for i, (text, draw) in enumerate(entries):
        swatch = Box(box.x, box.y + 7 + pitch * i, _SWATCH_WIDTH, pitch * 0.72)
        shapes += draw(swatch)
        y = swatch.middle[1] + _SIZE * BASELINE
        room = box.right - swatch.right - PAD
        shapes.append(Text(swatch.right + PAD, y, shorten(text, room, _SIZE), _SIZE))
    return shapes


def _loads(panel: PanelResult, box: Box, words: Texts) -> list[Shape]:
    notes = [
        say(
            words, "heat",
            watts=f"{panel.layout.heat_w:.0f}", amps=f"{panel.layout.phase_current_a:.1f}",
        )
    ]  # fmt: skip
    shapes: list[Shape] = []
    y = box.y + 8
    if panel.phase is None:
        notes.insert(0, words["single_phase"])
    else:
        notes.insert(0, _imbalance(panel.phase, words))
        shapes = _bars(panel.phase, Box(box.x, y, box.width, 21))
        y += 24
    for i, note in enumerate(notes):
        size = min(_SIZE, fitting_size([note], box.width, box.height, _SIZE))
        shapes.append(Text(box.x, y + 3 + 5 * i, note, size))
    return shapes


def _bars(balance: PhaseBalance, box: Box) -> list[Shape]:
    loads = {"R": balance.r_a, "S": balance.s_a, "T": balance.t_a}
    most = max(loads.values()) or 1
    pitch = box.height / len(loads)
    room = box.width - 26
    shapes: list[Shape] = []
    for i, (phase, load) in enumerate(loads.items()):
        bar = Box(box.x + 5, box.y + pitch * i, room * float(load / most), pitch * 0.6)
        y = bar.middle[1] + _SIZE * BASELINE
        shapes += [
            Text(box.x, y, phase, _SIZE, f"ink-{phase}"),
            Rect(bar, f"bar-{phase}"),
            Text(box.right, y, f"{load:.1f} A", _SIZE, anchor="end"),
        ]
    return shapes


def _imbalance(balance: PhaseBalance, words: Texts) -> str:
    key = "imbalance_proven" if balance.proven_optimal else "imbalance"
    return say(
        words, key, value=f"{balance.imbalance_pct:.2f}", bound=f"{balance.lower_bound_pct:.2f}"
    )
