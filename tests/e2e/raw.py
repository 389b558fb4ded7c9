"""Requests byte by byte, as no client library would send them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlsplit

BOUNDARY = "----kis"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def send(url: str, request: bytes | Iterable[bytes], method: str = "POST") -> Answer:
    """Send bytes as they are and read the answer, however much of them is wanted."""
    at = urlsplit(url)
    with socket.create_connection((at.hostname or "", at.port or 0), timeout=30) as connection:
        try:
            for part in [request] if isinstance(request, bytes) else request:
                connection.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has answered already
        response = HTTPResponse(connection, method=method)
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())


def head(method: str, target: str, token: str | None = None, **fields: object) -> bytes:
    """Return the lines before a body; a field's name has _ for -."""
    lines = [f"{method} {target} HTTP/1.1", "host: kis.test", "connection: close"]
    if token is not None:
        lines.append(f"authorization: Bearer {token}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode("utf-8")


def part(name: str, content: bytes, extra: str = "") -> bytes:
    """Return one part of a form."""
    line = f'content-disposition: form-data; name="{name}"{extra}'
    return f"--{BOUNDARY}\r\n{line}\r\n\r\n".encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    """Return the body of a form."""
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def post(url: str, target: str, token: str, kind: str, body: bytes, **fields: object) -> Answer:
    """Post a body of a type."""
    fields = {"content_type": kind, "content_length": len(body), **fields}
    return send(url, head("POST", target, token, **fields) + body)
