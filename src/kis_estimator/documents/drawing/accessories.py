"""The accessories of a panel by category, and how a drawing names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kis_estimator.documents.lettering import clean

if TYPE_CHECKING:
    from kis_estimator.documents.texts import Texts
    from kis_estimator.engine.model import AccessoryItem, AccessoryUse, PanelResult

CT, METER, PANEL_METER = "current_transformer", "meter", "panel_meter"
SURGE, NAME_PLATE = "surge_protector", "name_plate"


def uses_of(panel: PanelResult, *categories: str) -> list[AccessoryUse]:
    """Return the accessories of some categories, in the panel's order."""
    return [use for use in panel.devices.accessories if use.item.category in categories]


def accessory_name(item: AccessoryItem, words: Texts) -> str:
    """Return an accessory's name in the reader's language."""
    return clean(item.name_ko if words["language"] == "ko" else item.name_en)


def counted(use: AccessoryUse, words: Texts) -> str:
    """Return stock number, quantity and name."""
    return f"{clean(use.item.sku)} ×{use.quantity}  {accessory_name(use.item, words)}"
