"""Releases on a host: received, installed side by side, frozen, removed when nobody needs them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from kis_deploy.host.commands import Noted
from kis_deploy.host.layout import COMPLETE, Layout, remove, write
from kis_deploy.host.state import is_over, read_state
from kis_deploy.problems import DeployError, Problem

SUMS = "SHA256SUMS"
PARTS = ("requirements.lock", "openapi.yaml", "release.json", SUMS)
_SUM = re.compile(r"([0-9a-f]{64}) [ *](\S+)")
_INSTALL_SEC = 900
_LOG_DAYS = 14
_HOUR_SEC, DAY_SEC = 3_600, 86_400

Tell = Callable[[str], None]


def wheel_name(version: str) -> str:
    """Return the file name of a release's wheel."""
    return f"kis_estimator-{version}-py3-none-any.whl"


def receive(layout: Layout, version: str, stream: IO[bytes]) -> None:
    """Unpack what is sent into `incoming`; a name that is no part of a release is refused."""
    known = {*PARTS, wheel_name(version)}
    folder = layout.incoming / f"v{version}"
    remove(folder)
    folder.mkdir(parents=True)
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                source = archive.extractfile(member) if member.isreg() else None
                if source is None or member.name not in known:
                    raise DeployError.of(
                        "The sent release", "holds a strange file", "Send a folder of kis release"
                    )
                with (folder / member.name).open("wb") as target:
                    shutil.copyfileobj(source, target)
    except (tarfile.TarError, EOFError):
        raise DeployError.of(
            "The sent release", "did not arrive whole", "Run the step again"
        ) from None


def install(layout: Layout, version: str, python: str, tell: Tell) -> dict[str, object]:
    """Install a received release beside the others; the marker COMPLETE is written last.

    A whole one with the same sums is left alone. Raises DeployError for other sums: a release is
    frozen; for a file that is not what SHA256SUMS says; for what pip or the program refuse.
    """
    source, target = layout.incoming / f"v{version}", layout.release(version)
    if not source.is_dir() and layout.is_installed(version):
        return {"version": version, "installed": False}
    check_sums(source, version)
    if layout.is_installed(version):
        if (target / SUMS).read_bytes() != (source / SUMS).read_bytes():
            raise DeployError.of(
                f"Release v{version}",
                "is installed on this host with other checksums",
                "A release is frozen: cut a new version",
            )
        remove(source)
        return {"version": version, "installed": False}
    remove(target)
    shutil.copytree(source, target)
    tell(f"Installing v{version}")
    _install_packages(layout, target, version, python, tell)
    found = _run([target / "venv/bin/kis", "--version"], "The installed program").strip()
    if found != f"kis {version}":
        raise DeployError.of(
            f"The wheel of v{version}", f"installs {found!r}", "Cut the release again"
        )
    write(target / COMPLETE, "")
    remove(source)
    return {"version": version, "installed": True}


def check_sums(folder: Path, version: str) -> None:
    """Compare wheel, lock and contract with SHA256SUMS. Raises DeployError for all that differ."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except OSError:
        raise DeployError.of(
            f"Release v{version}", "was not sent to this host", "Run the step again"
        ) from None
    listed = {found[2]: found[1] for line in lines if (found := _SUM.fullmatch(line))}
    wrong = [
        name
        for name in (wheel_name(version), "requirements.lock", "openapi.yaml")
        if not (folder / name).is_file() or listed.get(name) != _sha256(folder / name)
    ]
    if wrong:
        raise DeployError.of(
            f"Release v{version}",
            f"does not match its {SUMS}: {', '.join(wrong)}",
            "Fetch the release again, and verify it with: kis release verify",
        )


def prune(
    layout: Layout, keep_hours: float, keep: frozenset[str] = frozenset()
) -> dict[str, object]:
    """Remove releases that nobody needs, and old logs that were rotated: the others are open.

    Those that serve, served last (within their time), were installed within `keep_hours` or are
    versions of `keep` stay.
    """
    state, now = read_state(layout), time.time()
    needed = keep | ({state.serving.version} if state.serving else set())
    before = filter(None, (state.previous, state.earlier))
    needed |= {kept.version for kept in before if not is_over(kept.until)}
    removed = []
    for version in layout.versions():
        complete = layout.release(version) / COMPLETE
        if version in needed or now - complete.stat().st_mtime < keep_hours * _HOUR_SEC:
            continue
        complete.unlink()  # from here on it is a leftover, should this be cut short
        remove(layout.release(version))
        removed.append(f"v{version}")
    for log in layout.logs.glob("*.log.*"):
        if now - log.lstat().st_mtime > _LOG_DAYS * DAY_SEC:
            remove(log)
            removed.append(log.name)
    return {"removed": removed}


def _install_packages(layout: Layout, target: Path, version: str, python: str, tell: Tell) -> None:
    """Make the environment of a release: what its lock names, by hash, then the wheel itself."""
    pip = _pip(layout, python, tell)
    _run([python, "-m", "venv", "--without-pip", target / "venv"], "python -m venv")
    install = [*pip, "--python", target / "venv/bin/python", "install"]
    lock = target / "requirements.lock"
    lines = lock.read_text(encoding="utf-8").splitlines()
    if any(line.strip() and not line.lstrip().startswith("#") for line in lines):
        tell("Installing the packages of requirements.lock")
        _run(
            [*install, "--require-hashes", "--only-binary=:all:", "--no-deps", "-r", lock],
            "The packages of requirements.lock",
        )
    tell("Installing the program")
    _run([*install, "--no-deps", "--no-index", target / wheel_name(version)], "The wheel")


def _pip(layout: Layout, python: str, tell: Tell) -> list[str | Path]:
    """Return the host's own pip, made once: the environments of releases need none."""
    tools = layout.root / "tools"
    if not (tools / "bin/python").exists():  # a link, dead once the host's Python was replaced
        tell("Preparing pip")
        remove(tools)
        unfinished = layout.root / "tools.unfinished"
        remove(unfinished)
        _run([python, "-m", "venv", unfinished], "python -m venv")
        unfinished.rename(tools)
    return [tools / "bin/python", "-m", "pip", "--disable-pip-version-check", "--no-input"]


def _run(argv: list[str | Path], what: str) -> str:
    remedy = "Check DEPLOY_PYTHON, the network and the disk, and run the step again"
    return Noted().check(
        [str(part) for part in argv],
        Problem(what, "failed on this host", remedy),
        environment={**os.environ, "PYTHONNOUSERSITE": "1"},
        timeout_sec=_INSTALL_SEC,
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
