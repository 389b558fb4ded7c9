import asyncio
import json
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kis_estimator.web.forms import UPLOAD_LIMIT
from kis_estimator.web.limits import MAX_DEPTH, depth

from .conftest import MakeWeb, Web, bearer

ITEM = f"/v1/test/{UUID(int=5)}"
JSON = {"content-type": "application/json"}
MIB = 2**20


async def chunks(count: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * size


# ---------------------------------------------------------------- size


def test_a_body_of_a_mebibyte(web: Web) -> None:
    body = b'"' + b"x" * (MIB - 2) + b'"'
    assert web("POST", "/v1/raw", content=body, headers=JSON).json() == {"size": MIB}


@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
@pytest.mark.parametrize("path", [ITEM, "/v1/raw", "/nothing", "/"])
def test_413_by_what_the_header_says(web: Web, path: str, kind: str) -> None:
    headers = bearer("estimator") | {"content-type": kind}
    answer = web("POST", path, content=b" " * (MIB + 1), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")
    assert "1MiB" in answer.json()["message"]
    assert answer.json()["traceId"] == answer.headers["x-trace-id"]
    assert answer.headers.get_list("content-type") == ["application/json"]


@pytest.mark.parametrize("path", [ITEM, "/v1/raw"])
def test_413_by_what_arrives(web: Web, path: str) -> None:
    answer = web("POST", path, content=chunks(17, 2**16), headers=bearer("estimator") | JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")


def test_a_header_that_lies_does_not_help(web: Web) -> None:
    headers = bearer("estimator") | JSON | {"content-length": "10"}
    answer = web("POST", ITEM, content=chunks(17, 2**16), headers=headers)
    assert answer.status_code == 413


def test_uploads_may_be_larger(web: Web) -> None:
    size = 20 * MIB
    answer = web("POST", "/v1/upload", files={"file": b" " * size}, headers=bearer())
    assert answer.json() == {"size": size}


def test_413_of_an_upload(web: Web) -> None:
    answer = web("POST", "/v1/upload", files={"file": b" " * UPLOAD_LIMIT}, headers=bearer())
    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")
    assert "20.0625MiB" in answer.json()["message"]


# ---------------------------------------------------------------- depth


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def test_depth_that_is_allowed(web: Web) -> None:
    body = b'{"name": "x", "anything": ' + nested(MAX_DEPTH - 1) + b"}"
    assert web("POST", ITEM, content=body, headers=bearer("estimator") | JSON).status_code == 200


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 100_000])
@pytest.mark.parametrize("path", [ITEM, "/v1/raw"])
def test_400_of_depth(web: Web, path: str, levels: int) -> None:
    answer = web("POST", path, content=nested(levels), headers=bearer("estimator") | JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "JSON_TOO_DEEP")


def test_brackets_of_another_encoding_do_not_hide(web: Web) -> None:
    body = ('{"name": "x", "anything": ' + "[" * 80 + "]" * 80 + "}").encode("utf-16-le")
    answer = web("POST", ITEM, content=body, headers=bearer("estimator") | JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "JSON_ENCODING")


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


TEXTS = st.text('[]{}"\\ x한', max_size=6)
VALUES = st.recursive(
    TEXTS | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
)


@given(VALUES, st.booleans())
def test_depth_is_that_of_the_parsed_value(value: object, ascii_only: bool) -> None:  # noqa: FBT001 - drawn
    assert depth(json.dumps(value, ensure_ascii=ascii_only).encode()) == depth_of(value)


@pytest.mark.parametrize("body", [b'"' + b'\\"' * 500_000, b'"' * 500_001, b"[]" * 500_000])
def test_depth_of_a_hostile_text_takes_one_pass(body: bytes) -> None:
    assert depth(body) <= 1


# ---------------------------------------------------------------- time


def test_503_of_a_request_that_takes_too_long(make_web: MakeWeb) -> None:
    answer = make_web(timeout_sec=0.05)("GET", "/v1/slow")
    assert (answer.status_code, answer.json()["code"]) == (503, "REQUEST_TIMEOUT")
    assert "0.05" in answer.json()["message"]


def test_503_of_a_body_that_does_not_arrive(make_web: MakeWeb) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    answer = make_web(timeout_sec=0.05)("POST", ITEM, content=endless(), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (503, "REQUEST_TIMEOUT")


def test_an_answer_that_has_begun_may_take_its_time(make_web: MakeWeb) -> None:
    assert make_web(timeout_sec=0.15)("GET", "/v1/stream").text == "xxx"


def test_a_time_out_inside_is_no_time_out_of_the_request(web: Web) -> None:
    @web.app.get("/v1/inner")
    async def inner() -> None:
        raise TimeoutError

    assert web("GET", "/v1/inner").json()["code"] == "INTERNAL"


# ---------------------------------------------------------------- rate


def statuses(web: Web, count: int, path: str = ITEM, **fields: object) -> list[int]:
    async def run() -> list[int]:
        return [(await web.client.get(path, **fields)).status_code for _ in range(count)]  # type: ignore[arg-type]

    return asyncio.run(run())


def test_429_says_when_to_come_back(make_web: MakeWeb) -> None:
    web = make_web(rate_limit_rps=0.02)
    first, second = (web("GET", ITEM, headers=bearer()) for _ in range(2))
    assert first.status_code == 200
    assert (second.status_code, second.json()["code"]) == (429, "RATE_LIMITED")
    assert 1 <= int(second.headers["retry-after"]) <= 50
    assert second.headers["retry-after"] in second.json()["hint"]


def test_the_limit_is_each_callers_own(make_web: MakeWeb) -> None:
    web = make_web(rate_limit_rps=0.02)
    assert statuses(web, 2, headers=bearer()) == [200, 429]
    assert statuses(web, 2, headers=bearer(user=UUID(int=3))) == [200, 429]
    assert statuses(web, 2) == [401, 429]


def test_made_up_tokens_count_for_the_address(make_web: MakeWeb) -> None:
    web = make_web(rate_limit_rps=0.02)
    made_up = [{"authorization": f"Bearer a.b.{n}"} for n in range(3)]
    assert [web("GET", ITEM, headers=headers).status_code for headers in made_up] == [401, 429, 429]


def test_probes_are_not_counted(make_web: MakeWeb) -> None:
    web = make_web(rate_limit_rps=0.02)
    for path in ("/healthz", "/readyz", "/metrics"):
        assert statuses(web, 3, path) == [200, 200, 200]
    assert statuses(web, 2, "/") == [200, 429]


def test_several_a_second(make_web: MakeWeb) -> None:
    found = statuses(make_web(rate_limit_rps=3), 5, headers=bearer())
    assert found[:3] == [200, 200, 200]


def test_no_limit(make_web: MakeWeb) -> None:
    assert set(statuses(make_web(rate_limit_rps=None), 30, headers=bearer())) == {200}
