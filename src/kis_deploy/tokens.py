"""Tokens of a member of the quarantined organisation, for the checks after a deployment."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import NAMESPACE_URL, uuid4, uuid5

from kis_deploy.config import Config
from kis_deploy.problems import DeployError
from kis_deploy.storage import key_headers
from kis_deploy.web import OK, Answer, Web

SMOKE_ORG = uuid5(NAMESPACE_URL, "urn:kis-estimator:smoke")
"""The organisation of smoke tests: the same everywhere, left out of reports."""
_METADATA = {"org_id": str(SMOKE_ORG), "role": "estimator", "quarantined": True}
_TTL_SEC = 900


@contextmanager
def member_token(config: Config) -> Iterator[str]:
    """Lend a token of an estimator of the quarantined organisation.

    With SUPABASE_JWT_SECRET it is made here; otherwise a user is made, signed in, and deleted at
    the end. Raises DeployError where the project refuses one of these.
    """
    if config["SUPABASE_JWT_SECRET"]:
        yield _minted(config)
    else:
        with _user(config) as token:
            yield token


def _minted(config: Config) -> str:
    now = int(time.time())
    claims = {
        "iss": f"{config['SUPABASE_URL'].rstrip('/')}/auth/v1",
        "aud": "authenticated",
        "role": "authenticated",
        "sub": str(uuid5(SMOKE_ORG, "smoke")),
        "iat": now,
        "exp": now + _TTL_SEC,
        "app_metadata": _METADATA,
    }
    signed = ".".join(
        _part(json.dumps(p).encode()) for p in ({"alg": "HS256", "typ": "JWT"}, claims)
    )
    key = config["SUPABASE_JWT_SECRET"].encode()
    return f"{signed}.{_part(hmac.digest(key, signed.encode(), hashlib.sha256))}"


def _part(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


@contextmanager
def _user(config: Config) -> Iterator[str]:
    origin = f"{config['SUPABASE_URL'].rstrip('/')}/auth/v1"
    login = {
        "email": f"smoke-{uuid4()}@kis-estimator.invalid",
        "password": secrets.token_urlsafe(32),
    }
    with (
        Web(origin, key_headers(config, "SUPABASE_SERVICE_ROLE_KEY")) as admin,
        Web(origin, key_headers(config, "SUPABASE_ANON_KEY")) as public,
    ):
        wanted = login | {"email_confirm": True, "app_metadata": _METADATA}
        user_id = _text(admin.ask("POST", "/admin/users", send=wanted), "id", "make a user")
        admin.close()  # the checks take longer than a gateway keeps an idle connection
        try:
            answer = public.ask("POST", "/token?grant_type=password", send=login)
            yield _text(answer, "access_token", "sign the user in")
        finally:
            gone = admin.ask("DELETE", f"/admin/users/{user_id}")
            if gone.status != OK:
                raise DeployError.of(
                    "Smoke user",
                    f"can't be deleted (status {gone.status})",
                    f"Delete {login['email']} in the dashboard (Authentication)",
                )


def _text(answer: Answer, name: str, purpose: str) -> str:
    found = answer.object().get(name)
    if answer.status == OK and isinstance(found, str):
        return found
    raise DeployError.of(
        "Supabase Auth",
        f"does not {purpose} for the smoke test (status {answer.status})",
        "Check the two API keys and that users may sign in by e-mail, or set SUPABASE_JWT_SECRET",
    )
