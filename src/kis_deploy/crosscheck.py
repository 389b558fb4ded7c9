"""Whether all settings speak of one project, the right one, and whether it can be reached."""

from __future__ import annotations

import json
import re
import socket
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from kis_deploy.config import Config
from kis_deploy.database import installation, run_psql, values_of
from kis_deploy.problems import DeployError, Problem
from kis_deploy.runner import Runner
from kis_deploy.storage import belongs_elsewhere, bucket_reached, read_marker

_HOSTED = ".supabase.co"
_POOLED = re.compile(r".+\.pooler\.supabase\.(?:com|co)")
_OWN_HOST = re.compile(r"db\.([a-z0-9]{20})\.supabase\.co")
_OWNER = "SUPABASE_OWNER_URL"
_OF_THE_APPLICATION = ("SUPABASE_DB_URL", "SUPABASE_DIRECT_URL")
_LOGIN = "kis_api"
_PORT = 5432
_OTHER_HOST = "Load the variables of that installation, or name its own hosts in DEPLOY_HOSTS"
_TIMEOUT_SEC = 10.0
_KEYS = {
    "SUPABASE_ANON_KEY": ("anon", "sb_publishable_"),
    "SUPABASE_SERVICE_ROLE_KEY": ("service_role", "sb_secret_"),
}
# What a database keeps of the settings it was deployed with, and what that is called.
_MARKS = {
    "APP_ENV": ("environment", "environment"),
    "SUPABASE_PROJECT_REF": ("projectRef", "project"),
    "STORAGE_BUCKET": ("bucket", "bucket"),
}
_REMEDY = "Copy it from the dashboard of the project that SUPABASE_URL names"
# Who is connected, to which start of which server, and to which database of it.
_IDENTITY = """
select json_build_object('user', current_user, 'login', to_regrole('kis_api') is not null,
  'database', concat(pg_postmaster_start_time(), current_database()));
"""


def crosscheck(config: Config, runner: Runner | None = None) -> list[Problem]:
    """Return a problem for each setting that leads to another project or environment.

    Looks at the settings first, then at the marks that earlier deployments left in the database
    and in the bucket. A mark that can't be read is a problem too.
    """
    problems = [*_other_projects(config), *_wrong_keys(config)]
    if problems:  # what they lead to is not this installation's to look at
        return problems
    return [
        *_told(lambda: _foreign_database(config, runner)),
        *_told(lambda: _foreign_bucket(config, runner)),
    ]


def reachable(config: Config, runner: Runner | None = None) -> list[Problem]:
    """Return a problem for each database address and for the storage where they do not answer.

    Before the first deployment the login of the application, and the bucket, may be missing. All
    addresses of the database have to lead to one and the same.
    """
    return [*_databases(config, runner), *_told(lambda: bucket_reached(config, runner))]


def other_installations(
    config: Config, hosts: Mapping[str, Mapping[str, Any]], *names: str
) -> list[Problem]:
    """Return a problem for each variable that is not that of what serves on a host."""
    return [
        Problem(f"{host}: {name}", "is not that of what serves there", _OTHER_HOST)
        for host, status in hosts.items()
        for name in names
        if status["environment"].get(name, config[name]).rstrip("/") != config[name].rstrip("/")
    ]


# ---------------------------------------------------------------- settings


def _other_projects(config: Config) -> Iterator[Problem]:
    """Tell each setting that names another project than SUPABASE_URL does."""
    host = urlsplit(config["SUPABASE_URL"]).hostname or ""
    reference = config["SUPABASE_PROJECT_REF"]
    expected = host.removesuffix(_HOSTED) if host.endswith(_HOSTED) else reference
    if not expected:
        return
    if reference and reference != expected:
        yield Problem("SUPABASE_PROJECT_REF", "names another project than SUPABASE_URL", _REMEDY)
    for name in (_OWNER, *_OF_THE_APPLICATION):
        found = _project_of(config[name])
        if found is not None and found != expected:
            yield Problem(name, "leads to the database of another project", _REMEDY)
        if found is None and config[name] and config.hosted:
            yield Problem(name, "leads to no database of the project", _REMEDY)
    for name in _KEYS:
        found = _claims(config[name]).get("ref")
        if found is not None and found != expected:
            yield Problem(name, "is a key of another project", _REMEDY)


def _project_of(url: str) -> str | None:
    """Return the project that a database's address names, by its host or by its user."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    own = _OWN_HOST.fullmatch(host)
    if own:
        return own[1]
    if _POOLED.fullmatch(host):
        return (parts.username or "").rpartition(".")[2]
    return None


def _wrong_keys(config: Config) -> Iterator[Problem]:
    """Tell keys of the wrong kind: the two are easily mixed up, with one of them being secret."""
    for name, (role, prefix) in _KEYS.items():
        key = config[name]
        claims = _claims(key)
        if key.startswith("sb_"):
            right = key.startswith(prefix)
        else:
            right = claims.get("role") == role or not (claims or config.hosted)
        if not right:
            yield Problem(name, f"is not the key of the role {role}", _REMEDY)
        expiry = claims.get("exp")
        if isinstance(expiry, int) and expiry < time.time():
            yield Problem(name, "has expired", _REMEDY)


def _claims(key: str) -> dict[str, Any]:
    """Return what a key of the older kind (a JWT) says of itself; nothing for others."""
    parts = key.split(".")
    try:
        found = json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, IndexError):
        return {}
    return found if isinstance(found, dict) else {}


# ---------------------------------------------------------------- marks


def _told(look: Callable[[], Problem | None]) -> list[Problem]:
    """Return what a look finds, also where it fails."""
    try:
        problem = look()
    except DeployError as error:
        return list(error.problems)
    return [problem] if problem else []


def _foreign_database(config: Config, runner: Runner | None) -> None:
    """Compare the marks in the database. Raises DeployError with each variable that differs."""
    marks = installation(config, runner) or {}
    problems = [
        Problem(
            name,
            f"is not the {told} of the database that {_OWNER} leads to ({marks[mark]})",
            f"Correct it or {_OWNER}: staging and production share nothing",
        )
        for name, (mark, told) in _MARKS.items()
        if marks.get(mark) not in {None, config[name]}
    ]
    if problems:
        raise DeployError(*problems)


def _foreign_bucket(config: Config, runner: Runner | None) -> Problem | None:
    marker = read_marker(config, runner)
    return None if marker is None else belongs_elsewhere(config, marker)


# ---------------------------------------------------------------- network


def _databases(config: Config, runner: Runner | None) -> Iterator[Problem]:
    """Tell addresses that lead nowhere, or elsewhere than the owner's, or to another user."""
    owner = _connected(config, _OWNER, runner)
    if isinstance(owner, Problem):
        yield owner
    elif owner["user"] == _LOGIN:
        yield Problem(_OWNER, f"has the user {_LOGIN}", "Name the schema's owner, postgres")
    elif not owner["login"]:
        return  # before the first deployment
    for name in filter(config.__getitem__, _OF_THE_APPLICATION):
        found = _connected(config, name, runner)
        if isinstance(found, Problem):
            yield found
        elif found["user"] != _LOGIN:
            yield Problem(name, f"has another user than {_LOGIN}", "Correct the address's user")
        elif isinstance(owner, dict) and found["database"] != owner["database"]:
            yield Problem(name, f"leads to another database than {_OWNER}", _REMEDY)


def _connected(config: Config, name: str, runner: Runner | None) -> dict[str, Any] | Problem:
    """Return who is connected by an address and where to, or why nobody is."""
    parts = urlsplit(config[name])
    try:
        place = (parts.hostname or "", parts.port or _PORT)
        socket.create_connection(place, _TIMEOUT_SEC).close()
    except OSError as error:
        reason = error.strerror or str(error)
        return Problem(name, f"the host can't be reached ({reason})", "Check address and network")
    try:
        done, lines = run_psql(config, config[name], _IDENTITY, runner=runner)
        if done.code:
            return _refusal(name, done.output)
        found: dict[str, Any]
        [found] = values_of(lines, 1)
    except DeployError as error:
        [problem] = error.problems
        return Problem(name, problem.cause, problem.remedy)
    return found


def _refusal(name: str, told: str) -> Problem:
    """Return the problem that psql told of."""
    if re.search(r"(password|SASL) authentication failed|no password supplied", told):
        return Problem(name, "the password is refused", "Correct it; percent-encode signs in it")
    if re.search(r'database "[^"]*" does not exist|no such database', told):
        return Problem(name, "the server has no such database", "Correct the address's path")
    if re.search(r"SSL|certificate", told):
        return Problem(
            name, "no encrypted connection can be made", "Add ?sslmode=… as the server asks for"
        )
    return Problem(name, "the database refuses the connection", "Look into the database's log")
