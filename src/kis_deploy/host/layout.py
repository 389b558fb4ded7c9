"""What lies where below a deployment's root, and how files are written there."""

from __future__ import annotations

import os
import pwd
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

from kis_deploy.problems import DeployError

Colour = Literal["blue", "green"]
COLOURS: tuple[Colour, ...] = get_args(Colour)
COMPLETE = "COMPLETE"

# Such a path needs no quoting in a unit, a configuration or a shell.
_ROOT = re.compile(r"/[\w./-]*[\w-]", re.ASCII)
_VERSION = re.compile(r"\d+\.\d+\.\d+[-.a-z0-9]*")
_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
_DRAFT = ".draft"
ACCOUNT = "kis-estimator"
_TEMPLATE_ROOT = "/opt/kis-estimator"


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders and files of a root.

    Where the agent is root the service runs as an `account`. That one may write into its logs, its
    KIS_HOMEs and nginx's temporary folder; everything else is root's, and root writes nothing into
    those: a link that the account leaves there leads root nowhere.
    """

    root: Path
    account: str | None = None

    @property
    def state(self) -> Path:
        """Who serves, and on which ports."""
        return self.root / "state.json"

    @property
    def releases(self) -> Path:
        """The installed releases, side by side."""
        return self.root / "releases"

    @property
    def incoming(self) -> Path:
        """What was sent and is not installed yet."""
        return self.root / "incoming"

    @property
    def logs(self) -> Path:
        """Logs of the proxy."""
        return self.root / "logs"

    @property
    def proxy(self) -> Path:
        """The folder of nginx."""
        return self.root / "proxy"

    @property
    def scratch(self) -> Path:
        """What nginx writes: bodies on their way, and which process it is."""
        return self.proxy / "tmp"

    @property
    def run(self) -> Path:
        """The folder of supervisord, and of the logs that it writes."""
        return self.root / "run"

    @property
    def home(self) -> Path:
        """Files that every KIS_HOME gets, such as company.toml."""
        return self.root / "shared/home"

    def release(self, version: str) -> Path:
        """Return the folder of a release."""
        return self.releases / f"v{version}"

    def colour(self, colour: Colour) -> Path:
        """Return the folder of a colour: its environment, its KIS_HOME, a link to its release."""
        return self.root / "colours" / colour

    def version_of(self, colour: Colour) -> str | None:
        """Return the release that a colour runs, or ran last."""
        link = self.colour(colour) / "release"
        return link.readlink().name.removeprefix("v") if link.is_symlink() else None

    def is_installed(self, version: str) -> bool:
        """Whether a release is whole."""
        return (self.release(version) / COMPLETE).is_file()

    def versions(self) -> list[str]:
        """Return every whole release."""
        found = (path.name.removeprefix("v") for path in self.releases.glob("v*"))
        return sorted(version for version in found if self.is_installed(version))

    def drafts(self) -> list[Path]:
        """Return the files that a killed agent was writing."""
        folders = [self.root, self.proxy, self.run, self.run / "programs"]
        folders += [self.colour(colour) for colour in COLOURS]
        return sorted(path for folder in folders for path in folder.glob(f"*{_DRAFT}"))

    def prepare(self) -> None:
        """Make the folders: those of the account writable for it, the others only to enter."""
        owner = self.owner()
        entered = (self.proxy, *map(self.colour, COLOURS))
        for folder in (self.root, self.releases, self.incoming, self.home, self.run, *entered):
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        for folder in entered:
            folder.chmod(0o750)
            if owner is not None:
                os.chown(folder, os.geteuid(), owner.pw_gid)
        homes = (self.colour(colour) / "home" for colour in COLOURS)
        for folder, mode in (
            (self.logs, 0o750),
            (self.scratch, 0o700),
            *((h, 0o700) for h in homes),
        ):
            folder.mkdir(mode=mode, exist_ok=True)
            self.hand_over(folder)

    def owner(self) -> pwd.struct_passwd | None:
        """Return the account that files are handed over to, None where they stay the agent's own.

        Raises DeployError where the host has no such account.
        """
        return None if os.geteuid() else self.find_account()

    def find_account(self) -> pwd.struct_passwd | None:
        """Return the account of the service, where it has one. Raises DeployError without it."""
        if self.account is None:
            return None
        try:
            return pwd.getpwnam(self.account)
        except KeyError:
            raise DeployError.of(
                f"The account {self.account}",
                "does not exist on this host",
                f"Make it: useradd --system --home-dir {self.root} "
                f"--shell /usr/sbin/nologin {self.account}",
            ) from None

    def hand_over(self, path: Path) -> None:
        """Give a file to the account of the service."""
        if (owner := self.owner()) is not None:
            os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)

    @contextmanager
    def as_owner(self) -> Iterator[None]:
        """Act as the account of the service: what it may not write to is not written to."""
        owner, groups = self.owner(), os.getgroups()
        if owner is None:
            yield
            return
        os.setgroups([])
        os.setegid(owner.pw_gid)
        os.seteuid(owner.pw_uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(os.getgid())
            os.setgroups(groups)


def layout_of(request: Mapping[str, object]) -> Layout:
    """Return the layout that a request is about. Raises DeployError for a root that is none."""
    root, account = request.get("root"), request.get("account")
    if not isinstance(root, str) or not _ROOT.fullmatch(root) or ".." in root:
        raise DeployError.of(
            "DEPLOY_ROOT",
            "is no absolute path of letters, digits, dots, dashes and underscores",
            'Write export DEPLOY_ROOT="/opt/kis-estimator"',
        )
    if account is not None and not re.fullmatch(r"[a-z_][a-z0-9_-]*", str(account)):
        raise DeployError.of("The account", "is no name of one", "Name one, as kis-estimator")
    return Layout(Path(root), None if account is None else str(account))


def version_in(request: Mapping[str, object]) -> str:
    """Return the version that a request is about. Raises DeployError for anything else."""
    version = request.get("version")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise DeployError.of("The version", "is not like 2.1.0", "Name the version of a release")
    return version


def write(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Write a file whole or not at all, in place of what was there, a link too.

    Nobody else can read one of mode 0600 at any time.
    """
    draft = path.with_name(path.name + _DRAFT)
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fchmod(handle, mode)
        os.fsync(handle)
    draft.replace(path)


def link(path: Path, target: Path) -> None:
    """Let a symbolic link point elsewhere, at once."""
    draft = path.with_name(path.name + _DRAFT)
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(path)


def write_environment(path: Path, environment: Mapping[str, str]) -> None:
    """Write variables so that systemd and a shell read the same. Raises DeployError."""
    for name, value in environment.items():
        if not _NAME.fullmatch(name) or not value.isprintable() or "'" in value:
            raise DeployError.of(
                name if _NAME.fullmatch(name) else "A variable",
                "has a value that no environment file can hold",
                "Use a value without apostrophes and line breaks",
            )
    write(path, "".join(f"{name}='{value}'\n" for name, value in environment.items()), 0o600)


def read_environment(path: Path) -> dict[str, str]:
    """Return what `write_environment` wrote; nothing where there is no file."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    parts = (line.partition("=") for line in lines)
    return {name: value[1:-1] for name, _, value in parts}


def template(name: str, layout: Layout) -> str:
    """Return a shipped file with this host's root and account in place of the usual ones."""
    text = files("kis_deploy.host").joinpath("templates", name).read_text(encoding="utf-8")
    account = layout.account or ACCOUNT
    text = text.replace(_TEMPLATE_ROOT, str(layout.root))
    text = text.replace(f"su {ACCOUNT} {ACCOUNT}", f"su {account} {account}")
    return re.sub(rf"^(User|Group)={ACCOUNT}$", rf"\1={account}", text, flags=re.MULTILINE)


def remove(path: Path) -> None:
    """Remove a file or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
