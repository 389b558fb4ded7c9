"""Every part of a release changed on purpose: each is caught and named."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.release.conftest import Keys
from tests.release.trees import VERSION, Tree
from typer.testing import CliRunner

from kis_estimator import release
from kis_estimator.cli import app
from kis_estimator.evidence import Report, open_pack
from kis_estimator.evidence.envelope import STATEMENT, seal
from kis_estimator.evidence.keys import PublicKey, load_signing_key, make_keys
from kis_estimator.release import Outcome
from kis_estimator.release.statement import statement

SUMS, SIGNATURE, FACTS = "SHA256SUMS", "release.dsse.json", "release.json"
WHEEL = f"kis_estimator-{VERSION}-py3-none-any.whl"


def check(folder: Path, *keys: PublicKey) -> Report:
    with open_pack(folder) as pack:
        return release.verify(pack, keys)


def wrong(report: Report) -> dict[str, str]:
    return {verdict.name: verdict.kind for verdict in report.problems}


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def sums_again(folder: Path) -> None:
    """Do as a forger does who changes a file: write SHA256SUMS anew."""
    listed = [name for name in files(folder) if name not in {SUMS, SIGNATURE}]
    lines = [f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in listed]
    (folder / SUMS).write_text("".join(lines))


def sign_again(folder: Path, private: Path) -> None:
    """Sign whatever stands in the folder now."""
    sums_again(folder)
    data = (folder / SUMS).read_bytes()
    listed = {line[66:]: line[:64] for line in data.decode().splitlines()}
    facts = json.loads((folder / FACTS).read_bytes())
    payload = statement(listed, hashlib.sha256(data).hexdigest(), facts)
    (folder / SIGNATURE).write_bytes(seal(payload, STATEMENT, load_signing_key(private)))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes()) or bytearray(b"x")
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_an_untouched_release_has_one_verdict_per_file(folder: Path, keys: Keys) -> None:
    report = check(folder, keys.loaded)
    assert [verdict.name for verdict in report.verdicts] == files(folder)
    assert {verdict.kind for verdict in report.verdicts} == {"ok"}
    assert report.signed_by == keys.loaded.key_id


def test_without_a_key_the_signature_is_not_checked_and_has_not_passed(folder: Path) -> None:
    report = check(folder)
    kinds = {verdict.name: verdict.kind for verdict in report.verdicts if verdict.kind != "ok"}
    assert (report.ok, report.signed_by, kinds) == (True, None, {SIGNATURE: "unchecked"})


def test_another_key_did_not_sign(folder: Path, tmp_path: Path) -> None:
    stranger, _, _ = make_keys(tmp_path / "stranger")
    assert wrong(check(folder, stranger)) == {SIGNATURE: "changed"}


def test_each_file_changed_is_named(
    released: tuple[Tree, Outcome], folder: Path, keys: Keys
) -> None:
    for name in files(folder):
        before = (folder / name).read_bytes()
        flip(folder / name)
        found = wrong(check(folder, keys.loaded))
        assert found[name] == "changed", name
        assert name == SUMS or found.keys() <= {name, FACTS, SIGNATURE}, name
        (folder / name).write_bytes(before)
    assert check(folder, keys.loaded).ok
    assert check(released[1].folder, keys.loaded).ok


def test_each_file_missing_is_named(folder: Path, keys: Keys) -> None:
    for name in files(folder):
        before = (folder / name).read_bytes()
        (folder / name).unlink()
        assert wrong(check(folder, keys.loaded))[name] == "missing", name
        (folder / name).write_bytes(before)


def test_a_forger_without_the_key_is_caught(folder: Path, keys: Keys) -> None:
    for name in ("DEPLOYMENT_SCRIPT.sh", "reports/pytest.xml", "PROMOTION_READINESS_REPORT.md"):
        flip(folder / name)
        sums_again(folder)
        assert wrong(check(folder)) == {SIGNATURE: "changed"}  # also without a key
        found = wrong(check(folder, keys.loaded))
        assert (found[name], found[SUMS]) == ("changed", "changed")


def test_extra_files_links_and_pipes(folder: Path, keys: Keys) -> None:
    (folder / "extra.sh").write_text("#!/bin/sh\n")
    (folder / "reports/link").symlink_to("/etc/hostname")
    (folder / "openapi.yaml").unlink()
    (folder / "openapi.yaml").symlink_to("requirements.lock")
    os.mkfifo(folder / "pipe")
    assert wrong(check(folder, keys.loaded)) == {
        "extra.sh": "extra",
        "reports/link": "unsafe",
        "openapi.yaml": "unsafe",
        "pipe": "unsafe",
    }


@pytest.mark.parametrize(
    "line",
    ["0" * 64 + "  ../outside", "0" * 64 + "  /etc/passwd", "0" * 63 + "  a", "# comment", ""],
)
def test_sums_that_lead_out_are_not_followed(folder: Path, keys: Keys, line: str) -> None:
    with (folder / SUMS).open("a") as sums:
        sums.write(line + "\n")
    assert wrong(check(folder, keys.loaded)) == {SUMS: "changed"}


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"null", b"[" * 100_000, b"\xff", b'{"version": "9.9.9"}',
        b'{"a": ' + b"1" * 5000 + b"}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", [FACTS, SIGNATURE])
def test_odd_json_is_named(folder: Path, keys: Keys, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)
    sums_again(folder)
    assert wrong(check(folder, keys.loaded))[name] == "changed"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", "9.9.8"),
        ("version", "../../etc"),
        ("version", "9.9.9\n"),
        ("tag", "v9.9.9"),
        ("commit", "main"),
        ("openapiSha256", "0" * 64),
        ("createdAt", "yesterday"),
        ("createdAt", "\ud800"),
    ],
)
def test_facts_that_disagree_are_named_even_where_they_are_signed(
    folder: Path, keys: Keys, field: str, value: str
) -> None:
    facts = {**json.loads((folder / FACTS).read_bytes()), field: value}
    (folder / FACTS).write_text(json.dumps(facts))
    if value.isprintable():
        sign_again(folder, keys.private)
    else:
        sums_again(folder)
    assert wrong(check(folder, keys.loaded))[FACTS] == "changed"


@pytest.mark.parametrize(
    "make",
    [
        lambda out: out.writestr("kis_estimator-9.9.9.dist-info/METADATA", "Version: 1.0.0\n\n"),
        lambda out: out.writestr("other/METADATA", "Name: kis-estimator\nVersion: 9.9.9\n"),
        lambda out: out.writestr(
            "kis_estimator-9.9.9.dist-info/METADATA", b"\n" + b" " * (64 << 20)
        ),
    ],
)
def test_the_wheel_of_another_version_is_named_even_where_it_is_signed(
    folder: Path, keys: Keys, make: Callable[[zipfile.ZipFile], None]
) -> None:
    with zipfile.ZipFile(folder / WHEEL, "w", zipfile.ZIP_DEFLATED) as out:
        make(out)
    sign_again(folder, keys.private)
    assert wrong(check(folder, keys.loaded)) == {WHEEL: "changed"}


def test_a_wheel_that_is_no_zip_and_one_that_is_not_there(folder: Path, keys: Keys) -> None:
    (folder / WHEEL).write_bytes(b"PK")
    sign_again(folder, keys.private)
    assert wrong(check(folder, keys.loaded)) == {WHEEL: "changed"}
    (folder / WHEEL).unlink()
    sign_again(folder, keys.private)
    assert wrong(check(folder, keys.loaded)) == {WHEEL: "missing"}


def test_a_file_far_too_large_is_not_read(folder: Path, keys: Keys) -> None:
    with (folder / SIGNATURE).open("ab") as file:
        file.truncate(5 << 20)
    assert wrong(check(folder, keys.loaded)) == {SIGNATURE: "unsafe"}
    with (folder / "requirements.lock").open("ab") as file:
        file.truncate(600 << 20)  # sparse: no byte of it is on the disk
    assert wrong(check(folder, keys.loaded))["requirements.lock"] == "unsafe"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    name=st.sampled_from([SUMS, SIGNATURE, FACTS, WHEEL]),
    at=st.floats(0, 1),
    junk=st.binary(min_size=1, max_size=40),
    cut=st.integers(0, 40),
)
def test_random_damage_is_always_found(
    folder: Path, keys: Keys, name: str, at: float, junk: bytes, cut: int
) -> None:
    path = folder / name
    before = path.read_bytes()
    place = int(at * len(before))
    path.write_bytes(before[:place] + junk + before[place + cut :])
    report = check(folder, keys.loaded)
    same = path.read_bytes() == before
    path.write_bytes(before)
    assert report.ok == same


# ---------------------------------------------------------------- the command


def run(*arguments: str | Path) -> tuple[int, str]:
    environment = {"LANG": "en_US.UTF-8"}
    done = CliRunner().invoke(app, ["release", *map(str, arguments)], env=environment)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_the_command_says_who_signed_and_ends_with_0_1_or_2(folder: Path, keys: Keys) -> None:
    code, said = run("verify", folder, "--pubkey", keys.public)
    assert (code, keys.loaded.key_id in said, "unchecked" in said) == (0, True, False)
    code, said = run("verify", folder)
    assert code == 0
    assert "The signature was not checked" in said
    flip(folder / "openapi.yaml")
    code, said = run("verify", folder, "--pubkey", keys.public)
    assert code == 1
    assert "It differs from SHA256SUMS" in said
    code, said = run("verify", folder / "none")
    assert (code, "out/evidence/vX.Y.Z" in said, "estimate" in said) == (2, True, False)
    assert run("verify", folder, "--pubkey", folder / "openapi.yaml")[0] == 2


def test_its_json_has_every_verdict(folder: Path, keys: Keys) -> None:
    code, said = run("verify", folder, "--pubkey", keys.public, "--json")
    answer = json.loads(said)
    assert (code, answer["ok"], answer["signedBy"]) == (0, True, keys.loaded.key_id)
    assert answer["release"] == json.loads((folder / FACTS).read_bytes())
    assert [verdict["file"] for verdict in answer["verdicts"]] == files(folder)


@pytest.mark.parametrize("version", ["2.1.0", "v2.1", "v2.1.0-rc1", "v02.1.0", "v1.2.3\n", "v", ""])
def test_only_a_version_is_cut(version: str) -> None:
    code, said = run("cut", version)
    assert (code, "RELEASE_VERSION_FORM" in said) == (2, True)
