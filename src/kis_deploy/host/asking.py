"""Asks a colour, or the proxy, how it is."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException
from typing import Any

from kis_deploy.host.state import State

_SEC = 10
_READINESS = ("status", "db", "storage", "traceId")
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def proxy_address(state: State) -> tuple[str, int]:
    """Return where this host reaches its own proxy."""
    return _EVERYWHERE.get(state.bind, state.bind), state.proxy_port


def status_of(host: str, port: int, path: str) -> int | None:
    """Return the status of an answer, None where there is none."""
    return _get(host, port, path)[0]


def version_of(host: str, port: int) -> str | None:
    """Return the version that answers, None where none does."""
    status, body = _get(host, port, "/healthz")
    return _object(body).get("version") if status == 200 else None  # noqa: PLR2004 - OK


def readiness_of(host: str, port: int) -> tuple[int | None, str]:
    """Return the status of /readyz and what it says of each part; without an answer None."""
    status, body = _get(host, port, "/readyz")
    if status is None:
        return None, ""
    told = _object(body)
    parts = [f"{name} {told[name]}" for name in _READINESS if name in told]
    return status, ", ".join([f"/readyz answered {status}", *parts])


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _get(host: str, port: int, path: str) -> tuple[int | None, bytes]:
    connection = HTTPConnection(host, port, timeout=_SEC)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, HTTPException):
        return None, b""
    finally:
        connection.close()
