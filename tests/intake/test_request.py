"""EstimateRequest in JSON: strict in, canonical out, and back again."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kis_estimator.engine.model import (
    AccessorySpec,
    BreakerSpec,
    Customer,
    EstimateRequest,
    PanelSpec,
    PricingTerms,
    SourceRef,
    SpareSpec,
)
from kis_estimator.errors import KisError
from kis_estimator.intake import Vocabulary, dump_request, read
from kis_estimator.intake.request import parse_request

MAIN = {"role": "main", "category": "MCCB", "poles": 3, "ratedCurrentA": 100}


def document(**changes: Any) -> dict[str, Any]:
    breaker = {**MAIN, **changes.pop("breaker", {})}
    panel = {"name": "P", "breakers": [breaker], **changes.pop("panel", {})}
    return {"customer": {"name": ""}, "panels": [panel], **changes}


def problem(data: bytes) -> tuple[str, str | None]:
    with pytest.raises(KisError) as caught:
        parse_request(data)
    notice = caught.value.notices[0]
    assert notice.message("ko-KR")
    assert notice.message("en-US")
    assert notice.hint("ko-KR")
    assert notice.hint("en-US")
    return notice.code, notice.text


FIRST = "panels[0].breakers[0]"


@pytest.mark.parametrize(
    ("changes", "code", "path"),
    [
        ({"breaker": {"foo": 1}}, "FIELD_UNKNOWN", f"{FIRST}.foo"),
        ({"breaker": {"rated_current_a": 1}}, "FIELD_UNKNOWN", f"{FIRST}.rated_current_a"),
        ({"breaker": {"poles": 5}}, "FIELD_RANGE", f"{FIRST}.poles"),
        ({"breaker": {"poles": 0}}, "FIELD_RANGE", f"{FIRST}.poles"),
        ({"breaker": {"poles": "3"}}, "FIELD_TYPE", f"{FIRST}.poles"),
        ({"breaker": {"poles": True}}, "FIELD_TYPE", f"{FIRST}.poles"),
        ({"breaker": {"ratedCurrentA": 20.5}}, "FIELD_TYPE", f"{FIRST}.ratedCurrentA"),
        ({"breaker": {"category": "ACB"}}, "FIELD_CHOICE", f"{FIRST}.category"),
        ({"breaker": {"voltage": 440}}, "FIELD_CHOICE", f"{FIRST}.voltage"),
        ({"breaker": {"quantity": 0}}, "FIELD_RANGE", f"{FIRST}.quantity"),
        ({"breaker": {"quantity": 1001}}, "FIELD_RANGE", f"{FIRST}.quantity"),
        ({"breaker": {"loadA": -1}}, "FIELD_RANGE", f"{FIRST}.loadA"),
        ({"breaker": {"loadA": 0.00001}}, "FIELD_DIGITS", f"{FIRST}.loadA"),
        ({"breaker": {"loadA": "5"}}, "FIELD_TYPE", f"{FIRST}.loadA"),
        ({"breaker": {"loadA": True}}, "FIELD_TYPE", f"{FIRST}.loadA"),
        ({"breaker": {"label": "x" * 201}}, "FIELD_TOO_LONG", f"{FIRST}.label"),
        ({"breaker": {"label": "a\u0000"}}, "FIELD_PATTERN", f"{FIRST}.label"),
        ({"panel": {"name": ""}}, "FIELD_EMPTY", "panels[0].name"),
        ({"panel": {"breakers": []}}, "FIELD_EMPTY", "panels[0].breakers"),
        ({"panel": {"ipRating": "44"}}, "FIELD_PATTERN", "panels[0].ipRating"),
        ({"panel": {"ipRating": "IP70"}}, "FIELD_PATTERN", "panels[0].ipRating"),
        ({"panel": {"source": {"sheet": "A", "firstRow": 5, "lastRow": 4}}},
         "FIELD_SOURCE_ROWS", "panels[0].source"),
        ({"panels": []}, "FIELD_EMPTY", "panels"),
        ({"panels": [1] * 201}, "FIELD_TOO_LONG", "panels"),
        ({"panels": None}, "FIELD_TYPE", "panels"),
        ({"customer": {}}, "FIELD_MISSING", "customer.name"),
        ({"customer": {"name": "a", "email": "nobody"}}, "FIELD_PATTERN", "customer.email"),
        ({"pricing": {"discountPct": 20.1}}, "FIELD_RANGE", "pricing.discountPct"),
        ({"pricing": {"roundDownTo": 0}}, "FIELD_RANGE", "pricing.roundDownTo"),
        ({"validDays": 366}, "FIELD_RANGE", "validDays"),
        ({"currency": "USD"}, "FIELD_CHOICE", "currency"),
    ],
)  # fmt: skip
def test_bad_field(changes: dict[str, Any], code: str, path: str) -> None:
    assert problem(json.dumps(document(**changes)).encode()) == (code, path)


STEERING = (
    "\x00",
    "\t",
    "\n",
    "\r",
    "\x1b",
    "\x7f",
    "\x85",
    "\x9b",
    "\u061c",
    "\u200f",
    "\u202e",
    "\u2066",
)


@pytest.mark.parametrize("char", STEERING)
@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"breaker": {"label": "{}"}}, f"{FIRST}.label"),
        ({"breaker": {"brand": "{}"}}, f"{FIRST}.brand"),
        ({"breaker": {"tier": "{}"}}, f"{FIRST}.tier"),
        ({"breaker": {"model": "{}"}}, f"{FIRST}.model"),
        ({"panel": {"name": "{}"}}, "panels[0].name"),
        ({"panel": {"enclosureSku": "{}"}}, "panels[0].enclosureSku"),
        ({"panel": {"accessories": [{"sku": "{}"}]}}, "panels[0].accessories[0].sku"),
        ({"project": "{}"}, "project"),
        ({"customer": {"name": "{}"}}, "customer.name"),
        ({"customer": {"name": "a", "email": "{}@b.kr"}}, "customer.email"),
        ({"customer": {"name": "a", "email": "b@{}.kr"}}, "customer.email"),
    ],
)
def test_nothing_that_steers_a_terminal(changes: dict[str, Any], path: str, char: str) -> None:
    text = json.dumps(document(**changes)).replace("{}", json.dumps(f"a{char}[31mb")[1:-1])
    assert problem(text.encode()) == ("FIELD_PATTERN", path)


@pytest.mark.parametrize("char", STEERING)
def test_no_message_holds_what_steers_a_terminal(char: str) -> None:
    key = json.dumps(f"a{char}b")
    for text in (
        f'{{"customer": {{"name": ""}}, "panels": [], {key}: 1}}',
        f"{{{key}: 1, {key}: 2}}",
    ):
        with pytest.raises(KisError) as caught:
            parse_request(text.encode())
        for notice in caught.value.notices:
            shown = f"{notice.message()}{notice.hint()}{notice.text}"
            assert char not in shown


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"{", "JSON_SYNTAX"),
        (b'{"a": 1, "a": 2}', "JSON_DUPLICATE_KEY"),
        (b'{"a": NaN}', "JSON_NOT_A_NUMBER"),
        (b'{"a": -Infinity}', "JSON_NOT_A_NUMBER"),
        (b'{"a": "\xff"}', "JSON_ENCODING"),
        (b'{"a": ' + b"[" * 100_000, "JSON_TOO_DEEP"),
        (b'{"a": ' + b"9" * 5000 + b"}", "JSON_NUMBER_TOO_LONG"),
        (b'{"a": 1e99999999999999999999}', "JSON_NUMBER_TOO_LONG"),
        (b"[]", "FIELD_TYPE"),
    ],
)
def test_bad_json(text: bytes, code: str) -> None:
    assert problem(text)[0] == code


@pytest.mark.parametrize(
    ("changes", "code", "path"),
    [
        ({"breaker": {"ratedCurrentA": 80}}, "UNKNOWN_RATING", FIRST),
        ({"breaker": {"frameAf": 50}}, "AT_EXCEEDS_AF", FIRST),
        ({"breaker": {"model": "abn105"}}, "UNKNOWN_MODEL", FIRST),
        ({"breaker": {"model": "ABN-104"}}, "MODEL_MISMATCH", FIRST),
        ({"breaker": {"brand": "ACME"}}, "UNKNOWN_BRAND", FIRST),
        ({"breaker": {"tier": "luxury"}}, "UNKNOWN_TIER", FIRST),
        ({"breaker": {"poles": 1}}, "UNKNOWN_POLES", FIRST),
        ({"breaker": {"quantity": 2}}, "MAIN_QUANTITY", "panels[0]"),
        ({"panel": {"breakers": [MAIN, MAIN]}}, "MAIN_TWICE", "panels[0]"),
        ({"panel": {"mounting": "pole", "location": "indoor"}}, "POLE_INDOOR", "panels[0]"),
        ({"panel": {"accessories": [{"sku": "MC-10"}]}}, "UNKNOWN_ACCESSORY",
         "panels[0].accessories[0]"),
        ({"panel": {"breakers": [MAIN, {**MAIN, "role": "branch", "quantity": 1000}]}},
         "TOO_MANY_BREAKERS", "panels[0]"),
    ],
)  # fmt: skip
def test_what_the_catalogue_cannot_hold(
    changes: dict[str, Any], code: str, path: str, vocabulary: Vocabulary
) -> None:
    reading = read(json.dumps(document(**changes)).encode(), "r.json", vocabulary, "ko-KR")
    assert [(n.code, n.text) for n in reading.errors] == [(code, path)]
    assert reading.request is None
    assert len(reading.panels) == 1


def test_models_are_written_as_the_catalogue_writes_them(vocabulary: Vocabulary) -> None:
    data = json.dumps(document(breaker={"model": "abn103"})).encode()
    reading = read(data, "-", vocabulary, "ko-KR")
    assert reading.panels[0].breakers[0].model == "ABN-103"


def test_loads_keep_their_decimals() -> None:
    request = parse_request(json.dumps(document(breaker={"loadA": 28.1})).encode())
    assert request.panels[0].breakers[0].load_a == Decimal("28.1")


# ---------------------------------------------------------------- round trip

texts = st.text(st.characters(exclude_categories=["C"]), max_size=30)
named = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=30)
quantities = st.integers(1, 1000)
maybe = st.none()
figures = st.decimals(0, 9999, places=4).map(Decimal.normalize)

breakers = st.builds(
    BreakerSpec,
    role=st.sampled_from(["main", "branch"]),
    category=st.sampled_from(["MCCB", "ELB"]),
    poles=st.integers(1, 4),
    rated_current_a=st.integers(1, 10_000),
    quantity=quantities,
    frame_af=maybe | st.integers(1, 800),
    breaking_capacity_ka=maybe | st.decimals("0.1", 200, places=1),
    sensitivity_ma=maybe | st.integers(1, 500),
    voltage=st.sampled_from([None, 220, 380]),
    load_a=maybe | figures,
    brand=maybe | named,
    tier=maybe | named,
    model=maybe | named,
    label=maybe | texts,
)
panels = st.builds(
    PanelSpec,
    name=named,
    breakers=st.lists(breakers, min_size=1, max_size=4).map(tuple),
    quantity=quantities,
    accessories=st.lists(
        st.builds(
            AccessorySpec,
            sku=named,
            quantity=quantities,
            position=st.sampled_from(["below", "beside"]),
        ),
        max_size=3,
    ).map(tuple),
    spares=st.lists(
        st.builds(
            SpareSpec,
            quantity=quantities,
            poles=maybe | st.integers(1, 4),
            frame_af=maybe | st.integers(1, 800),
        ),
        max_size=2,
    ).map(tuple),
    location=st.sampled_from([None, "indoor", "outdoor"]),
    mounting=st.sampled_from([None, "surface", "flush", "floor", "pole"]),
    material=st.sampled_from([None, "steel", "sus201"]),
    ip_rating=maybe | st.from_regex(r"IP[0-6][0-9]", fullmatch=True),
    enclosure_sku=maybe | named,
    source=maybe
    | st.builds(
        SourceRef, sheet=named, first_row=st.integers(1, 9), last_row=st.integers(9, 2**20)
    ),
)
requests = st.builds(
    EstimateRequest,
    customer=st.builds(Customer, name=texts, contact=maybe | texts, company=maybe | texts),
    panels=st.lists(panels, min_size=1, max_size=3).map(tuple),
    project=maybe | texts,
    locale=st.sampled_from(["ko-KR", "en-US"]),
    pricing=st.builds(
        PricingTerms,
        markup_pct=st.decimals(0, 100, places=2),
        discount_pct=st.decimals(0, 20, places=2),
        round_down_to=st.integers(1, 10**6),
    ),
    valid_days=st.integers(1, 365),
)


@given(requests)
def test_round_trip(request_: EstimateRequest) -> None:
    written = dump_request(request_)
    text = json.dumps(written, ensure_ascii=False)
    assert parse_request(text.encode()) == request_
    assert dump_request(parse_request(text.encode())) == written
    assert None not in written["panels"][0].values()
