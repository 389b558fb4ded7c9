"""What the outline and the single-line diagram say is what was designed."""

import re
from dataclasses import replace
from decimal import Decimal
from itertools import combinations

import pytest
from tests.documents import builders, samples
from tests.documents.scenes import (
    ALL,
    BASE_MM,
    DRAW,
    PANELS,
    TITLE,
    bare,
    extent,
    mounted,
    outside,
    overlap,
    text_box,
    texts_of,
)

from kis_estimator.documents.drawing import arrangement, outline, single_line
from kis_estimator.documents.drawing.scene import Circle, Group, Scene, Text
from kis_estimator.documents.texts import texts
from kis_estimator.engine.model import AccessoryCategory, AccessoryItem, AccessoryUse, PanelResult

WORDS = texts("ko-KR")


def words_of(group: Group) -> list[str]:
    return [shape.text for shape in group.shapes if isinstance(shape, Text)]


def groups(scene: Scene, layer: str) -> list[Group]:
    return [group for group in scene.groups if group.layer == layer]


def with_accessory(
    panel: PanelResult, sku: str, category: AccessoryCategory, quantity: int
) -> PanelResult:
    item = AccessoryItem(
        sku=sku, category=category, name_ko=sku, name_en=sku, width_mm=0, height_mm=0,
        mounting="panel", unit="EA", unit_price_krw=1000,
    )  # fmt: skip
    use = AccessoryUse(item=item, quantity=quantity, asked=True, rule="asked")
    return replace(panel, devices=replace(panel.devices, accessories=(use,)))


# ---------------------------------------------------------------- single-line diagram


@pytest.mark.parametrize("case", ALL)
def test_every_circuit_is_stated_in_full(case: str) -> None:
    panel = ALL[case]()
    drawn = {
        g.title.split()[0]: words_of(g) for g in groups(single_line(panel, TITLE, WORDS), "branch")
    }
    assert len(drawn) == len(panel.devices.circuits)
    for circuit in panel.devices.circuits:
        item, said = circuit.item, drawn[str(circuit.number)]
        assert str(circuit.number) in said
        device = (
            f"{item.category} {item.poles}P {item.frame_af}AF/{item.rated_current_a}AT "
            f"{item.breaking_capacity_ka}kA"
        )
        assert device in said


def test_phases_neutral_and_load_of_each_circuit() -> None:
    panel = samples.big()
    drawn = {
        g.title.split()[0]: words_of(g) for g in groups(single_line(panel, TITLE, WORDS), "branch")
    }
    assert {"RST", "N", "엘리베이터", "SME-2204"} <= set(drawn["1"])
    assert "RST" in drawn["2"]
    assert "N" not in drawn["2"]
    assert "RS" in drawn["6"]
    assert "N" not in drawn["6"]
    assert {"R", "N"} <= set(drawn["7"])


def test_a_stated_load_and_the_sensitivity_are_written() -> None:
    panel = samples.small()
    first, *rest = panel.devices.circuits
    spec = replace(first.spec, sensitivity_ma=30)
    first = replace(first, spec=spec, load_a=Decimal("12.50"), load_stated=True)
    panel = replace(panel, devices=replace(panel.devices, circuits=(first, *rest)))
    drawn = groups(single_line(panel, TITLE, WORDS), "branch")[0]
    assert "ELB 4P 50AF/30AT 25kA 30mA" in words_of(drawn)
    assert "동력 펌프 12.5A" in words_of(drawn)


def test_single_phase_panel_has_live_and_neutral() -> None:
    scene = single_line(samples.domestic(), TITLE, WORDS)
    assert "1Ø2W 220V" in words_of(groups(scene, "main")[0])
    for group in groups(scene, "branch"):
        assert {"L", "N"} <= set(words_of(group))


def test_supply_and_main_are_stated() -> None:
    said = words_of(groups(single_line(samples.big(), TITLE, WORDS), "main")[0])
    assert {"3Ø4W 380/220V", "MAIN MCCB 4P 400AF/300AT 25kA"} <= set(said)


def test_spares_are_dashed_and_have_no_number() -> None:
    spares = groups(single_line(samples.small(), TITLE, WORDS), "spare")
    assert [words_of(group) for group in spares] == [["예비 2P 50AF"]] * 2
    for group in spares:
        styles = {shape.style for shape in group.shapes} - {"dot", "muted"}
        assert styles == {"spare-wire"}


def test_only_a_residual_current_breaker_has_a_ring() -> None:
    panel = samples.small()
    kinds = [circuit.item.category for circuit in panel.devices.circuits]
    drawn = groups(single_line(panel, TITLE, WORDS), "branch")
    rings = [sum(isinstance(s, Circle) and s.style == "wire" for s in g.shapes) for g in drawn]
    assert rings == [int(kind == "ELB") for kind in kinds]


@pytest.mark.parametrize(
    ("sku", "category", "quantity", "said"),
    [
        ("METER-1PH", "meter", 1, "METER-1PH ×1  METER-1PH"),
        ("METER-1PH", "meter", 6, "×6 (회로 배정 협의)"),
        ("CT-SET", "current_transformer", 1, "CT-SET ×1  CT-SET"),
        ("VA-METER", "panel_meter", 1, "VA-METER ×1  VA-METER"),
        ("MC-9", "magnet_contactor", 2, "MC-9 ×2  MC-9"),
        ("ET-S", "earth_terminal", 3, "E  ET-S ×3"),
    ],
)
def test_accessories_stand_in_the_head(
    sku: str, category: AccessoryCategory, quantity: int, said: str
) -> None:
    scene = single_line(with_accessory(samples.small(), sku, category, quantity), TITLE, WORDS)
    assert said in [text.text for text in texts_of(scene)]


def test_surge_protection_stands_behind_its_breaker() -> None:
    panel = with_accessory(samples.big(), "SPD-4P-T2", "surge_protector", 1)
    first, *rest = panel.devices.circuits
    circuits = (replace(first, is_spd=True), *rest)
    panel = replace(panel, devices=replace(panel.devices, circuits=circuits))
    drawn = groups(single_line(panel, TITLE, WORDS), "branch")
    (surge,) = [group for group in drawn if "SPD" in words_of(group)]
    assert "1 MCCB 4P 225AF/150AT 25kA" in words_of(surge)
    assert len(drawn) == len(circuits)


@pytest.mark.parametrize("case", ALL)
def test_texts_are_legible_and_apart(case: str) -> None:
    scene = single_line(ALL[case](), TITLE, WORDS)
    found = [
        text
        for group in scene.groups
        if group.layer != "titleblock"
        for text in group.shapes
        if isinstance(text, Text)
    ]
    assert min(text.size for text in found) >= 1.7
    boxes = [(text_box(text), text.text) for text in found]
    assert [pair for pair in combinations(boxes, 2) if overlap(pair[0][0], pair[1][0])] == []


def test_a_panel_without_branches_is_drawn() -> None:
    scene = single_line(bare(), TITLE, WORDS)
    assert groups(scene, "branch") == []


# ---------------------------------------------------------------- outline


@pytest.mark.parametrize("case", PANELS)
def test_outline_states_the_enclosure(case: str) -> None:
    panel = PANELS[case]()
    enclosure = panel.enclosure
    scene = outline(panel, TITLE, WORDS)
    said = [text.text for text in texts_of(scene)]
    width, height, depth = enclosure.width_mm, enclosure.height_mm, enclosure.depth_mm
    assert {f"W {width}", f"H {height}", f"D {depth}", "IP44", "스틸 1.6T", "옥내 · 노출"} <= set(
        said
    )
    assert f"W {width} × H {height} × D {depth} mm" in said
    assert {f"{width - 100} «참고»", f"{height - 100} «참고»", "4-φ12 «참고»"} <= set(said)
    front, side, back = (
        extent(group.shapes[-1 if i == 1 else 0])
        for i, group in enumerate(groups(scene, "enclosure"))
    )
    assert front.width / front.height == pytest.approx(width / height)
    assert (back.width, back.height) == pytest.approx((front.width, front.height))
    assert side.height <= front.height


def test_depth_is_clearance_device_space_and_plate() -> None:
    scene = outline(samples.small(), TITLE, WORDS)
    side = groups(scene, "dimension")[1]
    assert words_of(side) == ["D 200", "90", "60", "50"]


def test_base_adds_to_the_height_and_has_its_plan() -> None:
    panel = mounted("floor", "indoor", base=True)
    said = [text.text for text in texts_of(outline(panel, TITLE, WORDS))]
    assert {"H 900", str(BASE_MM), str(900 + BASE_MM), "옥내 · 자립 · 기초대 (BASE) H 200"} <= set(
        said
    )
    assert "바닥 취부도 «참고»" in said


def test_pole_has_brackets_and_no_holes() -> None:
    scene = outline(mounted("pole", base=False), TITLE, WORDS)
    said = " ".join(text.text for text in texts_of(scene))
    assert groups(scene, "hole") == []
    assert "전주 브래킷" in said
    assert "φ" not in said


def test_flush_is_named_and_stands_in_the_wall() -> None:
    scene = outline(mounted("flush", "indoor", base=False), TITLE, WORDS)
    said = " ".join(text.text for text in texts_of(scene))
    assert "매입형" in said
    assert "옥내 · 매입" in said


def test_door_devices_are_noted() -> None:
    panel = with_accessory(samples.small(), "PBL-ONOFF", "push_button", 2)
    (use,) = panel.devices.accessories
    use = replace(use, item=replace(use.item, mounting="door"))
    panel = replace(panel, devices=replace(panel.devices, accessories=(use,)))
    said = [text.text for text in texts_of(outline(panel, TITLE, WORDS))]
    assert any(re.search(r"도어 취부: PBL-ONOFF ×2", text) for text in said)


@pytest.mark.parametrize("case", ALL)
def test_outline_texts_do_not_overlap(case: str) -> None:
    scene = outline(ALL[case](), TITLE, WORDS)
    boxes = [(text_box(text), text.text) for text in texts_of(scene)]
    assert [pair for pair in combinations(boxes, 2) if overlap(pair[0][0], pair[1][0])] == []


@pytest.mark.parametrize(
    ("width", "height", "depth"), [(300, 400, 120), (1600, 2300, 500), (2400, 2300, 800)]
)
def test_any_size_finds_a_scale(width: int, height: int, depth: int) -> None:
    panel = builders.panel(
        "A", [builders.Feeder("ELB", 2, 30, 20)], box=builders.Shape(width, height, depth)
    )
    said = [text.text for text in texts_of(outline(panel, TITLE, WORDS))]
    assert {f"W {width}", f"H {height}", f"D {depth}"} <= set(said)


# ---------------------------------------------------------------- long names


def joined(texts_: list[Text]) -> str:
    return "".join("".join(text.text for text in texts_).split())


@pytest.mark.parametrize("number", ["A" * 64, "W" * 64, "KIS-2025-" + "견적" * 27])
def test_a_long_estimate_number_is_whole_on_every_drawing(number: str) -> None:
    for draw in DRAW.values():
        scene = draw(samples.small(), replace(TITLE, number=number), WORDS)
        assert number in joined(texts_of(scene))
        assert list(outside(scene)) == []


def test_a_long_panel_name_is_whole_in_title_and_title_block() -> None:
    name = (
        "지하2층 주차장 동측 전기실 인접 공용부 전등·전열 및 배기팬 동력 분전반 " * 4 + "LP-B2-01"
    )
    for draw in DRAW.values():
        scene = draw(samples.small(), replace(TITLE, panel=name), WORDS)
        for layer in ("frame", "titleblock"):
            found = "".join(
                joined([s for s in g.shapes if isinstance(s, Text)]) for g in groups(scene, layer)
            )
            assert "".join(name.split()) in found
        boxes = [(text_box(text), text.text) for text in texts_of(scene)]
        assert list(outside(scene)) == []
        assert draw is DRAW["arrangement"] or not [
            pair for pair in combinations(boxes, 2) if overlap(pair[0][0], pair[1][0])
        ]


def test_the_door_plate_is_legible_with_a_long_name() -> None:
    panel = with_accessory(samples.small(), "NP-PLATE", "name_plate", 1)
    scene = outline(panel, replace(TITLE, panel="가" * 200), WORDS)
    [plate] = [t for g in groups(scene, "door") for t in g.shapes if isinstance(t, Text)]
    assert plate.size >= 2
    assert plate.text.endswith("…")


@pytest.mark.parametrize("label", ["지하주차장 전등·전열 및 배기팬 설비", "가" * 30])
def test_long_load_names_are_whole_in_the_single_line_diagram(label: str) -> None:
    feeders = [builders.Feeder("ELB", 2, 30, 20, label)] * 12
    panel = builders.panel("LP-1", feeders, box=builders.Shape(700, 1300))
    scene = single_line(panel, TITLE, WORDS)
    for group in groups(scene, "branch"):
        assert "".join(label.split()) in joined([s for s in group.shapes if isinstance(s, Text)])
    assert list(outside(scene)) == []


def test_equal_bodies_are_lettered_alike() -> None:
    for height in range(900, 1900, 200):
        feeders = [builders.Feeder("ELB", 2, 30, 20, "전등")] * 24
        panel = builders.panel("LP-1", feeders, box=builders.Shape(600, height))
        scene = arrangement(panel, TITLE, WORDS)
        kinds = {
            tuple((round(s.size, 3), s.style) for s in group.shapes if isinstance(s, Text))
            for group in groups(scene, "branch")
        }
        assert len(kinds) == 1
