"""What every use case needs, loaded once per process: catalogue, rules, vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from kis_estimator import intake
from kis_estimator.engine.catalog import FILES, Catalog, parse_catalog
from kis_estimator.engine.rules import Rules, parse_rules


@dataclass(frozen=True, slots=True)
class Engine:
    """What every use case needs, loaded once per process."""

    catalog: Catalog
    rules: Rules
    vocabulary: intake.Vocabulary


def load_engine() -> Engine:
    """Load the catalogue and the rules that come with the program."""
    data = files("kis_estimator") / "data"
    catalog = parse_catalog({name: (data / "catalog" / name).read_bytes() for name in FILES})
    rules = parse_rules((data / "rules" / "kr-panel.toml").read_bytes())
    vocabulary = intake.Vocabulary.of_rows(catalog.breakers, catalog.accessories.values())
    return Engine(catalog, rules, vocabulary)
