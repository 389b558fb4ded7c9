"""Live progress: the events of an estimate as they are written, by any worker on any host.

Events are rows; a stream reads what it has not sent and sleeps. What wakes it is a notice of the
database where one connection can listen, else a look at the newest rows twice a second; a notice
that is lost costs a heartbeat's time, never an event.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import structlog
from fastapi.concurrency import run_in_threadpool
from sse_starlette import ServerSentEvent

from kis_estimator.errors import KisError
from kis_estimator.service.orders import timestamp
from kis_estimator.store import estimates
from kis_estimator.store.db import Database, Principal

STRIDE = 1_000_000
"""A stored event has the seq of its position times this; heartbeats count on from there."""

_POLL_SEC = 0.5
_RECONNECT_SEC = 2
_LONGEST_SEC = 3600
_log = structlog.get_logger("events")
_FINISHED = frozenset({"completed", "failed"})


@dataclass(frozen=True, slots=True)
class Position:
    """What a client has: the last stored event, and how many heartbeats after it."""

    stored: int = 0
    beats: int = 0

    @classmethod
    def of_last_id(cls, text: str | None) -> Position:
        """Read a Last-Event-ID. Raises LAST_EVENT_ID for one that this service never sent."""
        if text is None or text == "":
            return cls()
        if not (text.isascii() and text.isdecimal() and len(text) <= len(str(STRIDE**3))):
            raise KisError.of("LAST_EVENT_ID")
        return cls(*divmod(int(text), STRIDE))

    @property
    def seq(self) -> int:
        """Return the seq of the last message."""
        return self.stored * STRIDE + self.beats

    def beaten(self) -> Position:
        """Return the position after one more heartbeat."""
        return Position(self.stored, self.beats + 1)


@dataclass(slots=True)
class EventWatch:
    """Wakes who waits for events of a quote. `listen_dsn` is a session connection, or None."""

    database: Database
    listen_dsn: str | None = field(repr=False)
    _waiting: dict[UUID, set[asyncio.Event]] = field(default_factory=dict)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch the database as long as the application runs."""
        task = asyncio.create_task(self._poll() if self.listen_dsn is None else self._listen())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    @contextmanager
    def of(self, quote_id: UUID) -> Iterator[asyncio.Event]:
        """Lend a flag that is set when the quote has new events; its holder clears it."""
        flag = asyncio.Event()
        flags = self._waiting.setdefault(quote_id, set())
        flags.add(flag)
        try:
            yield flag
        finally:
            flags.discard(flag)
            if not flags:
                self._waiting.pop(quote_id, None)

    def _wake(self, quote_id: UUID) -> None:
        for flag in self._waiting.get(quote_id, ()):
            flag.set()

    def _wake_all(self) -> None:
        for quote_id in tuple(self._waiting):
            self._wake(quote_id)

    async def _listen(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self.listen_dsn or "",
                    autocommit=True,
                    application_name="kis events",
                    connect_timeout=5,
                    keepalives_idle=30,  # else one that a firewall forgot would be silent for ever
                    tcp_user_timeout=30_000,
                ) as conn:
                    await conn.execute("listen kis_events")
                    self._wake_all()  # for what happened while nobody listened
                    async for notice in conn.notifies():
                        with suppress(ValueError):  # anybody may say anything on a channel
                            self._wake(UUID(notice.payload))
            except (psycopg.Error, OSError) as error:
                _log.warning("not listening", reason=type(error).__name__)
            await asyncio.sleep(_RECONNECT_SEC)
            self._wake_all()

    async def _poll(self) -> None:
        seen: dict[UUID, int] = {}
        while True:
            await asyncio.sleep(_POLL_SEC)
            wanted = list(self._waiting)
            if not wanted:
                continue
            try:
                newest = await run_in_threadpool(self._newest, wanted)
                for quote_id, position in newest.items():
                    if seen.get(quote_id) != position:
                        self._wake(quote_id)
                seen = newest
            except (KisError, psycopg.Error) as error:
                _log.warning("no new events to be seen", reason=type(error).__name__)

    def _newest(self, quote_ids: list[UUID]) -> dict[UUID, int]:
        with self.database.service() as conn:
            return estimates.newest_events(conn, quote_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The events of one quote for one caller, from a position on."""

    database: Database
    watch: EventWatch
    principal: Principal
    quote_id: UUID
    heartbeat_sec: float
    expires_at: float

    async def messages(self, position: Position) -> AsyncIterator[ServerSentEvent]:
        """Yield every event after the position, heartbeats in between, and end after DONE.

        Ends early when the caller's token expires or after an hour; a client resumes by itself.
        """
        end = min(self.expires_at, time.time() + _LONGEST_SEC)
        with self.watch.of(self.quote_id) as fresh:
            while time.time() < end:
                fresh.clear()
                for row in await run_in_threadpool(self._after, position.stored):
                    position = Position(row["position"])
                    yield message(row["kind"], row["data"], position, row["at"])
                    if row["kind"] == "DONE":
                        return
                try:
                    async with asyncio.timeout(self.heartbeat_sec):
                        await fresh.wait()
                except TimeoutError:
                    position = position.beaten()
                    yield message("HEARTBEAT", {}, position, datetime.now(UTC))

    async def ended_before(self, position: Position) -> bool:
        """Return whether a client at this position has everything. Raises ESTIMATE_NOT_FOUND."""
        row = await run_in_threadpool(self._status)
        return row["status"] in _FINISHED and position.stored >= row["last_event"]

    async def finished(self, wait_sec: float) -> None:
        """Return when the quote is finished, or when the time is over."""
        with self.watch.of(self.quote_id) as fresh, suppress(TimeoutError):
            async with asyncio.timeout(wait_sec):
                while (await run_in_threadpool(self._status))["status"] not in _FINISHED:
                    await fresh.wait()
                    fresh.clear()

    def _after(self, stored: int) -> list[dict[str, Any]]:
        with self.database.tenant(self.principal) as conn:
            return estimates.events(conn, self.quote_id, stored)

    def _status(self) -> dict[str, Any]:
        with self.database.tenant(self.principal) as conn:
            return estimates.quote_status(conn, self.quote_id)


def message(kind: str, data: dict[str, Any], position: Position, at: datetime) -> ServerSentEvent:
    """Return one message; `id` and `meta.seq` are the same number."""
    meta = {"seq": position.seq, "ts": timestamp(at)}
    text = json.dumps({**data, "meta": meta}, ensure_ascii=False, separators=(",", ":"))
    return ServerSentEvent(text, event=kind, id=str(position.seq), sep="\n")
