"""What is written on the bodies of a front view, at the largest size that fits inside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kis_estimator.documents.drawing.scene import Anchor, Box, Text
from kis_estimator.documents.lettering import LINE_HEIGHT, clean, fitting_size, shorten, text_width

if TYPE_CHECKING:
    from kis_estimator.engine.model import Circuit

_PAD, _FLANK_PAD = 0.5, 0.9
_SEVERAL_PHASES = 0.62
LARGEST = 2.6
_COMFORTABLE, _LEGIBLE, _SMALL, _LEAST = 2.0, 1.75, 1.2, 0.8
_NUMBER_SHARE, _NUMBER_LARGEST = 0.5, 3.6
_BASELINE = 0.35


def centred(
    box: Box, lines: Sequence[tuple[str, str]], size: float, *, upright: bool = True
) -> tuple[Text, ...]:
    """Return (text, style) lines centred in a box; not upright they read from below."""
    x, y = box.middle
    texts = []
    for i, (text, style) in enumerate(lines):
        across = ((i - (len(lines) - 1) / 2) * LINE_HEIGHT + _BASELINE) * size
        at = (x, y + across) if upright else (x + across, y)
        texts.append(Text(*at, text, size, style, "middle", upright))
    return tuple(texts)


def device_label(
    box: Box, choices: Sequence[Sequence[str]], largest: float = LARGEST
) -> tuple[Text, ...]:
    """Letter a box with the first choice of lines that is legible, else the last one, cut.

    The first line is bold. Where only that is legible, a tall box is lettered from below.
    """
    inner = box.inset(_PAD)
    tall = inner.height > inner.width
    for lines in choices:
        for upright in (True, False) if tall else (True,):
            size = fitting_size(lines, *_room(inner, upright=upright), largest, bold=True)
            if size >= _LEGIBLE:
                return centred(box, _styled(lines), size, upright=upright)
    lines = choices[-1]
    room, depth = _room(inner, upright=not tall)
    size = max(_SMALL, fitting_size(lines, room, depth, _LEGIBLE, bold=True))
    size = min(size, depth / (len(lines) * LINE_HEIGHT))
    cut = [shorten(line, room, size, bold=True) for line in lines]
    return centred(box, _styled(cut), size, upright=not tall)


def _room(inner: Box, *, upright: bool) -> tuple[float, float]:
    return (inner.width, inner.height) if upright else (inner.height, inner.width)


def _styled(lines: Sequence[str]) -> list[tuple[str, str]]:
    return [(line, "muted" if i else "bold") for i, line in enumerate(lines)]


def branch_label(
    box: Box, circuit: Circuit, phase: str, *, digits: int, corridor_right: bool
) -> list[Text]:
    """Letter a branch: number at the outer end, phase at the corridor, device between them.

    A number has the room of so many `digits`, so that equal bodies are lettered alike.
    """
    item = circuit.item
    kind = f"{item.category} {item.poles}P"
    ratings = f"{item.frame_af}AF/{item.rated_current_a}AT"
    inner = box.inset(_FLANK_PAD, _PAD)
    ends = _ends(inner, (str(circuit.number), phase), corridor_right=corridor_right)
    widest = "0" * max(digits, len(str(circuit.number)))
    number = text_width(widest, _number_size(inner), bold=True)
    room = inner.width - 2 * (
        max(number, *(text_width(e.text, e.size, bold=True) for e in ends)) + _FLANK_PAD
    )
    label = clean(circuit.spec.label or "")
    for lines, fixed in (
        ((f"{kind} {ratings}", label or clean(item.model)), 1),
        ((kind, ratings), 2),
    ):
        depth = inner.height * fixed / len(lines)
        size = fitting_size(lines[:fixed], room, depth, LARGEST)
        if size >= _COMFORTABLE:
            cut = [shorten(line, room, size) for line in lines]
            return [*ends, *centred(inner, [(cut[0], "text"), (cut[1], "muted")], size)]
    short = f"{item.frame_af}/{item.rated_current_a} {phase}".rstrip()
    least = f"{circuit.number} {phase}".rstrip()
    lines = (f"{circuit.number} {kind}", short)
    compact = box.inset(_PAD)
    size = fitting_size(
        [f"{widest} {kind}", short], compact.width, compact.height, LARGEST, bold=True
    )
    return list(_compact(compact, lines, size, label, least))


def _ends(inner: Box, texts: tuple[str, str], *, corridor_right: bool) -> list[Text]:
    """Return the circuit number and the phase at the ends of a body; several phases smaller."""
    large = _number_size(inner)
    places: list[tuple[float, Anchor]] = [(inner.x, "start"), (inner.right, "end")]
    ends = []
    for text, (x, anchor) in zip(
        texts, places if corridor_right else reversed(places), strict=True
    ):
        size = large if text.isdigit() or len(text) == 1 else large * _SEVERAL_PHASES
        y = inner.middle[1] + size * _BASELINE
        ends.append(Text(x, y, text, size, "bold", anchor))
    return [end for end in ends if end.text]


def _number_size(inner: Box) -> float:
    return min(inner.height * _NUMBER_SHARE, _NUMBER_LARGEST)


def _compact(
    inner: Box, lines: tuple[str, str], size: float, label: str, least: str
) -> tuple[Text, ...]:
    """Letter a body in the middle; the load's name only where it costs no legibility."""
    styled = [(lines[0], "bold"), (lines[1], "text")]
    if label and size * LINE_HEIGHT * (len(lines) + 1) <= inner.height:
        styled.append((shorten(label, inner.width, size), "muted"))
    if size >= _LEAST:
        return centred(inner, styled, size)
    size = fitting_size([least], inner.width, inner.height, LARGEST, bold=True)
    return centred(inner, [(least, "bold")], size)
