import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.documents import builders, samples

from kis_estimator.documents.drawing import arrangement, arrangement_files, drawing_filename
from kis_estimator.documents.drawing.border import TitleBlock
from kis_estimator.documents.drawing.projection import A2, A3, Sheet
from kis_estimator.documents.drawing.scene import (
    STYLES,
    Box,
    Circle,
    Group,
    Hatch,
    Line,
    Polygon,
    Rect,
    Scene,
    Shape,
    Text,
)
from kis_estimator.documents.drawing.svg import to_svg
from kis_estimator.documents.lettering import BOLD, text_width
from kis_estimator.documents.sheet import build_quotation
from kis_estimator.documents.texts import texts
from kis_estimator.engine.model import PanelResult, PlacementRole

SVG = "{http://www.w3.org/2000/svg}"
PANELS: dict[str, Callable[[], PanelResult]] = {
    "small": samples.small,
    "many-small": samples.many_small,
    "big": samples.big,
    "sixty": samples.sixty,
    "wide": samples.wide,
    "domestic": samples.domestic,
}
TITLE = TitleBlock(
    customer="주식회사 한빛전기", project="한빛 물류센터", number="KIS-20251124-0001",
    date="2025년 11월 24일", sheet=1, sheets=3, sample=True, panel="LP-1",
)  # fmt: skip
SLACK = 0.01


def draw(panel: PanelResult, title: TitleBlock = TITLE) -> Scene:
    return arrangement(panel, title, texts("ko-KR"))


def sheet_of(scene: Scene) -> Sheet:
    return next(sheet for sheet in (A3, A2) if sheet.width == scene.width)


def text_box(text: Text) -> Box:
    width = text_width(text.text, text.size) * (BOLD if STYLES[text.style].bold else 1)
    left = {"start": 0.0, "middle": width / 2, "end": width}[text.anchor]
    above, height = text.size * 0.75, text.size * 0.95
    if text.upright:
        return Box(text.x - left, text.y - above, width, height)
    return Box(text.x - above, text.y - width + left, height, width)


def extent(shape: Shape) -> Box:
    match shape:
        case Rect(box) | Hatch(box):
            return box
        case Line(points) | Polygon(points):
            xs, ys = zip(*points, strict=True)
            return Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
        case Circle(x, y, r):
            return Box(x - r, y - r, 2 * r, 2 * r)
        case Text():
            return text_box(shape)


def inside(inner: Box, outer: Box) -> bool:
    return (
        inner.x >= outer.x - SLACK
        and inner.y >= outer.y - SLACK
        and inner.right <= outer.right + SLACK
        and inner.bottom <= outer.bottom + SLACK
    )


def overlap(one: Box, two: Box) -> bool:
    return (
        one.x < two.right - SLACK
        and two.x < one.right - SLACK
        and one.y < two.bottom - SLACK
        and two.y < one.bottom - SLACK
    )


def replace_layout_with_everything(panel: PanelResult) -> PanelResult:
    """Return the panel with one placement of every role and phase, for the longest legend."""
    first = next(p for p in panel.layout.placements if p.role == "branch")
    more = [replace(first, phase=phase) for phase in ("R", "S", "T", "RS", "RST")]
    roles: list[PlacementRole] = ["spare", "accessory", "terminal", "duct", "busbar"]
    more += [replace(first, role=role, circuit=None) for role in roles]
    placements = (*panel.layout.placements, *more)
    return replace(panel, layout=replace(panel.layout, placements=placements))


def bodies(scene: Scene) -> Iterator[tuple[Group, Box, list[Text]]]:
    for group in scene.groups:
        if group.layer in ("main", "branch", "spare", "accessory", "terminal"):
            first = group.shapes[0]
            assert isinstance(first, Rect)
            yield group, first.box, [s for s in group.shapes if isinstance(s, Text)]


@pytest.mark.parametrize("case", PANELS)
def test_labels_stay_inside_their_bodies_and_apart(case: str) -> None:
    for group, body, labels in bodies(draw(PANELS[case]())):
        assert labels
        boxes = [text_box(label) for label in labels]
        for i, box in enumerate(boxes):
            assert inside(box, body), group.title
            assert not any(overlap(box, other) for other in boxes[:i]), group.title


@pytest.mark.parametrize("case", PANELS)
def test_every_circuit_is_drawn_and_lettered(case: str) -> None:
    panel = PANELS[case]()
    drawn = {
        label.text.split()[0]
        for group, _, labels in bodies(draw(panel))
        if group.layer == "branch"
        for label in labels
    }
    assert {str(circuit.number) for circuit in panel.devices.circuits} <= drawn


@pytest.mark.parametrize("case", PANELS)
def test_every_branch_shows_its_phase_as_a_letter(case: str) -> None:
    panel = PANELS[case]()
    phases = [p.phase for p in panel.layout.placements if p.role == "branch"]
    groups = [g for g in draw(panel).groups if g.layer == "branch"]
    for phase, group in zip(phases, groups, strict=True):
        words = " ".join(s.text for s in group.shapes if isinstance(s, Text)).split()
        assert phase is None or phase in words


@pytest.mark.parametrize("case", PANELS)
def test_everything_is_within_the_frame(case: str) -> None:
    scene = draw(PANELS[case]())
    for group in scene.groups:
        for shape in group.shapes:
            if shape.style != "paper":
                assert inside(extent(shape), sheet_of(scene).frame), (group.layer, shape)


@pytest.mark.parametrize("case", PANELS)
def test_lettering_is_legible_on_the_sheet(case: str) -> None:
    for _, _, labels in bodies(draw(PANELS[case]())):
        assert min(label.size for label in labels) >= 1.45


@pytest.mark.parametrize("case", PANELS)
def test_dimension_texts_do_not_overlap(case: str) -> None:
    (group,) = [g for g in draw(PANELS[case]()).groups if g.layer == "dimension"]
    boxes = [text_box(shape) for shape in group.shapes if isinstance(shape, Text)]
    for i, box in enumerate(boxes):
        assert not any(overlap(box, other) for other in boxes[:i])


def test_dimensions_tell_the_box_and_add_up() -> None:
    panel = samples.small()
    (group,) = [g for g in draw(panel).groups if g.layer == "dimension"]
    labels = [shape.text for shape in group.shapes if isinstance(shape, Text)]
    assert {"W 600", "H 900"} <= set(labels)
    chain = [int(label.split()[0]) for label in labels if re.match(r"\d+ ", label)]
    assert sum(chain) == 900


@pytest.mark.parametrize("case", PANELS)
def test_legend_and_title_block_stay_in_the_strip(case: str) -> None:
    scene = draw(replace_layout_with_everything(PANELS[case]()))
    strip = sheet_of(scene).strip
    for group in scene.groups:
        if group.layer in ("legend", "titleblock"):
            assert all(inside(extent(shape), strip) for shape in group.shapes)


def test_drawing_is_to_scale() -> None:
    panel = samples.wide()
    scene = draw(panel)
    (enclosure,) = [g for g in scene.groups if g.layer == "enclosure"]
    outer = extent(enclosure.shapes[0])
    main = next(body for group, body, _ in bodies(scene) if group.layer == "main")
    scale = panel.enclosure.width_mm / outer.width
    assert scale == pytest.approx(6)
    assert main.width * scale == pytest.approx(panel.devices.main.width_mm)


def test_svg_is_plain_accessible_xml() -> None:
    result = samples.hostile()
    files = arrangement_files(result, build_quotation(result, samples.header()))
    assert len(files) == len(samples.HOSTILE)
    for svg in files.values():
        root = ET.fromstring(svg)  # noqa: S314 - our own output
        assert root.get("role") == "img"
        assert root.get("aria-label")
        assert root.find(f"{SVG}title") is not None
        assert (root.get("width"), root.get("viewBox")) == ("297mm", "0 0 297 420")
        for element in root.iter():
            assert element.tag.removeprefix(SVG) in {
                "svg", "g", "title", "desc", "rect", "path", "polyline", "polygon", "circle",
                "text",
            }  # fmt: skip
            assert not [key for key in element.attrib if key.startswith("on") or "href" in key]
        assert "url(" not in svg
        assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e\ufffe]", svg)


def test_sample_mark_and_title_block() -> None:
    svg = to_svg(draw(samples.big()))
    assert "SAMPLE" in svg
    assert "SAMPLE" not in to_svg(draw(samples.big(), replace(TITLE, sample=False)))
    for text in ("KIS-20251124-0001", "800×1300×250", "1:5", "1 / 3", "2025년 11월 24일", "R상"):
        assert text in svg


@settings(deadline=None, max_examples=60)
@given(st.text(), st.text())
def test_any_text_fits_the_sheet(name: str, label: str) -> None:
    feeders = [builders.Feeder("ELB", 2, 50, 20, label), builders.Feeder("MCCB", 3, 100, 75, label)]
    result = samples.result(
        builders.panel(name, feeders, box=builders.Shape(600, 900)), project=name
    )
    quotation = build_quotation(result, samples.header())
    title = replace(TITLE, panel=quotation.panels[0].name, project=quotation.project)
    scene = draw(result.panels[0], title)
    ET.fromstring(to_svg(scene))  # noqa: S314 - our own output
    for group in scene.groups:
        for shape in group.shapes:
            assert shape.style == "paper" or inside(extent(shape), sheet_of(scene).frame)
    for _, body, labels in bodies(scene):
        assert all(inside(text_box(one), body) for one in labels)


@given(st.integers(1, 200), st.text() | st.sampled_from(["../../etc/passwd", "LP-1", "가나" * 60]))
def test_file_names_are_safe(index: int, name: str) -> None:
    filename = drawing_filename(index, name)
    assert re.fullmatch(
        r"\d{2,}-[0-9a-z가-힣]([0-9a-z가-힣-]{0,38}[0-9a-z가-힣])?-arrangement\.svg", filename
    )
