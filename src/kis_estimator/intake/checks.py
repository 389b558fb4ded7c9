"""Whether what was asked for is something that the loaded catalogue can hold at all.

Unknown models and ratings are refused at reading time, where the tab and the row are known.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from kis_estimator.engine.model import BreakerSpec, PanelSpec
from kis_estimator.engine.units import neighbours
from kis_estimator.errors import Notice
from kis_estimator.intake.vocabulary import ModelFacts, Vocabulary

MAX_DEVICES_PER_PANEL = 1000


def check_breaker(spec: BreakerSpec, vocabulary: Vocabulary) -> Iterator[Notice]:
    """Yield what makes this breaker impossible; places are the caller's to add."""
    if spec.frame_af is not None and spec.rated_current_a > spec.frame_af:
        yield Notice("AT_EXCEEDS_AF", {"at": spec.rated_current_a, "af": spec.frame_af})
        return
    if spec.brand is not None and spec.brand not in vocabulary.brands:
        yield Notice("UNKNOWN_BRAND", {"brand": spec.brand, "known": sorted(vocabulary.brands)})
    if spec.tier is not None and spec.tier not in vocabulary.tiers:
        yield Notice("UNKNOWN_TIER", {"tier": spec.tier, "known": sorted(vocabulary.tiers)})
    if spec.model is not None:
        yield from _check_model(spec, spec.model, vocabulary)
    else:
        yield from _check_rating(spec, vocabulary)


def model_unknown(model: str, vocabulary: Vocabulary) -> Notice:
    """Return the error of a model that the catalogue does not hold, naming the nearest."""
    nearest = vocabulary.nearest_models(model)
    code = "UNKNOWN_MODEL" if nearest else "UNKNOWN_MODEL_FAR"
    return Notice(code, {"model": model, "nearest": nearest})


def _check_model(spec: BreakerSpec, model: str, vocabulary: Vocabulary) -> Iterator[Notice]:
    facts = vocabulary.model(model)
    if facts is None:
        yield model_unknown(model, vocabulary)
        return
    difference = _difference(spec, facts, vocabulary.same_frames_af)
    if difference is not None:
        yield Notice("MODEL_MISMATCH", {"model": facts.model, **difference})
    elif spec.rated_current_a not in facts.ratings:
        yield rating_unknown(facts.model, spec.rated_current_a, facts.ratings)


def _difference(
    spec: BreakerSpec, facts: ModelFacts, same_frames_af: tuple[int, ...]
) -> dict[str, str] | None:
    """Return what was asked and what the model is, where they contradict each other."""
    one_class = spec.frame_af in same_frames_af and facts.frame_af in same_frames_af
    same_frame = spec.frame_af in (None, facts.frame_af) or one_class
    pairs = (
        (spec.category == facts.category, spec.category, facts.category),
        (spec.poles == facts.poles, f"{spec.poles}P", f"{facts.poles}P"),
        (same_frame, f"{spec.frame_af}AF", f"{facts.frame_af}AF"),
        (spec.brand in (None, facts.brand), spec.brand, facts.brand),
        (spec.tier in (None, facts.tier), spec.tier, facts.tier),
    )
    for agrees, asked, actual in pairs:
        if not agrees:
            return {"request": str(asked), "real": str(actual)}
    return None


def _check_rating(spec: BreakerSpec, vocabulary: Vocabulary) -> Iterator[Notice]:
    ratings = vocabulary.ratings.get((spec.category, spec.poles))
    if ratings is None:
        known = [f"{poles}P" for poles in vocabulary.poles_of(spec.category)]
        params = {"kind": spec.category, "poles": f"{spec.poles}P", "known": known}
        yield Notice("UNKNOWN_POLES", params)
    elif spec.rated_current_a not in ratings:
        yield rating_unknown(f"{spec.category} {spec.poles}P", spec.rated_current_a, ratings)


def rating_unknown(kind: str, rating: int | Decimal, ratings: tuple[int, ...]) -> Notice:
    """Return the error of a rating that no breaker of the kind has, naming its neighbours."""
    nearest = neighbours(rating, ratings)
    return Notice("UNKNOWN_RATING", {"kind": kind, "rating": rating, "nearest": nearest})


def check_panel(panel: PanelSpec) -> Iterator[Notice]:
    """Yield what is wrong with a panel as a whole."""
    mains = [breaker for breaker in panel.breakers if breaker.role == "main"]
    if len(mains) > 1:
        yield Notice("MAIN_TWICE", {"panel": panel.name})
    if any(main.quantity != 1 for main in mains):
        yield Notice("MAIN_QUANTITY", {"panel": panel.name})
    devices = sum(breaker.quantity for breaker in panel.breakers)
    devices += sum(spare.quantity for spare in panel.spares)
    if devices > MAX_DEVICES_PER_PANEL:
        yield Notice("TOO_MANY_BREAKERS", {"panel": panel.name, "limit": MAX_DEVICES_PER_PANEL})
    if panel.mounting == "pole" and panel.location == "indoor":
        yield Notice("POLE_INDOOR", {"panel": panel.name})
