"""`kis db`: the database's schema, and its snapshots: take, list, restore, rehearse."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kis_estimator.cli.common import (
    FAILED,
    WRONG,
    AsJson,
    print_json,
    problems_end_it,
    terminal_locale,
)
from kis_estimator.errors import KisError, Locale, say

if TYPE_CHECKING:
    from kis_estimator.rehearsal import Trial
    from kis_estimator.settings import Settings
    from kis_estimator.store.snapshot_file import SnapshotKey
    from kis_estimator.store.snapshots import Snapshot

_SIGNAL_STATUS = 128
_SCRATCH = "rehearsals"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="데이터베이스의 스키마와 스냅샷을 관리합니다. Manage the database's schema and snapshots.",
)

SnapshotId = Annotated[str, typer.Argument(metavar="ID", help="«kis db list»")]


# ---------------------------------------------------------------- the schema


@app.command()
def migrate() -> None:
    """대기 중인 마이그레이션을 적용합니다. Apply the migrations that are pending."""
    from kis_estimator.store.migrate import migrate as apply
    from kis_estimator.store.migrate import migrations_folder
    from kis_estimator.terminal.console import print_said

    locale = terminal_locale()
    with _database(locale) as (_, dsn):
        done = apply(
            dsn,
            migrations_folder(),
            emit=lambda migration: print_said("MIGRATION_DONE", locale, file=migration.file),
        )
        if not done:
            print_said("MIGRATIONS_NONE_PENDING", locale)


@app.command()
def status() -> None:
    """마이그레이션마다 적용 여부를 보여 줍니다. Show which migrations are applied.

    적용된 파일이 바뀌었으면 2로 끝납니다. Ends with 2 where an applied file was changed.
    """
    from kis_estimator.store.migrate import migrations_folder
    from kis_estimator.store.migrate import status as read
    from kis_estimator.terminal.console import print_line, stdout

    locale = terminal_locale()
    with _database(locale) as (_, dsn):
        states = read(dsn, migrations_folder())
    for found in states:
        label = say(f"MIGRATION_STATE_{found.state}", locale)
        print_line(stdout(), f"{found.version}_{found.name}", label)
    if any(found.state == "changed" for found in states):
        raise typer.Exit(WRONG)


@app.command()
def reference(
    until: Annotated[
        str, typer.Option(metavar="VERSION", help="마지막 마이그레이션 / the last migration")
    ],
) -> None:
    """비교할 빈 데이터베이스를 빌려 줍니다. Lend a fresh database to compare with.

    주소를 출력하고, 표준 입력이 끝나면 지웁니다.
    Prints the address of a throwaway database with the migrations up to one of them; it goes when
    standard input ends.
    """
    from urllib.parse import quote

    from psycopg.conninfo import conninfo_to_dict

    from kis_estimator.settings import read_settings
    from kis_estimator.store.migrate import migrate as apply
    from kis_estimator.store.migrate import migrations_folder
    from kis_estimator.store.scratch import scratch_installation

    with problems_end_it(terminal_locale()), _ending_cleanly():
        home = read_settings(os.environ).home
        with scratch_installation(home / _SCRATCH) as (_, server):
            dsn = server.dsn("postgres")
            apply(dsn, migrations_folder(), until=until)
            folder = quote(str(conninfo_to_dict(dsn)["host"]), safe="")
            typer.echo(f"postgresql://postgres@localhost/kis?host={folder}&sslmode=disable")
            sys.stdout.flush()
            sys.stdin.read()


# ---------------------------------------------------------------- snapshots


@app.command("snapshot-key")
def snapshot_key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="새 파일 / a new one")],
) -> None:
    """스냅샷을 암호화할 키 파일을 만듭니다. Make a key file for snapshots; never replaces one."""
    from kis_estimator.store.snapshot_file import make_key
    from kis_estimator.terminal.console import print_said

    locale = terminal_locale()
    with problems_end_it(locale):
        key = make_key(file.expanduser())
        print_said("SNAPSHOT_KEY_MADE", locale, path=str(file), key=key.id)


@app.command()
def snapshot(as_json: AsJson = False) -> None:
    """데이터베이스의 암호화된 스냅샷을 만듭니다. Take an encrypted snapshot of the database."""
    from kis_estimator.store.snapshots import take
    from kis_estimator.terminal.console import print_said

    locale = terminal_locale()
    with _database(locale) as (settings, dsn):
        key = _key(settings)
        _require_session(settings)
        made = take(dsn, settings.backup_dir, key)
        if as_json:
            print_json({**_described(made), "path": str(made.dump)})
        else:
            size = made.about["file"]["sizeBytes"]
            path = str(made.dump)
            print_said("SNAPSHOT_TAKEN", locale, id=made.id, rows=made.rows, size=size, path=path)


@app.command("list")
def list_snapshots(
    verify: Annotated[
        bool, typer.Option("--verify", help="파일을 읽어 SHA-256 확인 / read and compare the files")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """스냅샷을 보여 줍니다, 최근 것부터. Show the snapshots, the newest first.

    --verify: 손상되거나 없는 파일이 있으면 1로 끝납니다.
    --verify: ends with 1 where a file is damaged or missing.
    """
    from kis_estimator.settings import read_settings
    from kis_estimator.store.snapshots import listed
    from kis_estimator.terminal.console import add_row, new_table, print_said, stdout

    locale = terminal_locale()
    with problems_end_it(locale):
        settings = read_settings(os.environ)
        key = _key(settings) if settings.backup_key else None
        found = listed(settings.backup_dir, key, verify=verify)
        code = int(verify and any(state in {"damaged", "missing"} for _, state, _ in found))
        if as_json:
            print_json({"snapshots": [_in_list(*entry) for entry in found]})
            raise typer.Exit(code)
        if not found:
            print_said("SNAPSHOTS_NONE", locale, folder=str(settings.backup_dir))
            return
        table = new_table(locale, "snapshot", "time", "size", "rows", "migration", "state")
        for entry in found:
            row = _in_list(*entry)
            sizes = (f"{row[n]:,}" if n in row else "" for n in ("sizeBytes", "rows"))
            state = say(f"SNAPSHOT_STATE_{row['state']}", locale)
            cells = (row.get("createdAt", ""), *sizes, row.get("migration") or "", state)
            add_row(table, row["id"], *cells)
        stdout().print(table)
        raise typer.Exit(code)


@app.command()
def restore(
    name: SnapshotId,
    check: Annotated[
        bool, typer.Option("--check", help="검증만 하고 바꾸지 않기 / verify, change nothing")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="묻지 않기 / do not ask")] = False,
    as_json: AsJson = False,
) -> None:
    """데이터베이스를 스냅샷의 상태로 되돌립니다. Put the database back to a snapshot's state.

    먼저 따로 복원해 검증하고, 지금 상태의 스냅샷을 만든 뒤, 한 트랜잭션으로 바꿉니다.
    It is restored apart and verified first; then a snapshot of the present state is taken, and
    all is replaced in one transaction.
    """
    from kis_estimator.store.scratch import scratch_installation
    from kis_estimator.store.snapshot_restore import load, swap
    from kis_estimator.store.snapshots import opened, require_own, session, take

    locale = terminal_locale()
    tell = _teller(locale, quiet=as_json)
    with _database(locale) as (settings, dsn):
        if not (check or yes or _has_terminal()):
            raise KisError.of("SNAPSHOT_NEEDS_YES")
        key = _key(settings)
        _require_session(settings)
        chosen = opened(settings.backup_dir, key, name)
        report: dict[str, Any] = {**_described(chosen), "verified": False, "restored": False}
        with _saying_what_became(report, locale):
            with session(dsn) as conn:
                require_own(chosen, conn)
            with scratch_installation(settings.home / _SCRATCH) as (_, server):
                load(server.dsn("postgres"), chosen, key)
            report["verified"] = True
            figures = {"rows": chosen.rows, "tables": len(chosen.contents.tables)}
            tell("SNAPSHOT_VERIFIED", id=name, **figures)
            tell("SNAPSHOT_MIGRATION", migration=report["migration"] or "–")
            if not check:
                if not yes:
                    _ask(chosen, locale)
                report["before"] = swap(
                    dsn,
                    chosen,
                    key,
                    lambda: take(dsn, settings.backup_dir, key),
                    replaced=lambda: report.update(restored=True),
                ).id
                tell("SNAPSHOT_RESTORED", id=name, before=report["before"])
                report |= _unknown_objects(settings, dsn, name, tell)
        if as_json:
            print_json(report)


@app.command()
def rehearse(
    name: SnapshotId,
    migrations: Annotated[
        Path,
        typer.Option(metavar="DIR", exists=True, file_okay=False, help="*.sql"),
    ],
    serve: Annotated[
        list[str] | None,
        typer.Option(metavar="KIS", help="시험할 kis 실행 파일 / a release's kis to try"),
    ] = None,
    ready_sec: Annotated[
        float, typer.Option(min=1, help="시작을 기다리는 시간(초) / how long a start may take")
    ] = 180,
    as_json: AsJson = False,
) -> None:
    """사본에서 마이그레이션과 릴리스를 시험합니다. Try migrations and releases on a copy.

    스냅샷의 사본에 마이그레이션을 적용하고 각 릴리스를 시작해 견적 한 건을 처리합니다.
    릴리스가 실패하면 1로, 마이그레이션이 실패하면 2로 끝납니다.
    Each release is started on a copy of the snapshot and works out an estimate; ends with 1 where
    a release fails, with 2 where a migration does.
    """
    from kis_estimator.rehearsal import rehearse as run
    from kis_estimator.settings import read_settings
    from kis_estimator.store.snapshots import opened
    from kis_estimator.terminal.console import print_said

    locale = terminal_locale()
    with problems_end_it(locale), _ending_cleanly():
        settings = read_settings(os.environ)
        key = _key(settings)
        chosen = opened(settings.backup_dir, key, name)
        done = run(chosen, key, migrations, serve or (), settings.home / _SCRATCH, ready_sec)
        if as_json:
            trials = [_trial(trial) for trial in done.trials]
            told = {"id": name, "applied": list(done.applied), "passed": done.passed}
            print_json({**told, "executables": trials})
        else:
            print_said("REHEARSAL_MIGRATED", locale, id=name, files=list(done.applied) or ["–"])
            for trial in done.trials:
                _print_trial(trial, locale)
        if not done.passed:
            raise typer.Exit(FAILED)


# ---------------------------------------------------------------- what they share


@contextmanager
def _database(locale: Locale) -> Iterator[tuple[Settings, str]]:
    """Lend settings and connection string of the schema's owner; ends with 3 without a database.

    The embedded server runs for the time of the command, or on, where others use it.
    """
    from kis_estimator.settings import read_settings
    from kis_estimator.store.scratch import running_server

    # The variables of a deployment name the owner's address apart from the application's.
    owner = os.environ.get("SUPABASE_OWNER_URL", "").strip()
    environment = {**os.environ, **({"SUPABASE_DIRECT_URL": owner} if owner else {})}
    with problems_end_it(locale), _ending_cleanly():
        settings = read_settings(environment)
        dsn = settings.direct_url or settings.database_url
        if dsn is not None:
            yield settings, dsn
        else:
            with running_server(settings.home / "postgres") as server:
                yield settings, server.dsn("postgres")


@contextmanager
def _ending_cleanly() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does: what it started is stopped and removed.

    Whoever asks again while that happens does not break it.
    """
    asked = False

    def end(number: int, _: object) -> None:
        nonlocal asked
        if not asked:
            asked = True
            sys.exit(_SIGNAL_STATUS + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _saying_what_became(report: dict[str, Any], locale: Locale) -> Iterator[None]:
    """Say on standard error whether a restore that is interrupted has replaced the database."""
    from kis_estimator.terminal.console import print_line, stderr

    try:
        yield
    except SystemExit:
        code = "SNAPSHOT_INTERRUPTED_AFTER" if report["restored"] else "SNAPSHOT_INTERRUPTED"
        print_line(stderr(), say(code, locale, id=report["id"]))
        raise


def _key(settings: Settings) -> SnapshotKey:
    from kis_estimator.store.snapshot_file import load_key

    if settings.backup_key is None:
        raise KisError.of("SNAPSHOT_KEY_MISSING")
    return load_key(settings.backup_key)


def _require_session(settings: Settings) -> None:
    """Raise SNAPSHOT_POOLER where the connection would be that of a transaction pooler."""
    from kis_estimator.store.db import pools_transactions

    dsn = settings.direct_url or settings.database_url
    if dsn is None:
        return
    pooled = pools_transactions(dsn)
    if settings.direct_url is None and settings.transaction_pooler is not None:
        pooled = settings.transaction_pooler
    if pooled:
        raise KisError.of("SNAPSHOT_POOLER")


def _described(found: Snapshot) -> dict[str, Any]:
    return {
        "id": found.id,
        "createdAt": found.about["createdAt"],
        "rows": found.rows,
        "sizeBytes": found.about["file"]["sizeBytes"],
        "sha256": found.about["file"]["sha256"],
        "migration": found.migrations[-1] if found.migrations else None,
        "keyId": found.key_id,
    }


def _in_list(name: str, state: str, found: Snapshot | None) -> dict[str, Any]:
    return {"id": name, **(_described(found) if found else {}), "state": state}


def _teller(locale: Locale, *, quiet: bool) -> Callable[..., None]:
    """Return what says a text of the table, or nothing where JSON alone is printed."""
    from kis_estimator.terminal.console import print_said

    def tell(code: str, **params: Any) -> None:  # noqa: ANN401 - of any text
        if not quiet:
            print_said(code, locale, **params)

    return tell


def _has_terminal() -> bool:
    return sys.stdin.isatty()


def _ask(chosen: Snapshot, locale: Locale) -> None:
    """Ask for `yes`, or end the command."""
    from kis_estimator.terminal.console import print_said

    print_said("SNAPSHOT_ASK", locale, id=chosen.id, time=chosen.about["createdAt"])
    if input("> ").strip() != "yes":
        print_said("SNAPSHOT_NOT_RESTORED", locale)
        raise typer.Exit(WRONG)


def _unknown_objects(
    settings: Settings, dsn: str, name: str, tell: Callable[..., None]
) -> dict[str, Any]:
    """List what storage has and the database does not know; the restore is done either way."""
    from kis_estimator.assembly import blobs_of
    from kis_estimator.store.snapshot_objects import list_unknown_objects
    from kis_estimator.terminal.console import print_notices, stderr

    file = f"{name}.unknown-objects.txt"
    try:
        with closing(blobs_of(settings)) as blobs:
            count = list_unknown_objects(dsn, blobs, settings.backup_dir, file)
    except KisError as error:
        print_notices(stderr(), error.notices, terminal_locale(), "LABEL_warning", "yellow")
        return {"unknownObjects": None}
    path = str(settings.backup_dir / file)
    tell("SNAPSHOT_OBJECTS", count=count, path=path)
    return {"unknownObjects": count, "unknownObjectsFile": path}


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "executable": trial.executable,
        "version": trial.version,
        "ready": trial.ready,
        "estimate": trial.estimate,
        "gatesRun": trial.gates_run,
        "seconds": trial.seconds,
        "passed": trial.passed,
        "problem": trial.problem,
        "log": list(trial.log),
    }


def _print_trial(trial: Trial, locale: Locale) -> None:
    from kis_estimator.terminal.console import print_line, print_said, stdout

    code = "REHEARSAL_PASSED" if trial.passed else "REHEARSAL_FAILED"
    told: dict[str, Any] = _trial(trial)
    print_said(code, locale, **told)
    for line in trial.log:
        print_line(stdout(), f"  {line}")
