"""The image and the compose file, as far as they can be tried without a Docker daemon."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.live import Live


@pytest.fixture(scope="module")
def instructions(root: Path) -> list[tuple[str, str]]:
    """Return (instruction, arguments) of the Dockerfile, continued lines joined."""
    text = (root / "Dockerfile").read_text(encoding="utf-8")
    bare = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    lines = bare.replace("\\\n", " ").splitlines()
    return [
        (line.partition(" ")[0], line.partition(" ")[2].strip()) for line in lines if line.strip()
    ]


@pytest.fixture(scope="module")
def services(root: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((root / "compose.yaml").read_text())[
        "services"
    ]
    return found


def of(instructions: list[tuple[str, str]], name: str) -> list[str]:
    return [arguments for found, arguments in instructions if found == name]


def commands(instructions: list[tuple[str, str]]) -> Iterator[list[str]]:
    for run in of(instructions, "RUN"):
        yield from (shlex.split(part) for part in run.split("&&"))


def test_both_stages_start_from_the_same_pinned_image(instructions: list[tuple[str, str]]) -> None:
    images = [image.split()[0] for image in of(instructions, "FROM")]
    assert images == ["python:3.11-slim-bookworm"] * 2


def test_every_file_that_is_copied_exists_and_is_let_in(
    root: Path, instructions: list[tuple[str, str]]
) -> None:
    ignored = (root / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [
        source
        for arguments in of(instructions, "COPY")
        if not arguments.startswith("--from=")
        for source in arguments.split()[:-1]
    ]
    assert sorted(copied) == sorted(line[1:] for line in ignored if line.startswith("!"))
    assert [name for name in copied if not (root / name).exists()] == []
    assert ignored[1] == "*"  # what is not named stays out


def test_packages_come_by_hash_and_the_wheel_is_built_here(
    instructions: list[tuple[str, str]],
) -> None:
    pip = [words for words in commands(instructions) if words[1:3] == ["-m", "pip"]]
    lock, wheel, product = pip
    assert {"--require-hashes", "--only-binary", "requirements.lock"} <= set(lock)
    assert wheel[3] == "wheel"
    assert {"--no-index", "--no-deps"} <= set(product)
    for command in pip:  # no flag that pip does not know
        known = subprocess.run(
            [sys.executable, "-m", "pip", command[3], "--help"],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        flags = {word for word in command if word.startswith("--")}
        assert {flag for flag in flags if not re.search(rf"{flag}\b", known)} == set()


def test_the_process_is_not_root_and_holds_no_secret(
    root: Path, instructions: list[tuple[str, str]]
) -> None:
    last_stage = instructions[[name for name, _ in instructions].index("FROM", 1) :]
    assert of(last_stage, "USER") == ["kis"]
    order = [name for name, _ in last_stage]
    assert order.index("USER") < order.index("CMD")
    assert of(last_stage, "COPY") == ["--from=build /opt/kis /opt/kis"]
    assert json.loads(of(last_stage, "CMD")[0]) == ["kis", "serve", "--host", "0.0.0.0"]  # noqa: S104 - what the image says
    text = (root / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"(?i)^(?:ARG|ENV).*(?:key|token|password|secret)", text, re.MULTILINE) == []


def healthy(instructions: list[tuple[str, str]], port: int, **more: str) -> bool:
    """Run the program of the image's health check."""
    python, *arguments = json.loads(of(instructions, "HEALTHCHECK")[0].partition("CMD ")[2])
    assert python == "python"
    environment = {"PATH": os.environ["PATH"], "APP_PORT": str(port), **more}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=environment, check=False, capture_output=True)
    return done.returncode == 0


def test_the_health_check_tells_life_from_death(
    live: Live, instructions: list[tuple[str, str]]
) -> None:
    port = int(live.url.rpartition(":")[2])
    assert healthy(instructions, port)
    assert healthy(instructions, port, http_proxy="http://127.0.0.1:9")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not healthy(instructions, silent.getsockname()[1])
    assert not healthy(instructions, 1)


def test_services_are_locked_down(services: dict[str, dict[str, Any]]) -> None:
    assert services.keys() == {"app", "local"}
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert [place.partition(":")[0] for place in service["tmpfs"]] == ["/tmp"]  # noqa: S108 - in the container
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert not {"privileged", "network_mode", "pid", "user"} & service.keys()


def test_each_service_keeps_its_home_in_a_volume(
    root: Path, services: dict[str, dict[str, Any]], instructions: list[tuple[str, str]]
) -> None:
    (home,) = of(instructions, "VOLUME")
    assert f"KIS_HOME={home}" in of(instructions, "ENV")[0]
    volumes = yaml.safe_load((root / "compose.yaml").read_text())["volumes"]
    named = [volume.split(":") for service in services.values() for volume in service["volumes"]]
    assert [place for _, place in named] == [home] * 2
    assert sorted(name for name, _ in named) == sorted(volumes)
    assert services["app"]["env_file"][0]["path"] == ".env.container"
    assert services["local"]["profiles"] == ["local"]
    assert services["local"]["environment"] == [
        "SUPABASE_JWT_SECRET"
    ]  # from outside, no value here
