"""The commands `kis evidence`: what they print, and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.evidence.packs import cheaper, inputs, sealed, write
from typer.testing import CliRunner

from kis_estimator import evidence
from kis_estimator.cli.evidence import app
from kis_estimator.evidence import layout
from kis_estimator.evidence.chain import ChainRecord
from kis_estimator.evidence.keys import PRIVATE, PUBLIC, load_public_key, load_signing_key
from kis_estimator.service import replay as replaying

Linked = list[tuple[dict[str, bytes], ChainRecord]]


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")


def kis(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    code, output = kis("keygen", "-o", tmp_path / "keys")
    assert code == 0
    assert load_public_key(tmp_path / "keys" / PUBLIC).key_id in output
    assert "PRIVATE KEY" not in output
    return tmp_path / "keys"


def test_keygen_overwrites_nothing(keys: Path) -> None:
    code, output = kis("keygen", "-o", keys)
    assert code == 2
    assert "KEY_EXISTS" in output


def test_verify_ends_with_0_and_1_and_names_the_file(
    folder: Path, keys: Path, files: dict[str, bytes]
) -> None:
    code, output = kis("verify", folder)
    assert code == 0
    assert evidence.sha256(files[layout.MANIFEST]) in output
    assert "unchecked" in output
    assert kis("verify", folder, "--pubkey", keys / PUBLIC)[0] == 1
    (folder / "quotation.xlsx").write_bytes(b"")
    (folder / "[red]x").write_bytes(b"")
    code, output = kis("verify", folder, "--json")
    answer = json.loads(output)
    assert (code, answer["ok"]) == (1, False)
    verdicts = {v["file"]: v["verdict"] for v in answer["packs"][0]["verdicts"]}
    assert (verdicts["quotation.xlsx"], verdicts["[red]x"]) == ("changed", "extra")
    code, output = kis("verify", folder)
    assert code == 1
    assert "[red]x" in output


def test_verify_a_chain(chain: Linked, tmp_path: Path) -> None:
    for files, record in chain:
        write(files, tmp_path / record.number)
    log = tmp_path / evidence.LOG
    log.write_bytes(b"".join(files[layout.CHAIN] + b"\n" for files, _ in chain))
    code, output = kis("verify", "--chain", log)
    assert code == 0
    assert chain[2][1].sha in output
    code, output = kis("verify", "--chain", log, tmp_path / "KIS-20260131-0002", "--json")
    answer = json.loads(output)
    assert (code, len(answer["packs"]), answer["chain"]["ok"]) == (0, 1, True)
    log.write_bytes(log.read_bytes().partition(b"\n")[2])
    assert kis("verify", "--chain", log)[0] == 1


@pytest.mark.parametrize("arguments", [("verify",), ("verify", "none"), ("replay", "none")])
def test_a_wrong_call_ends_with_2(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [a if a != "none" else str(tmp_path / a) for a in arguments])
    assert done.exit_code == 2


def test_a_file_that_is_no_pack_fails_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(b"x")
    code, output = kis("verify", path)
    assert code == 1
    assert "unsafe" in output


def test_export_then_verify(folder: Path, tmp_path: Path) -> None:
    for customer in ((), ("--customer",)):
        path = tmp_path / f"{len(customer)}.zip"
        assert kis("export", *customer, folder, "-o", path)[0] == 0
        assert kis("verify", path)[0] == 0
        code, output = kis("export", *customer, folder, "-o", path)
        assert code == 2
        assert "FILE_EXISTS" in output
    assert "withheld" in kis("verify", tmp_path / "1.zip")[1]


def test_replay_ends_with_0_and_1(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, output = kis("replay", folder)
    assert code == 0
    assert "identical" in output
    assert json.loads(kis("replay", folder, "--json")[1])["identical"] is True
    rules = folder / layout.RULES
    rules.write_bytes(b"# changed\n" + rules.read_bytes())
    code, output = kis("replay", folder)
    assert code == 1
    assert "rulesSha" in output
    cheaper(folder / "inputs/catalog/breakers.csv")
    monkeypatch.setattr(replaying, "__version__", "99.0")
    code, output = kis("replay", folder)
    assert (code, "99.0" in output, "won" in output) == (1, True, True)
    assert json.loads(kis("replay", folder, "--json")[1])["difference"]["file"]


def test_chained_packs_verify_with_the_public_key_alone(keys: Path, tmp_path: Path) -> None:
    signer = load_signing_key(keys / PRIVATE)
    files, _ = evidence.link_pack(sealed(inputs(), signer).files, None, signer)
    code, output = kis("verify", write(files, tmp_path / "own"), "--pubkey", keys / PUBLIC)
    assert code == 0
    assert "Signed by" in output
