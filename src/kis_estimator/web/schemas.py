"""The JSON that the API answers with, as the OpenAPI document describes it.

What a run made is sent as it was sealed and is not built from these models; tests hold the two
against each other.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from kis_estimator.evidence.verify import Kind as Verdict
from kis_estimator.web.errors import Detail

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Time = Annotated[str, Field(description="UTC, ISO 8601 with Z", examples=["2026-01-31T09:30:01Z"])]
Won = Annotated[int, Field(description="won")]
Number = Annotated[str, Field(pattern=r"^KIS-\d{8}-\d{4,}$", examples=["KIS-20260131-0001"])]
Status = Literal["pending", "processing", "completed", "failed"]
Standing = Literal["current", "proposed", "superseded", "withdrawn"]
Kind = Literal["xlsx", "pdf", "svg", "dxf", "json", "zip"]
NO_NUL: dict[str, Any] = {"pattern": r"^[^\x00]*$"}
"""Of a text that is searched for: the database holds no NUL."""

Figure = int | float | str | bool | None


class Answer(BaseModel):
    """Camel-case fields; a model that is answered may gain fields in a later version."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Customer(Answer):
    """For whom the estimate is."""

    name: str
    contact: str | None = None
    company: str | None = None
    email: str | None = None


class Totals(Answer):
    """supply = linesSum - discount - rounding; total = supply + vat."""

    lines_sum: Won
    discount: Won
    rounding: Won
    supply: Won
    vat: Won
    total: Won


class Enclosure(Answer):
    """The chosen enclosure, outer size in mm."""

    sku: str
    custom: bool
    width_mm: int
    height_mm: int
    depth_mm: int
    ip_rating: str
    fit_score: float


class PhaseLoads(Answer):
    """Load of each phase in A."""

    r: float = Field(alias="R")
    s: float = Field(alias="S")
    t: float = Field(alias="T")


class Phase(Answer):
    """How the phases are balanced, and how it is known that no assignment does better."""

    loads_a: PhaseLoads
    imbalance_pct: float
    lower_bound_pct: float
    proven_optimal: bool
    proof: str | None
    korean_unbalance_pct: float | None
    i2_over_i1: float | None = Field(alias="i2OverI1")


class Placement(Answer):
    """A device as mounted; x and y in mm from the enclosure's outer top-left corner."""

    id: str
    circuit: int | None
    model: str
    role: str
    side: str
    x_mm: int
    y_mm: int
    width_mm: int
    height_mm: int
    phase: str | None
    rated_current_a: int | None = Field(alias="ratedCurrentA")
    load_a: float | None
    loss_w: float | None


class Line(Answer):
    """A line of the bill of materials of one panel; `rule` says why it is there."""

    group: str
    sku: str
    name: str
    spec: str
    unit: str
    quantity: float
    unit_price: Won
    amount: Won
    rule: str


class Finding(Answer):
    """Something a person should know of the design or the documents."""

    severity: Literal["violation", "warning", "recommendation", "advisory"]
    code: str
    message: str
    panel: str | None = None
    figures: dict[str, Any] | None = None
    source: str | None = None


class Panel(Answer):
    """The design of one panel; `quantity` identical ones are priced."""

    name: str
    quantity: int
    enclosure: Enclosure
    phase: Phase | None
    heat_w: float
    placements: list[Placement]
    lines: list[Line]
    findings: list[Finding]


class Gate(Answer):
    """A gate of a stage; `passed` is null where it did not run."""

    stage: str
    name: str
    value: Figure
    limit: Figure
    passed: bool | None
    basis: str | None = None


class DocumentEntry(Answer):
    """A document of the pack."""

    kind: Kind
    path: str
    sha256: Sha256
    size_bytes: int


class RunError(Answer):
    """Why an estimate failed."""

    code: str
    message: str
    hint: str | None = None
    details: list[Detail]


class EstimateResponse(Answer):
    """An estimate. Figures and documents are there when its status is `completed`."""

    id: UUID
    number: Number
    revision: Annotated[int, Field(ge=1)]
    status: Status
    customer: Customer
    project: str | None
    currency: Literal["KRW"]
    totals: Totals | None
    panels: list[Panel]
    gates: list[Gate]
    gates_passed: bool | None
    findings: list[Finding]
    documents: list[DocumentEntry]
    design_sha: Sha256 | None
    evidence_sha: Sha256 | None
    evidence_url: str | None = None
    rule_set: str | None
    catalog_sha: Sha256 | None
    created_at: Time
    updated_at: Time
    standing: Standing
    revised_from: UUID | None
    current_id: UUID | None
    error: RunError | None = None


class EstimateSummary(Answer):
    """An estimate in a list."""

    id: UUID
    number: Number
    revision: int
    status: Status
    standing: Standing
    revised_from: UUID | None
    customer: Customer
    project: str | None
    supply: Won | None
    total: Won | None
    gates_passed: bool | None
    created_at: Time
    updated_at: Time


class EstimateList(Answer):
    """A page of estimates."""

    items: list[EstimateSummary]
    total: int
    page: int
    size: int


class Revisions(Answer):
    """Every revision of an estimate, the first one first."""

    items: list[EstimateSummary]
    total: int


class Change(Answer):
    """A figure before and after."""

    before: Figure
    after: Figure


class ChangedLine(Answer):
    """A line of the bill of materials that differs; null where it is not there."""

    sku: str
    name: str
    spec: str
    quantity: Change
    unit_price: Change
    amount: Change


class ChangedPanel(Answer):
    """A panel that is in one of both, or differs."""

    name: str
    change: Literal["added", "removed", "changed"]
    fields: dict[str, Change]
    lines: list[ChangedLine]


class Difference(Answer):
    """What differs between two estimates."""

    before: EstimateSummary
    after: EstimateSummary
    totals: dict[str, Change]
    fields: dict[str, Change]
    panels: list[ChangedPanel]
    gates: dict[str, Change]


class Document(DocumentEntry):
    """A document with a link that downloads it and expires."""

    id: UUID
    url: str
    expires_at: Time
    created_at: Time


class DocumentList(Answer):
    """The documents of an estimate."""

    items: list[Document]
    total: int
    page: int
    size: int


class ExportAccepted(Answer):
    """An export under way; its zip appears among the documents of the estimate."""

    estimate_id: UUID
    kinds: list[Kind]
    documents_url: str


class SchedulePanel(Answer):
    """A panel as it was read; the shape of EstimateRequest.panels[]."""

    model_config = ConfigDict(extra="allow")

    name: str
    quantity: int


class Issue(Answer):
    """A problem of a schedule with its place."""

    code: str
    message: str
    sheet: str | None = None
    row: int | None = None
    text: str | None = None


class Skipped(Answer):
    """A row that is no device, and why."""

    sheet: str | None = None
    row: int | None = None
    reason: str


class ValidationResponse(Answer):
    """What a schedule holds."""

    valid: bool
    panels: list[SchedulePanel]
    errors: list[Issue]
    warnings: list[Issue]
    skipped: list[Skipped]


class FileVerdict(Answer):
    """What was found of one file of a pack, and why."""

    file: str
    verdict: Verdict
    code: str | None = None
    message: str | None = None


class Verification(Answer):
    """What checking a pack found; number and revision are what its manifest says."""

    ok: bool
    number: Any
    revision: Any
    evidence_sha: Sha256 | None
    signed_by: str | None
    verdicts: list[FileVerdict]
