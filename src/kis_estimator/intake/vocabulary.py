"""What the loaded catalogue holds, and the trade's words from `data/vocabulary.toml`."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any

from kis_estimator.engine.model import AccessoryItem, BreakerItem, Category
from kis_estimator.engine.rules import Rules

_MODEL_SEPARATORS = str.maketrans("", "", "- ")
_NEAREST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """One breaker model of the catalogue and the ratings it is sold in, rising [A]."""

    model: str
    brand: str
    category: Category
    poles: int
    frame_af: int
    tier: str
    ratings: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessoryFacts:
    """One accessory of the catalogue, as far as a schedule can name it."""

    sku: str
    category: str
    name_ko: str
    name_en: str


def model_key(text: str) -> str:
    """Return a model as it is compared: without hyphens, spaces and case.

    >>> model_key("abn 104"), model_key("EBS52FB")
    ('ABN104', 'EBS52FB')
    """
    return text.translate(_MODEL_SEPARATORS).upper()


@dataclass(frozen=True, eq=False, kw_only=True)
class Vocabulary:
    """Brands, tiers, models, ratings and accessories that a schedule may name.

    Frames of `same_frames_af` are one class; `service_skus` are the skus of the concepts that are
    no articles; `spd_label` marks the breaker of an SPD.
    """

    brands: frozenset[str]
    tiers: frozenset[str]
    models: Mapping[str, ModelFacts]
    accessories: Mapping[str, AccessoryFacts]
    ratings: Mapping[tuple[str, int], tuple[int, ...]]
    same_frames_af: tuple[int, ...]
    service_skus: Mapping[str, str]
    spd_label: str

    @classmethod
    def of_rows(
        cls, breakers: Iterable[BreakerItem], accessories: Iterable[AccessoryItem], rules: Rules
    ) -> Vocabulary:
        """Return the vocabulary of the catalogue's rows, and what the rules say of them."""
        ratings: dict[tuple[str, int], set[int]] = defaultdict(set)
        of_model: dict[str, list[BreakerItem]] = defaultdict(list)
        for item in breakers:
            ratings[item.category, item.poles].add(item.rated_current_a)
            of_model[model_key(item.model)].append(item)
        models = {
            key: ModelFacts(
                model=items[0].model,
                brand=items[0].brand,
                category=items[0].category,
                poles=items[0].poles,
                frame_af=items[0].frame_af,
                tier=items[0].tier,
                ratings=tuple(sorted({item.rated_current_a for item in items})),
            )
            for key, items in of_model.items()
        }
        return cls(
            brands=frozenset(facts.brand for facts in models.values()),
            tiers=frozenset(facts.tier for facts in models.values()),
            models=models,
            accessories={
                item.sku: AccessoryFacts(
                    sku=item.sku,
                    category=item.category,
                    name_ko=item.name_ko,
                    name_en=item.name_en,
                )
                for item in accessories
            },
            ratings={key: tuple(sorted(values)) for key, values in ratings.items()},
            same_frames_af=rules.selection.same_frames_af,
            service_skus={
                "selector": rules.accessories.selector_switch_sku,
                "p_cover": rules.accessories.p_cover_sku,
            },
            spd_label=rules.selection.spd_label,
        )

    def model(self, text: str) -> ModelFacts | None:
        """Return the catalogue's model that is written this way, if any."""
        return self.models.get(model_key(text))

    def nearest_models(self, text: str) -> list[str]:
        """Return up to three models of the catalogue that look most like this one."""
        keys = get_close_matches(model_key(text), list(self.models), n=_NEAREST, cutoff=0.4)
        return [self.models[key].model for key in keys]

    def nearest_accessories(self, text: str, category: str | None = None) -> list[str]:
        """Return the accessories of a category, or else those whose sku looks most like this."""
        if category is not None:
            return [facts.sku for facts in self.in_category(category)]
        return get_close_matches(text.upper(), sorted(self.accessories), n=_NEAREST, cutoff=0.3)

    def in_category(self, category: str) -> list[AccessoryFacts]:
        """Return the accessories of one category, in the catalogue's order."""
        return [facts for facts in self.accessories.values() if facts.category == category]

    def frame_for(self, rating: int, poles: int | None, category: str | None) -> int | None:
        """Return the smallest frame that is sold with this rating, else that can carry it."""
        fitting = [
            facts
            for facts in self.models.values()
            if poles in {None, facts.poles} and category in {None, facts.category}
        ]
        exact = [facts.frame_af for facts in fitting if rating in facts.ratings]
        able = [facts.frame_af for facts in fitting if max(facts.ratings) >= rating]
        return min(exact or able, default=None)

    def poles_of(self, category: str) -> list[int]:
        """Return the numbers of poles that a category is sold in."""
        return sorted(poles for kind, poles in self.ratings if kind == category)


@cache
def trade_words() -> Mapping[str, Any]:
    """Return the table of the trade's words (`data/vocabulary.toml`)."""
    text = files("kis_estimator").joinpath("data/vocabulary.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def label_set(name: str) -> frozenset[str]:
    """Return one list of `[labels]`, upper case, as a set."""
    return frozenset(word.upper() for word in trade_words()["labels"][name])
