"""The service through its API, as programs use it: real processes, database and storage."""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.e2e.live import STREAM, Live, follow, kis, serving

from kis_estimator.store.db import Principal
from kis_estimator.web.auth import installation_secret, mint_token
from kis_estimator.web.schemas import Difference, DocumentList, EstimateList, EstimateResponse

pytestmark = pytest.mark.smoke

WAIT = {"prefer": "wait=60"}
MAIN = {"role": "main", "category": "MCCB", "poles": 4, "ratedCurrentA": 75, "frameAf": 100}
BRANCH = {"role": "branch", "category": "ELB", "poles": 2, "ratedCurrentA": 20, "quantity": 15}
REQUEST: dict[str, Any] = {
    "customer": {"name": "○○전기"},
    "project": "급식실 증축",
    "panels": [{"name": "LP-1", "breakers": [MAIN, BRANCH]}],
}


def ordered(client: httpx.Client, request: object = REQUEST, **headers: str) -> dict[str, Any]:
    response = client.post("/v1/estimate", json=request, headers=headers)
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


@pytest.fixture(scope="module")
def done(admin: httpx.Client) -> dict[str, Any]:
    """A completed estimate."""
    made = ordered(admin, **WAIT)
    assert made["status"] == "completed"
    return made


def test_an_order_is_answered_at_once_and_completed_later(admin: httpx.Client) -> None:
    made = ordered(admin)
    assert made["status"] == "pending"
    messages = list(follow(admin, made["id"]))
    assert messages[-1].event == "DONE"
    assert messages[-1].data["result"] == {"estimateId": made["id"], "status": "completed"}
    found = admin.get(f"/v1/estimate/{made['id']}").json()
    assert found["status"] == "completed"
    assert found["number"] == made["number"]
    EstimateResponse.model_validate(found)


def test_the_answer_is_what_the_contract_describes(done: dict[str, Any]) -> None:
    shape = EstimateResponse.model_validate(done)
    assert shape.model_dump(mode="json", by_alias=True, exclude_unset=True) == done


def test_stream_rises_and_resumes(admin: httpx.Client, done: dict[str, Any]) -> None:
    whole = list(follow(admin, done["id"]))
    seqs = [sent.seq for sent in whole]
    assert seqs == sorted(set(seqs))
    assert all(sent.id == str(sent.seq) and sent.data["meta"]["ts"] for sent in whole)
    assert {"PROGRESS", "GATE_RESULT", "DONE"} <= {sent.event for sent in whole}
    progress = [sent.data["progress"] for sent in whole if sent.event == "PROGRESS"]
    assert progress == sorted(progress)
    for cut in (1, len(whole) // 2, len(whole) - 1):
        rest = list(follow(admin, done["id"], whole[cut - 1].id))
        assert [sent.seq for sent in rest] == seqs[cut:]
    ended = admin.get(
        STREAM, params={"estimateId": done["id"]}, headers={"last-event-id": whole[-1].id}
    )
    assert ended.status_code == 204
    wrong = admin.get(STREAM, params={"estimateId": done["id"]}, headers={"last-event-id": "x"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "LAST_EVENT_ID")


def test_equal_calls_at_once_make_one_estimate(admin: httpx.Client) -> None:
    key = str(uuid4())

    def order(_: int) -> str:
        response = admin.post("/v1/estimate", json=REQUEST, headers={"idempotency-key": key})
        assert response.status_code == 201
        return response.text

    with ThreadPoolExecutor(50) as pool:
        assert len(set(pool.map(order, range(50)))) == 1
    other = {**REQUEST, "project": "다른 공사"}
    refused = admin.post("/v1/estimate", json=other, headers={"idempotency-key": key})
    assert (refused.status_code, refused.json()["code"]) == (409, "IDEMPOTENCY_CONFLICT")


def test_a_file_is_ordered_as_a_form(admin: httpx.Client, examples: Path) -> None:
    data = (examples / "01_two_tabs.xlsx").read_bytes()
    response = admin.post(
        "/v1/estimate",
        files={"file": ("분전반.xlsx", data)},
        data={"customer": "한빛건설"},
        headers=WAIT,
    )
    assert response.status_code == 201, response.text
    found = response.json()
    assert found["status"] == "completed"
    assert found["customer"]["name"] == "한빛건설"
    assert len(found["panels"]) == 3


def test_what_a_schedule_has_wrong_is_refused_with_its_place(admin: httpx.Client) -> None:
    text = "메인 MCCB 4P 75A\nELB 2P 20A 0개"
    response = admin.post("/v1/estimate", files={"text": (None, text)})
    assert response.status_code == 422
    assert response.json()["details"][0]["row"] == 2
    unknown = {**REQUEST, "colour": "red"}
    response = admin.post("/v1/estimate", json=unknown)
    assert (response.status_code, response.json()["code"]) == (422, "FIELD_UNKNOWN")
    assert "colour" in response.json()["message"]


def test_a_panel_without_a_main_fails_with_the_proposal(admin: httpx.Client) -> None:
    panel = {**REQUEST["panels"][0], "breakers": REQUEST["panels"][0]["breakers"][1:]}
    request = {**REQUEST, "panels": [panel]}
    found = ordered(admin, request, **WAIT)
    assert found["status"] == "failed"
    assert found["error"]["code"] == "NO_MAIN"
    events = list(follow(admin, found["id"]))
    assert [sent.event for sent in events[-2:]] == ["ERROR", "DONE"]
    response = admin.post(
        "/v1/estimate", params={"acceptProposedMain": "true"}, json=request, headers=WAIT
    )
    assert response.json()["status"] == "completed"


def test_documents_are_what_their_hashes_say(
    live: Live, viewer: httpx.Client, done: dict[str, Any]
) -> None:
    listed = viewer.get("/v1/documents", params={"estimateId": done["id"]}).json()
    assert DocumentList.model_validate(listed).total == len(listed["items"])
    kinds = {item["kind"] for item in listed["items"]}
    assert kinds == {"xlsx", "pdf", "svg", "dxf", "json"}
    for item in listed["items"]:
        file = httpx.get(live.url + item["url"])
        assert file.status_code == 200
        assert hashlib.sha256(file.content).hexdigest() == item["sha256"]
        assert len(file.content) == item["sizeBytes"]
        assert file.headers["content-disposition"].startswith("attachment")
    sealed = {item["path"]: item["sha256"] for item in done["documents"]}
    assert sealed.items() <= {item["path"]: item["sha256"] for item in listed["items"]}.items()


def test_links_cannot_be_changed(live: Live, viewer: httpx.Client, done: dict[str, Any]) -> None:
    listed = viewer.get("/v1/documents", params={"estimateId": done["id"], "kind": "pdf"}).json()[
        "items"
    ]
    url = httpx.URL(live.url + listed[0]["url"])
    for change in ({"exp": "9999999999"}, {"name": "x.exe"}, {"sig": "0" * 64}):
        refused = httpx.get(url.copy_merge_params(change))
        assert (refused.status_code, refused.json()["code"]) == (403, "LINK_INVALID")


def test_the_pack_verifies_and_replays(
    live: Live, admin: httpx.Client, done: dict[str, Any], tmp_path: Path
) -> None:
    response = admin.get(done["evidenceUrl"])
    assert response.headers["content-type"] == "application/zip"
    pack = tmp_path / "pack.zip"
    pack.write_bytes(response.content)
    kis(live.home, "evidence", "verify", str(pack))
    kis(live.home, "evidence", "replay", str(pack))
    report = admin.post("/v1/evidence/verify", files={"file": ("p.zip", response.content)}).json()
    assert (report["ok"], report["evidenceSha"]) == (True, done["evidenceSha"])
    changed = changed_pack(response.content)
    report = admin.post("/v1/evidence/verify", files={"file": ("p.zip", changed)}).json()
    assert report["ok"] is False


def changed_pack(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content + b" " if name == "quotation.pdf" else content)
    return out.getvalue()


def test_an_export_has_what_the_customer_may_have(
    live: Live, admin: httpx.Client, done: dict[str, Any]
) -> None:
    wish = {"estimateId": done["id"], "kinds": ["pdf", "xlsx"]}
    accepted = admin.post("/v1/documents/export", json=wish)
    assert accepted.status_code == 202
    items = poll(lambda: admin.get(accepted.json()["documentsUrl"]).json()["items"])
    files = httpx.get(live.url + items[0]["url"]).content
    with zipfile.ZipFile(io.BytesIO(files)) as archive:
        assert set(archive.namelist()) == {
            "quotation.pdf", "quotation.xlsx", "manifest.json", "withheld.json", "SHA256SUMS",
        }  # fmt: skip


def poll(look: Any) -> Any:
    deadline = time.monotonic() + 60
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def test_a_revision_supersedes_and_shows_what_changed(admin: httpx.Client) -> None:
    first = ordered(admin, **WAIT)
    more = json.loads(json.dumps(REQUEST))
    more["panels"][0]["breakers"][1]["quantity"] = 20
    path = f"/v1/estimate/{first['id']}/revisions"
    second = admin.post(path, json=more, headers=WAIT).json()
    assert (second["number"], second["revision"]) == (first["number"], 2)
    assert second["revisedFrom"] == first["id"]
    old = admin.get(f"/v1/estimate/{first['id']}").json()
    assert (old["standing"], old["currentId"]) == ("superseded", second["id"])
    refused = admin.post(path, json=more)
    assert (refused.status_code, refused.json()["code"]) == (409, "QUOTE_SUPERSEDED")
    listed = admin.get(path).json()
    assert [item["standing"] for item in listed["items"]] == ["superseded", "current"]
    found = admin.get(f"/v1/estimate/{second['id']}/difference").json()
    Difference.model_validate(found)
    assert found["totals"]["total"] == {
        "before": first["totals"]["total"], "after": second["totals"]["total"],
    }  # fmt: skip
    line = next(one for one in found["panels"][0]["lines"] if one["quantity"]["before"] == 15)
    assert line["quantity"]["after"] == 20


def test_lists_are_pages(viewer: httpx.Client, done: dict[str, Any]) -> None:
    page = viewer.get("/v1/estimate", params={"q": done["number"], "filter": "status:completed"})
    found = EstimateList.model_validate(page.json())
    assert [str(item.id) for item in found.items] == [done["id"]]
    assert viewer.get("/v1/estimate", params={"filter": "colour:red"}).status_code == 422
    assert viewer.get("/v1/estimate", params={"pages": 1}).status_code == 422
    both = viewer.get("/v1/estimate?filter=status:failed&filter=status:completed")
    assert both.json()["total"] == 0


def test_validate_reads_a_schedule(viewer: httpx.Client, examples: Path) -> None:
    for path in sorted(examples.glob("0*")):
        response = viewer.post("/v1/validate", files={"file": (path.name, path.read_bytes())})
        assert response.status_code == 200, response.text
        assert response.json()["panels"]
    wrong = viewer.post("/v1/validate", files={"file": ("x.xlsx", b"PK\x03\x04 not a workbook")})
    assert wrong.json()["valid"] is False


def test_roles_are_kept_apart(viewer: httpx.Client, done: dict[str, Any]) -> None:
    assert viewer.post("/v1/estimate", json=REQUEST).status_code == 403
    assert viewer.get(done["evidenceUrl"]).status_code == 403
    assert viewer.get(f"/v1/estimate/{uuid4()}").status_code == 404


def test_another_organisation_sees_nothing(live: Live, done: dict[str, Any]) -> None:
    stranger = Principal(uuid4(), uuid4(), "admin")
    token = mint_token(installation_secret(live.home, "tokens"), stranger, 60)
    with httpx.Client(base_url=live.url, headers={"authorization": f"Bearer {token}"}) as client:
        for path in (
            f"/v1/estimate/{done['id']}",
            f"/v1/estimate/{done['id']}/evidence",
            f"/v1/estimate/{done['id']}/revisions",
            f"{STREAM}?estimateId={done['id']}",
            f"/v1/documents?estimateId={done['id']}",
        ):
            assert client.get(path).status_code == 404, path
        assert client.post(f"/v1/estimate/{done['id']}/revisions", json=REQUEST).status_code == 404
        wish = {"estimateId": done["id"], "kinds": ["pdf"]}
        assert client.post("/v1/documents/export", json=wish).status_code == 404
        assert client.get("/v1/estimate").json()["total"] == 0


def test_a_stream_goes_on_after_a_restart(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home, SSE_HEARTBEAT_SEC="1") as first, first.client() as client:
        made = ordered(client)
        seen = []
        for sent in follow(client, made["id"]):
            seen.append(sent)
            if len(seen) == 4:
                break
    with serving(home, SSE_HEARTBEAT_SEC="1") as second, second.client() as client:
        seen += follow(client, made["id"], seen[-1].id)
        whole = list(follow(client, made["id"]))
    stored = [sent.seq for sent in seen if sent.event != "HEARTBEAT"]
    assert [sent.seq for sent in seen] == sorted({sent.seq for sent in seen})
    assert stored == [sent.seq for sent in whole]
    assert seen[-1].event == "DONE"


def test_metrics_tell_of_requests_and_the_queue(live: Live, done: dict[str, Any]) -> None:
    assert done
    text = httpx.get(live.url + "/metrics").text
    assert 'kis_http_requests_total{method="POST",route="/v1/estimate",status="201"}' in text
    assert 'kis_estimates_finished_total{status="completed"}' in text
    assert "kis_queue_jobs" in text
    assert 'kis_storage_operation_seconds_count{operation="put",outcome="ok"}' in text
