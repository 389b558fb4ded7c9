"""A conformance server: Supabase Storage's REST interface as measured, on 127.0.0.1.

The public keys of the project's authentication stand below the same address.

Statuses, bodies and names are those of the real server behind its gateway (DESIGN, Supabase
facts); the files are in memory. `fail`, `drop`, `truncate`, `damage` spoil the next answers.
"""

import json
import re
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import jwt
from jwt.types import Options

PREFIX = "/storage/v1"
JWKS = "/auth/v1/.well-known/jwks.json"
KEY = re.compile(r"[A-Za-z0-9_/!.*'() &$@=;:+,?-]+")
FOREVER = 1 << 30

# name -> (true status, the older `error`, message)
ERRORS = {
    "NoSuchBucket": (404, "Bucket not found", "Bucket not found"),
    "NoSuchKey": (404, "not_found", "Object not found"),
    "KeyAlreadyExists": (409, "Duplicate", "The resource already exists"),
    "BucketAlreadyExists": (409, "Duplicate", "The resource already exists"),
    "EntityTooLarge": (413, "Payload too large", "The object exceeded the maximum allowed size"),
    "InvalidMimeType": (415, "invalid_mime_type", "mime type is not supported"),
    "AccessDenied": (403, "Unauthorized", "new row violates row-level security policy"),
    "InvalidJWT": (400, "InvalidJWT", '"exp" claim timestamp check failed'),
    "InvalidSignature": (400, "InvalidSignature", "Invalid signature"),
    "InvalidKey": (400, "InvalidKey", "Invalid key"),
    "MissingContentLength": (400, "MissingContentLength", "You must provide the Content-Length"),
    "InvalidRequest": (400, "Error", "headers must have required property 'authorization'"),
    "DatabaseConnectionLimit": (503, "DatabaseConnectionLimit", "Please try again later."),
    "SlowDown": (429, "too_many_connections", "Too many connections issued to the database"),
    "InternalError": (500, "Internal", "Internal Server Error"),
}


@dataclass(frozen=True)
class Request:
    """What a client asked, for tests to look at; header names are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What the server answers; of the body only `sent` bytes, then the connection breaks."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None


class Refused(Exception):  # noqa: N818 - an answer, not a failure
    """An answer that ends the request early."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def told(value: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"content-type": "application/json"})


def refusal(name: str, *, newer: bool = True) -> Reply:
    """Return the answer of an error: HTTP says 400 for all but 500 and 429."""
    true_status, error, message = ERRORS[name]
    body = {"statusCode": str(true_status), "error": error, "message": message}
    if newer:
        body["code"] = name
    return told(body, true_status if true_status in {429, 500} else 400)


class StorageServer:
    """The storage of a Supabase project; `with StorageServer() as server:` serves it.

    `anon_key` is another key of the project, from which row-level security hides everything.
    """

    def __init__(self, service_key: str | None = None) -> None:
        self.service_key = service_key or f"sb_secret_{secrets.token_hex(16)}"
        self.anon_key = f"sb_publishable_{secrets.token_hex(16)}"
        self.url = ""
        self.buckets: dict[str, dict[str, Any]] = {}
        self.objects: dict[tuple[str, str], tuple[bytes, str]] = {}
        self.requests: list[Request] = []
        self.clock_ahead_sec = 0
        self.newer = True  # errors have a `code`
        self.jwks: dict[str, Any] = {"keys": []}  # of the project's authentication
        self.auth: Callable[[Request], Reply] | None = None  # the rest of it
        self._secret = secrets.token_hex(32)
        self._faults: deque[tuple[Callable[[Request], Reply], int]] = deque()
        self._lock = threading.RLock()
        self._connections: set[socket.socket] = set()

    # ---------------------------------------------------------------- running

    def start(self) -> None:
        self._http = _Server(self)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._thread.join()
        for connection in tuple(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._http.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # ---------------------------------------------------------------- faults

    def fail(self, reply: Reply | str, times: int = FOREVER) -> None:
        """Do nothing, and answer so; a name is one of ERRORS."""
        answer = refusal(reply, newer=self.newer) if isinstance(reply, str) else reply
        self._faults.append((lambda _: answer, times))

    def drop(self, times: int = FOREVER) -> None:
        """Do what is asked, then break the connection without an answer."""
        self._faults.append((lambda asked: replace(self._answer(asked), sent=-1), times))

    def truncate(self, times: int = FOREVER) -> None:
        """Break the connection before the last byte of the answer."""
        self._faults.append((self._truncated, times))

    def damage(self, times: int = FOREVER) -> None:
        """Answer with the bytes in reverse."""
        self._faults.append((self._damaged, times))

    def work(self, times: int) -> None:
        """Answer rightly, before the faults that are asked for next."""
        self._faults.append((self._answer, times))

    def recover(self) -> None:
        """Forget the faults, and what was asked before."""
        self._faults.clear()
        self.requests.clear()

    def _truncated(self, asked: Request) -> Reply:
        reply = self._answer(asked)
        return replace(reply, sent=len(reply.body) - 1)

    def _damaged(self, asked: Request) -> Reply:
        reply = self._answer(asked)
        return replace(reply, body=reply.body[::-1])

    # ---------------------------------------------------------------- answering

    def reply(self, asked: Request) -> Reply:
        """Answer a request, or do what the next fault says; keys are another server's matter."""
        if asked.path == JWKS:
            return told(self.jwks)
        if self.auth and asked.path.startswith("/auth/"):
            return self.auth(asked)
        with self._lock:
            self.requests.append(asked)
            answer: Callable[[Request], Reply] = self._answer
            if self._faults:
                answer, times = self._faults.popleft()
                if times > 1:
                    self._faults.appendleft((answer, times - 1))
            return answer(asked)

    def _answer(self, asked: Request) -> Reply:
        try:
            if not asked.path.startswith(PREFIX):
                return Reply(404, b"<html>not found</html>", {"content-type": "text/html"})
            # Objects may have any name: only the first parts of a path tell the operation.
            match asked.method, *asked.path.removeprefix(PREFIX).split("/", 4)[1:]:
                case "GET", "object", "sign", bucket, key:
                    return self._follow(asked, bucket, key)
                case method, *route:
                    return self._operate(asked, method, route, hidden=self._hidden(asked))
        except Refused as refused:
            return refused.reply
        raise AssertionError(asked)

    def _operate(  # noqa: PLR0911 - one line a route
        self, asked: Request, method: str, route: list[str], *, hidden: bool
    ) -> Reply:
        match method, *route:
            case "POST", "bucket":
                return self._make_bucket(json.loads(asked.body), hidden=hidden)
            case "PUT", "bucket", bucket:
                self._bucket(bucket, hidden=hidden).update(json.loads(asked.body))
                return told({"message": "Successfully updated"})
            case "GET", "bucket", bucket:
                return told(self._bucket(bucket, hidden=hidden))
            case "POST", "object", "sign", bucket, key:
                return self._sign(asked, bucket, key, hidden=hidden)
            case "POST", "object", "list", bucket:
                return self._list(json.loads(asked.body), bucket, hidden=hidden)
            case "POST" | "PUT", "object", bucket, *parts if parts:
                return self._upload(asked, bucket, "/".join(parts), hidden=hidden)
            case "GET", "object", bucket, *parts if parts:
                data, media_type = self._object(bucket, "/".join(parts), hidden=hidden)
                return Reply(200, data, {"content-type": media_type})
            case "DELETE", "object", bucket:
                return self._delete(json.loads(asked.body), bucket, hidden=hidden)
        name = f"Route {method}:{asked.path} not found"
        return told({"statusCode": "404", "error": "Not Found", "message": name}, 404)

    def _refuse(self, name: str, message: str | None = None) -> Refused:
        reply = refusal(name, newer=self.newer)
        if message:
            reply = told(json.loads(reply.body) | {"message": message}, reply.status)
        return Refused(reply)

    def _hidden(self, asked: Request) -> bool:
        """Check the key as the gateway and the server do; say if access rules hide all from it."""
        key = asked.headers.get("apikey")
        if key not in {self.service_key, self.anon_key}:
            raise Refused(told({"message": "Invalid API key"}, 401))
        bearer = asked.headers.get("authorization")
        if key.startswith("sb_"):
            if bearer is not None:
                raise self._refuse("AccessDenied", "Invalid Compact JWS")
        elif bearer is None:
            raise self._refuse("InvalidRequest")
        elif bearer != f"Bearer {key}":
            raise self._refuse("AccessDenied", "signature verification failed")
        return key == self.anon_key

    def _bucket(self, bucket: str, *, hidden: bool = False) -> dict[str, Any]:
        if hidden or bucket not in self.buckets:
            raise self._refuse("NoSuchBucket")
        return self.buckets[bucket]

    def _object(self, bucket: str, key: str, *, hidden: bool = False) -> tuple[bytes, str]:
        self._bucket(bucket)
        if hidden or (bucket, key) not in self.objects:
            raise self._refuse("NoSuchKey")
        return self.objects[bucket, key]

    def _make_bucket(self, body: dict[str, Any], *, hidden: bool) -> Reply:
        if hidden:
            raise self._refuse("AccessDenied")
        if body["name"] in self.buckets:
            raise self._refuse("BucketAlreadyExists")
        now = datetime.now(UTC).isoformat()
        absent = {"id": body["name"], "public": False, "owner": "", "created_at": now}
        limits = {"file_size_limit": None, "allowed_mime_types": None, "updated_at": now}
        self.buckets[body["name"]] = absent | limits | body
        return told({"name": body["name"]})

    def _upload(self, asked: Request, bucket: str, key: str, *, hidden: bool) -> Reply:
        if "content-length" not in asked.headers:
            raise self._refuse("MissingContentLength")
        if not KEY.fullmatch(key):
            raise self._refuse("InvalidKey", f"Invalid key: {key}")
        limits = self._bucket(bucket)
        media_type = asked.headers.get("content-type", "application/octet-stream")
        if limits["file_size_limit"] is not None and len(asked.body) > limits["file_size_limit"]:
            raise self._refuse("EntityTooLarge")
        if limits["allowed_mime_types"] and media_type not in limits["allowed_mime_types"]:
            raise self._refuse("InvalidMimeType", f"mime type {media_type} is not supported")
        if hidden:
            raise self._refuse("AccessDenied")
        upsert = asked.method == "PUT" or asked.headers.get("x-upsert") == "true"
        if (bucket, key) in self.objects and not upsert:
            raise self._refuse("KeyAlreadyExists")
        self.objects[bucket, key] = (asked.body, media_type)
        return told({"Id": secrets.token_hex(16), "Key": f"{bucket}/{key}"})

    def _list(self, body: dict[str, Any], bucket: str, *, hidden: bool) -> Reply:
        """List one level below a folder; names are relative to it, a folder has no id."""
        folder = body["prefix"].rstrip("/") + "/" if body["prefix"] else ""
        keys = [key for home, key in self.objects if home == bucket and not hidden]
        below = sorted({key[len(folder) :] for key in keys if key.startswith(folder)})
        first = dict.fromkeys(name.split("/")[0] for name in below)
        listed = [{"name": name, "id": name if name in below else None} for name in first]
        start = body.get("offset", 0)
        return told(listed[start : start + body.get("limit", 100)])

    def _delete(self, body: dict[str, Any], bucket: str, *, hidden: bool) -> Reply:
        found = [key for key in body["prefixes"] if (bucket, key) in self.objects and not hidden]
        for key in found:
            del self.objects[bucket, key]
        return told([{"name": key, "bucket_id": bucket} for key in found])

    def _now(self) -> int:
        return int(time.time()) + self.clock_ahead_sec

    def _sign(self, asked: Request, bucket: str, key: str, *, hidden: bool) -> Reply:
        self._object(bucket, key, hidden=hidden)
        seconds = json.loads(asked.body)["expiresIn"]
        claims = {"url": f"{bucket}/{key}", "iat": self._now(), "exp": self._now() + seconds}
        token = jwt.encode(claims, self._secret, "HS256")
        return told({"signedURL": f"/object/sign/{bucket}/{key}?token={token}"})

    def _follow(self, asked: Request, bucket: str, key: str) -> Reply:
        try:
            token = asked.query.get("token", "")
            # By this server's own clock, below
            unchecked: Options = {"verify_exp": False, "verify_iat": False}
            claims = jwt.decode(token, self._secret, ["HS256"], unchecked)
        except jwt.InvalidTokenError:
            raise self._refuse("InvalidJWT", "signature verification failed") from None
        if claims["exp"] <= self._now():
            raise self._refuse("InvalidJWT")
        if claims["url"] != f"{bucket}/{key}":
            raise self._refuse("InvalidSignature")
        data, media_type = self._object(bucket, key)
        headers = {"content-type": media_type}
        if "download" in asked.query:
            name = quote(asked.query["download"])
            headers["content-disposition"] = f"attachment; filename={name}; filename*=UTF-8''{name}"
        return Reply(200, data, headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # `server_close` waits for them: none outlives its test

    def __init__(self, storage: StorageServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.storage = storage

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.storage._connections.add(self.connection)

    def finish(self) -> None:
        self.server.storage._connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        """Print nothing."""

    def _serve(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        asked = Request(self.command, unquote(url.path), query, headers, body)
        reply = self.server.storage.reply(asked)
        if reply.sent == -1:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body[: reply.sent])
        if reply.sent is not None:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - http.server's names
