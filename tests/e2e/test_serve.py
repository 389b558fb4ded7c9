"""`kis serve` as a person runs it: one command, and everything it leads to."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import jwt
from tests.service.site import alive, children_of, site_in, until

KIS = (sys.executable, "-P", "-m", "kis_estimator.cli")


@dataclass(frozen=True, slots=True)
class Served:
    """A running `kis serve`."""

    process: subprocess.Popen[str]
    said: Path

    @property
    def url(self) -> str:
        lines = self.said.read_text(encoding="utf-8").splitlines()
        ready = next(line for line in lines if line.startswith("Serving at "))
        return ready.removeprefix("Serving at ").partition(";")[0]

    def ready(self) -> bool:
        assert self.process.poll() is None, self.said.read_text(encoding="utf-8")
        return "Serving at " in self.said.read_text(encoding="utf-8")


def environment(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "KIS_HOME": str(home), "LANG": "en_US.UTF-8"}


@contextmanager
def served(home: Path, *more: str) -> Iterator[Served]:
    said = home.with_suffix(".txt")
    with (
        said.open("w", encoding="utf-8") as log,
        subprocess.Popen(
            [*KIS, "serve", "--port", "0", "--workers", "1", *more],
            env=environment(home),
            stderr=log,
            text=True,
        ) as process,
    ):
        made = Served(process, said)
        try:
            until(made.ready)
            yield made
        finally:
            process.terminate()
            process.wait()


def kis(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*KIS, *arguments],
        env={**environment(home), **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=10) as answer:  # noqa: S310 - loopback
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def child(pid: int, name: str) -> int:
    """Return the child process of a supervisor that has this name."""
    for found in children_of(pid):
        command = Path(f"/proc/{found}/cmdline").read_bytes().split(b"\0")
        if name.encode() in command and b"--supervised" in command:
            return found
    raise LookupError(name)


def test_serve_starts_everything_and_stops_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with served(home) as running:
        assert answers(running.url)
        second = kis(home, "serve", "--port", "0")
        assert second.returncode == 2
        assert str(running.process.pid) in second.stderr
        assert running.url in second.stderr
        # A child that dies is replaced, on the same address.
        first = child(running.process.pid, "api")
        os.kill(first, signal.SIGKILL)
        until(lambda: not alive(first))
        until(lambda: answers(running.url))
        family = children_of(running.process.pid)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait() == 0
    assert not [pid for pid in family if alive(pid)]
    assert not (home / "postgres/data/postmaster.pid").exists()


def test_what_ran_when_serve_was_killed_is_resumed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with site_in(home) as site, served(home) as running:
        quote_id = site.order(12)
        until(lambda: site.reaches(quote_id, "enclosure"))
        family = children_of(running.process.pid)
        running.process.kill()
        until(lambda: not any(alive(pid) for pid in family))
        assert site.quote(quote_id)["status"] == "processing"
        with served(home):
            until(lambda: site.ended(quote_id))
        site.assert_whole(quote_id, 12)


def test_a_public_address_needs_authentication(tmp_path: Path) -> None:
    refused = kis(tmp_path, "serve", "--host", "0.0.0.0", "--port", "0")  # noqa: S104 - the point
    assert refused.returncode == 2
    assert "SUPABASE_JWT_SECRET" in refused.stderr
    assert not (tmp_path / "postgres").exists()


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = kis(tmp_path, "serve", "--port", port)
    assert refused.returncode == 2
    assert port in refused.stderr
    assert "--port" in refused.stderr


def test_a_database_that_does_not_answer_ends_with_3(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"postgresql://kis_api:secret-word@127.0.0.1:{unused.getsockname()[1]}/postgres"
        refused = kis(tmp_path, "serve", "--port", "0", SUPABASE_DB_URL=url, DB_POOL_TIMEOUT="1")
    assert refused.returncode == 3
    assert "secret-word" not in refused.stderr


def test_a_token_stands_alone_on_standard_output(tmp_path: Path) -> None:
    first, second = (kis(tmp_path, "token", "--role", "viewer", "--days", "1") for _ in range(2))
    assert (first.returncode, first.stderr) == (0, "")
    claims, again = (
        jwt.decode(made.stdout.strip(), options={"verify_signature": False})
        for made in (first, second)
    )
    assert claims["app_metadata"]["role"] == "viewer"
    assert (again["app_metadata"], again["sub"]) == (claims["app_metadata"], claims["sub"])


def test_supabase_gives_the_tokens_of_its_projects(tmp_path: Path) -> None:
    project = {"SUPABASE_URL": "https://a.supabase.co", "SUPABASE_SERVICE_ROLE_KEY": "k" * 40}
    refused = kis(tmp_path, "token", **project)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "Supabase" in refused.stderr
