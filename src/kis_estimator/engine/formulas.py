"""The trade's formulas, exact: Decimal in, Decimal out. Symbols, units, range and source in each.

Examples use the figures of the project's rule file.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, NamedTuple

from kis_estimator.engine.rules import (
    AmpacityRules,
    EnclosureRules,
    HeatRules,
    TemperatureRules,
)
from kis_estimator.engine.units import half_up

ZERO = Decimal(0)


def rated_diversity_factor(
    outgoing: int, incoming_a: int, largest_outgoing_a: int, rules: HeatRules
) -> Decimal:
    """Return the rated diversity factor RDF [1] of a board.

    A distribution board (IEC 61439-3: incoming <= 250 A, every outgoing <= 125 A) and a power
    board (IEC 61439-2) have each their table by number of outgoing circuits; a single circuit 1.0.
    """
    distribution = (
        incoming_a <= rules.distribution_incoming_a
        and largest_outgoing_a <= rules.distribution_outgoing_a
    )
    table = rules.rdf_distribution if distribution else rules.rdf_power
    return table.at(outgoing)


def breaker_loss_w(
    poles: int, loss_w_per_pole: Decimal, rating_a: int, current_a: Decimal
) -> Decimal:
    """Return the loss [W] of a breaker: poles x W/pole (at AT) x (I/AT)^2.

    The current [A] of a branch is load x RDF; that of the main min(AT, diversified current).

    >>> breaker_loss_w(2, Decimal("1.11"), 20, Decimal(20) * Decimal("0.5"))
    Decimal('0.5550')
    """
    return poles * loss_w_per_pole * (current_a / rating_a) ** 2


def imbalance_pct(r: Decimal, s: Decimal, t: Decimal) -> Decimal:
    """Return (max - min) / mean of three phase sums [A], in %; 0 where nothing is loaded.

    >>> imbalance_pct(Decimal(140), Decimal(140), Decimal(120))
    Decimal('15')
    """
    total = r + s + t
    if total == 0:
        return ZERO
    return (max(r, s, t) - min(r, s, t)) * 300 / total


def korean_unbalance_pct(
    single_phase_va: tuple[Decimal, Decimal, Decimal], total_va: Decimal
) -> Decimal:
    """Return the 설비불평형률 [%]: (max - min single-phase VA) / (total VA / 3) x 100 (내선규정).

    >>> korean_unbalance_pct((Decimal(4400), Decimal(4400), Decimal(2200)), Decimal(33000))
    Decimal('20')
    """
    if total_va == 0:
        return ZERO
    return (max(single_phase_va) - min(single_phase_va)) * 300 / total_va


def i2_over_i1(r: Decimal, s: Decimal, t: Decimal) -> Decimal:
    """Return |I2|/|I1| [1] of three in-phase currents [A] 120 degrees apart.

    sqrt(R^2 + S^2 + T^2 - RS - ST - TR) / (R + S + T); 0 where nothing is loaded.

    >>> i2_over_i1(Decimal(100), Decimal(100), Decimal(100))
    Decimal('0')
    >>> i2_over_i1(Decimal(3), Decimal(0), Decimal(0))
    Decimal('1')
    """
    total = r + s + t
    if total == 0:
        return ZERO
    return (r * r + s * s + t * t - r * s - s * t - t * r).sqrt() / total


def custom_price_krw(
    width_mm: int, height_mm: int, depth_mm: int, rate_krw_m2: int, rules: EnclosureRules
) -> int:
    """Return the price [KRW] of a made-to-measure enclosure.

    [base + 2(WH + WD + HD)/10^6 x rate per m2] x factor, rounded half-up to 1,000 won.
    600 x 900 x 150 steel: (15,000 + 1.53 x 48,000) x 1.3 = 114,972 -> 115,000.
    """
    surface = 2 * (width_mm * height_mm + width_mm * depth_mm + height_mm * depth_mm)
    cost = rules.custom_base_krw + Decimal(surface) / 10**6 * rate_krw_m2
    return int(half_up(cost * rules.custom_factor, rules.custom_round_krw))


def main_busbar_mass_kg(
    width_mm: int, height_mm: int, factor: Decimal, poles: int, factor_poles: int
) -> Decimal:
    """Return the mass [kg] of the main busbar: W x H x k x main poles / 4.

    >>> main_busbar_mass_kg(600, 900, Decimal("0.000007"), 4, 4)
    Decimal('3.780000')
    """
    return width_mm * height_mm * factor * poles / factor_poles


def branch_busbar_mass_kg(
    section: str, length_mm: int, conductors: int, density: Decimal
) -> Decimal:
    """Return the mass [kg] of a branch's bars: T x width [mm] x length [mm] x density x conductors.

    >>> branch_busbar_mass_kg("3x15", 40, 2, Decimal("8.96e-6"))
    Decimal('0.03225600')
    """
    thickness, width = (int(part) for part in section.split("x"))
    return thickness * width * length_mm * density * conductors


class TemperatureRise(NamedTuple):
    """Result of the IEC TR 60890 method; rises [K] are None outside the method's range."""

    area_m2: Decimal
    k: Decimal | None
    c: Decimal | None
    mid_k: Decimal | None
    top_k: Decimal | None


Exposure = Literal["wall", "free", "flush"]


def effective_area_m2(
    width_mm: int, height_mm: int, depth_mm: int, exposure: Exposure, rules: TemperatureRules
) -> Decimal:
    """Return Ae = sum of A x b [m2]: top, front, back, two sides; the floor does not count.

    On a wall the back is covered; free-standing it is exposed; flush only the front is exposed.
    """
    w, h, d = (Decimal(side) / 1000 for side in (width_mm, height_mm, depth_mm))
    flush = exposure == "flush"
    top = rules.top_covered if flush else rules.top_exposed
    sides = rules.side_covered if flush else rules.side_exposed
    back = rules.side_exposed if exposure == "free" else rules.side_covered
    return w * d * top + w * h * (rules.side_exposed + back) + 2 * h * d * sides


def temperature_rise(
    size_mm: tuple[int, int, int],
    heat_w: Decimal,
    exposure: Exposure,
    rules: TemperatureRules,
    partitions: int = 0,
) -> TemperatureRise:
    """Return the rise of the internal air [K] at half height and at the top (IEC TR 60890 method).

    `size_mm` is (W, H, D), closed enclosure, heat 0 W or more, 0-3 horizontal partitions. Valid for
    0.08 <= Ae <= 11.5 m2; outside, the rises are None. Formulas as fitted in public code: advisory.
    """
    area = effective_area_m2(*size_mm, exposure, rules)
    if not rules.area_min_m2 <= area <= rules.area_max_m2:
        return TemperatureRise(area, None, None, None, None)
    w, h, d = (Decimal(side) / 1000 for side in size_mm)
    if area > rules.large_area_m2:
        curve = {
            "wall": rules.curve_surface,
            "free": rules.curve_free,
            "flush": rules.curve_flush,
        }[exposure]
        k = rules.large_k[0] * area ** rules.large_k[1]
        f = h**rules.large_f_exponent / (w * d)
        c = rules.large_c[0] * f * f + rules.large_c[1] * f + rules.large_c_curve[curve - 1]
    else:
        k = rules.small_k[0] * area ** rules.small_k[1]
        g = h / w
        if g > rules.small_g_limit:
            a, slope, shift, floor = rules.small_c
            c = a * (1 - (slope * g + shift).exp()) + floor
        else:
            c = rules.small_c_flat[0] * g + rules.small_c_flat[1]
    power = heat_w**rules.exponent_closed if heat_w else ZERO
    mid = k * rules.partition_factor[partitions] * power
    return TemperatureRise(area, k, c, mid, mid * c)


class Ampacity(NamedTuple):
    """The tabulated bar (width x thickness [mm]) that a section contains, and its current [A]."""

    bar: str
    current_a: int


def busbar_ampacity(section: str, rules: AmpacityRules) -> Ampacity | None:
    """Return the ampacity inside an enclosure (55 °C air, 70 °C bar) of a bar "TxW" [mm].

    The largest tabulated bar that the section contains stands for it (a lower bound); None where
    the section is smaller than every tabulated bar: not verified.
    """
    thickness, width = (int(part) for part in section.split("x"))
    held = [bar for bar in rules.bars if bar[0] <= width and bar[1] <= thickness]
    if not held:
        return None
    best = max(held, key=lambda bar: bar[2])
    return Ampacity(f"{best[0]}×{best[1]}", best[2])


def ip_at_least(rating: str, asked: str) -> bool:
    """Compare two IP codes digit by digit.

    >>> ip_at_least("IP55", "IP44"), ip_at_least("IP54", "IP45"), ip_at_least("IP30", "IP44")
    (True, False, False)
    """
    return all(int(has) >= int(wanted) for has, wanted in zip(rating[2:], asked[2:], strict=True))
