"""What the tests of reading share."""

from importlib.resources import files

import pytest

from kis_estimator.engine.catalog import FILES, parse_catalog
from kis_estimator.intake import Vocabulary


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    """Return what the sample catalogue holds."""
    folder = files("kis_estimator") / "data" / "catalog"
    catalog = parse_catalog({name: (folder / name).read_bytes() for name in FILES})
    return Vocabulary.of_rows(catalog.breakers, catalog.accessories.values())
