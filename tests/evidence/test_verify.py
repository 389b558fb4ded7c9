"""Every part of a pack changed on purpose: each is caught and named."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.evidence.packs import SCHEDULE, check, code, inputs, sealed, write, wrong, zip_bytes

from kis_estimator import evidence
from kis_estimator.evidence import layout
from kis_estimator.evidence.canonical import canonical, checksums
from kis_estimator.evidence.keys import PublicKey, SigningKey
from kis_estimator.service import Estimate


def test_an_untouched_pack_has_one_verdict_per_file(
    folder: Path, files: dict[str, bytes], public: PublicKey
) -> None:
    report = check(folder, public)
    assert report.ok
    assert sorted(files) == [verdict.name for verdict in report.verdicts]
    assert {verdict.kind for verdict in report.verdicts} == {"ok"}
    assert report.signed_by == public.key_id
    assert report.evidence_sha == evidence.sha256(files[layout.MANIFEST])
    assert json.loads(files[layout.ESTIMATE])["evidenceSha"] == report.evidence_sha


def test_without_a_key_a_signature_is_unchecked_and_no_problem(folder: Path) -> None:
    report = check(folder)
    kinds = {verdict.name: verdict.kind for verdict in report.verdicts if verdict.kind != "ok"}
    assert report.ok
    assert kinds == {layout.SIGNATURE: "unchecked", layout.CHAIN: "unchecked"}


def test_an_unsigned_pack_fails_only_where_a_key_is_given(
    tmp_path: Path, public: PublicKey
) -> None:
    folder = write(sealed(inputs()).files, tmp_path)
    assert check(folder).ok
    assert wrong(check(folder, public)) == {layout.SIGNATURE: "missing"}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "name",
    [
        "quotation.xlsx",
        "inputs/request.json",
        "inputs/upload/견적_요청.txt",
        "inputs/catalog/breakers.csv",
        "inputs/rules/kr-panel.toml",
        "inputs/company.toml",
        "evidence/2-breaker/output.json",
    ],
)
def test_a_changed_file_is_the_only_one_named(folder: Path, name: str, public: PublicKey) -> None:
    flip(folder / name)
    assert wrong(check(folder, public)) == {name: "changed"}


@pytest.mark.parametrize("name", [layout.ESTIMATE, layout.RUN])
def test_a_changed_file_outside_the_manifest_disagrees_with_the_sums(
    folder: Path, name: str
) -> None:
    flip(folder / name)
    assert wrong(check(folder)) == {name: "changed", layout.SUMS: "changed"}


def _forged_total(estimate: dict[str, Any]) -> None:
    estimate["totals"]["total"] = 1


def _forged_panels(estimate: dict[str, Any]) -> None:
    estimate["panels"] = []


def _forged_gate(estimate: dict[str, Any]) -> None:
    estimate["gates"][0]["passed"] = False


@pytest.mark.parametrize("forge", [_forged_total, _forged_panels, _forged_gate])
def test_a_forged_estimate_with_new_sums_is_caught(
    files: dict[str, bytes], tmp_path: Path, forge: Callable[[dict[str, Any]], None]
) -> None:
    estimate = json.loads(files[layout.ESTIMATE])
    forge(estimate)
    changed = evidence.with_sums({**files, layout.ESTIMATE: evidence.pretty(estimate)})
    report = check(write(changed, tmp_path / "forged"))
    assert wrong(report) == {layout.ESTIMATE: "changed"}
    assert code(report, layout.ESTIMATE) == "VERIFY_ESTIMATE"


def replace_in(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def _drop_line(path: Path) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))


def _repeat_line(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], *lines]))


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"0" * 64 + path.read_bytes()[64:]),
        _drop_line,
        _repeat_line,
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes() + b"0" * 64 + b"  ../outside\n"),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.write_bytes(b""),
    ],
)
def test_changed_sums_are_named(
    folder: Path, change: Callable[[Path], None], public: PublicKey
) -> None:
    change(folder / layout.SUMS)
    assert wrong(check(folder, public))[layout.SUMS] == "changed"


def sums_again(folder: Path) -> None:
    """Do as a forger does who changes a file: write SHA256SUMS anew."""
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != layout.SUMS
    }
    (folder / layout.SUMS).write_bytes(checksums(found))


def test_a_forged_document_manifest_and_sums_fail_the_signature(
    folder: Path, public: PublicKey
) -> None:
    path = folder / "quotation.xlsx"
    before = evidence.sha256(path.read_bytes()).encode()
    flip(path)
    replace_in(folder / layout.MANIFEST, before, evidence.sha256(path.read_bytes()).encode())
    sums_again(folder)
    assert wrong(check(folder, public)) == {
        layout.MANIFEST: "changed",
        layout.SIGNATURE: "changed",
        layout.CHAIN: "changed",
        layout.ESTIMATE: "changed",
    }
    assert set(wrong(check(folder))) == {layout.SIGNATURE, layout.CHAIN, layout.ESTIMATE}


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b'"revision":1', b'"revision":2'),
        lambda data: data + b"\n",
        lambda data: data.replace(b'"_type"', b'"_type":"x","_type"'),
        lambda _data: b"[]",
        lambda _data: b"[" * 100_000,
        lambda _data: b"",
    ],
)
def test_a_changed_manifest_is_named(
    folder: Path, change: Callable[[bytes], bytes], public: PublicKey
) -> None:
    path = folder / layout.MANIFEST
    path.write_bytes(change(path.read_bytes()))
    assert wrong(check(folder, public))[layout.MANIFEST] == "changed"


@pytest.mark.parametrize("name", [layout.SIGNATURE, layout.CHAIN])
@pytest.mark.parametrize(
    "change",
    [
        lambda table: table["signatures"][0].update(sig="A" * 86 + "=="),
        lambda table: table["signatures"][0].update(keyid="0" * 64),
        lambda table: table.update(signatures=[]),
        lambda table: table.update(signatures=[1]),
        lambda table: table.update(payloadType="text/plain"),
        lambda table: table.update(payload="e30="),
        lambda table: table.update(payload="*"),
        lambda table: table.update(extra=1),
        lambda table: table.clear(),
    ],
)
def test_a_changed_signature_is_named(
    folder: Path, name: str, change: Callable[[dict[str, object]], None], public: PublicKey
) -> None:
    path = folder / name
    table = json.loads(path.read_bytes())
    change(table)
    path.write_bytes(canonical(table))
    sums_again(folder)
    assert wrong(check(folder, public)) == {name: "changed"}


def test_another_key_did_not_sign(folder: Path, stranger: SigningKey) -> None:
    report = check(folder, stranger.public)
    assert wrong(report) == {layout.SIGNATURE: "changed", layout.CHAIN: "changed"}
    assert code(report, layout.SIGNATURE) == "VERIFY_SIGNATURE"
    assert report.signed_by is None


def test_a_signature_from_another_pack_is_named(
    folder: Path, runs: list[Estimate], public: PublicKey
) -> None:
    (folder / layout.SIGNATURE).write_bytes(runs[0].files[layout.SIGNATURE])
    sums_again(folder)
    report = check(folder, public)
    assert wrong(report) == {layout.SIGNATURE: "changed", layout.MANIFEST: "changed"}
    assert code(report, layout.SIGNATURE) == "VERIFY_OTHER_MANIFEST"


@pytest.mark.parametrize(
    "name", [layout.SIGNATURE, layout.CHAIN, layout.ESTIMATE, layout.RUN, "quotation.xlsx"]
)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert wrong(check(folder)) == {name: "missing"}


def test_without_sums_the_pack_fails(folder: Path) -> None:
    (folder / layout.SUMS).unlink()
    assert wrong(check(folder)) == {layout.SUMS: "missing"}


def test_without_a_manifest_the_sums_still_judge(folder: Path) -> None:
    (folder / layout.MANIFEST).unlink()
    orphans = {layout.ESTIMATE: "changed", layout.SIGNATURE: "changed", layout.CHAIN: "changed"}
    expected = {layout.MANIFEST: "missing", **orphans}
    report = check(folder)
    assert wrong(report) == expected
    assert report.response("en-US")["number"] is None
    flip(folder / "quotation.xlsx")
    found = wrong(check(folder))
    assert found == {**expected, "quotation.xlsx": "changed", layout.SUMS: "changed"}


def test_an_extra_file_is_named_also_when_the_sums_list_it(folder: Path) -> None:
    (folder / "drawings" / "extra.svg").write_text("<svg/>")
    assert wrong(check(folder)) == {"drawings/extra.svg": "extra"}
    sums_again(folder)
    assert wrong(check(folder)) == {"drawings/extra.svg": "extra"}


def test_a_renamed_file_is_missing_and_extra(folder: Path) -> None:
    (folder / "quotation.xlsx").rename(folder / "quotation2.xlsx")
    found = wrong(check(folder))
    assert (found["quotation.xlsx"], found["quotation2.xlsx"]) == ("missing", "extra")


def test_a_stripped_pack_with_a_manifest_of_its_own_is_not_complete(
    folder: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    kept = {name: files[name] for name in ("quotation.xlsx", "quotation.pdf")}
    statement = json.loads(files[layout.MANIFEST])
    statement["subject"] = [
        {"name": name, "digest": {"sha256": evidence.sha256(data)}}
        for name, data in sorted(kept.items())
    ]
    manifest = canonical(statement)
    stripped = {**kept, layout.MANIFEST: manifest, layout.RUN: files[layout.RUN]}
    table = json.loads(files[layout.ESTIMATE])
    table["evidenceSha"] = evidence.sha256(manifest)
    stripped[layout.ESTIMATE] = evidence.pretty(table)
    found = wrong(check(write(evidence.with_sums(stripped), tmp_path / "stripped")))
    assert found == dict.fromkeys(layout.missing_parts(kept), "missing")
    assert "inputs/request.json" in found
    assert wrong(check(folder)) == {}


def test_links_pipes_and_names_that_no_file_should_have(folder: Path) -> None:
    (folder / "quotation.xlsx").rename(folder.parent / "moved.xlsx")
    (folder / "quotation.xlsx").symlink_to(folder.parent / "moved.xlsx")
    (folder / "more").symlink_to(folder.parent)
    os.mkfifo(folder / "pipe")
    (folder / "a\nb").write_text("")
    (folder / os.fsdecode(b"\xff")).write_text("")
    report = check(folder)
    assert wrong(report) == {
        "quotation.xlsx": "unsafe",
        "more": "unsafe",
        "pipe": "unsafe",
        "a\\nb": "unsafe",
        "\\udcff": "unsafe",
    }
    assert code(report, "quotation.xlsx") == "PACK_LINK"
    assert code(report, "pipe") == "PACK_KIND"


@pytest.mark.parametrize(
    "withheld",
    [
        ["inputs/request.json", "quotation.xlsx"],
        ["inputs/request.json", "inputs/company.toml"],
        ["inputs/request.json", "inputs/request.json"],
        ["inputs/request.json", "inputs/other"],
        ["inputs/request.json", 1],
        [],
    ],
)
def test_a_list_of_withheld_files_that_lies_is_named(
    folder: Path, files: dict[str, bytes], withheld: list[object]
) -> None:
    (folder / "inputs/request.json").unlink()
    table = {"evidenceSha": evidence.sha256(files[layout.MANIFEST]), "withheld": withheld}
    (folder / layout.WITHHELD).write_bytes(evidence.pretty(table))
    sums_again(folder)
    assert wrong(check(folder))[layout.WITHHELD] == "changed"


def test_a_planted_list_of_withheld_files_hides_nothing(
    folder: Path, files: dict[str, bytes]
) -> None:
    (folder / "quotation.xlsx").unlink()
    table = {
        "evidenceSha": evidence.sha256(files[layout.MANIFEST]),
        "withheld": ["quotation.xlsx", "inputs/request.json"],
    }
    (folder / layout.WITHHELD).write_bytes(evidence.pretty(table))
    sums_again(folder)
    found = wrong(check(folder))
    assert found == {"quotation.xlsx": "missing", layout.WITHHELD: "changed"}


def test_a_rerun_keeps_its_evidence_sha(runs: list[Estimate], signer: SigningKey) -> None:
    again = sealed(inputs("KIS-20260131-0002"), signer)
    assert again.files[layout.MANIFEST] == runs[1].files[layout.MANIFEST]
    assert again.files[layout.SIGNATURE] == runs[1].files[layout.SIGNATURE]
    other = sealed(inputs("KIS-20260131-0002", SCHEDULE.replace("8개", "9개")))
    assert other.files[layout.MANIFEST] != runs[1].files[layout.MANIFEST]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    name=st.sampled_from(
        [layout.MANIFEST, layout.SIGNATURE, layout.CHAIN, layout.SUMS, layout.ESTIMATE]
    ),
    at=st.floats(0, 1),
    junk=st.binary(min_size=1, max_size=40),
    cut=st.integers(0, 40),
)
def test_random_damage_is_always_found(
    tmp_path: Path,
    chain: list[tuple[dict[str, bytes], object]],
    public: PublicKey,
    name: str,
    at: float,
    junk: bytes,
    cut: int,
) -> None:
    files = chain[2][0]
    data = files[name]
    place = int(at * len(data))
    damaged = data[:place] + junk + data[place + cut :]
    path = tmp_path / "pack.zip"
    path.write_bytes(zip_bytes({**files, name: damaged}))
    assert check(path, public).ok == (damaged == data)
