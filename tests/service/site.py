"""An installation on the embedded PostgreSQL, with real workers that a test starts and kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from kis_estimator import service
from kis_estimator.assembly import Addresses, local_principal, prepare_database, reached
from kis_estimator.documents.supplier import placeholder_bytes
from kis_estimator.evidence import Inputs, RunOptions
from kis_estimator.service.orders import Call, Order, Sent, place, read_schedule, timestamp
from kis_estimator.service.pricebook import PriceBooks
from kis_estimator.settings import Settings, read_settings
from kis_estimator.store.db import Database

WORKER = """
import json, os, sys
from kis_estimator.assembly import Limits
from kis_estimator.processes import run_worker
from kis_estimator.settings import read_settings
from kis_estimator.worker import Pace
processes, pace, limits = (json.loads(text) for text in sys.argv[1:])
run_worker(read_settings(os.environ), processes, pace=Pace(**pace), limits=Limits(**limits))
"""
FAST = {"heartbeat_sec": 0.3, "stalled_sec": 1.5, "recovery_sec": 0.3, "poll_sec": 0.3}
LONGEST_SEC = 90.0
RESULTS = ("panels", "breakers", "quote_items", "documents")


def schedule(panels: int) -> bytes:
    """Return a request of that many panels of 20 branches."""
    breakers = [{"role": "main", "category": "MCCB", "poles": 4, "ratedCurrentA": 100}]
    breakers += [{"role": "branch", "category": "MCCB", "poles": 2, "ratedCurrentA": 20}] * 20
    made = [{"name": f"LP-{n}", "quantity": 1, "breakers": breakers} for n in range(panels)]
    return json.dumps({"customer": {"name": "한국전기"}, "panels": made}).encode()


def until(look: Callable[[], bool]) -> None:
    """Wait for something; a test that waits for ever fails."""
    deadline = time.monotonic() + LONGEST_SEC
    while not look():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a quote is: runs begun, and its last event."""

    attempt: int
    last_event: int


NEW = Mark(0, 1)


@dataclass(frozen=True, slots=True)
class Site:
    """The installation: orders, what became of them, workers."""

    settings: Settings
    addresses: Addresses
    database: Database
    engine: service.Engine

    def restart_database(self) -> None:
        """Start the database after it was killed."""
        assert self.addresses.server is not None
        self.addresses.server.stop()  # of which only the taking part in it was left
        self.addresses.server.start()

    def order(self, panels: int) -> UUID:
        """Order an estimate as the local administrator."""
        principal = local_principal(self.settings.home, "admin")
        with self.database.tenant(principal) as conn:
            book = PriceBooks(self.engine).in_force(conn)
        sent = Sent("a.json", schedule(panels))
        order = Order(sent, read_schedule(sent, book.engine.vocabulary), book)
        return place(self.database, principal, order, Call())[0]

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Read as the database's owner."""
        server = self.addresses.server
        assert server is not None
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as conn:
            return conn.cursor(row_factory=dict_row).execute(query.encode(), values).fetchall()

    def quote(self, quote_id: UUID) -> dict[str, Any]:
        """Return a quote's row."""
        return self.rows("select * from estimator.quotes where id = %s", quote_id)[0]

    def ended(self, quote_id: UUID) -> bool:
        """Whether the quote and its job came to an end; a job that succeeded is no more."""
        jobs = self.rows(
            "select status from procrastinate_jobs where args ->> 'quote_id' = %s", str(quote_id)
        )
        finished = self.quote(quote_id)["status"] in {"completed", "failed"}
        return finished and all(job["status"] == "failed" for job in jobs)

    def mark(self, quote_id: UUID) -> Mark:
        """Return how far a quote is."""
        quote = self.quote(quote_id)
        return Mark(quote["attempt"], quote["last_event"])

    def reaches(self, quote_id: UUID, moment: str, mark: Mark = NEW) -> bool:
        """Whether a quote was claimed, or a stage began, after a mark."""
        if moment == "claimed":
            return self.mark(quote_id).attempt > mark.attempt
        return bool(
            self.rows(
                "select from estimator.estimate_events"
                " where quote_id = %s and position > %s and data ->> 'stage' = %s limit 1",
                *(quote_id, mark.last_event, moment),
            )
        )

    def undisturbed_sha(self, quote_id: UUID) -> str:
        """Return the evidence's hash of the same estimate made here, without queue and database."""
        quote = self.quote(quote_id)
        given = self.rows("select * from estimator.quote_inputs where quote_id = %s", quote_id)[0]
        options = RunOptions(
            number=quote["number"],
            revision=quote["revision"],
            date=quote["day"],
            reading_locale="ko-KR",
            locale=None,
            customer=None,
            project=None,
            brand=None,
            accept_proposed_main=False,
            production=False,
            estimate_id=str(quote_id),
            created_at=timestamp(quote["created_at"]),
        )
        inputs = Inputs(
            upload_name=given["filename"],
            upload=given["content"],
            options=options,
            catalog=self.engine.catalog_files,
            rules=self.engine.rule_bytes,
            company=placeholder_bytes(),
            seal=None,
        )
        sha: str = service.estimate(inputs, self.engine).response["evidenceSha"]
        return sha

    def assert_whole(self, quote_id: UUID, panels: int) -> None:
        """Check that a quote is completed as if nothing had happened, once and wholly."""
        quote = self.quote(quote_id)
        assert quote["status"] == "completed", quote["error"]
        assert quote["evidence_sha"] == self.undisturbed_sha(quote_id)
        counts = {
            table: self.rows(
                f"select count(*) as n from estimator.{table} where quote_id = %s",  # noqa: S608 - names of this file
                quote_id,
            )[0]["n"]
            for table in RESULTS
        }
        response = quote["response"]
        assert counts == {
            "panels": panels,
            "breakers": 21 * panels,
            "quote_items": sum(len(panel["lines"]) for panel in response["panels"]),
            "documents": len(response["documents"]) + 1,
        }
        events = self.rows(
            "select position, kind from estimator.estimate_events where quote_id = %s"
            " order by position",
            quote_id,
        )
        assert [event["position"] for event in events] == list(range(1, len(events) + 1))
        assert [event["kind"] for event in events].count("DONE") == 1
        assert events[-1]["kind"] == "DONE"
        stored = self.rows(
            "select b.org_id, b.sha256 from estimator.evidence_blobs b join estimator.documents d"
            " using (org_id, sha256) where d.quote_id = %s",
            quote_id,
        )
        for blob in stored:
            name = f"{blob['org_id']}/{blob['sha256'][:2]}/{blob['sha256']}"
            assert (self.settings.home / "blobs" / name).is_file()

    @contextmanager
    def worker(
        self,
        processes: int = 1,
        pace: Mapping[str, float] = FAST,
        limits: Mapping[str, float] | None = None,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a worker, in a quick pace; it is killed at the end if it still runs."""
        command = [sys.executable, "-c", WORKER]
        arguments = [json.dumps(value) for value in (processes, pace, limits or {})]
        environment = {**os.environ, "KIS_HOME": str(self.settings.home)}
        with subprocess.Popen([*command, *arguments], env=environment) as process:
            try:
                yield process
            finally:
                process.kill()

    def worker_killed_at(self, quote_id: UUID, moment: str) -> None:
        """Run a worker until it reaches a moment of a quote's next run, and kill it there."""
        mark = self.mark(quote_id)
        with self.worker() as process:
            until(lambda: self.reaches(quote_id, moment, mark))
            process.kill()


@contextmanager
def site_in(home: Path) -> Iterator[Site]:
    """Make an installation in a folder and run its database."""
    settings = read_settings({"KIS_HOME": str(home)})
    with ExitStack() as stack:
        addresses = stack.enter_context(reached(settings))
        prepare_database(settings, addresses)
        database = stack.enter_context(Database(addresses.login, pool_size=2, timeout_sec=30))
        yield Site(settings, addresses, database, service.load_engine())


def children_of(pid: int) -> list[int]:
    """Return the processes that descend from one."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, fresh = [], [pid]
    while fresh:
        fresh = [child for parent in fresh for child in parents.get(parent, ())]
        found += fresh
    return found


def alive(pid: int) -> bool:
    """Whether there is such a process; one that only waits to be collected is not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
