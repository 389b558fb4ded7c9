"""What a pack must hold."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.evidence.packs import inputs, sealed, write

from kis_estimator import evidence
from kis_estimator.engine.pipeline import STAGES
from kis_estimator.evidence import StageRecord, layout
from kis_estimator.service import Estimate

WHOLE = {
    "inputs/upload/a.xlsx",
    "inputs/request.json",
    "inputs/options.json",
    *(f"inputs/catalog/{n}" for n in ("breakers.csv", "enclosures.csv", "accessories.csv")),
    "inputs/catalog/catalog.toml",
    "inputs/rules/kr-panel.toml",
    "inputs/company.toml",
    *(
        f"evidence/{number}-{stage}/{part}.json"
        for number, stage in enumerate(STAGES, start=1)
        for part in ("input", "output", "metrics", "validation")
    ),
    "evidence/2-breaker/01-lp.svg",
    "quotation.xlsx",
    "quotation.pdf",
    "drawings/01-lp-arrangement.svg",
    "drawings/01-lp-arrangement.dxf",
}


def test_a_whole_pack_passes_the_gate() -> None:
    gate = evidence.complete_gate(WHOLE)
    assert (gate.stage, gate.name, gate.value, gate.passed) == ("evidence", "complete", True, True)


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_a_pack_without_any_one_part_fails_and_names_it(name: str) -> None:
    gate = evidence.complete_gate(WHOLE - {name})
    assert (gate.value, gate.passed) == (False, False)
    assert gate.basis is not None
    folder = name.rpartition("/")[0]
    assert folder in gate.basis


def test_the_manifest_is_an_in_toto_statement(runs: list[Estimate]) -> None:
    files = runs[0].files
    statement = json.loads(files[layout.MANIFEST])
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    names = [entry["name"] for entry in statement["subject"]]
    assert names == sorted(files.keys() - layout.OUTSIDE)
    assert statement["subject"][0]["digest"] == {"sha256": evidence.sha256(files[names[0]])}
    predicate = statement["predicate"]
    assert predicate["number"] == "KIS-20260131-0001"
    assert predicate["totals"]["total"] == runs[0].result.totals.total
    assert len(predicate["gates"]) == len(runs[0].result.gates)


@pytest.mark.parametrize("name", [layout.RUN, layout.MANIFEST, "../x", "a\\b"])
def test_what_differs_per_run_never_enters_the_manifest(name: str, runs: list[Estimate]) -> None:
    facts = evidence.PackFacts(
        number="1",
        revision=1,
        created_at="",
        engine_version="1",
        design_sha="",
        estimate_sha="",
        result=runs[0].result,
    )
    with pytest.raises(ValueError, match="not for the manifest"):
        evidence.seal_pack({name: b""}, facts)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("요청.xlsx", "요청.xlsx"),
        ("a\u202eb.csv", "ab.csv"),
        ("..", "upload"),
        ("C:\\도면\\표.xlsx", "표.xlsx"),
        ("가" * 100 + ".xlsx", "가" * 50 + ".xlsx"),
        ("a" * 300, "a" * 150),
        ("\u1100\u1161.txt", "가.txt"),
    ],
)
def test_an_uploads_name_becomes_a_safe_path(name: str, path: str) -> None:
    assert layout.upload_path(name) == f"inputs/upload/{path}"


def test_inputs_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory) -> None:
    given = replace(inputs(), seal=b"\x89PNG\r\n\x1a\n", form=b"PK")
    folder = write(evidence.input_files(given, {}), tmp_path_factory.mktemp("pack"))
    with evidence.open_pack(folder) as pack:
        assert evidence.read_inputs(pack) == given


def test_later_stages_and_pictures_are_part_of_the_evidence(runs: list[Estimate]) -> None:
    result = runs[0].result
    later = {"format": StageRecord(evidence.quoted(result), {"sheets": 3}, {"formulas": 40})}
    files = evidence.stage_files({}, result, later, {"01-lp.svg": b"<svg/>"})
    assert files["evidence/2-breaker/01-lp.svg"] == b"<svg/>"
    assert json.loads(files["evidence/4-format/metrics.json"]) == {"formulas": 40}
    assert json.loads(files["evidence/4-format/validation.json"])["status"] == "run"
    assert json.loads(files["evidence/5-cover/validation.json"])["status"] == "not run"


def test_the_gate_judges_the_files_that_the_pack_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    made = evidence.stage_files

    def without_pictures(*given: Any) -> dict[str, bytes]:
        files = made(*given)
        return {name: data for name, data in files.items() if not name.endswith(".svg")}

    monkeypatch.setattr(evidence, "stage_files", without_pictures)
    gates = {gate["name"]: gate for gate in sealed(inputs()).response["gates"]}
    assert gates["complete"]["passed"] is False
    assert gates["complete"]["basis"] == "missing: evidence/2-breaker/*.svg"


def test_prices_of_the_file_are_kept_beside_the_request() -> None:
    rows = "구분,규격,수량,단가,금액\n메인,MCCB 4P 100AF 60A,1,52000,52000\n분기,ELB 2P 30AF 20A,3,"
    files = sealed(replace(inputs(schedule=f"{rows}9500,28500\n"), upload_name="a.csv")).files
    assert json.loads(files["evidence/1-enclosure/input.json"])["filePrices"] == [
        {"sheet": "a.csv", "row": 2, "unitPrice": 52000, "amount": 52000},
        {"sheet": "a.csv", "row": 3, "unitPrice": 9500, "amount": 28500},
    ]
    huge = f"{rows}{'9' * 400}.5,1\n"
    files = sealed(replace(inputs(schedule=huge), upload_name="a.csv")).files
    [_, price] = json.loads(files["evidence/1-enclosure/input.json"])["filePrices"]
    assert price["unitPrice"] == "9" * 400 + ".5"
