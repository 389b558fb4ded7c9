"""Accessory words of a row -> the sku of the loaded catalogue."""

from __future__ import annotations

from kis_estimator.engine.model import AccessorySpec
from kis_estimator.errors import Notice
from kis_estimator.intake.grammar import SpecFields, parse_spec
from kis_estimator.intake.tokens import range_in
from kis_estimator.intake.vocabulary import AccessoryFacts, Vocabulary, trade_words

_DERIVED = Notice("ACRYLIC_COVER_INCLUDED")


def resolve_accessory(
    fields: SpecFields,
    quantity: int,
    main_poles: int | None,
    vocabulary: Vocabulary,
    *,
    unit_is_set: bool,
) -> tuple[AccessorySpec | None, Notice | None]:
    """Return the accessory that the fields name, and a notice where something had to be said.

    Without an accessory the notice says why the row is left out.
    """
    concept = _concept(fields, main_poles)
    if concept == "p_cover" and fields.material != "steel":
        return None, _DERIVED
    position = fields.position or "below"
    if concept in vocabulary.service_skus:
        sku = vocabulary.service_skus[concept]
        return AccessorySpec(sku=sku, quantity=quantity, position=position), None
    entry = trade_words()["accessories"][concept]
    notice = None
    if "assume" in entry:
        entry = trade_words()["accessories"][entry["assume"]]
        notice = "ACCESSORY_ASSUMED"
    found = _sku(concept, entry, fields, vocabulary)
    if found is None:
        return None, Notice(
            "ACCESSORY_UNKNOWN", {"nearest": vocabulary.nearest_accessories("", entry["category"])}
        )
    if "set_of" in entry and not unit_is_set and quantity % entry["set_of"] == 0:
        quantity //= entry["set_of"]
    spec = AccessorySpec(sku=found, quantity=quantity, position=position)
    return spec, Notice(notice, {"sku": found}) if notice else None


def companion(concept: str, quantity: int, vocabulary: Vocabulary) -> AccessorySpec | None:
    """Return the accessory that a row or title asks for beside its device (`ON/OFF`)."""
    fields = SpecFields(devices=(concept,))
    return resolve_accessory(fields, quantity, None, vocabulary, unit_is_set=True)[0]


def nearest_skus(sku: str, vocabulary: Vocabulary) -> list[str]:
    """Return the accessories meant by an unknown sku: the contactor of that size, or lookalikes."""
    fields = parse_spec(sku, vocabulary)
    rows = vocabulary.in_category(trade_words()["accessories"]["contactor"]["category"])
    contactor = _contactor(rows, fields) if fields.contactor else None
    if contactor is not None:
        return [contactor]
    return vocabulary.nearest_accessories(sku) or sorted(vocabulary.accessories)


def _concept(fields: SpecFields, main_poles: int | None) -> str:
    """Return the concept, made exact by what else the row says."""
    concept = next(device for device in fields.devices if device != "breaker")
    if concept in {"timer", "timer_24h"} and "timer_sunset" in fields.devices:
        return "timer_sunset"
    if concept == "timer" and "24" in fields.qualifiers:
        return "timer_24h"
    if concept in {"meter", "current_transformer"} and "meter" in fields.devices:
        if "CT" in fields.qualifiers or "current_transformer" in fields.devices:
            return "meter_ct"
        single = fields.phase == 1 or (fields.phase is None and main_poles in (1, 2))
        return "meter_1" if single else "meter_3"
    return concept


def _sku(
    concept: str, entry: dict[str, object], fields: SpecFields, vocabulary: Vocabulary
) -> str | None:
    rows = vocabulary.in_category(str(entry["category"]))
    if concept == "contactor":
        return _contactor(rows, fields)
    holds = entry.get("holds")
    if isinstance(holds, list):
        rows = [row for row in rows if any(word in _names(row) for word in holds)]
    if concept == "spd":
        rows = [row for row in rows if _spd_fits(_names(row), fields)]
    return rows[0].sku if rows else None


def _names(row: AccessoryFacts) -> str:
    return f"{row.sku} {row.name_ko} {row.name_en}".upper()


def _contactor(rows: list[AccessoryFacts], fields: SpecFields) -> str | None:
    """Return the contactor whose range of currents holds the one asked for."""
    wanted = fields.contactor or fields.rated_current_a
    if wanted is None:
        return None
    for row in rows:
        low, high = range_in(row.name_ko) or range_in(row.name_en) or (0, -1)
        if low <= wanted <= high:
            return row.sku
    return None


def _spd_fits(names: str, fields: SpecFields) -> bool:
    poles_fit = fields.poles is None or f"{fields.poles}P" in names
    type_fits = fields.type_number is None or any(
        f"{word}{fields.type_number}" in names for word in ("TYPE", "TYPE ", "-T")
    )
    return poles_fit and type_fits
