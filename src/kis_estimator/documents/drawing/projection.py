"""The sheet of a drawing and the scale at which a panel is put on it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from kis_estimator.documents.drawing.scene import Box
from kis_estimator.engine.model import EnclosureResult, Placement

_MARGIN, _STRIP, _HEADING = 10, 55, 13
_LEFT_DIMENSIONS, _RIGHT_CHAIN, _TOP_DIMENSIONS, _BELOW = 18, 34, 13, 19
SCALES = (1, 2, 2.5, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20)
_LEGIBLE_SCALE = 6


@dataclass(frozen=True, slots=True)
class Sheet:
    """Upright paper [mm]: heading at the top, strip of legend and title block at the bottom."""

    name: str
    width: float
    height: float

    @property
    def box(self) -> Box:
        """Return the whole paper."""
        return Box(0, 0, self.width, self.height)

    @property
    def frame(self) -> Box:
        """Return the frame, which everything is drawn in."""
        return self.box.inset(_MARGIN)

    @property
    def heading(self) -> Box:
        """Return where the panel's name stands."""
        frame = self.frame
        return Box(frame.x, frame.y, frame.width, _HEADING)

    @property
    def strip(self) -> Box:
        """Return where legend and title block stand."""
        frame = self.frame
        return Box(frame.x, frame.bottom - _STRIP, frame.width, _STRIP)

    @property
    def field(self) -> Box:
        """Return where the enclosure may be drawn, with room for its dimensions around it."""
        top = self.heading.bottom + _TOP_DIMENSIONS
        return Box(
            self.frame.x + _LEFT_DIMENSIONS,
            top,
            self.frame.width - _LEFT_DIMENSIONS - _RIGHT_CHAIN,
            self.strip.y - top - _BELOW,
        )


A3, A2, A1 = Sheet("A3", 297, 420), Sheet("A2", 420, 594), Sheet("A1", 594, 841)


@dataclass(frozen=True, slots=True)
class Projection:
    """Panel mm to sheet mm: 1:scale, with the enclosure's corner at x, y."""

    sheet: Sheet
    scale: float
    x: float
    y: float

    def length(self, mm: float) -> float:
        """Return a length on the sheet."""
        return mm / self.scale

    def box(self, placed: Placement) -> Box:
        """Return a device's place on the sheet."""
        return self.area(placed.x_mm, placed.y_mm, placed.width_mm, placed.height_mm)

    def area(self, x: float, y: float, width: float, height: float) -> Box:
        """Return the place of an area of the panel on the sheet."""
        return Box(
            self.x + self.length(x),
            self.y + self.length(y),
            self.length(width),
            self.length(height),
        )

    @property
    def name(self) -> str:
        """Return the scale as it is written."""
        return f"1:{self.scale:g}"


def project(enclosure: EnclosureResult) -> Projection:
    """Return the largest usual scale at which the enclosure fits, centred on its sheet.

    A3, as long as that leaves small breakers legible; else A2.
    """
    width, height = enclosure.width_mm, enclosure.height_mm
    sheet = A3 if _scale(A3, width, height) <= _LEGIBLE_SCALE else A2
    scale, field = _scale(sheet, width, height), sheet.field
    return Projection(
        sheet,
        scale,
        field.x + (field.width - width / scale) / 2,
        field.y + (field.height - height / scale) / 2,
    )


def _scale(sheet: Sheet, width: int, height: int) -> float:
    least = max(width / sheet.field.width, height / sheet.field.height)
    return next((scale for scale in SCALES if scale >= least), ceil(least))
