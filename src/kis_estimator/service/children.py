"""Child processes for work that a stranger's input decides: limited, replaced when they die."""

from __future__ import annotations

import ctypes
import multiprocessing
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pebble import ProcessFuture, ProcessPool

_CALLS_PER_CHILD = 100
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Children:
    """A pool of child processes. `close` waits for what runs, `kill` does not."""

    _pool: ProcessPool

    @classmethod
    def start(cls, processes: int, memory_bytes: int, preload: str) -> Children:
        """Start a pool whose children are forked from a server that has `preload` imported.

        A child that needs more than `memory_bytes` of address space gets a MemoryError; a child is
        replaced after 100 calls, since what renders documents keeps memory.
        """
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([preload])
        return cls(
            ProcessPool(
                max_workers=processes,
                max_tasks=_CALLS_PER_CHILD,
                initializer=_prepare,
                initargs=[memory_bytes],
                context=context,
            )
        )

    def call(
        self, function: Callable[..., Any], arguments: Sequence[object], timeout_sec: float
    ) -> ProcessFuture[Any]:
        """Run a function of a module in a child; the child is ended after the time.

        The future raises what the function does, TimeoutError, or ProcessExpired where it died.
        """
        return self._pool.schedule(function, [*arguments], timeout=timeout_sec)

    def close(self) -> None:
        """Take no more calls, wait for those that run, end the children."""
        self._pool.close()  # type: ignore[no-untyped-call] # pebble leaves it untyped
        self._pool.join()

    def kill(self) -> None:
        """End the children and what they run."""
        self._pool.stop()  # type: ignore[no-untyped-call] # as above
        self._pool.join()


def _prepare(memory_bytes: int) -> None:
    """Limit a child, and let it end with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent drains; a terminal signals all
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
