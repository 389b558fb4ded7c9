"""Step 0: settings of two projects are never mixed up, and what is unreachable is told."""

import json
import time
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from tests.deploy.stand_in import OTHER_REF, REF, config_of, new_database
from tests.e2e.supabase_stack import Project, empty_project
from tests.store.postgresql import free_port

from kis_deploy import crosscheck as module
from kis_deploy.config import Config
from kis_deploy.crosscheck import crosscheck, reachable
from kis_deploy.database import claim_installation
from kis_deploy.problems import Problem
from kis_deploy.storage import ensure_bucket
from kis_estimator.store.migrate import migrate, migrations_folder

POOLER = "aws-0-ap-northeast-2.pooler.supabase.com"


def old_key(role: str, ref: str = REF, exp: float | None = None) -> str:
    """Return a key of the older kind, a token, which nobody verifies here."""
    claims = {"iss": "supabase", "ref": ref, "role": role, "exp": int(exp or time.time() + 1e6)}
    parts = ({"alg": "HS256", "typ": "JWT"}, claims, "signature")
    return ".".join(
        urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts
    )


HOSTED = {
    "SUPABASE_URL": f"https://{REF}.supabase.co",
    "SUPABASE_PROJECT_REF": REF,
    "SUPABASE_ANON_KEY": old_key("anon"),
    "SUPABASE_SERVICE_ROLE_KEY": old_key("service_role"),
    "SUPABASE_DB_URL": f"postgresql://kis_api.{REF}:pw@{POOLER}:6543/postgres",
    "SUPABASE_DIRECT_URL": f"postgresql://kis_api:pw@db.{REF}.supabase.co:5432/postgres",
    "SUPABASE_OWNER_URL": f"postgresql://postgres.{REF}:pw@{POOLER}:5432/postgres",
}


def texts(problems: list[Problem]) -> set[tuple[str, str]]:
    return {(problem.what, problem.cause) for problem in problems}


def named(problems: list[Problem]) -> list[str]:
    return [problem.what for problem in problems]


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"SUPABASE_ANON_KEY": "sb_publishable_0123456789", "SUPABASE_DIRECT_URL": ""},
        {"SUPABASE_SERVICE_ROLE_KEY": "sb_secret_0123456789"},
    ],
)
def test_settings_of_one_project_agree(project: Project, more: dict[str, str]) -> None:
    config = config_of(project, **HOSTED | more)
    assert [*module._other_projects(config), *module._wrong_keys(config)] == []


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        ("SUPABASE_PROJECT_REF", OTHER_REF, "another project"),
        ("SUPABASE_ANON_KEY", old_key("anon", OTHER_REF), "another project"),
        ("SUPABASE_SERVICE_ROLE_KEY", old_key("service_role", OTHER_REF), "another project"),
        ("SUPABASE_DB_URL", HOSTED["SUPABASE_DB_URL"].replace(REF, OTHER_REF), "another project"),
        ("SUPABASE_DIRECT_URL", f"postgresql://k:p@db.{OTHER_REF}.supabase.co/p", "another"),
        ("SUPABASE_OWNER_URL", f"postgresql://postgres:p@{POOLER}/p", "another project"),
        ("SUPABASE_OWNER_URL", "postgresql://postgres:p@10.0.0.1/p", "no database of the project"),
        ("SUPABASE_ANON_KEY", old_key("service_role"), "role anon"),
        ("SUPABASE_ANON_KEY", "sb_secret_0123456789", "role anon"),
        ("SUPABASE_SERVICE_ROLE_KEY", old_key("anon"), "role service_role"),
        ("SUPABASE_SERVICE_ROLE_KEY", "sb_publishable_0123456789", "role service_role"),
        ("SUPABASE_SERVICE_ROLE_KEY", "neither.of.both-0123456789", "role service_role"),
        ("SUPABASE_ANON_KEY", old_key("anon", exp=1.0), "has expired"),
    ],
)
def test_a_setting_of_another_project_is_named_without_its_value(
    project: Project, name: str, value: str, cause: str
) -> None:
    problems = crosscheck(config_of(project, **HOSTED | {name: value}))
    assert named(problems) == [name]
    assert cause in problems[0].cause
    assert value not in str(problems[0])
    assert OTHER_REF not in str(problems[0])


# ---------------------------------------------------------------- marks

NOT_ITS = "is not the {} of the database that SUPABASE_OWNER_URL leads to ({})"


@pytest.fixture
def staging(project: Project) -> Config:
    """The staging environment after its first deployment, in a database of its own."""
    own = new_database(project, f"marks_{time.monotonic_ns()}")
    migrate(own.owner, migrations_folder())
    config = config_of(own)
    claim_installation(config)
    ensure_bucket(config)
    return config


def test_production_is_kept_out_of_the_staging_database_and_bucket(staging: Config) -> None:
    assert crosscheck(staging) == []
    mixed = Config({**staging.environment, "APP_ENV": "production"}, staging.checkout)
    assert texts(crosscheck(mixed)) == {
        ("APP_ENV", NOT_ITS.format("environment", "staging")),
        ("STORAGE_BUCKET", "is the bucket of another installation (staging)"),
    }


def test_a_database_with_another_bucket_is_refused(staging: Config, project: Project) -> None:
    project.storage.buckets["other"] = dict(project.storage.buckets["evidence"])
    mixed = Config({**staging.environment, "STORAGE_BUCKET": "other"}, staging.checkout)
    assert texts(crosscheck(mixed)) == {("STORAGE_BUCKET", NOT_ITS.format("bucket", "evidence"))}


def test_marks_that_cannot_be_read_are_told(project: Project) -> None:
    closed = f"postgresql://postgres:pw@127.0.0.1:{free_port()}/db"
    project.storage.fail("InternalError")
    problems = crosscheck(config_of(project, SUPABASE_OWNER_URL=closed))
    assert named(problems) == ["Database", "STORAGE_BUCKET"]


# ---------------------------------------------------------------- network


def test_a_project_is_reached(project: Project) -> None:
    assert reachable(config_of(project)) == []
    project.storage.buckets.clear()
    assert reachable(config_of(project)) == [], "the first deployment makes it"


WRONG = "wrong-0123456789"


@pytest.mark.parametrize("name", ["SUPABASE_OWNER_URL", "SUPABASE_DB_URL", "SUPABASE_DIRECT_URL"])
def test_a_wrong_password_is_told_as_such(project: Project, name: str) -> None:
    config = config_of(project)
    user = config[name].partition("://")[2].partition(":")[0]
    place = config[name].rpartition("@")[2]
    [problem] = reachable(config_of(project, **{name: f"postgresql://{user}:{WRONG}@{place}"}))
    assert (problem.what, problem.cause) == (name, "the password is refused")
    assert WRONG not in str(problem)


@pytest.mark.parametrize(
    ("place", "cause"),
    [
        ("127.0.0.1:{port}/project", "the host can't be reached"),
        ("no-such-host.invalid/project", "the host can't be reached"),
        ("{here}/no_such_database", "no such database"),
        ("{here}/project?sslmode=require", "no encrypted connection"),
    ],
)
def test_an_address_that_leads_nowhere_is_told(project: Project, place: str, cause: str) -> None:
    login, _, here = project.direct.rpartition("@")
    address = f"{login}@{place.format(port=free_port(), here=here.partition('/')[0])}"
    [problem] = reachable(config_of(project, SUPABASE_DIRECT_URL=address))
    assert problem.what == "SUPABASE_DIRECT_URL"
    assert cause in problem.cause


def test_addresses_of_other_databases_and_users_are_told(project: Project) -> None:
    other = new_database(project, f"other_{time.monotonic_ns()}")
    mixed = config_of(project, SUPABASE_DB_URL=other.direct, SUPABASE_DIRECT_URL=project.owner)
    assert texts(reachable(mixed)) == {
        ("SUPABASE_DB_URL", "leads to another database than SUPABASE_OWNER_URL"),
        ("SUPABASE_DIRECT_URL", "has another user than kis_api"),
    }
    swapped = config_of(project, SUPABASE_OWNER_URL=project.direct)
    assert texts(reachable(swapped)) == {("SUPABASE_OWNER_URL", "has the user kis_api")}


def test_before_the_first_deployment_there_is_no_login_to_try(tmp_path: Path) -> None:
    with empty_project(tmp_path) as project:
        assert reachable(config_of(project)) == []


def test_a_storage_that_refuses_the_key_is_told(project: Project) -> None:
    key = "sb_secret_wrong_0123456789"
    [problem] = reachable(config_of(project, SUPABASE_SERVICE_ROLE_KEY=key))
    assert problem.what == "SUPABASE_SERVICE_ROLE_KEY"
    assert key not in str(problem)
