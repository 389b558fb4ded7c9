"""The contract: the committed file is what the code says, and the running service keeps to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped] # has none
from openapi_spec_validator import validate
from tests.e2e.live import STREAM, Live, follow, kis
from typer.testing import CliRunner

from kis_estimator import __version__
from kis_estimator.cli import app
from kis_estimator.web.errors import STATUS_NAMES, response_name
from kis_estimator.web.stream_schemas import EVENTS, STREAM_EVENT

JSON = "application/json"
PATHS = {
    "/healthz": {"get"},
    "/readyz": {"get"},
    "/openapi": {"get"},
    "/openapi.json": {"get"},
    "/metrics": {"get"},
    "/v1/estimate": {"post", "get"},
    "/v1/estimate/{estimate_id}": {"get"},
    "/v1/estimate/{estimate_id}/revisions": {"post", "get"},
    "/v1/estimate/{estimate_id}/difference": {"get"},
    "/v1/estimate/{estimate_id}/evidence": {"get"},
    "/v1/estimate/stream": {"get"},
    "/v1/validate": {"post"},
    "/v1/documents": {"get"},
    "/v1/documents/export": {"post"},
    "/v1/files/{key}": {"get"},
    "/v1/catalog": {"get"},
    "/v1/catalog/items": {"post"},
    "/v1/catalog/import": {"post"},
    "/v1/catalog/export": {"get"},
    "/v1/catalog/versions": {"get"},
    "/v1/catalog/versions/{number}/restore": {"post"},
    "/v1/evidence/verify": {"post"},
}
PUBLIC = {"healthz", "readyz", "metrics", "openapi_document", "openapi_json", "download_file"}


@pytest.fixture(scope="module")
def text(root: Path) -> bytes:
    return (root / "openapi.yaml").read_bytes()


@pytest.fixture(scope="module")
def contract(text: bytes) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def operations(contract: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in contract["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def at(contract: Any, node: dict[str, Any]) -> Any:
    """Return what a reference leads to."""
    while "$ref" in node:
        found = contract
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def problems_of(contract: Mapping[str, Any], schema: Mapping[str, Any], value: object) -> list[str]:
    whole = {**schema, "components": contract["components"]}
    checker = Draft202012Validator(whole, format_checker=FormatChecker())
    return [f"{error.json_path}: {error.message}" for error in checker.iter_errors(value)]


def answer_schema(contract: Mapping[str, Any], operation_id: str, status: int) -> dict[str, Any]:
    operation = next(o for _, _, o in operations(contract) if o["operationId"] == operation_id)
    response = at(contract, operation["responses"][str(status)])
    schema: dict[str, Any] = response["content"][JSON]["schema"]
    return schema


def keeps(contract: Mapping[str, Any], operation_id: str, answer: httpx.Response) -> Any:
    """Return the JSON of an answer that is as the contract describes it."""
    schema = answer_schema(contract, operation_id, answer.status_code)
    assert problems_of(contract, schema, answer.json()) == []
    return answer.json()


# ---------------------------------------------------------------- the file


def test_the_committed_contract_is_what_the_code_says(text: bytes) -> None:
    made = CliRunner().invoke(app, ["openapi"]).stdout_bytes
    assert text == made, "openapi.yaml is out of date: script/kis openapi > openapi.yaml"


def test_version(contract: dict[str, Any]) -> None:
    assert contract["openapi"].startswith("3.1.")
    assert contract["info"]["version"] == __version__
    validate(contract)


def test_required_paths(contract: dict[str, Any]) -> None:
    assert {path: set(methods) for path, methods in contract["paths"].items()} == PATHS


def test_every_operation_is_described(contract: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in contract["tags"] if tag["description"]}
    names = []
    for method, path, operation in operations(contract):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["description"], where
        assert set(operation["tags"]) <= tags, where
        names.append(operation["operationId"])
        assert operation["operationId"].isidentifier(), where
        public = operation["operationId"] in PUBLIC
        assert operation.get("security") == (None if public else [{"bearer": []}]), where
        for status, response in operation["responses"].items():
            assert "X-Trace-Id" in at(contract, response)["headers"], (where, status)
    assert len(names) == len(set(names))
    assert all(not server["url"].startswith("http") for server in contract["servers"])
    assert "security" not in contract
    assert set(contract["components"]["schemas"]) - references(contract) == set()


def references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"].rpartition("/")[2]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


def test_error_schema(contract: dict[str, Any]) -> None:
    shared = contract["components"]["responses"]
    assert set(shared) == {response_name(status) for status in STATUS_NAMES}
    for name, response in shared.items():
        content = response["content"][JSON]
        assert content["schema"] == {"$ref": "#/components/schemas/Error"}
        assert set(content["examples"]) == {"ko", "en"}, name
    for method, path, operation in operations(contract):
        for status, response in operation["responses"].items():
            if int(status) >= 400 and "Readiness" not in str(response):
                expected = f"#/components/responses/{response_name(int(status))}"
                assert response["$ref"] == expected, (method, path, status)
        assert "500" in operation["responses"], (method, path)
        if "security" in operation:
            assert {"401", "403", "429", "503"} <= set(operation["responses"]), (method, path)


def test_examples_fit_their_schemas(contract: dict[str, Any]) -> None:
    bare = []
    for method, path, operation in operations(contract):
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        bodies += [at(contract, response) for response in operation["responses"].values()]
        for body in bodies:
            for kind, content in body.get("content", {}).items():
                examples = content.get("examples", {})
                if kind == JSON and not examples and "$ref" in content["schema"]:
                    bare.append((method, path))
                for name, example in examples.items():
                    if kind == "text/event-stream":
                        check_stream(contract, example["value"])
                        continue
                    found = problems_of(contract, content["schema"], example["value"])
                    assert found == [], (method, path, kind, name)
    assert bare == []


def check_stream(contract: Mapping[str, Any], text: str) -> None:
    blocks = [block for block in text.strip().split("\n\n") if block]
    messages = [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]
    assert messages
    for message in messages:
        check_message(contract, message)


def check_message(contract: Mapping[str, Any], message: Mapping[str, str]) -> None:
    schema = contract["components"]["schemas"][STREAM_EVENT]
    assert problems_of(contract, schema, message) == []
    branches = {one["properties"]["event"]["const"]: one for one in schema["oneOf"]}
    assert set(branches) == set(EVENTS)
    content = branches[message["event"]]["properties"]["data"]["contentSchema"]
    assert problems_of(contract, content, json.loads(message["data"])) == []


# ---------------------------------------------------------------- the service


def order(contract: Mapping[str, Any]) -> dict[str, Any]:
    body = contract["paths"]["/v1/estimate"]["post"]["requestBody"]
    value: dict[str, Any] = body["content"][JSON]["examples"]["panel"]["value"]
    return value


@pytest.fixture(scope="module")
def done(admin: httpx.Client, contract: dict[str, Any]) -> dict[str, Any]:
    """The completed estimate of the contract's own example."""
    answer = admin.post("/v1/estimate", json=order(contract), headers={"prefer": "wait=50"})
    made: dict[str, Any] = keeps(contract, "create_estimate", answer)
    assert made["status"] == "completed"
    return made


def test_the_hash_of_the_contract_is_one(live: Live, text: bytes) -> None:
    sha256 = hashlib.sha256(text).hexdigest()
    assert kis(live.home, "openapi", "--sha256").strip() == sha256
    health = httpx.get(f"{live.url}/healthz").json()
    assert (health["openapiSha256"], health["version"]) == (sha256, __version__)
    assert httpx.get(f"{live.url}/openapi").content == text


def test_estimate(
    admin: httpx.Client, viewer: httpx.Client, contract: dict[str, Any], done: dict[str, Any]
) -> None:
    path = f"/v1/estimate/{done['id']}"
    assert keeps(contract, "get_estimate", viewer.get(path)) == done
    listed = keeps(contract, "list_estimates", viewer.get("/v1/estimate", params={"size": 1}))
    assert set(listed) == {"items", "total", "page", "size"}
    other = {**order(contract), "project": "다른 공사"}
    revised = admin.post(f"{path}/revisions", json=other, headers={"prefer": "wait=50"})
    second = keeps(contract, "create_revision", revised)
    keeps(contract, "list_revisions", viewer.get(f"{path}/revisions"))
    keeps(contract, "compare_estimates", viewer.get(f"/v1/estimate/{second['id']}/difference"))


def test_stream(viewer: httpx.Client, contract: dict[str, Any], done: dict[str, Any]) -> None:
    sent = list(follow(viewer, done["id"]))
    for one in sent:
        data = json.dumps(one.data, ensure_ascii=False)
        check_message(contract, {"event": one.event, "id": one.id, "data": data})
    assert [one.seq for one in sent] == sorted({one.seq for one in sent})
    described = contract["paths"][STREAM]["get"]["responses"]["200"]["description"]
    assert all(event in described for event in EVENTS)


def test_validate(viewer: httpx.Client, contract: dict[str, Any]) -> None:
    body = contract["paths"]["/v1/validate"]["post"]["requestBody"]["content"]
    example = body["multipart/form-data"]["examples"]["text"]["value"]
    fields = {name: (None, value) for name, value in example.items()}
    found = keeps(contract, "validate_schedule", viewer.post("/v1/validate", files=fields))
    assert found["valid"]
    wrong = viewer.post("/v1/validate", files={"text": (None, "?")})
    assert not keeps(contract, "validate_schedule", wrong)["valid"]


def test_documents(
    admin: httpx.Client, contract: dict[str, Any], done: dict[str, Any], live: Live
) -> None:
    asked = admin.get("/v1/documents", params={"estimateId": done["id"]})
    listed = keeps(contract, "list_documents", asked)
    kinds = contract["paths"]["/v1/files/{key}"]["get"]["responses"]["200"]["content"]
    for item in listed["items"]:
        assert httpx.get(live.url + item["url"]).headers["content-type"] in kinds
    wish = {"estimateId": done["id"], "kinds": ["pdf"]}
    keeps(contract, "export_documents", admin.post("/v1/documents/export", json=wish))
    pack = admin.get(f"/v1/estimate/{done['id']}/evidence").content
    verified = admin.post("/v1/evidence/verify", files={"file": ("pack.zip", pack)})
    assert keeps(contract, "verify_pack", verified)["ok"]


def test_catalog(admin: httpx.Client, viewer: httpx.Client, contract: dict[str, Any]) -> None:
    found = keeps(contract, "list_items", viewer.get("/v1/catalog", params={"q": "ELB 2P"}))
    assert found["items"]
    keeps(contract, "list_versions", viewer.get("/v1/catalog/versions"))
    body = contract["paths"]["/v1/catalog/items"]["post"]["requestBody"]
    example = body["content"][JSON]["examples"]["price"]["value"]
    change = keeps(contract, "upsert_items", admin.post("/v1/catalog/items", json=example))
    assert change["outcome"] == "preview"


def test_health(live: Live, contract: dict[str, Any]) -> None:
    keeps(contract, "healthz", httpx.get(f"{live.url}/healthz"))
    keeps(contract, "readyz", httpx.get(f"{live.url}/readyz"))


def test_unknown_fields_are_refused_by_name(admin: httpx.Client, contract: dict[str, Any]) -> None:
    asked = 0
    for method, path, operation in operations(contract):
        kinds = operation.get("requestBody", {}).get("content", {})
        if JSON in kinds:
            asked += 1
            target = path.format(estimate_id=uuid4())
            answer = admin.request(method, target, json={"colour": "red"})
            error = keeps(contract, operation["operationId"], answer)
            said = [error, *error.get("details", [])]
            assert answer.status_code == 422, target
            named = [one for one in said if one["code"] == "FIELD_UNKNOWN"]
            assert any("colour" in one["message"] for one in named), target
        if "multipart/form-data" in kinds:
            target = path.format(estimate_id=uuid4())
            answer = admin.request(method, target, files={"colour": (None, "red")})
            assert answer.status_code == 422, target
            assert "colour" in answer.text, target
            keeps(contract, operation["operationId"], answer)
    assert asked == 4


def test_each_documented_failure_can_be_produced(
    live: Live,
    admin: httpx.Client,
    viewer: httpx.Client,
    contract: dict[str, Any],
    done: dict[str, Any],
) -> None:
    """Of a revision, which can fail in most ways; 429 and 503 have tests of their own."""
    path = f"/v1/estimate/{done['id']}/revisions"
    good, data = order(contract), {"content-type": JSON}
    stale = admin.get(path).json()["items"]
    key = {"idempotency-key": str(uuid4())}
    admin.post("/v1/estimate", json=good, headers=key)
    answers = {
        400: admin.post(path, content=b"{", headers=data),
        401: httpx.post(live.url + path, json=good),
        403: viewer.post(path, json=good),
        404: admin.post(f"/v1/estimate/{uuid4()}/revisions", json=good),
        409: admin.post(path, json={**good, "project": "x"}, headers=key),
        413: admin.post(path, content=b" " * (21 << 20), headers=data),
        415: admin.post(path, content=b"x", headers={"content-type": "text/plain"}),
        422: admin.post(path, json={}),
    }
    assert stale
    assert {status: answer.status_code for status, answer in answers.items()} == {
        status: status for status in answers
    }
    for answer in answers.values():
        error = keeps(contract, "create_revision", answer)
        assert error["traceId"] == answer.headers["x-trace-id"]
    operation = contract["paths"]["/v1/estimate/{estimate_id}/revisions"]["post"]
    documented = {int(status) for status in operation["responses"] if int(status) >= 400}
    assert documented - set(answers) == {429, 500, 503}
    refused = admin.delete(path)
    method_schema = contract["components"]["responses"][response_name(405)]["content"][JSON]
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST")
    assert problems_of(contract, method_schema["schema"], refused.json()) == []
