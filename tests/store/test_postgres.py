"""The embedded server: its life, its access, what it says when it cannot run."""

import os
import resource
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from kis_estimator.errors import KisError
from kis_estimator.store.postgres import EmbeddedPostgres


def postmaster(folder: Path) -> int:
    return int((folder / "data/postmaster.pid").read_text(encoding="utf-8").split()[0])


def is_running(folder: Path) -> bool:
    return (folder / "data/postmaster.pid").exists()


def ask(server: EmbeddedPostgres, query: str, user: str = "postgres") -> object:
    with psycopg.connect(server.dsn(user)) as conn:
        row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def crash(folder: Path) -> None:
    """End every process of the server at once, as a power cut does."""
    pid = postmaster(folder)
    listing = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=True
    )
    for process in (pid, *map(int, listing.stdout.split())):
        os.kill(process, signal.SIGKILL)
    while Path(f"/proc/{pid}").exists() and "State:\tZ" not in Path(
        f"/proc/{pid}/status"
    ).read_text(encoding="utf-8"):
        time.sleep(0.01)


def test_is_durable_small_and_in_utc(postgres: EmbeddedPostgres) -> None:
    shown = {
        name: ask(postgres, f"show {name}")
        for name in (
            "fsync",
            "synchronous_commit",
            "data_checksums",
            "max_connections",
            "timezone",
            "server_encoding",
        )
    }
    assert shown == {
        "fsync": "on",
        "synchronous_commit": "on",
        "data_checksums": "on",
        "max_connections": "100",
        "timezone": "UTC",
        "server_encoding": "UTF8",
    }


def test_only_its_account_reaches_it_and_by_socket_alone(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "pg") as server:
        assert ask(server, "show listen_addresses") == ""
        assert stat.S_IMODE((tmp_path / "pg").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "pg/.s.PGSQL.5432").stat().st_mode) == 0o700


def test_has_the_roles_of_supabase(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.dsn("postgres")) as conn:
        roles = conn.execute(
            "select rolname, rolcanlogin, rolinherit, rolbypassrls, rolsuper from pg_roles"
            " where rolname in ('anon', 'authenticated', 'service_role') order by rolname"
        ).fetchall()
        conn.execute("create table public.made_later (x int)")
        granted = conn.execute("select has_table_privilege('anon', 'public.made_later', 'select')")
        assert granted.fetchone() == (True,)
        conn.rollback()
    assert roles == [
        ("anon", False, False, False, False),
        ("authenticated", False, False, False, False),
        ("service_role", False, False, True, False),
    ]


def test_keeps_what_was_committed_over_a_restart(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path) as server, psycopg.connect(server.dsn("postgres")) as conn:
        conn.execute("create table kept as select 'KIS 견적' as text")
    assert not is_running(tmp_path)
    with EmbeddedPostgres(tmp_path) as server:
        assert ask(server, "select text from kept") == "KIS 견적"


def test_recovers_after_a_crash(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path)
    server.start()
    with psycopg.connect(server.dsn("postgres")) as conn:
        conn.execute("create table kept as select 1 as x")
    crash(tmp_path)
    with EmbeddedPostgres(tmp_path) as again:
        assert ask(again, "select x from kept") == 1
    server.stop()


@pytest.mark.parametrize("others", [os.getpid, lambda: 1])
def test_a_lock_file_with_the_number_of_another_process_does_not_stop_it(
    tmp_path: Path, others: object
) -> None:
    assert callable(others)
    server = EmbeddedPostgres(tmp_path)
    server.start()
    crash(tmp_path)
    for lock in (tmp_path / "data/postmaster.pid", tmp_path / ".s.PGSQL.5432.lock"):
        _, _, rest = lock.read_text(encoding="utf-8").partition("\n")
        lock.write_text(f"{others()}\n{rest}", encoding="utf-8")
    with EmbeddedPostgres(tmp_path) as again:
        assert ask(again, "select 1") == 1
    server.stop()


def test_an_empty_lock_file_does_not_stop_it(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path):
        pass
    (tmp_path / "data/postmaster.pid").touch()
    with EmbeddedPostgres(tmp_path) as server:
        assert ask(server, "select 1") == 1


def test_takes_over_the_server_of_a_killed_process(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from kis_estimator.store.postgres import"
        " EmbeddedPostgres; EmbeddedPostgres(Path(sys.argv[1])).start(); print('up', flush=True);"
        " time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], env={"PYTHONPATH": "src"}, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        parent.kill()
    before = postmaster(tmp_path)
    with EmbeddedPostgres(tmp_path):
        assert postmaster(tmp_path) == before
    assert not is_running(tmp_path)


def test_the_last_user_stops_it(tmp_path: Path) -> None:
    first, second = EmbeddedPostgres(tmp_path), EmbeddedPostgres(tmp_path)
    first.start()
    second.start()
    first.stop()
    assert ask(second, "select 1") == 1
    second.stop()
    assert not is_running(tmp_path)
    second.stop()


def test_a_long_path_and_one_with_signs(tmp_path: Path) -> None:
    for name in ("긴" * 60, "a, b", "견적 'q' \"x\" $(y) `z`; %p"):
        with EmbeddedPostgres(tmp_path / name) as server:
            assert ask(server, "select 1") == 1


def test_refuses_the_data_of_another_major_version(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path):
        pass
    (tmp_path / "data/PG_VERSION").write_text("15\n", encoding="ascii")
    with pytest.raises(KisError) as caught:
        EmbeddedPostgres(tmp_path).start()
    assert caught.value.notices[0].code == "POSTGRES_VERSION"
    assert caught.value.notices[0].params["found"] == "15"


def test_says_why_the_server_does_not_start(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path):
        pass
    auto = tmp_path / "data/postgresql.auto.conf"
    auto.write_text("shared_buffers = 'plenty'\n", encoding="utf-8")
    with pytest.raises(KisError) as caught:
        EmbeddedPostgres(tmp_path).start()
    assert "plenty" in caught.value.notices[0].message("en-US")
    auto.write_text("", encoding="utf-8")
    with EmbeddedPostgres(tmp_path) as server:
        assert ask(server, "select 1") == 1


def test_says_why_the_data_cannot_be_made_and_recovers(tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (1 << 16, hard)
    )  # as a full disk: initdb cannot write
    try:
        with pytest.raises(KisError) as caught:
            EmbeddedPostgres(tmp_path).start()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert caught.value.notices[0].code == "POSTGRES_START"
    assert caught.value.notices[0].params["reason"]
    assert not (tmp_path / "data").exists()
    with EmbeddedPostgres(tmp_path) as server:
        assert ask(server, "select 1") == 1


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KisError, match="POSTGRES_START"):
        EmbeddedPostgres(tmp_path / "file").start()


def test_nothing_of_the_environment_reaches_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", "the-secret")
    monkeypatch.setenv("PGDATA", str(tmp_path / "elsewhere"))
    with EmbeddedPostgres(tmp_path / "pg"):
        environment = Path(f"/proc/{postmaster(tmp_path / 'pg')}/environ").read_bytes()
    assert b"the-secret" not in environment


def test_the_log_has_errors_but_no_values_and_old_files_go(tmp_path: Path) -> None:
    for _ in range(7):
        with (
            EmbeddedPostgres(tmp_path) as server,
            psycopg.connect(server.dsn("postgres"), autocommit=True) as conn,
        ):
            conn.execute("create temp table t (email text primary key)")
            conn.execute("insert into t values ('kim@example.kr')")
            with pytest.raises(psycopg.errors.UniqueViolation):
                conn.execute("insert into t values ('kim@example.kr')")
    logs = [log.read_text(encoding="utf-8") for log in (tmp_path / "log").iterdir()]
    assert any("duplicate key" in text for text in logs)
    assert not any("kim@" in text for text in logs)
    assert len(logs) <= 6
