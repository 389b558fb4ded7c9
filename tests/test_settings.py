from pathlib import Path
from typing import Any

import pytest

from kis_estimator.errors import KisError
from kis_estimator.settings import check_settings, read_settings, require_service_settings

REAL = {
    "APP_ENV": "production",
    "SUPABASE_URL": "https://abcdefghijkl.supabase.co",
    "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_" + "k" * 30,
    "SUPABASE_DB_URL": "postgresql://postgres:s3cr3t@db.abcdefghijkl.supabase.co:6543/postgres",
}
# The environment file of the deployment guide, as it is copied.
TEMPLATE = {
    "APP_ENV": "production",
    "SUPABASE_URL": "https://your-prod-project.supabase.co",
    "SUPABASE_ANON_KEY": "your-production-anon-key",
    "SUPABASE_SERVICE_ROLE_KEY": "your-production-service-role-key",
    "SUPABASE_DB_URL": "postgresql://postgres:password@db.your-prod-project.supabase.co:6543/postgres",
}


def problems(environment: dict[str, str]) -> set[tuple[str, Any]]:
    return {(notice.code, notice.params["name"]) for notice in check_settings(environment)}


def test_nothing_is_needed() -> None:
    settings = read_settings({})
    assert settings == require_service_settings({"APP_PORT": " ", "RATE_LIMIT_RPS": "0"})
    assert (settings.app_env, settings.production) == ("development", False)
    assert settings.home == Path("~/.kis-estimator").expanduser()
    assert (settings.embedded, settings.local_storage) == (True, True)
    assert (settings.port, settings.debug, settings.bucket) == (8000, False, "evidence")
    assert (settings.pool_size, settings.max_overflow, settings.pool_timeout_sec) == (20, 10, 30)
    assert (settings.signed_url_ttl_sec, settings.heartbeat_sec) == (300, 10)
    assert settings.rate_limit_rps is None
    assert settings.transaction_pooler is None
    assert settings.retention_days is None
    assert settings.otlp_endpoint is None


def test_every_variable() -> None:
    settings = read_settings(
        {
            "APP_ENV": "staging",
            "APP_PORT": "9000",
            "APP_DEBUG": "TRUE",
            "KIS_HOME": "home",
            "KIS_SIGNING_KEY": "~/key",
            "SUPABASE_URL": "https://x.supabase.co/",
            "SUPABASE_ANON_KEY": "anon",
            "SUPABASE_SERVICE_ROLE_KEY": "service\n",
            "SUPABASE_JWT_SECRET": "s" * 32,
            "SUPABASE_DB_URL": "postgres://u:p@h:6543/d",
            "SUPABASE_DIRECT_URL": "postgresql://u:p@h/d",
            "DB_TRANSACTION_POOLER": "False",
            "STORAGE_BUCKET": "packs",
            "SIGNED_URL_TTL_SEC": "60",
            "DB_POOL_SIZE": "5",
            "DB_MAX_OVERFLOW": "0",
            "DB_POOL_TIMEOUT": "2.5",
            "RATE_LIMIT_RPS": "0.5",
            "EVIDENCE_RETENTION_DAYS": "365",
            "SSE_HEARTBEAT_SEC": "1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        }
    )
    assert (settings.app_env, settings.port, settings.debug) == ("staging", 9000, True)
    assert settings.home == Path("home")
    assert settings.signing_key == Path("~/key").expanduser()
    assert settings.supabase_url == "https://x.supabase.co"
    assert (settings.anon_key, settings.service_role_key) == ("anon", "service")
    assert settings.jwt_secret == "s" * 32
    assert settings.database_url == "postgres://u:p@h:6543/d"
    assert settings.direct_url == "postgresql://u:p@h/d"
    assert settings.direct_url == "postgresql://u:p@h/d"
    assert settings.transaction_pooler is False
    assert (settings.bucket, settings.signed_url_ttl_sec) == ("packs", 60)
    assert (settings.pool_size, settings.max_overflow, settings.pool_timeout_sec) == (5, 0, 2.5)
    assert (settings.rate_limit_rps, settings.retention_days) == (0.5, 365)
    assert (settings.heartbeat_sec, settings.otlp_endpoint) == (1, "http://collector:4318")
    assert (settings.embedded, settings.local_storage) == (False, False)


WRONG = [
    ("APP_ENV", "live"),
    ("APP_PORT", "0"),
    ("APP_PORT", "70000"),
    ("APP_PORT", "80x"),
    ("APP_DEBUG", "maybe"),
    ("DB_TRANSACTION_POOLER", "6543"),
    ("DB_POOL_SIZE", "0"),
    ("DB_MAX_OVERFLOW", "-1"),
    ("DB_POOL_TIMEOUT", "nan"),
    ("DB_POOL_TIMEOUT", "0"),
    ("RATE_LIMIT_RPS", "inf"),
    ("RATE_LIMIT_RPS", "-1"),
    ("SIGNED_URL_TTL_SEC", "0"),
    ("EVIDENCE_RETENTION_DAYS", "0"),
    ("SSE_HEARTBEAT_SEC", "0"),
    ("STORAGE_BUCKET", "../packs"),
    ("SUPABASE_URL", "abcdefghijkl.supabase.co"),
    ("SUPABASE_URL", "http://abcdefghijkl.supabase.co"),
    ("SUPABASE_URL", "https://abcdefghijkl.supabase.co/rest/v1"),
    ("SUPABASE_URL", "https://user:pw@abcdefghijkl.supabase.co"),
    ("SUPABASE_URL", "https://[::1"),
    ("SUPABASE_SERVICE_ROLE_KEY", "two\nlines"),
    ("SUPABASE_ANON_KEY", "열쇠"),
    ("SUPABASE_JWT_SECRET", "s" * 31),
    ("SUPABASE_DB_URL", "mysql://u:p@h/d"),
    ("SUPABASE_DB_URL", "postgresql:///d"),
    ("SUPABASE_DB_URL", "postgresql://u:p@h:port/d"),
    ("SUPABASE_DIRECT_URL", "h:5432"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
]


@pytest.mark.parametrize(("name", "text"), WRONG)
def test_a_wrong_value_is_named_and_not_told(name: str, text: str) -> None:
    environment = {name: text}
    with pytest.raises(KisError) as caught:
        read_settings(environment)
    (notice,) = caught.value.notices
    assert notice.code in {"SETTING_INVALID", "SETTING_FORMAT"}
    for locale in ("ko-KR", "en-US"):
        told = notice.explained(locale)
        assert name in told
        assert len(text) < 4 or text not in told


def test_a_local_supabase_needs_no_https() -> None:
    settings = read_settings({"SUPABASE_URL": "http://127.0.0.1:54321"})
    assert settings.supabase_url == "http://127.0.0.1:54321"


def test_all_problems_at_once() -> None:
    found = problems(dict(WRONG) | {"APP_ENV": "production"})
    assert {name for _, name in found} == {name for name, _ in WRONG if name != "APP_ENV"}


def test_production_with_all_it_needs() -> None:
    settings = require_service_settings(REAL)
    assert settings.production
    assert settings.rate_limit_rps == 50
    assert require_service_settings(REAL | {"RATE_LIMIT_RPS": "0"}).rate_limit_rps is None


def test_production_names_what_is_missing() -> None:
    needed = {"SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_DB_URL"}
    assert problems({"APP_ENV": "production"}) == {("SETTING_MISSING", name) for name in needed}
    with pytest.raises(KisError) as caught:
        require_service_settings({"APP_ENV": "production"})
    assert len(caught.value.notices) == 3


def test_the_command_line_needs_nothing_in_production() -> None:
    assert read_settings({"APP_ENV": "production"}).production


def test_production_refuses_a_template() -> None:
    assert problems(TEMPLATE) == {
        ("SETTING_PLACEHOLDER", name) for name in TEMPLATE if name != "APP_ENV"
    }
    assert problems(TEMPLATE | {"APP_ENV": "staging"}) == set()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SUPABASE_SERVICE_ROLE_KEY", "changeme"),
        ("SUPABASE_SERVICE_ROLE_KEY", "CHANGE-ME"),
        ("SUPABASE_SERVICE_ROLE_KEY", "<service-role-key>"),
        ("SUPABASE_JWT_SECRET", "your_jwt_secret_of_at_least_32_characters"),
        ("SUPABASE_URL", "https://project.example.com"),
        ("SUPABASE_DB_URL", "postgresql://postgres:password@db.abcdefghijkl.supabase.co/postgres"),
        ("SUPABASE_DIRECT_URL", "postgresql://postgres:<password>@db.x.supabase.co/postgres"),
    ],
)
def test_placeholders(name: str, text: str) -> None:
    (notice,) = check_settings(REAL | {name: text})
    assert (notice.code, notice.params) == ("SETTING_PLACEHOLDER", {"name": name})
    assert text not in notice.explained()


def test_storage_needs_its_key() -> None:
    found = problems({"SUPABASE_URL": "https://abcdefghijkl.supabase.co"})
    assert found == {("SETTING_MISSING", "SUPABASE_SERVICE_ROLE_KEY")}


def test_secrets_are_not_shown() -> None:
    shown = repr(read_settings(REAL | {"SUPABASE_JWT_SECRET": "j" * 32, "SUPABASE_ANON_KEY": "a1"}))
    assert "abcdefghijkl.supabase.co" in shown
    for secret in ("s3cr3t", "sb_secret_", "jjjj", "a1"):
        assert secret not in shown
