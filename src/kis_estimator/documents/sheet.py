"""The rows and totals of a quotation, put together once; the workbook and the PDF print them.

Amounts are the engine's own; a writer that wants formulas builds them from `quantity`,
`unit_price` and the percentages here, and caches the amounts.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, get_args

from kis_estimator.documents.checks import CheckRow, design_checks
from kis_estimator.documents.lettering import clean
from kis_estimator.documents.loads import LoadSchedule, load_schedule
from kis_estimator.documents.supplier import Supplier
from kis_estimator.documents.texts import Texts, date_text, say, texts
from kis_estimator.engine.model import (
    BreakerItem,
    EngineResult,
    Line,
    LineGroup,
    PanelResult,
    Totals,
)
from kis_estimator.errors import Locale

SummaryKind = Literal["lines_sum", "discount", "rounding", "supply", "vat", "total"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateHeader:
    """What identifies an estimate on paper, and what the paper has to say beside its figures.

    `vat_pct` is the rate of the rule set; `exclusions` are schedule rows left out (견적 제외).
    """

    number: str
    revision: int
    date: dt.date
    valid_until: dt.date
    locale: Locale
    vat_pct: Decimal
    supplier: Supplier
    design_sha: str
    exclusions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRow:
    """One line of a panel: amount = quantity * unit price, rounded half-up to 1 won."""

    number: int
    name: str
    spec: str
    unit: str
    quantity: Decimal
    unit_price: int
    amount: int
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemGroup:
    """The lines under one heading, with their sum."""

    group: LineGroup
    title: str
    rows: tuple[ItemRow, ...]
    subtotal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelTable:
    """One panel: its line on the cover (unit price = one panel) and its bill of materials."""

    number: int
    name: str
    title: str
    enclosure: str
    main: str
    branches: int
    heat_w: Decimal
    facts: str
    quantity: int
    unit_price: int
    amount: int
    groups: tuple[ItemGroup, ...]
    loads: LoadSchedule


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRow:
    """One line of the summary; deductions are negative, so the column adds up as it reads."""

    kind: SummaryKind
    label: str
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotation:
    """All that a quotation prints, as text and exact figures."""

    number: str
    date: dt.date
    date_text: str
    valid_until: dt.date
    valid_until_text: str
    customer: str
    contact: str
    project: str
    panels: tuple[PanelTable, ...]
    summary: tuple[SummaryRow, ...]
    totals: Totals
    discount_pct: Decimal
    round_down_to: int
    vat_pct: Decimal
    sample: bool
    exclusions: tuple[str, ...]
    supplier: Supplier
    checks: tuple[CheckRow, ...]
    design_sha: str
    rule_set: str
    locale: Locale

    @property
    def words(self) -> Texts:
        """Return the labels in the reader's language."""
        return texts(self.locale)


def build_quotation(result: EngineResult, header: EstimateHeader) -> Quotation:
    """Put the documents' rows together from the engine's result."""
    words = texts(header.locale)
    request = result.request
    customer = request.customer
    number = clean(header.number)
    if header.revision > 1:
        number = say(words, "revision_of", number=number, revision=header.revision)
    return Quotation(
        number=number,
        date=header.date,
        date_text=date_text(words, header.date),
        valid_until=header.valid_until,
        valid_until_text=say(words, "valid_until_value", date=date_text(words, header.valid_until)),
        customer=" ".join(filter(None, (clean(customer.company or ""), clean(customer.name)))),
        contact=clean(customer.contact or ""),
        project=clean(request.project or ""),
        panels=tuple(
            _panel_table(number, panel, words)
            for number, panel in enumerate(result.panels, start=1)
        ),
        summary=_summary(result, header, words),
        totals=result.totals,
        discount_pct=request.pricing.discount_pct,
        round_down_to=request.pricing.round_down_to,
        vat_pct=header.vat_pct,
        sample=result.catalog_is_sample,
        exclusions=tuple(filter(None, map(clean, header.exclusions))),
        supplier=header.supplier,
        checks=design_checks(result, words),
        design_sha=header.design_sha,
        rule_set=result.rule_set,
        locale=header.locale,
    )


def breaker_text(item: BreakerItem) -> str:
    """Name a breaker the way a schedule does: kind, poles, frame and trip.

    >>> breaker_text(BreakerItem(sku="", brand="", category="ELB", tier="", model="", frame_af=30,
    ...     poles=2, rated_current_a=20, breaking_capacity_ka=Decimal(2), width_mm=0, height_mm=0,
    ...     depth_mm=0, power_loss_w_per_pole=Decimal(0), unit_price_krw=0))
    'ELB 2P 30AF/20AT'
    """
    return f"{item.category} {item.poles}P {item.frame_af}AF/{item.rated_current_a}AT"


def enclosure_name(panel: PanelResult, words: Texts) -> str:
    """Return the stock number of the enclosure, or that it is made to measure."""
    enclosure = panel.enclosure
    return words["enclosure_custom"] if enclosure.custom else clean(enclosure.sku)


def enclosure_size(panel: PanelResult) -> str:
    """Return the outer size W x H x D [mm]."""
    enclosure = panel.enclosure
    return f"{enclosure.width_mm}×{enclosure.height_mm}×{enclosure.depth_mm}"


def _panel_table(number: int, panel: PanelResult, words: Texts) -> PanelTable:
    name = clean(panel.name) or f"#{number}"
    sku, size = enclosure_name(panel, words), enclosure_size(panel)
    main, branches = breaker_text(panel.devices.main), len(panel.devices.circuits)
    return PanelTable(
        number=number,
        name=name,
        title=say(words, "panel_title", name=name),
        enclosure=say(
            words, "enclosure_value", sku=sku, size=size, ip=clean(panel.enclosure.ip_rating)
        ),
        main=main,
        branches=branches,
        heat_w=panel.layout.heat_w,
        facts=say(
            words,
            "panel_facts",
            enclosure=f"{sku} ({size})",
            main=main,
            branches=branches,
        ),
        quantity=panel.quantity,
        unit_price=panel.lines_sum,
        amount=panel.lines_sum * panel.quantity,
        groups=_groups(panel.lines, words),
        loads=load_schedule(panel),
    )


def _groups(lines: tuple[Line, ...], words: Texts) -> tuple[ItemGroup, ...]:
    groups: list[ItemGroup] = []
    count = 0
    for group in get_args(LineGroup):
        members = [line for line in lines if line.group == group]
        if not members:
            continue
        groups.append(
            ItemGroup(
                group=group,
                title=words[f"group_{group}"],
                rows=tuple(_row(count + i, line) for i, line in enumerate(members, start=1)),
                subtotal=sum(line.amount for line in members),
            )
        )
        count += len(members)
    return tuple(groups)


def _row(number: int, line: Line) -> ItemRow:
    return ItemRow(
        number=number,
        name=clean(line.name),
        spec=clean(line.spec),
        unit=clean(line.unit),
        quantity=line.quantity,
        unit_price=line.unit_price,
        amount=line.amount,
        rule=clean(line.rule),
    )


def _summary(result: EngineResult, header: EstimateHeader, words: Texts) -> tuple[SummaryRow, ...]:
    totals = result.totals
    pct = f"{result.request.pricing.discount_pct.normalize():f}"
    vat = f"{header.vat_pct.normalize():f}"
    rows: tuple[tuple[SummaryKind, str, int], ...] = (
        ("lines_sum", words["subtotal"], totals.lines_sum),
        ("discount", say(words, "discount", pct=pct), -totals.discount),
        ("rounding", words["rounding"], -totals.rounding),
        ("supply", words["supply"], totals.supply),
        ("vat", say(words, "vat", pct=vat), totals.vat),
        ("total", words["total"], totals.total),
    )
    return tuple(
        SummaryRow(kind=kind, label=label, value=value)
        for kind, label, value in rows
        if value or kind not in ("discount", "rounding")
    )
