"""What every use case needs, loaded once per process: catalogue, rules, vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from kis_estimator import intake
from kis_estimator.engine.catalog import FILES, Catalog, parse_catalog
from kis_estimator.engine.rules import Rules, parse_rules


@dataclass(frozen=True, slots=True)
class Engine:
    """What every use case needs, loaded once per process, and the files that it was made from."""

    catalog: Catalog
    rules: Rules
    vocabulary: intake.Vocabulary
    catalog_files: Mapping[str, bytes]
    rule_bytes: bytes


def engine_of(catalog_files: Mapping[str, bytes], rule_bytes: bytes) -> Engine:
    """Return the engine of a price book and a rule file. Raises what either has wrong."""
    catalog = parse_catalog(catalog_files)
    rules = parse_rules(rule_bytes)
    vocabulary = intake.Vocabulary.of_rows(catalog.breakers, catalog.accessories.values(), rules)
    return Engine(catalog, rules, vocabulary, catalog_files, rule_bytes)


def load_engine() -> Engine:
    """Load the catalogue and the rules that come with the program."""
    data = files("kis_estimator") / "data"
    return engine_of(
        {name: (data / "catalog" / name).read_bytes() for name in FILES},
        (data / "rules" / "kr-panel.toml").read_bytes(),
    )
