"""The files a caller gives are read whole or refused, and the environment is read once."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kis_estimator import service
from kis_estimator.cli import app
from kis_estimator.cli import evidence as packs
from kis_estimator.cli.common import print_json, read_file, read_whole
from kis_estimator.cli.estimate import _COMPANY_LIMIT, _company, _signer
from kis_estimator.documents.supplier import SEAL_LIMIT, placeholder_bytes
from kis_estimator.errors import KisError
from kis_estimator.evidence.keys import PRIVATE, load_public_key, make_keys
from kis_estimator.settings import Settings, read_settings


def run(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings({"KIS_HOME": str(tmp_path)})


def test_a_file_is_read_up_to_its_limit_and_refused_beyond(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(2**20))
    assert read_file(path, "--chain", 2**20) == bytes(2**20)
    with pytest.raises(KisError, match="FILE_TOO_LARGE") as caught:
        read_file(path, "--chain", 2**20 - 2**19)
    (notice,) = caught.value.notices
    assert (notice.message("en-US"), notice.text) == (
        "The file is larger than 0.5 MB", str(path)
    )  # fmt: skip
    with pytest.raises(KisError, match="FILE_UNREADABLE"):
        read_file(tmp_path, "--chain", 1)
    with pytest.raises(KisError, match="FILE_TOO_LARGE"):
        read_whole(io.BytesIO(b"ab"), "-", 1)


def test_company_and_seal_are_never_cut_short(tmp_path: Path, settings: Settings) -> None:
    company = tmp_path / "company.toml"
    company.write_bytes(placeholder_bytes() + b"#" * _COMPANY_LIMIT)
    with pytest.raises(KisError, match="FILE_TOO_LARGE"):
        _company(None, settings)
    company.write_bytes(b'seal = "seal.png"\n')
    (tmp_path / "seal.png").write_bytes(bytes(SEAL_LIMIT))
    assert _company(None, settings).seal == bytes(SEAL_LIMIT)
    (tmp_path / "seal.png").write_bytes(bytes(SEAL_LIMIT + 1))
    with pytest.raises(KisError, match="FILE_TOO_LARGE"):
        _company(None, settings)


def test_input_form_and_log_are_never_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIS_HOME", str(tmp_path))
    monkeypatch.setattr(service, "MAX_INPUT", 100)
    monkeypatch.setattr(packs, "_LOG_LIMIT", 100)
    small, large = tmp_path / "small.txt", tmp_path / "large.txt"
    small.write_text("메인 4P 50A, 누전 2P 20A 2개", encoding="utf-8")
    large.write_text("메인 4P 50A, 누전 2P 20A 2개" + " " * 100, encoding="utf-8")
    assert run("validate", small)[0] == 0
    for arguments in (
        ("validate", large),
        ("estimate", large, "-o", tmp_path),
        ("estimate", small, "-o", tmp_path, "--template", large),
        ("evidence", "verify", "--chain", large),
    ):
        code, output = run(*arguments)
        assert (code, "FILE_TOO_LARGE" in output) == (2, True), arguments
        assert "large.txt" in output
    done = CliRunner().invoke(app, ["validate", "-"], input=large.read_bytes())
    assert (done.exit_code, "FILE_TOO_LARGE" in done.output) == (2, True)


def test_the_environment_names_the_signing_key(tmp_path: Path) -> None:
    key, private, public = make_keys(tmp_path)
    assert _signer(read_settings({})) is None
    assert _signer(read_settings({"KIS_SIGNING_KEY": ""})) is None
    given = read_settings({"KIS_SIGNING_KEY": str(tmp_path / PRIVATE)})
    assert given.signing_key == private
    signer = _signer(given)
    assert signer is not None
    assert signer.public.key_id == load_public_key(public).key_id == key.key_id
    private.chmod(0o644)
    with pytest.raises(KisError, match="KEY_PERMISSIONS"):
        _signer(given)


def test_a_run_is_signed_with_the_key_of_the_settings(
    examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, private, public = make_keys(tmp_path)
    monkeypatch.setenv("KIS_HOME", str(tmp_path))
    monkeypatch.setenv("KIS_SIGNING_KEY", str(private))
    out = tmp_path / "out"
    assert run("estimate", examples / "05_request.txt", "-o", out, "-q", "--number", "N")[0] == 0
    assert run("evidence", "verify", out / "N", "--pubkey", public)[0] == 0


def test_json_holds_no_character_that_a_terminal_obeys(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    value = {"한\x1b\x9b": ["\u202e\x7f\n\U000e0001", 1]}
    print_json(value)
    text = capfdbinary.readouterr().out.decode()
    assert json.loads(text) == value
    assert all(line.isprintable() for line in text.splitlines())
    assert "한" in text
