"""The public keys of an authentication server, fetched seldom and never on behalf of a forger."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping

import httpx
import jwt

from kis_estimator.errors import KisError

FRESH_SEC = 600
COOL_DOWN_SEC = 30  # between fetches for a key that is not there
RETRY_SEC = 5  # after a fetch that failed
_TIMEOUT_SEC = 3.0
_MIN_RSA_BITS = 2048


class Jwks:
    """The signing keys at `url` by `kid`, each bound to the one algorithm of its type.

    Known keys keep working while the server is down: a stale set is better than none.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._loaded_at = self._tried_at = float("-inf")

    def at_hand(self, kid: str) -> bool:
        """Return whether `key` answers without a look at the network."""
        return kid in self._keys and time.monotonic() - self._loaded_at < FRESH_SEC

    def key(self, kid: str) -> jwt.PyJWK | None:
        """Return a key, or None where the server has none of that name.

        Raises AUTH_UNAVAILABLE where nobody can tell. One thread fetches; the others wait only for
        a key that is not known yet.
        """
        if not self.at_hand(kid) and self._lock.acquire(blocking=kid not in self._keys):
            try:
                if self._may_fetch():
                    self._fetch()
            finally:
                self._lock.release()
        found = self._keys.get(kid)
        if found is None and self._failed:
            raise KisError.of("AUTH_UNAVAILABLE")
        return found

    @property
    def _failed(self) -> bool:
        return self._loaded_at < self._tried_at

    def _may_fetch(self) -> bool:
        pause = RETRY_SEC if self._failed else COOL_DOWN_SEC
        return time.monotonic() - self._tried_at >= pause

    def _fetch(self) -> None:
        self._tried_at = now = time.monotonic()
        try:
            answer = httpx.get(self._url, timeout=_TIMEOUT_SEC)
            answer.raise_for_status()
            keys = dict(_signing_keys(answer.json()["keys"]))
        except (httpx.HTTPError, ValueError, LookupError, TypeError, AttributeError):
            return  # `_failed` says so to whoever needs a key that is not here
        self._keys, self._loaded_at = keys, now


def _signing_keys(entries: Iterable[Mapping[str, object]]) -> Iterable[tuple[str, jwt.PyJWK]]:
    """Yield the public signing keys that tokens may name; others of the set are not for tokens."""
    for entry in entries:
        algorithm = {"EC": "ES256", "RSA": "RS256"}.get(str(entry.get("kty")))
        kid = entry.get("kid")
        if (
            algorithm is None
            or not isinstance(kid, str)
            or entry.get("use", "sig") != "sig"
            or entry.get("alg", algorithm) != algorithm
        ):
            continue
        try:
            key = jwt.PyJWK(dict(entry), algorithm)
        except jwt.PyJWTError:
            continue  # a damaged key, or one on another curve
        if algorithm == "ES256" or key.key.key_size >= _MIN_RSA_BITS:
            yield kid, key
