"""The encrypted file: what is read is what was written, whole and in order, or nothing is."""

import base64
import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.store.blob_stores import code_of

from kis_estimator.errors import KisError
from kis_estimator.store import snapshot_file
from kis_estimator.store.snapshot_file import SnapshotKey, load_key, make_key

KEY = SnapshotKey(bytes(range(32)))
NAME = "20261130T101500Z-ab12cd"
CHUNK = 64
SEALED = CHUNK + 16
HEAD = 48


@pytest.fixture(autouse=True, scope="module")
def _small_chunks() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot_file, "_CHUNK", CHUNK)
        yield


def sealed(data: bytes, key: SnapshotKey = KEY, name: str = NAME) -> bytes:
    return b"".join(key.encrypted(io.BytesIO(data), name))


def read(data: bytes, key: SnapshotKey = KEY, name: str = NAME) -> tuple[bytes, str | None]:
    """Return what comes out before the end, and the code of a refusal."""
    out = b""
    try:
        for block in key.decrypted(io.BytesIO(data), name):
            out += block
    except KisError as error:
        return out, error.notices[0].code
    return out, None


@given(st.integers(0, 4 * CHUNK + 1))
def test_what_was_written_is_read(size: int) -> None:
    data = os.urandom(size)
    assert read(sealed(data)) == (data, None)


def test_two_files_of_the_same_bytes_have_nothing_in_common() -> None:
    one, other = sealed(bytes(CHUNK)), sealed(bytes(CHUNK))
    assert one[HEAD:] != other[HEAD:]
    assert bytes(CHUNK // 2) not in one


@given(st.integers(0, 4 * CHUNK), st.data())
def test_a_changed_bit_is_noticed_wherever_it_is(size: int, data: st.DataObject) -> None:
    plain = os.urandom(size)
    file = bytearray(sealed(plain))
    file[data.draw(st.integers(0, len(file) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    found, code = read(bytes(file))
    assert code == "SNAPSHOT_DAMAGED"
    assert plain.startswith(found)


@given(st.integers(0, 4 * CHUNK), st.data())
def test_a_missing_end_is_noticed(size: int, data: st.DataObject) -> None:
    file = sealed(os.urandom(size))
    assert read(file[: data.draw(st.integers(0, len(file) - 1))])[1] == "SNAPSHOT_DAMAGED"


def test_chunks_stay_where_they_are() -> None:
    file = sealed(os.urandom(4 * CHUNK))
    head, chunks = file[:HEAD], [file[i : i + SEALED] for i in range(HEAD, len(file), SEALED)]
    assert len(chunks) == 4
    other = sealed(os.urandom(4 * CHUNK))[HEAD : HEAD + SEALED]
    for wrong in (
        [chunks[1], chunks[0], *chunks[2:]],
        [chunks[0], *chunks[2:]],
        [*chunks, chunks[0]],
        [chunks[0], *chunks],
        [other, *chunks[1:]],
    ):
        assert read(head + b"".join(wrong))[1] == "SNAPSHOT_DAMAGED"
    assert read(file + b"\0")[1] == "SNAPSHOT_DAMAGED"


def test_a_file_is_of_one_snapshot_and_one_key() -> None:
    file = sealed(b"rows")
    assert read(file, name="20261130T101500Z-000000")[1] == "SNAPSHOT_DAMAGED"
    assert read(file, SnapshotKey(bytes(32)))[1] == "SNAPSHOT_DAMAGED"
    assert SnapshotKey(bytes(32)).id != KEY.id


# ---------------------------------------------------------------- the key file


def test_a_new_key_file_is_its_owners_alone_and_replaces_none(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_key(path).id == key.id
    before = path.read_bytes()
    assert code_of(make_key, path) == "SNAPSHOT_KEY_EXISTS"
    assert path.read_bytes() == before
    assert code_of(make_key, tmp_path / "none" / "key") == "SNAPSHOT_WRITE"
    assert key.id.encode() not in before


@pytest.mark.parametrize("text", [bytes(range(32)).hex(), base64.b64encode(bytes(range(32)))])
def test_a_key_is_hexadecimal_or_base64(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"\n" + (text.encode() if isinstance(text, str) else text) + b" \n")
    path.chmod(0o400)
    assert load_key(path).id == KEY.id


@pytest.mark.parametrize("text", ["", "abc", "0" * 63, "g" * 64, "0" * 5000, "YWJj"])
def test_what_is_no_key_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text, encoding="ascii")
    path.chmod(0o600)
    with pytest.raises(KisError, match="SNAPSHOT_KEY_FORMAT") as caught:
        load_key(path)
    assert not text or text not in caught.value.notices[0].explained()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o777])
def test_a_key_that_others_reach_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    make_key(path)
    path.chmod(mode)
    assert code_of(load_key, path) == "SNAPSHOT_KEY_OPEN"
    assert code_of(load_key, tmp_path / "none") == "SNAPSHOT_KEY_UNREADABLE"
