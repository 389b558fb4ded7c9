"""One service for all tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from tests.e2e.live import Live, serving


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("service") / "home"
    with serving(home, SSE_HEARTBEAT_SEC="1", SIGNED_URL_TTL_SEC="60") as service:
        yield service


@pytest.fixture(scope="session")
def admin(live: Live) -> Iterator[httpx.Client]:
    with live.client("admin") as client:
        yield client


@pytest.fixture(scope="session")
def viewer(live: Live) -> Iterator[httpx.Client]:
    with live.client("viewer") as client:
        yield client
