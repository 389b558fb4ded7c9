"""Blobs in a folder: written whole or not at all, downloaded by links signed on the spot."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from kis_estimator.errors import KisError
from kis_estimator.store.blobs import BlobBackend, Observe, key_sha256, unobserved

FILES_PATH = "/v1/files/"
"""Where the API serves signed links."""

_SECRET_BYTES = 32
_PARTS = "part"  # no organisation has this name
_STALE_SEC = 3600


class LocalBlobs(BlobBackend):
    """The files below one folder; several processes may share it.

    `secret` signs the links: they are good in every process that has the same secret. `base_url`
    is what the links start with; empty for links relative to the server's own address.
    """

    def __init__(
        self, folder: Path, secret: bytes, base_url: str, observe: Observe = unobserved
    ) -> None:
        super().__init__(observe)
        if len(secret) < _SECRET_BYTES:
            raise ValueError("the secret of links is too short")
        self._folder = folder
        self._secret = secret
        self._prefix = base_url.rstrip("/") + FILES_PATH
        with _disk():
            (folder / _PARTS).mkdir(mode=0o700, parents=True, exist_ok=True)
            for part in (folder / _PARTS).iterdir():
                _drop_if_stale(part)

    def open_link(self, key: str, exp: int, name: str | None, sig: str, now: float) -> bytes:
        """Return the file of a link's parts, at a time in seconds since 1970.

        LINK_INVALID for a link that this installation did not sign so, LINK_EXPIRED for one that
        it did.
        """
        with self._observed("open"):
            return self._opened(key, exp, name, sig, now)

    def _opened(self, key: str, exp: int, name: str | None, sig: str, now: float) -> bytes:
        expected = self._signature(key, exp, name)
        if not hmac.compare_digest(expected.encode(), sig.encode(errors="replace")):
            raise KisError.of("LINK_INVALID")
        if now >= exp:
            raise KisError.of("LINK_EXPIRED")
        return self._verified(key)

    def _signature(self, key: str, exp: int, name: str | None) -> str:
        signed = json.dumps(["kis file link", key, exp, name or ""]).encode()
        return hmac.new(self._secret, signed, hashlib.sha256).hexdigest()

    def _path(self, key: str) -> Path:
        key_sha256(key)
        return self._folder / key

    def _create(self, key: str, data: bytes, media_type: str, /) -> bool:
        path = self._path(key)
        with _disk():
            if path.exists():
                # Whoever wrote it may have been stopped before its folder entry was on disk.
                self._settle(path)
                return False
        self._replace(key, data, media_type)
        return True

    def _replace(self, key: str, data: bytes, _media_type: str, /) -> None:
        """Write beside, then rename: no reader and no crash ever meets half a file.

        The type is not kept: who serves a local link knows it by the document's name.
        """
        path = self._path(key)
        with _disk():
            # Not `parents`: a store that was unmounted must not be begun anew below its mount.
            path.parent.parent.mkdir(mode=0o700, exist_ok=True)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder / _PARTS, delete=False) as part:
                try:
                    part.write(data)
                    part.flush()
                    os.fsync(part.fileno())
                    Path(part.name).replace(path)
                except BaseException:
                    Path(part.name).unlink(missing_ok=True)
                    raise
            self._settle(path)

    def _settle(self, path: Path) -> None:
        for folder in (path.parent, path.parent.parent, self._folder):
            _sync(folder)

    def _read(self, key: str) -> bytes:
        path = self._path(key)
        with _disk():
            try:
                return path.read_bytes()
            except FileNotFoundError:
                self._folder.stat()  # a store that is gone is not a file that is missing
                raise KisError.of("STORAGE_MISSING", key=key) from None

    def _link(self, key: str, ttl_sec: int, filename: str | None) -> str:
        path = self._path(key)
        with _disk():
            self._folder.stat()
            if not path.exists():
                raise KisError.of("STORAGE_MISSING", key=key)
        exp = int(time.time()) + ttl_sec
        query = {"exp": str(exp), "name": filename, "sig": self._signature(key, exp, filename)}
        given = {name: value for name, value in query.items() if value}
        return f"{self._prefix}{key}?{urlencode(given, quote_via=quote)}"

    def _follow(self, link: str) -> bytes:
        parts = urlsplit(link.removeprefix(self._prefix))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        return self._opened(
            parts.path, int(query["exp"]), query.get("name"), query["sig"], time.time()
        )

    def _listed(self, folder: str) -> Iterator[str]:
        with _disk():
            for path in sorted((self._folder / folder).iterdir()):
                name = f"{folder}{path.name}"
                if path.is_dir() and name != _PARTS:
                    yield from self._listed(f"{name}/")
                elif path.is_file():
                    yield name

    def _remove(self, keys: list[str]) -> set[str]:
        removed = set()
        with _disk():
            self._folder.stat()
            for key in keys:
                path = self._path(key)
                try:
                    path.unlink()
                except FileNotFoundError:
                    continue
                _sync(path.parent)
                removed.add(key)
        return removed


@contextmanager
def _disk() -> Iterator[None]:
    """Turn what the file system refuses into the error of a store; no path is told."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        raise KisError.of("STORAGE_UNAVAILABLE", reason=reason) from error


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _drop_if_stale(part: Path) -> None:
    """Remove what a writer that was killed left behind; a writer at work is younger."""
    try:
        if time.time() - part.stat().st_mtime > _STALE_SEC:
            part.unlink()
    except FileNotFoundError:
        return  # its writer, or another process that starts, was quicker
