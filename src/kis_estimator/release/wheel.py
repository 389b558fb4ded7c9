"""The wheel of a release: built from the commit alone, the same bytes for the same commit."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from kis_estimator.errors import KisError
from kis_estimator.release import names

_PARTS = ("kis_estimator/__init__.py", "kis_deploy/__init__.py", "kis_estimator/migrations/")
_OLDEST = 315_532_800  # a zip knows no time before 1980


def build_wheel(source: Path, folder: Path, version: str, committed_at: int) -> Path:
    """Build the wheel of a source tree into a folder and return its path. Raises RELEASE_WHEEL.

    The build tool that `pyproject.toml` pins is fetched into an environment of its own.
    """
    command = [sys.executable, "-I", "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--no-input", "--wheel-dir", str(folder)]
    done = subprocess.run(
        [*command, str(source)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(max(committed_at, _OLDEST))},
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        raise KisError.of("RELEASE_WHEEL", reason=last)
    wheel = folder / names.wheel_of(version)
    if not wheel.is_file():
        raise KisError.of("RELEASE_WHEEL", reason=f"no {wheel.name}")
    with zipfile.ZipFile(wheel) as archive:
        listed = archive.namelist()
    lacking = [part for part in _PARTS if not any(name.startswith(part) for name in listed)]
    if lacking:
        raise KisError.of("RELEASE_WHEEL", reason=f"without {', '.join(lacking)}")
    return wheel
