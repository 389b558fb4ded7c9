"""Benchmark of the documents: each one cold (a fresh process) and warm, its memory and size."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from kis_estimator import evidence, service
from kis_estimator.documents.drawing import scenes, to_dxf, to_svg
from kis_estimator.documents.pdf import render_pdf
from kis_estimator.documents.sheet import EstimateHeader, build_quotation
from kis_estimator.documents.supplier import parse_supplier, placeholder_bytes
from kis_estimator.documents.xlsx import write_workbook
from kis_estimator.engine import pipeline
from kis_estimator.evidence import Inputs, RunOptions

WARM_RUNS = 7
SMALL = 3
SIZES = {"3 panels": SMALL, "30 panels": 30}
DAY = date(2026, 1, 31)
NUMBER = "KIS-20260131-0001"


def schedule(panels: int) -> bytes:
    """Return a request: 3 panels have about 20 lines each, 30 panels about 50."""
    ratings = (20,) if panels == SMALL else (20, 30, 40, 50, 60)
    rows = [{"role": "main", "category": "MCCB", "poles": 4, "ratedCurrentA": 400, "quantity": 1}]
    rows += [
        {
            "role": "branch",
            "category": category,
            "poles": poles,
            "ratedCurrentA": rating,
            "quantity": 1,
        }
        for category in ("MCCB", "ELB")
        for poles in (2, 3, 4)
        for rating in ratings
    ]
    made = [
        {"name": f"LP-{n}", "breakers": rows, "accessories": [{"sku": "MC-9", "quantity": 1}]}
        for n in range(1, panels + 1)
    ]
    return json.dumps({"customer": {"name": "BENCH"}, "panels": made}).encode()


def inputs(upload: bytes, name: str, engine: service.Engine) -> Inputs:
    """Return the inputs of a run."""
    options = RunOptions(number=NUMBER, revision=1, date=DAY, reading_locale="ko-KR")
    return Inputs(
        upload_name=name,
        upload=upload,
        options=options,
        catalog=engine.catalog_files,
        rules=engine.rule_bytes,
        company=placeholder_bytes(),
    )


def writers(upload: bytes, name: str) -> dict[str, Callable[[], list[bytes]]]:
    """Return a writer per kind of document; each call writes it anew."""
    engine = service.load_engine()
    reading = service.read(upload, name, engine, "ko-KR")
    if reading.request is None:
        raise SystemExit(f"{name}: {reading.errors}")
    result = pipeline.run(reading.request, engine.catalog, engine.rules)
    header = EstimateHeader(
        number=NUMBER,
        revision=1,
        date=DAY,
        valid_until=date(2026, 3, 2),
        locale="ko-KR",
        vat_pct=engine.rules.pricing.vat_pct,
        supplier=parse_supplier(placeholder_bytes()),
        design_sha=evidence.sha256(upload),
    )
    quotation = build_quotation(result, header)
    drawn = dict(scenes(result, quotation))
    pictures = [to_svg(scene) for name, scene in drawn.items() if name.endswith("-arrangement")]
    return {
        "lines": lambda: [b"" for panel in result.panels for _ in panel.lines],
        "xlsx": lambda: [write_workbook(quotation).data],
        "pdf": lambda: [render_pdf(quotation, pictures)],
        "svg": lambda: [to_svg(scene).encode() for _, scene in scenes(result, quotation)],
        "dxf": lambda: [to_dxf(scene) for _, scene in scenes(result, quotation)],
        "run": lambda: list(service.estimate(inputs(upload, name, engine), engine).files.values()),
    }


def one(root: Path, kind: str, size: str) -> dict[str, object]:
    """Time one kind of document in this process: the first time, then warm."""
    if size in SIZES:
        made = writers(schedule(SIZES[size]), "request.json")
    else:
        path = root / "examples" / size
        made = writers(path.read_bytes(), path.name)
    write = made[kind]
    start = time.perf_counter()
    files = write()
    first = (time.perf_counter() - start) * 1000
    warm = []
    for _ in range(WARM_RUNS):
        start = time.perf_counter()
        write()
        warm.append((time.perf_counter() - start) * 1000)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "lines": len(made["lines"]()),
        "firstMs": round(first, 1),
        "warmMs": warm,
        "peakMiB": round(peak, 1),
        "files": len(files),
        "bytes": sum(map(len, files)),
    }


def suite(root: Path, spread: Callable[[list[float]], dict[str, float]]) -> dict[str, object]:
    """Measure every kind in a process of its own."""
    figures: dict[str, object] = {"unit": "milliseconds; firstMs is the first call of a process"}
    for size in (*SIZES, "06_request.json"):
        kinds = ("run",) if size.endswith(".json") else ("xlsx", "pdf", "svg", "dxf", "run")
        for kind in kinds:
            command = [sys.executable, "-P", __file__, str(root), kind, size]
            done = subprocess.run(command, capture_output=True, check=True, env=os.environ)
            found = json.loads(done.stdout)
            figures[f"{size}, {kind}"] = {**found, "warmMs": spread(found["warmMs"])}
    return figures


if __name__ == "__main__":
    print(json.dumps(one(Path(sys.argv[1]), *sys.argv[2:])))
