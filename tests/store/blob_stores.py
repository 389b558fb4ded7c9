"""The two stores as tests see them: the backend, and a hand behind its back."""

import hashlib
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from tests.store.storage_server import StorageServer

from kis_estimator.errors import KisError, Locale
from kis_estimator.store.blobs import BlobBackend, blob_key
from kis_estimator.store.local_blobs import FILES_PATH, LocalBlobs
from kis_estimator.store.supabase_blobs import SupabaseBlobs

BUCKET = "evidence"
SIZE_LIMIT = 2_000_000
TYPES = ("application/json", "application/pdf")
JSON = TYPES[0]


def key_of(data: bytes) -> str:
    return blob_key(uuid4(), hashlib.sha256(data).hexdigest())


def code_of(call: Callable[..., object], *args: object) -> str:
    """Return the code that a call is refused with; it can be said in both languages."""
    with pytest.raises(KisError) as caught:
        call(*args)
    locales: tuple[Locale, ...] = ("ko-KR", "en-US")
    assert all(caught.value.notices[0].explained(locale) for locale in locales)
    return caught.value.notices[0].code


class Store(ABC):
    """A backend with what it reported, and what the suite needs to reach behind it."""

    blobs: BlobBackend

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def observe(self, operation: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.seen.append((operation, outcome))

    @abstractmethod
    def spoil(self, key: str, data: bytes) -> None:
        """Put other bytes in a file's place."""

    @abstractmethod
    def kept(self) -> set[str]:
        """Return everything that lies in the store."""

    @abstractmethod
    def open(self, link: str, ahead_sec: int = 0) -> bytes:
        """Download by a link, so many seconds from now."""

    @abstractmethod
    def foreign(self) -> "Store":
        """Return the store of another installation that has the same files."""


class LocalStore(Store):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.local = LocalBlobs(folder, secrets.token_bytes(32), "", self.observe)
        self.blobs = self.local

    def spoil(self, key: str, data: bytes) -> None:
        (self.folder / key).write_bytes(data)

    def kept(self) -> set[str]:
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix() for path in files}

    def open(self, link: str, ahead_sec: int = 0) -> bytes:
        url = urlsplit(link)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        return self.local.open_link(
            url.path.removeprefix(FILES_PATH),
            int(query["exp"]),
            query.get("name"),
            query["sig"],
            time.time() + ahead_sec,
        )

    def foreign(self) -> Store:
        return LocalStore(self.folder)


class SupabaseStore(Store):
    def __init__(self, server: StorageServer) -> None:
        super().__init__()
        self.server = server
        self.supabase = SupabaseBlobs(server.url, server.service_key, BUCKET, observe=self.observe)
        self.blobs = self.supabase
        self.supabase.ensure_bucket(SIZE_LIMIT, TYPES)
        server.recover()
        self.seen.clear()

    def spoil(self, key: str, data: bytes) -> None:
        self.server.objects[BUCKET, key] = (data, JSON)

    def kept(self) -> set[str]:
        return {key for _, key in self.server.objects}

    def open(self, link: str, ahead_sec: int = 0) -> bytes:
        self.server.clock_ahead_sec = ahead_sec
        url = urlsplit(link)
        return self.supabase._follow(f"{self.server.url}{url.path}?{url.query}")

    def foreign(self) -> Store:
        server = StorageServer(self.server.service_key)
        server.start()
        server.objects = self.server.objects
        return SupabaseStore(server)
