"""A scene as SVG: millimetres, presentation attributes only, nothing that can run or load."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import groupby
from xml.sax.saxutils import escape, quoteattr

from kis_estimator.documents.drawing.scene import (
    STYLES,
    Circle,
    Group,
    Hatch,
    Line,
    Point,
    Polygon,
    Rect,
    Scene,
    Shape,
    Text,
)

_FONTS = "Pretendard, 'Malgun Gothic', 'Noto Sans CJK KR', sans-serif"
_NOTHING = "none"


def to_svg(scene: Scene) -> str:
    """Write the scene; the same scene gives the same text."""
    width, height = _num(scene.width), _num(scene.height)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}mm" height="{height}mm" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label={quoteattr(scene.title)} '
        f'font-family="{_FONTS}">\n'
        f"<title>{escape(scene.title)}</title>\n<desc>{escape(scene.description)}</desc>\n"
    )
    return head + "".join(map(_group, scene.groups)) + "</svg>\n"


def _group(group: Group) -> str:
    title = f"<title>{escape(group.title)}</title>" if group.title else ""
    runs = groupby(group.shapes, key=lambda shape: (shape.style, isinstance(shape, Text)))
    body = "".join(_run(style, shapes, text=text) for (style, text), shapes in runs)
    return f'<g class="{group.layer}">{title}{body}</g>\n'


def _run(style: str, shapes: Iterable[Shape], *, text: bool) -> str:
    return f"<g{_ink(style, text=text)}>{''.join(map(_shape, shapes))}</g>"


@cache
def _ink(name: str, *, text: bool) -> str:
    style = STYLES[name]
    parts = [f' fill="{style.fill or _NOTHING}"']
    if style.stroke and not text:
        parts.append(f' stroke="{style.stroke}" stroke-width="{_num(style.width)}"')
        if style.dash:
            parts.append(f' stroke-dasharray="{style.dash}"')
    if style.bold and text:
        parts.append(' font-weight="bold"')
    return "".join(parts)


def _shape(shape: Shape) -> str:
    match shape:
        case Rect(box, _, radius):
            corner = f' rx="{_num(radius)}"' if radius else ""
            return (
                f'<rect x="{_num(box.x)}" y="{_num(box.y)}" width="{_num(box.width)}" '
                f'height="{_num(box.height)}"{corner}/>'
            )
        case Hatch():
            return f'<path d="{_hatch(shape)}"/>'
        case Line(points):
            return f'<polyline points="{_points(points)}"/>'
        case Polygon(points):
            return f'<polygon points="{_points(points)}"/>'
        case Circle(x, y, radius):
            return f'<circle cx="{_num(x)}" cy="{_num(y)}" r="{_num(radius)}"/>'
        case Text():
            return _text(shape)


def _text(text: Text) -> str:
    anchor = "" if text.anchor == "start" else f' text-anchor="{text.anchor}"'
    x, y = _num(text.x), _num(text.y)
    turn = "" if text.upright else f' transform="rotate(-90 {x} {y})"'
    return (
        f'<text x="{x}" y="{y}" font-size="{_num(text.size)}"{anchor}{turn}>'
        f"{escape(text.text)}</text>"
    )


def _hatch(hatch: Hatch) -> str:
    return "".join(
        f"M{_num(x1)} {_num(y1)}L{_num(x2)} {_num(y2)}" for (x1, y1), (x2, y2) in hatch.strokes()
    )


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{_num(x)},{_num(y)}" for x, y in points)


def _num(value: float) -> str:
    """Write a length to 0.01 mm, without trailing zeros or a negative zero.

    >>> _num(1.0), _num(2.345678), _num(-0.001)
    ('1', '2.35', '0')
    """
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
