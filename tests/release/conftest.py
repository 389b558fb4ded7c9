"""A release that was cut once; tests change copies."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.release.trees import Tree, new_tree

from kis_estimator.evidence.keys import PublicKey, load_public_key, make_keys
from kis_estimator.release import Outcome


@dataclass(frozen=True)
class Keys:
    """A pair of keys, in files and loaded."""

    private: Path
    public: Path

    @property
    def loaded(self) -> PublicKey:
        return load_public_key(self.public)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(*make_keys(tmp_path_factory.mktemp("keys"))[1:])


@pytest.fixture
def tree(tmp_path: Path, root: Path) -> Tree:
    return new_tree(tmp_path / "checkout", root)


@pytest.fixture(scope="session")
def released(
    tmp_path_factory: pytest.TempPathFactory, root: Path, keys: Keys
) -> tuple[Tree, Outcome]:
    """Return a checkout and the release that was cut from it."""
    tree = new_tree(tmp_path_factory.mktemp("released") / "checkout", root)
    return tree, tree.cut(keys.private)


@pytest.fixture
def folder(released: tuple[Tree, Outcome], tmp_path: Path) -> Path:
    """Return a copy of the release."""
    return Path(shutil.copytree(released[1].folder, tmp_path / "v9.9.9"))
