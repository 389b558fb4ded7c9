"""What the environment says, read once by an entry point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from kis_estimator.errors import KisError, Locale

AppEnv = Literal["development", "staging", "production"]


@dataclass(frozen=True, slots=True)
class Settings:
    """`home` holds what an installation keeps; runs are signed where there is a `signing_key`."""

    app_env: AppEnv
    home: Path
    signing_key: Path | None = None

    @property
    def production(self) -> bool:
        """Whether documents made here are sent to customers."""
        return self.app_env == "production"


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read APP_ENV, KIS_HOME and KIS_SIGNING_KEY. Raises SETTING_INVALID naming the variable."""
    app_env = environment.get("APP_ENV") or "development"
    if app_env not in get_args(AppEnv):
        raise KisError.of("SETTING_INVALID", name="APP_ENV", known=list(get_args(AppEnv)))
    home = environment.get("KIS_HOME") or "~/.kis-estimator"
    key = environment.get("KIS_SIGNING_KEY")
    return Settings(
        cast("AppEnv", app_env), Path(home).expanduser(), Path(key).expanduser() if key else None
    )


def reader_locale(environment: Mapping[str, str]) -> Locale:
    """Return English where the environment says so, else Korean.

    >>> reader_locale({"LANG": "en_US.UTF-8"}), reader_locale({"LANG": "C.UTF-8"})
    ('en-US', 'ko-KR')
    """
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    value = next((environment[name] for name in names if environment.get(name)), "")
    return "en-US" if value.lower().startswith("en") else "ko-KR"
