import asyncio
import json
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import structlog

from kis_estimator.errors import message_table
from kis_estimator.web.errors import STATUS, caller_locale

from .conftest import MakeWeb, Web, bearer

ITEM = f"/v1/test/{UUID(int=5)}"
ENGLISH = {"accept-language": "en"}
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        ("", "ko-KR"),
        ("*", "ko-KR"),
        ("en", "en-US"),
        ("en-GB, fr", "en-US"),
        ("ko, en", "ko-KR"),
        ("EN-us;q=0.9, ko;q=0.8", "en-US"),
        ("en;q=0, ko", "ko-KR"),
        ("en;q=x,,;;=", "ko-KR"),
    ],
)
def test_language_of_the_caller(header: str, locale: str) -> None:
    assert caller_locale({"headers": [(b"accept-language", header.encode())]}) == locale


def test_every_code_with_a_status_has_texts() -> None:
    assert set(STATUS) - set(message_table()) == set()


def test_shape_in_the_language_of_the_caller(web: Web) -> None:
    korean, english = web("GET", "/nothing"), web("GET", "/nothing", headers=ENGLISH)
    assert korean.status_code == 404
    body = korean.json()
    assert set(body) == {"code", "message", "hint", "traceId", "meta"}
    assert body["code"] == "NOT_FOUND"
    assert body["message"] == message_table()["NOT_FOUND"]["ko"]
    assert body["traceId"] == korean.headers["x-trace-id"]
    assert korean.headers["content-language"] == "ko-KR"
    assert korean.headers["vary"] == "Accept-Language"
    assert english.json()["message"] == message_table()["NOT_FOUND"]["en"]
    assert english.json()["meta"] == body["meta"]
    assert english.json()["traceId"] != body["traceId"]


def test_dedup_key_tells_code_route_and_organisation_apart(web: Web) -> None:
    answers = [
        web("GET", ITEM),
        web("GET", f"/v1/test/{UUID(int=6)}"),
        web("POST", "/v1/fail", json=["TOO_MANY_ROWS"]),
        web("POST", "/v1/fail", json=["AUTH_REQUIRED"]),
        web("POST", "/v1/fail", json=["AUTH_REQUIRED"], headers=bearer()),
    ]
    keys = [answer.json()["meta"]["dedupKey"] for answer in answers]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4


def test_several_notices(web: Web) -> None:
    answer = web("POST", "/v1/fail", json=["FILE_EMPTY", "ZIP_BOMB"])
    body = answer.json()
    assert (answer.status_code, body["code"]) == (422, "FILE_EMPTY")
    assert [(d["code"], d["sheet"], d["row"]) for d in body["details"]] == [
        ("FILE_EMPTY", "내역", 1),
        ("ZIP_BOMB", "내역", 2),
    ]
    assert body["details"][1]["hint"] == message_table()["ZIP_BOMB"]["hint_ko"]


def test_422_names_the_fields(web: Web) -> None:
    body = {"sizes": [{"wide": "x"}], "colour": "red"}
    answer = web("POST", ITEM, json=body, headers=bearer("estimator") | ENGLISH)
    assert answer.status_code == 422
    found = {(d["code"], d["text"]) for d in answer.json()["details"]}
    assert found == {
        ("FIELD_MISSING", "name"),
        ("FIELD_TYPE", "sizes[0].wide"),
        ("FIELD_UNKNOWN", "colour"),
    }
    assert "red" not in answer.text


def test_422_of_path_and_query(web: Web) -> None:
    answer = web("GET", "/v1/test/no-uuid?size=x", headers=bearer())
    assert answer.status_code == 422
    assert [d["text"] for d in answer.json()["details"]] == ["item_id", "size"]


@pytest.mark.parametrize("name", ["\ud800", "\x1b[31m", "n" * 5000, "이름"])
def test_422_of_a_strange_name(web: Web, name: str) -> None:
    content = json.dumps({"name": "x", name: 1})
    answer = web("POST", ITEM, content=content, headers=bearer("estimator") | JSON)
    assert answer.status_code == 422
    assert answer.json()["code"] == ("FIELD_TYPE" if name == "\ud800" else "FIELD_UNKNOWN")
    assert answer.json()["details"][0]["text"].isprintable()
    assert len(answer.text) < 2000


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b'{"name": ', "JSON_SYNTAX"),
        (b"{'name': 1}", "JSON_SYNTAX"),
        (b'{"name": "\xff"}', "BODY_UNREADABLE"),
        ('{"name": "x"}'.encode("utf-16"), "JSON_ENCODING"),
        (b'{"name": ' + b"1" * 5000 + b"}", "BODY_UNREADABLE"),
    ],
)
def test_400_of_broken_json(web: Web, content: bytes, code: str) -> None:
    answer = web("POST", ITEM, content=content, headers=bearer("estimator") | JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_400_of_broken_json_says_where(web: Web) -> None:
    answer = web(
        "POST", ITEM, content=b'{"name":\n 1,}', headers=bearer("estimator") | JSON | ENGLISH
    )
    assert "line 2, column 4" in answer.json()["message"]


def test_405_names_every_method_of_the_path(web: Web) -> None:
    answer = web("PUT", ITEM)
    assert answer.status_code == 405
    assert answer.json()["code"] == "METHOD_NOT_ALLOWED"
    assert answer.headers["allow"] == "GET, POST, DELETE"


@pytest.mark.parametrize(
    ("path", "headers", "content"),
    [
        (ITEM, {"content-type": "text/plain"}, b"{}"),
        (ITEM, {"content-type": "multipart/form-data; boundary=x"}, b"--x--"),
        ("/v1/upload", JSON, b"{}"),
        ("/v1/upload", {"content-type": "text/csv"}, b"a,b"),
    ],
)
def test_415_names_what_is_taken(
    web: Web, path: str, headers: dict[str, str], content: bytes
) -> None:
    answer = web("POST", path, content=content, headers=bearer("estimator") | headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "MEDIA_TYPE")
    assert ("multipart/form-data" if path == "/v1/upload" else "application/json") in answer.text


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/vnd.kis+json"])
def test_json_by_other_names(web: Web, kind: str) -> None:
    headers = bearer("estimator") | {"content-type": kind}
    assert web("POST", ITEM, content=b'{"name": "x"}', headers=headers).json()["name"] == "x"


def test_500_tells_nothing_and_logs_all(web: Web) -> None:
    with structlog.testing.capture_logs() as logs:
        answer = web("GET", "/v1/crash")
    assert answer.status_code == 500
    assert answer.json()["code"] == "INTERNAL"
    assert not any(word in answer.text for word in ("hunter2", "/srv", "select", "Runtime"))
    crash, request = logs
    assert crash["exc_info"]
    assert (request["status"], request["code"], request["log_level"]) == (500, "INTERNAL", "error")


def test_500_of_a_code_that_names_a_path(web: Web) -> None:
    with structlog.testing.capture_logs() as logs:
        answer = web("POST", "/v1/fail", json=["STORAGE_DAMAGED"])
    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL")
    assert "details" not in answer.json()
    assert logs[0]["code"] == "STORAGE_DAMAGED"


@pytest.mark.parametrize("code", ["DATABASE_UNAVAILABLE", "STORAGE_DENIED"])
def test_503_of_a_dependency(web: Web, code: str) -> None:
    answer = web("POST", "/v1/fail", json=[code])
    assert (answer.status_code, answer.json()["code"]) == (503, code)


def test_a_vanished_client_is_no_error(make_web: MakeWeb) -> None:
    web = make_web()
    sent = []

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/v1/raw", "query_string": b"",
        "headers": [(b"content-type", b"application/json")], "client": None,
    }  # fmt: skip
    with structlog.testing.capture_logs() as logs:
        asyncio.run(web.app(scope, receive, send))
    assert sent == []
    assert [entry["status"] for entry in logs] == [499]


def test_a_failure_in_the_middle_of_an_answer_is_not_hidden(web: Web) -> None:
    @web.app.get("/v1/half")
    async def half() -> object:
        async def lines() -> AsyncIterator[bytes]:
            yield b"x"
            raise OSError("disk")

        from fastapi.responses import StreamingResponse  # noqa: PLC0415 - this test alone

        return StreamingResponse(lines())

    with pytest.raises(OSError, match="disk"):
        web("GET", "/v1/half")
