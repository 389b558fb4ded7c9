"""A Supabase project on this machine, and the settings of a deployment to it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import psycopg
from tests.e2e.supabase_stack import BUCKET, Project
from tests.store.storage_server import StorageServer

from kis_deploy.config import Config

ROOT = Path(__file__).resolve().parents[2]
REF, OTHER_REF = "abcdefghij0123456789", "zyxwvutsrq9876543210"
_IN_PROJECT = b"""
grant all on schema public to postgres;
create extension plpgsql_check;
"""


def settings(project: Project, /, **more: str) -> dict[str, str]:
    """Return the variables of a deployment to a project, without those of hosts and releases."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        **storage_settings(project.storage),
        "SUPABASE_DB_URL": project.pooled,
        "SUPABASE_DIRECT_URL": project.direct,
        "SUPABASE_OWNER_URL": project.owner,
        "SUPABASE_JWT_SECRET": project.legacy_secret,
        **more,
    }


def config_of(project: Project, checkout: Path = ROOT, /, **more: str) -> Config:
    """Return the settings of a deployment."""
    return Config(settings(project, **more), checkout)


def storage_settings(storage: StorageServer) -> dict[str, str]:
    """Return the variables that a storage alone needs."""
    return {
        "APP_ENV": "staging",
        "SUPABASE_URL": storage.url,
        "SUPABASE_ANON_KEY": storage.anon_key,
        "SUPABASE_SERVICE_ROLE_KEY": storage.service_key,
        "STORAGE_BUCKET": BUCKET,
    }


def storage_config(storage: StorageServer) -> Config:
    """Return the settings of a storage without a database."""
    return Config(storage_settings(storage), ROOT)


def administrator(project: Project) -> str:
    """Return the address of the server's administrator, who needs no password here."""
    return f"postgresql://supabase_admin@{project.owner.rpartition('@')[2]}"


def new_database(project: Project, name: str) -> Project:
    """Return the project with another database, as empty as a new project's."""
    with psycopg.connect(administrator(project), autocommit=True) as conn:
        conn.execute(f"create database {name} owner postgres")
    made = replace(
        project,
        owner=f"{project.owner.rpartition('/')[0]}/{name}",
        direct=f"{project.direct.rpartition('/')[0]}/{name}",
        pooled=f"{project.pooled.rpartition('/')[0]}/{name}",
    )
    with psycopg.connect(administrator(made), autocommit=True) as conn:
        conn.execute(files("kis_estimator.store").joinpath("embedded_roles.sql").read_bytes())
        conn.execute(_IN_PROJECT)
    return made


def checkout_in(folder: Path, program: str, migrations: Mapping[str, str] | None = None) -> Path:
    """Make a checkout whose Supabase command line is a script; with the real migrations if None."""
    binaries, made = folder / "node_modules/.bin", folder / "supabase/migrations"
    binaries.mkdir(parents=True)
    (binaries / "supabase").write_text(program, encoding="utf-8")
    (binaries / "supabase").chmod(0o755)
    if migrations is None:
        shutil.copytree(ROOT / "supabase/migrations", made)
    else:
        made.mkdir(parents=True)
        for name, text in migrations.items():
            (made / name).write_text(text, encoding="utf-8")
    shutil.copy(ROOT / "supabase/config.toml", folder / "supabase")
    return folder


@contextmanager
def objects_kept(project: Project) -> Iterator[None]:
    """Put bucket and objects back as they were at the start of the block."""
    storage = project.storage
    buckets, objects = {k: dict(v) for k, v in storage.buckets.items()}, dict(storage.objects)
    try:
        yield
    finally:
        storage.recover()
        storage.buckets, storage.objects = buckets, objects
