"""The runbook: every block that is not marked as needing a live project runs as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.deploy.shelf import ROOT
from tests.e2e.live import KIS, Live, environment

TEXT = (ROOT / "docs/Runbook.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```console(?P<live> live)?\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE)
SCRIPT = re.compile(r"(?:bash|python3|^\$) ((?:\./|ops/|scripts?/)[\w./-]+)", re.MULTILINE)
NAMES = (
    *("Start", "Stop", "Deploy", "Verify", "Watch", "Roll back", "Restore", "Rotate keys"),
    *("Full disk", "Database down", "Storage down", "Stuck queue", "Suspected breach"),
)
_SCHEDULE = "메인차단기 4P 40A에 분기차단기 누전 2P 20A 8개"


def blocks() -> Iterator[tuple[str, bool, str]]:
    """Yield heading, whether it is marked, and the commands of each block."""
    for found in BLOCK.finditer(TEXT):
        heading = re.findall(r"^## (.+)$", TEXT[: found.start()], re.MULTILINE)
        commands = [line[2:] for line in found["body"].splitlines() if line.startswith("$ ")]
        assert commands, found[0]
        yield heading[-1] if heading else "", bool(found["live"]), "\n".join(commands)


HERE = [(heading, commands) for heading, live, commands in blocks() if not live]


def test_every_situation_has_its_section() -> None:
    assert re.findall(r"^## (.+)$", TEXT, re.MULTILINE)[: len(NAMES)] == list(NAMES)


def test_what_needs_a_live_project_is_marked_for_the_reader() -> None:
    for found in BLOCK.finditer(TEXT):
        before = TEXT[: found.start()].rstrip().splitlines()[-1]
        assert (before == "Needs a live project.") == bool(found["live"]), found[0]


@pytest.mark.parametrize("path", sorted(set(SCRIPT.findall(TEXT))))
def test_every_script_is_there(path: str) -> None:
    assert (ROOT / path).is_file()


@pytest.fixture(scope="module")
def operator(live: Live, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Lend the environment of an operator whose `script/kis` is this checkout's."""
    folder = tmp_path_factory.mktemp("operator")
    for name in ("supabase", "ops", "scripts", "docs", "examples"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "out").mkdir()
    (folder / "script").mkdir()
    kis = folder / "script/kis"
    kis.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m kis_estimator.cli "$@"\n')
    kis.chmod(0o755)
    log = folder / "access.log"
    log.write_text("")
    given = environment(live.home, KIS_BACKUP_KEY=str(folder / "backup.key")) | {
        "BASE_URL": live.url,
        "ACCESS_LOG": str(log),
        "NEW_KEYS": str(folder / "keys"),
        "SUPABASE_DB_URL": f"postgresql:///kis?host={live.home}/postgres&user=kis_api",
        "OPERATOR": str(folder),
    }
    own = {name: text for name, text in given.items() if name != "SUPABASE_DB_URL"}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [*KIS, *arguments], check=True, capture_output=True, text=True, env=own
        )
        return done.stdout

    run("db", "snapshot-key", own["KIS_BACKUP_KEY"])
    given["SNAPSHOT_ID"] = re.findall(r'"id": "(\S+)"', run("db", "snapshot", "--json"))[0]
    (folder / "schedule.txt").write_text(_SCHEDULE, encoding="utf-8")
    run("estimate", str(folder / "schedule.txt"), "-o", str(folder / "made"), "--quiet")
    (pack,) = (folder / "made").glob("KIS-*")
    return given | {"PACK": str(pack)}


@pytest.mark.parametrize(
    ("heading", "commands"), HERE, ids=[f"{h}-{c.split()[0]}" for h, c in HERE]
)
def test_a_block_runs_as_it_stands(operator: dict[str, str], heading: str, commands: str) -> None:
    given = {**operator, "PATH": os.environ["PATH"]}
    if "psql" not in commands:
        del given["SUPABASE_DB_URL"]  # the embedded database is reached without an address
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=Path(operator["OPERATOR"]),
        env=given,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (heading, commands, done.stdout, done.stderr)
