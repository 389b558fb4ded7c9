"""What holds for every store, shown on both."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from tests.store.blob_stores import JSON, LocalStore, Store, SupabaseStore, code_of, key_of
from tests.store.storage_server import StorageServer

from kis_estimator.errors import KisError
from kis_estimator.store.blobs import Blobs, blob_key

NAME = "견적서 (1차) & 도면.json"
HASH = "0f" * 32
NO_KEYS = [
    "",
    "/etc/passwd",
    f"../{UUID(int=1)}/0f/{HASH}",
    f"{UUID(int=1)}/0f/../{HASH}",
    f"{UUID(int=1)}/0e/{HASH}",
    f"{UUID(int=1)}/0f/{HASH}\n",
    f"{UUID(int=1)}/0f/{HASH.upper()}",
    f"{UUID(int=1)}\\0f\\{HASH}",
    f"{UUID(int=1)}//0f/{HASH}",
    f"{UUID(int=1)}/0f/{HASH[:-1]}",
    f"part/0f/{HASH}",
    f"{UUID(int=1)}/0f/{HASH}\0",
    "\x1b[31m" + "x" * 500,
]


@pytest.fixture(params=["local", "supabase"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "local":
        local = LocalStore(tmp_path / "files")
        yield local
        local.blobs.close()
    else:
        with StorageServer() as server:
            supabase = SupabaseStore(server)
            yield supabase
            supabase.blobs.close()


@pytest.mark.parametrize("size", [0, 1, 1_000_000])
def test_what_is_put_comes_back(store: Store, size: int) -> None:
    data = secrets.token_bytes(size)
    key = key_of(data)
    blobs: Blobs = store.blobs
    blobs.put(key, data, JSON)
    assert blobs.get(key) == data
    blobs.put(key, data, JSON)
    assert blobs.get(key) == data
    assert store.kept() == {key}
    assert store.seen == [("put", "ok"), ("get", "ok")] * 2


def test_bytes_go_only_under_their_own_hash(store: Store) -> None:
    assert code_of(store.blobs.put, key_of(b"one"), b"two", JSON) == "STORAGE_KEY"
    assert not store.kept()


@pytest.mark.parametrize("key", NO_KEYS)
def test_anything_else_is_no_key(store: Store, key: str) -> None:
    kept = key_of(b"kept")
    store.blobs.put(kept, b"kept", JSON)
    assert code_of(store.blobs.put, key, b"", JSON) == "STORAGE_KEY"
    assert code_of(store.blobs.get, key) == "STORAGE_KEY"
    assert code_of(store.blobs.sign, key, 60, None) == "STORAGE_KEY"
    assert code_of(store.blobs.delete, [kept, key]) == "STORAGE_KEY"
    assert store.kept() == {kept}


def test_a_key_is_made_of_a_hash() -> None:
    assert blob_key(UUID(int=1), HASH) == f"{UUID(int=1)}/0f/{HASH}"
    assert code_of(blob_key, UUID(int=1), "../" + HASH) == "STORAGE_KEY"


def test_what_is_not_there_is_missing(store: Store) -> None:
    key = key_of(b"nothing")
    assert code_of(store.blobs.get, key) == "STORAGE_MISSING"
    assert code_of(store.blobs.sign, key, 60, NAME) == "STORAGE_MISSING"
    assert store.seen == [("get", "STORAGE_MISSING"), ("sign", "STORAGE_MISSING")]


@pytest.mark.parametrize("spoilt", [b"", b"datA", b"data and more"])
def test_damage_is_noticed_and_repaired_by_the_next_put(store: Store, spoilt: bytes) -> None:
    key = key_of(b"data")
    store.blobs.put(key, b"data", JSON)
    store.spoil(key, spoilt)
    assert code_of(store.blobs.get, key) == "STORAGE_DAMAGED"
    store.blobs.put(key, b"data", JSON)
    assert store.blobs.get(key) == b"data"
    assert store.seen[1:4] == [("get", "STORAGE_DAMAGED"), ("put", "ok"), ("repair", "ok")]


def test_delete_takes_just_those(store: Store) -> None:
    datas = [b"a", b"b", b"c"]
    keys = [key_of(data) for data in datas]
    for key, data in zip(keys, datas, strict=True):
        store.blobs.put(key, data, JSON)
    store.blobs.delete(iter(keys[:2]))
    assert store.kept() == {keys[2]}
    store.blobs.delete(keys)
    store.blobs.delete([])
    assert not store.kept()
    store.blobs.put(keys[0], b"a", JSON)
    assert store.blobs.get(keys[0]) == b"a"


@pytest.mark.parametrize("name", [NAME, None, 'a"; b=c.json', "../etc/x&sig=0"])
def test_a_link_downloads_until_it_expires(store: Store, name: str | None) -> None:
    key = key_of(b"data")
    store.blobs.put(key, b"data", JSON)
    link = store.blobs.sign(key, 300, name)
    assert link.isascii()
    assert store.open(link) == b"data"
    assert store.open(link, 290) == b"data"
    assert code_of(store.open, link, 301) == "LINK_EXPIRED"
    query = parse_qs(urlsplit(link).query)
    assert query.get("name", query.get("download")) == ([name] if name else None)


def test_a_link_lives_for_a_second_at_least(store: Store) -> None:
    with pytest.raises(ValueError, match="second"):
        store.blobs.sign(key_of(b"data"), 0, None)


def test_a_link_to_what_was_deleted_finds_nothing(store: Store) -> None:
    key = key_of(b"data")
    store.blobs.put(key, b"data", JSON)
    link = store.blobs.sign(key, 300, None)
    store.blobs.delete([key])
    assert code_of(store.open, link) == "STORAGE_MISSING"


def test_a_link_is_good_for_its_own_file_alone(store: Store) -> None:
    key, other = key_of(b"data"), key_of(b"other")
    store.blobs.put(key, b"data", JSON)
    store.blobs.put(other, b"other", JSON)
    link = store.blobs.sign(key, 300, NAME)
    assert code_of(store.open, link.replace(key, other)) == "LINK_INVALID"


def test_a_link_of_another_installation_is_refused(store: Store) -> None:
    key = key_of(b"data")
    store.blobs.put(key, b"data", JSON)
    foreign = store.foreign()
    link = foreign.blobs.sign(key, 300, NAME)
    assert foreign.open(link) == b"data"
    foreign.blobs.close()
    if isinstance(foreign, SupabaseStore):
        foreign.server.stop()
    assert code_of(store.open, link) in {"LINK_INVALID", "LINK_EXPIRED"}


def test_many_at_once(store: Store) -> None:
    shared = b"the same for all"
    key = key_of(shared)

    def use(number: int) -> None:
        own = f"of {number}".encode()
        mine = key_of(own)
        store.blobs.put(key, shared, JSON)
        store.blobs.put(mine, own, JSON)
        assert store.blobs.get(key) == shared
        assert store.blobs.get(mine) == own
        store.blobs.delete([mine])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(32)))
    assert store.kept() == {key}


def test_the_probe_leaves_nothing_behind(store: Store) -> None:
    store.blobs.probe(30)
    assert not store.kept()
    assert store.seen == [("probe", "ok")]


def test_the_probe_says_that_the_link_brings_something_else(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(store.blobs), "_follow", lambda *_: b"something else")
    with pytest.raises(KisError) as caught:
        store.blobs.probe(30)
    assert caught.value.notices[0].code == "STORAGE_UNAVAILABLE"
    assert caught.value.notices[0].params == {"reason": "STORAGE_DAMAGED"}
    assert not store.kept()


def test_the_probe_does_not_wait_for_a_store_that_hangs(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on = Event()
    with monkeypatch.context() as hanging:
        hanging.setattr(type(store.blobs), "_follow", lambda *_: going_on.wait())
        for _ in range(3):
            assert code_of(store.blobs.probe, 0.01) == "STORAGE_UNAVAILABLE"
    going_on.set()
    store.blobs.probe(30)
    assert store.seen == [("probe", "STORAGE_UNAVAILABLE")] * 3 + [("probe", "ok")]
