"""Ed25519 keys in PEM files; imported only where something is signed or checked."""

from __future__ import annotations

import copy
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]

from kis_estimator.errors import KisError
from kis_estimator.evidence.canonical import Json

PRIVATE, PUBLIC = "kis-signing-key.pem", "kis-signing-key.pub.pem"
_KEY_LIMIT = 64 << 10
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Signs envelopes; its private half is never shown."""

    _signer: CryptoSigner

    def sign(self, payload: bytes, payload_type: str) -> Json:
        """Return the DSSE envelope of a payload as JSON."""
        envelope = Envelope(payload, payload_type, {})
        envelope.sign(self._signer)
        return envelope.to_dict()

    @property
    def public(self) -> PublicKey:
        """Return the public half."""
        return PublicKey(self._signer.public_key)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Checks envelopes."""

    _key: SSlibKey

    @property
    def key_id(self) -> str:
        """Return the id of the key."""
        return self._key.keyid

    def accepts(self, envelope: Json) -> bool:
        """Return whether the key's owner signed the envelope."""
        try:
            Envelope.from_dict(copy.deepcopy(envelope)).verify([self._key], 1)
        except (VerificationError, AttributeError, KeyError, TypeError, ValueError):
            return False
        return True


def load_signing_key(path: Path) -> SigningKey:
    """Read a private key. Raises KEY_UNREADABLE, KEY_PERMISSIONS or KEY_INVALID.

    A key that the group or others may touch is refused, as ssh does.
    """
    data = _read(path, private=True)
    try:
        key = load_pem_private_key(data, None)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise KisError.of("KEY_INVALID", path=str(path)) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KisError.of("KEY_INVALID", path=str(path))
    return SigningKey(CryptoSigner(key))


def load_public_key(path: Path) -> PublicKey:
    """Read a public key. Raises KEY_UNREADABLE or KEY_INVALID."""
    try:
        key = load_pem_public_key(_read(path, private=False))
    except (ValueError, UnsupportedAlgorithm):
        raise KisError.of("KEY_INVALID", path=str(path)) from None
    if not isinstance(key, Ed25519PublicKey):
        raise KisError.of("KEY_INVALID", path=str(path))
    return PublicKey(SSlibKey.from_crypto(key))


def make_keys(folder: Path) -> tuple[PublicKey, Path, Path]:
    """Make a key pair in a folder; return the public key and both paths. Overwrites nothing.

    Raises KEY_EXISTS or FOLDER_UNWRITABLE.
    """
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    paths = folder / PRIVATE, folder / PUBLIC
    made: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, data, mode in zip(paths, (private, public), (0o600, 0o644), strict=True):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
            made.append(path)
            with os.fdopen(handle, "wb") as file:
                os.fchmod(file.fileno(), mode)
                file.write(data)
    except OSError as error:
        for path in made:
            path.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            raise KisError.of("KEY_EXISTS", folder=str(folder)) from None
        raise KisError.of("FOLDER_UNWRITABLE", folder=str(folder), reason=error.strerror) from None
    return PublicKey(SSlibKey.from_crypto(key.public_key())), *paths


def _read(path: Path, *, private: bool) -> bytes:
    try:
        with path.open("rb") as file:
            if private and os.fstat(file.fileno()).st_mode & _OTHERS:
                raise KisError.of("KEY_PERMISSIONS", path=str(path))
            return file.read(_KEY_LIMIT)
    except OSError as error:
        raise KisError.of("KEY_UNREADABLE", path=str(path), reason=error.strerror) from None
