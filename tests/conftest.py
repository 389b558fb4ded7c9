"""What all tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import settings
from tests.e2e.live import Live, serving

ROOT = Path(__file__).resolve().parents[1]

# A slow machine is no failure; CI draws the same examples each time, a developer new ones.
settings.register_profile("kis", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("kis")


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def examples(root: Path) -> Path:
    """Return the folder of the sample schedules."""
    return root / "examples"


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Lend the one service that all tests of a worker share."""
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
