"""The HTTP client: an answer has an end, in time, or it is none."""

import pytest
from tests.deploy.slow_server import BEATS, slow_server
from tests.deploy.stand_in import storage_config
from tests.store.storage_server import StorageServer

from kis_deploy.problems import DeployError
from kis_deploy.smoke import _check_stream
from kis_deploy.storage import key_headers
from kis_deploy.validate import Limits, _Load
from kis_deploy.web import Web

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
ENDLESS = {
    "header": (OK + b"x-long: ", b"x", b"\r\ncontent-length: 0\r\n\r\n"),
    "length": (OK + b"content-length: %d\r\n\r\n" % BEATS, b"x", b""),
    "chunked": (CHUNKED, b"1\r\nx\r\n", b"0\r\n\r\n"),
    "close": (OK + b"connection: close\r\n\r\n", b"x", b""),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_an_answer_that_trickles_has_a_deadline(kind: str) -> None:
    """Every read brings something: the limit of a read is never reached."""
    with (
        slow_server(*ENDLESS[kind]) as server,
        Web(server.url) as web,
        pytest.raises(DeployError, match=r"no whole answer \(no end within 0\.3 s\)"),
    ):
        web.ask("GET", "/", within_sec=0.3)


def test_requests_are_told_without_headers_and_bodies() -> None:
    told: list[str] = []
    with StorageServer() as storage:
        headers = key_headers(storage_config(storage), "SUPABASE_SERVICE_ROLE_KEY")
        with Web(f"{storage.url}/storage/v1", headers, note=told.append) as web:
            assert web.ask("GET", "/bucket/none").status == 400
            storage.drop()
            with pytest.raises(DeployError):
                web.ask("POST", "/bucket", send={"name": "told to nobody"})
    place = storage.url.partition("://")[2]
    assert told[0].startswith(f"GET {place}/storage/v1/bucket/none: 400, ")
    assert told[1].startswith(f"POST {place}/storage/v1/bucket: gives no whole answer")
    assert not [text for text in (storage.service_key, "nobody") for line in told if text in line]


def test_a_stream_of_heartbeats_alone_ends_the_check() -> None:
    start = OK + b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    beat = b"event: HEARTBEAT\ndata: {}\n\n"
    with (
        slow_server(start, b"%x\r\n%s\r\n" % (len(beat), beat), b"0\r\n\r\n") as server,
        Web(server.url) as web,
        pytest.raises(DeployError, match=r"does not end with DONE: .*no end within"),
    ):
        _check_stream(web, "any", 0.3)


def test_a_service_that_hangs_is_not_asked_on_and_on() -> None:
    """The first request without an answer is one too many of 200 already."""
    with slow_server() as server:
        load = _Load(server.url, "token", None, 0, request_sec=0.3)
        p95, errors = load.checks(Limits())
    made = len(load.results)
    assert 1 <= made <= 4
    assert (p95.passed, errors.passed) == (None, False)
    assert errors.value == f"100.00 % of {made} requests"
    assert p95.detail == errors.detail == f"ended after {made} of 200 requests"
