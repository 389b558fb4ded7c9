from decimal import Decimal

import pytest
from tests.engine.panels import rules

from kis_estimator.engine.formulas import busbar_ampacity, custom_price_krw, temperature_rise


@pytest.mark.parametrize(
    ("size", "heat", "area", "k", "c", "mid", "top"),
    [
        ((700, 1000, 200), 60, "1.536", "0.412", "1.452", "11.1", "16.1"),
        ((500, 700, 200), 30, "0.882", "0.687", "1.226", "10.6", "13.0"),
    ],
)
def test_temperature_rise_of_two_wall_mounted_boxes(
    size: tuple[int, int, int], heat: int, area: str, k: str, c: str, mid: str, top: str
) -> None:
    rise = temperature_rise(size, Decimal(heat), "wall", rules().temperature)
    assert rise.area_m2 == Decimal(area)
    assert rise.k is not None
    assert rise.c is not None
    assert rise.mid_k is not None
    assert rise.top_k is not None
    assert [f"{value:.3f}" for value in (rise.k, rise.c)] == [k, c]
    assert [f"{value:.1f}" for value in (rise.mid_k, rise.top_k)] == [mid, top]


def test_temperature_outside_the_method_is_not_verified() -> None:
    table = rules().temperature
    for size in ((100, 150, 50), (2400, 2300, 1500)):
        assert temperature_rise(size, Decimal(50), "free", table).mid_k is None
    assert temperature_rise((600, 700, 150), Decimal(0), "wall", table).top_k == 0


def test_exposure_changes_the_area() -> None:
    table = rules().temperature
    areas = [
        temperature_rise((700, 1000, 200), Decimal(60), kind, table).area_m2
        for kind in ("flush", "wall", "free")
    ]
    # flush 0.14 x 0.7 + 0.63 + 0.35 + 0.4 x 0.5 = 1.278; free 0.196 + 2 x 0.63 + 0.36 = 1.816
    assert areas == [Decimal("1.278"), Decimal("1.536"), Decimal("1.816")]


def test_made_to_measure_price() -> None:
    assert custom_price_krw(600, 900, 150, 48000, rules().enclosure) == 115000


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("3x15", None),
        ("5x20", None),
        ("6x30", ("30×5", 246)),
        ("8x40", ("40×5", 313)),
        ("10x60", ("60×10", 640)),
    ],
)
def test_busbar_ampacity(section: str, expected: tuple[str, int] | None) -> None:
    assert busbar_ampacity(section, rules().ampacity) == expected
