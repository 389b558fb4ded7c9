"""What the customer wishes of the enclosure, and of the breakers' brand, for a whole panel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from kis_estimator.engine.model import Location, Material, Mounting
from kis_estimator.errors import Notice
from kis_estimator.intake.grammar import SpecFields
from kis_estimator.intake.vocabulary import trade_words

_CONFLICTS = ("location", "mounting", "material")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """Wishes said so far; None is not said."""

    location: Location | None = None
    mounting: Mounting | None = None
    material: Material | None = None
    ip_rating: str | None = None
    brand: str | None = None
    tier: str | None = None

    @classmethod
    def of(cls, fields: SpecFields) -> Wishes:
        """Return the wishes that a text says. A pole stands outdoors."""
        outdoors: Location | None = "outdoor" if fields.mounting == "pole" else None
        return cls(
            location=fields.location or outdoors,
            mounting=fields.mounting,
            material=fields.material,
            ip_rating=fields.ip_rating,
            brand=fields.brand,
            tier=fields.tier,
        )

    def over(self, wider: Wishes) -> Wishes:
        """Return these wishes, filled up with those of a wider scope."""
        return Wishes(
            location=self.location or wider.location,
            mounting=self.mounting or wider.mounting,
            material=self.material or wider.material,
            ip_rating=self.ip_rating or wider.ip_rating,
            brand=self.brand or wider.brand,
            tier=self.tier or wider.tier,
        )

    def against(self, earlier: Wishes) -> Iterator[Notice]:
        """Yield where these wishes contradict what the same panel said earlier."""
        for name in _CONFLICTS:
            values = getattr(earlier, name), getattr(self, name)
            if None not in values and values[0] != values[1]:
                yield Notice(f"{name.upper()}_CONFLICT", {"values": values})

    @property
    def said(self) -> bool:
        """Return whether anything is wished."""
        return self != Wishes()


def wish_notices(fields: SpecFields) -> Iterator[Notice]:
    """Yield what of the wishes cannot be followed."""
    for name, values in fields.conflicts:
        if name in _CONFLICTS:
            yield Notice(f"{name.upper()}_CONFLICT", {"values": values})
    if fields.other_material is not None:
        yield Notice("MATERIAL_UNKNOWN", {"material": fields.other_material})


def wish_warnings(fields: SpecFields) -> Iterator[Notice]:
    """Yield what of the wishes is answered otherwise: another sheet thickness, another brand."""
    kept = Decimal(trade_words()["thickness"][fields.material or "steel"])
    about_enclosure = Wishes.of(fields).said or "enclosure" in fields.marks
    if about_enclosure and fields.thickness_mm not in {None, kept}:
        params = {"thickness": fields.thickness_mm, "kept": kept}
        yield Notice("THICKNESS_KEPT", params)
    if fields.unknown_brand is not None:
        yield Notice("BRAND_NOT_HELD", {"brand": fields.unknown_brand})
