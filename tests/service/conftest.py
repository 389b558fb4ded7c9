"""One installation for the tests of the queue."""

from collections.abc import Iterator

import pytest
from tests.service.site import Site, site_in


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An installation without a worker; a test starts those that it needs."""
    with site_in(tmp_path_factory.mktemp("home")) as made:
        yield made
