"""The signature of a release, checked by openssl: nothing of the release runs before that."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from kis_deploy.problems import Problem
from kis_deploy.runner import Runner

ENVELOPE = "release.dsse.json"
_TYPE = "application/vnd.in-toto+json"


def check_signature(folder: Path, public_key: Path, runner: Runner) -> list[Problem]:
    """Return what is wrong with a release's envelope: signature, and what it says of SHA256SUMS.

    The envelope is DSSE; it is valid where one of its signatures is the key owner's (Ed25519), and
    its payload, an in-toto statement, has the SHA-256 of SHA256SUMS as a subject.
    """
    try:
        envelope = json.loads((folder / ENVELOPE).read_bytes())
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = [base64.b64decode(s["sig"], validate=True) for s in envelope["signatures"]]
        kind = envelope["payloadType"]
        subjects = {s["name"]: s["digest"]["sha256"] for s in json.loads(payload)["subject"]}
    except (OSError, ValueError, KeyError, TypeError):
        return [_problem("is missing or no signature of a release")]
    if kind != _TYPE:
        return [_problem("is the signature of something else")]
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    if not any(_accepts(public_key, signed, signature, runner) for signature in signatures):
        return [_problem("was not made with the key that KIS_RELEASE_PUBLIC_KEY names")]
    sums = hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest()
    if subjects.get("SHA256SUMS") != sums:
        return [_problem("belongs to another SHA256SUMS")]
    return []


def _accepts(public_key: Path, signed: bytes, signature: bytes, runner: Runner) -> bool:
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "signed").write_bytes(signed)
        (folder / "signature").write_bytes(signature)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public_key)]
        files = ["-rawin", "-in", str(folder / "signed"), "-sigfile", str(folder / "signature")]
        return runner.run([*command, *files]).code == 0


def _problem(cause: str) -> Problem:
    return Problem(ENVELOPE, cause, "Fetch the release again, or check which key it was cut with")
