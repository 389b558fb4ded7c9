"""Runs the commands of a step: into the log, without a secret, killed when their time is over."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from threading import Event, Timer
from typing import IO
from urllib.parse import quote, unquote, urlsplit

from kis_deploy.problems import DeployError, Problem

HIDDEN = "***"
_SHORTEST_SECRET = 6  # hiding shorter texts would make the log unreadable and hide nothing
_LAST_LINES = 12
_CLEANUP_SEC = 30
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Redactor:
    """Replaces every secret that it knows, also as part of a URL or quoted."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._texts: set[str] = set()
        for secret in secrets:
            self.learn(secret)

    def learn(self, secret: str) -> None:
        """Hide a text from now on; of a URL with a password, the password alone too."""
        texts = {secret}
        if "://" in secret:
            try:
                password = urlsplit(secret).password
            except ValueError:
                password = None
            texts |= {password or "", unquote(password or "")}
        self._texts |= {
            form
            for text in texts
            if len(text) >= _SHORTEST_SECRET
            for form in (text, quote(text, safe=""), shlex.quote(text))
        }

    def __call__(self, text: str) -> str:
        """Return the text without secrets and without control sequences of a terminal."""
        for secret in sorted(self._texts, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return _COLOURS.sub("", text)


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended, and what it printed (secrets hidden)."""

    code: int
    output: str

    def last_lines(self, count: int = _LAST_LINES) -> str:
        """Return the end of the output."""
        return "\n".join(self.output.strip().splitlines()[-count:])


@dataclass(slots=True)
class Runner:
    """Runs commands, writes command and output into one log, hides secrets.

    Environment variables with secrets go in `environment`, never in the arguments: those are
    visible to every account of the machine.
    """

    redact: Redactor = field(default_factory=Redactor)
    log: Path | None = None
    _stream: IO[str] | None = field(default=None, repr=False)

    def open_log(self, path: Path) -> None:
        """Write to this log from now on; it is readable by its owner alone."""
        self.close()
        self.log = path
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        self._stream = os.fdopen(handle, "a", encoding="utf-8")

    def close(self) -> None:
        """End the log."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def note(self, text: str) -> None:
        """Write a line into the log."""
        if self._stream is not None:
            at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            with suppress(OSError):  # a full disk must not end a deployment half-way
                self._stream.write(f"{at} {self.redact(text)}\n")
                self._stream.flush()

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        stdin: str = "",
        cwd: Path | None = None,
        timeout_sec: float = 600,
        tell: Callable[[str], None] = lambda _: None,
    ) -> Result:
        """Run a command to its end; each line of output goes to the log and to `tell`.

        Raises DeployError where there is no such program or its time is over. The exit code is the
        caller's to judge.
        """
        self.note("$ " + shlex.join(argv))
        began, output = time.monotonic(), []
        expired = Event()
        with _started(argv, stdin, environment, cwd) as process:
            timer = Timer(timeout_sec, _expire, (process, expired))
            timer.start()
            try:
                for line in process.stdout or ():
                    told = self.redact(line.rstrip("\n"))
                    output.append(told)
                    self.note("  " + told)
                    tell(told)
            except BaseException:
                _end(process)
                raise
            finally:
                timer.cancel()
        self.note(f"  exit {process.returncode} after {time.monotonic() - began:.1f} s")
        if expired.is_set():
            raise DeployError.of(
                shlex.join(argv[:3]),
                f"did not end within {timeout_sec:g} s",
                "Read the log, and run the step again",
            )
        return Result(process.returncode, "\n".join(output))

    def check(
        self,
        argv: Sequence[str],
        problem: Problem,
        *,
        environment: Mapping[str, str] | None = None,
        stdin: str = "",
        cwd: Path | None = None,
        timeout_sec: float = 600,
    ) -> str:
        """Run a command that has to end with 0 and return its output.

        Raises DeployError with the problem, and the last lines of the output in its cause.
        """
        done = self.run(
            argv, environment=environment, stdin=stdin, cwd=cwd, timeout_sec=timeout_sec
        )
        if done.code:
            cause = f"{problem.cause} (exit {done.code})\n{done.last_lines()}".strip()
            raise DeployError(Problem(problem.what, cause, problem.remedy))
        return done.output


@contextmanager
def _started(
    argv: Sequence[str], stdin: str, environment: Mapping[str, str] | None, cwd: Path | None
) -> Iterator[subprocess.Popen[str]]:
    """Run a program with its two outputs in one; wait for its end."""
    with TemporaryFile("w+", encoding="utf-8") as given:
        given.write(stdin)
        given.seek(0)
        try:
            process = subprocess.Popen(  # noqa: S603 - commands of this package
                list(argv),
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=cwd,
                text=True,
                errors="replace",
                start_new_session=True,  # so that its children can be ended with it
            )
        except OSError as error:
            raise DeployError.of(
                argv[0], f"cannot be started ({error.strerror})", "Install it, or add it to PATH"
            ) from None
        with process:
            yield process


def _expire(process: subprocess.Popen[str], expired: Event) -> None:
    expired.set()
    _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Let a command clean up after itself, a copy of a database say; then end what is left."""
    try:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_CLEANUP_SEC)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
