"""The checkout that a release is cut from, as git sees it."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from kis_estimator.errors import KisError


@dataclass(frozen=True, slots=True)
class Checkout:
    """A working tree of git."""

    root: Path

    @classmethod
    def around(cls, folder: Path) -> Checkout:
        """Return the checkout that a folder stands in. Raises RELEASE_NO_CHECKOUT."""
        try:
            top = _git(folder, "rev-parse", "--show-toplevel").decode().removesuffix("\n")
        except KisError:
            raise KisError.of("RELEASE_NO_CHECKOUT", folder=str(folder)) from None
        return cls(Path(top))

    def commit(self) -> str:
        """Return the id of the commit that is checked out."""
        return self._git("rev-parse", "--verify", "HEAD^{commit}").decode().strip()

    def committed_at(self, commit: str) -> int:
        """Return the time of a commit [seconds since 1970]."""
        return int(self._git("show", "-s", "--format=%ct", commit))

    def changes(self, aside: Path) -> list[str]:
        """Return the files that are not as committed, but for those in the folder `aside`."""
        command = ["status", "--porcelain", "-z", "--no-renames", "--untracked-files=all"]
        if aside.is_relative_to(self.root) and aside != self.root:
            command += ["--", ".", f":(exclude,top,literal){aside.relative_to(self.root)}"]
        listed = self._git(*command).decode(errors="replace").split("\0")
        return [entry[3:] for entry in listed if entry]

    def has_tag(self, tag: str) -> bool:
        """Return whether a tag exists here."""
        return bool(self._git("tag", "--list", tag).strip())

    def has_identity(self) -> bool:
        """Return whether git knows who makes a tag."""
        try:
            self._git("var", "GIT_COMMITTER_IDENT")
        except KisError:
            return False
        return True

    def export(self, commit: str, folder: Path) -> None:
        """Write the files of a commit, and nothing else, into a new folder."""
        archive = self._git("archive", "--format=tar", commit)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")

    def tag(self, tag: str, commit: str, message: str) -> None:
        """Make an annotated tag of a commit. Raises RELEASE_GIT."""
        self._git("tag", "--annotate", tag, commit, "--message", message)

    def _git(self, *arguments: str) -> bytes:
        return _git(self.root, *arguments)


def _git(folder: Path, *arguments: str) -> bytes:
    """Return what git prints. Raises RELEASE_GIT with its last line."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        raise KisError.of("RELEASE_GIT", what=arguments[0], reason=error.strerror) from None
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise KisError.of("RELEASE_GIT", what=arguments[0], reason=last)
    return done.stdout
