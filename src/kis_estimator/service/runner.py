"""Estimates in child processes, and what happens in them as it happens.

A child works in a folder of its run: it appends what happens to a file and leaves the pack as
another, so that a child that dies holds no lock and no half-read pipe of its siblings.
"""

from __future__ import annotations

import io
import json
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as RunTimeout
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pebble import ProcessExpired

from kis_estimator.documents.estimate_json import gate_json
from kis_estimator.documents.lint import ESTIMATE
from kis_estimator.engine.pipeline import STAGES, Event
from kis_estimator.errors import KisError, Locale, say
from kis_estimator.evidence import Inputs, plain
from kis_estimator.evidence.archive import write_zip
from kis_estimator.service.children import Children
from kis_estimator.service.engine import engine_of
from kis_estimator.service.estimate import estimate
from kis_estimator.store.estimates import Happened

EmitAll = Callable[[list[Happened]], None]

_POLL_SEC = 0.05
_EVENTS, _PACK = "events.jsonl", "pack.zip"


@dataclass(frozen=True, slots=True)
class Made:
    """What a run made: its EstimateResponse, the documents' bytes by path, the pack as a zip."""

    response: dict[str, Any]
    documents: dict[str, bytes]
    pack: bytes


class StoppedError(Exception):
    """The children were ended in the middle of a run, which is not the run's fault."""


@dataclass(slots=True)
class Runner:
    """Runs estimates in the children of a pool; packs are signed with the key in `signing_key`.

    `scratch` is where the folders of runs are made; a killed process leaves them behind.
    """

    children: Children
    timeout_sec: float
    signing_key: Path | None = None
    scratch: Path | None = None

    def run(self, inputs: Inputs, locale: Locale, emit: EmitAll) -> Made:
        """Run an estimate in a child and pass on what happens in it, in batches.

        Raises what the input has wrong; RUN_TIMEOUT; RUN_CRASHED where the child died; StoppedError
        where the children are ended.
        """
        with tempfile.TemporaryDirectory(
            prefix="kis-run-", dir=self.scratch, ignore_cleanup_errors=True
        ) as folder:
            place = Path(folder)
            (place / _EVENTS).touch()
            call = (inputs, locale, self.signing_key, folder)
            future = None
            try:
                future = self.children.call(_run, call, self.timeout_sec)
                with (place / _EVENTS).open(encoding="utf-8") as events:
                    while not future.done():
                        if self.children.ended:
                            raise StoppedError  # noqa: TRY301 - nothing below takes it for another
                        _pass_on(events, emit)
                        time.sleep(_POLL_SEC)
                    future.result()
                    _pass_on(events, emit)
            except RunTimeout:
                raise KisError.of("RUN_TIMEOUT", seconds=int(self.timeout_sec)) from None
            except Exception as error:
                if self.children.ended:
                    raise StoppedError from error
                if isinstance(error, ProcessExpired | BrokenProcessPool | MemoryError):
                    raise KisError.of("RUN_CRASHED", reason=type(error).__name__) from error
                if future is not None:
                    future.cancel()  # type: ignore[no-untyped-call] # pebble leaves it so
                raise
            return _made((place / _PACK).read_bytes())


def _made(pack: bytes) -> Made:
    with zipfile.ZipFile(io.BytesIO(pack)) as files:
        response = json.loads(files.read(ESTIMATE))
        names = (ESTIMATE, *(entry["path"] for entry in response["documents"]))
        return Made(response, {name: files.read(name) for name in names}, pack)


def _pass_on(events: io.TextIOWrapper, emit: EmitAll) -> None:
    lines = list(_whole_lines(events))
    if lines:
        emit([Happened(e["kind"], e["data"], datetime.fromisoformat(e["at"])) for e in lines])


def _whole_lines(events: io.TextIOWrapper) -> Iterator[Any]:
    while True:
        start = events.tell()
        line = events.readline()
        if not line.endswith("\n"):
            events.seek(start)
            return
        yield json.loads(line)


# ---------------------------------------------------------------- in the child


def _run(inputs: Inputs, locale: Locale, signing_key: Path | None, folder: str) -> None:
    place = Path(folder)
    signer = None
    if signing_key is not None:
        from kis_estimator.evidence.keys import load_signing_key  # noqa: PLC0415 - slow to load

        signer = load_signing_key(signing_key)
    engine = engine_of(inputs.catalog, inputs.rules)
    with (place / _EVENTS).open("a", encoding="utf-8", buffering=1) as events:

        def emit(event: Event) -> None:
            happened = streamed(event, locale)
            at = datetime.now(UTC).isoformat()
            events.write(json.dumps({**happened, "at": at}, ensure_ascii=False) + "\n")

        made = estimate(inputs, engine, emit, signer)
    with (place / _PACK).open("wb") as pack:
        write_zip(pack, made.files, made.files.__getitem__)


def streamed(event: Event, locale: Locale) -> dict[str, Any]:
    """Return an event of the pipeline as it is streamed: kind and data.

    `progress` runs from 0 to 1 over the whole run; the stages count alike.
    """
    if event.gate is not None:
        return {"kind": "GATE_RESULT", "data": plain(gate_json(event.gate))}
    share = (STAGES.index(event.stage) + event.progress) / len(STAGES)
    code = "STAGE_PANEL" if event.panel else f"STAGE_{event.kind.upper()}"
    stage = say(f"STAGE_{event.stage.upper()}", locale)
    message = say(code, locale, stage=stage, panel=event.panel or "")
    data = {"stage": event.stage, "progress": round(share, 4), "message": message}
    return {"kind": "PROGRESS", "data": data}
