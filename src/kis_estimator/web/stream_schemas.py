"""The data of each event of a stream; tests hold what is streamed against these models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from kis_estimator.engine.model import Stage
from kis_estimator.web.schemas import Answer, Gate, Time


class EventMeta(Answer):
    """The place of a message in its stream; `id:` is the same number."""

    seq: Annotated[int, Field(ge=1, description="Strictly rising")]
    ts: Time


class StreamData(Answer):
    """What every message of a stream has."""

    meta: EventMeta


class Progress(StreamData):
    """How far the run is."""

    stage: Stage
    progress: Annotated[float, Field(ge=0, le=1)]
    message: str


class GateResult(Gate, StreamData):
    """A gate that was checked."""


class Heartbeat(StreamData):
    """Nothing new, and the stream is alive."""


class Failure(StreamData):
    """Why the run failed; DONE follows."""

    code: str
    message: str


class DoneResult(Answer):
    """How an estimate ended."""

    estimate_id: UUID
    status: Literal["completed", "failed"]


class Done(StreamData):
    """The run has ended, and the stream with it."""

    result: DoneResult


STREAM_EVENT = "StreamEvent"
"""The name of the schema of a message in the contract."""

EVENTS: Mapping[str, type[StreamData]] = {
    "PROGRESS": Progress,
    "GATE_RESULT": GateResult,
    "HEARTBEAT": Heartbeat,
    "ERROR": Failure,
    "DONE": Done,
}
"""The data of each event of a stream."""
