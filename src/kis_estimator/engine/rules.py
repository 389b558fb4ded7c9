"""The rule file as typed, frozen data: every figure has a name, a unit and a source."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Generic, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from kis_estimator.engine.model import Finding, Location, Material, Mounting, Severity
from kis_estimator.errors import KisError, Locale, fill

T = TypeVar("T", int, str, Decimal)


@dataclass(frozen=True, slots=True)
class Steps(Generic[T]):
    """A step table: the value of the first row whose limit is not exceeded, else `above`.

    >>> Steps("main AT", ((60, 130), (100, 170)), 200).at(61)
    170
    >>> Steps("main AT", ((60, 130), (100, 170)), 200).at(101)
    200
    """

    name: str
    rows: tuple[tuple[int, T], ...]
    above: T | None = None

    def at(self, value: int) -> T:
        """Return the value at `value`; RULE_RANGE where the table says nothing about it."""
        for limit, result in self.rows:
            if value <= limit:
                return result
        if self.above is None:
            raise KisError.of("RULE_RANGE", table=self.name, value=value, limit=self.rows[-1][0])
        return self.above


@dataclass(frozen=True, slots=True)
class SelectionRules:
    """§2 breaker selection."""

    default_brand: str
    small_tier: str
    compact_tier: str
    compact_frame_af: int
    compact_poles: int
    compact_ratings_a: tuple[int, ...]
    tier_order: tuple[str, ...]
    same_frames_af: tuple[int, ...]
    silent_rise_af: tuple[int, ...]
    spd_rating_a: int
    spd_label: str
    spd_category: str
    spd_poles: int
    small_device_voltage_v: int


@dataclass(frozen=True, slots=True)
class PhaseRules:
    """§3 phases and balance."""

    imbalance_gate_pct: Decimal
    imbalance_target_pct: Decimal
    load_step_a: Decimal
    phase_voltage_v: int
    line_voltage_v: int
    korean_unbalance_limit_pct: Decimal
    enumeration_mib: int
    search_limit: Decimal


@dataclass(frozen=True, slots=True)
class LayoutRules:
    """§4 physical layout."""

    corridor_mm: int
    side_margin_mm: int
    large_frame_af: int
    large_side_clearance_mm: int
    large_body_gap_mm: int
    small_facing_gap_mm: int
    small_abreast: int
    duct_width_mm: int
    duct_clear_mm: int
    group_gap_mm: int
    door_clearance_mm: int
    plate_offset_mm: int
    four_columns_above_mm: int
    height_limit_mm: int
    space_use_max: Decimal
    terminal_width_mm: int
    terminal_height_mm: int
    pitch_mm: Mapping[int, Steps[int]]


@dataclass(frozen=True, slots=True)
class HeatRules:
    """§4 heat."""

    band_mm: int
    band_limit_w: Decimal
    panel_limit_w: Decimal
    distribution_incoming_a: int
    distribution_outgoing_a: int
    rdf_distribution: Steps[Decimal]
    rdf_power: Steps[Decimal]


@dataclass(frozen=True, slots=True)
class EnclosureRules:
    """§5 enclosure."""

    top_mm: Steps[int]
    main_to_branch_mm: int
    bottom_mm: Steps[int]
    accessory_usable_loss_mm: int
    accessory_row_gap_mm: int
    accessory_tail_mm: int
    accessory_row_categories: tuple[str, ...]
    meter_zone_mm: int
    meter_extra_mm: int
    narrow_width_mm: int
    narrow_frame_af: int
    narrow_main_af: int
    narrow_height_mm: int
    width_mm: Steps[int]
    many_branches: int
    many_branches_mm: int
    wide_branches: int
    wide_branches_mm: int
    wide_branches_main_af: int
    depth_mm: int
    flat_body_mm: int
    door_parts_depth_mm: int
    door_parts_deep_mm: int
    door_part_categories: tuple[str, ...]
    round_front_mm: int
    round_depth_mm: int
    fit_score_gate: Decimal
    ip_rating: str
    location: Location
    mounting: Mounting
    material: Material
    custom_base_krw: int
    custom_factor: Decimal
    custom_round_krw: int
    custom_rate_steel_krw: int
    custom_rate_sus201_krw: int
    custom_thickness_steel_mm: Decimal
    custom_thickness_sus201_mm: Decimal


@dataclass(frozen=True, slots=True)
class AccessoriesRules:
    """§6 derived accessories."""

    meter_ct_above_a: Decimal
    meter_direct_sku: str
    meter_ct_sku: str
    ct_set_sku: str
    per_contactor: Mapping[str, int]
    timer_lamp_sku: str
    timer_lamps: int
    timer_lamps_selector: int
    meter_wire_sku: str
    selector_switch_sku: str
    p_cover_sku: str
    earth_sku: Steps[str]
    branches_per_extra_earth: int
    neutral_sku: str
    name_card_sku: str
    name_plate_sku: str
    insulator_sku: Steps[str]
    insulators: int
    small_support_sku: str


@dataclass(frozen=True, slots=True)
class BomRules:
    """§6 busbar, service lines."""

    busbar_factor: Steps[Decimal]
    busbar_factor_poles: int
    busbar_main_krw: int
    busbar_branch_krw: int
    busbar_section: Steps[str]
    copper_density: Decimal
    busbar_min_length_mm: int
    mass_step_kg: Decimal
    p_cover_area_mm2: int
    p_cover_krw: int
    p_cover_round_krw: int
    coating_krw: Steps[int]
    base_height_mm: int
    base_area_mm2: int
    base_krw: int
    pole_mount_krw: int
    labour_krw: Steps[int]
    labour_height_mm: Steps[int]
    labour_step_mm: int
    labour_step_krw: Steps[int]
    labour_small_krw: Steps[int]
    labour_small_rating_a: int
    labour_contactor_krw: int
    consumables_krw: int
    consumables_width_mm: int
    consumables_height_mm: int
    consumables_step_mm: int
    consumables_step_krw: int
    consumables_accessory_krw: int
    consumables_max_krw: int


@dataclass(frozen=True, slots=True)
class PricingRules:
    """§6 settings of the quote."""

    vat_pct: Decimal
    discount_max_pct: Decimal
    discount_approval_pct: Decimal


@dataclass(frozen=True, slots=True)
class TemperatureRules:
    """§8 temperature rise."""

    top_exposed: Decimal
    top_covered: Decimal
    side_exposed: Decimal
    side_covered: Decimal
    exponent_closed: Decimal
    large_area_m2: Decimal
    area_min_m2: Decimal
    area_max_m2: Decimal
    large_k: tuple[Decimal, ...]
    small_k: tuple[Decimal, ...]
    large_c: tuple[Decimal, ...]
    large_c_curve: tuple[Decimal, ...]
    large_f_exponent: Decimal
    small_c: tuple[Decimal, ...]
    small_c_flat: tuple[Decimal, ...]
    small_g_limit: Decimal
    partition_factor: tuple[Decimal, ...]
    ambient_c: Decimal
    air_limit_c: Decimal
    curve_surface: int
    curve_free: int
    curve_flush: int


@dataclass(frozen=True, slots=True)
class AmpacityRules:
    """§8 busbar ampacity."""

    bars: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Code:
    """One code the engine can report: severity, source and the texts by language."""

    severity: Severity
    source: str
    ko: str
    en: str


@dataclass(frozen=True, slots=True)
class Text:
    """A name in the languages of the documents."""

    ko: str
    en: str


@dataclass(frozen=True, slots=True)
class Rules:
    """One rule file; `sha` is the SHA-256 of its bytes."""

    name: str
    version: str
    sha: str
    selection: SelectionRules
    phase: PhaseRules
    layout: LayoutRules
    heat: HeatRules
    enclosure: EnclosureRules
    accessories: AccessoriesRules
    bom: BomRules
    pricing: PricingRules
    temperature: TemperatureRules
    ampacity: AmpacityRules
    codes: Mapping[str, Code]
    texts: Mapping[str, Text]

    @property
    def rule_set(self) -> str:
        """Return name and version, as every document quotes them."""
        return f"{self.name} {self.version}"

    def text(self, key: str, locale: Locale, **params: object) -> str:
        """Return the name of a line in the locale's language."""
        entry = self.texts[key]
        return fill(entry.en if locale == "en-US" else entry.ko, params)

    def finding(
        self,
        code: str,
        locale: Locale,
        panel: str | None = None,
        **figures: object,
    ) -> Finding:
        """Return the finding of a code, its text filled with the figures."""
        entry = self.codes[code]
        template = entry.en if locale == "en-US" else entry.ko
        return Finding(
            severity=entry.severity,
            code=code,
            message=fill(template, figures),
            panel=panel,
            figures=figures,
            source=entry.source,
        )


_WRONG = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def parse_rules(data: bytes) -> Rules:
    """Read a rule file. Raises RULES_INVALID naming the section and figure that is wrong."""
    try:
        table = tomllib.loads(data.decode("utf-8"), parse_float=Decimal)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise KisError.of("RULES_INVALID", where="TOML", reason=str(error)) from error
    sections: dict[str, Any] = {}
    for name, kind in get_type_hints(Rules).items():
        try:
            if name in ("name", "version"):
                sections[name] = str(table.pop(name, ""))
            elif name == "sha":
                sections[name] = hashlib.sha256(data).hexdigest()
            elif name in ("codes", "texts"):
                sections[name] = _texts(Code if name == "codes" else Text, table.pop(name, {}))
            else:
                sections[name] = _section(kind, name, table.pop(name, {}))
        except _WRONG as error:
            raise KisError.of("RULES_INVALID", where=name, reason=str(error)) from error
    if table:
        raise KisError.of("RULES_INVALID", where=", ".join(table), reason="unknown section")
    return Rules(**sections)


def _texts(kind: type[Any], table: dict[str, Any]) -> Mapping[str, Any]:
    """Return the codes or texts by their keys; a severity has to be one of four."""
    rows = {key: kind(**row) for key, row in table.items()}
    for key, row in rows.items():
        if kind is Code and row.severity not in get_args(Severity):
            raise ValueError(f"{key}: {row.severity!r} is no severity")
    return MappingProxyType(rows)


def _section(kind: type[Any], name: str, table: dict[str, Any]) -> Any:  # noqa: ANN401 - one of the section types
    hints = get_type_hints(kind)
    wanted = {item.name for item in fields(kind)}
    for wrong in sorted(wanted ^ set(table)):
        reason = "missing" if wrong in wanted else "unknown"
        raise KisError.of("RULES_INVALID", where=f"{name}.{wrong}", reason=reason)
    return kind(**{key: _figure(hints[key], f"{name}.{key}", table[key]) for key in wanted})


def _figure(kind: Any, where: str, entry: dict[str, Any]) -> Any:  # noqa: ANN401 - the figure's own type
    try:
        if not entry.get("unit") or not entry.get("source"):
            raise ValueError("unit or source missing")
        if where == "layout.pitch_mm":
            return _pitches(where, entry)
        if get_origin(kind) is Steps:
            return _steps(where, entry["steps"], entry.get("above"), get_args(kind)[0])
        return _value(kind, entry["value"])
    except _WRONG as error:
        raise KisError.of("RULES_INVALID", where=where, reason=str(error)) from error


def _pitches(where: str, entry: dict[str, Any]) -> Mapping[int, Steps[int]]:
    """Return the pitch by frame, for each number of poles."""
    prefix = "poles_"
    return MappingProxyType(
        {
            int(key.removeprefix(prefix)): _steps(f"{where} {key}", rows, None, int)
            for key, rows in entry.items()
            if key.startswith(prefix)
        }
    )


def _steps(where: str, rows: list[list[Any]], above: Any, kind: type[Any]) -> Steps[Any]:  # noqa: ANN401 - as read
    limits = [row[0] for row in rows]
    if limits != sorted(set(limits)):
        raise ValueError("steps must rise")
    values = tuple((limit, kind(value)) for limit, value in rows)
    return Steps(where, values, None if above is None else kind(above))


def _value(kind: Any, value: Any) -> Any:  # noqa: ANN401 - the figure's own type
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ValueError(f"{value!r} is not one of {', '.join(get_args(kind))}")
        return value
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        return tuple(_value(item, part) for part in value)
    if get_origin(kind) is not None:
        return MappingProxyType({str(key): int(number) for key, number in value.items()})
    if kind is int and not isinstance(value, int):
        raise TypeError(f"{value!r} is not a whole number")
    return cast("type[Any]", kind)(value)
