"""What all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

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
