"""The DXF files: valid, the same bytes everywhere, and the same drawing as the SVG.

To renew the skeleton: KIS_UPDATE_GOLDEN=1 script/test tests/documents/test_drawing_dxf.py
"""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from ezdxf.tools.text import plain_text
from hypothesis import given
from hypothesis import strategies as st
from tests.documents import samples
from tests.documents.dxf_skeleton import audited, opened, skeleton
from tests.documents.scenes import ALL, DRAW, PANELS, TITLE, sheet_of, texts_of

from kis_estimator.documents.drawing import arrangement, drawing_files, single_line, to_dxf
from kis_estimator.documents.drawing.dxf import FONT, LAYERS, TEXT_STYLE, escape
from kis_estimator.documents.drawing.scene import Box, Group, Line, Rect, Scene, Text
from kis_estimator.documents.lettering import clean
from kis_estimator.documents.sheet import build_quotation
from kis_estimator.documents.texts import texts

WORDS = texts("ko-KR")
ALIGNMENTS = {"start": 0, "middle": 1, "end": 2}
DIGEST = """
import hashlib
from tests.documents import samples
from kis_estimator.documents.drawing import drawing_files
from kis_estimator.documents.sheet import build_quotation
result = samples.result(samples.small(), samples.wide(), samples.domestic(), samples.big())
for name, content in drawing_files(result, build_quotation(result, samples.header())).items():
    print(name, hashlib.sha256(content).hexdigest())
"""


def test_skeleton_is_what_the_library_writes() -> None:
    path = Path(str(files("kis_estimator.documents.drawing").joinpath("skeleton.dxf")))
    if "KIS_UPDATE_GOLDEN" in os.environ:
        path.write_text(skeleton(), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == skeleton()


def test_hostile_names_pass_the_audit() -> None:
    result = samples.hostile()
    drawn = drawing_files(result, build_quotation(result, samples.header()))
    for name, content in drawn.items():
        if name.endswith(".dxf"):
            audited(content)


@pytest.mark.parametrize("kind", DRAW)
@pytest.mark.parametrize("case", ALL)
def test_texts_are_those_of_the_scene(case: str, kind: str) -> None:
    scene = DRAW[kind](ALL[case](), TITLE, WORDS)
    found = audited(to_dxf(scene)).modelspace().query("TEXT")
    wanted = [text for text in texts_of(scene) if text.text]
    assert [plain_text(entity.dxf.text) for entity in found] == [text.text for text in wanted]
    for entity, text in zip(found, wanted, strict=True):
        at = entity.dxf.insert if text.anchor == "start" else entity.dxf.align_point
        assert (at.x, at.y) == pytest.approx((text.x, scene.height - text.y), abs=1e-3)
        assert entity.dxf.halign == ALIGNMENTS[text.anchor]
        assert entity.dxf.rotation == (0 if text.upright else 90)
        assert entity.dxf.style == TEXT_STYLE
        assert entity.dxf.height == pytest.approx(text.size * 0.707, rel=0.01)


@pytest.mark.parametrize("case", PANELS)
def test_header_layers_and_sheet(case: str) -> None:
    for kind, draw in DRAW.items():
        scene = draw(PANELS[case](), TITLE, WORDS)
        doc = audited(to_dxf(scene))
        sheet = sheet_of(scene)
        assert (doc.dxfversion, doc.units, doc.encoding) == ("AC1032", 4, "cp949")
        assert doc.header["$EXTMAX"] == (sheet.width, sheet.height, 0)
        assert doc.styles.get(TEXT_STYLE).dxf.font == FONT
        used = {entity.dxf.layer for entity in doc.modelspace()}
        assert used <= {layer.upper() for layer in LAYERS}, kind
        assert used == {g.layer.upper() for g in scene.groups if g.shapes}, kind
        assert int(doc.header["$HANDSEED"], 16) > max(
            int(entity.dxf.handle, 16) for entity in doc.modelspace()
        )


def test_every_phase_colour_and_dash_is_kept() -> None:
    scene = single_line(samples.small(), TITLE, WORDS)
    entities = list(opened(to_dxf(scene)).modelspace())
    dashed = [e for e in entities if e.dxf.linetype != "BYLAYER" and e.dxf.layer == "SPARE"]
    assert dashed
    reds = [e for e in entities if e.dxftype() == "TEXT" and e.dxf.text == "R"]
    assert {e.dxf.get("true_color") for e in reds} == {0xB8400E}


def test_what_a_body_hides_is_not_drawn() -> None:
    scene = arrangement(samples.many_small(), TITLE, WORDS)
    bodies = [
        shape.box.inset(0.1)
        for group in scene.groups if group.layer == "branch"
        for shape in group.shapes[:1] if isinstance(shape, Rect)
    ]  # fmt: skip
    flat = [s for g in scene.groups if g.layer == "busbar" for s in g.shapes if isinstance(s, Line)]
    assert any(crosses(line, body) for line in flat for body in bodies)
    found = opened(to_dxf(scene)).modelspace().query('LINE[layer=="BUSBAR"]')
    assert found
    for entity in found:
        start, end = entity.dxf.start, entity.dxf.end
        points = (start.x, scene.height - start.y), (end.x, scene.height - end.y)
        assert not any(crosses(Line(points, "wire"), body) for body in bodies)


def crosses(line: Line, body: Box) -> bool:
    (x1, y1), (x2, y2) = line.points[0], line.points[-1]
    return (
        min(x1, x2) < body.right
        and max(x1, x2) > body.x
        and min(y1, y2) < body.bottom
        and max(y1, y2) > body.y
    )


@given(st.text() | st.sampled_from(["%%c%%%%d", "^I^ ^", "{\\C1;x}\\P", "100%", "%%%", "%% %u"]))
def test_any_text_is_read_as_it_is(text: str) -> None:
    text = clean(text).replace("\\U+", "\\u+").replace("\\M+", "\\m+")
    text = text.rstrip("^ ")  # the reader of the test drops a last ^
    assert plain_text(escape(text)) == text


def test_no_line_of_a_text_ends_its_record() -> None:
    scene = Scene(
        297, 420, "", "",
        (Group("frame", (Text(20, 20, clean("a\n0\nEOF\r\n%%u \\U+0041"), 3),)),),
    )  # fmt: skip
    (entity,) = audited(to_dxf(scene)).modelspace()
    assert entity.dxf.text == "a 0 EOF %%%%%%u ＼U+0041"


def test_same_bytes_in_other_processes(root: Path) -> None:
    printed = {run(root, zone, seed) for zone, seed in (("UTC", "0"), ("Asia/Seoul", "4711"))}
    (only,) = printed
    result = samples.result(samples.small(), samples.wide(), samples.domestic(), samples.big())
    drawn = drawing_files(result, build_quotation(result, samples.header()))
    here = [f"{name} {hashlib.sha256(content).hexdigest()}" for name, content in drawn.items()]
    assert only.splitlines() == here


def run(root: Path, zone: str, seed: str) -> str:
    environment = {
        **os.environ, "TZ": zone, "PYTHONHASHSEED": seed, "LC_ALL": "C", "PYTHONUTF8": "1",
        "PYTHONPATH": os.pathsep.join((str(root / "src"), str(root))),
    }  # fmt: skip
    command = [sys.executable, "-c", DIGEST]
    done = subprocess.run(
        command, cwd=root, env=environment, check=True, capture_output=True, encoding="utf-8"
    )
    return done.stdout


def test_customer_and_sample_mark_are_on_every_drawing() -> None:
    for draw in DRAW.values():
        said = {text.text for text in texts_of(draw(samples.small(), TITLE, WORDS))}
        assert {TITLE.customer, TITLE.number, WORDS["sample_mark"]} <= said
        plain = {
            t.text for t in texts_of(draw(samples.small(), replace(TITLE, sample=False), WORDS))
        }
        assert WORDS["sample_mark"] not in plain
