"""A short run of the fuzzer, the same requests each time; `script/fuzz` runs it for minutes."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.fuzzing import fuzz
from tests.e2e.live import serving


def test_the_service_keeps_to_its_contract(tmp_path: Path) -> None:
    """On a service of its own: the fuzzer changes prices, which other tests rely on."""
    with serving(tmp_path / "home", workers=1, SSE_HEARTBEAT_SEC="1") as live:
        done = fuzz(
            live,
            "--phases=examples,coverage,fuzzing",
            "--max-examples=3",
            "--seed=1",
            "--generation-deterministic",
        )
    assert done.returncode == 0, done.stdout[-8000:]
    assert "23 selected / 23 total" in done.stdout
