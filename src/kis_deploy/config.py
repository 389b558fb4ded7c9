"""What a deployment is to do: the checked environment and the release in a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from kis_deploy.hosts import Host, parse_hosts
from kis_deploy.problems import DeployError
from kis_deploy.variables import VARIABLES, Variable, check_variables, hosted, value_of

_VERSION = re.compile(r"\d+\.\d+\.\d+(?:[-.a-z0-9]*)?")


@dataclass(frozen=True)
class Config:
    """A deployment's settings; `checkout` is the folder with `ops/` and `supabase/`."""

    environment: Mapping[str, str] = field(repr=False)
    checkout: Path

    def __getitem__(self, name: str) -> str:
        """Return a variable or its default; an empty text where it has neither."""
        return value_of(self.environment, name)

    @property
    def production(self) -> bool:
        """Whether customers use what is deployed."""
        return self["APP_ENV"] == "production"

    @property
    def hosted(self) -> bool:
        """Whether the project is Supabase's own."""
        return hosted(self.environment)

    @cached_property
    def hosts(self) -> tuple[Host, ...]:
        """The hosts of the application."""
        ssh = self["DEPLOY_SSH_CONFIG"]
        python = self["DEPLOY_PYTHON"]
        return parse_hosts(self["DEPLOY_HOSTS"], Path(ssh).expanduser() if ssh else None, python)

    @property
    def base_url(self) -> str:
        """Where callers reach the service."""
        return (self["DEPLOY_BASE_URL"] or f"http://127.0.0.1:{self['APP_PORT']}").rstrip("/")

    @property
    def secrets(self) -> list[str]:
        """Every value that must not be seen."""
        return [self[v.name] for v in VARIABLES if v.secret and self[v.name]]

    def application(self) -> dict[str, str]:
        """Return the environment of the application."""
        names = [variable.name for variable in VARIABLES if variable.application]
        return {name: self[name] for name in names if self[name]}

    def commands(self, **more: str) -> dict[str, str]:
        """Return the environment of commands that run here: no secret that they do not need."""
        hidden = {variable.name for variable in VARIABLES if variable.secret}
        kept = {name: text for name, text in self.environment.items() if name not in hidden}
        return kept | more


@dataclass(frozen=True)
class Release:
    """A folder that `kis release cut` wrote."""

    folder: Path
    version: str
    openapi_sha256: str

    @property
    def tag(self) -> str:
        """The short tag, as operators type it."""
        return f"v{self.version}"

    @property
    def wheel(self) -> Path:
        """The built program."""
        return self.folder / f"kis_estimator-{self.version}-py3-none-any.whl"


def read_config(
    environment: Mapping[str, str], checkout: Path, needed: Sequence[Variable] = VARIABLES
) -> Config:
    """Return the settings. Raises DeployError with every needed variable that has no good value."""
    problems = check_variables(environment, needed)
    if problems:
        raise DeployError(*problems)
    return Config(dict(environment), checkout)


def read_release(folder: Path) -> Release:
    """Read which release a folder holds. Raises DeployError; the files are checked elsewhere."""
    try:
        told = json.loads((folder / "release.json").read_bytes())
        version, openapi = told["version"], told["openapiSha256"]
        known = _VERSION.fullmatch(version) and re.fullmatch("[0-9a-f]{64}", openapi)
    except (OSError, ValueError, KeyError, TypeError):
        known = None
    if not known:
        raise DeployError.of(
            str(folder),
            "holds no release",
            "Cut one with `script/kis release cut vX.Y.Z`, or name its folder in DEPLOY_RELEASE",
        )
    return Release(folder, version, openapi)
