"""A release that is slow, watched with the limits of production until it is taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.deploy.load import Load
from tests.deploy.site import site_in

pytestmark = pytest.mark.proof


def test_it_fires_goes_back_and_resets(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        site.deploy(site.release("1.1.0"))
        site.deploy(site.release("1.2.0", "slow"), "--step", "6")
        with Load(site.url, token=site.project.token()) as load:
            done = site.watch("--minutes", "2")
        assert done.returncode == 4, done.stdout
        words = ("FIRED: p95 (6x over 60 s and 300 s)", "v1.1.0 serves again", "RESET: p95")
        places = [done.stdout.find(word) for word in words]
        assert -1 not in places, done.stdout
        assert places == sorted(places)
        assert load.failures == []  # slow is not wrong, and going back loses nothing
        assert site.serving == "1.1.0"
