"""The drawings of the sample schedules, as they are designed."""

from pathlib import Path

import pytest
from tests.documents import samples
from tests.documents.dxf_skeleton import audited
from tests.documents.scenes import DRAW, TITLE, outside, texts_of

from kis_estimator import service
from kis_estimator.documents.drawing import drawing_files
from kis_estimator.documents.sheet import build_quotation
from kis_estimator.documents.texts import texts
from kis_estimator.engine import pipeline
from kis_estimator.engine.model import EngineResult

EXAMPLES = (
    "01_two_tabs.xlsx", "02_four_tabs_high_voltage.xlsx", "03_messy.xlsx", "04_cp949.csv",
    "05_request.txt", "06_request.json",
)  # fmt: skip


@pytest.fixture(scope="module", params=EXAMPLES)
def result(request: pytest.FixtureRequest, examples: Path) -> EngineResult:
    name = request.param
    engine = service.load_engine()
    reading = service.read((examples / name).read_bytes(), name, engine, "ko-KR")
    assert reading.request is not None
    return pipeline.run(reading.request, engine.catalog, engine.rules)


def test_dxf_passes_the_audit(result: EngineResult) -> None:
    drawn = drawing_files(result, build_quotation(result, samples.header()))
    contents = [content for name, content in drawn.items() if name.endswith(".dxf")]
    assert len(contents) == 3 * len(result.panels)
    for content in contents:
        audited(content)


def test_drawings_stay_in_their_frame_and_state_every_circuit(result: EngineResult) -> None:
    for panel in result.panels:
        scenes = {kind: draw(panel, TITLE, texts("ko-KR")) for kind, draw in DRAW.items()}
        assert [kind for kind, scene in scenes.items() if list(outside(scene))] == []
        said = {text.text for text in texts_of(scenes["single-line"])}
        said |= {word for text in said for word in text.split()}
        numbers = {str(circuit.number) for circuit in panel.devices.circuits}
        assert numbers <= said


def test_the_mounting_plate_is_where_the_rules_put_it(result: EngineResult) -> None:
    for panel in result.panels:
        said = " ".join(
            text.text for text in texts_of(DRAW["outline"](panel, TITLE, texts("ko-KR")))
        )
        assert "속판은 배면에서 50 mm" in said
