"""The queue: jobs are put into it in the transaction that makes them necessary."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from uuid import UUID

from procrastinate import App, SyncPsycopgConnector

from kis_estimator.store.sql import Conn, Row, queries

RUN, EXPORT = "estimate.run", "estimate.export"
ESTIMATES = "estimates"


@cache
def _deferrer() -> App:
    """Return an app that only writes jobs, on connections that its callers hand in."""
    return App(connector=SyncPsycopgConnector())


def put_run(conn: Conn, quote_id: UUID) -> None:
    """Queue the run of a quote. The connection stands in a transaction as the login role."""
    task = _deferrer().configure_task(RUN, queue=ESTIMATES, connection=conn)
    task.defer(quote_id=str(quote_id))


def put_export(conn: Conn, quote_id: UUID, kinds: Sequence[str]) -> None:
    """Queue the making of a pack for the customer."""
    task = _deferrer().configure_task(EXPORT, queue=ESTIMATES, connection=conn)
    task.defer(quote_id=str(quote_id), kinds=[*kinds])


def as_login(conn: Conn) -> None:
    """Give up the caller's role for the rest of the transaction: the queue is not theirs."""
    conn.execute("select set_config('role', 'none', true)")


def figures(conn: Conn) -> Row:
    """Return `waiting` and `running` jobs and the age of the oldest unfinished quote [s]."""
    return dict(queries().queue_figures(conn))
