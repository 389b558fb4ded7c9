"""Proves that no fault of a worker loses, doubles or changes an estimate; one JSON line a case.

Workers run in the product's own pace here. A case that fails ends the command with 1.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from subprocess import Popen
from uuid import UUID

from tests.service.site import Site, alive, children_of, kill, site_in, until

from kis_estimator.worker import TRIES

STAGES = ("enclosure", "breaker", "critic", "format", "cover", "lint")
PANELS, LARGE = 20, 60
TAKEN_OVER_SEC = 30
Case = Callable[[Site], dict[str, object]]


def require(condition: bool, otherwise: str) -> None:  # noqa: FBT001 - as assert, which -O removes
    """End the case where a condition does not hold."""
    if not condition:
        raise AssertionError(otherwise)


def killed_at(moment: str, site: Site) -> dict[str, object]:
    """Kill the worker at a moment of its run while another one stands by."""
    with _two_workers(site) as (busy, standby):
        quote_id = site.order(PANELS)
        _await_moment(site, quote_id, moment)
        attempt = site.mark(quote_id).attempt
        busy.kill()
        began = time.monotonic()
        standby.send_signal(signal.SIGCONT)
        until(lambda: site.mark(quote_id).attempt > attempt or site.ended(quote_id))
        seconds = time.monotonic() - began
        until(partial(site.ended, quote_id))
    site.assert_whole(quote_id, PANELS)
    require(seconds <= TAKEN_OVER_SEC, f"taken over after {seconds:.0f} s")
    return {"takenOverSec": round(seconds, 1)}


def _await_moment(site: Site, quote_id: UUID, moment: str) -> None:
    if moment != "storing":
        until(partial(site.reaches, quote_id, moment))
        return
    blobs = site.settings.home / "blobs"
    before = sum(1 for _ in blobs.glob("*/*/*"))
    until(lambda: sum(1 for _ in blobs.glob("*/*/*")) > before)


def paused(site: Site) -> dict[str, object]:
    """Stop a worker until it is thought dead; what it writes afterwards must not count."""
    with _two_workers(site) as (busy, standby):
        quote_id = site.order(PANELS)
        until(partial(site.reaches, quote_id, "enclosure"))
        busy.send_signal(signal.SIGSTOP)
        standby.send_signal(signal.SIGCONT)
        until(partial(site.ended, quote_id))
        quote = site.quote(quote_id)
        busy.send_signal(signal.SIGCONT)
        standby.kill()
        later = site.order(1)
        until(partial(site.ended, later))
        require(site.quote(quote_id) == quote, "the paused worker has written")
    site.assert_whole(quote_id, PANELS)
    return {}


def poisoned_by_signal(site: Site) -> dict[str, object]:
    """Kill the child in each try."""
    with site.worker(pace={}) as process:
        poison = site.order(LARGE)
        for tries in range(1, TRIES + 1):
            until(partial(_is_run, site, poison, tries))
            kill(children_of(process.pid)[-1])
            _others_go_on(site)
        until(partial(site.ended, poison))
    return _failed(site, poison, "RUN_CRASHED")


def _is_run(site: Site, quote_id: UUID, number: int) -> bool:
    return site.mark(quote_id).attempt == number


def poisoned_by_memory(site: Site) -> dict[str, object]:
    """Give runs too little memory for a large request, enough for a small one."""
    return _poisoned(site, {"run_bytes": 640 << 20}, "RUN_CRASHED")


def poisoned_by_time(site: Site) -> dict[str, object]:
    """Give runs too little time for a large request, enough for a small one."""
    return _poisoned(site, {"run_sec": 3}, "RUN_TIMEOUT")


def _poisoned(site: Site, limits: dict[str, float], code: str) -> dict[str, object]:
    with site.worker(processes=2, pace={}, limits=limits):
        poison = site.order(LARGE)
        while not site.ended(poison):
            _others_go_on(site)
    return _failed(site, poison, code)


def _others_go_on(site: Site) -> None:
    other = site.order(1)
    until(partial(site.ended, other))
    site.assert_whole(other, 1)


def _failed(site: Site, quote_id: UUID, code: str) -> dict[str, object]:
    quote = site.quote(quote_id)
    require(quote["status"] == "failed" and quote["error"]["code"] == code, str(quote["error"]))
    require(quote["attempt"] == TRIES, f"{quote['attempt']} tries")
    return {"code": code, "tries": quote["attempt"]}


def drained(site: Site) -> dict[str, object]:
    """Tell a worker to stop in the middle of a run."""
    with site.worker(pace={}) as process:
        quote_id = site.order(PANELS)
        until(partial(site.reaches, quote_id, "enclosure"))
        process.send_signal(signal.SIGTERM)
        require(process.wait() == 0, "did not end with 0")
    site.assert_whole(quote_id, PANELS)
    return {}


def without_forkserver(site: Site) -> dict[str, object]:
    """Kill everything below a worker, also what makes its children."""
    with site.worker(pace={}) as process:
        quote_id = site.order(PANELS)
        until(partial(site.reaches, quote_id, "enclosure"))
        for pid in children_of(process.pid):
            kill(pid)
        until(partial(site.ended, quote_id))
        require(process.poll() is None, "the worker ended")
    site.assert_whole(quote_id, PANELS)
    return {}


def without_database(site: Site) -> dict[str, object]:
    """Kill the database in the middle of a run, and leave it away for longer than a heartbeat."""
    with site.worker(pace={}) as process:
        quote_id = site.order(PANELS)
        until(partial(site.reaches, quote_id, "enclosure"))
        lock = site.settings.home / "postgres/data/postmaster.pid"
        pid = int(lock.read_text(encoding="utf-8").split()[0])
        os.kill(pid, signal.SIGKILL)
        until(lambda: not alive(pid))
        time.sleep(15)
        site.restart_database()
        until(partial(site.ended, quote_id))
        require(process.poll() is None, "the worker ended")
    site.assert_whole(quote_id, PANELS)
    return {}


@contextmanager
def _two_workers(site: Site) -> Iterator[tuple[Popen[bytes], Popen[bytes]]]:
    """Run a worker, and another one that is asleep until it is woken."""
    with ExitStack() as stack:
        workers = tuple(stack.enter_context(site.worker(pace={})) for _ in range(2))
        until(lambda: len(site.rows("select from procrastinate_workers")) >= len(workers))
        busy, standby = workers
        standby.send_signal(signal.SIGSTOP)
        yield busy, standby


def cases(rounds: int) -> Iterator[tuple[str, Case]]:
    """Yield every case with its name."""
    for number in range(1, rounds + 1):
        for moment in ("claimed", *STAGES, "storing"):
            yield f"killed at {moment} ({number})", partial(killed_at, moment)
    yield "paused, then thought dead", paused
    yield "poisoned by a signal", poisoned_by_signal
    yield "poisoned by memory", poisoned_by_memory
    yield "poisoned by time", poisoned_by_time
    yield "drained", drained
    yield "children and forkserver killed", without_forkserver
    yield "database killed", without_database


def main() -> int:
    """Run every case on an installation of its own."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    failed = 0
    for name, case in cases(rounds):
        began = time.monotonic()
        line: dict[str, object] = {"case": name}
        with tempfile.TemporaryDirectory() as folder, site_in(Path(folder) / "home") as site:
            try:
                line |= {"ok": True, **case(site)}
            except AssertionError as error:
                failed += 1
                line |= {"ok": False, "reason": str(error)}
        line["sec"] = round(time.monotonic() - began, 1)
        print(json.dumps(line, ensure_ascii=False), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
