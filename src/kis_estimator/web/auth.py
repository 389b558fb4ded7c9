"""Who calls: bearer tokens of Supabase Auth or of this installation, and its secrets.

The algorithm belongs to the key. What a token's header says only chooses between the secret and
the public keys; it never decides how a signature is checked.
"""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import jwt

from kis_estimator.errors import KisError
from kis_estimator.store.db import Principal, Role
from kis_estimator.web.jwks import Jwks

ROLES: tuple[Role, ...] = get_args(Role)
"""The roles, from the least to the most; each may do what those before it may."""

LOCAL_ISSUER = "kis-estimator"
AUDIENCE = "authenticated"
_LEEWAY_SEC = 10
_MAX_TOKEN = 8192
_REMEMBERED_SEC, _REMEMBERED = 20.0, 1000
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a valid token, until that second since 1970."""

    principal: Principal
    expires_at: int

    def require(self, role: Role) -> Caller:
        """Return the caller. Raises ROLE_REQUIRED where their role is less."""
        if ROLES.index(self.principal.role) < ROLES.index(role):
            raise KisError.of("ROLE_REQUIRED", role=role)
        return self


class Authenticator:
    """Verifies the tokens of one issuer: HS256 by a secret, ES256 and RS256 by its public keys."""

    def __init__(
        self, issuer: str, *, secret: str | bytes | None = None, jwks: Jwks | None = None
    ) -> None:
        self._issuer = issuer
        self._secret = secret
        self._jwks = jwks
        self._verified: dict[str, tuple[float, Caller]] = {}

    @classmethod
    def local(cls, secret: bytes) -> Authenticator:
        """Return the authenticator of tokens that `mint_token` makes."""
        return cls(LOCAL_ISSUER, secret=secret)

    @classmethod
    def supabase(cls, url: str, jwt_secret: str | None) -> Authenticator:
        """Return the authenticator of a Supabase project's tokens."""
        issuer = f"{url}/auth/v1"
        return cls(issuer, secret=jwt_secret, jwks=Jwks(f"{issuer}/.well-known/jwks.json"))

    def may_wait(self, token: str) -> bool:
        """Return whether `verify` may have to ask the authentication server for keys."""
        if self._jwks is None:
            return False
        header = _header(token)
        return not _by_secret(header) and not self._jwks.at_hand(header.get("kid", ""))

    def verify(self, token: str) -> Caller:
        """Return whose token this is; what was verified a moment ago is not verified again.

        Raises TOKEN_INVALID or TOKEN_EXPIRED (401), TOKEN_ORGANISATION or TOKEN_ROLE (403), or
        AUTH_UNAVAILABLE (503).
        """
        now = time.monotonic()
        verified_at, caller = self._verified.get(token, (float("-inf"), None))
        if caller and now - verified_at < _REMEMBERED_SEC and time.time() < caller.expires_at:
            return caller
        caller = self._decoded(token)
        if len(self._verified) >= _REMEMBERED:
            self._verified.clear()
        self._verified[token] = (now, caller)
        return caller

    def _decoded(self, token: str) -> Caller:
        header = _header(token)
        key: str | bytes | jwt.PyJWK | None
        if _by_secret(header):
            key, algorithm = self._secret, "HS256"
        else:
            key = self._jwks.key(header.get("kid", "")) if self._jwks else None
            algorithm = key.algorithm_name if key else ""
        if key is None:
            raise KisError.of("TOKEN_INVALID")
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=AUDIENCE,
                issuer=self._issuer,
                leeway=_LEEWAY_SEC,
                options={"require": ["iss", "aud", "sub", "exp"]},
            )
            return Caller(_principal(claims), int(claims["exp"]))
        except jwt.ExpiredSignatureError:
            raise KisError.of("TOKEN_EXPIRED") from None
        except (jwt.PyJWTError, ValueError, OverflowError, RecursionError):
            raise KisError.of("TOKEN_INVALID") from None


def _by_secret(header: Mapping[str, Any]) -> bool:
    return header.get("alg") == "HS256"


def _header(token: str) -> Mapping[str, Any]:
    if len(token) > _MAX_TOKEN:
        raise KisError.of("TOKEN_INVALID")
    try:
        return jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise KisError.of("TOKEN_INVALID") from None


def _principal(claims: Mapping[str, Any]) -> Principal:
    """Return whom the claims name. Raises ValueError for a subject that is no UUID."""
    user_id = UUID(claims["sub"])
    metadata = claims.get("app_metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    try:
        org_id = UUID(str(metadata.get("org_id")))
    except ValueError:
        raise KisError.of("TOKEN_ORGANISATION") from None
    role = metadata.get("role")
    if role not in ROLES:
        raise KisError.of("TOKEN_ROLE", known=ROLES)
    quarantined = metadata.get("quarantined") is True
    return Principal(org_id=org_id, user_id=user_id, role=role, quarantined=quarantined)


def mint_token(secret: bytes, principal: Principal, ttl_sec: int) -> str:
    """Return a token of this installation for somebody."""
    now = int(time.time())
    claims = {
        "iss": LOCAL_ISSUER,
        "aud": AUDIENCE,
        "sub": str(principal.user_id),
        "iat": now,
        "exp": now + ttl_sec,
        "app_metadata": {"org_id": str(principal.org_id), "role": principal.role},
    }
    return jwt.encode(claims, secret, algorithm="HS256")


def installation_secret(home: Path, name: str) -> bytes:
    """Return a random secret of this installation, made by the first call; 0600 below `home`.

    Raises SECRET_EXPOSED where others can read it, FILE_UNREADABLE where the owner can't.
    """
    path = home / "secrets" / name
    try:
        if not path.exists():
            _create(path)
        if path.stat().st_mode & 0o077:
            raise KisError.of("SECRET_EXPOSED", path=str(path))
        secret = path.read_bytes()
    except OSError as error:
        raise KisError.of(
            "FILE_UNREADABLE", what="secret", path=str(path), reason=error.strerror
        ) from error
    if len(secret) != _SECRET_BYTES:
        raise KisError.of(
            "FILE_UNREADABLE", what="secret", path=str(path), reason=f"{len(secret)} bytes"
        )
    return secret


def _create(path: Path) -> None:
    """Write a new secret whole; of several processes that start at once, one wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(name)
    finally:
        Path(name).unlink()
