"""Benchmarks of the estimator; prints JSON. Called by script/bench with the checkout's folder."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from bench_documents import suite
from bench_service import service_suite, soak_suite

from kis_estimator.engine import pipeline
from kis_estimator.engine.model import BreakerSpec, Customer, EstimateRequest, PanelSpec
from kis_estimator.service import load_engine

BRANCHES = (20, 60, 100, 500)
RUNS, COLD_RUNS = 30, 15
BRANCHES_PER_PANEL_TYPE = ((3, "MCCB", 50, 30), (4, "ELB", 50, 40), (2, "MCCB", 30, 20))


def main() -> None:
    """Run the named suite."""
    root = Path(sys.argv[1])
    suites = {
        "engine": engine_suite,
        "documents": lambda root: suite(root, spread),
        "service": lambda root: service_suite(root, spread),
        "soak": lambda root: soak_suite(root, spread),
    }
    if len(sys.argv) != 3 or sys.argv[2] not in suites:
        sys.exit(f"usage: script/bench {'|'.join(suites)}")
    print(json.dumps({"machine": machine(), **suites[sys.argv[2]](root)}, indent=2))


def machine() -> dict[str, object]:
    """Describe the machine that the figures hold for."""
    return {"cpus": os.cpu_count(), "arch": platform.machine(), "python": platform.python_version()}


def spread(values: Iterable[float]) -> dict[str, float]:
    """Return median and 95th percentile, two decimals."""
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    return {"median": round(statistics.median(ordered), 2), "p95": round(p95, 2)}


def engine_suite(root: Path) -> dict[str, object]:
    """Milliseconds per stage by number of branches; the whole command, cold; peak memory."""
    engine = load_engine()
    sizes = {}
    for count in BRANCHES:
        for loads in ("ratings", "design"):
            request = one_panel(count, design_currents=loads == "design")
            laps = [stage_times(request, engine) for _ in range(RUNS)]
            sizes[f"{count} branches, {loads}"] = {
                step: spread(lap[step] for lap in laps) for step in laps[0]
            }
    return {
        "unit": "milliseconds",
        "engine": sizes,
        "command": {path.name: cold(root, path) for path in sorted((root / "examples").glob("0*"))},
    }


def one_panel(branches: int, *, design_currents: bool) -> EstimateRequest:
    """Return a panel of mixed 2P, 3P and 4P branches, by ratings or with loads in 0.1 A."""
    rows = [BreakerSpec(role="main", category="MCCB", poles=4, rated_current_a=400)]
    for number in range(branches):
        kind = 2 if number % 10 < 8 else number % 2
        poles, category, _, rating = BRANCHES_PER_PANEL_TYPE[kind]
        load = Decimal(20 + number * 7919 % (rating * 10 - 20)) / 10 if design_currents else None
        rows.append(
            BreakerSpec(
                role="branch",
                category="ELB" if category == "ELB" else "MCCB",
                poles=poles,
                rated_current_a=rating,
                load_a=load,
            )
        )
    panel = PanelSpec(name="BENCH", breakers=tuple(rows))
    return EstimateRequest(customer=Customer(name="BENCH"), panels=(panel,))


def stage_times(request: EstimateRequest, engine: object) -> dict[str, float]:
    """Return milliseconds of each stage and of the whole engine."""
    marks: list[tuple[str, float]] = []

    def emit(event: pipeline.Event) -> None:
        if event.kind == "finished":
            marks.append((event.stage, time.perf_counter()))

    start = time.perf_counter()
    pipeline.run(request, engine.catalog, engine.rules, emit)
    end = time.perf_counter()
    times, last = {}, start
    for stage, at in marks:
        times[stage] = (at - last) * 1000
        last = at
    return {**times, "total": (end - start) * 1000}


def cold(root: Path, schedule: Path) -> dict[str, object]:
    """Run the whole command as a fresh process several times; report time and peak memory."""
    command = [
        sys.executable,
        "-P",
        "-m",
        "kis_estimator.cli",
        "estimate",
        str(schedule),
        "--quiet",
    ]
    times, peaks, codes = [], [], set()
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(COLD_RUNS):
            start = time.perf_counter()
            process = subprocess.Popen([*command, "-o", folder], cwd=root)
            _, status, usage = os.wait4(process.pid, 0)
            times.append((time.perf_counter() - start) * 1000)
            peaks.append(usage.ru_maxrss / 1024)
            codes.add(os.waitstatus_to_exitcode(status))
    return {"wallMs": spread(times), "peakMiB": round(max(peaks), 1), "exitCodes": sorted(codes)}


if __name__ == "__main__":
    main()
