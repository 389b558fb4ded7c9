"""`--check-env`: every variable missing, as in the template, and malformed; no value is told."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from kis_deploy.variables import BY_NAME, VARIABLES, check_variables

REF = "abcdefghijklmnopqrst"
KEY = "k3y-0f-a-project-that-is-long-enough"


def sound(folder: Path) -> dict[str, str]:
    """Return an environment of a hosted project in which nothing is wrong."""
    key, public = folder / "backup.key", folder / "release.pub.pem"
    for path in (key, public):
        path.write_text("a key", encoding="ascii")
        path.chmod(0o600)
    pooler = "aws-0-ap-northeast-2.pooler.supabase.com"
    return {
        "APP_ENV": "production",
        "SUPABASE_URL": f"https://{REF}.supabase.co",
        "SUPABASE_ANON_KEY": f"anon-{KEY}",
        "SUPABASE_SERVICE_ROLE_KEY": f"service-{KEY}",
        "SUPABASE_DB_URL": f"postgresql://kis_api.{REF}:s3cret-db@{pooler}:6543/postgres",
        "SUPABASE_OWNER_URL": f"postgresql://postgres.{REF}:s3cret-own@{pooler}:5432/postgres",
        "SUPABASE_PROJECT_REF": REF,
        "SUPABASE_ACCESS_TOKEN": "sbp_" + "0123456789abcdef" * 3,
        "STORAGE_BUCKET": "evidence",
        "KIS_BACKUP_KEY": str(key),
        "KIS_BACKUP_DIR": "/var/backups/kis-estimator",
        "KIS_RELEASE_PUBLIC_KEY": str(public),
    }


REQUIRED = [v.name for v in VARIABLES if v.required or v.hosted]
PLACEHOLDERS = ["your-value", "<value>", "change-me", "xxxxxxxx", "example"]


def told(environment: dict[str, str]) -> list[str]:
    return [problem.what for problem in check_variables(environment)]


def test_a_sound_environment_has_no_problem(tmp_path: Path) -> None:
    assert told(sound(tmp_path)) == []


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", [None, "", "  "])
def test_missing(tmp_path: Path, name: str, value: str | None) -> None:
    environment = sound(tmp_path)
    if value is None:
        del environment[name]
    else:
        environment[name] = value
    if name == "SUPABASE_URL":  # says whether the project is hosted, so that less is asked
        assert name in told(environment)
    else:
        assert told(environment) == [name]


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda v: v.name)
@pytest.mark.parametrize("value", [*PLACEHOLDERS, "a\nb", "'", "\x1b[31m", "é" * 40 + " "])
def test_placeholder_or_malformed(tmp_path: Path, variable: object, value: str) -> None:
    name = str(getattr(variable, "name", ""))
    environment = sound(tmp_path) | {name: value}
    problems = check_variables(environment)
    assert name in [problem.what for problem in problems]
    for problem in problems:
        assert value not in str(problem) or value in {"'", "example"}
        assert problem.remedy


MALFORMED = {
    "APP_ENV": ["development", "Production"],
    "APP_PORT": ["0", "65536", "http"],
    "SUPABASE_URL": ["http://db.supabase.co", "https://a.b/path", "https://u:p@a.b", "ftp://a.b"],
    "SUPABASE_DB_URL": [
        "mysql://u:p@h/d",
        "postgresql://h/d",
        "postgresql://u@h",
        "postgresql://u@h/d?password=abc",
        "postgresql://u:p@h:99999/d",
    ],
    "SUPABASE_OWNER_URL": ["postgresql://postgres:pw@h:6543/postgres"],
    "SUPABASE_DIRECT_URL": ["postgresql://kis_api:pw@h:6543/postgres"],
    "SUPABASE_PROJECT_REF": ["ABCDEFGHIJKLMNOPQRST", "short"],
    "SUPABASE_JWT_SECRET": ["short"],
    "STORAGE_BUCKET": ["Evidence", "a/b", "-a"],
    "DB_POOL_SIZE": ["0", "1.5", "٣"],
    "DEPLOY_HOSTS": [
        "ssh://-oProxyCommand=x@h",
        "host",
        "local;rm",
        "ssh://u@h:port",
        "ssh://u@h:99999",
        "local,local",
    ],
    "DEPLOY_ROOT": ["relative", "/a/../b", "/a b", "/"],
    "DEPLOY_PORTS": ["8001", "8001,8001", "8001,8002,8003", "8000,8001"],
    "DEPLOY_PYTHON": ["python3; rm"],
    "DEPLOY_BIND": ["999.1.1.1", "1.2.3", "::1%eth0", "localhost"],
    "KIS_BACKUP_KEY": ["/nowhere"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in MALFORMED.items() for value in values]
)
def test_malformed(tmp_path: Path, name: str, value: str) -> None:
    problems = check_variables(sound(tmp_path) | {name: value})
    assert name in [problem.what for problem in problems]


def test_hosts_elsewhere_need_the_address_of_callers(tmp_path: Path) -> None:
    environment = sound(tmp_path) | {"DEPLOY_HOSTS": "ssh://deploy@app1"}
    assert told(environment) == ["DEPLOY_BASE_URL"]
    assert told(environment | {"DEPLOY_BASE_URL": "https://api.kis-estimator.com"}) == []


@pytest.mark.parametrize("bind", ["127.0.0.1", "0.0.0.0", "::", "fd00::1"])  # noqa: S104 - checked
def test_addresses_to_listen_on(tmp_path: Path, bind: str) -> None:
    assert told(sound(tmp_path) | {"DEPLOY_BIND": bind}) == []


def test_what_is_wrong_is_said_exactly(tmp_path: Path) -> None:
    key = tmp_path / "release.pem"
    key.write_text("-----BEGIN PRIVATE KEY-----\n", encoding="ascii")
    for name, value, said in (
        ("KIS_RELEASE_PUBLIC_KEY", str(key), "names a file with a private key. Name the .pub.pem"),
        ("DEPLOY_HOSTS", "local,local", "names a host twice. Name each host once"),
        ("DEPLOY_PORTS", "8001,8000", "holds the port of the proxy. Name two ports, one for each"),
    ):
        problems = check_variables(sound(tmp_path) | {name: value})
        [problem] = [problem for problem in problems if problem.what == name]
        assert str(problem).startswith(f"{name}: {said}")


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    environment = sound(tmp_path)
    Path(environment["KIS_BACKUP_KEY"]).chmod(0o644)
    assert told(environment) == ["KIS_BACKUP_KEY"]


def test_the_template_names_every_variable_and_is_refused_whole(root: Path) -> None:
    text = (root / ".env.production.example").read_text(encoding="utf-8")
    named = dict(re.findall(r'^#?export (\w+)="(.*)"$', text, re.MULTILINE))
    assert set(named) == set(BY_NAME)
    filled = dict(re.findall(r'^export (\w+)="(.*)"$', text, re.MULTILINE))
    refused = {p.what for p in check_variables(filled)}
    assert {n for n, v in filled.items() if "your" in v} == refused


def test_the_script_tells_every_problem_and_no_value(root: Path, tmp_path: Path) -> None:
    environment = sound(tmp_path) | {"DB_POOL_SIZE": "many", "SUPABASE_JWT_SECRET": "too-short"}
    del environment["STORAGE_BUCKET"]
    done = subprocess.run(
        [root / "DEPLOYMENT_SCRIPT.sh", "--check-env"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], **environment},
    )
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "❌ SUPABASE_JWT_SECRET",
        "❌ STORAGE_BUCKET",
        "❌ DB_POOL_SIZE",
    ]
    for name, value in environment.items():
        assert value not in done.stderr or not BY_NAME[name].secret


def test_a_sound_environment_passes_the_script(root: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [root / "DEPLOYMENT_SCRIPT.sh", "--check-env"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], **sound(tmp_path)},
    )
    assert done.stdout == "✅ Environment variables validated (production)\n"
