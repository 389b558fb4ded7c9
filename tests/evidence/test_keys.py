"""Signing keys: made once, kept closed, never shown."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from kis_estimator.errors import KisError
from kis_estimator.evidence import layout
from kis_estimator.evidence.keys import load_public_key, load_signing_key, make_keys


def code(error: pytest.ExceptionInfo[KisError]) -> str:
    return error.value.notices[0].code


def test_keys_are_closed_and_nothing_is_overwritten(tmp_path: Path) -> None:
    key, private, public = make_keys(tmp_path / "keys")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert load_signing_key(private).public.key_id == load_public_key(public).key_id == key.key_id
    before = private.read_bytes(), public.read_bytes()
    with pytest.raises(KisError) as error:
        make_keys(tmp_path / "keys")
    assert code(error) == "KEY_EXISTS"
    private.unlink()
    with pytest.raises(KisError):
        make_keys(tmp_path / "keys")
    assert not private.exists()
    assert public.read_bytes() == before[1]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_key_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    _, private, _ = make_keys(tmp_path)
    private.chmod(mode)
    with pytest.raises(KisError) as error:
        load_signing_key(private)
    assert code(error) == "KEY_PERMISSIONS"


def pem(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, password: bytes = b""
) -> bytes:
    closed = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, closed)


def test_other_keys_are_refused_and_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    for data in (
        pem(ec.generate_private_key(ec.SECP256R1())),
        pem(ed25519.Ed25519PrivateKey.generate(), b"password"),
        b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n",
        b"secret",
        b"",
    ):
        path.write_bytes(data)
        path.chmod(0o600)
        for load in (load_signing_key, load_public_key):
            with pytest.raises(KisError) as error:
                load(path)
            assert code(error) == "KEY_INVALID"
            told = f"{error.value.notices} {error.value.__cause__} {error.value}"
            assert "secret" not in told
            assert not any(line in told for line in data.decode().splitlines()[1:-1])
    with pytest.raises(KisError) as error:
        load_signing_key(tmp_path / "none.pem")
    assert code(error) == "KEY_UNREADABLE"


def test_a_signature_is_plain_dsse_that_any_library_can_check(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    _, private, public_path = make_keys(tmp_path)
    sealed = load_signing_key(private).sign(files[layout.MANIFEST], "application/vnd.in-toto+json")
    payload = base64.b64decode(sealed["payload"])
    kind = sealed["payloadType"].encode()
    encoding = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    key = load_pem_public_key(public_path.read_bytes())
    assert isinstance(key, ed25519.Ed25519PublicKey)
    key.verify(base64.b64decode(sealed["signatures"][0]["sig"]), encoding)
    assert payload == files[layout.MANIFEST]


def test_no_file_of_a_pack_holds_the_private_key(
    tmp_path: Path, chain: list[tuple[dict[str, bytes], object]]
) -> None:
    _, private, _ = make_keys(tmp_path)
    signer = load_signing_key(private)
    key = load_pem_private_key(private.read_bytes(), None)
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    secret = key.private_bytes_raw()
    sealed = json.dumps(signer.sign(chain[0][0][layout.MANIFEST], "x"))
    for form in (secret.hex(), base64.b64encode(secret).decode()):
        assert form not in sealed
        assert form not in repr(signer)
