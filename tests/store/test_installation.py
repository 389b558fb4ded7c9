"""The row that says which installation a database is, and organisations of smoke tests."""

from uuid import uuid4

import psycopg
import pytest
from psycopg.errors import CheckViolation, InsufficientPrivilege
from tests.store.conftest import Dsn, make_database

from kis_estimator.store import estimates
from kis_estimator.store.db import Database, Principal
from kis_estimator.store.migrate import migrate, migrations_folder

POLICY = "select polpermissive, polroles::regrole[]::text from pg_policy where polname like 'kis_%'"


def test_a_database_has_one_installation_that_a_deployment_names(db: Database) -> None:
    with db.service() as conn:
        conn.execute("update shared.installation set environment = 'staging', bucket = 'b'")
        rows = conn.execute("select id, environment, project_ref from shared.installation")
        assert [(r["environment"], r["project_ref"]) for r in rows] == [("staging", None)]
    with pytest.raises(CheckViolation), db.service() as conn:
        conn.execute("update shared.installation set environment = 'live'")
    with pytest.raises(InsufficientPrivilege), db.service() as conn:
        conn.execute("insert into shared.installation default values")


@pytest.mark.parametrize("role", ["anon", "authenticated", "kis_api"])
def test_nobody_else_reads_the_installation(dsn: Dsn, role: str) -> None:
    with psycopg.connect(dsn("postgres")) as conn:
        conn.execute(f"set local role {role}".encode())
        with pytest.raises(InsufficientPrivilege):
            conn.execute("select from shared.installation")


@pytest.mark.parametrize("quarantined", [True, False])
def test_an_organisation_is_quarantined_by_its_first_token(db: Database, quarantined: bool) -> None:  # noqa: FBT001
    org = uuid4()
    for said, role in ((quarantined, "estimator"), (not quarantined, "admin")):
        person = Principal(org_id=org, user_id=uuid4(), role=role, quarantined=said)  # type: ignore[arg-type] # a role
        with db.tenant(person) as conn:
            estimates.ensure_caller(conn)
    with db.service() as conn:
        found = conn.execute("select quarantined from shared.organisations where id = %s", [org])
        assert [row["quarantined"] for row in found] == [quarantined]


def test_keys_of_browsers_touch_no_object_of_a_hosted_project(postgres15: str) -> None:
    make_database(postgres15, "hosted", "supabase")
    with psycopg.connect(f"{postgres15}/hosted", autocommit=True) as conn:
        conn.execute(
            "create schema storage; create table storage.objects (name text);"
            " alter table storage.objects enable row level security;"
            " create policy open on storage.objects for all to anon using (true);"
            " grant usage on schema storage to anon, authenticated;"
            " grant all on storage.objects to anon, authenticated;"
            " insert into storage.objects values ('a')"
        )
        migrate(f"{postgres15}/hosted", migrations_folder())
        assert conn.execute(POLICY).fetchall() == [(False, "{anon,authenticated}")]
        assert conn.execute("select from storage.objects").rowcount == 1
        conn.execute("set role anon")
        assert conn.execute("select from storage.objects").rowcount == 0
        with pytest.raises(InsufficientPrivilege):
            conn.execute("insert into storage.objects values ('b')")


def test_objects_of_another_owner_do_not_stop_the_migration(postgres15: str) -> None:
    make_database(postgres15, "elsewhere", "supabase")
    with psycopg.connect(f"{postgres15}/elsewhere", autocommit=True) as conn:
        conn.execute(
            "create role schema_owner login createrole bypassrls;"
            " grant anon, authenticated, service_role to schema_owner with admin option;"
            " grant all on database elsewhere to schema_owner;"
            " grant all on schema public to schema_owner;"
            " create schema storage; create table storage.objects (name text)"
        )
    owner = postgres15.replace("postgres@", "schema_owner@")
    migrate(f"{owner}/elsewhere", migrations_folder())
    with psycopg.connect(f"{postgres15}/elsewhere") as conn:
        assert conn.execute(POLICY).fetchall() == []
