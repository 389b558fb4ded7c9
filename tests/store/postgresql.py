"""Servers that the tests start for themselves: Debian's PostgreSQL 15 and PgBouncer."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_FIRST = 10_000 + 5000 * (_WORKER % 4) + os.getpid() % 23 * 200
_PORTS = iter(range(_FIRST, _FIRST + 600))
BINARIES = Path("/usr/lib/postgresql/15/bin")


def free_port() -> int:
    """Return a port that nobody listens on and that no outgoing connection will be given.

    Each worker of a test run has a range of its own below those that the system gives away; the
    process number keeps runs apart that go on at the same time.
    """
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("the worker's range of ports is used up")


def run_as() -> dict[str, Any]:
    """Neither server runs as root: there, Debian's account does it."""
    if os.geteuid():
        return {}
    account = pwd.getpwnam("postgres")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def hand_over(folder: Path) -> None:
    """Give a folder to the server's account, and let it pass through those above."""
    account = run_as()
    if account:
        shutil.chown(folder, account["user"], account["group"])
        for parent in folder.parents:
            parent.chmod(parent.stat().st_mode | 0o011)


def run_in(folder: Path, program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL on the server in a folder.

    Another run of the tests may have closed the folder above in the meantime: pytest does so.
    """
    hand_over(folder)
    command = [str(BINARIES / program), "-D", "data", *arguments]
    subprocess.run(command, check=True, capture_output=True, cwd=folder, **run_as())


@contextmanager
def debian_server(folder: Path, superuser: str = "postgres") -> Iterator[str]:
    """Run PostgreSQL 15 and yield its URL without a database's name."""
    folder.mkdir()
    run_in(folder, "initdb", "-U", superuser, "--auth=trust", "--no-sync")
    port = free_port()
    settings = f"-k .. -c listen_addresses=127.0.0.1 -c port={port} -c fsync=off"
    run_in(folder, "pg_ctl", "-w", "-l", "log", "-o", settings, "start")
    try:
        yield f"postgresql://{superuser}@127.0.0.1:{port}"
    finally:
        run_in(folder, "pg_ctl", "-w", "-m", "fast", "stop")


@contextmanager
def pgbouncer(
    folder: Path, server: str, passwords: Mapping[str, str] | None = None, connections: int = 1
) -> Iterator[str]:
    """Run a transaction pooler: with one server connection, all clients share it.

    Who has a password must show it; without passwords the two users of the tests are trusted.
    """
    folder.mkdir()
    port = free_port()
    host, _, server_port = server.rpartition("@")[2].partition(":")
    users = passwords or {"kis_api": "", "postgres": ""}
    listed = "".join(f'"{name}" "{password}"\n' for name, password in users.items())
    (folder / "users.txt").write_text(listed, encoding="utf-8")
    (folder / "pgbouncer.ini").write_text(
        "[databases]\n"
        f"* = host={host} port={server_port}\n"
        "[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = {'scram-sha-256' if passwords else 'trust'}\nauth_file = users.txt\n"
        f"pool_mode = transaction\ndefault_pool_size = {connections}\n"
        "server_login_retry = 1\nlogfile = log\n",
        encoding="utf-8",
    )
    hand_over(folder)
    binary = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin") or "pgbouncer"
    with subprocess.Popen(
        [binary, "-q", "pgbouncer.ini"], cwd=folder, stderr=subprocess.PIPE, **run_as()
    ) as process:
        try:
            _wait_for(port, process)
            yield f"postgresql://kis_api@127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1000):
        if process.poll() is not None:
            break
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.01)
    raise RuntimeError(f"pgbouncer did not start: {process.stderr and process.stderr.read()!r}")
