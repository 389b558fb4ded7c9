"""A rehearsal on a copy: what works passes, what does not is named, and nothing remains."""

import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.e2e.live import KIS, environment
from tests.service.site import until
from tests.store.conftest import Dsn
from tests.store.test_snapshots import KEY, add_customers, contents

from kis_estimator.cli.db import _ending_cleanly
from kis_estimator.errors import KisError
from kis_estimator.rehearsal import rehearse
from kis_estimator.store.migrate import migrations_folder
from kis_estimator.store.postgres import EmbeddedPostgres
from kis_estimator.store.scratch import scratch_installation
from kis_estimator.store.snapshots import Snapshot, take

READY_SEC = 180
SOURCE = Path(__file__).parents[2] / "src"


def program(path: Path, *lines: str) -> str:
    """Write an executable shell script, as a release's `kis`."""
    path.write_text("\n".join(("#!/bin/sh", *lines, "")), encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def works(folder: Path) -> str:
    command = shlex.join([sys.executable, "-P", "-m", "kis_estimator.cli"])
    return program(folder / "works", f'PYTHONPATH={SOURCE} exec {command} "$@"')


def newer(folder: Path, text: str) -> Path:
    """Return the real migrations with one more."""
    folder.mkdir()
    for path in migrations_folder().glob("*.sql"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "29990101000000_newer.sql").write_text(text, encoding="utf-8")
    return folder


def left(scratch: Path) -> list[str]:
    """Return the folders of copies, and the processes that work in them."""
    processes = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            home = (path / "environ").read_bytes().partition(b"KIS_HOME=")[2].partition(b"\0")[0]
            processes += [str((path / "cwd").readlink()), home.decode()]
        except OSError:
            continue
    return [*map(str, scratch.iterdir()), *(at for at in processes if f"{scratch}/" in at)]


@pytest.fixture(scope="module")
def taken(dsn: Dsn, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    add_customers(dsn("postgres"), 10)
    return take(dsn("postgres"), tmp_path_factory.mktemp("snapshots"), KEY)


def test_releases_are_tried_on_the_newer_schema_one_after_the_other(
    taken: Snapshot, dsn: Dsn, tmp_path: Path
) -> None:
    broken = program(
        tmp_path / "broken",
        '[ "$1" = --version ] && echo kis 9.9.9 && exit',
        "echo the cause >&2",
        "exit 7",
    )
    migrations = newer(tmp_path / "m", "create table estimator.newer (a int)")
    before = contents(dsn("postgres"))
    executables = [works(tmp_path), broken, str(tmp_path / "none")]
    done = rehearse(taken, KEY, migrations, executables, tmp_path / "scratch", READY_SEC)
    good, bad, none = done.trials
    assert done.applied == ("29990101000000_newer.sql",)
    assert not done.passed
    assert good.passed, good
    assert (good.ready, good.estimate, good.log) == (True, "completed", ())
    assert good.gates_run >= 10
    assert (bad.passed, bad.version, bad.ready, bad.estimate) == (False, "9.9.9", False, None)
    assert bad.problem == "serve ended with 7"
    assert bad.log == ("the cause",)
    assert (none.passed, none.log) == (False, ())
    assert contents(dsn("postgres")) == before
    assert left(tmp_path / "scratch") == []


def test_a_release_that_never_gets_ready_fails(taken: Snapshot, tmp_path: Path) -> None:
    idle = program(tmp_path / "idle", 'case "$1" in serve) exec sleep 600;; esac')
    done = rehearse(taken, KEY, migrations_folder(), [idle], tmp_path / "scratch", 0.2)
    assert done.trials[0].problem == "it did not become ready within 0.2 s"
    assert left(tmp_path / "scratch") == []


def test_a_migration_that_fails_on_the_copy_is_named(taken: Snapshot, tmp_path: Path) -> None:
    migrations = newer(tmp_path / "m", "select 1;\nalter table estimator.none add column a int")
    with pytest.raises(KisError, match="MIGRATION_FAILED") as caught:
        rehearse(taken, KEY, migrations, [], tmp_path / "scratch", READY_SEC)
    told = caught.value.notices[0].params
    assert (told["file"], told["line"]) == ("29990101000000_newer.sql", 2)
    assert "does not exist" in str(told["reason"])
    assert left(tmp_path / "scratch") == []


@pytest.fixture
def rehearsing(taken: Snapshot, tmp_path: Path) -> Callable[[str], subprocess.Popen[bytes]]:
    """Start a rehearsal as a process, with a program below `tmp_path / "home"`."""
    key = tmp_path / "key"
    key.write_text((b"k" * 32).hex(), encoding="ascii")
    key.chmod(0o600)
    settings = {"KIS_BACKUP_KEY": str(key), "KIS_BACKUP_DIR": str(taken.folder)}
    options = ("--migrations", str(migrations_folder()), "--serve")

    def start(serve: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*KIS, "db", "rehearse", taken.id, *options, serve],
            env=environment(tmp_path / "home", **settings),
        )

    return start


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_remains_of_one_that_was_ended(
    rehearsing: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path, how: signal.Signals
) -> None:
    started, home = tmp_path / "started", tmp_path / "home"
    idle = program(tmp_path / "idle", f'case "$1" in serve) touch {started}; exec sleep 600;; esac')
    with rehearsing(idle) as process:
        until(lambda: started.exists() or process.poll() is not None)
        assert left(home / "rehearsals")
        process.send_signal(how)
        code = process.wait(60)
    if how is signal.SIGTERM:
        assert code == 128 + signal.SIGTERM
    else:
        assert left(home / "rehearsals")
        with scratch_installation(home / "rehearsals"):
            pass  # whoever comes next removes what is left
    assert left(home / "rehearsals") == []


def test_a_second_signal_does_not_break_the_cleaning_up(
    rehearsing: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """The release does not end when told to, and has children of its own."""
    started, told = tmp_path / "started", tmp_path / "told"
    loop = "while :; do sleep 1; done"
    stubborn = f"trap 'touch {told}' TERM; (trap '' TERM; {loop}) & touch {started}; {loop}"
    script = program(tmp_path / "stubborn", f'case "$1" in serve) {stubborn};; esac')
    with rehearsing(script) as process:
        until(lambda: started.exists() or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        until(lambda: told.exists() or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    assert left(tmp_path / "home/rehearsals") == []


def test_a_second_signal_is_not_heard() -> None:
    def ended_twice() -> None:
        with _ending_cleanly():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                signal.raise_signal(signal.SIGTERM)
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(SystemExit) as ended:
        ended_twice()
    assert ended.value.code == 128 + signal.SIGTERM


def test_a_signal_waits_until_the_copys_server_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch, launched = EmbeddedPostgres._launch, []

    def signalled(server: EmbeddedPostgres) -> None:
        signal.raise_signal(signal.SIGTERM)
        launch(server)
        launched.append(server)

    monkeypatch.setattr(EmbeddedPostgres, "_launch", signalled)
    with pytest.raises(SystemExit), _ending_cleanly(), scratch_installation(tmp_path / "scratch"):
        pytest.fail("the signal was forgotten")
    assert launched
    assert left(tmp_path / "scratch") == []
