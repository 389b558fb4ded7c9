"""The worker: takes jobs from the queue and does them, until it is told to stop.

Any number of workers share one queue. A worker shows every few seconds that it lives; the jobs of
one that does not are put back by any other. Whoever was thought dead and comes back writes nothing.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Thread
from uuid import UUID

import structlog
from procrastinate import App, BaseRetryStrategy, JobContext, PsycopgConnector, RetryDecision
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import DeleteJobCondition, Job, Status
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from kis_estimator.errors import KisError, Notice
from kis_estimator.service.exports import export_quote
from kis_estimator.service.jobs import Workshop, give_up, run_quote
from kis_estimator.service.retention import tidy
from kis_estimator.service.runner import StoppedError
from kis_estimator.store import queue

TRIES = 3
_WAITS = 100  # some 1.5 hours in which nobody is to blame
_LONGEST_WAIT_SEC = 60
_LAST_WORDS_SEC = 5
_FAILED_JOB_HOURS = 30 * 24  # as long as somebody may ask why
_UNAVAILABLE = frozenset(
    {"DATABASE_UNAVAILABLE", "STORAGE_BUCKET", "STORAGE_DENIED", "STORAGE_UNAVAILABLE"}
)
_log = structlog.get_logger("worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a worker does what.

    The work of a dead one is taken up after `stalled_sec` + `recovery_sec` + `poll_sec` at most.
    """

    heartbeat_sec: float = 3
    stalled_sec: float = 12
    recovery_sec: float = 4
    poll_sec: float = 2
    drain_sec: float = 30
    tidy_sec: float = 6 * 3600


PACE = Pace()


@dataclass(frozen=True, slots=True)
class Work:
    """A kind of job: how it is done, and what becomes of it when it cannot be done."""

    do: Callable[..., None]
    give_up: Callable[..., None]


def works(shop: Workshop) -> Mapping[str, Work]:
    """Return what a worker can do, by the names of the queue's jobs."""

    def fail_quote(notices: tuple[Notice, ...], quote_id: str) -> None:
        give_up(shop, UUID(quote_id), notices)

    def forget_export(_notices: tuple[Notice, ...], **_arguments: object) -> None:
        """Whoever wants the pack asks again."""

    return {
        queue.RUN: Work(lambda quote_id: run_quote(shop, UUID(quote_id)), fail_quote),
        queue.EXPORT: Work(
            lambda quote_id, kinds: export_quote(shop, UUID(quote_id), kinds), forget_export
        ),
    }


def register(app: App, known: Mapping[str, Work]) -> None:
    """Make the jobs known to the library."""
    for name, work in known.items():
        task = app.task(name=name, queue=queue.ESTIMATES, pass_context=True, retry=_Retries())
        task(partial(_do, work))


# ---------------------------------------------------------------- one job


class UntoldError(Exception):
    """A job could not be given up: it is tried again, lest its quote stays open for ever."""


def _do(work: Work, context: JobContext, **arguments: object) -> None:
    """Do a job; where this was its last try, give it up before the queue forgets it."""
    job, began, outcome = context.job, time.perf_counter(), "done"
    try:
        work.do(**arguments)
    except Exception as error:
        outcome = "later"
        if _next_try(error, job) is None:
            outcome = "given up"
            _tell_end(work, error, arguments)
        raise
    finally:
        ms = round((time.perf_counter() - began) * 1000)
        _log.info("job", task=job.task_name, outcome=outcome, ms=ms, **job.task_kwargs)


def _tell_end(work: Work, error: Exception, arguments: Mapping[str, object]) -> None:
    try:
        work.give_up(_notices(error), **arguments)
    except Exception as untold:
        raise UntoldError from untold


class _Retries(BaseRetryStrategy):
    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        return _next_try(exception, job)


def _next_try(error: BaseException, job: Job) -> RetryDecision | None:
    """Return when and how to try a job again, None where it is not.

    The priority counts the tries that the job itself may have spoiled; a job that was interrupted
    goes before others, since its caller has waited longest.
    """
    if isinstance(error, StoppedError):
        return RetryDecision()
    if isinstance(error, UntoldError) or _UNAVAILABLE.intersection(n.code for n in _notices(error)):
        wait_sec = min(2**job.attempts, _LONGEST_WAIT_SEC) * (0.5 + secrets.randbelow(500) / 1000)
        return RetryDecision(retry_in={"seconds": wait_sec}) if job.attempts < _WAITS else None
    spoiled = job.priority + 1
    if spoiled >= TRIES:
        return None
    return RetryDecision(retry_in={"seconds": 2**spoiled}, priority=spoiled)


def _notices(error: BaseException) -> tuple[Notice, ...]:
    if isinstance(error, KisError):
        return error.notices
    return (Notice("RUN_CRASHED", {"reason": type(error).__name__}),)


# ---------------------------------------------------------------- the jobs of dead workers


async def _recover(app: App, known: Mapping[str, Work], pace: Pace) -> None:
    """Put back the jobs of workers that show no life, again and again."""
    while True:
        await asyncio.sleep(pace.recovery_sec)
        try:
            stalled = await app.job_manager.get_stalled_jobs(
                queue=queue.ESTIMATES, seconds_since_heartbeat=pace.stalled_sec
            )
        except Exception:  # noqa: BLE001 - whatever it is, the next round may go well
            _log.exception("no recovery")
            # Nobody could show life while the database was away.
            await asyncio.sleep(pace.stalled_sec)
            continue
        for job in stalled:
            try:
                await _take_over(app, known, job)
            except Exception:  # noqa: BLE001 - the jobs after it do not wait for this one
                _log.exception("not taken over", job=job.id)


async def _take_over(app: App, known: Mapping[str, Work], job: Job) -> None:
    work = known.get(job.task_name)
    if work is None:  # of another release, whose workers know it
        _log.warning("unknown job of a dead worker", job=job.id, task=job.task_name)
        return
    spoiled = job.priority + 1
    _log.warning("job of a dead worker", job=job.id, spoiled=spoiled, **job.task_kwargs)
    if spoiled < TRIES:
        await app.job_manager.retry_job(job, priority=spoiled)
        return
    notices = (Notice("RUN_CRASHED", {"reason": "SIGKILL"}),)
    await asyncio.to_thread(partial(work.give_up, notices, **job.task_kwargs))
    await app.job_manager.finish_job(job, Status.FAILED, delete_job=False)


# ---------------------------------------------------------------- what grows old


async def _tidy(app: App, shop: Workshop, pace: Pace) -> None:
    """Delete what has outlived its time, at the start and every few hours."""
    while True:
        try:
            swept = await asyncio.to_thread(tidy, shop.database, shop.blobs, shop.retention_days)
            await app.job_manager.delete_old_jobs(nb_hours=_FAILED_JOB_HOURS, include_failed=True)
        except Exception:  # noqa: BLE001 - whatever it is, the next round may go well
            _log.exception("not tidied")
        else:
            _log.info("tidied", swept=swept)
        await asyncio.sleep(pace.tidy_sec)


# ---------------------------------------------------------------- the process


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How a worker reaches the queue. Without `listen` it looks for new jobs twice a second."""

    dsn: str = field(repr=False)
    listen: bool


@dataclass(slots=True)
class Stop:
    """How a worker is told to stop: `drain` lets what runs come to its end, `halt` does not."""

    shop: Workshop
    drain_sec: float
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    _halting: asyncio.Task[None] | None = None

    def drain(self) -> None:
        """Take no new jobs; what has not ended in its time goes back into the queue."""
        self._end_after(self.drain_sec)

    def halt(self) -> None:
        """Put everything back into the queue now."""
        self._end_after(0)

    def _end_after(self, seconds: float) -> None:
        self.asked.set()
        if self._halting is None or seconds == 0:
            self._halting = asyncio.create_task(self._halt(seconds))

    async def _halt(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        # Not on a thread of the jobs: they may all be taken.
        Thread(target=self.shop.runner.children.kill, daemon=True).start()
        await asyncio.sleep(_LAST_WORDS_SEC)
        _log.warning("stopped without the database; other workers take the jobs over")
        os._exit(0)


async def work(shop: Workshop, line: Line, processes: int, stop: Stop, pace: Pace) -> None:
    """Do jobs, as many at a time as there are processes, until told to stop.

    A database that is away is waited for.
    """
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(processes + 3, "job"))
    app = App(connector=PsycopgConnector())
    app.job_manager = queue.FencedJobs(app.connector)
    known = works(shop)
    register(app, known)
    async with _pool(line) as pool, app.open_async(pool):
        chores = [
            asyncio.create_task(_recover(app, known, pace)),
            asyncio.create_task(_tidy(app, shop, pace)),
        ]
        try:
            while not stop.asked.is_set():
                await _work_while_connected(app, line, processes, stop.asked, pace)
        finally:
            for chore in chores:
                chore.cancel()


async def _work_while_connected(
    app: App, line: Line, processes: int, asked: asyncio.Event, pace: Pace
) -> None:
    """Work as one registered worker; ends where the database is lost, or the registration."""
    working = asyncio.create_task(
        app.run_worker_async(
            queues=[queue.ESTIMATES],
            concurrency=processes,
            listen_notify=line.listen,
            fetch_job_polling_interval=pace.poll_sec if line.listen else min(0.5, pace.poll_sec),
            update_heartbeat_interval=pace.heartbeat_sec,
            stalled_worker_timeout=pace.stalled_sec,
            delete_jobs=DeleteJobCondition.SUCCESSFUL,
            install_signal_handlers=False,
        )
    )
    stopping = asyncio.create_task(asked.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    working.cancel()  # without effect where it ended; else it drains
    stopping.cancel()
    try:
        await working
    except asyncio.CancelledError:
        pass
    except ConnectorException as error:
        _log.warning("queue lost", reason=type(error.__cause__).__name__)
        with suppress(TimeoutError):
            await asyncio.wait_for(asked.wait(), 1)


def _pool(line: Line) -> AsyncConnectionPool:
    return AsyncConnectionPool(
        line.dsn,
        kwargs={
            "prepare_threshold": None,  # also good below a transaction pooler
            "application_name": "kis worker",
            "connect_timeout": 5,
            "keepalives_idle": 30,
            "tcp_user_timeout": 10_000,
        },
        min_size=1,
        max_size=4,
        timeout=5,
        reconnect_timeout=5,
        configure=_autocommit,
        check=AsyncConnectionPool.check_connection,
        open=False,
    )


async def _autocommit(conn: AsyncConnection) -> None:
    """Let each statement be a transaction: a worker that is frozen between two holds no lock."""
    await conn.set_autocommit(True)
