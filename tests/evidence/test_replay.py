"""A pack run again from its own inputs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.evidence.packs import cheaper, inputs, sealed, write

from kis_estimator import evidence
from kis_estimator.errors import KisError
from kis_estimator.evidence import Difference, layout
from kis_estimator.service import replay as replaying
from kis_estimator.service.replay import Replay


def replay(folder: Path) -> Replay:
    with evidence.open_pack(folder) as pack:
        return replaying.replay(pack)


def change(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def test_a_pack_replays_byte_by_byte(folder: Path, files: dict[str, bytes]) -> None:
    result = replay(folder)
    assert result.identical
    assert result.files == len(files.keys() - layout.OUTSIDE) + 1
    assert result.totals == {}
    assert result.recorded_version == result.version


def test_a_changed_document_is_the_difference(folder: Path) -> None:
    (folder / "quotation.xlsx").write_bytes(b"PK")
    found = replay(folder).difference
    assert found is not None
    assert (found.file, found.field, found.recorded) == ("quotation.xlsx", None, "2 B")


def test_a_changed_rule_is_found_where_it_acts_with_the_field(folder: Path) -> None:
    change(folder / layout.RULES, b"version = ", b"# changed\nversion = ")
    found = replay(folder).difference
    assert found is not None
    assert (found.file, found.field) == ("evidence/1-enclosure/input.json", "rulesSha")
    assert found.recorded != found.made


def test_a_changed_price_names_field_and_totals(folder: Path) -> None:
    cheaper(folder / "inputs/catalog/breakers.csv")
    result = replay(folder)
    assert result.difference is not None
    assert result.difference.file == "evidence/1-enclosure/input.json"
    assert result.difference.field == "catalogSha"
    recorded, made = result.totals["total"]
    assert recorded is not None
    assert recorded > made
    assert result.response()["totals"]["total"] == {"recorded": recorded, "replayed": made}


def test_a_changed_value_of_a_stage_is_named_with_both_values(folder: Path) -> None:
    path = folder / "evidence/1-enclosure/output.json"
    table = json.loads(path.read_bytes())
    width = table[0]["enclosure"]["widthMm"]
    table[0]["enclosure"]["widthMm"] = width + 100
    path.write_bytes(evidence.pretty(table))
    expected = Difference(
        "evidence/1-enclosure/output.json",
        "[0].enclosure.widthMm",
        str(width + 100),
        str(width),
    )
    assert replay(folder).difference == expected


def test_another_engine_version_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]
) -> None:
    recorded = json.loads(files[layout.MANIFEST])["predicate"]["engineVersion"]
    monkeypatch.setattr(replaying, "__version__", "99.0")
    result = replay(folder)
    assert (result.recorded_version, result.version) == (recorded, "99.0")


def test_files_that_only_one_run_has(folder: Path, files: dict[str, bytes]) -> None:
    (folder / "quotation.xlsx").unlink()
    assert replay(folder).difference == Difference(
        "quotation.xlsx", None, "–", f"{len(files['quotation.xlsx']):,} B"
    )


def test_a_customers_pack_cannot_be_replayed(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "customer.zip"
    with evidence.open_pack(folder) as pack, evidence.new_file(path) as out:
        evidence.export_for_customer(pack, out)
    with pytest.raises(KisError, match="PACK_WITHOUT"):
        replay(path)


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        (layout.OPTIONS, b"{}", "PACK_OPTIONS"),
        (layout.OPTIONS, b"[" * 100_000, "PACK_OPTIONS"),
        (layout.RULES, b"version = 1", "RULES_INVALID"),
        ("inputs/catalog/catalog.toml", b"", "CATALOG_ROW"),
        ("inputs/catalog/breakers.csv", b"\xff", "CATALOG_ROW"),
        (layout.COMPANY, b"=", "COMPANY_INVALID"),
        (layout.MANIFEST, b"{}", "PACK_WITHOUT"),
        ("inputs/upload/견적_요청.txt", b"%PDF", "NOT_A_WORKBOOK"),
        (layout.COMPANY, b"name = " + b"[" * 100_000, "COMPANY_INVALID"),
        (layout.RULES, b"version = " + b"[" * 100_000, "REPLAY_FAILED|RULES_INVALID"),
        ("inputs/catalog/catalog.toml", b"a = " + b"[" * 100_000, "REPLAY_FAILED|CATALOG_ROW"),
    ],
)
def test_broken_inputs_are_told_and_never_crash(
    folder: Path, name: str, data: bytes, code: str
) -> None:
    (folder / name).write_bytes(data)
    with pytest.raises(KisError, match=code):
        replay(folder)


def test_a_second_upload_is_not_guessed_at(folder: Path) -> None:
    (folder / "inputs/upload/other.txt").write_text("메인 4P 50A")
    with pytest.raises(KisError, match="PACK_WITHOUT"):
        replay(folder)


def test_every_kind_of_upload_replays(examples: Path, tmp_path: Path) -> None:
    for path in sorted(examples.glob("0*")):
        given = replace(inputs(), upload_name=path.name, upload=path.read_bytes())
        folder = write(sealed(given).files, tmp_path / path.stem)
        assert replay(folder).identical, path.name


def test_whatever_breaks_the_run_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr(replaying, "estimate", broken)
    with pytest.raises(KisError, match="REPLAY_FAILED"):
        replay(folder)
