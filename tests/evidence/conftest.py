"""One signed pack and its keys, made once; tests change copies."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.evidence import packs

from kis_estimator import evidence
from kis_estimator.evidence.chain import ChainRecord
from kis_estimator.evidence.keys import PublicKey, SigningKey, load_signing_key, make_keys
from kis_estimator.service import Estimate


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    _, private, _ = make_keys(tmp_path_factory.mktemp("keys"))
    return load_signing_key(private)


@pytest.fixture(scope="session")
def public(signer: SigningKey) -> PublicKey:
    return signer.public


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    _, private, _ = make_keys(tmp_path_factory.mktemp("stranger"))
    return load_signing_key(private)


@pytest.fixture(scope="session")
def runs(signer: SigningKey) -> list[Estimate]:
    return [packs.sealed(packs.inputs(f"KIS-20260131-000{n}"), signer) for n in (1, 2, 3)]


@pytest.fixture(scope="session")
def chain(runs: list[Estimate], signer: SigningKey) -> list[tuple[dict[str, bytes], ChainRecord]]:
    linked: list[tuple[dict[str, bytes], ChainRecord]] = []
    for run in runs:
        linked.append(evidence.link_pack(run.files, linked[-1][1] if linked else None, signer))
    return linked


@pytest.fixture
def files(chain: list[tuple[dict[str, bytes], ChainRecord]]) -> dict[str, bytes]:
    """Return the files of a signed pack, third in its chain."""
    return dict(chain[2][0])


@pytest.fixture
def folder(files: dict[str, bytes], tmp_path: Path) -> Path:
    return packs.write(files, tmp_path / "KIS-20260131-0003")
