"""What the tests of reading share."""

from importlib.resources import files

import pytest

from kis_estimator.engine.catalog import FILES, parse_catalog
from kis_estimator.engine.rules import parse_rules
from kis_estimator.intake import Vocabulary


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    """Return what the sample catalogue holds."""
    data = files("kis_estimator") / "data"
    catalog = parse_catalog({name: (data / "catalog" / name).read_bytes() for name in FILES})
    rules = parse_rules((data / "rules" / "kr-panel.toml").read_bytes())
    return Vocabulary.of_rows(catalog.breakers, catalog.accessories.values(), rules)
