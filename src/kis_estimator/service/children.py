"""Child processes for work that a stranger's input decides: limited, replaced when they die."""

from __future__ import annotations

import ctypes
import multiprocessing
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from kis_estimator.errors import KisError

_CALLS_PER_CHILD = 100
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Children:
    """A pool of child processes. `close` waits for what runs; what `kill` `ended` never answers."""

    _new_pool: Callable[[], ProcessPool]
    _pool: ProcessPool
    ended: bool = False
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def start(cls, processes: int, memory_bytes: int, preload: str) -> Children:
        """Start a pool whose children are forked from a server that has `preload` imported.

        A child that needs more than `memory_bytes` of address space gets a MemoryError; a child is
        replaced after 100 calls, since what renders documents keeps memory.
        """
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([preload])

        def new_pool() -> ProcessPool:
            return ProcessPool(
                max_workers=processes,
                max_tasks=_CALLS_PER_CHILD,
                initializer=_prepare,
                initargs=[memory_bytes],
                context=context,
            )

        return cls(new_pool, new_pool())

    def call(
        self, function: Callable[..., Any], arguments: Sequence[object], timeout_sec: float
    ) -> ProcessFuture[Any]:
        """Run a function of a module in a child; the child is ended after the time.

        The future raises what the function does, TimeoutError, ProcessExpired where it died, or
        BrokenProcessPool where it died before the call began.
        """
        with self._lock:
            if not (self.ended or self._pool.active):  # pebble gives up when an idle child dies
                self._end_pool()
                self._pool = self._new_pool()
            return self._pool.schedule(function, [*arguments], timeout=timeout_sec)

    def result(
        self, function: Callable[..., Any], arguments: Sequence[object], timeout_sec: float
    ) -> Any:  # noqa: ANN401 - what the function returns
        """Return what a function returns, run in a child.

        Raises what it raises; CHILD_TIMEOUT or CHILD_CRASHED where it did not come to an end.
        """
        try:
            return self.call(function, arguments, timeout_sec).result()
        except TimeoutError:
            raise KisError.of("CHILD_TIMEOUT", seconds=int(timeout_sec)) from None
        except (ProcessExpired, BrokenProcessPool, MemoryError) as error:
            raise KisError.of("CHILD_CRASHED") from error

    def close(self) -> None:
        """Take no more calls, wait for those that run, end the children."""
        if self.ended:
            return
        self._pool.close()  # type: ignore[no-untyped-call] # pebble leaves it untyped
        self._pool.join()

    def kill(self) -> None:
        """End the children and what they run."""
        with self._lock:
            self.ended = True
            self._end_pool()

    def _end_pool(self) -> None:
        self._pool.stop()  # type: ignore[no-untyped-call] # as above
        self._pool.join()


def _prepare(memory_bytes: int) -> None:
    """Limit a child, and let it end with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent drains; a terminal signals all
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
