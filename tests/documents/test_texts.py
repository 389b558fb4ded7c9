import re
import string
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kis_estimator.documents.lettering import clean, shorten, text_width

DOCUMENTS = Path(str(files("kis_estimator"))) / "documents"
TABLE = tomllib.loads(
    files("kis_estimator").joinpath("data/document_texts.toml").read_text(encoding="utf-8")
)
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS.rglob("*.py"))
UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
BUILT = re.compile(r"^(group|chain|gate)_")
BY_VALUE = {
    "indoor", "outdoor", "surface", "flush", "floor", "pole", "steel", "sus201",
    "accessory", "terminal", "duct", "busbar",
}  # fmt: skip


@pytest.mark.parametrize("key", TABLE)
def test_both_languages_take_the_same_parameters(key: str) -> None:
    fields = [
        {name for _, name, _, _ in string.Formatter().parse(TABLE[key][language]) if name}
        for language in ("ko", "en")
    ]
    assert fields[1] <= fields[0]


@pytest.mark.parametrize("key", [key for key in TABLE if not BUILT.match(key)])
def test_every_text_is_used(key: str) -> None:
    assert key in BY_VALUE or re.search(rf"""["']{key}["']""", SOURCES)


@given(st.text())
def test_clean_text_is_printable_and_stays_so(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert not re.search(
        r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", cleaned
    )


@given(st.text(max_size=60), st.floats(2, 40))
def test_a_shortened_line_fits(text: str, room: float) -> None:
    assert text_width(shorten(clean(text), room)) <= room
