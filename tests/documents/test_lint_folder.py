"""A folder made earlier: the workbook is held against what its run wrote into it."""

import re
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from tests import runs

from kis_estimator import service

SCHEDULE = "메인차단기 4P 40A에 분기차단기 누전 4P 20A 2개, 누전 2P 20A 8개"


def without_formulas(xml: bytes) -> bytes:
    return re.sub(rb"<f>.*?</f>", b"", xml)


def without_one(xml: bytes) -> bytes:
    return re.sub(rb"<f>.*?</f>", b"", xml, count=1)


def other_formula(xml: bytes) -> bytes:
    return re.sub(rb"<f>(ROUND\([^<]*)</f>", rb"<f>\1+0</f>", xml, count=1)


def edited(data: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            xml = old.read(entry)
            new.writestr(entry, change(xml) if re.search(part, entry.filename) else xml)
    return out.getvalue()


@pytest.mark.parametrize(
    ("part", "change", "gate"),
    [
        ("worksheets/sheet", without_formulas, "formula_loss"),
        ("worksheets/sheet3", without_one, "formula_loss"),
        ("worksheets/sheet3", other_formula, "formula_loss"),
        (
            "workbook.xml$",
            lambda xml: re.sub(rb'<definedName name="KIS_Customer".*?</definedName>', b"", xml),
            "named_range_loss",
        ),
    ],
)
def test_what_was_changed_in_the_workbook_fails_its_gate(
    tmp_path: Path, part: str, change: Callable[[bytes], bytes], gate: str
) -> None:
    run = runs.estimate(runs.inputs(SCHEDULE.encode(), "요청.txt", customer="△△건설"))
    folder = service.write(run, tmp_path)
    sound = service.lint_folder(folder, "ko-KR")
    assert [g.passed for g in sound.gates] == [True, True, True]
    changed = edited(run.files["quotation.xlsx"], part, change)
    assert changed != run.files["quotation.xlsx"]
    (folder / "quotation.xlsx").write_bytes(changed)
    outcome = service.lint_folder(folder, "ko-KR")
    assert {g.name: g.passed for g in outcome.gates}[gate] is False


def test_a_folder_without_the_record_of_its_workbook_is_not_sound(tmp_path: Path) -> None:
    run = runs.estimate(runs.inputs(SCHEDULE.encode(), "요청.txt"))
    folder = service.write(run, tmp_path)
    (folder / "evidence/4-format/output.json").write_text("[]")
    assert service.lint_folder(folder, "ko-KR").gates[-1].passed is False
