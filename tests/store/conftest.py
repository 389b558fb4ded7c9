"""One embedded server for a run of tests, a database of its own for each module."""

from collections.abc import Iterator
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import psycopg
import pytest
from tests.store.postgresql import debian_server

from kis_estimator.store.db import Database, Principal
from kis_estimator.store.migrate import migrate, migrations_folder
from kis_estimator.store.postgres import EmbeddedPostgres

TEMPLATE = "kis_migrated"
_NAMES = (f"test_{number}" for number in count())


class Dsn(Protocol):
    """The connection string of the module's database for a login."""

    def __call__(self, user: str = "kis_api") -> str: ...


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """The embedded server: one for each worker of the tests."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres: EmbeddedPostgres) -> str:
    """The name of a database with the real schema, which others are copied from."""
    make_database(postgres.dsn("postgres"), TEMPLATE, "kis")
    migrate(postgres.dsn("postgres", TEMPLATE), migrations_folder())
    return TEMPLATE


@pytest.fixture(scope="module")
def dsn(postgres: EmbeddedPostgres, migrated_template: str) -> Dsn:
    """Connection strings of a database with the real schema for the module's tests alone."""
    name = next(_NAMES)
    make_database(postgres.dsn("postgres"), name, migrated_template)
    return lambda user="kis_api": postgres.dsn(user, name)


@pytest.fixture
def empty_dsn(postgres: EmbeddedPostgres) -> str:
    """The owner's connection string of a database without a schema, for one test."""
    name = next(_NAMES)
    make_database(postgres.dsn("postgres"), name, "template1")
    return postgres.dsn("postgres", name)


@pytest.fixture(scope="module")
def db(dsn: Dsn) -> Iterator[Database]:
    """The pool of the login that API and workers use."""
    with Database(dsn(), pool_size=2, max_overflow=2, timeout_sec=10) as database:
        yield database


@pytest.fixture
def principal() -> Principal:
    """An estimator of an organisation that no other test knows."""
    return Principal(org_id=uuid4(), user_id=uuid4(), role="estimator")


@pytest.fixture(scope="session")
def postgres15(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL, without a database's name, of a PostgreSQL 15 such as Supabase runs.

    Its database `supabase` is to be copied: it has the roles, and nothing else yet.
    """
    roles = files("kis_estimator.store").joinpath("embedded_roles.sql").read_bytes()
    with debian_server(tmp_path_factory.mktemp("debian") / "server") as url:
        make_database(url, "supabase", "template0")
        with psycopg.connect(f"{url}/supabase", autocommit=True) as conn:
            conn.execute(roles)
        yield url


def make_database(dsn: str, name: str, template: str) -> None:
    with psycopg.connect(dsn, dbname="postgres", autocommit=True) as conn:
        conn.execute(f"create database {name} template {template}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder of migrations."""
    made = tmp_path / "migrations"
    made.mkdir()
    return made
