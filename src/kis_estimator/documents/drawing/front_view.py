"""The front view of a panel: enclosure, ducts, busbars with their taps, and every device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kis_estimator.documents.drawing.accessories import accessory_name
from kis_estimator.documents.drawing.bodies import branch_label, centred, device_label
from kis_estimator.documents.drawing.conductors import bar_letters, conductor_name, switched
from kis_estimator.documents.drawing.scene import (
    Box,
    Circle,
    Group,
    Hatch,
    Layer,
    Line,
    Rect,
    Shape,
)
from kis_estimator.documents.lettering import clean
from kis_estimator.documents.sheet import breaker_text

if TYPE_CHECKING:
    from kis_estimator.documents.drawing.projection import Projection
    from kis_estimator.documents.texts import Texts
    from kis_estimator.engine.model import Circuit, PanelResult, Placement

_LIP, _PLATE = 8, 20
_HATCH_PITCH = 2.2
_STRIPE = 0.9
_DOT = 0.45
_MAIN_SIZE = 3.4
_BALLOON, _BALLOON_SHARE, _BAR = 1.6, 0.47, 0.4


def front_view(panel: PanelResult, view: Projection, words: Texts) -> list[Group]:
    """Return the view, back to front."""
    by_role: dict[str, list[Placement]] = {}
    for placed in panel.layout.placements:
        by_role.setdefault(placed.role, []).append(placed)
    circuits = {circuit.number: circuit for circuit in panel.devices.circuits}
    corridors = by_role.get("busbar", [])
    branches = by_role.get("branch", [])
    return [
        _enclosure(panel, view),
        *(_duct(placed, view, words) for placed in by_role.get("duct", [])),
        *_busbars(panel, corridors, view),
        _taps(panel, branches, corridors, view),
        *(_main(panel, placed, view) for placed in by_role.get("main", [])),
        *(_branch(placed, circuits, view, one_phase=panel.phase is None) for placed in branches),
        *(_spare(placed, view, words) for placed in by_role.get("spare", [])),
        *(
            _device(panel, placed, view, words)
            for role in ("accessory", "terminal")
            for placed in by_role.get(role, [])
        ),
    ]


def _enclosure(panel: PanelResult, view: Projection) -> Group:
    box = view.area(0, 0, panel.enclosure.width_mm, panel.enclosure.height_mm)
    return Group(
        "enclosure",
        (
            Rect(box, "enclosure"),
            Rect(box.inset(view.length(_LIP)), "enclosure-lip"),
            Rect(box.inset(view.length(_PLATE)), "plate"),
        ),
    )


def _duct(placed: Placement, view: Projection, words: Texts) -> Group:
    box = view.box(placed)
    shapes = (Rect(box, "duct"), Hatch(box, _HATCH_PITCH, "duct-hatch"))
    return Group("duct", shapes, words["duct"])


def _bar_xs(corridor: Box, letters: str) -> dict[str, float]:
    step = corridor.width / (len(letters) + 1)
    return {letter: corridor.x + step * i for i, letter in enumerate(letters, start=1)}


def _busbars(panel: PanelResult, corridors: Sequence[Placement], view: Projection) -> list[Group]:
    """Return each corridor with its bars, fed from the main's lower terminals."""
    letters = bar_letters(panel)
    placed = panel.layout.placements
    main = next((view.box(p) for p in placed if p.role == "main"), None)
    rows = [view.box(p).y for p in placed if p.role in ("branch", "spare")]
    groups = []
    for corridor in corridors:
        box = view.box(corridor)
        step = box.width / (len(letters) + 1)
        shapes: list[Shape] = [Rect(box, "corridor")]
        for i, (letter, x) in enumerate(_bar_xs(box, letters).items(), start=1):
            top = box.y
            if main is not None and main.x < x < main.right:
                shapes.append(Line(((x, main.bottom), (x, box.y)), f"tap-{letter}"))
            elif main is not None:
                start = main.x + main.width * i / (len(letters) + 1)
                room = max(0.0, min(rows, default=box.y) - main.bottom)
                top = main.bottom + room * i / (len(letters) + 1)
                feed = ((start, main.bottom), (start, top), (x, top))
                shapes.append(Line(feed, f"tap-{letter}"))
            bar = Box(x - step * _BAR / 2, top, step * _BAR, box.bottom - top)
            shapes.append(Rect(bar, f"bar-{letter}"))
        shapes += _balloons(panel, box, letters)
        groups.append(Group("busbar", tuple(shapes)))
    return groups


def _balloons(panel: PanelResult, corridor: Box, letters: str) -> list[Shape]:
    """Return the bars' letters in circles below their ends."""
    shapes: list[Shape] = []
    xs = _bar_xs(corridor, letters)
    radius = min(_BALLOON, corridor.width / (len(letters) + 1) * _BALLOON_SHARE)
    for letter, x in xs.items():
        at = Box(x - radius, corridor.bottom, radius * 2, radius * 2)
        name = conductor_name(panel, letter)
        shapes += [
            Circle(*at.middle, radius, "balloon"),
            *centred(at, [(name, f"ink-{letter}")], radius * 1.25),
        ]
    return shapes


def _taps(
    panel: PanelResult,
    branches: Sequence[Placement],
    corridors: Sequence[Placement],
    view: Projection,
) -> Group:
    letters = bar_letters(panel)
    poles = {circuit.number: circuit.item.poles for circuit in panel.devices.circuits}
    shapes: list[Shape] = []
    for placed in branches:
        facing = _facing(placed, corridors)
        if facing is None:
            continue
        xs = _bar_xs(view.box(facing), letters)
        body = view.box(placed)
        edge = body.right if placed.side == "left" else body.x
        wanted = switched(placed.phase, poles.get(placed.circuit or 0, 0))
        for i, (letter, x) in enumerate(xs.items(), start=1):
            if letter in wanted:
                y = body.y + body.height * i / (len(xs) + 1)
                shapes += [
                    Line(((edge, y), (x, y)), f"tap-{letter}"),
                    Circle(x, y, _DOT, f"phase-{letter}"),
                ]
    return Group("busbar", tuple(shapes))


def _facing(placed: Placement, corridors: Sequence[Placement]) -> Placement | None:
    """Return the nearest corridor on the side that the body faces."""
    if placed.side == "left":
        beyond = [c for c in corridors if c.x_mm >= placed.right_mm]
        return min(beyond, key=lambda c: c.x_mm, default=None)
    if placed.side == "right":
        beyond = [c for c in corridors if c.right_mm <= placed.x_mm]
        return max(beyond, key=lambda c: c.right_mm, default=None)
    return None


def _main(panel: PanelResult, placed: Placement, view: Projection) -> Group:
    item, box = panel.devices.main, view.box(placed)
    kind, rating = f"{item.category} {item.poles}P", f"{item.frame_af}AF/{item.rated_current_a}AT"
    detail = f"{clean(item.model)} {item.breaking_capacity_ka:f}kA"
    choices = (
        ("MAIN", kind, rating, detail),
        ("MAIN", kind, rating),
        ("MAIN", f"{kind} {rating}"),
        (f"MAIN {kind} {rating}",),
    )
    title = f"MAIN {breaker_text(item)} {clean(item.model)}"
    return Group("main", (Rect(box, "main", 0.6), *device_label(box, choices, _MAIN_SIZE)), title)


def _branch(
    placed: Placement, circuits: dict[int, Circuit], view: Projection, *, one_phase: bool
) -> Group:
    box = view.box(placed)
    circuit = circuits[placed.circuit or 0]
    phase = placed.phase or ""
    style = f"body-{phase}" if len(phase) == 1 else "body"
    right = placed.side != "right"
    stripe = min(_STRIPE, box.width * 0.06)
    body = Box(box.x + (0 if right else stripe), box.y, box.width - stripe, box.height)
    shapes: list[Shape] = [Rect(box, style)]
    edge = box.right - stripe if right else box.x
    part = box.height / max(1, len(phase))
    shapes += [
        Rect(Box(edge, box.y + part * i, stripe, part), f"phase-{letter}")
        for i, letter in enumerate(phase)
    ]
    shapes += branch_label(
        body,
        circuit,
        "" if one_phase else phase,
        digits=max(len(str(number)) for number in circuits),
        corridor_right=right,
    )
    label = clean(circuit.spec.label or "")
    title = " ".join(filter(None, (str(circuit.number), breaker_text(circuit.item), phase, label)))
    return Group("branch", tuple(shapes), f"{title} ({clean(circuit.item.model)})")


def _spare(placed: Placement, view: Projection, words: Texts) -> Group:
    box = view.box(placed)
    label = device_label(box, ((words["spare"],),))
    return Group("spare", (Rect(box, "spare"), *label), words["spare"])


def _device(panel: PanelResult, placed: Placement, view: Projection, words: Texts) -> Group:
    box, sku = view.box(placed), clean(placed.model)
    names = {use.item.sku: use.item for use in panel.devices.accessories}
    item = names.get(placed.model)
    name = accessory_name(item, words) if item else sku
    layer: Layer = "accessory" if placed.role == "accessory" else "terminal"
    choices = ((sku, name), (sku,)) if name != sku else ((sku,),)
    return Group(layer, (Rect(box, layer), *device_label(box, choices)), f"{sku} {name}")
