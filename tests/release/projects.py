"""A copy of this project, as git would commit it now."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def copy_project(root: Path, folder: Path) -> Path:
    """Copy every file that is committed or would be, and nothing else."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listing.split("\0")):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, folder / name)
    return folder
