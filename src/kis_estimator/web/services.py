"""What the endpoints work with, built once by the entry point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from kis_estimator.evidence.envelope import Verifier
from kis_estimator.service.children import Children
from kis_estimator.service.pricebook import PriceBooks
from kis_estimator.store.blobs import Blobs
from kis_estimator.store.db import Database
from kis_estimator.web.auth import Authenticator
from kis_estimator.web.events import EventWatch

Sample = Callable[[], Mapping[str, float]]
Hook = Callable[[], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What endpoints need. `readers` are children that open what strangers send.

    Links are good for `signed_url_ttl_sec`; a stream that has nothing to say beats every
    `heartbeat_sec`; packs are verified with `public_keys`. `samples` look up metrics when somebody
    asks; `hooks` run as long as the application.
    """

    database: Database
    blobs: Blobs
    books: PriceBooks
    readers: Children
    watch: EventWatch
    authenticator: Authenticator
    signed_url_ttl_sec: int
    heartbeat_sec: float
    public_keys: tuple[Verifier, ...] = ()
    samples: tuple[Sample, ...] = ()
    hooks: tuple[Hook, ...] = ()


async def services_of(request: Request) -> Services:
    """Return the services of the application that answers."""
    services: Services = request.app.state.services
    return services


Needs = Annotated[Services, Depends(services_of)]
