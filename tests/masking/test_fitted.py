"""Masked results that still are what their tool says it gives."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, TypeAdapter

from agentguard.masking import Masked, Masker, TokenIds, fitted, is_stand_in
from agentguard.model.calls import Returns
from tests.masking.test_standins import DEFS
from tests.masking.test_standins import JSON as ODD

CARD, PHONE, MAIL = 4111111111111111, 2025550147, "ann@acme.example"
BORN, ID = "1990-04-01", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
PEOPLE = Masker(fields={"**.born": "DATE_OF_BIRTH", "**.person_id": "CUSTOMER_ID", "**.tier": "TIER", "**.age": "AGE"})
INTEGER = {"type": "integer"}


def ids() -> TokenIds:
    """The tokens of a session."""
    return TokenIds([b"test key that is long enough, 32"], "acme", "session-1")


def of(**properties: Any) -> dict[str, Any]:
    """A schema of an object."""
    return {"type": "object", "properties": properties, "required": [*properties]}


def shown(value: Any, schema: dict[str, Any] | None, *, masker: Masker = PEOPLE, own: TokenIds | None = None) -> Masked:
    """What the model is given of a result."""
    own = own or ids()
    return fitted(masker.mask(value, own), value, None if schema is None else Returns(schema), own)


@pytest.mark.parametrize(
    ("name", "value", "schema"),
    [
        pytest.param("phone", PHONE, INTEGER, id="an integer"),
        pytest.param("card_number", float(CARD), {"type": "number"}, id="a number"),
        pytest.param("phone", PHONE, {"type": "number", "minimum": 0}, id="a number that is not negative"),
        pytest.param("phone", PHONE, {"anyOf": [INTEGER, {"type": "null"}]}, id="a number or nothing"),
        pytest.param("phone", PHONE, {"type": ["integer", "null"]}, id="the same, as a list of types"),
        pytest.param("phone", PHONE, {"allOf": [INTEGER, {"minimum": 1}]}, id="both at once"),
        pytest.param("card_number", CARD, INTEGER, id="a card as a number"),
        pytest.param("email", MAIL, {"type": "string", "format": "email"}, id="an address"),
        pytest.param("born", BORN, {"type": "string", "format": "date"}, id="a date"),
        pytest.param("person_id", ID, {"type": "string", "format": "uuid"}, id="a uuid"),
        pytest.param(
            "phone", f"+1{PHONE}", {"type": "string", "pattern": r"^\+[0-9]{8,15}$"}, id="digits by a pattern"
        ),
    ],
)
def test_what_is_masked_keeps_the_type_and_the_format_that_the_schema_wants(
    name: str, value: Any, schema: dict[str, Any]
) -> None:
    """What the model gets is valid, is not the value, and is a stand-in that leads back to it."""
    # when
    masked = shown({name: value}, of(**{name: schema}))

    # then
    got = masked.value[name]
    Draft202012Validator(of(**{name: schema}), format_checker=Draft202012Validator.FORMAT_CHECKER).validate({name: got})
    assert str(value) not in str(got)
    (stand_in,) = [token for token in masked.tokens if is_stand_in(token.text)]
    assert stand_in.text == str(int(got) if isinstance(got, float) else got)
    assert stand_in.value == str(value)


def test_a_stand_in_is_read_back_as_written() -> None:
    """In a call that the model writes, as a number or as text; and masking leaves it alone in what comes later."""
    # given
    own = ids()
    got = shown({"phone": PHONE}, of(phone=INTEGER), own=own).value["phone"]

    # then
    assert isinstance(got, int)
    assert [text for _, _, text in own.read(repr(got))] == [str(got)]
    assert shown({"phone": got, "note": f"call {got}"}, of(phone=INTEGER), own=own).value == {
        "phone": got, "note": f"call {got}",
    }  # fmt: skip


@pytest.mark.parametrize(
    "schema",
    [None, of(), of(phone={}), of(phone={"type": "string"}), of(phone={"type": ["integer", "string"]}), of(phone=True)],
    ids=["nothing is known", "no such key", "anything", "text", "a number or text", "not a schema"],
)
def test_a_token_stays_where_text_may_stand(schema: dict[str, Any] | None) -> None:
    """Tokens are what models know best; a stand-in comes only where nothing else can."""
    assert shown({"phone": PHONE}, schema).value["phone"].startswith("[PHONE_")


@pytest.mark.parametrize(
    ("name", "value", "schema"),
    [
        ("tier", "gold", {"enum": ["gold", "silver"]}),
        ("tier", "gold", {"const": "gold"}),
        ("age", 41, {"type": "integer", "maximum": 150}),
        ("tier", "AC-1", {"type": "string", "pattern": "^AC-[0-9]$"}),
    ],
)
def test_where_nothing_of_ours_fits_the_masked_text_stays(name: str, value: Any, schema: dict[str, Any]) -> None:
    """A stand-in there could be somebody's real value; the value itself never stays."""
    assert str(shown({name: value}, of(**{name: schema})).value[name]).startswith(f"[{name.upper()}_")


def test_a_token_goes_without_its_brackets_where_that_is_enough() -> None:
    """A pattern of letters and digits takes the rest of it."""
    got = shown({"phone": f"{PHONE}"}, of(phone={"type": "string", "pattern": "^[A-Za-z0-9_]+$"})).value["phone"]
    assert got.startswith("PHONE_")


@pytest.mark.parametrize("action", ["redact", "mask", "hmac", "generalise", "drop"])
def test_what_is_taken_out_of_a_number_leaves_one_that_stands_for_nobody(action: str) -> None:
    """It is a number, the same for everybody, and read back as a stand-in that no session knows."""
    # given
    own = ids()
    masker = Masker(actions={"PHONE_NUMBER": action})
    schema = of(phone=INTEGER, mobile=INTEGER)

    # when
    masked = shown({"phone": PHONE, "mobile": 2025550199}, schema, masker=masker, own=own)

    # then
    assert isinstance(masked.value["phone"], int)
    assert masked.value["phone"] == masked.value["mobile"]
    assert masked.tokens == ()
    assert [text for _, _, text in own.read(repr(masked.value["phone"]))] == [str(masked.value["phone"])]


class Account(BaseModel):
    """As a tool returns it."""

    phone: int = Field(alias="phoneNumber")
    born: datetime.date
    person_id: uuid.UUID
    card_number: decimal.Decimal
    order_id: int


@dataclass
class Found:
    """More of them."""

    accounts: list[Account]
    phone: int


def test_values_of_python_stay_of_their_type() -> None:
    """Models, dataclasses, lists, dates and UUIDs; what is written as text, as a Decimal is, may be a token."""
    # given
    account = Account(
        phoneNumber=PHONE, born=datetime.date.fromisoformat(BORN), person_id=uuid.UUID(ID), card_number=decimal.Decimal(CARD),
        order_id=1042,
    )  # fmt: skip
    schema = TypeAdapter(Found).json_schema(mode="serialization")

    # when
    found = shown(Found(accounts=[account], phone=PHONE), schema).value

    # then
    (got,) = found.accounts
    assert [type(getattr(got, name)) for name in Account.model_fields] == [
        int, datetime.date, uuid.UUID, str, int,
    ]  # fmt: skip
    assert got.order_id == 1042
    assert found.phone == got.phone != PHONE
    assert got.born.year >= 5000
    Draft202012Validator(schema).validate(
        json.loads(TypeAdapter(Found).dump_json(found, by_alias=True, warnings=False))
    )


def test_what_holds_nothing_personal_is_the_same_object() -> None:
    """And so is every part of it that was not masked."""
    plain, rest = {"order_id": 7}, [1, 2]
    assert shown(plain, of(order_id=INTEGER)).value is plain
    assert shown({"phone": PHONE, "rest": rest}, of(phone=INTEGER)).value["rest"] is rest


def test_the_schema_may_speak_of_one_part_alone() -> None:
    """What stands beside it is masked as ever."""
    own = ids()
    value = {"structured": {"phone": PHONE}, "phone": PHONE}
    got = fitted(PEOPLE.mask(value, own), value, Returns(of(phone=INTEGER), "structured"), own).value
    assert isinstance(got["structured"]["phone"], int)
    assert got["phone"].startswith("[PHONE_")


def test_sets_keep_text() -> None:
    """Their parts are in no order in which a schema could be held against them."""
    got = shown({MAIL, "x"}, {"type": "array", "items": {"type": "string", "format": "email"}}).value
    assert MAIL not in got
    assert len(got) == 2


PLACES = {
    "phone": (INTEGER, st.integers(2_025_550_100, 2_025_550_199)),
    "card_number": ({"type": "number"}, st.sampled_from([CARD, 5555555555554444])),
    "email": ({"type": "string", "format": "email"}, st.sampled_from([MAIL, "bo.ray@mail.example"])),
    "born": ({"type": "string", "format": "date"}, st.dates(datetime.date(1930, 1, 1)).map(str)),
    "person_id": ({"type": "string", "format": "uuid"}, st.uuids().map(str)),
    "order_id": (INTEGER, st.integers(0, 9999)),
    "full_name": ({"type": "string"}, st.sampled_from(["Ann Lee", "Bo Ray"])),
}
RECORD = st.fixed_dictionaries({}, optional={name: values for name, (_, values) in PLACES.items()})


@given(st.recursive(RECORD, lambda inner: st.fixed_dictionaries({"all": st.lists(inner, max_size=3)}), max_leaves=6))
def test_whatever_fitted_still_fits_when_it_is_masked(value: dict[str, Any]) -> None:
    """Any number of records at any depth: valid before and after, and no personal value in what the model gets."""
    # given
    record = {"type": "object", "properties": {name: schema for name, (schema, _) in PLACES.items()}}
    record["properties"]["all"] = {"type": "array", "items": {"$ref": "#"}}
    validator = Draft202012Validator(record, format_checker=Draft202012Validator.FORMAT_CHECKER)
    validator.validate(value)

    # when
    masked = shown(value, record)

    # then
    validator.validate(masked.value)
    left = json.dumps(masked.value)
    assert not [token for token in masked.tokens if json.dumps(token.value)[1:-1] in left]


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["properties", "items", "type", "anyOf", "$ref", "enum", "format"]), ODD, max_size=4
    ),
    ODD,
)
def test_t29_no_schema_from_elsewhere_raises_or_lets_a_value_through(schema: dict[str, Any], other: Any) -> None:
    """What is no JSON Schema says nothing, at whatever place."""
    # given
    value = {"phone": PHONE, "x": [{"email": MAIL}, other], "y": {"born": BORN, "card_number": CARD}}

    # when
    masked = shown(value, {**schema, "$defs": DEFS})

    # then
    left = json.dumps(masked.value)
    assert not [text for text in (str(PHONE), MAIL, BORN, str(CARD)) if text in left]
    assert [*masked.value] == [*value]
