"""Each sample schedule gives exactly its panels, with every skip and warning."""

import shutil
import subprocess
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.intake.books import codes

from kis_estimator.engine.model import (
    AccessorySpec,
    BreakerSpec,
    Category,
    PanelSpec,
    SourceRef,
    SpareSpec,
)
from kis_estimator.intake import Reading, Vocabulary, read


def row(kind: Category, size: str, quantity: int = 1, **extra: Any) -> BreakerSpec:
    """Return a branch from `ELB`, `2P30/20`: poles, frame (0 = not said) and rating."""
    poles, _, rating = size.partition("P")
    frame, _, rated = rating.partition("/")
    spec = BreakerSpec(
        role="branch",
        category=kind,
        poles=int(poles),
        rated_current_a=int(rated),
        quantity=quantity,
        frame_af=int(frame) or None,
    )
    return replace(spec, **extra)


def main(kind: Category, size: str, **extra: Any) -> BreakerSpec:
    return row(kind, size, role="main", **extra)


def panel(name: str, place: str, *devices: object) -> PanelSpec:
    sheet, first, last = place.split(":")
    return PanelSpec(
        name=name,
        breakers=tuple(d for d in devices if isinstance(d, BreakerSpec)),
        accessories=tuple(d for d in devices if isinstance(d, AccessorySpec)),
        spares=tuple(d for d in devices if isinstance(d, SpareSpec)),
        source=SourceRef(sheet=sheet, first_row=int(first), last_row=int(last)),
    )


def read_sample(path: Path, vocabulary: Vocabulary) -> Reading:
    reading = read(path.read_bytes(), path.name, vocabulary, "ko-KR")
    assert reading.errors == ()
    assert all(any(b.role == "main" for b in panel.breakers) for panel in reading.panels)
    assert reading.request is not None
    assert reading.request.panels == reading.panels
    return reading


LIGHTING = (
    panel(
        "LP-1 (1층 전등·전열)",
        "전등분전반:5:10",
        main("MCCB", "4P100/75"),
        row("MCCB", "2P30/20", 9),
        row("ELB", "2P30/20", 12, sensitivity_ma=30),
        row("ELB", "2P30/30", 3, sensitivity_ma=30),
    ),
    panel(
        "LP-2 (2층 전등·전열)",
        "전등분전반:12:19",
        main("MCCB", "4P100/100"),
        row("MCCB", "2P30/20", 12),
        row("ELB", "2P30/20", 15, sensitivity_ma=30),
        row("ELB", "4P50/40"),
        AccessorySpec(sku="TIMER-24H"),
        AccessorySpec(sku="MC-9", quantity=2),
    ),
    panel(
        "MP-1 (기계실 동력)",
        "동력분전반:5:13",
        main("MCCB", "3P225/200"),
        row("MCCB", "3P100/75", 2),
        row("MCCB", "3P50/50", 3),
        row("MCCB", "3P50/30", 4),
        row("ELB", "3P50/20", 2),
        AccessorySpec(sku="METER-3PH"),
        AccessorySpec(sku="VA-METER"),
    ),
)


def test_two_tabs(examples: Path, vocabulary: Vocabulary) -> None:
    reading = read_sample(examples / "01_two_tabs.xlsx", vocabulary)
    assert reading.panels == LIGHTING
    assert reading.warnings == reading.skipped == ()
    assert reading.request is not None
    assert reading.request.project == "○○초등학교 급식실 증축 전기공사"
    assert reading.request.customer.name == ""
    assert len(reading.prices) == 17
    assert (reading.prices[0].unit_price, reading.prices[0].amount) == (52000, 52000)


@pytest.mark.skipif(shutil.which("soffice") is None, reason="needs LibreOffice")
def test_two_tabs_as_xls(examples: Path, vocabulary: Vocabulary, tmp_path: Path) -> None:
    command = ["soffice", "--headless", f"-env:UserInstallation=file://{tmp_path}/profile"]
    source = examples / "01_two_tabs.xlsx"
    convert = [*command, "--convert-to", "xls", "--outdir", str(tmp_path), str(source)]
    subprocess.run(convert, check=True, capture_output=True, timeout=120)
    assert read_sample(tmp_path / "01_two_tabs.xls", vocabulary).panels == LIGHTING


def test_four_tabs_with_high_voltage(examples: Path, vocabulary: Vocabulary) -> None:
    reading = read_sample(examples / "02_four_tabs_high_voltage.xlsx", vocabulary)
    assert reading.panels == (
        panel(
            "LV-1 (ACB반 제외)",
            "저압반:5:11",
            main("MCCB", "4P800/800", breaking_capacity_ka=Decimal(65)),
            row("MCCB", "4P400/300", 2),
            row("MCCB", "3P225/225", 4),
            row("MCCB", "3P125/125", 4, breaking_capacity_ka=Decimal(37)),
            AccessorySpec(sku="SPD-4P-T2"),
        ),
        panel(
            "L-B1 지하주차장",
            "분전반:5:11",
            main("MCCB", "4P225/150"),
            row("ELB", "2P0/20", 28),
            row("MCCB", "2P0/20", 8),
            AccessorySpec(sku="TIMER-SUNSET"),
            AccessorySpec(sku="MC-32", quantity=3),
        ),
        panel(
            "L-1F 물류동",
            "분전반:14:19",
            main("MCCB", "4P400/400"),
            row("MCCB", "4P100/100", 6),
            row("ELB", "4P100/75", 4),
            row("ELB", "2P0/30", 18),
        ),
    )
    assert [(n.code, n.sheet, n.params["count"]) for n in reading.warnings] == [
        ("FORMULA_NO_VALUE_PRICE", "저압반", 6),
        ("FORMULA_NO_VALUE_PRICE", "분전반", 11),
    ]
    assert [(n.code, n.sheet) for n in reading.skipped] == [
        ("TAB_HIGH_VOLTAGE", "고압반"),
        ("TAB_LATER", "참고사항"),
    ]


def test_messy(examples: Path, vocabulary: Vocabulary) -> None:
    reading = read_sample(examples / "03_messy.xlsx", vocabulary)
    sangdo, ls = {"brand": "SANGDO"}, {"brand": "LS"}
    assert reading.panels == (
        panel(
            "동력반 P-1",
            "내역:5:10",
            main("MCCB", "3P0/100", **sangdo),
            row("MCCB", "3P0/60", 2, model="SBE-103"),
            row("MCCB", "3P50/30", 3, label="예비 1 포함"),
            row("ELB", "4P0/20", 2, sensitivity_ma=30),
        ),
        panel(
            "전등반 L-1",
            "내역:12:17",
            main("MCCB", "4P0/60", **ls),
            row("ELB", "2P0/20", 8),
            row("MCCB", "2P50/30", 4),
            SpareSpec(quantity=2),
        ),
        panel(
            "계량기함 WH-1",
            "내역:20:24",
            main("MCCB", "2P0/50"),
            row("ELB", "2P0/20", 6),
            AccessorySpec(sku="METER-1PH"),
        ),
    )
    assert reading.warnings == reading.skipped == ()
    fates = {number: fate for _, number, fate in reading.fates}
    assert [fates[number] for number in (1, 3, 5, 6, 10, 16, 23)] == [
        "preamble", "header", "title", "breaker", "subtotal", "spare", "accessory",
    ]  # fmt: skip


def test_cp949_table(examples: Path, vocabulary: Vocabulary) -> None:
    reading = read_sample(examples / "04_cp949.csv", vocabulary)
    assert reading.panels == (
        panel(
            "LP-3",
            "04_cp949.csv:2:6",
            main("MCCB", "4P0/50"),
            row("ELB", "2P0/20", 10),
            row("MCCB", "2P0/20", 6),
        ),
    )
    assert codes(reading.warnings) == []


@pytest.mark.parametrize(
    "text",
    [
        None,
        "메인차단기 4P 40A에 분기차단기 누전 4P 20A 2개, 누전 2P 20A 8개",
        "메인차단기 4P 40A\n누전 4P 20A 2개\n누전 2P 20A 8개\n",
        "4P 40A 메인차단기, 4P 20A 누전차단기 2개, 2P 20A 누전차단기 8개",
        "MAIN MCCB 4P 40A; ELB 4P 20A x2; ELB 2P 20A x8",
    ],
)
def test_one_sentence(text: str | None, examples: Path, vocabulary: Vocabulary) -> None:
    data = text.encode() if text else (examples / "05_request.txt").read_bytes()
    reading = read(data, "t.txt", vocabulary, "ko-KR")
    assert reading.errors == reading.warnings == ()
    (only,) = reading.panels
    assert only.name == "분전반 1"
    assert only.breakers == (
        main("MCCB", "4P0/40"),
        row("ELB", "4P0/20", 2),
        row("ELB", "2P0/20", 8),
    )


def test_request(examples: Path, vocabulary: Vocabulary) -> None:
    reading = read_sample(examples / "06_request.json", vocabulary)
    assert reading.request is not None
    assert reading.request.customer.company == "○○전기"
    first, second = reading.panels
    assert (first.name, first.quantity, first.location, first.ip_rating) == (
        "LP-1", 1, "indoor", "IP44",
    )  # fmt: skip
    assert first.accessories == (
        AccessorySpec(sku="MC-9", quantity=2),
        AccessorySpec(sku="TIMER-24H"),
    )
    assert second.quantity == 2
    assert second.breakers[2] == row("MCCB", "3P0/50", 5, brand="LS", load_a=Decimal("28.5"))
    assert second.breakers[3] == row("MCCB", "3P0/100", model="ABN-103", load_a=Decimal(60))
