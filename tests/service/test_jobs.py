"""Jobs survive their workers: each ends once, whole, and the same as if nothing had happened."""

import os
import signal
from functools import partial
from uuid import UUID

import pytest
from tests.service.site import Site, alive, children_of, kill, until

PANELS = 12


def test_an_order_is_worked_out(site: Site) -> None:
    quote_id = site.order(1)
    with site.worker():
        until(lambda: site.ended(quote_id))
    site.assert_whole(quote_id, 1)
    assert site.quote(quote_id)["attempt"] == 1


@pytest.mark.parametrize("moments", [("claimed", "format"), ("breaker", "lint")], ids="-".join)
def test_another_worker_takes_over(site: Site, moments: tuple[str, str]) -> None:
    quote_id = site.order(PANELS)
    for moment in moments:
        site.worker_killed_at(quote_id, moment)
        assert site.quote(quote_id)["status"] == "processing"
    with site.worker():
        until(lambda: site.ended(quote_id))
    site.assert_whole(quote_id, PANELS)
    assert site.quote(quote_id)["attempt"] == 3


def test_a_worker_that_comes_back_writes_nothing(site: Site) -> None:
    quote_id = site.order(PANELS)
    with site.worker() as paused:
        until(lambda: site.reaches(quote_id, "enclosure"))
        paused.send_signal(signal.SIGSTOP)
        with site.worker():
            until(lambda: site.ended(quote_id))
        before = _all_of(site, quote_id)
        paused.send_signal(signal.SIGCONT)
        # It goes on as a worker: it does the next order, after it has dropped the old one.
        later = site.order(1)
        until(lambda: site.ended(later))
    assert _all_of(site, quote_id) == before
    site.assert_whole(quote_id, PANELS)
    site.assert_whole(later, 1)


def test_a_poison_job_ends_failed_and_blocks_nobody(site: Site) -> None:
    poison = site.order(PANELS)
    with site.worker() as process:
        for tries in (1, 2, 3):
            _kill_child_in_run(site, process.pid, poison, tries)
            other = site.order(1)
            until(partial(site.ended, other))
            site.assert_whole(other, 1)
    assert site.ended(poison)
    quote = site.quote(poison)
    assert (quote["status"], quote["error"]["code"]) == ("failed", "RUN_CRASHED")


def test_a_worker_that_is_told_to_stop_ends_its_work_first(site: Site) -> None:
    running = site.order(PANELS)
    with site.worker() as process:
        until(lambda: site.reaches(running, "enclosure"))
        process.send_signal(signal.SIGTERM)
        waiting = site.order(1)
        assert process.wait() == 0
    site.assert_whole(running, PANELS)
    assert site.quote(waiting)["status"] == "pending"
    with site.worker():
        until(lambda: site.ended(waiting))


def test_what_outlasts_the_time_to_drain_is_taken_up_by_another_worker(site: Site) -> None:
    quote_id = site.order(PANELS)
    with site.worker(pace={"drain_sec": 0}) as process:
        until(lambda: site.reaches(quote_id, "claimed"))
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    assert site.quote(quote_id)["status"] == "processing"
    with site.worker():
        until(lambda: site.ended(quote_id))
    site.assert_whole(quote_id, PANELS)


def test_a_database_that_goes_and_comes_back_stops_no_worker(site: Site) -> None:
    quote_id = site.order(PANELS)
    with site.worker() as process:
        until(lambda: site.reaches(quote_id, "enclosure"))
        pid = (site.settings.home / "postgres/data/postmaster.pid").read_text().split()[0]
        os.kill(int(pid), signal.SIGQUIT)
        until(lambda: not alive(int(pid)))
        site.restart_database()
        until(lambda: site.ended(quote_id))
        later = site.order(1)
        until(lambda: site.ended(later))
        assert process.poll() is None
    site.assert_whole(quote_id, PANELS)
    site.assert_whole(later, 1)


def _all_of(site: Site, quote_id: UUID) -> object:
    quote = site.quote(quote_id)
    events = site.rows("select * from estimator.estimate_events where quote_id = %s", quote_id)
    return quote, events


def _kill_child_in_run(site: Site, worker: int, quote_id: UUID, tries: int) -> None:
    """Kill the child process of a worker that works on a quote, in a numbered run.

    The server that forks it is a child too, and another one only keeps books.
    """

    def working() -> list[int]:
        grandchildren = {each for child in children_of(worker) for each in children_of(child)}
        return [each for each in grandchildren if alive(each)]

    until(lambda: site.mark(quote_id).attempt == tries)
    until(lambda: bool(working()))
    for each in working():
        kill(each)
    query = "select attempts from procrastinate_jobs where args ->> 'quote_id' = %s"
    until(lambda: site.rows(query, str(quote_id))[0]["attempts"] == tries)
