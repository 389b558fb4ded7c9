"""The deployer needs nothing but Python."""

import ast
import sys
from pathlib import Path


def test_imports_are_of_the_standard_library(root: Path) -> None:
    foreign = []
    for path in (root / "src/kis_deploy").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            roots = {name.partition(".")[0] for name in names}
            foreign += sorted(roots - sys.stdlib_module_names - {"kis_deploy"})
    assert foreign == []
