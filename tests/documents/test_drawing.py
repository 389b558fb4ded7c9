import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.documents import builders, samples
from tests.documents.scenes import (
    ALL,
    DRAW,
    PANELS,
    TITLE,
    extent,
    inside,
    outside,
    overlap,
    sheet_of,
    text_box,
)

from kis_estimator.documents.drawing import (
    TitleBlock,
    arrangement,
    drawing_files,
    drawing_stem,
)
from kis_estimator.documents.drawing.scene import Box, Group, Rect, Scene, Text
from kis_estimator.documents.drawing.svg import to_svg
from kis_estimator.documents.sheet import build_quotation
from kis_estimator.documents.texts import texts
from kis_estimator.engine.model import PanelResult, PlacementRole

SVG = "{http://www.w3.org/2000/svg}"


def draw(panel: PanelResult, title: TitleBlock = TITLE) -> Scene:
    return arrangement(panel, title, texts("ko-KR"))


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


@pytest.mark.parametrize("kind", DRAW)
@pytest.mark.parametrize("case", ALL)
def test_everything_is_within_the_frame(case: str, kind: str) -> None:
    assert list(outside(DRAW[kind](ALL[case](), TITLE, texts("ko-KR")))) == []


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
    files = drawing_files(result, build_quotation(result, samples.header()))
    drawn = [content.decode() for name, content in files.items() if name.endswith(".svg")]
    assert len(drawn) == len(samples.HOSTILE) * 3
    for svg in drawn:
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
    for kind in DRAW.values():
        scene = kind(result.panels[0], title, quotation.words)
        ET.fromstring(to_svg(scene))  # noqa: S314 - our own output
        assert list(outside(scene)) == []
    for _, body, labels in bodies(draw(result.panels[0], title)):
        assert all(inside(text_box(one), body) for one in labels)


@given(st.integers(1, 200), st.text() | st.sampled_from(["../../etc/passwd", "LP-1", "가나" * 60]))
def test_file_names_are_safe(index: int, name: str) -> None:
    stem = drawing_stem(index, name)
    assert re.fullmatch(r"\d{2,}-[0-9a-z가-힣]([0-9a-z가-힣-]{0,38}[0-9a-z가-힣])?", stem)


def test_every_panel_has_three_drawings_in_two_formats() -> None:
    result = samples.result(samples.small("LP-1"), samples.domestic("LP-1"))
    files = drawing_files(result, build_quotation(result, samples.header()))
    assert list(files) == [
        f"{number}-lp-1-{kind}.{suffix}"
        for number in ("01", "02")
        for kind in ("outline", "arrangement", "single-line")
        for suffix in ("svg", "dxf")
    ]
    numbers = [re.findall(rb">(\d / \d)<", files[name])[0] for name in files if "svg" in name]
    assert numbers == [b"%d / 6" % i for i in range(1, 7)]
