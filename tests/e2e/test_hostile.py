"""Requests that no client sends by mistake. Whatever comes, the answer has the one shape."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.live import STREAM, Live
from tests.e2e.raw import BOUNDARY, Answer, form, head, part, post, send

FORM = f"multipart/form-data; boundary={BOUNDARY}"
JSON = "application/json"
ORDER, VALIDATE, VERIFY = "/v1/estimate", "/v1/validate", "/v1/evidence/verify"
ITEMS, IMPORT, EXPORT = "/v1/catalog/items", "/v1/catalog/import", "/v1/documents/export"
TEXT = "LP-1\n메인 MCCB 4P 75A\nELB 2P 20A 15개".encode()
MAIN = {"role": "main", "category": "MCCB", "poles": 4, "ratedCurrentA": 75}
BRANCH = {"role": "branch", "category": "ELB", "poles": 2, "ratedCurrentA": 20}
REQUEST: dict[str, Any] = {
    "customer": {"name": "한국전기"},
    "panels": [{"name": "LP-1", "breakers": [MAIN, BRANCH]}],
}
BODY = json.dumps(REQUEST).encode()
INTERNALS = ("Traceback", "psycopg", "site-packages", "/src/", "select ", "Exception", ".py")


@pytest.fixture(scope="module")
def token(live: Live) -> str:
    return live.token("admin")


def refused(answer: Answer, status: int, code: str) -> None:
    """Check that an answer is a refusal, in the one shape and with nothing of the inside."""
    assert (answer.status, answer.json["code"]) == (status, code), answer.body
    assert set(answer.json) <= {"code", "message", "hint", "traceId", "meta", "details"}
    assert answer.json["traceId"] == answer.headers["x-trace-id"]
    assert answer.headers["content-type"] == JSON
    text = answer.body.decode()
    assert not [word for word in INTERNALS if word in text]


def raw_part(lines: str, content: bytes = b"x") -> bytes:
    return f"--{BOUNDARY}\r\n{lines}\r\n\r\n".encode() + content + b"\r\n"


FILE = '; filename="a.csv"'
DISPOSITION = 'content-disposition: form-data; name="text"'
FORMS: dict[str, tuple[str, bytes, int, str]] = {
    "parts": (FORM, form(*[part(f"f{n}", b"x") for n in range(1000)]), 400, "BODY_UNREADABLE"),
    "files": (FORM, form(*[part("file", b"x", FILE)] * 1000), 400, "BODY_UNREADABLE"),
    "twice": (FORM, form(part("text", b"x"), part("text", b"y")), 422, "FIELD_TWICE"),
    "both": (FORM, form(part("text", b"x"), part("file", b"y", FILE)), 422, "SCHEDULE_MISSING"),
    "no boundary": ("multipart/form-data", form(part("text", b"x")), 400, "BODY_UNREADABLE"),
    "other boundary": (FORM + "x", form(part("text", b"x")), 400, "BODY_UNREADABLE"),
    "long boundary": (FORM + "x" * 9000, form(part("text", b"x")), 400, "BODY_UNREADABLE"),
    "unended": (FORM, part("text", b"x"), 422, "SCHEDULE_MISSING"),
    "no disposition": (FORM, form(raw_part("x-a: b")), 400, "BODY_UNREADABLE"),
    "no name": (FORM, form(raw_part("content-disposition: form-data")), 400, "BODY_UNREADABLE"),
    "long head": (FORM, form(part("file", b"x", f'; filename="{"a" * 10**5}"')), 400,
                  "BODY_UNREADABLE"),
    "many heads": (FORM, form(raw_part(DISPOSITION + "\r\nx-a: b" * 1000)), 400,
                   "BODY_UNREADABLE"),
    "no UTF-8": (FORM, form(part("text", b"\xb8\xde\xc0\xce 75A")), 422, "FIELD_TEXT"),
    "field of NUL": (FORM, form(part("a\0b", b"x")), 422, "FIELD_UNKNOWN"),
    "other charset": (FORM + "; charset=utf-16", form(part("text", TEXT)), 422, "FIELD_UNKNOWN"),
    "urlencoded": ("application/x-www-form-urlencoded", b"text=x", 415, "MEDIA_TYPE"),
    "json": (JSON, b'{"text": "x"}', 415, "MEDIA_TYPE"),
    "nothing": (FORM, form(), 422, "SCHEDULE_MISSING"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_a_hostile_form(live: Live, token: str, name: str) -> None:
    kind, body, status, code = FORMS[name]
    refused(post(live.url, VALIDATE, token, kind, body), status, code)


def test_a_form_in_an_unknown_charset_is_read_as_what_it_is(live: Live, token: str) -> None:
    answer = post(live.url, VALIDATE, token, FORM + "; charset=x-none", form(part("text", TEXT)))
    assert (answer.status, answer.json["valid"]) == (200, True)


@pytest.mark.parametrize("name", ["a\0b.txt", "../../../etc/passwd", "x" * 600, "\x1b[31m.txt"])
def test_a_hostile_file_name_is_a_name_alone(live: Live, token: str, name: str) -> None:
    body = form(part("file", TEXT, f'; filename="{name}"'), part("customer", b"x"))
    assert post(live.url, ORDER, token, FORM, body).status == 201
    broken = body.replace(name.encode(), b"\xed\xa0\x80.txt")
    assert post(live.url, ORDER, token, FORM, broken).status == 201


@pytest.mark.parametrize("field", ["customer", "project"])
@pytest.mark.parametrize("value", [b"a\0b", b"\xff\xfe", b"x" * 201, "\u202e".encode()])
def test_a_hostile_text_of_a_form(live: Live, token: str, field: str, value: bytes) -> None:
    body = form(part("text", TEXT), part(field, value))
    refused(post(live.url, ORDER, token, FORM, body), 422, "FIELD_TEXT")


DEEP = b"[" * 100_000 + b"]" * 100_000
JSONS: dict[str, tuple[bytes, int, str]] = {
    "no UTF-8": (b'{"customer": "\xff"}', 400, "JSON_ENCODING"),
    "UTF-16": (BODY.decode().encode("utf-16"), 400, "JSON_ENCODING"),
    "NUL": (json.dumps({**REQUEST, "project": "a\0b"}).encode(), 422, "FIELD_PATTERN"),
    "surrogate": (json.dumps({**REQUEST, "project": "\ud800"}).encode(), 422, "FIELD_TYPE"),
    "key": (json.dumps({**REQUEST, "\ud800": 1}).encode(), 422, "FIELD_TYPE"),
    "long number": (BODY.replace(b"75", b"9" * 5000), 400, "JSON_NUMBER_TOO_LONG"),
    "infinite": (BODY.replace(b"75", b"1e999"), 422, "FIELD_TYPE"),
    "NaN": (BODY.replace(b"75", b"NaN"), 400, "JSON_NOT_A_NUMBER"),
    "key twice": (b'{"project": 1, "project": 2}', 400, "JSON_DUPLICATE_KEY"),
    "deep": (DEEP, 400, "JSON_TOO_DEEP"),
    "empty": (b"", 422, "FILE_EMPTY"),
}


@pytest.mark.parametrize("name", JSONS)
def test_hostile_json(live: Live, token: str, name: str) -> None:
    body, status, code = JSONS[name]
    refused(post(live.url, ORDER, token, JSON, body), status, code)


def test_deep_json_in_a_form(live: Live, token: str) -> None:
    body = form(part("file", DEEP, '; filename="a.json"'))
    refused(post(live.url, ORDER, token, FORM, body), 400, "JSON_TOO_DEEP")
    report = post(live.url, VALIDATE, token, FORM, body).json
    assert (report["valid"], report["errors"][0]["code"]) == (False, "JSON_TOO_DEEP")


@pytest.mark.parametrize("target", [ORDER, ITEMS, IMPORT, EXPORT, VALIDATE, VERIFY])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "x", None])
def test_415(live: Live, token: str, target: str, kind: str | None) -> None:
    named = {} if kind is None else {"content_type": kind}
    request = head("POST", target, token, content_length=2, **named) + b"{}"
    refused(send(live.url, request), 415, "MEDIA_TYPE")


def test_a_price_book_twice(live: Live, token: str) -> None:
    body = form(part("file", b"x", FILE), part("file", b"y", FILE))
    refused(post(live.url, IMPORT, token, FORM, body), 422, "FIELD_TWICE")


QUERIES = {
    f"{ORDER}?q=%00": (422, "SEARCH_TEXT"),
    f"{ORDER}?filter=customer:%00": (422, "FILTER_UNKNOWN"),
    f"{ORDER}?page=1&page=2": (422, "FIELD_TWICE"),
    f"{ORDER}?page={'9' * 5000}": (422, "FIELD_TYPE"),
    f"{ORDER}?page=%EF%BC%91": (422, "FIELD_TYPE"),
    f"{ORDER}?a%00b=1": (422, "FIELD_UNKNOWN"),
    "/v1/catalog?q=a&q=b": (422, "FIELD_TWICE"),
    "/v1/catalog?q=%00": (422, "SEARCH_TEXT"),
    "/v1/documents?estimateId=%ff": (422, "FIELD_TYPE"),
    "//v1/estimate": (404, "NOT_FOUND"),
    "/static/..%2f..%2fapp.py": (404, "NOT_FOUND"),
    "/static/%00": (404, "NOT_FOUND"),
}


@pytest.mark.parametrize("target", QUERIES)
def test_a_hostile_query(live: Live, token: str, target: str) -> None:
    status, code = QUERIES[target]
    refused(send(live.url, head("GET", target, token)), status, code)


@pytest.mark.parametrize("text", ["%ff%fe", "%ed%a0%80", "%25", "%5c%27%3b--", "%"])
def test_a_search_for_anything_is_a_search(live: Live, token: str, text: str) -> None:
    for target in (f"{ORDER}?q={text}", f"/v1/catalog?q={text}"):
        assert send(live.url, head("GET", target, token)).status == 200


@pytest.mark.parametrize(
    "key", ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/x", "a%00b", "%ff", "%5c..%5cx"]
)
def test_no_path_leads_out_of_the_files(live: Live, key: str) -> None:
    target = f"/v1/files/{key}?exp=9999999999&sig={'0' * 64}"
    refused(send(live.url, head("GET", target)), 403, "LINK_INVALID")


@pytest.mark.parametrize("sig", ["%ff", "%ed%a0%80", "%00", ""])
def test_a_hostile_signature(live: Live, sig: str) -> None:
    target = f"/v1/files/a?exp=9999999999&name=%00&sig={sig}"
    refused(send(live.url, head("GET", target)), 403, "LINK_INVALID")


@pytest.mark.parametrize("value", ["bytes=0-1", "bytes=a-b", "bytes=99999-", "x"])
@pytest.mark.parametrize("target", ["/healthz", "/static/page.css"])
def test_a_range_is_not_asked_for(live: Live, target: str, value: str) -> None:
    whole = send(live.url, head("GET", target, None, range=value))
    assert whole.status == 200
    assert len(whole.body) == int(whole.headers["content-length"])


@pytest.mark.parametrize("target", [ORDER, "/healthz", STREAM])
def test_methods_and_other_origins(live: Live, token: str, target: str) -> None:
    other = {"origin": "https://other.test", "access_control_request_method": "POST"}
    refused(send(live.url, head("OPTIONS", target, None, **other), "OPTIONS"), 405,
            "METHOD_NOT_ALLOWED")  # fmt: skip
    answer = send(live.url, head("HEAD", target, token), "HEAD")
    assert (answer.status, answer.body) == (405, b"")
    assert answer.headers["x-trace-id"]
    assert "GET" in answer.headers["allow"]
    asked = send(live.url, head("GET", "/healthz", None, **other))
    assert not [name for name in asked.headers if name.startswith("access-control")]


@pytest.mark.parametrize("prefer", ["wait=99999999", "wait=-1", "wait=0", "한글", "wait=1e9", ""])
def test_a_preference_that_is_none_is_not_waited_for(live: Live, token: str, prefer: str) -> None:
    answer = post(live.url, ORDER, token, JSON, BODY, prefer=prefer)
    assert (answer.status, answer.json["status"]) == (201, "pending")


KEYS = {
    "a b": "FIELD_PATTERN",
    "키": "FIELD_PATTERN",
    "a" * 256: "FIELD_TOO_LONG",
    "": "FIELD_EMPTY",
}


@pytest.mark.parametrize("key", KEYS)
def test_a_hostile_key(live: Live, token: str, key: str) -> None:
    answer = post(live.url, ORDER, token, JSON, BODY, idempotency_key=key)
    refused(answer, 422, KEYS[key])


@pytest.mark.parametrize("sent", ["한글", "a" * 9000, "a.b.c", "", "null"])
def test_a_hostile_token(live: Live, sent: str) -> None:
    answer = send(live.url, head("GET", ORDER, sent))
    refused(answer, 401, "TOKEN_INVALID" if sent else "AUTH_REQUIRED")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_length_that_lies(live: Live, token: str) -> None:
    short = post(live.url, ORDER, token, JSON, BODY, content_length=5)
    refused(short, 400, "JSON_SYNTAX")
    refused(post(live.url, ORDER, token, JSON, b"{}", content_length=10**12), 413, "BODY_TOO_LARGE")


@pytest.mark.parametrize("name", ["file", "text"])
@pytest.mark.parametrize("target", [VALIDATE, ORDER])
def test_21_mebibytes(live: Live, token: str, target: str, name: str) -> None:
    content = b"x" * (21 << 20)
    body = form(part(name, content, FILE if name == "file" else ""))
    refused(post(live.url, target, token, FORM, body), 413, "BODY_TOO_LARGE")

    def chunks() -> Iterator[bytes]:
        yield head("POST", target, token, content_type=FORM, transfer_encoding="chunked")
        for start in range(0, len(body), 1 << 20):
            piece = body[start : start + (1 << 20)]
            yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
        yield b"0\r\n\r\n"

    refused(send(live.url, chunks()), 413, "BODY_TOO_LARGE")


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """A zip of 600 kB that holds 600 MB."""
    data = io.BytesIO()
    with (
        zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("estimate.json", "w") as file,
    ):
        for _ in range(600):
            file.write(b" " * 2**20)
    return data.getvalue()


def test_a_zip_bomb(live: Live, token: str, bomb: bytes) -> None:
    body = form(part("file", bomb, '; filename="a.xlsx"'))
    verified = post(live.url, VERIFY, token, FORM, body).json
    assert verified["ok"] is False
    assert "PACK_BOMB" in {verdict.get("code") for verdict in verified["verdicts"]}
    checked = post(live.url, VALIDATE, token, FORM, body).json
    assert (checked["valid"], checked["errors"][0]["code"]) == (False, "ZIP_BOMB")
    for target in (ORDER, IMPORT):
        refused(post(live.url, target, token, FORM, body), 422, "ZIP_BOMB")


def test_a_pack_that_is_none(live: Live, token: str) -> None:
    answer = post(live.url, VERIFY, token, FORM, form(part("file", b"PK\x03\x04", FILE)))
    assert answer.status in {200, 422}
    assert answer.json.get("ok") is not True
