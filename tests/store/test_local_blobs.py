"""What only a folder does: atomic writes, and links that it signs itself."""

import errno
import os
import secrets
import stat
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.store.blob_stores import JSON, LocalStore, code_of, key_of

from kis_estimator.store.blobs import key_sha256
from kis_estimator.store.local_blobs import LocalBlobs

SECRET = secrets.token_bytes(32)

WRITER = """
import hashlib, os, pathlib, sys, uuid
from kis_estimator.store.blobs import blob_key
from kis_estimator.store.local_blobs import LocalBlobs
blobs = LocalBlobs(pathlib.Path(sys.argv[1]), bytes(32), "")
while True:
    data = os.urandom(300_000)
    key = blob_key(uuid.uuid4(), hashlib.sha256(data).hexdigest())
    blobs.put(key, data, "application/json")
    print(key, flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "files")


def test_a_writer_killed_at_any_moment_leaves_whole_files_only(store: LocalStore) -> None:
    command = [sys.executable, "-c", WRITER, str(store.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline().strip() for _ in range(5)]
        writer.kill()
        said += writer.stdout.read().split()
    kept = {name for name in store.kept() if not name.startswith("part/")}
    assert kept >= {key for key in said if len(key) == len(said[0])}
    for key in kept:
        assert len(store.blobs.get(key)) == 300_000
    for name in store.kept() - kept:
        os.utime(store.folder / name, (0, 0))
    LocalStore(store.folder)
    assert store.kept() == kept


def test_a_young_part_belongs_to_a_writer_at_work(store: LocalStore) -> None:
    part = store.folder / "part" / "young"
    part.write_bytes(b"half")
    LocalStore(store.folder)
    assert part.exists()


def test_a_full_disk_leaves_nothing_and_says_so(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "secret path")

    key = key_of(b"data")
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        assert code_of(store.blobs.put, key, b"data", JSON) == "STORAGE_UNAVAILABLE"
    assert not store.kept()
    store.blobs.put(key, b"data", JSON)
    assert store.blobs.get(key) == b"data"


def test_file_and_folders_are_on_disk_before_a_put_returns(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def sync(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))

    key = key_of(b"data")
    path = store.folder / key
    folders = [str(path.parent), str(path.parent.parent), str(store.folder)]
    monkeypatch.setattr(os, "fsync", sync)
    store.blobs.put(key, b"data", JSON)
    assert Path(synced[0]).parent == store.folder / "part"
    assert synced[1:] == folders
    store.blobs.put(key, b"data", JSON)
    assert synced[4:] == folders


def test_a_folder_that_is_gone_is_no_missing_file(store: LocalStore) -> None:
    key = key_of(b"data")
    store.blobs.put(key, b"data", JSON)
    store.folder.rename(store.folder.with_name("unmounted"))
    assert code_of(store.blobs.get, key) == "STORAGE_UNAVAILABLE"
    assert code_of(store.blobs.sign, key, 60, None) == "STORAGE_UNAVAILABLE"
    assert code_of(store.blobs.put, key, b"data", JSON) == "STORAGE_UNAVAILABLE"
    assert code_of(store.blobs.delete, [key]) == "STORAGE_UNAVAILABLE"
    assert code_of(store.blobs.probe, 30) == "STORAGE_UNAVAILABLE"
    assert not store.folder.exists()


def test_other_users_of_the_machine_see_nothing(store: LocalStore) -> None:
    key = key_of(b"data")
    store.blobs.put(key, b"data", JSON)
    path = store.folder / key
    for private in (path, path.parent, path.parent.parent, store.folder / "part"):
        assert not stat.S_IMODE(private.stat().st_mode) & 0o077


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert code_of(LocalBlobs, tmp_path / "file", SECRET, "") == "STORAGE_UNAVAILABLE"


def test_a_guessable_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too short"):
        LocalBlobs(tmp_path, b"secret", "")


def test_links_are_good_in_every_process_with_the_secret(tmp_path: Path) -> None:
    one = LocalBlobs(tmp_path, SECRET, "https://kis.example/")
    two = LocalBlobs(tmp_path, SECRET, "")
    key = key_of(b"data")
    one.put(key, b"data", JSON)
    link = one.sign(key, 60, "a.json")
    assert link.startswith(f"https://kis.example/v1/files/{key}?exp=")
    assert two.sign(key, 60, None).startswith(f"/v1/files/{key}?exp=")
    query = parse_qs(urlsplit(link).query)
    exp, sig = int(query["exp"][0]), query["sig"][0]
    assert two.open_link(key, exp, "a.json", sig, time.time()) == b"data"
    one.probe(30)


def test_nothing_of_a_link_may_be_changed(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path, SECRET, "")
    key, other = key_of(b"data"), key_of(b"other")
    blobs.put(key, b"data", JSON)
    blobs.put(other, b"other", JSON)
    query = parse_qs(urlsplit(blobs.sign(key, 60, "a.json")).query)
    exp, sig = int(query["exp"][0]), query["sig"][0]
    assert blobs.open_link(key, exp, "a.json", sig, exp - 1) == b"data"
    assert code_of(blobs.open_link, key, exp, "a.json", sig, exp) == "LINK_EXPIRED"
    changed = [
        (other, exp, "a.json", sig),
        (f"../{key}", exp, "a.json", sig),
        (key, exp + 1, "a.json", sig),
        (key, exp, "b.html", sig),
        (key, exp, None, sig),
        (key, exp, "a.json", ""),
        (key, exp, "a.json", sig[:-1]),
        (key, exp, "a.json", sig.upper()),
        (key, exp, "a.json", key_sha256(key)),
        (key, exp, "a.json", "서명\udc80"),
    ]
    for parts in changed:
        assert code_of(blobs.open_link, *parts, exp - 1) == "LINK_INVALID"
