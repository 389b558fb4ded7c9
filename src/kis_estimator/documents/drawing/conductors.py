"""Which conductors a panel has and a circuit takes; letters R, S, T and N name them."""

from __future__ import annotations

from kis_estimator.engine.model import PanelResult

NEUTRAL = "N"
_BARS = {1: "RN", 2: "RN", 3: "RST", 4: "RSTN"}
_SUPPLIES = {True: "RN", False: "RSTN"}
_ONE_PHASE, _ONE_PHASE_LETTER = "R", "L"
_ONE_POLE, _TWO_POLES, _FOUR_POLES = 1, 2, 4


def bar_letters(panel: PanelResult) -> str:
    """Return the bars behind the main breaker: a pole each."""
    return _BARS[panel.devices.main.poles]


def supply_letters(panel: PanelResult) -> str:
    """Return the conductors that feed the panel: 3-phase 4-wire, or one phase with neutral."""
    return _SUPPLIES[panel.devices.single_phase]


def conductor_name(panel: PanelResult, letter: str) -> str:
    """Return how a conductor is marked: the only live one of a single-phase panel is L."""
    return _ONE_PHASE_LETTER if panel.phase is None and letter == _ONE_PHASE else letter


def switched(phase: str | None, poles: int) -> str:
    """Return what a branch breaker switches: its phases, and N for phase + N or four poles.

    >>> switched("S", 2), switched("RS", 2), switched("RST", 3), switched("RST", 4)
    ('SN', 'RS', 'RST', 'RSTN')
    """
    phases = phase or _ONE_PHASE
    neutral = poles == _FOUR_POLES or (poles == _TWO_POLES and len(phases) == 1)
    return phases + (NEUTRAL if neutral else "")


def wired(phase: str | None, poles: int) -> str:
    """Return the conductors of a circuit: a single pole is wired with the neutral as well.

    >>> wired("S", 1), wired("S", 2), wired("RST", 3)
    ('SN', 'SN', 'RST')
    """
    letters = switched(phase, poles)
    return letters + (NEUTRAL if poles == _ONE_POLE else "")
