"""The chain: packs that are removed, added or reordered show."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path

import pytest
from tests.evidence.packs import check, inputs, sealed, write, wrong

from kis_estimator import evidence
from kis_estimator.errors import KisError
from kis_estimator.evidence import ChainReport, layout
from kis_estimator.evidence.chain import ChainRecord, next_record, sign_record
from kis_estimator.evidence.keys import PublicKey, SigningKey, load_signing_key, make_keys
from kis_estimator.service import Estimate

Linked = list[tuple[dict[str, bytes], ChainRecord]]


@pytest.fixture
def out(chain: Linked, tmp_path: Path) -> Path:
    """Return the output folder of an organisation: three packs and the log beside them."""
    for files, record in chain:
        write(files, tmp_path / record.number)
    lines = [files[layout.CHAIN] + b"\n" for files, _ in chain]
    (tmp_path / evidence.LOG).write_bytes(b"".join(lines))
    return tmp_path


def verified(out: Path, *keys: PublicKey) -> ChainReport:
    reports = {path.name: check(path, *keys) for path in evidence.packs_beside(out / evidence.LOG)}
    log = (out / evidence.LOG).read_bytes()
    return evidence.verify_chain(log, reports, keys, whole=True)


def found(report: ChainReport) -> dict[str, str]:
    return {v.name: v.notice.code for v in report.problems if v.notice}


def test_a_whole_chain_is_well_and_names_its_head(
    out: Path, chain: Linked, public: PublicKey
) -> None:
    report = verified(out, public)
    assert report.ok
    assert report.head == chain[2][1]
    assert {verdict.kind for verdict in report.verdicts} == {"ok"}


def test_without_keys_the_records_are_unchecked(out: Path) -> None:
    report = verified(out)
    assert report.ok
    assert [verdict.kind for verdict in report.verdicts[:3]] == ["unchecked"] * 3


def test_a_removed_pack_is_missing(out: Path, public: PublicKey) -> None:
    shutil.rmtree(out / "KIS-20260131-0002")
    assert found(verified(out, public)) == {"#2": "CHAIN_PACK_MISSING"}


def test_a_pack_removed_from_the_log_too_breaks_the_next_record(
    out: Path, public: PublicKey
) -> None:
    shutil.rmtree(out / "KIS-20260131-0002")
    lines = (out / evidence.LOG).read_bytes().splitlines(keepends=True)
    (out / evidence.LOG).write_bytes(lines[0] + lines[2])
    assert found(verified(out, public)) == {"#2": "CHAIN_ORDER"}


def test_reordered_records_are_named(out: Path, public: PublicKey) -> None:
    lines = (out / evidence.LOG).read_bytes().splitlines(keepends=True)
    (out / evidence.LOG).write_bytes(lines[0] + lines[2] + lines[1])
    assert found(verified(out, public)) == {"#2": "CHAIN_ORDER", "#3": "CHAIN_ORDER"}


def test_a_log_cut_at_its_end_lacks_the_pack_that_is_there(out: Path, public: PublicKey) -> None:
    lines = (out / evidence.LOG).read_bytes().splitlines(keepends=True)
    (out / evidence.LOG).write_bytes(lines[0] + lines[1])
    assert found(verified(out, public)) == {"KIS-20260131-0003": "CHAIN_UNLISTED"}


def test_two_packs_that_change_places_are_named(
    out: Path, runs: list[Estimate], signer: SigningKey, public: PublicKey
) -> None:
    """Whoever holds the key can sign another order, but not into the log that others keep."""
    swapped: ChainRecord | None = None
    for run in (runs[1], runs[0]):
        files, swapped = evidence.link_pack(run.files, swapped, signer)
        write(files, out / run.number)
    names = {"KIS-20260131-0001", "KIS-20260131-0002"}
    assert found(verified(out, public)) == dict.fromkeys(names, "CHAIN_UNLISTED")


def test_a_forged_or_broken_line_is_named(
    out: Path, runs: list[Estimate], stranger: SigningKey, public: PublicKey
) -> None:
    log = out / evidence.LOG
    lines = log.read_bytes().splitlines(keepends=True)
    forged, _ = evidence.link_pack(runs[0].files, None, stranger)
    log.write_bytes(forged[layout.CHAIN] + b"\n" + lines[1] + b"{}\n" + lines[2])
    report = found(verified(out, public))
    assert report == {"#1": "VERIFY_SIGNATURE", "#3": "VERIFY_BROKEN"}


def test_a_pack_without_its_record_is_named(out: Path, runs: list[Estimate]) -> None:
    shutil.rmtree(out / "KIS-20260131-0003")
    write(runs[2].files, out / "KIS-20260131-0003")
    assert found(verified(out)) == {"KIS-20260131-0003": "CHAIN_NO_RECORD"}


def test_one_pack_alone_against_the_log(out: Path, public: PublicKey) -> None:
    report = check(out / "KIS-20260131-0002", public)
    log = (out / evidence.LOG).read_bytes()
    assert evidence.verify_chain(log, {"2": report}, [public], whole=False).ok


def test_a_customers_zip_beside_the_log_is_in_it_but_replaces_no_pack(out: Path) -> None:
    whole, customer = out / "KIS-20260131-0002", out / "customer.zip"
    with evidence.open_pack(whole) as pack, evidence.new_file(customer) as file:
        evidence.export_for_customer(pack, file)
    assert verified(out).ok
    shutil.rmtree(out / "KIS-20260131-0002")
    assert found(verified(out)) == {"#2": "CHAIN_PACK_MISSING"}


def test_a_customers_zip_of_another_organisation_is_not_in_the_log(
    out: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = write(sealed(inputs("KIS-20990101-0001")).files, tmp_path_factory.mktemp("other"))
    with evidence.open_pack(other) as pack, evidence.new_file(out / "other.zip") as file:
        evidence.export_for_customer(pack, file)
    assert found(verified(out)) == {"other.zip": "CHAIN_UNLISTED"}


def test_an_empty_log_has_no_head() -> None:
    report = evidence.verify_chain(b"", {}, whole=True)
    assert report.response("ko-KR") == {"ok": True, "head": None, "verdicts": []}


def test_a_record_of_another_pack_is_named(folder: Path, chain: Linked) -> None:
    (folder / layout.CHAIN).write_bytes(chain[0][0][layout.CHAIN])
    assert wrong(check(folder))[layout.CHAIN] == "changed"


# ---------------------------------------------------------------- the log


def _link_some(log: Path, key: Path, name: str) -> None:
    signer = load_signing_key(key)
    for number in range(10):
        with evidence.locked_log(log) as chain:
            record = next_record("0" * 64, f"{name}-{number}", 1, chain.last)
            chain.append(record, sign_record(record, signer))


def test_processes_that_write_at_once_make_one_chain(tmp_path: Path) -> None:
    public, key, _ = make_keys(tmp_path)
    log = tmp_path / "out" / evidence.LOG
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_link_some, args=(log, key, name)) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    report = evidence.verify_chain(log.read_bytes(), {}, [public], whole=False)
    assert (report.ok, report.head and report.head.sequence) == (True, 20)


@pytest.mark.parametrize("end", [b"{", b"\n", b"{}\n"])
def test_a_damaged_log_is_not_gone_on_with(out: Path, end: bytes) -> None:
    log = out / evidence.LOG
    before = log.read_bytes() + end
    log.write_bytes(before)
    with pytest.raises(KisError, match="CHAIN_LOG_BROKEN"), evidence.locked_log(log):
        pass
    assert log.read_bytes() == before


def test_a_log_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / evidence.LOG).symlink_to(tmp_path / "other")
    log = tmp_path / evidence.LOG
    with pytest.raises(KisError, match="FOLDER_UNWRITABLE"), evidence.locked_log(log):
        pass
