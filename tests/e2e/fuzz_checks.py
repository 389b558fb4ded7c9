"""Checks of our own for the fuzzer; `schemathesis.toml` loads them."""

from __future__ import annotations

import re
from typing import Any

import schemathesis
from schemathesis.generation import GenerationMode

# To a schema 75.0 is the integer 75; the description of the contract says that we refuse it.
_WHOLE_WITH_FRACTION = re.compile(r"\d\.0\b|\de[+-]?\d", re.IGNORECASE)
# A schema can count neither digits nor what a source's rows have to do with each other.
_MEANING = frozenset({"FIELD_DIGITS", "FIELD_SOURCE_ROWS"})
_ABOUT_SHAPE = ("FIELD_", "JSON_", "BODY_UNREADABLE", "MEDIA_TYPE")


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:
    """Leave out a form with an empty list: it becomes no part, and what is sent is another form.

    An unknown field, for one, would not be there, and nobody could refuse it.
    """
    del context
    body = case.body
    if case.media_type == "multipart/form-data" and isinstance(body, dict):
        return [] not in body.values()
    return True


@schemathesis.check
def valid_shapes_are_refused_for_their_meaning_alone(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """A request that fits the contract is never refused for a field or its syntax."""
    del ctx
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if response.status_code not in {400, 415, 422}:
        return
    refusal = response.json()
    found = [detail["code"] for detail in refusal.get("details", [refusal])]
    about_shape = [code for code in found if code.startswith(_ABOUT_SHAPE) and code not in _MEANING]
    if _WHOLE_WITH_FRACTION.search(_sent(response)):
        about_shape = [code for code in about_shape if code != "FIELD_TYPE"]
    assert not about_shape, refusal


def _sent(response: schemathesis.Response) -> str:
    body = response.request.body
    return body.decode(errors="replace") if isinstance(body, bytes) else str(body)


@schemathesis.check
def every_failure_has_the_one_shape(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """Whatever was sent, also where the contract does not speak of it."""
    del ctx, case
    assert response.headers["x-trace-id"]
    if response.status_code >= 400 and "status" not in (body := response.json()):
        assert {"code", "message", "traceId", "meta"} <= set(body) <= {
            "code", "message", "hint", "traceId", "meta", "details",
        }  # fmt: skip
        assert [body["traceId"]] == response.headers["x-trace-id"]
