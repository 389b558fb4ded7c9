"""What a customer gets: documents, manifest, signature; no input, purchase price or markup."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path

import pytest
from tests.evidence.packs import check, wrong, zip_bytes

from kis_estimator import evidence
from kis_estimator.errors import KisError
from kis_estimator.evidence import layout
from kis_estimator.evidence.keys import PublicKey


def exported(folder: Path, *, customer: bool) -> bytes:
    out = io.BytesIO()
    with evidence.open_pack(folder) as pack:
        if customer:
            evidence.export_for_customer(pack, out)
        else:
            evidence.export(pack, out)
    return out.getvalue()


def unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def customer(folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "customer.zip"
    path.write_bytes(exported(folder, customer=True))
    return path


def test_a_whole_export_is_the_pack(folder: Path, files: dict[str, bytes]) -> None:
    assert unzipped(exported(folder, customer=False)) == files
    assert exported(folder, customer=False) == exported(folder, customer=False)


def test_a_customer_gets_documents_manifest_and_signature(
    customer: Path, files: dict[str, bytes]
) -> None:
    given = unzipped(customer.read_bytes())
    made = {layout.WITHHELD, layout.SUMS}
    assert all(files[name] == given[name] for name in given.keys() - made)
    documents = {name for name in files if re.match(r"quotation\.|drawings/", name)}
    assert given.keys() == documents | {layout.MANIFEST, layout.SIGNATURE} | made
    listed = {entry["name"] for entry in json.loads(given[layout.MANIFEST])["subject"]}
    assert set(json.loads(given[layout.WITHHELD])["withheld"]) == listed - documents


def test_verify_says_withheld_and_not_missing(customer: Path, public: PublicKey) -> None:
    report = check(customer, public)
    assert report.ok
    kinds = {verdict.name: verdict.kind for verdict in report.verdicts}
    assert kinds["inputs/request.json"] == kinds["evidence/1-enclosure/input.json"] == "withheld"
    assert kinds["quotation.xlsx"] == "ok"


def test_a_customers_pack_is_not_exported_again(customer: Path) -> None:
    with evidence.open_pack(customer) as pack, pytest.raises(KisError, match="EXPORT_OF_CUSTOMER"):
        evidence.export_for_customer(pack, io.BytesIO())


def test_a_changed_customer_pack_is_caught(customer: Path, public: PublicKey) -> None:
    given = unzipped(customer.read_bytes())

    def after(**changed: bytes | None) -> dict[str, str]:
        kept = {**given, **{name.replace("__", "."): data for name, data in changed.items()}}
        files = {name: data for name, data in kept.items() if data is not None}
        customer.write_bytes(zip_bytes(evidence.with_sums(files)))
        return wrong(check(customer, public))

    table = json.loads(given[layout.WITHHELD])
    forged = {"quotation.xlsx": "changed", layout.SUMS: "changed"}
    assert after(quotation__xlsx=b"PK") == forged
    assert after(quotation__xlsx=None) == {"quotation.xlsx": "missing"}
    assert set(after(withheld__json=None).values()) == {"missing"}
    table["withheld"].remove("inputs/request.json")
    assert after(withheld__json=evidence.pretty(table)) == {"inputs/request.json": "missing"}
    for junk in (b"[]", b'{"evidenceSha":1,"withheld":[]}', b'{"evidenceSha":"","withheld":[]}'):
        assert after(withheld__json=junk)[layout.WITHHELD] == "changed"


def test_a_pack_that_does_not_verify_is_not_exported(folder: Path) -> None:
    (folder / "quotation.xlsx").write_bytes(b"")
    with pytest.raises(KisError, match="EXPORT_FAULTY"):
        exported(folder, customer=True)


def test_a_written_file_is_whole_and_replaces_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with pytest.raises(ZeroDivisionError), evidence.new_file(path) as out:
        out.write(b"%d" % (1 // 0))
    assert list(tmp_path.iterdir()) == []
    with evidence.new_file(path) as out:
        out.write(b"whole")
    with pytest.raises(KisError, match="FILE_EXISTS"), evidence.new_file(path) as out:
        out.write(b"other")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.zip", b"whole")]
    with pytest.raises(KisError, match="FILE_UNWRITABLE"), evidence.new_file(path / "b.zip"):
        pass
