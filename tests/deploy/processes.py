"""The process list while something runs: what every account of the machine can read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Self


class Arguments:
    """Looks at the arguments of all processes until the end of the block.

    `telling` are those that hold one of the texts, `seen` counts different ones.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = [secret.encode() for secret in secrets]
        self._all: set[bytes] = set()
        self._stop = Event()
        self._thread = Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def seen(self) -> int:
        return len(self._all)

    @property
    def telling(self) -> list[bytes]:
        return [line for line in self._all if any(secret in line for secret in self._secrets)]

    def _look(self) -> None:
        while not self._stop.wait(0.01):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    self._all.add(path.read_bytes())
