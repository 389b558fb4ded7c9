"""A small checkout that a release can be cut from: its gates copy reports, its wheel is tiny."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kis_estimator.release import Checkout, Outcome, Program, cut
from kis_estimator.release.definition import Definition, definition

VERSION = "9.9.9"
TAG = f"v{VERSION}-estimator"
CONTRACT = b"openapi: 3.1.0\n"
GATE_TEST = """\
#!/bin/sh
test "$1" = --reports && cp -r gates/test/. "$2" && echo "tests ran"
exit "$(cat gates/code)"
"""
GATE_BENCH = """\
#!/bin/sh
test "$1" = service && cat gates/bench.json
"""
CHANGELOG = f"""\
# Changelog

## [Unreleased]

## [{VERSION}] - 2026-01-31

### Added

- All of it.
"""
# A builder in the tree: nothing is fetched, so that the tests need no package index.
PYPROJECT = """\
[build-system]
requires = []
build-backend = "builder"
backend-path = ["."]
"""
BUILDER = f"""\
import zipfile
from pathlib import Path

NAME = "kis_estimator-{VERSION}"


def build_wheel(folder, config_settings=None, metadata_directory=None):
    wheel = NAME + "-py3-none-any.whl"
    with zipfile.ZipFile(Path(folder) / wheel, "w") as out:
        def put(name, text):
            out.writestr(zipfile.ZipInfo(name), text)
        for path in sorted(Path("src").rglob("*.py")):
            put(str(path.relative_to("src")), path.read_text())
        put("kis_estimator/migrations/1.sql", "select 1;")
        info = NAME + ".dist-info/"
        about = "Metadata-Version: 2.1\\nName: kis-estimator\\nVersion: {VERSION}\\n"
        put(info + "METADATA", about)
        put(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        put(info + "RECORD", "")
    return wheel
"""
MEASURED = {
    "latency": {
        "apiAndWorker": {
            "healthz": {"p95": 1.8},
            "getEstimate": {"p95": 3.8, "failed": 0},
            "searchCatalog": {"p95": 4.8},
            "postEstimate": {"p95": 16.6, "failed": 0},
        }
    },
    "runs": {"createdToCompletedAtOneASecond": {"p95": 367}},
    "start": {"againSec": {"p95": 3.1}},
}
PASSED = {
    "tests.test_contracts::test_stream": "passed",
    "tests.test_contracts::test_file": "passed",
    "tests.golden.test_goldset::test_case[1]": "passed",
    "tests.documents.test_pdf::test_it": "passed",
    "tests.test_e2e_supabase::test_1": "passed",
    "tests.deploy.test_steps::test_it": "passed",
    "tests.e2e.test_hostile::test_it": "passed",
    "tests.e2e.test_hostile::test_other": "passed",
}
RECORDED = {"rollbackApplicationSec": 4.1, "rollbackTotalSec": 71.5}
CHECKS = ("ruff check", "ruff format", "mypy", "lint-imports", "pytest", "previous release")


def junit(outcomes: Mapping[str, str], recorded: Mapping[str, object] = RECORDED) -> str:
    """Return a JUnit report of tests by name, as pytest writes it; the last recorded figures."""
    cases = []
    figures = "".join(f'<property name="{n}" value="{v}"/>' for n, v in recorded.items())
    cases.append(
        '<testcase classname="tests.test_figures" name="test_it" time="0">'
        f"<properties>{figures}</properties></testcase>"
    )
    for number, (name, outcome) in enumerate(outcomes.items(), start=1):
        module, _, test = name.partition("::")
        inside = "" if outcome == "passed" else f'<{outcome} message="why"/>'
        cases.append(
            f'<testcase classname="{module}" name="{test}" time="{number}">{inside}</testcase>'
        )
    return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>"


def checks(**outcomes: str) -> str:
    """Return checks.json; a check passed unless said otherwise (`ruff_check="failed"`)."""
    named = {name: outcomes.get(name.replace(" ", "_"), "passed") for name in CHECKS}
    return json.dumps([{"name": n, "outcome": o, "seconds": 1} for n, o in named.items()])


@dataclass(frozen=True)
class Tree:
    """A checkout in a folder of the test."""

    root: Path

    @property
    def output(self) -> Path:
        return self.root / "out/evidence"

    @property
    def checkout(self) -> Checkout:
        return Checkout.around(self.root)

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.root), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def write(self, name: str, text: str | bytes, *, mode: int = 0o644) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "As it is")

    def tests_end(self, outcomes: Mapping[str, str], code: int = 0) -> None:
        """Let the tests of the gate end so."""
        self.write("gates/test/pytest.xml", junit(outcomes))
        self.write("gates/code", str(code))

    def cut(self, key: Path | None, version: str = VERSION) -> Outcome:
        return cut(self.checkout, version, self.output, program(), key, quietly)

    def tags(self) -> list[str]:
        return self.git("tag").split()


def program(contract: bytes = CONTRACT, what: Definition | None = None) -> Program:
    return Program(contract, what or definition())


@contextmanager
def quietly(_code: str) -> Iterator[None]:
    yield


def new_git(tree: Tree) -> None:
    """Make a repository of a folder; no setting of the machine reaches it."""
    tree.git("init", "--quiet", "--initial-branch", "main")
    for name, value in {
        "user.name": "Releaser",
        "user.email": "releaser@kis-estimator.com",
        "commit.gpgSign": "false",
        "tag.gpgSign": "false",
    }.items():
        tree.git("config", name, value)


def put_gates(tree: Tree) -> None:
    """Put in gates that copy reports: everything passed."""
    tree.write("script/test", GATE_TEST, mode=0o755)
    tree.write("script/bench", GATE_BENCH, mode=0o755)
    tree.write("gates/test/checks.json", checks())
    tree.write("gates/bench.json", json.dumps(MEASURED))
    tree.tests_end(PASSED)


def new_tree(root: Path, project: Path) -> Tree:
    """Return a checkout that a release can be cut from; `project` lends its lock."""
    root.mkdir(parents=True)
    tree = Tree(root)
    for path in definition().files.values():
        file = path if "." in path else f"{path}/20260101000000_first.sql"
        tree.write(file, f"of {path}\n")
    tree.write("openapi.yaml", CONTRACT)
    tree.write("CHANGELOG.md", CHANGELOG)
    tree.write(".gitignore", "/out/\n")
    tree.write("pyproject.toml", PYPROJECT)
    tree.write("builder.py", BUILDER)
    tree.write("src/kis_estimator/__init__.py", f'__version__ = "{VERSION}"\n')
    tree.write("src/kis_deploy/__init__.py", "")
    tree.write("requirements.lock", (project / "requirements.lock").read_bytes())
    tree.write("requirements-dev.lock", (project / "requirements.lock").read_bytes())
    put_gates(tree)
    new_git(tree)
    tree.commit()
    return tree
