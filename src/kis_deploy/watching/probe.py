"""Looks at one service: /readyz and /metrics."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from kis_deploy.problems import DeployError
from kis_deploy.watching.figures import Figures, figures
from kis_deploy.watching.metrics import Sample, increase, parse
from kis_deploy.watching.triggers import Look
from kis_deploy.web import OK, Answer, Web

TIMEOUT_SEC = 8.0
"""/readyz itself answers within 4 s, whatever database and storage do."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look gave: the status of /readyz (None without an answer), its time, the metrics."""

    look: Look
    status: int | None
    ready_sec: float
    sample: Sample | None
    replaced: bool  # other processes count than at the look before


class Target:
    """A service, by the address of one host, and what it had counted at the last look."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._last: Sample | None = None

    def see(self, at: float) -> Seen:
        """Ask for readiness and metrics; whatever goes wrong is part of what is seen."""
        began = time.monotonic()
        answer = self._get("/readyz")
        ready_sec = time.monotonic() - began
        if isinstance(answer, str):
            status, ready, said = None, False, answer
        else:
            status, (ready, said) = answer.status, _readiness(answer)
        added: Figures | None = None
        replaced = False
        sample = self._sample()
        if sample is not None and self._last is not None:
            counted = increase(self._last, sample)
            replaced = counted is None
            added = None if counted is None else figures(counted)
        self._last = sample or self._last
        return Seen(Look(at, ready, said, added), status, ready_sec, sample, replaced)

    def _sample(self) -> Sample | None:
        answer = self._get("/metrics")
        if isinstance(answer, str) or answer.status != OK:
            return None
        try:
            return parse(answer.body.decode())
        except ValueError:
            return None

    def _get(self, path: str) -> Answer | str:
        """Return an answer, or why there is none."""
        try:
            with Web(self.url, timeout_sec=TIMEOUT_SEC) as web:
                return web.ask("GET", path)
        except DeployError as error:
            return error.problems[0].cause


def checked_urls(urls: Sequence[str]) -> tuple[str, ...]:
    """Return addresses without a slash at the end. Raises DeployError for what is no address."""
    checked = tuple(dict.fromkeys(url.rstrip("/") for url in urls))
    for url in checked:
        try:
            parts = urlsplit(url)
            good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
            good = good and not (parts.username or parts.query or parts.fragment)
        except ValueError:
            good = False
        if not good:
            raise DeployError.of(
                "--url", "is no address of a service", "Write http://HOST:PORT or https://HOST"
            )
    return checked


def _readiness(answer: Answer) -> tuple[bool, str]:
    """Return whether the service is ready, and what is missing where it is not."""
    told, status = answer.object(), answer.status
    if "status" not in told:
        return False, f"{status} without a readiness"
    if status == OK and told["status"] == "ok":
        return True, f"{status} ok"
    missing = [name for name in ("db", "storage") if told.get(name) != "ok"]
    return False, f"{status}, not ok: {', '.join(missing) or 'status'}"
