"""An application over stand-ins for database and storage, and tokens to call it with."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, cast
from uuid import UUID

import httpx
import pytest
import structlog
from fastapi import APIRouter, Body, FastAPI, Request, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from kis_estimator.errors import KisError, Notice
from kis_estimator.service.children import Children
from kis_estimator.service.pricebook import PriceBooks
from kis_estimator.settings import Settings, read_settings
from kis_estimator.store.blobs import Blobs
from kis_estimator.store.db import Database, Principal, Role
from kis_estimator.web.access import Admin, Estimator, Viewer
from kis_estimator.web.app import create_app
from kis_estimator.web.auth import Authenticator, mint_token
from kis_estimator.web.events import EventWatch
from kis_estimator.web.forms import UPLOAD_LIMIT
from kis_estimator.web.services import Services

SECRET = secrets.token_bytes(32)
ORG, USER = UUID(int=1), UUID(int=2)


def token(role: Role = "viewer", ttl_sec: int = 60, user: UUID = USER) -> str:
    return mint_token(SECRET, Principal(org_id=ORG, user_id=user, role=role), ttl_sec)


def bearer(role: Role = "viewer", **fields: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {token(role, **fields)}"}


@dataclass
class Backend:
    """A database and a storage that work, fail or hang as a test says."""

    database: Exception | float | None = None
    storage: Exception | float | None = None
    asked: int = 0

    def ping(self, _timeout_sec: float) -> None:
        self.asked += 1
        self._act(self.database)

    def probe(self, _timeout_sec: float) -> None:
        self._act(self.storage)

    def stats(self) -> dict[str, int]:
        return {"open": 3, "idle": 2, "limit": 30, "waiting": 1}

    def _act(self, what: Exception | float | None) -> None:
        if isinstance(what, Exception):
            raise what
        if what is not None:
            time.sleep(what)


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    sizes: list[dict[str, int]] = []
    anything: Any = None


router = APIRouter()  # an endpoint for each thing that can happen


@router.get("/v1/test/{item_id}")
def read(item_id: UUID, caller: Viewer, size: int = 1) -> dict[str, str]:
    return {"id": str(item_id), "user": str(caller.principal.user_id), "size": str(size)}


@router.post("/v1/test/{item_id}")
def write(item_id: UUID, item: Item, caller: Estimator) -> dict[str, str]:
    return {"id": str(item_id), "name": item.name, "role": caller.principal.role}


@router.delete("/v1/test/{item_id}")
def remove(item_id: UUID, caller: Admin) -> dict[str, str]:
    return {"id": str(item_id), "role": caller.principal.role}


@router.post("/v1/raw")
async def raw(request: Request) -> dict[str, int]:
    return {"size": len(await request.body())}


@router.post("/v1/upload", max_body_size=UPLOAD_LIMIT)
def upload(file: UploadFile | None = None) -> dict[str, int | None]:
    return {"size": file.size if file else None}


@router.post("/v1/fail")
async def fail(codes: Annotated[list[str], Body()]) -> None:
    raise KisError(*(Notice(code, sheet="내역", row=n) for n, code in enumerate(codes, 1)))


@router.get("/v1/crash")
def crash() -> None:
    raise RuntimeError("password=hunter2 at /srv/kis: select * from quotes")


@router.get("/v1/slow")
async def slow() -> None:
    await asyncio.sleep(60)


@router.get("/v1/stream")
async def stream() -> StreamingResponse:
    async def lines() -> Any:
        for _ in range(3):
            yield b"x"
            await asyncio.sleep(0.1)

    return StreamingResponse(lines())


@dataclass(frozen=True)
class Web:
    """An application and a client of it."""

    app: FastAPI
    client: httpx.AsyncClient
    backend: Backend

    def __call__(self, method: str, path: str, **fields: Any) -> httpx.Response:
        return asyncio.run(self.client.request(method, path, **fields))

    def together(self, *paths: str) -> list[httpx.Response]:
        async def run() -> list[httpx.Response]:
            return list(await asyncio.gather(*(self.client.get(path) for path in paths)))

        return asyncio.run(run())


MakeWeb = Callable[..., Web]


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    """Spare the tests the coloured tracebacks of an unconfigured structlog."""
    structlog.configure(processors=[structlog.processors.JSONRenderer()])


@pytest.fixture(scope="session")
def settings() -> Settings:
    return read_settings({"KIS_HOME": "home"})


@pytest.fixture
def make_web(settings: Settings) -> MakeWeb:
    def make(
        authenticator: Authenticator | None = None,
        timeout_sec: float = 30,
        samples: Any = (),
        hooks: Any = (),
        **changes: Any,
    ) -> Web:
        backend = Backend()
        services = Services(
            database=cast("Database", backend),
            blobs=cast("Blobs", backend),
            books=cast("PriceBooks", None),
            readers=cast("Children", None),
            watch=cast("EventWatch", None),
            signed_url_ttl_sec=60,
            heartbeat_sec=1,
            authenticator=authenticator or Authenticator.local(SECRET),
            samples=samples,
            hooks=hooks,
        )
        app = create_app(replace(settings, **changes), services, timeout_sec=timeout_sec)
        app.include_router(router)
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kis.test")
        return Web(app, client, backend)

    return make


@pytest.fixture
def web(make_web: MakeWeb) -> Web:
    return make_web()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"
