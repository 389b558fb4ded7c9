"""The runner: logs without secrets, an end to commands that take too long."""

import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kis_deploy.problems import DeployError, Problem
from kis_deploy.runner import Redactor, Runner


@given(
    before=st.text(max_size=20),
    secret=st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=8),
    after=st.text(max_size=20),
)
def test_no_form_of_a_secret_passes(before: str, secret: str, after: str) -> None:
    redact = Redactor([secret])
    for form in (secret, quote(secret, safe="")):
        assert form not in redact(f"{before}{form}{after}")


def test_a_password_is_hidden_without_its_address() -> None:
    redact = Redactor(["postgresql://me:p%40ssw0rd-x@host/db"])
    for form in ("p%40ssw0rd-x", "p@ssw0rd-x", "postgresql://me:p%40ssw0rd-x@host/db"):
        assert redact(f"error: {form}!") == "error: ***!"
    assert redact("host") == "host"


def test_command_output_and_exit_code_are_in_the_log(tmp_path: Path) -> None:
    runner = Runner(Redactor(["t0p-s3cret"]))
    runner.open_log(tmp_path / "log")
    code = "import sys; print('a t0p-s3cret b'); print(sys.stdin.read(), file=sys.stderr); exit(3)"
    done = runner.run([sys.executable, "-c", code], stdin="given")
    runner.close()
    assert (done.code, done.output.splitlines()) == (3, ["a *** b", "given"])
    log = (tmp_path / "log").read_text()
    assert "$ " in log
    assert "a *** b" in log
    assert "exit 3" in log
    assert (tmp_path / "log").stat().st_mode & 0o077 == 0


def test_what_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    marker = tmp_path / "late"
    command = f"(sleep 3; touch {marker}) & sleep 600"
    with pytest.raises(DeployError, match="did not end within"):
        Runner().run(["sh", "-c", command], timeout_sec=0.3)
    time.sleep(4)
    assert not marker.exists()


def test_a_failed_command_is_told_with_its_last_lines() -> None:
    problem = Problem("Push", "failed", "Mend it")
    with pytest.raises(DeployError) as caught:
        Runner().check(["sh", "-c", "echo why; exit 4"], problem)
    (told,) = caught.value.problems
    assert told == Problem("Push", "failed (exit 4)\nwhy", "Mend it")


def test_a_missing_program_is_told() -> None:
    with pytest.raises(DeployError, match="Install it"):
        Runner().run(["no-such-program-here"])


def test_what_takes_too_long_may_clean_up(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    command = f"trap 'rm {copy}; exit 0' TERM; touch {copy}; sleep 600 & wait"
    with pytest.raises(DeployError, match="did not end within"):
        Runner().run(["sh", "-c", command], timeout_sec=2)
    assert not copy.exists()


def test_a_cause_of_many_lines_has_its_remedy_apart() -> None:
    assert str(Problem("A", "b", "C")) == "A: b. C"
    assert str(Problem("A", "b\nc", "D")).splitlines() == ["A: b", "c.", "   → D"]
