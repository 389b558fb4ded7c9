"""The queue: jobs are put into it in the transaction that makes them necessary.

The database itself queues the run of each new quote; see the migration of the queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import psycopg
import structlog
from procrastinate import App, SyncPsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager, NotificationCallback

from kis_estimator.store.sql import Conn, Row, queries

RUN, EXPORT = "estimate.run", "estimate.export"
ESTIMATES = "estimates"

_LONGEST_WAIT_SEC = 10.0
_log = structlog.get_logger("queue")

# The library's own functions, for whoever still holds the job: each retry counts `attempts` up.
_FINISH = """
with held as (
  select id from procrastinate_jobs
    where id = %(job_id)s and status = 'doing' and attempts = %(attempts)s for update)
select procrastinate_finish_job_v1(id, %(status)s, %(delete_job)s) from held
"""
_RETRY = """
with held as (
  select id from procrastinate_jobs
    where id = %(job_id)s and status = 'doing' and attempts = %(attempts)s for update)
select procrastinate_retry_job_v2(id, %(retry_at)s, %(priority)s, null, null) from held
"""


@cache
def _deferrer() -> App:
    """Return an app that only writes jobs, on connections that its callers hand in."""
    return App(connector=SyncPsycopgConnector())


def put_export(conn: Conn, quote_id: UUID, kinds: Sequence[str]) -> None:
    """Queue the making of a pack for the customer, in a transaction as the login role."""
    task = _deferrer().configure_task(EXPORT, queue=ESTIMATES, connection=conn)
    task.defer(quote_id=str(quote_id), kinds=[*kinds])


def as_login(conn: Conn) -> None:
    """Give up the caller's role for the rest of the transaction: the queue is not theirs."""
    conn.execute("select set_config('role', 'none', true)")


def figures(conn: Conn) -> Row:
    """Return `waiting` and `running` jobs and the age of the oldest unfinished quote [s]."""
    return dict(queries().queue_figures(conn))


def is_lost(error: ConnectorException) -> bool:
    """Whether the database could not be reached, or went away; anything else is an error."""
    return isinstance(error.__cause__, psycopg.OperationalError)


class FencedJobs(JobManager):
    """The library's queue, where a worker that was thought dead changes nothing when it comes back.

    What must be told to the database is told when it is there again: an outcome that is not told
    would leave its job with a worker that lives and does not work on it.
    """

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:  # noqa: FBT001 - the library's signature
        """End a job, unless another worker has it."""
        await self._tell(_FINISH, job, status=status.value, delete_job=delete_job)

    async def retry_job(
        self,
        job: Job,
        retry_at: datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,  # noqa: ARG002 - the library's signature
        lock: str | None = None,  # noqa: ARG002 - the library's signature
    ) -> None:
        """Put a job back for a time to come, or at once, unless another worker has it."""
        await self._tell(_RETRY, job, retry_at=retry_at, priority=priority)

    async def update_heartbeat(self, worker_id: int) -> None:
        """Show that the worker lives; without a database the next beat does."""
        try:
            await super().update_heartbeat(worker_id)
        except ConnectorException as error:
            if not is_lost(error):
                raise
            _log.warning("no heartbeat", reason=_reason(error))

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        """Listen for new jobs, again and again where the connection is lost."""
        while True:
            try:
                await super().listen_for_jobs(on_notification=on_notification, queues=queues)
            except ConnectorException as error:
                if not is_lost(error):
                    raise
                _log.warning("listening again", reason=_reason(error))
                await asyncio.sleep(1)

    async def _tell(self, query: Any, job: Job, **arguments: Any) -> None:  # noqa: ANN401 - values of a query
        wait_sec = 0.5
        while True:
            try:
                told = await self.connector.execute_query_all_async(
                    query=query, job_id=job.id, attempts=job.attempts, **arguments
                )
            except ConnectorException as error:
                if not is_lost(error):
                    raise
                _log.warning("outcome of a job waits", job=job.id, reason=_reason(error))
                await asyncio.sleep(wait_sec)
                wait_sec = min(wait_sec * 2, _LONGEST_WAIT_SEC)
            else:
                if not told:
                    _log.warning("job is not ours any more", job=job.id)
                return


def _reason(error: ConnectorException) -> str:
    return type(error.__cause__).__name__
