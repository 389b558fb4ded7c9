"""Blobs in a private bucket of Supabase Storage, over its REST interface.

The server answers nearly every error with HTTP 400 and tells the true status, as a string, and a
name in the body; a gateway in front of it answers in its own ways. Only what may pass is tried
again: 5xx, 429 and a broken connection. Every call may safely be made twice, since a file's key
is the hash of its bytes.
"""

from __future__ import annotations

import copy
import email.utils
import itertools
import json
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import quote

import httpx

from kis_estimator.errors import KisError
from kis_estimator.store.blobs import BlobBackend, Observe, unobserved


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait: to connect, for each piece of data, for a call with all its retries."""

    connect_sec: float = 3
    read_sec: float = 10
    total_sec: float = 30


_TIMEOUTS = Timeouts()
_ATTEMPTS = 6
_FIRST_WAIT_SEC, _LONGEST_WAIT_SEC = 0.1, 5.0
_DELETED_AT_ONCE = 500  # the server refuses long lists
_LISTED_AT_ONCE = 1000
_TOO_MANY = 429
_PASSING = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError)
_RANDOM = secrets.SystemRandom()

_EXISTS = frozenset(
    {"Duplicate", "KeyAlreadyExists", "ResourceAlreadyExists", "BucketAlreadyExists"}
)
_BY_NAME = {
    "NoSuchBucket": "STORAGE_BUCKET",
    "Bucket not found": "STORAGE_BUCKET",  # the name where an older server has no `code`
    "NoSuchKey": "STORAGE_MISSING",
    "not_found": "STORAGE_MISSING",
    "InvalidKey": "STORAGE_KEY",
    "InvalidSignature": "LINK_INVALID",
    "InvalidJWT": "LINK_EXPIRED",
    "ExpiredToken": "LINK_EXPIRED",
}
_BY_STATUS = {
    401: "STORAGE_DENIED",
    403: "STORAGE_DENIED",
    413: "STORAGE_TOO_LARGE",
    415: "STORAGE_TYPE",
}


@dataclass(frozen=True, slots=True)
class _Answer:
    """The body of an answer; its true status, and the error's name if it is one that we know."""

    status: int
    body: bytes
    name: str = ""
    retry_after_sec: float = 0

    @property
    def good(self) -> bool:
        return httpx.codes.is_success(self.status)

    @property
    def passing(self) -> bool:
        return self.status >= httpx.codes.INTERNAL_SERVER_ERROR or self.status == _TOO_MANY

    def json(self, shape: type[Any]) -> Any:  # noqa: ANN401 - JSON from outside
        """Return the body of a good answer as a value of the shape that it has to have."""
        try:
            value = json.loads(self.body)
        except ValueError:
            value = None
        if not isinstance(value, shape):
            raise _unavailable("unexpected answer")
        return value


class SupabaseBlobs(BlobBackend):
    """The files in one bucket of a Supabase project, with the project's secret key."""

    def __init__(
        self,
        url: str,
        service_key: str,
        bucket: str,
        *,
        timeouts: Timeouts = _TIMEOUTS,
        transport: httpx.BaseTransport | None = None,
        observe: Observe = unobserved,
    ) -> None:
        super().__init__(observe)
        if not re.fullmatch(r"[!-~]+", service_key):  # else it would be quoted in an error
            raise ValueError("the secret key has characters that no header may have")
        self._base = url.rstrip("/") + "/storage/v1"
        self._bucket = bucket
        self._in_bucket = quote(bucket, safe="")
        # The newer keys are no tokens: the server would refuse one as a bearer.
        self._auth = {"apikey": service_key}
        if not service_key.startswith("sb_"):
            self._auth["authorization"] = f"Bearer {service_key}"
        self._timeouts = timeouts
        self._client = httpx.Client(transport=transport)

    def close(self) -> None:
        """Let go of connections and threads."""
        super().close()
        self._client.close()

    def ensure_bucket(self, size_limit: int, mime_types: Iterable[str]) -> None:
        """Create the private bucket, or see that it is private and has these limits.

        A bucket that exists is never changed: what a public one holds is out already, and limits
        are somebody's decision.
        """
        types = sorted(mime_types)
        asked = {
            "id": self._bucket,
            "name": self._bucket,
            "public": False,
            "file_size_limit": size_limit,
            "allowed_mime_types": types,
        }
        with self._observed("bucket"):
            answer = self._post("/bucket", asked)
            if answer.name not in _EXISTS:
                self._checked(answer)
                return
            answer = self._call("GET", f"{self._base}/bucket/{self._in_bucket}", self._auth)
            found = self._checked(answer).json(dict)
            if found.get("public") is not False:
                raise KisError.of("STORAGE_BUCKET_PUBLIC", bucket=self._bucket)
            limits = (found.get("file_size_limit"), sorted(found.get("allowed_mime_types") or ()))
            if limits != (size_limit, types):
                raise KisError.of(
                    "STORAGE_BUCKET_DIFFERS", bucket=self._bucket, size=size_limit, types=types
                )

    def _create(self, key: str, data: bytes, media_type: str, /) -> bool:
        answer = self._upload(key, data, media_type, upsert=False)
        if answer.name in _EXISTS:
            return False
        self._checked(answer, key)
        return True

    def _replace(self, key: str, data: bytes, media_type: str, /) -> None:
        self._checked(self._upload(key, data, media_type, upsert=True), key)

    def _upload(self, key: str, data: bytes, media_type: str, *, upsert: bool) -> _Answer:
        headers = {"content-type": media_type, "x-upsert": str(upsert).lower()}
        return self._call("POST", self._object(key), self._auth | headers, data)

    def _read(self, key: str) -> bytes:
        return self._checked(self._call("GET", self._object(key), self._auth), key).body

    def _link(self, key: str, ttl_sec: int, filename: str | None) -> str:
        answer = self._post(f"/object/sign/{self._in_bucket}/{key}", {"expiresIn": ttl_sec})
        signed = self._checked(answer, key).json(dict).get("signedURL")
        if not isinstance(signed, str) or not signed.startswith("/object/sign/"):
            raise _unavailable("unexpected answer")
        download = f"&download={quote(filename, safe='')}" if filename else ""
        return f"{self._base}{signed}{download}"

    def _follow(self, link: str) -> bytes:
        return self._checked(self._call("GET", link, {})).body

    def _listed(self, folder: str) -> Iterator[str]:
        """List one level at a time, as the server does; a folder has no id."""
        for start in itertools.count(0, _LISTED_AT_ONCE):
            page = {"limit": _LISTED_AT_ONCE, "offset": start, "sortBy": {"column": "name"}}
            answer = self._post(f"/object/list/{self._in_bucket}", {"prefix": folder, **page})
            found = self._checked(answer).json(list)
            for item in found:
                name = f"{folder}{item['name']}"
                if item["id"] is None:
                    yield from self._listed(f"{name}/")
                else:
                    yield name
            if len(found) < _LISTED_AT_ONCE:
                return

    def _remove(self, keys: list[str]) -> set[str]:
        removed: set[str] = set()
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            batch = {"prefixes": keys[start : start + _DELETED_AT_ONCE]}
            answer = self._post(f"/object/{self._in_bucket}", batch, "DELETE")
            gone = self._checked(answer).json(list)
            removed.update(item["name"] for item in gone if isinstance(item, dict))
        return removed

    def _within(self, timeout_sec: float) -> Self:
        hurried = copy.copy(self)
        total_sec = min(timeout_sec, self._timeouts.total_sec)
        hurried._timeouts = replace(self._timeouts, total_sec=total_sec)  # noqa: SLF001 - our own copy
        return hurried

    def _object(self, key: str) -> str:
        return f"{self._base}/object/{self._in_bucket}/{key}"

    def _post(self, path: str, body: Mapping[str, object], method: str = "POST") -> _Answer:
        headers = self._auth | {"content-type": "application/json"}
        return self._call(method, self._base + path, headers, json.dumps(body).encode())

    def _checked(self, answer: _Answer, key: str = "") -> _Answer:
        """Return a good answer, raise what another one means."""
        if answer.good:
            return answer
        code = _BY_NAME.get(answer.name) or _BY_STATUS.get(answer.status)
        if code is None:
            raise _unavailable(f"HTTP {answer.status}")
        raise KisError.of(code, key=key, bucket=self._bucket)

    def _call(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None = None
    ) -> _Answer:
        """Return the answer that stands, after the retries that the time allows."""
        deadline = time.monotonic() + self._timeouts.total_sec
        for attempt in itertools.count(1):
            wait = _RANDOM.uniform(0, min(_FIRST_WAIT_SEC * 2**attempt, _LONGEST_WAIT_SEC))
            try:
                answer = self._once(deadline, method, url, headers, content)
                if not answer.passing:
                    return answer
                reason = f"HTTP {answer.status}"
                wait += answer.retry_after_sec
            except _PASSING as error:
                reason = type(error).__name__
            except httpx.HTTPError as error:
                raise _unavailable(type(error).__name__) from error
            if attempt == _ATTEMPTS or time.monotonic() + wait >= deadline:
                raise _unavailable(reason)
            time.sleep(wait)
        raise AssertionError  # the count has no end

    def _once(
        self,
        deadline: float,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
    ) -> _Answer:
        """Send one request; read piece by piece, so that a slow answer can't outlast the time."""
        left = max(deadline - time.monotonic(), 0.001)
        timeout = httpx.Timeout(
            min(left, self._timeouts.read_sec), connect=min(left, self._timeouts.connect_sec)
        )
        call = self._client.stream(method, url, headers=headers, content=content, timeout=timeout)
        with call as response:
            body = bytearray()
            for piece in response.iter_bytes():
                body += piece
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the time for the call is over")
            return _answer(response, bytes(body))


def _answer(response: httpx.Response, body: bytes) -> _Answer:
    """Read what an answer says about itself; only names that we know are taken over."""
    status, name = response.status_code, ""
    if not response.is_success:
        try:
            told = json.loads(body)
        except ValueError:  # a gateway's page
            told = None
        if isinstance(told, dict):
            true_status = re.fullmatch(r"[45][0-9]{2}", str(told.get("statusCode")))
            status = int(true_status[0]) if true_status else status
            names = (told.get("code"), told.get("error"))
            name = next((n for n in names if n in _EXISTS or n in _BY_NAME), "")
    return _Answer(status, body, name, _seconds(response.headers.get("retry-after", "")))


def _seconds(retry_after: str) -> float:
    """Return the seconds of a Retry-After header, which is a number or a date."""
    if re.fullmatch(r"[0-9]+", retry_after):
        return float(retry_after)
    try:
        moment = email.utils.parsedate_to_datetime(retry_after)
    except ValueError:
        return 0
    return max(moment.timestamp() - time.time(), 0)


def _unavailable(reason: str) -> KisError:
    return KisError.of("STORAGE_UNAVAILABLE", reason=reason)
