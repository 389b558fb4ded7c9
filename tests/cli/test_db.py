"""`kis db`: what its commands print, ask and end with, on an embedded installation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from kis_estimator.cli import app
from kis_estimator.cli import db as commands
from kis_estimator.store.postgres import EmbeddedPostgres

Kis = Callable[..., Result]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, EmbeddedPostgres]]:
    """An installation whose server runs for the tests, so that each command joins it."""
    home = tmp_path_factory.mktemp("installation") / "home"
    with EmbeddedPostgres(home / "postgres") as running:
        yield home, running


@pytest.fixture
def kis(server: tuple[Path, EmbeddedPostgres]) -> Kis:
    home, _ = server
    key = home / "key"
    environment = {"KIS_HOME": str(home), "KIS_BACKUP_KEY": str(key), "LANG": "en_US.UTF-8"}

    def run(*arguments: str, **more: str | None) -> Result:
        done = CliRunner().invoke(app, ["db", *arguments], env={**environment, **more})
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    if not key.exists():
        assert run("snapshot-key", str(key)).exit_code == 0
        assert run("migrate").exit_code == 0
    return run


def told(done: Result) -> dict[str, Any]:
    assert done.exit_code == 0, done.output
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def organisations(server: tuple[Path, EmbeddedPostgres]) -> int:
    with psycopg.connect(server[1].dsn("postgres")) as conn:
        row = conn.execute("select count(*) from shared.organisations").fetchone()
    assert row is not None
    return int(row[0])


def add_organisation(server: tuple[Path, EmbeddedPostgres]) -> None:
    with psycopg.connect(server[1].dsn("postgres")) as conn:
        conn.execute("insert into shared.organisations (name) values ('x')")


def test_a_snapshot_is_taken_listed_checked_and_restored(
    kis: Kis, server: tuple[Path, EmbeddedPostgres]
) -> None:
    taken = told(kis("snapshot", "--json"))
    assert Path(taken["path"]).exists()
    first = told(kis("list", "--json"))["snapshots"][0]
    assert first == {name: taken[name] for name in taken if name != "path"} | {"state": "described"}
    before = organisations(server)
    add_organisation(server)
    checked = told(kis("restore", taken["id"], "--check", "--json"))
    assert (checked["verified"], checked["restored"]) == (True, False)
    assert organisations(server) == before + 1
    stray = server[0] / "blobs/00000000-0000-0000-0000-000000000001/ab"
    stray.mkdir(parents=True)
    (stray / "stray").write_bytes(b"kept")
    restored = told(kis("restore", taken["id"], "--yes", "--json"))
    assert (restored["restored"], restored["unknownObjects"]) == (True, 1)
    assert organisations(server) == before
    listed = Path(restored["unknownObjectsFile"])
    assert listed.name == f"{taken['id']}.unknown-objects.txt"
    assert listed.read_text(encoding="utf-8").endswith("/ab/stray\n")
    assert (stray / "stray").read_bytes() == b"kept"
    assert told(kis("list", "--json"))["snapshots"][0]["id"] == restored["before"]
    table = kis("list").stdout
    assert taken["id"] in table
    assert "not verified (--verify)" in table
    assert "verified" in kis("list", "--verify").stdout
    damaged = next(Path(taken["path"]).parent.glob(f"{restored['before']}.dump*"))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    assert kis("list", "--verify").exit_code == 1
    damaged.unlink()
    damaged.with_name(f"{restored['before']}.json").unlink()


@pytest.mark.parametrize(("answer", "changed"), [("y", False), ("yes", True)])
def test_a_terminal_is_asked_for_yes(
    kis: Kis,
    server: tuple[Path, EmbeddedPostgres],
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    changed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    taken = told(kis("snapshot", "--json"))["id"]
    before = organisations(server)
    add_organisation(server)
    refused = kis("restore", taken)
    assert refused.exit_code == 2
    assert "--yes" in refused.output
    monkeypatch.setattr(commands, "_has_terminal", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    done = kis("restore", taken)
    assert done.exit_code == (0 if changed else 2)
    assert organisations(server) == (before if changed else before + 1)


def test_the_owners_address_of_a_deployment_comes_first(kis: Kis) -> None:
    assert kis("status").exit_code == 0
    away = kis("status", SUPABASE_OWNER_URL="postgresql://postgres:0123456789@127.0.0.1:1/postgres")
    assert away.exit_code == 3


def test_what_is_missing_is_said_with_its_remedy(kis: Kis, tmp_path: Path) -> None:
    for command in (
        ("snapshot",),
        ("restore", "x", "--yes"),
        ("rehearse", "x", "--migrations", "."),
    ):
        done = kis(*command, KIS_BACKUP_KEY=None)
        assert done.exit_code == 2
        assert "kis db snapshot-key" in done.output
    unknown = kis("restore", "20000101T000000Z-000000", "--yes")
    assert (unknown.exit_code, "SNAPSHOT_UNKNOWN" in unknown.output) == (2, True)
    assert "no snapshot" in kis("list", KIS_BACKUP_DIR=str(tmp_path / "none")).stdout
    assert "스냅샷이 없습니다" in kis(
        "list", KIS_BACKUP_DIR=str(tmp_path / "none"), LANG="ko_KR.UTF-8"
    ).stdout  # fmt: skip


@pytest.mark.parametrize(
    ("direct", "pooled", "port", "refused"),
    [
        (None, None, 6543, True),
        (None, "true", 5432, True),
        (6543, None, 5432, True),
        (None, "false", 6543, False),
        (5432, "true", 6543, False),
        (None, None, 5432, False),
    ],
)
def test_a_transaction_pooler_is_refused(
    kis: Kis,
    direct: int | None,
    pooled: str | None,
    port: int,
    refused: bool,  # noqa: FBT001
) -> None:
    address = "postgresql://kis:secret@127.0.0.1:{}/none?connect_timeout=1"
    done = kis(
        "snapshot",
        SUPABASE_DB_URL=address.format(port),
        SUPABASE_DIRECT_URL=direct and address.format(direct),
        DB_TRANSACTION_POOLER=pooled,
    )
    assert ("SNAPSHOT_POOLER" in done.output) is refused
    assert done.exit_code == (2 if refused else 3)
    assert "secret" not in done.output
