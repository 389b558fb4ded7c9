"""The gates of a release, run for real: every test, then the benchmark of the service."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from kis_estimator.errors import KisError
from kis_estimator.release import names
from kis_estimator.release.results import GateCodes

Watch = Callable[[str], AbstractContextManager[None]]
"""Shows a step, by the code of its text, for as long as it runs."""

_OURS = (
    "APP_", "DB_", "DEPLOY_", "EVIDENCE_", "KIS_", "OTEL_", "RATE_LIMIT_", "SIGNED_URL_", "SSE_",
    "STORAGE_", "SUPABASE_",
)  # fmt: skip


def run_gates(root: Path, folder: Path, watch: Watch) -> GateCodes:
    """Run the gates of a checkout; their reports and logs go below a release's folder.

    They see no setting of the product, so that a loaded `.env.production` leads them nowhere.
    Raises RELEASE_GATE where one cannot be started.
    """
    reports = folder / names.REPORTS
    with watch("RELEASE_STEP_tests"):
        argv = ["script/test", "--reports", str(reports)]
        test = _run(root, argv, reports / "test.log", reports / "test.log")
    with watch("RELEASE_STEP_bench"):
        argv = ["script/bench", "service"]
        bench = _run(root, argv, folder / names.BENCH, reports / "bench.log")
    return GateCodes(test, bench)


def _run(root: Path, argv: Sequence[str], out: Path, errors: Path) -> int:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
    try:
        with out.open("ab") as stdout, errors.open("ab") as stderr:
            return subprocess.run(
                [str(root / argv[0]), *argv[1:]],
                cwd=root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                check=False,
            ).returncode
    except OSError as error:
        raise KisError.of("RELEASE_GATE", gate=argv[0], reason=error.strerror) from None
