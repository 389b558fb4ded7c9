"""Blobs: the files of estimates, each kept under the SHA-256 of its own bytes.

`Blobs` is what callers see. `BlobBackend` holds the rules that are the same wherever the bytes
lie (keys, hashes, repair, probe, metrics); a backend only moves bytes.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, Self
from uuid import UUID

from kis_estimator.errors import KisError, shown

Observe = Callable[[str, str, float], None]
"""Told (operation, "ok" or the error's code, seconds) after each operation."""

_KEY = re.compile(
    r"(?:probe|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/([0-9a-f]{2})/(\1[0-9a-f]{62})"
)
_SHOWN_CHARACTERS = 120
_PROBE_TTL_SEC = 60
_PROBE_TYPE = "application/json"  # a bucket that takes our documents takes this


class Blobs(Protocol):
    """A store of content-addressed files; every method may be called from any thread."""

    def put(self, key: str, data: bytes, media_type: str) -> None:
        """Store the bytes; the same bytes may be put again."""

    def get(self, key: str) -> bytes:
        """Return the bytes, checked against the hash in their key."""

    def sign(self, key: str, ttl_sec: int, filename: str | None) -> str:
        """Return a link that downloads a stored file under that name until it expires."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove files; one that is gone already is no error."""

    def keys(self) -> Iterator[str]:
        """Yield the name of everything that lies in the store, whoever put it there."""

    def probe(self, timeout_sec: float) -> None:
        """Put, sign, fetch by the link and delete a small file; STORAGE_UNAVAILABLE if it fails."""

    def close(self) -> None:
        """Let go of connections and threads."""


def blob_key(org_id: UUID, sha256: str) -> str:
    """Return where an organisation's file with this hash lies.

    >>> blob_key(UUID(int=7), "ab" * 32)[:43]
    '00000000-0000-0000-0000-000000000007/ab/aba'
    """
    key = f"{org_id}/{sha256[:2]}/{sha256}"
    key_sha256(key)
    return key


def key_sha256(key: str) -> str:
    """Return the hash that a key promises; refuse everything that is not such a key.

    No dot, no backslash and no upper case can occur, so that a key is safe as a path and as a URL.
    """
    match = _KEY.fullmatch(key)
    if match is None:
        raise KisError.of("STORAGE_KEY", key=shown(key[:_SHOWN_CHARACTERS]))
    return match[2]


def unobserved(operation: str, outcome: str, seconds: float) -> None:
    """Take no notice of an operation."""


class BlobBackend(ABC):
    """The rules of every store, over the few moves that each backend makes in its own way."""

    def __init__(self, observe: Observe) -> None:
        self._observe = observe
        # One thread: probes of a store that hangs wait in line and give up, they don't pile up.
        self._prober = ThreadPoolExecutor(1, "storage-probe")

    def put(self, key: str, data: bytes, media_type: str) -> None:
        """Store the bytes; what is there already is compared, and written anew if damaged."""
        if hashlib.sha256(data).hexdigest() != key_sha256(key):
            raise KisError.of("STORAGE_KEY", key=key)
        with self._observed("put"):
            sound = self._create(key, data, media_type) or self._read(key) == data
        if not sound:
            with self._observed("repair"):
                self._replace(key, data, media_type)

    def get(self, key: str) -> bytes:
        """Return the bytes, checked against the hash in their key."""
        with self._observed("get"):
            return self._verified(key)

    def sign(self, key: str, ttl_sec: int, filename: str | None) -> str:
        """Return a link that downloads a stored file under that name until it expires."""
        key_sha256(key)
        if ttl_sec < 1:
            raise ValueError("a link must live for a second at least")
        with self._observed("sign"):
            return self._link(key, ttl_sec, filename)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove files; one that is gone already is no error."""
        doomed = list(keys)
        for key in doomed:
            key_sha256(key)
        with self._observed("delete"):
            self._remove(doomed)

    def keys(self) -> Iterator[str]:
        """Yield the name of everything that lies in the store, whoever put it there."""
        return self._listed("")

    def probe(self, timeout_sec: float) -> None:
        """Put, sign, fetch by the link and delete a small file, all within the time."""
        with self._observed("probe"):
            hurried = self._within(timeout_sec)
            task = self._prober.submit(hurried._round_trip)  # noqa: SLF001 - of this class
            try:
                task.result(timeout_sec)
            except TimeoutError:
                task.cancel()
                raise KisError.of("STORAGE_UNAVAILABLE", reason="time-out") from None
            except KisError as error:
                notice = error.notices[0]
                reason = notice.params.get("reason", notice.code)
                raise KisError.of("STORAGE_UNAVAILABLE", reason=reason) from error

    def close(self) -> None:
        """Let go of connections and threads."""
        self._prober.shutdown(wait=False, cancel_futures=True)

    def _verified(self, key: str) -> bytes:
        sha256 = key_sha256(key)
        data = self._read(key)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise KisError.of("STORAGE_DAMAGED", key=key)
        return data

    def _round_trip(self) -> None:
        data = f'"{secrets.token_hex(16)}"'.encode()
        sha256 = hashlib.sha256(data).hexdigest()
        key = f"probe/{sha256[:2]}/{sha256}"
        try:
            self._create(key, data, _PROBE_TYPE)
            if self._follow(self._link(key, _PROBE_TTL_SEC, "probe.json")) != data:
                raise KisError.of("STORAGE_DAMAGED", key=key)
        finally:
            removed = self._remove([key])
        if key not in removed:  # access rules may hide a file from the one who deletes
            raise KisError.of("STORAGE_DENIED")

    def _within(self, timeout_sec: float) -> Self:  # noqa: ARG002 - for backends that can wait less
        return self

    @contextmanager
    def _observed(self, operation: str) -> Iterator[None]:
        start, outcome = time.perf_counter(), "error"
        try:
            yield
            outcome = "ok"
        except KisError as error:
            outcome = error.notices[0].code
            raise
        finally:
            self._observe(operation, outcome, time.perf_counter() - start)

    @abstractmethod
    def _create(self, key: str, data: bytes, media_type: str, /) -> bool:
        """Store a new file; return False, and change nothing, if the key is taken."""

    @abstractmethod
    def _replace(self, key: str, data: bytes, media_type: str, /) -> None:
        """Store a file in place of what the key holds."""

    @abstractmethod
    def _read(self, key: str) -> bytes:
        """Return the bytes as they are; STORAGE_MISSING if there are none."""

    @abstractmethod
    def _link(self, key: str, ttl_sec: int, filename: str | None) -> str:
        """Return a link to a file; STORAGE_MISSING if there is none."""

    @abstractmethod
    def _follow(self, link: str) -> bytes:
        """Return what somebody who has the link downloads."""

    @abstractmethod
    def _listed(self, folder: str) -> Iterator[str]:
        """Yield the names below a folder, which is empty or ends with a slash."""

    @abstractmethod
    def _remove(self, keys: list[str]) -> set[str]:
        """Remove files; return the keys of those that were there."""
