"""One row of a schedule or phrase of a text -> a breaker, an accessory, a space, or why not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from kis_estimator.engine.model import BreakerSpec, Role, SpareSpec
from kis_estimator.errors import Notice
from kis_estimator.intake.checks import check_breaker, model_unknown, rating_unknown
from kis_estimator.intake.grammar import SpecFields, parse_spec, spare_alone, spare_in_part
from kis_estimator.intake.quantity import read_quantity, whole_quantity
from kis_estimator.intake.report import Fate
from kis_estimator.intake.titles import companions_in
from kis_estimator.intake.tokens import fold, number_in
from kis_estimator.intake.vocabulary import Vocabulary, label_set, trade_words
from kis_estimator.intake.wishes import Wishes, wish_notices, wish_warnings

MAX_TEXT = 200
_MAX_LOAD_A = 10_000
_BREAKER_CONFLICTS = frozenset({"kind", "poles", "rating", "frame", "model", "role", "tier"})
_SPARE_CONFLICTS = frozenset({"poles", "rating", "frame", "model"})


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
    """What a row turned out to be.

    `companions` are the devices asked for beside it, as many each; `unread` is text of the
    specification that no field took.
    """

    fate: Fate
    breaker: BreakerSpec | None = None
    stated_role: Role | None = None
    accessory: SpecFields | None = None
    spare: SpareSpec | None = None
    wishes: Wishes | None = None
    quantity: int = 1
    unit_is_set: bool = False
    companions: tuple[str, ...] = ()
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
    if _is_spare(cells, name, vocabulary):
        return _spare(cells, both, vocabulary)
    device = _device(name, both)
    companions = _companions(cells, device, vocabulary)
    if device not in {None, "breaker"} and "foreign" not in both.marks:
        devices = (device, *(d for d in both.devices if d not in {device, *companions}))
        fields = replace(both, devices=devices)
        return replace(_accessory(cells, fields, vocabulary), companions=companions)
    if _is_breaker(name, both, device):
        return replace(_breaker(cells, name, both, vocabulary), companions=companions)
    return _neither(name, both, cells, vocabulary)


def _is_spare(cells: ItemCells, name: SpecFields, vocabulary: Vocabulary) -> bool:
    """Return whether a row is reserved space: its name says so, or a word of its own elsewhere."""
    if "spare" in name.marks and not spare_in_part(cells.name, vocabulary):
        return True
    return any(spare_alone(text, vocabulary) for text in (cells.spec, cells.remark, cells.label))


def _device(name: SpecFields, both: SpecFields) -> str | None:
    """Return the row's device: one that others may stand beside is it only when alone."""
    beside = trade_words()["companions"]["concepts"]
    rated = [d for d in both.devices if d != "breaker" or both.rates_breaker]
    named = next(iter(name.devices), None)
    choices = (*name.devices, *(rated if named in {None, *beside} else ()))
    device = next((d for d in choices if d not in beside), None)
    return device or named or next(iter(both.devices), None)


def _companions(cells: ItemCells, device: str | None, vocabulary: Vocabulary) -> tuple[str, ...]:
    texts = (cells.name, cells.spec, cells.remark)
    found = [concept for text in texts for concept in companions_in(text, vocabulary)]
    return tuple(concept for concept in dict.fromkeys(found) if concept != device)


def _is_breaker(name: SpecFields, both: SpecFields, device: str | None) -> bool:
    """Return whether a row says that it is a breaker, or is rated like one and nothing else."""
    if "foreign" in both.marks:
        return False
    nothing_else = not both.marks & {"derived", "other_device", "high_voltage", "enclosure"}
    return device == "breaker" or name.role is not None or (both.rates_breaker and nothing_else)


def _neither(name: SpecFields, both: SpecFields, cells: ItemCells, vocabulary: Vocabulary) -> Item:
    """Return a row that is neither breaker nor accessory: ours to derive, a wish, or unknown."""
    if "foreign" in both.marks:
        return _excluded()
    if "derived" in both.marks:
        return Item(fate="excluded", skipped=Notice("ROW_DERIVED"))
    if "enclosure" not in name.marks:
        return _excluded()
    every = f"{cells.name} ; {cells.spec} ; {cells.remark}"
    return _enclosure(parse_spec(every, vocabulary))


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
        warnings=tuple(wish_warnings(both)),
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
    return _quantity_in(both), ()


def _quantity_in(both: SpecFields) -> int | Notice:
    """Return the quantity that the text says, or why it says none."""
    conflict = next((values for field, values in both.conflicts if field == "quantity"), None)
    if conflict:
        return Notice("QUANTITY_CONFLICT", {"values": conflict})
    if both.quantity_vague is not None:
        return Notice("QUANTITY_NOT_A_NUMBER", {"quantity": both.quantity_vague})
    if both.quantity is not None:
        return whole_quantity(both.quantity)
    if both.quantity_word is not None:
        return Notice("QUANTITY_WORD", {"quantity": both.quantity_word})
    return Notice("QUANTITY_MISSING")


def _spare(cells: ItemCells, both: SpecFields, vocabulary: Vocabulary) -> Item:
    """Take a space: what is said of its poles and frame; a rating stands for the frame it needs."""
    quantity, warnings = _quantity(cells, both, vocabulary)
    errors = [quantity] if isinstance(quantity, Notice) else []
    errors += _conflicts(both, _SPARE_CONFLICTS)
    known = sorted({poles for _, poles in vocabulary.ratings})
    facts = vocabulary.model(both.model) if both.model else None
    frame, rating = both.frame_af or (facts.frame_af if facts else None), both.rated_current_a
    if both.poles is not None and both.poles not in known:
        choices = [f"{poles}P" for poles in known]
        params = {"kind": "SPARE", "poles": f"{both.poles}P", "known": choices}
        errors.append(Notice("UNKNOWN_POLES", params))
    elif frame is not None and rating is not None and rating > frame:
        errors.append(Notice("AT_EXCEEDS_AF", {"at": rating, "af": frame}))
    elif frame is None and rating is not None:
        frame = vocabulary.frame_for(rating, both.poles, both.category)
        if frame is None:
            sold = tuple({at for facts in vocabulary.models.values() for at in facts.ratings})
            errors.append(rating_unknown("SPARE", rating, sold))
    if errors or isinstance(quantity, Notice):
        return _failed(*errors)
    spare = SpareSpec(quantity=quantity, poles=both.poles, frame_af=frame)
    return Item(fate="spare", spare=spare, warnings=warnings)


def _conflicts(both: SpecFields, fields: frozenset[str]) -> Iterator[Notice]:
    """Yield which of these fields are said twice differently."""
    for field, values in both.conflicts:
        if field in fields:
            yield Notice(f"{field.upper()}_CONFLICT", {"values": values})


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
    role = both.role or remark.role
    for_spd = _is_for_spd(cells, both, role, vocabulary)
    stated_load = None if isinstance(load, Notice) else load
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
        label=_label(cells, name, remark, vocabulary.spd_label if for_spd else ""),
    )
    impossible = tuple(check_breaker(spec, vocabulary))
    if impossible:
        return _failed(*impossible)
    warnings = (*warnings, *_doubts(spec, both.unknown_brand or remark.unknown_brand))
    return Item(
        fate="breaker",
        breaker=spec,
        stated_role=role,
        quantity=spec.quantity,
        warnings=warnings,
        unread=spec_only.leftovers,
    )


def _is_for_spd(
    cells: ItemCells, both: SpecFields, role: Role | None, vocabulary: Vocabulary
) -> bool:
    """Return whether a breaker feeds the SPD: it is called so, or its remark or label is SPD."""
    others = [parse_spec(text, vocabulary) for text in (cells.remark, cells.label)]
    if role == "main":
        return False
    if any("purpose" in fields.marks for fields in (both, *others)):
        return True
    return "spd" in both.devices or any(
        fields.devices == ("spd",) and not fields.leftovers for fields in others
    )


def _doubts(spec: BreakerSpec, unknown_brand: str | None) -> Iterator[Notice]:
    """Yield what of a breaker may be meant otherwise."""
    if unknown_brand is not None:
        yield Notice("BRAND_NOT_HELD", {"brand": unknown_brand})
    if spec.category == "MCCB" and spec.sensitivity_ma is not None:
        yield Notice("LEAKAGE_OF_MCCB", {"leakage": spec.sensitivity_ma})


def _unclear(both: SpecFields, spec_only: SpecFields, vocabulary: Vocabulary) -> Iterator[Notice]:
    """Yield what a breaker row says twice differently, does not say, or says of no known model."""
    yield from _conflicts(both, _BREAKER_CONFLICTS)
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
        yield _no_rating(both, vocabulary)


def _no_rating(both: SpecFields, vocabulary: Vocabulary) -> Notice:
    """Return why there is no rating: none is written, or one between those that are made."""
    category = both.category or "MCCB"
    ratings = vocabulary.ratings.get((category, both.poles or 0))
    if both.uneven_current_a is None or ratings is None:
        return Notice("RATING_MISSING")
    return rating_unknown(f"{category} {both.poles}P", both.uneven_current_a, ratings)


def _load(text: str) -> Decimal | Notice | None:
    folded = fold(text)
    if not folded or folded.upper() in label_set("blank"):
        return None
    value = number_in(folded[:-1] if folded.upper().endswith("A") else folded)
    if value is None or not 0 <= value <= _MAX_LOAD_A:
        return Notice("LOAD_NOT_A_NUMBER", {"load": folded[:40]})
    return value


def _label(cells: ItemCells, name: SpecFields, remark: SpecFields, mark: str) -> str | None:
    """Return the load's name, marked: its own column, else the remark, else what the name adds."""
    text = " ".join(cells.label.split())
    if not text and remark.leftovers:
        text = " ".join(cells.remark.split())
    if not text:
        text = " ".join(name.leftovers)
    if mark not in text:
        text = f"{mark} {text}".strip()
    return text[:MAX_TEXT] or None
