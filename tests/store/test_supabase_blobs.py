"""What only the bucket does: the server's errors, retries, keys, and the bucket itself."""

import logging
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import jwt
import pytest
from tests.store.blob_stores import BUCKET, JSON, SIZE_LIMIT, TYPES, SupabaseStore, code_of, key_of
from tests.store.storage_server import FOREVER, Reply, StorageServer, refusal, told

from kis_estimator.errors import KisError
from kis_estimator.store.supabase_blobs import SupabaseBlobs, Timeouts

KEY = key_of(b"data")


@pytest.fixture
def server() -> Iterator[StorageServer]:
    with StorageServer() as server:
        yield server


@pytest.fixture
def store(server: StorageServer) -> Iterator[SupabaseStore]:
    store = SupabaseStore(server)
    yield store
    store.blobs.close()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Wait for nothing; tell how long it would have been."""
    waits: list[float] = []
    monkeypatch.setattr("kis_estimator.store.supabase_blobs.time.sleep", waits.append)
    return waits


def reason_of(error: pytest.ExceptionInfo[KisError]) -> object:
    assert [notice.code for notice in error.value.notices] == ["STORAGE_UNAVAILABLE"]
    return error.value.notices[0].params["reason"]


# ---------------------------------------------------------------- the server's errors


@pytest.mark.parametrize("newer", [True, False])
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("NoSuchBucket", "STORAGE_BUCKET"),
        ("NoSuchKey", "STORAGE_MISSING"),
        ("EntityTooLarge", "STORAGE_TOO_LARGE"),
        ("InvalidMimeType", "STORAGE_TYPE"),
        ("AccessDenied", "STORAGE_DENIED"),
        ("InvalidJWT", "LINK_EXPIRED"),
        ("InvalidSignature", "LINK_INVALID"),
        ("InvalidKey", "STORAGE_KEY"),
        ("InvalidRequest", "STORAGE_UNAVAILABLE"),
    ],
)
def test_an_error_is_told_once_and_not_tried_again(
    store: SupabaseStore, name: str, code: str, *, newer: bool
) -> None:
    store.server.newer = newer
    store.server.fail(name)
    assert code_of(store.blobs.get, KEY) == code
    assert code_of(store.blobs.put, KEY, b"data", JSON) == code
    assert code_of(store.blobs.sign, KEY, 60, None) == code
    assert code_of(store.blobs.delete, [KEY]) == code
    assert len(store.server.requests) == 4


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (301, "STORAGE_UNAVAILABLE"),
        (400, "STORAGE_UNAVAILABLE"),
        (401, "STORAGE_DENIED"),
        (403, "STORAGE_DENIED"),
        (404, "STORAGE_UNAVAILABLE"),
        (409, "STORAGE_UNAVAILABLE"),
        (413, "STORAGE_TOO_LARGE"),
    ],
)
@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b'{"message": "x"}', b'{"statusCode": 7}'])
def test_a_gateway_is_no_storage(store: SupabaseStore, status: int, code: str, body: bytes) -> None:
    store.server.fail(Reply(status, body))
    assert code_of(store.blobs.get, KEY) == code
    assert code_of(store.blobs.put, KEY, b"data", JSON) == code
    assert len(store.server.requests) == 2


def test_the_address_of_another_site(server: StorageServer) -> None:
    blobs = SupabaseBlobs(f"{server.url}/other", server.service_key, BUCKET)
    with pytest.raises(KisError) as caught:
        blobs.get(KEY)
    assert reason_of(caught) == "HTTP 404"
    blobs.close()


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"signedURL": "//evil/x"}', b"7"])
def test_a_good_answer_has_to_make_sense(store: SupabaseStore, body: bytes) -> None:
    store.server.fail(Reply(200, body))
    assert code_of(store.blobs.sign, KEY, 60, None) == "STORAGE_UNAVAILABLE"
    if body != b"[]":
        assert code_of(store.blobs.delete, [KEY]) == "STORAGE_UNAVAILABLE"


def test_limits_of_the_bucket(store: SupabaseStore) -> None:
    big = bytes(SIZE_LIMIT + 1)
    assert code_of(store.blobs.put, key_of(big), big, JSON) == "STORAGE_TOO_LARGE"
    assert code_of(store.blobs.put, KEY, b"data", "text/html") == "STORAGE_TYPE"
    store.server.buckets.clear()
    assert code_of(store.blobs.put, KEY, b"data", JSON) == "STORAGE_BUCKET"
    assert code_of(store.blobs.get, KEY) == "STORAGE_BUCKET"
    assert not store.kept()


# ---------------------------------------------------------------- retries


@pytest.mark.parametrize(
    "fault",
    [
        "InternalError",
        "DatabaseConnectionLimit",  # says HTTP 400 and means 503
        "SlowDown",
        Reply(502, b"<html>"),
        Reply(544, b""),
        "drop",
    ],
)
def test_what_passes_is_tried_again(
    store: SupabaseStore, waits: list[float], fault: str | Reply
) -> None:
    def spoil() -> None:
        store.server.drop(2) if fault == "drop" else store.server.fail(fault, 2)

    spoil()
    store.blobs.put(KEY, b"data", JSON)
    spoil()
    assert store.blobs.get(KEY) == b"data"
    spoil()
    assert store.open(store.blobs.sign(KEY, 60, None)) == b"data"
    spoil()
    store.blobs.delete([KEY])
    assert not store.kept()
    assert len(waits) == 8
    assert all(0 <= wait <= 0.4 for wait in waits)


def test_waits_grow_with_chance_and_end(store: SupabaseStore, waits: list[float]) -> None:
    store.server.fail("InternalError")
    with pytest.raises(KisError) as caught:
        store.blobs.get(KEY)
    assert reason_of(caught) == "HTTP 500"
    assert len(store.server.requests) == 6
    assert all(0 <= wait <= 0.1 * 2**n for n, wait in enumerate(waits, 1))
    assert len(set(waits)) == len(waits) == 5


@pytest.mark.parametrize("dated", [True, False])
def test_retry_after_is_honoured(store: SupabaseStore, waits: list[float], *, dated: bool) -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    answer = refusal("SlowDown")
    answer.headers["retry-after"] = then if dated else "20"
    store.server.fail(answer, 1)
    assert code_of(store.blobs.get, KEY) == "STORAGE_MISSING"
    assert len(waits) == 1
    assert 10 < waits[0] <= 20.2


@pytest.mark.parametrize("retry_after", ["3600", "9" * 400])
def test_nobody_waits_longer_than_allowed(
    store: SupabaseStore, waits: list[float], retry_after: str
) -> None:
    answer = refusal("SlowDown")
    answer.headers["retry-after"] = retry_after
    store.server.fail(answer)
    assert code_of(store.blobs.get, KEY) == "STORAGE_UNAVAILABLE"
    assert len(store.server.requests) == 1
    assert not waits


def test_a_retry_after_that_says_nothing(store: SupabaseStore, waits: list[float]) -> None:
    answer = refusal("SlowDown")
    answer.headers["retry-after"] = "soon"
    store.server.fail(answer, 1)
    assert code_of(store.blobs.get, KEY) == "STORAGE_MISSING"
    assert len(waits) == 1


def test_half_an_answer_is_asked_for_again(store: SupabaseStore, waits: list[float]) -> None:
    store.blobs.put(KEY, b"data", JSON)
    store.server.truncate(1)
    assert store.blobs.get(KEY) == b"data"
    assert len(waits) == 1
    store.server.truncate()
    assert code_of(store.blobs.get, KEY) == "STORAGE_UNAVAILABLE"


def test_damage_on_the_way_is_noticed(store: SupabaseStore, waits: list[float]) -> None:
    store.blobs.put(KEY, b"data", JSON)
    store.server.damage(1)
    assert code_of(store.blobs.get, KEY) == "STORAGE_DAMAGED"
    assert not waits


def test_nobody_listens(waits: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    blobs = SupabaseBlobs(f"http://127.0.0.1:{port}", "sb_secret_x", BUCKET)
    with pytest.raises(KisError) as caught:
        blobs.put(KEY, b"data", JSON)
    assert reason_of(caught) == "ConnectError"
    assert len(waits) == 5
    blobs.close()


class _Endless(httpx.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        while True:
            time.sleep(0.01)
            yield b"x"


def test_an_answer_that_never_ends_is_left(server: StorageServer) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=_Endless()))
    hurried = Timeouts(connect_sec=1, read_sec=1, total_sec=0.05)
    blobs = SupabaseBlobs(
        server.url, server.service_key, BUCKET, timeouts=hurried, transport=transport
    )
    with pytest.raises(KisError) as caught:
        blobs.get(KEY)
    assert reason_of(caught) == "ReadTimeout"
    blobs.close()


def test_an_answer_that_cannot_be_read_is_not_asked_for_again(store: SupabaseStore) -> None:
    store.server.fail(Reply(200, b"no gzip", {"content-encoding": "gzip"}))
    with pytest.raises(KisError) as caught:
        store.blobs.get(KEY)
    assert reason_of(caught) == "DecodingError"
    assert len(store.server.requests) == 1


# ---------------------------------------------------------------- requests


def test_every_body_has_its_length_and_type(store: SupabaseStore) -> None:
    store.blobs.put(KEY, b"data", TYPES[1])
    store.blobs.put(key_of(b""), b"", JSON)
    store.blobs.sign(KEY, 60, None)
    store.blobs.delete([KEY])
    for asked in store.server.requests:
        assert asked.headers["content-length"] == str(len(asked.body))
        assert "transfer-encoding" not in asked.headers
    assert store.server.requests[0].headers["content-type"] == TYPES[1]
    assert store.server.requests[0].headers["x-upsert"] == "false"


def test_a_link_is_absolute_and_opens_without_a_key(store: SupabaseStore) -> None:
    store.blobs.put(KEY, b"data", JSON)
    link = store.blobs.sign(KEY, 60, "견적서 1.json")
    assert link.startswith(f"{store.server.url}/storage/v1/object/sign/{BUCKET}/{KEY}?token=")
    answer = httpx.get(link)
    name = "%EA%B2%AC%EC%A0%81%EC%84%9C%201.json"
    assert answer.content == b"data"
    assert answer.headers["content-disposition"].endswith(f"filename*=UTF-8''{name}")
    assert store.open(link) == b"data"
    assert not {"apikey", "authorization"} & set(store.server.requests[-1].headers)


def test_long_lists_are_deleted_in_pieces(store: SupabaseStore) -> None:
    keys = [key_of(str(number).encode()) for number in range(1201)]
    for key in keys:
        store.spoil(key, b"")
    store.blobs.delete(keys)
    assert not store.kept()
    assert len(store.server.requests) == 3


def test_a_legacy_key_is_a_bearer_too() -> None:
    legacy = jwt.encode({"role": "service_role"}, "0" * 32, "HS256")
    with StorageServer(legacy) as server:
        store = SupabaseStore(server)
        store.blobs.probe(30)
        asked = server.requests[0].headers
        assert (asked["apikey"], asked["authorization"]) == (legacy, f"Bearer {legacy}")
        store.blobs.close()


def test_a_new_key_is_never_a_bearer(store: SupabaseStore) -> None:
    store.blobs.probe(30)
    assert store.server.requests[0].headers["apikey"].startswith("sb_secret_")
    assert not any("authorization" in asked.headers for asked in store.server.requests)


def test_a_wrong_key_is_denied_and_nowhere_shown(
    server: StorageServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "sb_secret_" + "wrong" * 8
    blobs = SupabaseBlobs(server.url, wrong, BUCKET)
    assert code_of(blobs.get, KEY) == "STORAGE_DENIED"
    with pytest.raises(KisError) as caught:
        blobs.probe(30)
    assert reason_of(caught) == "STORAGE_DENIED"
    assert wrong not in f"{blobs!r} {vars(caught.value)} {caught.value!r} {caplog.text}"
    with pytest.raises(ValueError, match="secret key") as refused:
        SupabaseBlobs(server.url, f"{wrong}\n", BUCKET)
    assert wrong not in str(refused.value)
    blobs.close()


# ---------------------------------------------------------------- access rules and the probe


def test_what_access_rules_hide(store: SupabaseStore) -> None:
    store.blobs.put(KEY, b"data", JSON)
    hidden = SupabaseBlobs(store.server.url, store.server.anon_key, BUCKET)
    assert code_of(hidden.get, KEY) == "STORAGE_MISSING"
    assert code_of(hidden.put, KEY, b"data", JSON) == "STORAGE_DENIED"
    hidden.delete([KEY])
    assert store.blobs.get(KEY) == b"data"
    with pytest.raises(KisError) as caught:
        hidden.probe(30)
    assert reason_of(caught) == "STORAGE_DENIED"
    hidden.close()


def test_the_probe_sees_a_deletion_that_did_nothing(store: SupabaseStore) -> None:
    store.server.work(3)
    store.server.fail(told([]))
    with pytest.raises(KisError) as caught:
        store.blobs.probe(30)
    assert reason_of(caught) == "STORAGE_DENIED"


@pytest.mark.parametrize("step", range(4))
def test_the_probe_fails_with_each_of_its_steps(store: SupabaseStore, step: int) -> None:
    if step:
        store.server.work(step)
    store.server.fail("InvalidRequest", 1)
    with pytest.raises(KisError) as caught:
        store.blobs.probe(30)
    assert reason_of(caught) == "HTTP 400"
    assert len(store.kept()) == (step == 3)  # what fails before is cleared away
    store.blobs.probe(30)


# ---------------------------------------------------------------- the bucket


def test_a_bucket_is_made_private_and_only_once(store: SupabaseStore) -> None:
    made = store.server.buckets[BUCKET]
    assert (made["public"], made["file_size_limit"]) == (False, SIZE_LIMIT)
    store.supabase.ensure_bucket(SIZE_LIMIT, reversed(TYPES))
    assert store.server.buckets == {BUCKET: made}
    assert store.seen == [("bucket", "ok")]


def test_a_bucket_whose_answer_was_lost(store: SupabaseStore, waits: list[float]) -> None:
    store.server.buckets.clear()
    store.server.drop(1)
    store.supabase.ensure_bucket(SIZE_LIMIT, TYPES)
    assert len(waits) == 1


def test_a_public_bucket_is_refused_as_it_is(store: SupabaseStore) -> None:
    store.server.buckets[BUCKET]["public"] = True
    ensure = store.supabase.ensure_bucket
    assert code_of(ensure, SIZE_LIMIT, TYPES) == "STORAGE_BUCKET_PUBLIC"
    assert store.server.buckets[BUCKET]["public"]


@pytest.mark.parametrize(
    "limits",
    [
        {"file_size_limit": None},
        {"file_size_limit": SIZE_LIMIT - 1},
        {"allowed_mime_types": None},
        {"allowed_mime_types": [JSON]},
    ],
)
def test_other_limits_are_refused(store: SupabaseStore, limits: dict[str, object]) -> None:
    store.server.buckets[BUCKET] |= limits
    ensure = store.supabase.ensure_bucket
    assert code_of(ensure, SIZE_LIMIT, TYPES) == "STORAGE_BUCKET_DIFFERS"


def test_a_bucket_needs_the_right(server: StorageServer) -> None:
    blobs = SupabaseBlobs(server.url, server.anon_key, BUCKET)
    assert code_of(blobs.ensure_bucket, SIZE_LIMIT, TYPES) == "STORAGE_DENIED"
    blobs.close()


# ---------------------------------------------------------------- the conformance server itself


def test_the_server_answers_as_measured(store: SupabaseStore) -> None:
    server, home = store.server, f"{store.server.url}/storage/v1"
    store.blobs.put(KEY, b"data", JSON)
    expired = store.blobs.sign(KEY, 60, None)

    def ask(method: str, url: str, key: str = server.service_key, **body: object) -> object:
        headers = {"apikey": key, "content-type": JSON}
        answer = httpx.request(method, url, headers=headers, **body)  # type: ignore[arg-type]
        told = answer.json()
        if isinstance(told, list):
            return (answer.status_code, told)
        return (answer.status_code, told["statusCode"], told["error"], told["code"])

    thing = f"{home}/object/{BUCKET}"
    assert ask("POST", f"{thing}/{KEY}", content=b"data") == (
        400,
        "409",
        "Duplicate",
        "KeyAlreadyExists",
    )
    assert ask("POST", f"{thing}/big", content=bytes(SIZE_LIMIT + 1)) == (
        400,
        "413",
        "Payload too large",
        "EntityTooLarge",
    )
    assert ask("GET", f"{thing}/none") == (400, "404", "not_found", "NoSuchKey")
    assert ask("GET", f"{home}/object/none/x") == (400, "404", "Bucket not found", "NoSuchBucket")
    assert ask("GET", f"{thing}/{KEY}", server.anon_key) == (400, "404", "not_found", "NoSuchKey")
    assert ask("POST", f"{thing}/new", server.anon_key, content=b"x") == (
        400,
        "403",
        "Unauthorized",
        "AccessDenied",
    )
    assert ask("POST", f"{thing}/견적", content=b"x") == (400, "400", "InvalidKey", "InvalidKey")
    assert ask("POST", f"{home}/object/list/{BUCKET}", server.anon_key, json={"prefix": ""}) == (
        200,
        [],
    )
    assert ask("DELETE", thing, server.anon_key, json={"prefixes": [KEY]}) == (200, [])
    org, pair, name = KEY.split("/")
    assert ask("POST", f"{home}/object/list/{BUCKET}", json={"prefix": f"{org}/{pair}"}) == (
        200,
        [{"name": name, "id": name}],
    )
    assert ask("POST", f"{home}/object/list/{BUCKET}", json={"prefix": ""}) == (
        200,
        [{"name": org, "id": None}],
    )
    assert ask("GET", expired.replace(KEY, "x")) == (
        400,
        "400",
        "InvalidSignature",
        "InvalidSignature",
    )
    server.clock_ahead_sec = 60
    assert ask("GET", expired) == (400, "400", "InvalidJWT", "InvalidJWT")
    server.fail("InternalError", FOREVER)
    assert ask("GET", f"{thing}/{KEY}") == (500, "500", "Internal", "InternalError")
