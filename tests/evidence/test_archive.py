"""Zips: the same bytes whoever writes them; hostile ones are refused entry by entry."""

from __future__ import annotations

import io
import os
import stat
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evidence.packs import check, code, wrong, zip_bytes

from kis_estimator import evidence
from kis_estimator.evidence import layout
from kis_estimator.evidence.keys import PublicKey
from kis_estimator.evidence.pack import Limits

WRITE = """
import io
import sys
from kis_estimator.evidence.archive import write_zip
names = {"나/다.txt", "가.txt", "a.txt", "b/c.txt", "한"}
out = io.BytesIO()
write_zip(out, names, lambda name: (name * 50).encode())
sys.stdout.buffer.write(out.getvalue())
"""


def verdicts(data: bytes, limits: Limits | None = None) -> dict[str, str]:
    with evidence.open_pack(io.BytesIO(data), limits) as pack:
        report = evidence.verify(pack)
    return {v.name: v.notice.code for v in report.problems if v.notice}


def zipped(files: dict[str, bytes], *more: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    out = io.BytesIO(zip_bytes(files))
    with zipfile.ZipFile(out, "a") as archive:
        for info, data in more:
            archive.writestr(info, data)
    return out.getvalue()


def entry(name: str, kind: int = stat.S_IFREG) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (kind | 0o644) << 16
    return info


def test_two_processes_write_the_same_zip(root: Path) -> None:
    written = [
        subprocess.run(
            [sys.executable, "-c", WRITE],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": str(root / "src")},
            check=True,
            capture_output=True,
        ).stdout
        for seed, zone in (("0", "UTC"), ("77", "Asia/Seoul"))
    ]
    assert written[0] == written[1]
    with zipfile.ZipFile(io.BytesIO(written[0])) as archive:
        infos = archive.infolist()
    assert [info.filename for info in infos] == sorted(info.filename for info in infos)
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
    assert {info.external_attr >> 16 for info in infos} == {stat.S_IFREG | 0o644}


def test_folder_and_zip_have_the_same_verdicts(
    folder: Path, files: dict[str, bytes], tmp_path: Path, public: PublicKey
) -> None:
    path = tmp_path / "pack.zip"
    path.write_bytes(zip_bytes(files))
    assert check(path, public) == check(folder, public)


def test_a_zip_of_the_folder_itself_by_another_program(
    files: dict[str, bytes], tmp_path: Path, public: PublicKey
) -> None:
    path = tmp_path / "pack.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("KIS-20260131-0003/", b"")
        archive.writestr("KIS-20260131-0003/drawings/", b"")
        for name, data in files.items():
            archive.writestr(f"KIS-20260131-0003/{name}", data)
    assert check(path, public).ok


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../outside.txt", "../outside.txt"),
        ("drawings/../../outside.txt", "drawings/../../outside.txt"),
        ("/etc/outside", "/etc/outside"),
        ("C:/outside", "C:/outside"),
        ("drawings\\outside", "drawings\\outside"),
        ("./quotation2.pdf", "./quotation2.pdf"),
        ("drawings//a.svg", "drawings//a.svg"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("x" * 500, "x" * 500),
        ("outside/../", "outside/../"),
    ],
)
def test_a_path_outside_the_pack_is_unsafe(files: dict[str, bytes], name: str, shown: str) -> None:
    assert verdicts(zipped(files, (entry(name), b"x"))) == {shown: "PACK_PATH"}


def test_a_name_that_hides_its_end_behind_a_zero_byte(files: dict[str, bytes]) -> None:
    data = zipped(files, (entry("quotation.pdf0.exe"), b"x"))
    data = data.replace(b"quotation.pdf0.exe", b"quotation.pdf\0.exe")
    assert verdicts(data) == {"quotation.pdf\\x00.exe": "PACK_PATH"}


def test_links_and_devices_are_unsafe(files: dict[str, bytes]) -> None:
    data = zipped(
        files, (entry("link", stat.S_IFLNK), b"/etc/passwd"), (entry("dev", stat.S_IFCHR), b"")
    )
    assert verdicts(data) == {"link": "PACK_LINK", "dev": "PACK_KIND"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("twin", ["quotation.xlsx", "Quotation.XLSX"])
def test_a_name_that_stands_twice_is_unsafe(files: dict[str, bytes], twin: str) -> None:
    data = zipped(files, (entry(twin), b"x"))
    assert verdicts(data) == dict.fromkeys({"quotation.xlsx", twin}, "PACK_DUPLICATE")


def test_two_spellings_of_one_korean_name_are_one_name() -> None:
    composed, decomposed = "\uac00.txt", "\u1100\u1161.txt"
    data = zipped({composed: b"a"}, (entry(decomposed), b"b"))
    assert verdicts(data)[composed] == "PACK_DUPLICATE"


def test_a_zip_bomb_is_not_unpacked(files: dict[str, bytes]) -> None:
    info = entry("bomb")
    info.compress_type = zipfile.ZIP_DEFLATED
    assert verdicts(zipped(files, (info, bytes(20 << 20)))) == {"bomb": "PACK_BOMB"}


def test_limits_of_size_and_number(files: dict[str, bytes]) -> None:
    data = zip_bytes(files)
    assert verdicts(data, Limits(entries=5)) == {".": "PACK_ENTRIES"}
    large = max(files, key=lambda name: len(files[name]))
    found = verdicts(data, Limits(entry=len(files[large]) - 1))
    assert found[large] == "PACK_BOMB"
    assert "PACK_BOMB" in verdicts(data, Limits(total=100)).values()


def test_a_size_that_lies_is_damage(files: dict[str, bytes]) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("lie", bytes(5000))
    data = out.getvalue()
    data = data.replace(struct.pack("<L", 5000), struct.pack("<L", 10))
    assert verdicts(data)["lie"] == "PACK_DAMAGED"
    assert "lie" not in files


def test_encrypted_and_unknown_methods_are_unsafe(files: dict[str, bytes]) -> None:
    data = bytearray(zipped(files, (entry("secret"), b"x")))
    at = data.rindex(b"PK\x01\x02")
    data[at + 8] |= 1
    assert verdicts(bytes(data)) == {"secret": "PACK_ENCRYPTED"}
    packed = entry("packed")
    packed.compress_type = zipfile.ZIP_LZMA
    assert verdicts(zipped(files, (packed, b"x"))) == {"packed": "PACK_METHOD"}


def test_a_truncated_prefixed_or_commented_zip_is_damaged(files: dict[str, bytes]) -> None:
    data = zip_bytes(files)
    cut = (data[:-1], data[: len(data) // 2], b"", b"PK")
    longer = (b"MZ" + data, b"PK\x03\x04" + data, data + b"x", data[:-2] + b"\x01\x00")
    for broken in (*cut, *longer):
        assert verdicts(broken) == {".": "PACK_DAMAGED"}


def test_a_second_directory_in_the_larger_format_is_damage(files: dict[str, bytes]) -> None:
    data = zip_bytes(files)
    count, size, offset = struct.unpack("<10xHLL2x", data[-22:])
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(data) - 22, 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, size + 76, offset, 0)
    larger = data[:-22] + record + locator + end
    assert len(zipfile.ZipFile(io.BytesIO(larger)).namelist()) == len(files)
    assert verdicts(larger) == {".": "PACK_DAMAGED"}


def test_a_directory_of_many_megabytes_is_not_read() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(70):
            info = entry(f"{number}")
            info.comment = bytes(65_000)
            archive.writestr(info, b"")
    assert verdicts(out.getvalue()) == {".": "PACK_DAMAGED"}


@pytest.mark.parametrize(("name", "data"), [("drawings/", b"x"), ("drawings/../", b"")])
def test_a_directory_is_passed_over_only_where_it_is_no_more(
    files: dict[str, bytes], name: str, data: bytes
) -> None:
    assert verdicts(zipped(files, (entry("drawings/"), b""))) == {}
    assert verdicts(zipped(files, (entry(name), data))) == {name: "PACK_PATH"}


def test_a_small_or_a_dense_file_is_no_bomb(files: dict[str, bytes]) -> None:
    small, dense = entry("small"), entry("dense")
    small.compress_type = zipfile.ZIP_DEFLATED
    data = zipped(files, (small, bytes(1 << 20)), (dense, os.urandom(2 << 20)))
    assert verdicts(data) == {"small": "VERIFY_EXTRA", "dense": "VERIFY_EXTRA"}


def test_a_file_beside_the_wrapping_folder_is_not_lost(files: dict[str, bytes]) -> None:
    wrapped = {f"KIS/{name}": data for name, data in files.items()}
    assert verdicts(zip_bytes(wrapped)) == {}
    found = verdicts(zip_bytes({**wrapped, "other.txt": b""}))
    assert found[layout.MANIFEST] == "VERIFY_NO_MANIFEST"
    assert verdicts(zipped(wrapped, (entry("KIS/../../x"), b"")))["../../x"] == "PACK_PATH"


def test_a_program_that_is_also_a_zip_is_no_pack(files: dict[str, bytes]) -> None:
    out = io.BytesIO(b"MZ")
    out.seek(2)
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    assert zipfile.ZipFile(out).testzip() is None
    assert verdicts(out.getvalue()) == {".": "PACK_DAMAGED"}


def test_a_damaged_entry_is_named(files: dict[str, bytes]) -> None:
    data = bytearray(zip_bytes(files))
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
        info = archive.getinfo("quotation.xlsx")
    data[info.header_offset + 200] ^= 0xFF
    assert verdicts(bytes(data)) == {"quotation.xlsx": "PACK_DAMAGED"}


@settings(max_examples=200)
@given(data=st.binary(max_size=400))
def test_random_bytes_never_crash(data: bytes) -> None:
    assert verdicts(data)
    assert verdicts(b"PK\x03\x04" + data)


@settings(max_examples=150)
@given(
    entries=st.lists(
        st.tuples(st.text(max_size=12), st.binary(max_size=30), st.integers(0, 0xFFFF)), max_size=6
    ),
    special=st.sampled_from([layout.MANIFEST, layout.SUMS, layout.WITHHELD, layout.CHAIN]),
    content=st.binary(max_size=60) | st.just(b"{}") | st.just(b"[]") | st.just(b"null"),
    damage=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=4),
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_random_zips_never_crash(
    entries: list[tuple[str, bytes, int]],
    special: str,
    content: bytes,
    damage: list[tuple[int, int]],
) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data, mode in entries:
            info = zipfile.ZipInfo(name.encode("utf-8", "replace").decode() or "x")
            info.external_attr = mode << 16
            archive.writestr(info, data)
        archive.writestr(special, content)
    whole = bytearray(out.getvalue())
    for at, value in damage:
        whole[at % len(whole)] = value
    assert verdicts(bytes(whole))


def test_problems_are_told_by_code(files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "pack.zip"
    path.write_bytes(zipped(files, (entry("../x"), b"x")))
    report = check(path)
    assert wrong(report) == {"../x": "unsafe"}
    assert code(report, "../x") == "PACK_PATH"
