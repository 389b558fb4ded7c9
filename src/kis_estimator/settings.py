"""What the environment says, read once by an entry point."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar, cast, get_args
from urllib.parse import SplitResult, urlsplit

from kis_estimator.errors import KisError, Locale, Notice

AppEnv = Literal["development", "staging", "production"]
_Number = TypeVar("_Number", int, float)

PRODUCTION_RPS = 50.0
MIN_SECRET = 32  # HS256 keys: RFC 7518 asks for 256 bits
_REQUIRED = ("SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_DB_URL")
_FILLED_IN = (*_REQUIRED, "SUPABASE_DIRECT_URL", "SUPABASE_ANON_KEY", "SUPABASE_JWT_SECRET")
_PLACEHOLDER = re.compile(r"your[-_]|change[-_]?me|example|placeholder|<[^>]*>", re.IGNORECASE)
_WEB, _DATABASE = ("https", "http"), ("postgresql", "postgres")
_YES, _NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`home` holds what an installation keeps; runs are signed where there is a `signing_key`.

    Snapshots of the database go to `backup_dir`, encrypted with the key in `backup_key`.
    `direct_url` is a session connection for LISTEN and migrations, where `database_url` is that of
    a transaction pooler; where `transaction_pooler` does not say so, the port does. No
    `rate_limit_rps` means no limit, no `retention_days` means for ever.
    """

    app_env: AppEnv
    home: Path
    signing_key: Path | None
    backup_dir: Path
    backup_key: Path | None
    port: int
    debug: bool
    database_url: str | None = field(repr=False)
    direct_url: str | None = field(repr=False)
    transaction_pooler: bool | None
    pool_size: int
    max_overflow: int
    pool_timeout_sec: float
    supabase_url: str | None
    anon_key: str | None = field(repr=False)
    service_role_key: str | None = field(repr=False)
    jwt_secret: str | None = field(repr=False)
    bucket: str
    signed_url_ttl_sec: int
    retention_days: int | None
    rate_limit_rps: float | None
    heartbeat_sec: float
    otlp_endpoint: str | None

    @property
    def production(self) -> bool:
        """Whether documents made here are sent to customers."""
        return self.app_env == "production"

    @property
    def embedded(self) -> bool:
        """Whether the database is the program's own PostgreSQL below `home`."""
        return self.database_url is None

    @property
    def local_storage(self) -> bool:
        """Whether files are kept in a folder below `home` and tokens are the installation's own."""
        return self.supabase_url is None


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read and check every variable. Raises a notice for each one that has no valid value."""
    reader = _Reader(environment)
    settings = reader.settings()
    if reader.problems:
        raise KisError(*reader.problems)
    return settings


def require_service_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings of a server or worker. Raises all that `check_settings` finds."""
    problems = check_settings(environment)
    if problems:
        raise KisError(*problems)
    return read_settings(environment)


def check_settings(environment: Mapping[str, str]) -> list[Notice]:
    """Return a notice for each variable that is wrong, or missing or a placeholder in production.

    A notice names the variable and the remedy, never the value.
    """
    reader = _Reader(environment)
    settings = reader.settings()
    missing = [name for name in _REQUIRED if settings.production and reader.text(name) is None]
    if settings.supabase_url and not settings.service_role_key:
        missing.append("SUPABASE_SERVICE_ROLE_KEY")
    wrong = {notice.params["name"] for notice in reader.problems}
    return [
        *reader.problems,
        *(Notice("SETTING_MISSING", {"name": name}) for name in dict.fromkeys(missing)),
        *(
            Notice("SETTING_PLACEHOLDER", {"name": name})
            for name in _FILLED_IN
            if settings.production and name not in wrong and reader.is_placeholder(name)
        ),
    ]


class _Reader:
    """Reads variables of an environment and collects what is wrong with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.problems: list[Notice] = []

    def settings(self) -> Settings:
        """Return the settings; each variable with a problem has its default."""
        app_env = cast("AppEnv", self._choice("APP_ENV", get_args(AppEnv)))
        home = self._path("KIS_HOME") or Path("~/.kis-estimator").expanduser()
        rps = self._number("RATE_LIMIT_RPS", float, 0, 100_000)
        if rps is None and app_env == "production":
            rps = PRODUCTION_RPS
        return Settings(
            app_env=app_env,
            home=home,
            signing_key=self._path("KIS_SIGNING_KEY"),
            backup_dir=self._path("KIS_BACKUP_DIR") or home / "snapshots",
            backup_key=self._path("KIS_BACKUP_KEY"),
            port=self._number("APP_PORT", int, 1, 65_535) or 8000,
            debug=self._flag("APP_DEBUG") or False,
            database_url=self._url("SUPABASE_DB_URL", _DATABASE),
            direct_url=self._url("SUPABASE_DIRECT_URL", _DATABASE),
            transaction_pooler=self._flag("DB_TRANSACTION_POOLER"),
            pool_size=self._number("DB_POOL_SIZE", int, 1, 1000) or 20,
            max_overflow=_or(self._number("DB_MAX_OVERFLOW", int, 0, 1000), 10),
            pool_timeout_sec=self._number("DB_POOL_TIMEOUT", float, 0.1, 600) or 30.0,
            supabase_url=self._origin("SUPABASE_URL"),
            anon_key=self._secret("SUPABASE_ANON_KEY"),
            service_role_key=self._secret("SUPABASE_SERVICE_ROLE_KEY"),
            jwt_secret=self._secret("SUPABASE_JWT_SECRET", MIN_SECRET),
            bucket=self._match("STORAGE_BUCKET", r"[a-z0-9][a-z0-9._-]{0,62}") or "evidence",
            signed_url_ttl_sec=self._number("SIGNED_URL_TTL_SEC", int, 1, 604_800) or 300,
            retention_days=self._number("EVIDENCE_RETENTION_DAYS", int, 1, 36_500),
            rate_limit_rps=rps or None,
            heartbeat_sec=self._number("SSE_HEARTBEAT_SEC", float, 0.1, 300) or 10.0,
            otlp_endpoint=self._url("OTEL_EXPORTER_OTLP_ENDPOINT", _WEB),
        )

    def text(self, name: str) -> str | None:
        """Return a variable without the space around it; an empty one is not set."""
        return self._environment.get(name, "").strip() or None

    def _path(self, name: str) -> Path | None:
        value = self.text(name)
        return Path(value).expanduser() if value else None

    def is_placeholder(self, name: str) -> bool:
        """Return whether a variable still has the text of a template."""
        value = self.text(name) or ""
        return bool(_PLACEHOLDER.search(value)) or (
            "://" in value and urlsplit(value).password == "password"  # noqa: S105 - the template's
        )

    def _refuse(self, name: str, expected: str) -> None:
        self.problems.append(Notice("SETTING_FORMAT", {"name": name, "expected": expected}))

    def _choice(self, name: str, known: Sequence[str]) -> str:
        value = self.text(name) or known[0]
        if value.lower() in known:
            return value.lower()
        self.problems.append(Notice("SETTING_INVALID", {"name": name, "known": list(known)}))
        return known[0]

    def _flag(self, name: str) -> bool | None:
        """Return what a switch says, None where nobody has touched it."""
        return None if self.text(name) is None else self._choice(name, (*_NO, *_YES)) in _YES

    def _number(
        self, name: str, parse: Callable[[str], _Number], low: float, high: float
    ) -> _Number | None:
        value = self.text(name)
        if value is None:
            return None
        try:
            number = parse(value)
        except ValueError:
            number = parse("-1")
        if low <= number <= high and math.isfinite(number):
            return number
        self._refuse(name, f"{low:g} – {high:g}")
        return None

    def _match(self, name: str, pattern: str) -> str | None:
        value = self.text(name)
        if value is None or re.fullmatch(pattern, value):
            return value
        self._refuse(name, pattern)
        return None

    def _secret(self, name: str, shortest: int = 1) -> str | None:
        return self._match(name, rf"[!-~]{{{shortest},}}")

    def _url(self, name: str, schemes: tuple[str, ...]) -> str | None:
        value = self.text(name)
        if value is None or _parts(value, schemes):
            return value
        self._refuse(name, f"{schemes[0]}://…")
        return None

    def _origin(self, name: str) -> str | None:
        """Return scheme, host and port; plain http for this machine alone: keys travel there."""
        value = self.text(name)
        if value is None:
            return None
        parts = _parts(value, _WEB)
        if (
            parts
            and (parts.scheme == "https" or parts.hostname in {"127.0.0.1", "::1", "localhost"})
            and parts.path in {"", "/"}
            and not (parts.query or parts.fragment or parts.username)
        ):
            return value.rstrip("/")
        self._refuse(name, "https://….supabase.co")
        return None


def _parts(url: str, schemes: tuple[str, ...]) -> SplitResult | None:
    """Return a URL's parts where it is one of these schemes and names a host."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if usable and url.isprintable() and " " not in url else None


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def reader_locale(environment: Mapping[str, str]) -> Locale:
    """Return English where the environment says so, else Korean.

    >>> reader_locale({"LANG": "en_US.UTF-8"}), reader_locale({"LANG": "C.UTF-8"})
    ('en-US', 'ko-KR')
    """
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    value = next((environment[name] for name in names if environment.get(name)), "")
    return "en-US" if value.lower().startswith("en") else "ko-KR"
