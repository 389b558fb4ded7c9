"""The fuzzer: requests of any kind by the contract, valid and not, against a running service."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.e2e.live import Live

ROOT = Path(__file__).parents[2]


def fuzz(live: Live, *options: str) -> subprocess.CompletedProcess[str]:
    """Run schemathesis as an administrator; what it says is the output."""
    program = Path(sys.executable).with_name("schemathesis")
    return subprocess.run(
        [
            program,
            "--config-file",
            "tests/e2e/schemathesis.toml",
            "run",
            f"{live.url}/openapi.json",
            "--checks=all",
            "--no-color",
            *options,
        ],
        cwd=ROOT,
        env={**os.environ, "KIS_TOKEN": live.token("admin"), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def crashed(live: Live) -> dict[str, int]:
    """Return how many runs broke, which no order may make them, by their reason."""
    found: Counter[str] = Counter()
    with live.client() as client:
        wish: dict[str, Any] = {"filter": "status:failed", "sort": "number", "size": 200, "page": 1}
        while items := client.get("/v1/estimate", params=wish).json()["items"]:
            for item in items:
                error = client.get(f"/v1/estimate/{item['id']}").json()["error"]
                if error["code"] == "RUN_CRASHED":
                    found[error["message"]] += 1
            wish["page"] += 1
    return found
