import base64
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from kis_estimator.errors import KisError
from kis_estimator.store.db import Principal
from kis_estimator.web import jwks
from kis_estimator.web.auth import Authenticator, Caller, installation_secret, mint_token

from .conftest import ORG, SECRET, USER, MakeWeb, Web, bearer, token

EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ITEM = f"/v1/test/{UUID(int=5)}"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def ec_jwk(key: ec.EllipticCurvePrivateKey, kid: str, **fields: Any) -> dict[str, Any]:
    return ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": kid, "use": "sig"} | fields


def rsa_jwk(key: rsa.RSAPrivateKey, kid: str) -> dict[str, Any]:
    return RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": kid}


@dataclass
class AuthServer:
    """The key endpoint of Supabase Auth."""

    url: str = ""
    keys: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    body: bytes | None = None
    requests: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def server() -> Iterator[AuthServer]:
    state = AuthServer(keys=[ec_jwk(EC_KEY, "ec-1"), rsa_jwk(RSA_KEY, "rsa-1")])
    state.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append(self.path)
            state.gate.wait(10)
            body = state.body or json.dumps({"keys": state.keys}).encode()
            self.send_response(state.status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield state
        state.gate.set()
        http.shutdown()


@pytest.fixture
def supabase(server: AuthServer) -> Authenticator:
    return Authenticator.supabase(server.url, None)


def claims(issuer: str, **changes: Any) -> dict[str, Any]:
    metadata = {"org_id": str(ORG), "role": "admin"}
    whole = {
        "iss": issuer, "aud": "authenticated", "sub": str(USER), "exp": int(time.time()) + 60,
        "app_metadata": metadata, "role": "authenticated",
    }  # fmt: skip
    return {key: value for key, value in (whole | changes).items() if value is not None}


def signed(
    server: AuthServer, key: Any = EC_KEY, alg: str = "ES256", kid: Any = "ec-1", **changes: Any
) -> str:
    headers = {"kid": kid} if kid is not None else {}
    return jwt.encode(claims(f"{server.url}/auth/v1", **changes), key, alg, headers=headers)


def forged(header: dict[str, Any], server: AuthServer, signature: bytes = b"x") -> str:
    payload = json.dumps(claims(f"{server.url}/auth/v1")).encode()
    return ".".join((b64(json.dumps(header).encode()), b64(payload), b64(signature)))


def refusal(call: Callable[[str], Caller], text: str) -> str:
    with pytest.raises(KisError) as caught:
        call(text)
    return caught.value.notices[0].code


# ---------------------------------------------------------------- public keys


@pytest.mark.parametrize(
    ("key", "alg", "kid"), [(EC_KEY, "ES256", "ec-1"), (RSA_KEY, "RS256", "rsa-1")]
)
def test_public_keys(
    supabase: Authenticator, server: AuthServer, key: Any, alg: str, kid: str
) -> None:
    exp = int(time.time()) + 60
    caller = supabase.verify(signed(server, key, alg, kid, exp=exp))
    assert caller == Caller(Principal(org_id=ORG, user_id=USER, role="admin"), exp)
    assert server.requests == ["/auth/v1/.well-known/jwks.json"]


def test_keys_are_fetched_once(supabase: Authenticator, server: AuthServer) -> None:
    assert supabase.may_wait(signed(server))
    for _ in range(3):
        supabase.verify(signed(server))
    assert not supabase.may_wait(signed(server))
    assert len(server.requests) == 1


def test_many_threads_fetch_once(supabase: Authenticator, server: AuthServer) -> None:
    server.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(supabase.verify, signed(server)) for _ in range(8)]
        server.gate.set()
        assert {caller.result().principal.user_id for caller in found} == {USER}
    assert len(server.requests) == 1


def test_an_unknown_key_is_asked_for_after_the_cool_down(
    supabase: Authenticator, server: AuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    supabase.verify(signed(server))
    new = ec.generate_private_key(ec.SECP256R1())
    server.keys = [ec_jwk(new, "ec-2")]
    assert refusal(supabase.verify, signed(server, new, kid="ec-2")) == "TOKEN_INVALID"
    assert len(server.requests) == 1
    monkeypatch.setattr(jwks, "COOL_DOWN_SEC", 0)
    assert supabase.verify(signed(server, new, kid="ec-2")).principal.user_id == USER
    assert refusal(supabase.verify, signed(server)) == "TOKEN_INVALID"  # the old key is gone


def test_old_keys_serve_while_the_server_is_down(
    supabase: Authenticator, server: AuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    supabase.verify(signed(server))
    monkeypatch.setattr(jwks, "FRESH_SEC", 0)
    monkeypatch.setattr(jwks, "COOL_DOWN_SEC", 0)
    server.status = 500
    assert supabase.verify(signed(server)).principal.user_id == USER
    assert len(server.requests) == 2
    assert refusal(supabase.verify, signed(server, kid="ec-9")) == "AUTH_UNAVAILABLE"
    assert supabase.verify(signed(server)).principal.user_id == USER
    assert len(server.requests) == 2  # not again right after a failure
    monkeypatch.setattr(jwks, "RETRY_SEC", 0)
    server.status = 200
    assert refusal(supabase.verify, signed(server, kid="ec-9")) == "TOKEN_INVALID"


def test_known_keys_do_not_wait_for_a_fetch(
    supabase: Authenticator, server: AuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    supabase.verify(signed(server))
    monkeypatch.setattr(jwks, "COOL_DOWN_SEC", 0)
    server.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        unknown = pool.submit(refusal, supabase.verify, signed(server, kid="ec-9"))
        while len(server.requests) < 2:
            time.sleep(0.01)
        monkeypatch.setattr(jwks, "FRESH_SEC", 0)
        assert supabase.verify(signed(server)).principal.user_id == USER
        assert not unknown.done()
        server.gate.set()
        assert unknown.result() == "TOKEN_INVALID"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"keys": 7}', b'{"keys": [7]}', b"{}"])
def test_a_server_that_talks_nonsense(
    supabase: Authenticator, server: AuthServer, body: bytes
) -> None:
    server.body = body
    assert refusal(supabase.verify, signed(server)) == "AUTH_UNAVAILABLE"


def test_nobody_listens() -> None:
    nobody = Authenticator.supabase("http://127.0.0.1:9", None)
    text = signed(AuthServer("http://127.0.0.1:9"))
    assert refusal(nobody.verify, text) == "AUTH_UNAVAILABLE"


def test_keys_that_are_not_for_tokens(supabase: Authenticator, server: AuthServer) -> None:
    secret = secrets.token_bytes(32)
    other_curve = ec.generate_private_key(ec.SECP384R1())
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - one that is refused
    server.keys = [
        {"kty": "oct", "kid": "oct", "k": b64(secret), "alg": "HS256"},
        ec_jwk(EC_KEY, "enc", use="enc"),
        ec_jwk(EC_KEY, "alg", alg="ES512"),
        ec_jwk(EC_KEY, 7),  # type: ignore[arg-type]
        ec_jwk(other_curve, "p384"),
        rsa_jwk(short, "short"),
        {"kty": "EC", "kid": "broken", "crv": "P-256"},
    ]
    assert refusal(supabase.verify, signed(server, secret, "HS256", "oct")) == "TOKEN_INVALID"
    for kid in ("enc", "alg", "broken"):
        assert refusal(supabase.verify, signed(server, kid=kid)) == "TOKEN_INVALID"
    assert refusal(supabase.verify, signed(server, other_curve, "ES384", "p384")) == "TOKEN_INVALID"
    assert refusal(supabase.verify, forged({"alg": "RS256", "kid": "short"}, server)) == (
        "TOKEN_INVALID"
    )


# ---------------------------------------------------------------- forgeries


def test_public_key_as_a_secret(server: AuthServer) -> None:
    pem = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = b64(json.dumps({"alg": "HS256", "kid": "rsa-1"}).encode())
    payload = b64(json.dumps(claims(f"{server.url}/auth/v1")).encode())
    algorithm = jwt.get_algorithm_by_name("HS256")
    signature = algorithm.sign(f"{header}.{payload}".encode(), pem)  # as a forger's own code would
    text = f"{header}.{payload}.{b64(signature)}"
    for secret in (None, secrets.token_hex(32)):
        assert refusal(Authenticator.supabase(server.url, secret).verify, text) == "TOKEN_INVALID"


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "None", "kid": "ec-1"},
        {"alg": "none", "kid": "ec-1"},
        {"alg": "ES256"},
        {"alg": "ES256", "kid": None},
        {"alg": "ES256", "kid": 1},
        {"alg": "ES256", "kid": ["ec-1"]},
        {"alg": "ES256", "kid": "../../secrets"},
        {"alg": "ES256", "kid": "ec-1", "crit": ["exp"]},
        {"alg": "ES256", "kid": "ec-1", "crit": ["b64"], "b64": False},
        {"alg": "RS256", "kid": "ec-1"},
        {"alg": ["ES256"], "kid": "ec-1"},
        {"kid": "ec-1"},
        {"alg": "HS256", "kid": "ec-1"},
        {"alg": "ES256", "kid": "none", "jku": "http://127.0.0.1:1/keys"},
    ],
)
def test_forged_headers(supabase: Authenticator, server: AuthServer, header: Any) -> None:
    assert refusal(supabase.verify, forged(header, server, b"")) == "TOKEN_INVALID"
    assert refusal(supabase.verify, forged(header, server, b"x" * 64)) == "TOKEN_INVALID"


def test_a_key_in_the_token_is_not_used(supabase: Authenticator, server: AuthServer) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    text = jwt.encode(
        claims(f"{server.url}/auth/v1"), own, "ES256", headers={"jwk": ec_jwk(own, "ec-1")}
    )
    assert refusal(supabase.verify, text) == "TOKEN_INVALID"


def test_crit_of_a_good_token(supabase: Authenticator, server: AuthServer) -> None:
    text = jwt.encode(
        claims(f"{server.url}/auth/v1"),
        EC_KEY,
        "ES256",
        headers={"kid": "ec-1", "crit": ["exp"]},
    )
    assert refusal(supabase.verify, text) == "TOKEN_INVALID"


@pytest.mark.parametrize(
    "text",
    ["", "x", "a.b", "a.b.c", "...", "한글.한글.한글", "é" * 20, "e30.e30.e30"],
)
def test_no_token_at_all(supabase: Authenticator, text: str) -> None:
    assert refusal(supabase.verify, text) == "TOKEN_INVALID"
    assert refusal(Authenticator.local(SECRET).verify, text) == "TOKEN_INVALID"


def test_a_header_that_is_nested_too_deeply() -> None:
    deep = b64(b'{"alg":' + b"[" * 5000)
    assert refusal(Authenticator.local(SECRET).verify, f"{deep}.e30.x") == "TOKEN_INVALID"


def test_an_oversize_token() -> None:
    text = jwt.encode(claims("kis-estimator", more="x" * 10_000), SECRET, "HS256")
    assert refusal(Authenticator.local(SECRET).verify, text) == "TOKEN_INVALID"


# ---------------------------------------------------------------- secrets and claims


def test_legacy_secret_beside_public_keys(server: AuthServer) -> None:
    secret = secrets.token_hex(32)
    both = Authenticator.supabase(server.url, secret)
    assert both.verify(signed(server, secret, "HS256", "any")).principal.user_id == USER
    assert server.requests == []
    assert both.verify(signed(server)).principal.user_id == USER
    assert refusal(both.verify, signed(server, secrets.token_hex(32), "HS256")) == "TOKEN_INVALID"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"iss": "https://elsewhere/auth/v1"}, "TOKEN_INVALID"),
        ({"iss": None}, "TOKEN_INVALID"),
        ({"aud": "anon"}, "TOKEN_INVALID"),
        ({"aud": None}, "TOKEN_INVALID"),
        ({"sub": None}, "TOKEN_INVALID"),
        ({"sub": "somebody"}, "TOKEN_INVALID"),
        ({"exp": None}, "TOKEN_INVALID"),
        ({"exp": "soon"}, "TOKEN_INVALID"),
        ({"exp": 1e400}, "TOKEN_INVALID"),
        ({"exp": 1}, "TOKEN_EXPIRED"),
        ({"nbf": 2**33}, "TOKEN_INVALID"),
        ({"iat": 2**33}, "TOKEN_INVALID"),
        ({"app_metadata": None}, "TOKEN_ORGANISATION"),
        ({"app_metadata": "admin"}, "TOKEN_ORGANISATION"),
        ({"app_metadata": {"role": "admin"}}, "TOKEN_ORGANISATION"),
        ({"app_metadata": {"role": "admin", "org_id": "mine"}}, "TOKEN_ORGANISATION"),
        ({"app_metadata": None, "user_metadata": {"org_id": str(ORG)}}, "TOKEN_ORGANISATION"),
        ({"app_metadata": {"org_id": str(ORG)}}, "TOKEN_ROLE"),
        ({"app_metadata": {"org_id": str(ORG), "role": "root"}}, "TOKEN_ROLE"),
        ({"app_metadata": {"org_id": str(ORG), "role": ["admin"]}}, "TOKEN_ROLE"),
    ],
)
def test_claims(changes: dict[str, Any], code: str) -> None:
    text = jwt.encode(claims("kis-estimator", **changes), SECRET, "HS256")
    assert refusal(Authenticator.local(SECRET).verify, text) == code


def test_clocks_differ_a_little() -> None:
    assert Authenticator.local(SECRET).verify(token(ttl_sec=-5)).principal.user_id == USER


def test_minted_token() -> None:
    principal = Principal(org_id=ORG, user_id=USER, role="estimator")
    caller = Authenticator.local(SECRET).verify(mint_token(SECRET, principal, 60))
    assert caller.principal == principal
    other = Authenticator.local(secrets.token_bytes(32))
    assert refusal(other.verify, mint_token(SECRET, principal, 60)) == "TOKEN_INVALID"


# ---------------------------------------------------------------- over HTTP


def test_401_without_a_token(web: Web) -> None:
    answer = web("GET", ITEM)
    assert (answer.status_code, answer.json()["code"]) == (401, "AUTH_REQUIRED")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("Basic eDp5", "AUTH_REQUIRED"),
        ("Bearer", "AUTH_REQUIRED"),
        ("Bearer ", "AUTH_REQUIRED"),
        ("Bearer x", "TOKEN_INVALID"),
        ("Bearer \xff", "TOKEN_INVALID"),
    ],
)
def test_401_of_other_headers(web: Web, header: str, code: str) -> None:
    headers = [(b"authorization", header.encode("latin-1"))]
    answer = web("GET", ITEM, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, code)


def test_401_comes_before_a_look_at_the_request(web: Web) -> None:
    assert web("POST", ITEM, json={"nothing": "fits"}).status_code == 401
    assert web("GET", "/v1/test/no-uuid").status_code == 401


def test_expired_token_is_401(web: Web) -> None:
    answer = web("GET", ITEM, headers=bearer(ttl_sec=-60))
    assert (answer.status_code, answer.json()["code"]) == (401, "TOKEN_EXPIRED")


@pytest.mark.parametrize(
    ("role", "statuses"),
    [("viewer", [200, 403, 403]), ("estimator", [200, 200, 403]), ("admin", [200, 200, 200])],
)
def test_roles(web: Web, role: Any, statuses: list[int]) -> None:
    headers = bearer(role)
    answers = [
        web("GET", ITEM, headers=headers),
        web("POST", ITEM, json={"name": "x"}, headers=headers),
        web("DELETE", ITEM, headers=headers),
    ]
    assert [answer.status_code for answer in answers] == statuses
    assert {a.json()["code"] for a in answers if a.status_code == 403} <= {"ROLE_REQUIRED"}


def test_403_of_a_token_without_an_organisation(web: Web) -> None:
    text = jwt.encode(claims("kis-estimator", app_metadata={}), SECRET, "HS256")
    answer = web("GET", ITEM, headers={"authorization": f"bearer {text}"})
    assert (answer.status_code, answer.json()["code"]) == (403, "TOKEN_ORGANISATION")
    assert "app_metadata.org_id" in answer.json()["message"]


def test_503_where_keys_are_out_of_reach(make_web: MakeWeb) -> None:
    web = make_web(Authenticator.supabase("http://127.0.0.1:9", None))
    text = signed(AuthServer("http://127.0.0.1:9"))
    answer = web("GET", ITEM, headers={"authorization": f"Bearer {text}"})
    assert (answer.status_code, answer.json()["code"]) == (503, "AUTH_UNAVAILABLE")
    assert web("GET", "/").status_code == 200


def test_public_keys_over_http(make_web: MakeWeb, server: AuthServer) -> None:
    web = make_web(Authenticator.supabase(server.url, None))
    headers = {"authorization": f"Bearer {signed(server)}"}
    assert [web("GET", ITEM, headers=headers).status_code for _ in range(2)] == [200, 200]


# ---------------------------------------------------------------- secrets of the installation


def test_a_secret_is_made_once_and_for_its_owner(home: Path) -> None:
    secret = installation_secret(home, "jwt")
    assert len(secret) == 32
    assert installation_secret(home, "jwt") == secret
    assert installation_secret(home, "links") != secret
    assert (home / "secrets").stat().st_mode & 0o777 == 0o700
    assert (home / "secrets" / "jwt").stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in (home / "secrets").iterdir()) == ["jwt", "links"]


def test_processes_that_start_at_once_agree(home: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: installation_secret(home, "jwt"), range(8)))
    assert len(set(found)) == 1


def test_a_secret_that_others_can_read_is_refused(home: Path) -> None:
    installation_secret(home, "jwt")
    (home / "secrets" / "jwt").chmod(0o640)
    with pytest.raises(KisError) as caught:
        installation_secret(home, "jwt")
    assert caught.value.notices[0].code == "SECRET_EXPOSED"


def test_a_damaged_secret_is_refused(home: Path) -> None:
    installation_secret(home, "jwt")
    (home / "secrets" / "jwt").write_bytes(b"short")
    with pytest.raises(KisError) as caught:
        installation_secret(home, "jwt")
    assert caught.value.notices[0].code == "FILE_UNREADABLE"


def test_a_home_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("x")
    with pytest.raises(KisError) as caught:
        installation_secret(tmp_path / "home", "jwt")
    assert caught.value.notices[0].params["reason"] == os.strerror(20)
