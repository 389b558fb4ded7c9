"""Every variable of a deployment: who needs it, what it looks like, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from kis_deploy.hosts import parse_hosts
from kis_deploy.problems import DeployError, Problem

_PLACEHOLDER = re.compile(
    r"your[-_ ]|[-_]here\b|change[-_ ]?me|replace[-_ ]?me|example|placeholder|<[^>]*>|\bx{4,}\b",
    re.IGNORECASE,
)
_LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})
_POOLER_PORT = 6543

Rule = Callable[[str], bool]
"""Whether a value is good; it may raise DeployError to say more than that it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable: `expected` says what a good value looks like, `remedy` where it comes from."""

    name: str
    expected: str
    rule: Rule
    remedy: str
    required: bool = False
    hosted: bool = False  # required where the project is Supabase's own
    secret: bool = False
    application: bool = False  # the application gets it too
    default: str = ""


def _matches(pattern: str) -> Rule:
    return lambda value: re.fullmatch(pattern, value, re.ASCII) is not None


def _number(low: int, high: int) -> Rule:
    return lambda value: value.isascii() and value.isdigit() and low <= int(value) <= high


def _origin(value: str) -> bool:
    parts = urlsplit(value)
    return (
        bool(parts.hostname)
        and parts.port != 0
        and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL))
        and parts.path in {"", "/"}
        and not (parts.query or parts.fragment or parts.username)
    )


def _database(value: str) -> bool:
    """Whether it is a database's address with user and name, and no password outside its place."""
    parts = urlsplit(value)
    return (
        parts.scheme in {"postgresql", "postgres"}
        and bool(parts.hostname and parts.username and parts.path.strip("/"))
        and parts.port != 0
        and "pass" not in parts.query.lower()
    )


def _session(value: str) -> bool:
    return _database(value) and urlsplit(value).port != _POOLER_PORT


def _file(value: str) -> bool:
    return Path(value).expanduser().is_file()


def _public_key(value: str) -> bool:
    path = Path(value).expanduser()
    if not path.is_file():
        return False
    if b"PRIVATE KEY" in path.read_bytes():
        raise DeployError.of(
            "KIS_RELEASE_PUBLIC_KEY",
            "names a file with a private key",
            "Name the .pub.pem file beside it; keep the private key where releases are cut",
        )
    return True


def _private_file(value: str) -> bool:
    path = Path(value).expanduser()
    return path.is_file() and not path.stat().st_mode & 0o077


def _address(value: str) -> bool:
    return "%" not in value and bool(ip_address(value))


def _absolute(value: str) -> bool:
    return re.fullmatch(r"/[\w./-]*[\w-]", value, re.ASCII) is not None and ".." not in value


def _ports(value: str) -> bool:
    parts = value.split(",")
    return len(set(parts)) == 2 and all(map(_number(1, 65_535), parts))  # noqa: PLR2004 - two colours


_PORT = _number(1, 65_535)
_KEY = _matches(r"[!-&(-~]{20,}")  # what a header may hold, without an apostrophe
_FLAG = _matches(r"(?i)true|false|1|0|yes|no|on|off")
_DASHBOARD = "Copy it from the project's dashboard"

VARIABLES: tuple[Variable, ...] = (
    Variable(
        name="APP_ENV",
        expected="staging or production",
        rule=_matches("staging|production"),
        remedy='Write export APP_ENV="production" (or "staging")',
        required=True,
        application=True,
    ),
    Variable(
        name="APP_PORT",
        expected="a port, 1 to 65535",
        rule=_PORT,
        remedy="Name the port that the proxy listens on, 8000 by default",
        default="8000",
    ),
    Variable(
        name="APP_DEBUG",
        expected="true or false",
        rule=_FLAG,
        remedy='Write export APP_DEBUG="false"',
        application=True,
        default="false",
    ),
    Variable(
        name="SUPABASE_URL",
        expected="https://….supabase.co",
        rule=_origin,
        remedy=f"{_DASHBOARD} (Settings, API)",
        required=True,
        application=True,
    ),
    Variable(
        name="SUPABASE_ANON_KEY",
        expected="a key of at least 20 characters without spaces",
        rule=_KEY,
        remedy=f"{_DASHBOARD} (Settings, API keys)",
        required=True,
        secret=True,
        application=True,
    ),
    Variable(
        name="SUPABASE_SERVICE_ROLE_KEY",
        expected="a key of at least 20 characters without spaces",
        rule=_KEY,
        remedy=f"{_DASHBOARD} (Settings, API keys)",
        required=True,
        secret=True,
        application=True,
    ),
    Variable(
        name="SUPABASE_DB_URL",
        expected="postgresql://kis_api…:PASSWORD@HOST:6543/postgres",
        rule=_database,
        remedy=f"{_DASHBOARD} (Connect, transaction pooler), with the user kis_api",
        required=True,
        secret=True,
        application=True,
    ),
    Variable(
        name="SUPABASE_DIRECT_URL",
        expected="postgresql://kis_api…:PASSWORD@HOST:5432/postgres, not port 6543",
        rule=_session,
        remedy=f"{_DASHBOARD} (Connect, session pooler), with the user kis_api",
        secret=True,
        application=True,
    ),
    Variable(
        name="SUPABASE_OWNER_URL",
        expected="postgresql://postgres…:PASSWORD@HOST:5432/postgres, not port 6543",
        rule=_session,
        remedy=f"{_DASHBOARD} (Connect, session pooler): migrations and snapshots are the owner's",
        required=True,
        secret=True,
    ),
    Variable(
        name="SUPABASE_JWT_SECRET",
        expected="at least 32 characters without spaces",
        rule=_matches(r"[!-&(-~]{32,}"),
        remedy=f"{_DASHBOARD} (Settings, JWT keys), or unset it",
        secret=True,
        application=True,
    ),
    Variable(
        name="SUPABASE_PROJECT_REF",
        expected="20 lower-case letters and digits",
        rule=_matches("[a-z0-9]{20}"),
        remedy=f"{_DASHBOARD} (Settings, General)",
        hosted=True,
    ),
    Variable(
        name="SUPABASE_ACCESS_TOKEN",
        expected="sbp_ and 40 characters",
        rule=_matches(r"sbp_[A-Za-z0-9_]{36,}"),
        remedy="Make one in the dashboard (Account, Access tokens)",
        hosted=True,
        secret=True,
    ),
    Variable(
        name="STORAGE_BUCKET",
        expected="a bucket's name: lower-case letters, digits, dots and dashes",
        rule=_matches(r"[a-z0-9][a-z0-9._-]{0,62}"),
        remedy='Write export STORAGE_BUCKET="evidence"; staging has a bucket of its own',
        required=True,
        application=True,
    ),
    Variable(
        name="KIS_BACKUP_KEY",
        expected="the path of a key file that its owner alone can read (chmod 600)",
        rule=_private_file,
        remedy="Make one with: script/kis db snapshot-key PATH; keep a copy elsewhere",
        required=True,
    ),
    Variable(
        name="KIS_BACKUP_DIR",
        expected="an absolute path without spaces",
        rule=_absolute,
        remedy="Name the folder of the snapshots, the same for every deployment",
        required=True,
    ),
    Variable(
        name="KIS_RELEASE_PUBLIC_KEY",
        expected="the path of the public key that releases are signed with",
        rule=_public_key,
        remedy="Name the .pub.pem file of the key pair that releases are cut with",
        required=True,
    ),
    Variable(
        name="KIS_SIGNING_KEY",
        expected="an absolute path without spaces, on the host",
        rule=_absolute,
        remedy="Name the private key that the hosts sign evidence with, or unset it",
        application=True,
    ),
    Variable(
        name="SIGNED_URL_TTL_SEC",
        expected="1 to 604800",
        rule=_number(1, 604_800),
        remedy='Write export SIGNED_URL_TTL_SEC="300"',
        application=True,
        default="300",
    ),
    Variable(
        name="DB_POOL_SIZE",
        expected="1 to 1000",
        rule=_number(1, 1000),
        remedy='Write export DB_POOL_SIZE="20"',
        application=True,
        default="20",
    ),
    Variable(
        name="DB_MAX_OVERFLOW",
        expected="0 to 1000",
        rule=_number(0, 1000),
        remedy='Write export DB_MAX_OVERFLOW="10"',
        application=True,
        default="10",
    ),
    Variable(
        name="DB_POOL_TIMEOUT",
        expected="1 to 600",
        rule=_number(1, 600),
        remedy='Write export DB_POOL_TIMEOUT="30"',
        application=True,
        default="30",
    ),
    Variable(
        name="DB_TRANSACTION_POOLER",
        expected="true or false",
        rule=_FLAG,
        remedy="Set it for a pooler of your own on another port than 6543, or unset it",
        application=True,
    ),
    Variable(
        name="RATE_LIMIT_RPS",
        expected="0 to 100000",
        rule=_number(0, 100_000),
        remedy="Name the requests a second that one caller may make, 0 for no limit",
        application=True,
        default="50",
    ),
    Variable(
        name="EVIDENCE_RETENTION_DAYS",
        expected="1 to 36500",
        rule=_number(1, 36_500),
        remedy="Name the days that evidence is kept, or unset it to keep it for ever",
        application=True,
    ),
    Variable(
        name="SSE_HEARTBEAT_SEC",
        expected="1 to 300",
        rule=_number(1, 300),
        remedy='Write export SSE_HEARTBEAT_SEC="10"',
        application=True,
    ),
    Variable(
        name="OTEL_EXPORTER_OTLP_ENDPOINT",
        expected="https://…",
        rule=_matches(r"https?://[!-&(-~]+"),
        remedy="Name the collector of traces, or unset it",
        application=True,
    ),
    Variable(
        name="DEPLOY_HOSTS",
        expected="local, or ssh://USER@HOST:PORT, separated by commas, each host once",
        rule=lambda value: bool(parse_hosts(value, None)),
        remedy='Write export DEPLOY_HOSTS="ssh://deploy@app1.internal"',
        default="local",
    ),
    Variable(
        name="DEPLOY_SSH_CONFIG",
        expected="the path of an ssh configuration",
        rule=_file,
        remedy="Name a file that ssh -F can read, or unset it",
    ),
    Variable(
        name="DEPLOY_ROOT",
        expected="an absolute path without spaces, on the hosts",
        rule=_absolute,
        remedy='Write export DEPLOY_ROOT="/opt/kis-estimator"',
        default="/opt/kis-estimator",
    ),
    Variable(
        name="DEPLOY_RELEASE",
        expected="the folder of a release, with its SHA256SUMS",
        rule=lambda value: (Path(value) / "SHA256SUMS").is_file(),
        remedy="Name the folder that `kis release cut` wrote: out/evidence/vX.Y.Z",
    ),
    Variable(
        name="DEPLOY_BASE_URL",
        expected="https://api.…",
        rule=_origin,
        remedy="Name the address that callers use, through your TLS proxy",
    ),
    Variable(
        name="DEPLOY_PORTS",
        expected="two different ports, as 8001,8002",
        rule=_ports,
        remedy="Name a port for each of the two colours",
        default="8001,8002",
    ),
    Variable(
        name="DEPLOY_BIND",
        expected="an IP address",
        rule=_address,
        remedy="Name the address that the proxy listens on: 127.0.0.1 behind your own TLS proxy",
        default="127.0.0.1",
    ),
    Variable(
        name="DEPLOY_WORKERS",
        expected="1 to 64",
        rule=_number(1, 64),
        remedy="Name the estimates that a host works on at a time",
        default="2",
    ),
    Variable(
        name="DEPLOY_READY_SEC",
        expected="1 to 3600",
        rule=_number(1, 3600),
        remedy='Write export DEPLOY_READY_SEC="120", how long a start may take',
        default="120",
    ),
    Variable(
        name="DEPLOY_P95_MS",
        expected="1 to 60000",
        rule=_number(1, 60_000),
        remedy='Write export DEPLOY_P95_MS="200", the limit of the definition of done',
        default="200",
    ),
    Variable(
        name="DEPLOY_PROCESS_MANAGER",
        expected="systemd or supervisord",
        rule=_matches("systemd|supervisord"),
        remedy="Unset it: a host with systemd uses systemd",
    ),
    Variable(
        name="DEPLOY_PYTHON",
        expected="the name or path of Python 3.11 or newer, on the hosts",
        rule=_matches(r"[\w./-]+"),
        remedy='Write export DEPLOY_PYTHON="python3.11"',
        default="python3",
    ),
)

GOING_BACK = tuple(
    variable
    for variable in VARIABLES
    if variable.application
    or (variable.name.startswith(("APP_", "DEPLOY_")) and variable.name != "DEPLOY_RELEASE")
)
"""What an emergency needs: going back must not wait for a key of snapshots, or for a release."""

BY_NAME: Mapping[str, Variable] = {variable.name: variable for variable in VARIABLES}


def hosted(environment: Mapping[str, str]) -> bool:
    """Whether the project is one of Supabase's own, which has a reference and an access token."""
    try:
        host = urlsplit(value_of(environment, "SUPABASE_URL")).hostname or ""
    except ValueError:
        return False
    return host.endswith(".supabase.co")


def value_of(environment: Mapping[str, str], name: str) -> str:
    """Return a variable without the space around it, or its default; an empty one is not set."""
    return environment.get(name, "").strip() or BY_NAME[name].default


def check_variables(
    environment: Mapping[str, str], needed: Sequence[Variable] = VARIABLES
) -> list[Problem]:
    """Return a problem for each needed variable that is missing, a placeholder or malformed.

    No problem holds a value.
    """
    found = [_problem(variable, environment) for variable in needed]
    problems = [problem for problem in found if problem is not None]
    named = {name: value_of(environment, name) for name in ("APP_PORT", "DEPLOY_PORTS")}
    if not problems and named["APP_PORT"] in named["DEPLOY_PORTS"].split(","):
        remedy = "Name two ports, one for each colour, that differ from APP_PORT"
        problems.append(Problem("DEPLOY_PORTS", "holds the port of the proxy", remedy))
    return problems


def _problem(variable: Variable, environment: Mapping[str, str]) -> Problem | None:
    value = value_of(environment, variable.name)
    if not value:
        elsewhere = value_of(environment, "DEPLOY_HOSTS") != "local"
        if variable.name == "DEPLOY_BASE_URL" and elsewhere:
            return Problem(variable.name, "is not set, and hosts are elsewhere", variable.remedy)
        if variable.required or (variable.hosted and hosted(environment)):
            return Problem(variable.name, "is not set", variable.remedy)
        return None
    if _is_placeholder(value):
        return Problem(variable.name, "still has the text of a template", variable.remedy)
    cause, remedy = f"is not {variable.expected}", variable.remedy
    try:
        if value.isprintable() and variable.rule(value):
            return None
    except DeployError as error:
        [told] = error.problems
        cause, remedy = told.cause, told.remedy
    except (ValueError, OSError):
        pass  # told as what it is not
    return Problem(variable.name, cause, remedy)


def _is_placeholder(value: str) -> bool:
    if _PLACEHOLDER.search(value):
        return True
    try:
        return "://" in value and urlsplit(value).password in {"password", "PASSWORD"}
    except ValueError:
        return False  # malformed, which is told
