"""What a host knows about itself: who serves, who served before, and on which ports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from kis_deploy.host.layout import COLOURS, Colour, Layout, write
from kis_deploy.problems import DeployError

KEPT_HOURS = 24
_GREEN_SERVES = "green-serves"


@dataclass(frozen=True, slots=True)
class Serving:
    """The colour that requests go to."""

    version: str
    colour: Colour
    port: int
    since: str


@dataclass(frozen=True, slots=True)
class Previous:
    """What to go back to: a release that served before; it stays until then."""

    version: str
    colour: Colour
    port: int
    until: str


@dataclass(frozen=True, slots=True)
class State:
    """The contents of state.json."""

    manager: str | None = None
    account: str | None = None
    bind: str = "127.0.0.1"
    proxy_port: int = 0
    ports: Mapping[Colour, int] = field(default_factory=dict)
    serving: Serving | None = None
    previous: Previous | None = None
    earlier: Previous | None = None  # what to go back to from `previous`

    @property
    def idle(self) -> Colour:
        """The colour that does not serve."""
        return COLOURS[0] if self.serving is None else other(self.serving.colour)

    def switched(self, version: str, *, back: bool = False) -> State:
        """Return the state once requests go to the idle colour, which runs this version.

        Going `back` to what served before, the release that is left is not one to return to: what
        came earlier is.
        """
        serving = Serving(version, self.idle, self.ports[self.idle], moment())
        old = self.serving
        if old is None or old.version == version:
            return replace(self, serving=serving)
        if back and self.previous is not None and self.previous.version == version:
            return replace(self, serving=serving, previous=self.earlier, earlier=None)
        until = moment(timedelta(hours=KEPT_HOURS))
        previous = Previous(old.version, old.colour, old.port, until)
        return replace(self, serving=serving, previous=previous, earlier=self.previous)


def other(colour: Colour) -> Colour:
    """Return the other colour.

    >>> other("blue")
    'green'
    """
    return COLOURS[1 - COLOURS.index(colour)]


def read_state(layout: Layout) -> State:
    """Return the state as it is, also where an agent was killed before it wrote it down.

    Where requests go is what the proxy does: its mark counts more than the file.
    """
    try:
        told = json.loads(layout.state.read_bytes())
        state = _state_of(told)
    except FileNotFoundError:
        return State()
    except (ValueError, TypeError, KeyError) as error:
        raise DeployError.of(
            str(layout.state), f"is damaged ({error})", "Restore it from a backup of the host"
        ) from None
    if state.serving is not None and state.serving.colour != marked(layout):
        return state.switched(layout.version_of(state.idle) or "unknown")
    return state


def _state_of(told: dict[str, Any]) -> State:
    serving = told.pop("serving")
    previous, earlier = (told.pop(name, None) for name in ("previous", "earlier"))
    return State(
        **told,
        serving=serving and Serving(**serving),
        previous=previous and Previous(**previous),
        earlier=earlier and Previous(**earlier),
    )


def write_state(layout: Layout, state: State) -> None:
    """Write the state, whole."""
    write(layout.state, json.dumps(asdict(state), indent=2) + "\n")


def marked(layout: Layout) -> Colour:
    """Return the colour that the proxy sends requests to."""
    return COLOURS[(layout.proxy / _GREEN_SERVES).exists()]


def mark(layout: Layout, colour: Colour) -> None:
    """Send each request that comes from now on to a colour: one file made or removed, at once.

    The proxy looks for the file with every request. Unlike a reload this closes no connection that
    a client keeps open, on which its next request may already be under way.
    """
    flag = layout.proxy / _GREEN_SERVES
    if colour == COLOURS[1]:
        flag.touch(mode=0o644)
    else:
        flag.unlink(missing_ok=True)


def moment(ahead: timedelta = timedelta()) -> str:
    """Return the time, now or ahead, as ISO 8601 in UTC."""
    return (datetime.now(UTC) + ahead).isoformat(timespec="seconds").replace("+00:00", "Z")


def is_over(until: str) -> bool:
    """Whether a moment has passed."""
    return datetime.fromisoformat(until) <= datetime.now(UTC)
