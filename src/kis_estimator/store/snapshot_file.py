"""The encrypted file of a snapshot, and the key file that opens it.

AES-256-GCM over chunks, so that a database of any size is streamed. Each chunk's nonce holds its
number and whether it is the last: none can be changed, left out, moved or taken from another file
without notice. Every file has a key of its own, derived from a random salt in its head.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kis_estimator.errors import KisError

_MAGIC = b"KIS snapshot v1\n"
_SALT_BYTES = 32
_HEAD_BYTES = len(_MAGIC) + _SALT_BYTES
_KEY_BYTES = 32
_CHUNK, _TAG_BYTES = 1 << 18, 16
_LONGEST_KEY_FILE = 1024


class Source(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """Return that many bytes; fewer at the end alone."""


class SnapshotKey:
    """The key of an installation's snapshots; what it is used for is derived from it."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != _KEY_BYTES:
            raise ValueError("a key has 32 bytes")
        self._secret = secret

    @property
    def id(self) -> str:
        """What a snapshot names its key by; the key cannot be told from it."""
        return self._derived(b"id", b"")[:8].hex()

    def sign(self, data: bytes) -> str:
        """Return what proves that somebody with this key wrote the bytes."""
        return hmac.digest(self._derived(b"about", b""), data, "sha256").hex()

    def encrypted(self, source: Source, name: str) -> Iterator[bytes]:
        """Yield the encrypted file of a stream that belongs to a snapshot of this name."""
        head = _MAGIC + os.urandom(_SALT_BYTES)
        yield head
        cipher, label = self._cipher(head), head + name.encode()
        chunk, number, last = source.read(_CHUNK), 0, False
        while not last:
            following = source.read(_CHUNK)
            last = not following
            yield cipher.encrypt(_nonce(number, last=last), chunk, label)
            chunk, number = following, number + 1

    def decrypted(self, source: Source, name: str) -> Iterator[bytes]:
        """Yield what was encrypted, each chunk authenticated. Raises SNAPSHOT_DAMAGED.

        Whether something is missing at the end is known at the end alone.
        """
        head = source.read(_HEAD_BYTES)
        if len(head) != _HEAD_BYTES or not head.startswith(_MAGIC):
            raise KisError.of("SNAPSHOT_DAMAGED", id=name)
        cipher, label = self._cipher(head), head + name.encode()
        chunk, number, last = source.read(_CHUNK + _TAG_BYTES), 0, False
        while not last:
            following = source.read(_CHUNK + _TAG_BYTES)
            last = not following
            try:
                yield cipher.decrypt(_nonce(number, last=last), chunk, label)
            except InvalidTag:
                raise KisError.of("SNAPSHOT_DAMAGED", id=name) from None
            chunk, number = following, number + 1

    def _cipher(self, head: bytes) -> AESGCM:
        return AESGCM(self._derived(b"file", head))

    def _derived(self, purpose: bytes, salt: bytes) -> bytes:
        return HKDF(SHA256(), _KEY_BYTES, salt, b"kis snapshot " + purpose).derive(self._secret)


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


# ---------------------------------------------------------------- the key file


def load_key(path: Path) -> SnapshotKey:
    """Read a key file that its owner alone can read.

    Raises SNAPSHOT_KEY_UNREADABLE, SNAPSHOT_KEY_OPEN or SNAPSHOT_KEY_FORMAT; no error shows it.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(_LONGEST_KEY_FILE).strip()
    except OSError as error:
        raise KisError.of(
            "SNAPSHOT_KEY_UNREADABLE", path=str(path), reason=error.strerror
        ) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KisError.of("SNAPSHOT_KEY_OPEN", path=str(path), mode=f"{mode:04o}")
    secret = _secret(text)
    if secret is None:
        raise KisError.of("SNAPSHOT_KEY_FORMAT", path=str(path))
    return SnapshotKey(secret)


def make_key(path: Path) -> SnapshotKey:
    """Write a new key file; an existing one is never replaced. Raises SNAPSHOT_KEY_EXISTS."""
    secret = os.urandom(_KEY_BYTES)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            _write_down(file, secret.hex().encode() + b"\n")
    except FileExistsError:
        raise KisError.of("SNAPSHOT_KEY_EXISTS", path=str(path)) from None
    except OSError as error:
        raise KisError.of("SNAPSHOT_WRITE", path=str(path), reason=error.strerror) from error
    return SnapshotKey(secret)


def _write_down(file: IO[bytes], data: bytes) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def _secret(text: bytes) -> bytes | None:
    """Return the key that a file's text is, in hexadecimal or base64."""
    if re.fullmatch(rb"[0-9A-Fa-f]{64}", text):
        return bytes.fromhex(text.decode())
    try:
        secret = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return secret if len(secret) == _KEY_BYTES else None
