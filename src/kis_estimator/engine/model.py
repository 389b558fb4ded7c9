"""What goes into the engine and what each stage returns: frozen data, no behaviour beyond sums.

Lengths are mm, currents A, power W, money KRW before VAT. Field names become camelCase in JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

Role = Literal["main", "branch"]
Category = Literal["MCCB", "ELB"]
Location = Literal["indoor", "outdoor"]
Mounting = Literal["surface", "flush", "floor", "pole"]
Material = Literal["steel", "sus201"]
MeterPosition = Literal["below", "beside"]
Stage = Literal["enclosure", "breaker", "critic", "format", "cover", "lint", "evidence"]
Severity = Literal["violation", "warning", "recommendation", "advisory"]
Side = Literal["left", "right", "top"]
PlacementRole = Literal["main", "branch", "spare", "accessory", "terminal", "duct", "busbar"]
Proof = Literal["residue", "big_item", "search", "open"]
LineGroup = Literal[
    "enclosure", "main", "branch", "required", "optional", "busbar", "support", "consumables"
]

AccessoryCategory = Literal[
    "magnet_contactor", "timer", "meter", "current_transformer", "surge_protector", "panel_meter",
    "push_button", "fuse_holder", "terminal_block", "pvc_duct", "wire", "earth_terminal",
    "neutral_terminal", "name_plate", "insulator", "support",
]  # fmt: skip

THREE_POLES = 3

# ---------------------------------------------------------------- request


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSpec:
    """One row of a schedule: `quantity` equal breakers as the customer asked for them."""

    role: Role
    category: Category
    poles: int
    rated_current_a: int
    quantity: int = 1
    frame_af: int | None = None
    breaking_capacity_ka: Decimal | None = None
    sensitivity_ma: int | None = None
    voltage: Literal[220, 380] | None = None
    load_a: Decimal | None = None
    brand: str | None = None
    tier: str | None = None
    model: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessorySpec:
    """An accessory asked for; `position` matters for energy meters only."""

    sku: str
    quantity: int = 1
    position: MeterPosition = "below"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpareSpec:
    """Reserved space. Without poles and frame it copies the panel's most common branch."""

    quantity: int = 1
    poles: int | None = None
    frame_af: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRef:
    """The tab and the 1-based rows a panel was read from."""

    sheet: str
    first_row: int
    last_row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelSpec:
    """One panel of the request; `quantity` is the number of identical panels (면)."""

    name: str
    breakers: tuple[BreakerSpec, ...]
    quantity: int = 1
    accessories: tuple[AccessorySpec, ...] = ()
    spares: tuple[SpareSpec, ...] = ()
    location: Location | None = None
    mounting: Mounting | None = None
    material: Material | None = None
    ip_rating: str | None = None
    enclosure_sku: str | None = None
    source: SourceRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """Who the quotation is for. A customer who is not named stays blank."""

    name: str = ""
    contact: str | None = None
    company: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PricingTerms:
    """Settings of the quote: percentages, and the won step that the supply price is cut to."""

    markup_pct: Decimal = Decimal(0)
    discount_pct: Decimal = Decimal(0)
    round_down_to: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateRequest:
    """All that the engine is asked."""

    customer: Customer
    panels: tuple[PanelSpec, ...]
    project: str | None = None
    currency: Literal["KRW"] = "KRW"
    locale: Literal["ko-KR", "en-US"] = "ko-KR"
    pricing: PricingTerms = field(default_factory=PricingTerms)
    valid_days: int = 30


# ---------------------------------------------------------------- catalogue items


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerItem:
    """A breaker that can be bought. `power_loss_w_per_pole` [W] holds at rated current."""

    sku: str
    brand: str
    category: Category
    tier: str
    model: str
    frame_af: int
    poles: int
    rated_current_a: int
    breaking_capacity_ka: Decimal
    width_mm: int
    height_mm: int
    depth_mm: int
    power_loss_w_per_pole: Decimal
    unit_price_krw: int

    @property
    def three_phase(self) -> bool:
        """Three and four poles are fed from R, S and T; one or two from less."""
        return self.poles >= THREE_POLES


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclosureItem:
    """A stock enclosure, outer size."""

    sku: str
    series: str
    material: Material
    thickness_mm: Decimal
    location: Location
    ip_rating: str
    width_mm: int
    height_mm: int
    depth_mm: int
    unit_price_krw: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessoryItem:
    """An accessory; width and height 0 where the catalogue gives no body (door parts, wire)."""

    sku: str
    category: AccessoryCategory
    name_ko: str
    name_en: str
    width_mm: int
    height_mm: int
    mounting: str
    unit: str
    unit_price_krw: int


# ---------------------------------------------------------------- results


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a stage noticed; `figures` are the numbers of the message, by name."""

    severity: Severity
    code: str
    message: str
    panel: str | None = None
    figures: dict[str, object] = field(default_factory=dict)
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """One physical branch breaker. `load_a` is the stated load, else the rated current."""

    number: int
    item: BreakerItem
    spec: BreakerSpec
    load_a: Decimal
    load_stated: bool
    is_spd: bool = False
    two_phase: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Spare:
    """One reserved space, with the body that it is kept for."""

    item: BreakerItem


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessoryUse:
    """An accessory of the panel: asked for, or derived by a rule."""

    item: AccessoryItem
    quantity: int
    asked: bool
    rule: str
    position: MeterPosition = "below"


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelDevices:
    """The real devices of one panel: circuits in mounting order (poles, frame, AT falling)."""

    spec: PanelSpec
    main: BreakerItem
    main_spec: BreakerSpec
    circuits: tuple[Circuit, ...]
    spares: tuple[Spare, ...]
    brand: str
    accessories: tuple[AccessoryUse, ...] = ()
    steel_p_cover: bool = False

    @property
    def single_phase(self) -> bool:
        """A panel whose main has one or two poles has one phase and no balance."""
        return not self.main.three_phase


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseBalance:
    """Phase sums R, S, T [A], spread D = max - min [A], its proven lower bound and the proof."""

    assignment: dict[int, str]
    r_a: Decimal
    s_a: Decimal
    t_a: Decimal
    spread_a: Decimal
    lower_bound_a: Decimal
    imbalance_pct: Decimal
    lower_bound_pct: Decimal
    proof: Proof
    korean_unbalance_pct: Decimal
    i2_over_i1: Decimal

    @property
    def proven_optimal(self) -> bool:
        """Only a value that meets its lower bound is optimal."""
        return self.proof != "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A physical device as mounted (rotated); x, y [mm] from the enclosure's outer top-left."""

    id: str
    circuit: int | None
    model: str
    role: PlacementRole
    side: Side
    x_mm: int
    y_mm: int
    width_mm: int
    height_mm: int
    phase: str | None
    rated_current_a: int | None
    load_a: Decimal | None
    loss_w: Decimal | None

    @property
    def right_mm(self) -> int:
        """Return the right edge."""
        return self.x_mm + self.width_mm

    @property
    def bottom_mm(self) -> int:
        """Return the lower edge."""
        return self.y_mm + self.height_mm


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A stock enclosure that was looked at: its score, and the reason it was rejected."""

    sku: str
    fit_score: Decimal
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclosureNeed:
    """Required size [mm] before rounding, with the parts of H = A + B + C + D + E."""

    top_mm: int
    main_to_branch_mm: int
    branches_mm: int
    bottom_mm: int
    accessories_mm: int
    columns: int
    shop_width_mm: int
    shop_height_mm: int
    layout_width_mm: int
    layout_height_mm: int
    width_mm: int
    height_mm: int
    depth_mm: int
    made_width_mm: int
    made_height_mm: int
    made_depth_mm: int
    deepest_body_mm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclosureResult:
    """The chosen enclosure and why; `custom` is made to measure."""

    sku: str
    custom: bool
    width_mm: int
    height_mm: int
    depth_mm: int
    ip_rating: str
    location: Location
    mounting: Mounting
    material: Material
    thickness_mm: Decimal
    unit_price_krw: int
    fit_score: Decimal
    door_clearance_mm: int
    need: EnclosureNeed
    candidates: tuple[Candidate, ...]
    next_smaller: str | None
    reason: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where everything is mounted, and the heat it makes at the diversified currents."""

    placements: tuple[Placement, ...]
    columns: int
    heat_w: Decimal
    rdf: Decimal
    phase_current_a: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the bill of materials of ONE panel; `rule` says why it is there."""

    group: LineGroup
    sku: str
    name: str
    spec: str
    unit: str
    quantity: Decimal
    unit_price: int
    amount: int
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelResult:
    """All stages of one panel. `phase` is None for a single-phase panel."""

    devices: PanelDevices
    enclosure: EnclosureResult
    phase: PhaseBalance | None
    layout: Layout
    findings: tuple[Finding, ...]
    lines: tuple[Line, ...]
    lines_sum: int

    @property
    def name(self) -> str:
        """Return the panel's name as asked."""
        return self.devices.spec.name

    @property
    def quantity(self) -> int:
        """Return the number of identical panels."""
        return self.devices.spec.quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Money of the quote [won]: supply = linesSum - discount - rounding; total = supply + vat."""

    lines_sum: int
    discount: int
    rounding: int
    supply: int
    vat: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A check that can fail; `passed` None means not run, which is never a pass."""

    stage: Stage
    name: str
    value: object
    limit: object
    passed: bool | None
    basis: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineResult:
    """What one run of the engine returns."""

    request: EstimateRequest
    panels: tuple[PanelResult, ...]
    totals: Totals
    gates: tuple[Gate, ...]
    findings: tuple[Finding, ...]
    catalog_sha: str
    catalog_is_sample: bool
    rule_set: str
    rules_sha: str
