"""Quantities as customers write them: 2, 2EA, 2개, x2; anything else is an error, not a guess."""

from __future__ import annotations

from decimal import Decimal

from kis_estimator.errors import Notice
from kis_estimator.intake.grammar import tidied
from kis_estimator.intake.tokens import fold, number_in, tokenize
from kis_estimator.intake.vocabulary import Vocabulary, label_set

MAX_QUANTITY = 1000


def read_quantity(text: str, vocabulary: Vocabulary) -> int | Notice:
    """Return the quantity of a cell, or why it is none."""
    folded = fold(text)
    if not folded or folded.upper() in label_set("blank"):
        return Notice("QUANTITY_MISSING")
    value = number_in(folded)
    if value is None:
        tokens = tokenize(folded, vocabulary)
        if any(token.kind == "quantity_word" for token in tokens):
            return Notice("QUANTITY_WORD", {"quantity": folded})
        kinds = [token.kind for token in tokens]
        if kinds not in (["quantity"], ["panels"]) or tidied(folded.replace(tokens[0].text, "")):
            return Notice("QUANTITY_NOT_A_NUMBER", {"quantity": folded[:40]})
        value = tokens[0].number
    return whole_quantity(value or Decimal(0))


def whole_quantity(value: Decimal) -> int | Notice:
    """Return a quantity that is a whole number from 1 to the limit, or why it is not."""
    if value <= 0:
        return Notice("QUANTITY_NOT_POSITIVE", {"quantity": f"{value:f}"})
    if value > MAX_QUANTITY:
        return Notice("QUANTITY_TOO_LARGE", {"quantity": f"{value:f}", "limit": MAX_QUANTITY})
    if value != value.to_integral_value():
        return Notice("QUANTITY_NOT_WHOLE", {"quantity": f"{value:f}"})
    return int(value)
