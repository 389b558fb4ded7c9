"""One row of a schedule or phrase of a text -> a breaker, an accessory, a space, or why not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from kis_estimator.engine.model import BreakerSpec, Role, SpareSpec
from kis_estimator.errors import Notice
from kis_estimator.intake.checks import check_breaker, model_unknown
from kis_estimator.intake.grammar import SpecFields, parse_spec
from kis_estimator.intake.quantity import read_quantity, whole_quantity
from kis_estimator.intake.report import Fate
from kis_estimator.intake.tokens import fold, number_in
from kis_estimator.intake.vocabulary import Vocabulary, label_set, trade_words
from kis_estimator.intake.wishes import Wishes, wish_notices

MAX_TEXT = 200
_MAX_LOAD_A = 10_000
_BREAKER_CONFLICTS = frozenset({"kind", "poles", "rating", "frame", "model", "role", "tier"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemCells:
    """The cells of one row by column, as text."""

    name: str = ""
    spec: str = ""
    quantity: str = ""
    unit: str = ""
    remark: str = ""
    label: str = ""
    load: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What a row turned out to be. `unread` is text of the specification that no field took."""

    fate: Fate
    breaker: BreakerSpec | None = None
    stated_role: Role | None = None
    accessory: SpecFields | None = None
    spare: SpareSpec | None = None
    wishes: Wishes | None = None
    quantity: int = 1
    unit_is_set: bool = False
    errors: tuple[Notice, ...] = ()
    warnings: tuple[Notice, ...] = ()
    skipped: Notice | None = None
    unread: tuple[str, ...] = ()


def read_item(cells: ItemCells, vocabulary: Vocabulary) -> Item:
    """Return what a row is, with every reason why it cannot be taken."""
    name = parse_spec(cells.name, vocabulary)
    both = parse_spec(f"{cells.name} ; {cells.spec}", vocabulary)
    if both.unsupported:
        return _failed(Notice("UNSUPPORTED_BREAKER", {"device": both.unsupported}))
    if "spare" in name.marks:
        return _spare(cells, both, vocabulary)
    device = next(iter(name.devices or both.devices), None)
    if device not in {None, "breaker"} and "foreign" not in both.marks:
        return _accessory(cells, both, vocabulary)
    if _is_breaker(name, both, device):
        return _breaker(cells, name, both, vocabulary)
    return _neither(name, both)


def _is_breaker(name: SpecFields, both: SpecFields, device: str | None) -> bool:
    """Return whether a row says that it is a breaker, or is rated like one and nothing else."""
    if "foreign" in both.marks:
        return False
    nothing_else = not both.marks & {"derived", "other_device", "high_voltage", "enclosure"}
    return device == "breaker" or name.role is not None or (both.rates_breaker and nothing_else)


def _neither(name: SpecFields, both: SpecFields) -> Item:
    """Return a row that is neither breaker nor accessory: ours to derive, a wish, or unknown."""
    if "foreign" in both.marks:
        return _excluded()
    if "derived" in both.marks:
        return Item(fate="excluded", skipped=Notice("ROW_DERIVED"))
    return _enclosure(both) if "enclosure" in name.marks else _excluded()


def _failed(*errors: Notice) -> Item:
    return Item(fate="error", errors=errors)


def _excluded() -> Item:
    return Item(fate="excluded", warnings=(Notice("ROW_UNKNOWN"),), skipped=Notice("ROW_EXCLUDED"))


def _enclosure(both: SpecFields) -> Item:
    """Take the wishes of an enclosure row; its size and price are ours to find."""
    notices = tuple(wish_notices(both))
    return Item(
        fate="wish",
        wishes=Wishes.of(both),
        errors=notices,
        skipped=Notice("ENCLOSURE_ROW"),
    )


def _quantity(
    cells: ItemCells, both: SpecFields, vocabulary: Vocabulary
) -> tuple[int | Notice, tuple[Notice, ...]]:
    """Return the quantity of the cell, or else of the text; a difference is a warning."""
    blank = not fold(cells.quantity) or fold(cells.quantity).upper() in label_set("blank")
    if not blank:
        quantity = read_quantity(cells.quantity, vocabulary)
        if both.quantity is not None and isinstance(quantity, int) and both.quantity != quantity:
            said = f"{both.quantity:f}"
            return quantity, (Notice("QUANTITY_DIFFERS", {"cell": quantity, "text": said}),)
        return quantity, ()
    conflict = next((values for field, values in both.conflicts if field == "quantity"), None)
    if conflict:
        return Notice("QUANTITY_CONFLICT", {"values": conflict}), ()
    if both.quantity is not None:
        return whole_quantity(both.quantity), ()
    if both.quantity_word is not None:
        return Notice("QUANTITY_WORD", {"quantity": both.quantity_word}), ()
    return Notice("QUANTITY_MISSING"), ()


def _spare(cells: ItemCells, both: SpecFields, vocabulary: Vocabulary) -> Item:
    quantity, warnings = _quantity(cells, both, vocabulary)
    if isinstance(quantity, Notice):
        return _failed(quantity)
    spare = SpareSpec(quantity=quantity, poles=both.poles, frame_af=both.frame_af)
    if both.poles is not None and not any(both.poles == poles for _, poles in vocabulary.ratings):
        known = [f"{poles}P" for poles in sorted({poles for _, poles in vocabulary.ratings})]
        return _failed(
            Notice("UNKNOWN_POLES", {"kind": "SPARE", "poles": f"{both.poles}P", "known": known})
        )
    return Item(fate="spare", spare=spare, warnings=warnings)


def _accessory(cells: ItemCells, both: SpecFields, vocabulary: Vocabulary) -> Item:
    quantity, warnings = _quantity(cells, both, vocabulary)
    if isinstance(quantity, Notice):
        return _failed(quantity)
    remark = parse_spec(cells.remark, vocabulary)
    units = trade_words()["units"]["sets"]
    return Item(
        fate="accessory",
        accessory=replace(
            both,
            position=both.position or remark.position,
            phase=both.phase or remark.phase,
            material=both.material or remark.material,
        ),
        quantity=quantity,
        unit_is_set=any(word in fold(cells.unit + cells.quantity).upper() for word in units),
        warnings=warnings,
    )


def _breaker(cells: ItemCells, name: SpecFields, both: SpecFields, vocabulary: Vocabulary) -> Item:
    remark = parse_spec(cells.remark, vocabulary)
    spec_only = parse_spec(cells.spec, vocabulary)
    quantity, warnings = _quantity(cells, both, vocabulary)
    load = _load(cells.load)
    errors = [entry for entry in (quantity, load) if isinstance(entry, Notice)]
    errors += _unclear(both, spec_only, vocabulary)
    if errors or both.poles is None or both.rated_current_a is None:
        return _failed(*errors)
    for_spd = "purpose" in both.marks or "spd" in both.devices
    stated_load = None if isinstance(load, Notice) else load
    role = both.role or remark.role
    spec = BreakerSpec(
        role=role or "branch",
        category=both.category or remark.category or "MCCB",
        poles=both.poles,
        rated_current_a=both.rated_current_a,
        quantity=quantity if isinstance(quantity, int) else 1,
        frame_af=both.frame_af,
        breaking_capacity_ka=both.breaking_capacity_ka,
        sensitivity_ma=both.sensitivity_ma,
        voltage=both.voltage or remark.voltage,
        load_a=Decimal(0) if for_spd and stated_load is None else stated_load,
        brand=both.brand or remark.brand,
        tier=both.tier or remark.tier,
        model=both.model,
        label=_label(cells, name, remark, for_spd=for_spd),
    )
    impossible = tuple(check_breaker(spec, vocabulary))
    if impossible:
        return _failed(*impossible)
    unknown_brand = both.unknown_brand or remark.unknown_brand
    if unknown_brand is not None:
        warnings = (*warnings, Notice("BRAND_NOT_HELD", {"brand": unknown_brand}))
    return Item(
        fate="breaker",
        breaker=spec,
        stated_role=role,
        quantity=spec.quantity,
        warnings=warnings,
        unread=spec_only.leftovers,
    )


def _unclear(both: SpecFields, spec_only: SpecFields, vocabulary: Vocabulary) -> Iterator[Notice]:
    """Yield what a breaker row says twice differently, does not say, or says of no known model."""
    for field, values in both.conflicts:
        if field in _BREAKER_CONFLICTS:
            yield Notice(f"{field.upper()}_CONFLICT", {"values": values})
    strange = both.unknown_model or next(iter(spec_only.other_models), None)
    if strange is not None and both.model is None:
        yield model_unknown(strange, vocabulary)
        return
    facts = vocabulary.model(both.model) if both.model else None
    if both.poles is None:
        yield Notice("POLES_MISSING")
    if both.rated_current_a is None and facts is not None:
        ratings = [f"{rating}A" for rating in facts.ratings]
        yield Notice("MODEL_RATING_MISSING", {"model": facts.model, "ratings": ratings})
    elif both.rated_current_a is None:
        yield Notice("RATING_MISSING")


def _load(text: str) -> Decimal | Notice | None:
    folded = fold(text)
    if not folded or folded.upper() in label_set("blank"):
        return None
    value = number_in(folded[:-1] if folded.upper().endswith("A") else folded)
    if value is None or not 0 <= value <= _MAX_LOAD_A:
        return Notice("LOAD_NOT_A_NUMBER", {"load": folded[:40]})
    return value


def _label(cells: ItemCells, name: SpecFields, remark: SpecFields, *, for_spd: bool) -> str | None:
    """Return the load's name: its own column, else the remark, else what the name adds."""
    text = " ".join(cells.label.split())
    if not text and remark.leftovers:
        text = " ".join(cells.remark.split())
    if not text:
        text = " ".join(name.leftovers)
    spd = trade_words()["labels"]["spd_breaker"]
    if for_spd and spd not in text:
        text = f"{spd} {text}".strip()
    return text[:MAX_TEXT] or None
