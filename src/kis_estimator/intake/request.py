"""EstimateRequest as JSON: strict at the edge, the engine's own dataclasses inside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from kis_estimator.engine import model
from kis_estimator.errors import KisError, Notice
from kis_estimator.intake.characters import STEERING, cleaned
from kis_estimator.intake.quantity import MAX_QUANTITY

MAX_ROWS = 10_000
_MAX_NOTICES = 50
_MAX_INT = 10**6


def _decimal(value: object) -> object:
    return Decimal(value) if type(value) is int else value


_SHOWN = f"^[^{STEERING}]*$"
Text = Annotated[str, Field(max_length=200, pattern=_SHOWN)]
Name = Annotated[Text, Field(min_length=1)]
Code = Annotated[str, Field(min_length=1, max_length=60, pattern=_SHOWN)]
Email = Annotated[str, Field(max_length=200, pattern=rf"^[^@\s{STEERING}]+@[^@\s{STEERING}]+$")]
Quantity = Annotated[int, Field(ge=1, le=MAX_QUANTITY)]
Amperes = Annotated[int, Field(ge=1, le=10_000)]
Poles = Annotated[int, Field(ge=1, le=4)]
Load = Annotated[
    Decimal,
    BeforeValidator(_decimal),
    Field(ge=0, le=10_000, max_digits=9, decimal_places=4, allow_inf_nan=False),
]

Capacity = Annotated[Load, Field(gt=0, le=1000)]
SheetRow = Annotated[int, Field(ge=1, le=2**20)]
IpRating = Annotated[str, Field(pattern=r"^IP[0-6][0-9]$")]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Breaker(_Shape):
    role: Literal["main", "branch"]
    category: Literal["MCCB", "ELB"]
    poles: Poles
    rated_current_a: Annotated[Amperes, Field(alias="ratedCurrentA")]
    quantity: Quantity = 1
    frame_af: Annotated[Amperes | None, Field(alias="frameAf")] = None
    breaking_capacity_ka: Annotated[Capacity | None, Field(alias="breakingCapacityKa")] = None
    sensitivity_ma: Annotated[Amperes | None, Field(alias="sensitivityMa")] = None
    voltage: Literal[220, 380] | None = None
    load_a: Annotated[Load | None, Field(alias="loadA")] = None
    brand: Code | None = None
    tier: Code | None = None
    model: Code | None = None
    label: Text | None = None


class _Accessory(_Shape):
    sku: Code
    quantity: Quantity = 1
    position: Literal["below", "beside"] = "below"


class _Spare(_Shape):
    quantity: Quantity = 1
    poles: Poles | None = None
    frame_af: Annotated[Amperes | None, Field(alias="frameAf")] = None


class _Source(_Shape):
    sheet: Name
    first_row: Annotated[SheetRow, Field(alias="firstRow")]
    last_row: Annotated[SheetRow, Field(alias="lastRow")]


class _Panel(_Shape):
    name: Name
    quantity: Quantity = 1
    breakers: Annotated[list[_Breaker], Field(min_length=1, max_length=MAX_ROWS)]
    accessories: Annotated[list[_Accessory], Field(max_length=1000)] = []
    spares: Annotated[list[_Spare], Field(max_length=1000)] = []
    location: Literal["indoor", "outdoor"] | None = None
    mounting: Literal["surface", "flush", "floor", "pole"] | None = None
    material: Literal["steel", "sus201"] | None = None
    ip_rating: Annotated[IpRating | None, Field(alias="ipRating")] = None
    enclosure_sku: Annotated[Name | None, Field(alias="enclosureSku")] = None
    source: _Source | None = None


class _Customer(_Shape):
    name: Text
    contact: Text | None = None
    company: Text | None = None
    email: Email | None = None


class _Pricing(_Shape):
    markup_pct: Annotated[Load, Field(alias="markupPct", le=1000)] = Decimal(0)
    discount_pct: Annotated[Load, Field(alias="discountPct", le=20)] = Decimal(0)
    round_down_to: Annotated[int, Field(alias="roundDownTo", ge=1, le=_MAX_INT)] = 1


class EstimateRequestShape(_Shape):
    """The JSON of an EstimateRequest; the schema of the contract comes from here."""

    customer: _Customer
    project: Text | None = None
    panels: Annotated[list[_Panel], Field(min_length=1, max_length=200)]
    currency: Literal["KRW"] = "KRW"
    locale: Literal["ko-KR", "en-US"] = "ko-KR"
    pricing: _Pricing = _Pricing()
    valid_days: Annotated[int, Field(alias="validDays", ge=1, le=365)] = 30


# ---------------------------------------------------------------- in


def parse_request(data: bytes) -> model.EstimateRequest:
    """Return the request of a JSON document; KisError has a notice per problem, with its path."""
    document = _load_json(data)
    try:
        shape = EstimateRequestShape.model_validate(document)
    except ValidationError as error:
        raise KisError(*_notices(error)) from error
    request = _to_engine(shape)
    problems = list(_cross_checks(request))
    if problems:
        raise KisError(*problems)
    return request


def _load_json(data: bytes) -> object:
    def pairs(entries: list[tuple[str, object]]) -> dict[str, object]:
        result = dict(entries)
        if len(result) != len(entries):
            keys = [key for key, _ in entries]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise KisError.of("JSON_DUPLICATE_KEY", key=cleaned(twice[:60]))
        return result

    def refuse(constant: str) -> NoReturn:
        raise KisError.of("JSON_NOT_A_NUMBER", constant=constant)

    try:
        return json.loads(
            data.decode("utf-8-sig"),
            parse_float=Decimal,
            parse_constant=refuse,
            object_pairs_hook=pairs,
        )
    except UnicodeDecodeError as error:
        raise KisError.of("JSON_ENCODING") from error
    except json.JSONDecodeError as error:
        raise KisError.of("JSON_SYNTAX", line=error.lineno, column=error.colno) from error
    except RecursionError as error:
        raise KisError.of("JSON_TOO_DEEP") from error
    except (ValueError, ArithmeticError) as error:  # a number of thousands of digits
        raise KisError.of("JSON_NUMBER_TOO_LONG") from error


def _cross_checks(request: model.EstimateRequest) -> Iterator[Notice]:
    rows = sum(len(p.breakers) + len(p.accessories) + len(p.spares) for p in request.panels)
    if rows > MAX_ROWS:
        yield Notice("TOO_MANY_ROWS", {"limit": MAX_ROWS}, text="panels")
    for index, panel in enumerate(request.panels):
        if panel.source and panel.source.first_row > panel.source.last_row:
            yield Notice("FIELD_SOURCE_ROWS", text=f"panels[{index}].source")


def path_text(location: tuple[int | str, ...]) -> str:
    """Return a field's path as it is written in messages.

    >>> path_text(("panels", 0, "breakers", 2, "poles"))
    'panels[0].breakers[2].poles'
    """
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return cleaned(text)


_CODES = {
    "extra_forbidden": "FIELD_UNKNOWN",
    "missing": "FIELD_MISSING",
    "literal_error": "FIELD_CHOICE",
    "string_pattern_mismatch": "FIELD_PATTERN",
    "string_too_long": "FIELD_TOO_LONG",
    "too_long": "FIELD_TOO_LONG",
    "string_too_short": "FIELD_EMPTY",
    "too_short": "FIELD_EMPTY",
    "greater_than": "FIELD_RANGE",
    "greater_than_equal": "FIELD_RANGE",
    "less_than_equal": "FIELD_RANGE",
    "decimal_max_digits": "FIELD_DIGITS",
    "decimal_max_places": "FIELD_DIGITS",
    "decimal_whole_digits": "FIELD_DIGITS",
}


_JSON_TYPES = {
    "int": "integer",
    "string": "string",
    "decimal": "number",
    "is": "number",
    "list": "array",
}


def _notices(error: ValidationError) -> list[Notice]:
    found = []
    for problem in error.errors(include_url=False)[:_MAX_NOTICES]:
        path = path_text(problem["loc"]) or "$"
        context: dict[str, Any] = problem.get("ctx", {})
        limits = [
            f"{sign} {context[key]}"
            for key, sign in (("gt", ">"), ("ge", "≥"), ("le", "≤"))
            if key in context
        ]
        params = {
            "field": path[:200],
            "limit": " ".join(limits) or context.get("max_length", ""),
            "choices": context.get("expected", "").replace("'", "").replace(" or ", ", "),
            "pattern": context.get("pattern", ""),
            "type": _JSON_TYPES.get(problem["type"].partition("_")[0], "object"),
        }
        found.append(Notice(_CODES.get(problem["type"], "FIELD_TYPE"), params, text=path[:200]))
    return found


def _to_engine(shape: EstimateRequestShape) -> model.EstimateRequest:
    return model.EstimateRequest(
        customer=model.Customer(**shape.customer.model_dump()),
        panels=tuple(_panel(panel) for panel in shape.panels),
        project=shape.project,
        currency=shape.currency,
        locale=shape.locale,
        pricing=model.PricingTerms(**shape.pricing.model_dump()),
        valid_days=shape.valid_days,
    )


def _panel(shape: _Panel) -> model.PanelSpec:
    plain = shape.model_dump(exclude={"breakers", "accessories", "spares", "source"})
    source = shape.source
    return model.PanelSpec(
        **plain,
        breakers=tuple(model.BreakerSpec(**entry.model_dump()) for entry in shape.breakers),
        accessories=tuple(model.AccessorySpec(**entry.model_dump()) for entry in shape.accessories),
        spares=tuple(model.SpareSpec(**entry.model_dump()) for entry in shape.spares),
        source=model.SourceRef(**source.model_dump()) if source else None,
    )
