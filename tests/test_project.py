"""The project's own rules that no linter knows."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60


@pytest.fixture(scope="session")
def sources(root: Path) -> dict[str, str]:
    files = sorted((root / "src").rglob("*.py"))
    assert files
    return {str(file.relative_to(root)): file.read_text(encoding="utf-8") for file in files}


def pins(lock: Path) -> set[str]:
    return set(re.findall(r"^[\w.-]+==\S+", lock.read_text(encoding="utf-8"), re.MULTILINE))


def function_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count a function's lines without its docstring: a formula's is its specification."""
    doc = function.body[0] if ast.get_docstring(function) is not None else None
    doc_lines = (doc.end_lineno or doc.lineno) - doc.lineno + 1 if doc else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - doc_lines


def test_source_files_are_short(sources: dict[str, str]) -> None:
    lengths = {name: text.count("\n") for name, text in sources.items()}
    assert {name: n for name, n in lengths.items() if n > MAX_FILE_LINES} == {}


def test_functions_are_short(sources: dict[str, str]) -> None:
    long = [
        f"{name}:{node.lineno} {node.name}"
        for name, text in sources.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and function_lines(node) > MAX_FUNCTION_LINES
    ]
    assert long == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_lock_pins_by_hash_and_names_no_index(root: Path, name: str) -> None:
    text = (root / name).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", text.strip())
    unhashed = [e for e in entries if not re.match(r"[\w.-]+==\S+ \\\n +--hash=sha256:", e)]
    assert unhashed == []
    assert re.findall(r".*(?:://|file:|--index|--find-links|--trusted).*", text) == []


def test_tests_run_with_the_versions_that_users_get(root: Path) -> None:
    assert pins(root / "requirements.lock") < pins(root / "requirements-dev.lock")


def test_every_ignored_lint_rule_has_a_reason(root: Path) -> None:
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    lint = text.partition("[tool.ruff.lint]")[2].partition("[tool.ruff.lint.mccabe]")[0]
    ignores = re.findall(r'^ +"[A-Z]+\d*",.*$', lint, re.MULTILINE)
    assert ignores
    assert [line for line in ignores if not re.search(r",\s+# \w", line)] == []


def test_every_example_is_described(examples: Path) -> None:
    table = (examples / "README.md").read_text(encoding="utf-8")
    described = re.findall(r"^\| `(\S+)` \|", table, re.MULTILINE)
    assert described == sorted(p.name for p in examples.iterdir() if p.name != "README.md")


def test_no_file_names_a_folder_of_one_machine(root: Path) -> None:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    files = [root / name for name in listing.split("\0") if (root / name).is_file()]
    assert files
    machine = re.compile(rb"(?<![\w.}])/(work|root|tmp)/")
    assert [str(file) for file in files if machine.search(file.read_bytes())] == []
