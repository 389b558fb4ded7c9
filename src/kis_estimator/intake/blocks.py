"""A block of rows -> one panel: its name, its main, its brand, its accessories."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

from kis_estimator.engine.model import AccessorySpec, BreakerSpec, PanelSpec, SourceRef, SpareSpec
from kis_estimator.errors import Notice
from kis_estimator.intake.accessories import companion, resolve_accessory
from kis_estimator.intake.checks import check_panel
from kis_estimator.intake.items import MAX_TEXT, Item
from kis_estimator.intake.report import Place, Report
from kis_estimator.intake.vocabulary import Vocabulary
from kis_estimator.intake.wishes import Wishes


@dataclass(slots=True)
class Block:
    """The rows of one panel as far as they are read; `own` are wishes of its own title and rows."""

    wishes: Wishes
    own: Wishes = field(default_factory=Wishes)
    name: str | None = None
    title_place: Place = field(default_factory=Place)
    count: int = 1
    high_voltage: bool = False
    companions: tuple[str, ...] = ()
    items: list[tuple[Place, Item]] = field(default_factory=list)
    amount: Decimal = Decimal(0)
    is_priced: bool = False
    rows: list[int] = field(default_factory=list)


def build_panel(
    block: Block, sheet: str, vocabulary: Vocabulary, report: Report, brand: str | None
) -> PanelSpec | None:
    """Return the panel of a named block; without a breaker there is none, and that is reported.

    `brand` is the request's: it replaces what titles and text say of the panel's brand.
    """
    name = block.name or ""
    rows = [(place, item) for place, item in block.items if item.breaker is not None]
    if not rows:
        failed = any(item.errors for _, item in block.items)
        if block.items and not failed:
            report.warnings.append(
                block.title_place.notice("BLOCK_WITHOUT_BREAKER", {"panel": name})
            )
        return None
    breakers = _with_main(rows, report)
    breakers = _branded(breakers, block.wishes, vocabulary, brand)
    main = next((breaker for breaker in breakers if breaker.role == "main"), None)
    panel = PanelSpec(
        name=name[:MAX_TEXT],
        quantity=block.count,
        breakers=breakers,
        accessories=_accessories(block, main, vocabulary, report),
        spares=_spares(block),
        location=block.wishes.location,
        mounting=block.wishes.mounting,
        material=block.wishes.material,
        ip_rating=block.wishes.ip_rating,
        source=SourceRef(sheet=sheet, first_row=min(block.rows), last_row=max(block.rows)),
    )
    twice = {"MAIN_TWICE", "MAIN_QUANTITY"}  # said already, with their rows
    place = Place(sheet, min(block.rows), name)
    report.errors += [place.moved(n) for n in check_panel(panel) if n.code not in twice]
    return panel


def _with_main(rows: list[tuple[Place, Item]], report: Report) -> tuple[BreakerSpec, ...]:
    """Give the role of main: to the row that says so, else to a first row that can be it."""
    stated = [(place, item) for place, item in rows if item.stated_role == "main"]
    for place, _ in stated[1:]:
        report.errors.append(place.notice("MAIN_TWICE_ROW", {"row": stated[0][0].row or 0}))
    for place, item in stated[:1]:
        if item.quantity != 1:
            report.errors.append(place.notice("MAIN_QUANTITY_ROW", {"quantity": item.quantity}))
    breakers = [item.breaker for _, item in rows if item.breaker is not None]
    first = breakers[0]
    if not stated and rows[0][1].stated_role is None and _can_be_main(first, breakers):
        breakers[0] = replace(first, role="main")
    return tuple(breakers)


def _can_be_main(first: BreakerSpec, breakers: list[BreakerSpec]) -> bool:
    """Return whether an unmarked first row is the main: one of it, and none larger."""
    return (
        first.quantity == 1
        and first.load_a != 0
        and first.rated_current_a >= max(breaker.rated_current_a for breaker in breakers)
    )


def _branded(
    breakers: tuple[BreakerSpec, ...], wishes: Wishes, vocabulary: Vocabulary, brand: str | None
) -> tuple[BreakerSpec, ...]:
    """Put the panel's brand on its main, which covers the panel, and the tier on every breaker.

    The brand goes on all rows where the request asks for it, or where the main cannot carry it:
    there is none, or it names another brand. A row's own brand or model always stays.
    """
    main = next((breaker for breaker in breakers if breaker.role == "main"), None)
    facts = vocabulary.model(main.model) if main and main.model else None
    own = facts.brand if facts else main.brand if main else None
    everywhere = brand is not None or main is None or own not in {None, wishes.brand}
    return tuple(
        breaker
        if breaker.model is not None
        else replace(
            breaker,
            brand=breaker.brand
            or brand
            or (wishes.brand if everywhere or breaker.role == "main" else None),
            tier=breaker.tier or wishes.tier,
        )
        for breaker in breakers
    )


def _spares(block: Block) -> tuple[SpareSpec, ...]:
    return tuple(item.spare for _, item in block.items if item.spare is not None)


def _accessories(
    block: Block, main: BreakerSpec | None, vocabulary: Vocabulary, report: Report
) -> tuple[AccessorySpec, ...]:
    found: list[AccessorySpec] = []
    for place, item in block.items:
        if item.accessory is None:
            continue
        poles = main.poles if main else None
        spec, notice = resolve_accessory(
            item.accessory, item.quantity, poles, vocabulary, unit_is_set=item.unit_is_set
        )
        if spec is not None:
            found.append(spec)
        if notice is not None:
            _tell(place, notice, left_out=spec is None, report=report)
    beside = [(concept, 1) for concept in block.companions]
    beside += [(concept, item.quantity) for _, item in block.items for concept in item.companions]
    found += filter(None, (companion(concept, count, vocabulary) for concept, count in beside))
    return tuple(found)


def _tell(place: Place, notice: Notice, *, left_out: bool, report: Report) -> None:
    """Report what was noticed of an accessory; one that is left out is listed as such."""
    if notice.code == "ACRYLIC_COVER_INCLUDED":
        report.skipped.append(place.moved(notice))
        return
    report.warnings.append(place.moved(notice))
    if left_out:
        report.skipped.append(place.notice("ROW_EXCLUDED"))
