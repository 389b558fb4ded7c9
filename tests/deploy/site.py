"""A site that is deployed to: a project, a host with supervisord, an operator's checkout."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg.sql import SQL, Identifier
from tests.deploy.shelf import ROOT, Spoil, release, write_sums
from tests.e2e.live import KIS
from tests.e2e.supabase_stack import Project, empty_project
from tests.store.postgresql import free_port

from kis_deploy.hosts import parse_hosts
from kis_estimator.evidence.envelope import STATEMENT, seal
from kis_estimator.evidence.keys import SigningKey, load_signing_key, make_keys

_LINKED = ("src", "scripts", "supabase", "node_modules", "package.json", "script")
_COMPANY = """
registration_number = "120-81-47521"
name = "한빛배전"
representative = "김한빛"
address = "서울특별시 금천구 가산로 1"
phone = "02-000-0000"
business_type = "제조"
business_item = "배전반, 분전반"
delivery = "발주 후 3주"
payment = "납품 후 30일"
bank_account = "한빛은행 000-000-000000"
notes = []
"""
_KEPT = """
select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid
where c.relnamespace = 'estimator'::regnamespace and c.relkind = 'r' and a.attname = 'org_id'
order by 1
"""
_CHECKSUM: LiteralString = """
select count(*), md5(string_agg(md5(t::text), '' order by md5(t::text))) from {} t where org_id = %s
"""


@dataclass(frozen=True)
class Site:
    """Where it is, and the hands of its operator."""

    folder: Path
    project: Project
    key: SigningKey = field(repr=False)
    environment: dict[str, str] = field(repr=False)

    @property
    def checkout(self) -> Path:
        return self.folder / "checkout"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.environment['APP_PORT']}"

    @cached_property
    def secrets(self) -> list[str]:
        """Every text that nobody may see."""
        names = ("SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_JWT_SECRET")
        urls = ("SUPABASE_DB_URL", "SUPABASE_OWNER_URL", "SUPABASE_DIRECT_URL")
        passwords = [self.environment[n].split("@")[0].rpartition(":")[2] for n in urls]
        key = Path(self.environment["KIS_BACKUP_KEY"]).read_text(encoding="ascii").strip()
        return [*(self.environment[name] for name in names), *passwords, key]

    def release(
        self, version: str, spoil: Spoil | None = None, migrations: dict[str, str] | None = None
    ) -> Path:
        """Cut a release of this checkout, signed with the site's key."""
        folder = release(
            self.folder / "cut" / f"v{version}", version, spoil=spoil, migrations=migrations
        )
        shutil.copytree(ROOT / "supabase/migrations", folder / "supabase/migrations")
        shutil.copy(ROOT / "supabase/config.toml", folder / "supabase")
        for name, text in (migrations or {}).items():
            (folder / "supabase/migrations" / name).write_text(text, encoding="utf-8")
        write_sums(folder)
        sums = hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest()
        statement = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "SHA256SUMS", "digest": {"sha256": sums}}],
            "predicateType": "https://kis-estimator.dev/release/v1",
            "predicate": {},
        }
        envelope = seal(json.dumps(statement).encode(), STATEMENT, self.key)
        (folder / "release.dsse.json").write_bytes(envelope)
        return folder

    def command(self, *arguments: str) -> list[str]:
        return [str(self.checkout / "DEPLOYMENT_SCRIPT.sh"), *arguments]

    def script(
        self, *arguments: str, cut: Path | None = None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the deployer as an operator does; what it tells is in `stdout`."""
        return subprocess.run(
            self.command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env=self.with_release(cut) | more,
        )

    def deploy(self, cut: Path, *arguments: str, code: int = 0, **more: str) -> str:
        """Deploy a release and return what was told; the exit code is the expected one."""
        done = self.script("--yes", *arguments, cut=cut, **more)
        assert done.returncode == code, done.stdout + self.logs()
        return done.stdout

    def watch(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Watch the site with leave to roll back; what is told is in `stdout`."""
        options = ("--auto-rollback", "--interval", "0.3", "--checkout", str(self.checkout))
        return subprocess.run(
            [*KIS, "ops", "watch", *options, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env=self.environment,
        )

    def with_release(self, cut: Path | None) -> dict[str, str]:
        return self.environment | ({"DEPLOY_RELEASE": str(cut)} if cut else {})

    def status(self) -> dict[str, Any]:
        """Return what the agent says of the host."""
        (host,) = parse_hosts("local", None)
        root = self.environment["DEPLOY_ROOT"]
        asked = {"root": root, "python": sys.executable, "manager": "supervisord"}
        return host.call("status", asked, timeout_sec=60)

    @property
    def serving(self) -> str | None:
        return (self.status()["serving"] or {}).get("version")

    def snapshot(self) -> str:
        """Take a snapshot of the database and return its name."""
        done = subprocess.run(
            [
                self.folder / f"host/releases/v{self.serving}/venv/bin/kis",
                "db",
                "snapshot",
                "--json",
            ],
            check=True,
            capture_output=True,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "SUPABASE_DIRECT_URL": self.project.owner,
                "KIS_BACKUP_KEY": self.environment["KIS_BACKUP_KEY"],
                "KIS_BACKUP_DIR": str(self.checkout / "out/snapshots"),
            },
        )
        return str(json.loads(done.stdout)["id"])

    def report(self) -> dict[str, Any]:
        """Return the report of the last run."""
        newest = max((self.checkout / "out/prod_deploy").glob("*/report.json"))
        told: dict[str, Any] = json.loads(newest.read_bytes())
        return told

    def logs(self) -> str:
        """Return what the last run logged."""
        newest = max((self.checkout / "out/prod_deploy").glob("2*"))
        return "\n".join(log.read_text(encoding="utf-8") for log in sorted(newest.glob("*.log")))

    def migrations(self) -> list[object]:
        rows = self.project.rows(
            "select version from supabase_migrations.schema_migrations order by 1"
        )
        return [version for (version,) in rows]

    def content(self) -> dict[object, object]:
        """Return a checksum of every table's rows of the customer's organisation."""
        found: dict[object, object] = {}
        with psycopg.connect(self.project.owner, autocommit=True) as conn:
            for (table,) in conn.execute(_KEPT).fetchall():
                query = SQL(_CHECKSUM).format(Identifier("estimator", str(table)))
                found[table] = conn.execute(query, (self.project.org_id,)).fetchone()
        return found

    def stop(self) -> None:
        """Stop everything on the host."""
        (host,) = parse_hosts("local", None)
        root = self.environment["DEPLOY_ROOT"]
        asked = {"root": root, "python": sys.executable, "manager": "supervisord"}
        host.call("stop", asked, timeout_sec=120)


@contextmanager
def site_in(folder: Path) -> Iterator[Site]:
    """Prepare a site on which nothing was ever deployed."""
    (folder / "project").mkdir()
    with empty_project(folder / "project") as project:
        project.storage.buckets.clear()  # making it is the deployment's work
        administrator = f"postgresql://supabase_admin@{project.owner.rpartition('@')[2]}"
        with psycopg.connect(administrator, autocommit=True) as conn:
            conn.execute("create extension plpgsql_check")
        _, private, public = make_keys(folder / "keys")
        backup = folder / "keys/backup.key"
        subprocess.run([*KIS, "db", "snapshot-key", str(backup)], check=True, capture_output=True)
        home = folder / "host/shared/home"
        home.mkdir(parents=True)
        (home / "company.toml").write_text(_COMPANY, encoding="utf-8")
        checkout = folder / "checkout"
        checkout.mkdir()
        for name in _LINKED:
            (checkout / name).symlink_to(ROOT / name)
        shutil.copytree(ROOT / "ops", checkout / "ops")
        shutil.copy(ROOT / "DEPLOYMENT_SCRIPT.sh", checkout)
        environment = _environment(folder, project, backup, public)
        site = Site(folder, project, load_signing_key(private), environment)
        try:
            yield site
        finally:
            site.stop()


def _environment(folder: Path, project: Project, backup: Path, public: Path) -> dict[str, str]:
    listening = project.settings(listening=True)
    del listening["DB_POOL_TIMEOUT"], listening["SSE_HEARTBEAT_SEC"]
    return listening | {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),  # noqa: S108 - the machine's own
        "KIS_PYTHON": sys.executable,
        "PGSSLMODE": "disable",
        "APP_ENV": "production",
        "APP_PORT": str(free_port()),
        "SUPABASE_ANON_KEY": project.storage.anon_key,
        "SUPABASE_OWNER_URL": project.owner,
        "STORAGE_BUCKET": "evidence",
        "KIS_BACKUP_KEY": str(backup),
        "KIS_BACKUP_DIR": str(folder / "checkout/out/snapshots"),
        "KIS_RELEASE_PUBLIC_KEY": str(public),
        "DEPLOY_ROOT": str(folder / "host"),
        "DEPLOY_PORTS": f"{free_port()},{free_port()}",
        "DEPLOY_PROCESS_MANAGER": "supervisord",
        "DEPLOY_PYTHON": sys.executable,
        "DEPLOY_WORKERS": "1",
        "DEPLOY_P95_MS": "60000",  # how busy this machine is proves nothing
    }
