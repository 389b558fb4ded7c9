"""The part of Supabase Auth's REST interface that a deployment uses, behind a storage's address.

`storage.auth = Auth(…)` puts it there. Statuses and bodies are those of GoTrue.
"""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import uuid4

import jwt
from tests.e2e.supabase_stack import Project
from tests.store.storage_server import Reply, Request, told

PREFIX = "/auth/v1"


class Auth:
    """Users of a project, who sign in with a password and get tokens of the project's key."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.users: dict[str, dict[str, Any]] = {}
        self.email_enabled = True
        self.keeps_users = False  # refuses to delete them

    def __call__(self, asked: Request) -> Reply:
        key = asked.headers.get("apikey")
        if key not in {self.project.storage.service_key, self.project.storage.anon_key}:
            return told({"message": "Invalid API key"}, 401)
        match asked.method, *asked.path.removeprefix(PREFIX).split("/")[1:]:
            case "POST", "admin", "users":
                return self._admin(key) or self._add(json.loads(asked.body))
            case "DELETE", "admin", "users", user_id:
                return self._admin(key) or self._remove(user_id)
            case "POST", "token" if asked.query == {"grant_type": "password"}:
                return self._sign_in(json.loads(asked.body))
        return told({"code": 404, "msg": "404 page not found"}, 404)

    def _admin(self, key: str) -> Reply | None:
        if key == self.project.storage.service_key:
            return None
        return told({"code": 403, "error_code": "not_admin", "msg": "User not allowed"}, 403)

    def _add(self, body: dict[str, Any]) -> Reply:
        if any(user["email"] == body["email"] for user in self.users.values()):
            return told({"code": 422, "error_code": "email_exists", "msg": "registered"}, 422)
        user = {**body, "id": str(uuid4())}
        self.users[user["id"]] = user
        return told({name: value for name, value in user.items() if name != "password"})

    def _remove(self, user_id: str) -> Reply:
        if self.keeps_users:
            return told({"code": 500, "error_code": "unexpected_failure", "msg": "no"}, 500)
        if self.users.pop(user_id, None) is None:
            return told({"code": 404, "error_code": "user_not_found", "msg": "not found"}, 404)
        return told({})

    def _sign_in(self, body: dict[str, Any]) -> Reply:
        if not self.email_enabled:
            return told({"code": 422, "error_code": "email_provider_disabled", "msg": "off"}, 422)
        for user in self.users.values():
            if (user["email"], user["password"]) == (body["email"], body["password"]):
                return told({"access_token": self._token(user), "token_type": "bearer"})
        return told({"code": 400, "error_code": "invalid_credentials", "msg": "Invalid"}, 400)

    def _token(self, user: dict[str, Any]) -> str:
        claims = {
            "iss": f"{self.project.storage.url}{PREFIX}",
            "aud": "authenticated",
            "sub": user["id"],
            "exp": int(time.time()) + 3600,
            "role": "authenticated",
            "app_metadata": {"provider": "email", **user["app_metadata"]},
        }
        return jwt.encode(claims, self.project.key, "ES256", headers={"kid": self.project.kid})
