"""Spaces, breakers of an SPD, brands asked for, and what a row may mean otherwise."""

import json
from typing import Any

import pytest
from tests.intake.books import codes, read_rows, table

from kis_estimator.engine.model import SpareSpec
from kis_estimator.intake import Vocabulary, read

MAIN: list[Any] = [1, "메인", "MCCB 4P 100A", "EA", 1]
BRANCH: list[Any] = [2, "분기", "ELB 2P 20A", "EA", 5]


# ---------------------------------------------------------------- spaces


@pytest.mark.parametrize(("name", "spec", "remark", "poles", "frame"), [
    ("SPARE", "2P", None, 2, None),
    ("SPARE", "50AF", None, None, 50),
    ("SPARE", "3P 50AF", None, 3, 50),
    ("SPARE", "2P 20A", None, 2, 30),
    ("SPARE", "3P 20A", None, 3, 50),
    ("SPARE", "3P 80A", None, 3, 100),
    ("SPARE", "ABN-104 100A", None, 4, 100),
    ("SPARE", "3P 100AF 50AT", None, 3, 100),
    ("MCCB", "2P 20A SPARE", None, 2, 30),
    ("MCCB", "2P 20A (예비)", None, 2, 30),
    ("MCCB", "3P 50AF 30AT", "SPARE", 3, 50),
    ("MCCB", "3P 50AF 30AT", "예비", 3, 50),
    ("MCCB", "3P 50AF 30AT", "예비, 추후 증설", 3, 50),
])  # fmt: skip
def test_a_space_keeps_what_is_known(
    name: str,
    spec: str,
    remark: str | None,
    poles: int | None,
    frame: int | None,
    vocabulary: Vocabulary,
) -> None:
    rows = [MAIN, BRANCH, [3, name, spec, "EA", 2, None, None, remark]]
    reading = read_rows(rows, vocabulary)
    assert (reading.errors, reading.warnings) == ((), ())
    (panel,) = reading.panels
    assert panel.spares == (SpareSpec(quantity=2, poles=poles, frame_af=frame),)
    assert len(panel.breakers) == 2


@pytest.mark.parametrize(("name", "spec", "remark", "label"), [
    ("MCCB", "2P 20A", "예비 1 포함", "예비 1 포함"),
    ("MCCB", "2P 20A", "예비 2개 포함", "예비 2개 포함"),
    ("MCCB (예비 1 포함)", "2P 20A", None, "1 포함"),
    ("MCCB", "2P 20A", "예비 전원", "예비 전원"),
    ("예비 펌프", "3P 50A", None, "예비 펌프"),
])  # fmt: skip
def test_a_breaker_that_speaks_of_spares(
    name: str, spec: str, remark: str | None, label: str, vocabulary: Vocabulary
) -> None:
    rows = [MAIN, [2, name, spec, "EA", 3, None, None, remark]]
    (panel,) = read_rows(rows, vocabulary).panels
    assert (panel.spares, panel.breakers[1].quantity) == ((), 3)
    assert panel.breakers[1].label == label


def test_a_circuit_named_spare_is_a_space(vocabulary: Vocabulary) -> None:
    header = ["부하명", "품명", "규격", "수량"]
    rows = [["", "메인", "4P 100A", 1], ["SPARE", "MCCB", "2P 20A", 2]]
    (panel,) = read_rows(rows, vocabulary, header).panels
    assert panel.spares == (SpareSpec(quantity=2, poles=2, frame_af=30),)


# ---------------------------------------------------------------- the SPD's breaker


@pytest.mark.parametrize(("remark", "label", "load"), [
    ("SPD", "SPD용", 0), ("SPD용", "SPD용", 0), ("서지보호기", "SPD용", 0),
    ("SPD 포함", "SPD 포함", None),
])  # fmt: skip
def test_the_breaker_of_an_spd(
    remark: str, label: str, load: int | None, vocabulary: Vocabulary
) -> None:
    rows = [MAIN, BRANCH, [3, "MCCB", "4P 40A", "EA", 1, None, None, remark]]
    breaker = read_rows(rows, vocabulary).panels[0].breakers[2]
    assert (breaker.label, breaker.load_a) == (label, load)


def test_a_main_is_not_the_breaker_of_an_spd(vocabulary: Vocabulary) -> None:
    rows = [[*MAIN, None, None, "SPD"], BRANCH]
    assert read_rows(rows, vocabulary).panels[0].breakers[0].load_a is None


# ---------------------------------------------------------------- brands


BY_MODEL: list[Any] = [1, "메인", "ABN-104 100A", "EA", 1]
OWN: list[Any] = [1, "상도 메인", "MCCB 4P 100A", "EA", 1]


@pytest.mark.parametrize(("title", "rows", "brand", "brands"), [
    ("LP-1 (LS)", [MAIN, BRANCH], None, ["LS", None]),
    ("LP-1 (LS)", [BRANCH, BRANCH], None, ["LS", "LS"]),
    ("LP-1 (LS)", [OWN, BRANCH], None, ["SANGDO", "LS"]),
    ("LP-1 (상도)", [BY_MODEL, BRANCH], None, [None, "SANGDO"]),
    ("LP-1 (LS)", [BY_MODEL, BRANCH], None, [None, None]),
    ("LP-1 (LS)", [MAIN, BRANCH], "SANGDO", ["SANGDO", "SANGDO"]),
    ("LP-1", [MAIN, BRANCH], "SANGDO", ["SANGDO", "SANGDO"]),
    ("LP-1", [OWN, BRANCH], "LS", ["SANGDO", "LS"]),
    ("LP-1", [BY_MODEL, BRANCH], "SANGDO", [None, "SANGDO"]),
])  # fmt: skip
def test_whose_brand_counts(
    title: str,
    rows: list[list[Any]],
    brand: str | None,
    brands: list[str | None],
    vocabulary: Vocabulary,
) -> None:
    for data in (table([[None, title], *rows]), f"{title}\n".encode() + table(rows)):
        reading = read(data, "t.csv", vocabulary, brand=brand)
        assert reading.errors == ()
        assert [b.brand for b in reading.panels[0].breakers] == brands


def test_the_requests_brand_in_a_text(vocabulary: Vocabulary) -> None:
    text = "메인 4P 100A, LS 누전 2P 20A 3개, MCCB 2P 20A 3개. 전부 LS".encode()
    (panel,) = read(text, "t.txt", vocabulary, brand="SANGDO").panels
    assert [b.brand for b in panel.breakers] == ["SANGDO", "LS", "SANGDO"]


def test_the_requests_brand_in_json(vocabulary: Vocabulary) -> None:
    main = {"role": "main", "category": "MCCB", "poles": 4, "ratedCurrentA": 100}
    rows = [main, {**main, "role": "branch", "brand": "LS"}]
    rows.append({**main, "role": "branch", "model": "ABN-104"})
    document = {"customer": {"name": ""}, "panels": [{"name": "P", "breakers": rows}]}
    reading = read(json.dumps(document).encode(), "r.json", vocabulary, brand="SANGDO")
    assert reading.request is not None
    assert [b.brand for b in reading.request.panels[0].breakers] == ["SANGDO", "LS", None]


def test_a_request_for_an_unknown_brand(vocabulary: Vocabulary) -> None:
    reading = read(table([MAIN, BRANCH]), "t.csv", vocabulary, brand="ACME")
    assert codes(reading.errors) == [("UNKNOWN_BRAND", None)]
    assert "ACME" in reading.errors[0].message()


def test_a_title_with_a_brand_that_is_not_held(vocabulary: Vocabulary) -> None:
    rows = [[None, "LP-1 (현대일렉트릭)"], MAIN, BRANCH]
    assert codes(read_rows(rows, vocabulary).warnings) == [("BRAND_NOT_HELD", 2)]


# ---------------------------------------------------------------- doubts


@pytest.mark.parametrize(("name", "spec", "warned"), [
    ("전등", "2P 20A 30mA", True), ("MCCB", "2P 20A 30mA", True), ("ELB", "2P 20A 30mA", False),
])  # fmt: skip
def test_leakage_without_a_kind(
    name: str,
    spec: str,
    warned: bool,  # noqa: FBT001
    vocabulary: Vocabulary,
) -> None:
    reading = read_rows([MAIN, [2, name, spec, "EA", 1]], vocabulary)
    assert codes(reading.warnings) == ([("LEAKAGE_OF_MCCB", 3)] if warned else [])
    assert reading.panels[0].breakers[1].category == ("MCCB" if warned else "ELB")


def test_a_meter_box_is_no_meter(vocabulary: Vocabulary) -> None:
    reading = read_rows([MAIN, BRANCH, [3, "계량기함", "600x800", "EA", 1]], vocabulary)
    assert reading.panels[0].accessories == ()
    assert codes(reading.warnings) == [("ROW_UNKNOWN", 4)]
    assert codes(reading.skipped) == [("ROW_EXCLUDED", 4)]


@pytest.mark.parametrize(("column", "load", "expected"), [
    ("부하(kW)", 5, [("LOAD_IN_KILOWATTS", 1)]), ("부하 (kW)", "", []),
    ("부하용량(kVA)", 5, [("LOAD_IN_KILOWATTS", 1)]), ("부하(A)", 5, []),
])  # fmt: skip
def test_loads_in_kilowatts(
    column: str, load: object, expected: list[tuple[str, int]], vocabulary: Vocabulary
) -> None:
    rows = [["메인", "4P 100A", 1, None], ["분기", "2P 20A", 1, load], ["분기", "2P 30A", 1, load]]
    reading = read_rows(rows, vocabulary, ["품명", "규격", "수량", column])
    assert codes(reading.warnings) == expected


@pytest.mark.parametrize(("sku", "nearest"), [
    ("MC-22", ["MC-9"]), ("MC-40", ["MC-32"]), ("MC-10", ["MC-9"]),
])  # fmt: skip
def test_an_unknown_contactor_in_json(sku: str, nearest: list[str], vocabulary: Vocabulary) -> None:
    main = {"role": "main", "category": "MCCB", "poles": 4, "ratedCurrentA": 100}
    panel = {"name": "P", "breakers": [main], "accessories": [{"sku": sku}]}
    document = {"customer": {"name": ""}, "panels": [panel]}
    reading = read(json.dumps(document).encode(), "r.json", vocabulary)
    assert reading.errors[0].params["known"] == nearest


def test_no_particle_follows_a_path(vocabulary: Vocabulary) -> None:
    document = {"panels": [{"name": "", "breakers": []}]}
    errors = read(json.dumps(document).encode(), "r.json", vocabulary).errors
    assert [error.message() for error in errors] == [
        "필요한 항목이 없습니다: customer",
        "값이 비어 있습니다: panels[0].name",
        "값이 비어 있습니다: panels[0].breakers",
    ]
