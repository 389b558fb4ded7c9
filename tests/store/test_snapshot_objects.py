"""What lies in storage: everything is listed, and what the database does not know is told apart."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.store.blob_stores import JSON, LocalStore, Store, SupabaseStore, code_of, key_of
from tests.store.conftest import Dsn
from tests.store.storage_server import StorageServer

from kis_estimator.store import supabase_blobs
from kis_estimator.store.snapshot_objects import list_unknown_objects


@pytest.fixture(params=["local", "supabase"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    if request.param == "local":
        local = LocalStore(tmp_path / "files")
        yield local
        local.blobs.close()
    else:
        monkeypatch.setattr(supabase_blobs, "_LISTED_AT_ONCE", 2)  # so that there are pages
        with StorageServer() as server:
            supabase = SupabaseStore(server)
            yield supabase
            supabase.blobs.close()


def put(store: Store, count: int) -> list[str]:
    keys = [key_of(f"{number}".encode()) for number in range(count)]
    for number, key in enumerate(keys):
        store.blobs.put(key, f"{number}".encode(), JSON)
    return keys


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_everything_is_listed(store: Store, count: int) -> None:
    keys = put(store, count)
    assert sorted(store.blobs.keys()) == sorted(keys)
    store.blobs.probe(10)
    assert len(list(store.blobs.keys())) == count


def test_what_the_database_does_not_know_is_listed_and_stays(
    store: Store, dsn: Dsn, tmp_path: Path
) -> None:
    known, *unknown = put(store, 4)
    org, _, sha256 = known.split("/")
    with psycopg.connect(dsn("postgres")) as conn:
        conn.execute(
            "insert into shared.organisations (id, name) values (%s, 'o') on conflict do nothing",
            [org],
        )
        conn.execute(
            "insert into estimator.evidence_blobs (org_id, sha256, media_type, size_bytes)"
            " values (%s, %s, 'application/json', 1)",
            [org, sha256],
        )
    assert list_unknown_objects(dsn("postgres"), store.blobs, tmp_path, "list.txt") == 3
    assert (tmp_path / "list.txt").read_text(encoding="ascii").split() == sorted(unknown)
    assert store.kept() == {known, *unknown}


def test_a_database_without_a_schema_knows_no_object(
    store: Store, empty_dsn: str, tmp_path: Path
) -> None:
    put(store, 2)
    assert list_unknown_objects(empty_dsn, store.blobs, tmp_path, "list.txt") == 2


def test_a_store_that_is_away_is_no_empty_one(dsn: Dsn, tmp_path: Path) -> None:
    with StorageServer() as server:
        supabase = SupabaseStore(server)
        server.fail("NoSuchBucket")
        listing = (list_unknown_objects, dsn("postgres"), supabase.blobs, tmp_path, "list.txt")
        assert code_of(*listing) == "STORAGE_BUCKET"
        assert not (tmp_path / "list.txt").exists()
        supabase.blobs.close()
