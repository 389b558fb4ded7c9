"""Every code has its texts in both languages, and the texts name only what they are given."""

import ast
import string
from importlib.resources import files
from pathlib import Path

import pytest

from kis_estimator.errors import message_table
from kis_estimator.intake.request import _CODES

DYNAMIC = {
    *(f"{field}_CONFLICT" for field in (
        "KIND", "POLES", "RATING", "FRAME", "MODEL", "ROLE", "TIER", "QUANTITY",
        "LOCATION", "MOUNTING", "MATERIAL",
    )),
    "FORMULA_NO_VALUE", "FORMULA_NO_VALUE_PRICE", "CELL_ERROR", "CELL_ERROR_PRICE",
    *_CODES.values(),
    "FIELD_TYPE", "UNKNOWN_MODEL", "UNKNOWN_MODEL_FAR", "ACCESSORY_ASSUMED",
}  # fmt: skip


def codes_in(path: Path) -> set[str]:
    """Return the codes that a module passes to a notice or an error."""
    makers = ("Notice", ".of", ".notice", "_Refused", "say")
    return {
        str(node.args[0].value)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith(makers)
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }


INTAKE = sorted(Path(str(files("kis_estimator"))).joinpath("intake").glob("*.py"))
USED = set().union(*(codes_in(path) for path in INTAKE)) | DYNAMIC


@pytest.mark.parametrize("code", sorted(USED))
def test_code_has_its_texts(code: str) -> None:
    entry = message_table()[code]
    assert entry["ko"]
    assert entry["en"]


@pytest.mark.parametrize("code", sorted(message_table()))
def test_texts_agree(code: str) -> None:
    entry = message_table()[code]
    assert set(entry) <= {"ko", "en", "hint_ko", "hint_en"}
    assert ("hint_ko" in entry) == ("hint_en" in entry)
    for one, other in (("ko", "en"), ("hint_ko", "hint_en")):
        assert names(entry.get(one, "")) == names(entry.get(other, ""))


def names(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}
