"""The whole goldset through the service: ordered, streamed and sealed by real processes."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.live import follow
from tests.golden.cases import CASES, check

from kis_estimator.assembly import (
    api_services,
    local_principal,
    local_secret,
    prepare_database,
    reached,
    workshop,
)
from kis_estimator.settings import read_settings
from kis_estimator.web.app import create_app
from kis_estimator.web.auth import mint_token
from kis_estimator.worker import works

IN_PRODUCTION = [case for case in CASES if case.get("production")]


@pytest.mark.regression
@pytest.mark.parametrize(
    "case", [case for case in CASES if case not in IN_PRODUCTION], ids=lambda case: case["id"]
)
def test_case(case: dict[str, Any], admin: httpx.Client, examples: Path) -> None:
    body: dict[str, Any] = {"json": case.get("request")}
    if "schedule" in case:
        path = examples / case["schedule"]
        body = {"files": {"file": (path.name, path.read_bytes())}}
    made = admin.post("/v1/estimate", **body)
    assert made.status_code == 201, made.text
    sent = list(follow(admin, made.json()["id"]))
    seqs = [one.seq for one in sent]
    stream = {
        "events": [kind for kind in ("PROGRESS", "GATE_RESULT", "DONE") if kind in of(sent)],
        "risingSeq": seqs == sorted(set(seqs)),
    }
    response = admin.get(f"/v1/estimate/{made.json()['id']}").json()
    assert response["status"] == "completed"
    pack = admin.get(response["evidenceUrl"]).content
    check(case, response, needs(pack), stream)


def of(sent: list[Any]) -> set[str]:
    return {one.event for one in sent}


def needs(pack: bytes) -> list[Any]:
    with zipfile.ZipFile(io.BytesIO(pack)) as files:
        panels = json.loads(files.read("evidence/1-enclosure/output.json"))
    return [panel["enclosure"]["need"] for panel in panels]


@contextmanager
def production(home: Path) -> Iterator[tuple[httpx.AsyncClient, Any]]:
    """An installation that quotes for customers, without the project that it would need outside."""
    settings = replace(read_settings({"KIS_HOME": str(home)}), app_env="production")
    with (
        reached(settings) as addresses,
        api_services(settings, addresses) as services,
    ):
        prepare_database(settings, addresses)
        token = mint_token(local_secret(settings), local_principal(home, "admin"), 600)
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(create_app(settings, services)),
            base_url="http://kis.test",
            headers={"authorization": f"Bearer {token}"},
        )
        with workshop(settings, addresses, processes=1) as shop:
            yield client, works(shop)


@pytest.mark.regression
@pytest.mark.parametrize("case", IN_PRODUCTION, ids=lambda case: case["id"])
def test_case_in_production(case: dict[str, Any], tmp_path: Path) -> None:
    with production(tmp_path / "home") as (client, known):

        async def run() -> None:
            made = (await client.post("/v1/estimate", json=case["request"])).json()
            known["estimate.run"].do(quote_id=made["id"])
            response = (await client.get(f"/v1/estimate/{made['id']}")).json()
            assert response["status"] == "completed"
            pack = (await client.get(response["evidenceUrl"])).content
            check(case, response, needs(pack))

        asyncio.run(run())
