"""The Supabase command line: where it is, and how it learns of the project."""

from __future__ import annotations

import re
import shutil

from kis_deploy.config import Config
from kis_deploy.problems import DeployError, Problem
from kis_deploy.runner import Runner

_OLDEST = 2
_QUIET = {"SUPABASE_TELEMETRY_DISABLED": "1", "DO_NOT_TRACK": "1"}


def cli(config: Config, runner: Runner) -> str:
    """Return the program of the command line: the checkout's own one, or that on PATH.

    Raises DeployError where there is none, or one before version 2.
    """
    places = f"{config.checkout / 'node_modules/.bin'}:{config.environment.get('PATH', '')}"
    program = shutil.which("supabase", path=places)
    if program is None:
        raise DeployError.of(
            "supabase", "is not installed", "Run `npm ci` in the checkout, or install the CLI"
        )
    told = runner.run([program, "--version"], environment=environment(config), timeout_sec=60)
    version = re.search(r"\d+(?=\.\d+\.\d+)", told.output)
    if told.code or version is None or int(version[0]) < _OLDEST:
        raise DeployError.of(
            "supabase",
            f"is older than version {_OLDEST}, or does not start",
            "Run `npm ci` in the checkout, which has the right one",
        )
    return program


def environment(config: Config, **more: str) -> dict[str, str]:
    """Return the environment of the command line: no secret that it does not need."""
    return config.commands(**_QUIET, **more)


def login_and_link(config: Config, runner: Runner) -> str:
    """Link the checkout to the project, and return what was done.

    The command line logs in with the access token of the environment; nothing keeps it, as
    `supabase login` would. A project that is not Supabase's own is known by its addresses alone.
    Raises DeployError where the token or the reference is refused.
    """
    if not config.hosted:
        return "not needed: a project of your own is reached by its addresses, without a login"
    runner.check(
        [cli(config, runner), "link", "--project-ref", config["SUPABASE_PROJECT_REF"]],
        Problem(
            "Supabase login and link",
            "the project can't be linked",
            "Check SUPABASE_ACCESS_TOKEN (is it still valid, may it see the project?)"
            " and SUPABASE_PROJECT_REF",
        ),
        environment=environment(config, SUPABASE_ACCESS_TOKEN=config["SUPABASE_ACCESS_TOKEN"]),
        cwd=config.checkout,
        timeout_sec=180,
    )
    return "Logged in with the access token, and linked to the project"
