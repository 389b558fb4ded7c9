"""The grammar, by its table of examples (grammar_cases.tsv: text -> fields)."""

from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kis_estimator.intake import Vocabulary
from kis_estimator.intake.grammar import SpecFields, parse_spec, tidied
from kis_estimator.intake.tokens import fold, tokenize

TABLE = Path(__file__).with_name("grammar_cases.tsv")
CASES = [line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines()[1:]]


def written(spec: SpecFields) -> str:
    """Return the fields that are said, as the table writes them."""
    said = []
    for entry in fields(SpecFields):
        value = getattr(spec, entry.name)
        if entry.name == "conflicts":
            value = "|".join(f"{name}:{','.join(values)}" for name, values in value)
        elif isinstance(value, frozenset):
            value = "|".join(sorted(value))
        elif isinstance(value, tuple):
            value = "|".join(value)
        if value not in {None, ""}:
            said.append(f"{entry.name}={value}")
    return "; ".join(said)


def test_the_table_is_large_enough() -> None:
    assert len(CASES) >= 80
    assert len({text for text, _ in CASES}) == len(CASES)


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[text for text, _ in CASES])
def test_example(text: str, expected: str, vocabulary: Vocabulary) -> None:
    assert written(parse_spec(text, vocabulary)) == expected


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[text for text, _ in CASES])
def test_case_and_width_do_not_matter(text: str, expected: str, vocabulary: Vocabulary) -> None:
    """Leftovers keep their own writing; everything else is the same."""
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)
    for variant in (text.lower(), text.upper(), wide):
        spec = parse_spec(variant, vocabulary)
        said = [part for part in written(spec).split("; ") if "leftovers" not in part]
        wanted = [part for part in expected.split("; ") if "leftovers" not in part]
        assert [p.upper() for p in said] == [p.upper() for p in wanted]


@given(st.permutations(["MCCB", "4P", "100AF", "75AT", "25kA", "380V", "LS", "x2"]))
def test_order_does_not_matter(vocabulary: Vocabulary, parts: list[str]) -> None:
    assert written(parse_spec(" ".join(parts), vocabulary)) == (
        "category=MCCB; poles=4; rated_current_a=75; frame_af=100; breaking_capacity_ka=25; "
        "voltage=380; brand=LS; quantity=2; devices=breaker"
    )


@given(st.text(max_size=60) | st.text("0123456789APFTkmV/-x. 차단기메인누전", max_size=40))
def test_any_text_is_taken(vocabulary: Vocabulary, text: str) -> None:
    folded = fold(text)
    tokens = tokenize(folded, vocabulary)
    assert all(a.end <= b.start for a, b in pairwise(tokens))
    assert all(folded[token.start : token.end] == token.text for token in tokens)
    parse_spec(text, vocabulary)


@given(st.text("([{)]} -a", max_size=12))
def test_tidying_drops_one_thing_at_a_time(text: str) -> None:
    """Separators at the ends go, and brackets there that close nothing or hold no others."""
    assert tidied(text) == by_definition(text)


def by_definition(text: str) -> str:
    text = text.strip(" -")
    opens, closes = (any(char in text for char in kind) for kind in ("([{", ")]}"))
    first, last = text[:1] or "a", text[-1:] or "a"
    if first in "([{" and last in ")]}" and not set(text[1:-1]) & set("()[]{}"):
        return by_definition(text[1:-1])
    if first in ")]}" or (first in "([{" and not closes):
        return by_definition(text[1:])
    if last in "([{" or (last in ")]}" and not opens):
        return by_definition(text[:-1])
    return text


@pytest.mark.parametrize("text", ["(" * 90_000, ")-" * 45_000, "a" + "[ " * 45_000])
def test_the_longest_text_of_brackets_is_tidied(text: str) -> None:
    assert tidied(text) in {"", "a"}
