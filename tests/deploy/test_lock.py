"""The lock between machines: a database that falls silent keeps nobody from going back."""

import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.deploy.stand_in import ROOT, config_of
from tests.e2e.supabase_stack import Project

from kis_deploy.config import Config
from kis_deploy.lock import database_lock
from kis_deploy.problems import DeployError
from kis_deploy.runner import Redactor, Runner

# What a PostgreSQL server says to let a session in: who you are is fine, I am ready.
WELCOME = b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I"


class Silent(socketserver.BaseRequestHandler):
    """Lets everybody in, and answers nothing that is asked."""

    def handle(self) -> None:
        self.request.recv(4096)
        self.request.sendall(WELCOME)
        while self.request.recv(4096):
            pass


@pytest.fixture
def silent() -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Silent) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"postgresql://postgres:0123456789@127.0.0.1:{server.server_address[1]}/postgres"
        server.shutdown()
        thread.join()


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    made = Runner(Redactor())
    made.open_log(tmp_path / "log")
    yield made
    made.close()


def test_a_server_that_falls_silent_is_not_waited_for(
    silent: str, runner: Runner, tmp_path: Path
) -> None:
    config = Config({"PATH": "/usr/bin:/bin", "SUPABASE_OWNER_URL": silent}, ROOT)
    with database_lock(config, runner, limit_sec=1) as locked:
        assert locked is False
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert "$ psql" in log
    assert "no answer" in log
    assert "0123456789" not in log


def test_one_deployment_at_a_time_holds_it(
    project: Project, runner: Runner, tmp_path: Path
) -> None:
    config = config_of(project)
    with database_lock(config, runner) as locked:
        assert locked is True
        with pytest.raises(DeployError, match="under way"), database_lock(config):
            pass
    assert "no answer" not in (tmp_path / "log").read_text(encoding="utf-8")
