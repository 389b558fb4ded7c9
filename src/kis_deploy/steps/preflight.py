"""Step 0: everything that can be known before anything changes."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryFile

from kis_deploy.config import Release
from kis_deploy.crosscheck import crosscheck, other_installations, reachable
from kis_deploy.problems import DeployError, Problem
from kis_deploy.run import Run
from kis_deploy.runner import Runner
from kis_deploy.signature import check_signature
from kis_deploy.supabase import cli

_FREE_HOST_MIB, _FREE_HERE_MIB = 2048, 512
_SUM = re.compile(r"([0-9a-f]{64})  ([\w./+-]+)")
_PROGRAMS = {
    "psql": "Install the PostgreSQL client: apt-get install postgresql-client",
    "openssl": "Install it: apt-get install openssl",
}


def step(run: Run) -> None:
    """Check the release, programs, addresses, cross-references and hosts; tell all problems."""
    release = run.deployed()
    checks: list[tuple[str, Callable[[], Iterable[Problem]]]] = [
        (f"Release {release.tag}: files and signature", lambda: _release(run, release)),
        ("Programs", lambda: _programs(run)),
        (
            "Addresses, project, bucket and database belong together",
            lambda: crosscheck(run.config, run.runner),
        ),
        ("Database and storage can be reached", lambda: reachable(run.config, run.runner)),
        ("Hosts", lambda: _hosts(run)),
    ]
    with ThreadPoolExecutor(len(checks)) as pool:
        found = list(pool.map(lambda check: _problems_of(check[1]), checks))
    run.told("Environment variables validated")
    for (name, _), problems in zip(checks, found, strict=True):
        if not problems:
            run.told(name)
    if any(found):
        raise DeployError(*dict.fromkeys(problem for problems in found for problem in problems))


def check_release(release: Release, public_key: Path, runner: Runner) -> list[Problem]:
    """Return what is wrong with the files of a release: their sums, then the signature."""
    problems = _sums(release)
    return problems or check_signature(release.folder, public_key, runner)


def _problems_of(check: Callable[[], Iterable[Problem]]) -> list[Problem]:
    try:
        return list(check())
    except DeployError as error:
        return list(error.problems)


def _release(run: Run, release: Release) -> list[Problem]:
    key = Path(run.config["KIS_RELEASE_PUBLIC_KEY"]).expanduser()
    return check_release(release, key, run.runner)


def _sums(release: Release) -> list[Problem]:
    def wrong(what: str, cause: str) -> Problem:
        return Problem(what, cause, "Fetch the release again; a release is never edited")

    try:
        text = (release.folder / "SHA256SUMS").read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return [wrong("SHA256SUMS", "cannot be read")]
    lines = [_SUM.fullmatch(line) for line in text.splitlines()]
    if not lines or None in lines:
        return [wrong("SHA256SUMS", "has lines that are no checksums")]
    listed = {line[2]: line[1] for line in lines if line}
    problems = [
        wrong(name, "is not in SHA256SUMS")
        for name in (release.wheel.name, "requirements.lock", "openapi.yaml", "release.json")
        if name not in listed
    ]
    there = (path for path in (release.folder / "supabase").rglob("*") if not path.is_dir())
    problems += [
        wrong(name, "is not in SHA256SUMS")
        for name in (path.relative_to(release.folder).as_posix() for path in there)
        if name not in listed
    ]
    for name, expected in listed.items():
        path = release.folder / name
        if ".." in path.parts or not path.is_file() or path.is_symlink():
            problems.append(wrong(name, "is missing"))
        elif hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            problems.append(wrong(name, "is not the file that was released"))
    return problems


def _programs(run: Run) -> list[Problem]:
    problems = [
        Problem(name, "is not installed", remedy)
        for name, remedy in _PROGRAMS.items()
        if shutil.which(name) is None
    ]
    cli(run.config, run.runner)
    if any(not host.local for host in run.config.hosts) and shutil.which("ssh") is None:
        problems.append(Problem("ssh", "is not installed", "Install an ssh client"))
    free = shutil.disk_usage(run.report.folder.parent).free
    if free < _FREE_HERE_MIB << 20:
        problems.append(_disk("This machine", free, _FREE_HERE_MIB))
    return problems + _snapshots(Path(run.config["KIS_BACKUP_DIR"]))


def _snapshots(folder: Path) -> list[Problem]:
    """Return why a folder cannot hold snapshots; one that is not there yet can be made."""
    try:
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        with TemporaryFile(dir=existing):  # root may write everywhere, but not to every file system
            return []
    except OSError as error:
        cause = f"cannot be made or written to ({error.strerror})"
        remedy = "Name a folder on a disk that you may write to, the same for every deployment"
        return [Problem("KIS_BACKUP_DIR", cause, remedy)]


def _hosts(run: Run) -> list[Problem]:
    found = run.statuses(**run.listening)
    problems = other_installations(run.config, found, "APP_ENV")
    for name, status in found.items():
        if status["freeBytes"] < _FREE_HOST_MIB << 20:
            problems.append(_disk(name, status["freeBytes"], _FREE_HOST_MIB))
        problems += [
            Problem(f"{name}: {lacking['what']}", lacking["cause"], lacking["remedy"])
            for lacking in status["lacks"]
        ]
    return problems


def _disk(name: str, free: int, needed_mib: int) -> Problem:
    return Problem(
        f"Disk of {name}",
        f"{free >> 20} MiB are free, {needed_mib} MiB are needed",
        "Remove old logs, snapshots or releases",
    )
