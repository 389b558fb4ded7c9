"""DSSE envelopes: what is signed, by whom; who signs and checks is a parameter."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Protocol

from kis_estimator.evidence.canonical import Json, canonical, read_object

STATEMENT = "application/vnd.in-toto+json"
RECORD = "application/vnd.kis-estimator.chain+json"
_FIELDS = {"payload": (str,), "payloadType": (str,), "signatures": (list,)}


class Signer(Protocol):
    """Holds a private key."""

    def sign(self, payload: bytes, payload_type: str) -> Json:
        """Return the DSSE envelope of a payload as JSON."""


class Verifier(Protocol):
    """Holds a public key."""

    @property
    def key_id(self) -> str:
        """Return the id of the key."""

    def accepts(self, envelope: Json) -> bool:
        """Return whether the key's owner signed the envelope."""


def seal(payload: bytes, payload_type: str, signer: Signer) -> bytes:
    """Return a signed envelope as canonical JSON."""
    return canonical(signer.sign(payload, payload_type))


def open_envelope(data: bytes, payload_type: str) -> tuple[bytes, dict[str, Any]]:
    """Return the payload and the JSON of an envelope of the wanted type. Raises ValueError.

    Nothing is said here about who signed it.
    """
    envelope = read_object(data, _FIELDS)
    if envelope["payloadType"] != payload_type:
        raise ValueError("payloadType")
    if not envelope["signatures"]:
        raise ValueError("no signature")
    return base64.b64decode(envelope["payload"], validate=True), envelope


def signed_by(envelope: Json, keys: Sequence[Verifier]) -> str | None:
    """Return the id of the first key that accepts an envelope."""
    return next((key.key_id for key in keys if key.accepts(envelope)), None)
