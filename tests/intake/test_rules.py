"""Trade figures of reading are those of the rule file, not copies of them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.intake.books import codes, read_rows

from kis_estimator.engine.model import AccessorySpec
from kis_estimator.intake import Reading, Vocabulary, read

MAIN: list[Any] = [1, "메인", "MCCB 4P 100A", "EA", 1]


def read_json(vocabulary: Vocabulary, panel: Mapping[str, object]) -> Reading:
    main = {"role": "main", "category": "MCCB", "poles": 4, "ratedCurrentA": 100}
    document = {"customer": {"name": ""}, "panels": [{"name": "P", "breakers": [main], **panel}]}
    return read(json.dumps(document).encode(), "r.json", vocabulary)


@pytest.mark.parametrize(("spec", "error"), [
    ("EBN-102 2P 125AF 100AT", ["MODEL_MISMATCH"]),
    ("EBN-102 2P 100AF 100AT", []),
    ("EBN-202 2P 225AF 200AT", []),
    ("EBN-202 2P 250AF 200AT", []),
])  # fmt: skip
def test_frames_of_one_class(spec: str, error: list[str], vocabulary: Vocabulary) -> None:
    reading = read_rows([MAIN, [2, "ELB", spec, "EA", 1]], vocabulary)
    assert codes(reading.errors) == [(code, 3) for code in error]


def test_another_class_of_frames(vocabulary: Vocabulary) -> None:
    other = replace(vocabulary, same_frames_af=(100, 125))
    for spec, error in (("EBN-102 2P 125AF 100AT", 0), ("EBN-202 2P 225AF 200AT", 1)):
        reading = read_rows([MAIN, [2, "ELB", spec, "EA", 1]], other)
        assert len(reading.errors) == error


def test_the_label_of_an_spds_breaker(vocabulary: Vocabulary) -> None:
    other = replace(vocabulary, spd_label="서지")
    rows = [MAIN, [2, "MCCB", "4P 40A", "EA", 1, None, None, "SPD"]]
    assert read_rows(rows, vocabulary).panels[0].breakers[1].label == "SPD용"
    assert read_rows(rows, other).panels[0].breakers[1].label == "서지"


def test_the_skus_of_wishes(vocabulary: Vocabulary) -> None:
    other = replace(vocabulary, service_skus={"selector": "SEL", "p_cover": "INNER"})
    rows = [MAIN, [2, "SS", "", "EA", 2], [3, "속판 (철판)", "", "EA", 1]]
    asked = {"accessories": [{"sku": "SS"}, {"sku": "P-COVER"}]}
    assert read_rows(rows, vocabulary).panels[0].accessories == (
        AccessorySpec(sku="SS", quantity=2), AccessorySpec(sku="P-COVER"),
    )  # fmt: skip
    assert read_rows(rows, other).panels[0].accessories == (
        AccessorySpec(sku="SEL", quantity=2), AccessorySpec(sku="INNER"),
    )  # fmt: skip
    assert read_json(vocabulary, asked).errors == ()
    assert [e.code for e in read_json(other, asked).errors] == ["UNKNOWN_ACCESSORY"] * 2
