"""A root on a host, with its process manager: what every verb works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kis_deploy.host.layout import ACCOUNT, Layout, layout_of
from kis_deploy.host.managers import Manager
from kis_deploy.host.state import State, read_state
from kis_deploy.host.supervisord import Supervisord
from kis_deploy.host.systemd import Systemd
from kis_deploy.problems import DeployError


@dataclass(frozen=True, slots=True)
class Site:
    """A root: its files and its process manager."""

    layout: Layout
    manager: Manager

    def state(self) -> State:
        """Return the present state."""
        return read_state(self.layout)


def site_of(request: Mapping[str, Any]) -> Site:
    """Return the root of a request; what it does not say is as it was at the last start."""
    layout = layout_of(request)
    state = read_state(layout)
    kind = request.get("manager") or state.manager
    if kind is None:
        kind = "systemd" if Path("/run/systemd/system").is_dir() else "supervisord"
    if kind not in {"systemd", "supervisord"}:
        raise DeployError.of(
            "DEPLOY_PROCESS_MANAGER", "is not known", "Name systemd or supervisord, or unset it"
        )
    account = layout.account or state.account or (ACCOUNT if kind == "systemd" else None)
    layout = replace(layout, account=account)
    return Site(layout, Systemd(layout) if kind == "systemd" else Supervisord(layout))
