"""Stand-ins: a value's own format, where no real value can be; keyed, the same again, and read however a model spells them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentguard.masking import Form, Restoring, TokenIds, Wanted, Why, by_parameter, form_wanted, takes_placeholder
from agentguard.model.tokens import Token
from tests.masking.samples import MASKER

KEY = b"test key that is long enough, 32"
VALUES = {
    Form.EMAIL: ("EMAIL_ADDRESS", "anna.kowalska@mail.example"),
    Form.URL: ("HOME_PAGE", "https://mail.example/~anna"),
    Form.DATE: ("DATE_OF_BIRTH", "1984-03-12"),
    Form.TIME: ("ADMISSION", "2026-03-12T09:26:53Z"),
    Form.UUID: ("CUSTOMER_ID", "3f1a9c52-7d0e-4b7c-9a51-0c2d8f6e4b11"),
    Form.PHONE: ("PHONE_NUMBER", "+1 202-555-0147"),
    Form.NUMBER: ("ACCOUNT_ID", "10045871"),
}
FORMS = {entity_type: (form,) for form, (entity_type, _) in VALUES.items()}
every_form = pytest.mark.parametrize("form", list(Form))


def ids(session: str = "session-1", key: bytes = KEY, **forms: tuple[Form, ...]) -> TokenIds:
    """The ids of a session that gives stand-ins for these types, or for one type of each form."""
    return TokenIds([key], "acme", session, None, forms or FORMS)


def stand_in(form: Form, made_by: TokenIds | None = None) -> Token:
    """The stand-in that the model is given for this form's value."""
    made = made_by or ids()
    found = made.stand_in(made.token(*VALUES[form]))
    assert found is not None
    return found


class Reveal(NamedTuple):
    parameter: str
    entity_types: tuple[str, ...]
    inside_text: bool = False


NOBODYS: dict[Form, Callable[[str], bool]] = {
    Form.EMAIL: lambda text: text.endswith("@masked.invalid"),
    Form.URL: lambda text: text.endswith(".masked.invalid/"),
    Form.DATE: lambda text: 5000 <= date.fromisoformat(text).year < 9000,
    Form.TIME: lambda text: 5000 <= datetime.fromisoformat(text).year < 9000,
    Form.UUID: lambda text: UUID(text).version == 8 and UUID(text).bytes[:6] == b"agmask",
    Form.PHONE: lambda text: not phonenumbers.is_possible_number(_parsed(text)),
    Form.NUMBER: lambda text: len(text) == 16 and float(text) == int(text) < 2**53,
}


def _parsed(text: str) -> Any:
    assert text.startswith("+999")
    assert 999 not in phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    return phonenumbers.PhoneNumber(country_code=999, national_number=int(text[4:]))


@every_form
def test_t27_a_stand_in_stands_where_no_real_value_can(form: Form) -> None:
    """A reserved domain, a country code of nobody, years that no record has, a version of its own."""
    assert NOBODYS[form](stand_in(form).text)


@every_form
def test_a_stand_in_is_stable_and_scoped(form: Form) -> None:
    """The same again in another process of the session; another one for another session, key, or entity type."""
    entity_type, value = VALUES[form]
    made = {
        stand_in(form).text,
        stand_in(form, ids("session-2")).text,
        stand_in(form, ids(key=b"another key that is long enough!")).text,
    }
    other = ids(OTHER=(form,))
    retyped = other.stand_in(other.token("OTHER", value))
    assert stand_in(form, ids()).text == stand_in(form).text
    assert retyped is not None
    assert len(made | {retyped.text}) == 4
    assert stand_in(form).identity == (entity_type, ids().token(entity_type, value).canonical)


RESPELLED: dict[str, tuple[Form, Callable[[str], str]]] = {
    "email upper": (Form.EMAIL, str.upper),
    "email in angles": (Form.EMAIL, lambda text: f"Anna <{text}>"),
    "email mailto": (Form.EMAIL, lambda text: f"[mail](mailto:{text})"),
    "email look-alike": (Form.EMAIL, lambda text: text.replace("1", "l").replace("0", "o")),
    "url without slash": (Form.URL, lambda text: text.rstrip("/")),
    "url plain": (Form.URL, lambda text: text.replace("https", "http")),
    "url in angles": (Form.URL, lambda text: f"<{text}>"),
    "date in text": (Form.DATE, lambda text: f"born {text}."),
    "time with offset": (Form.TIME, lambda text: text.replace("Z", "+00:00")),
    "time with space": (Form.TIME, lambda text: text.replace("T", " ").replace("Z", ".000Z")),
    "uuid upper": (Form.UUID, str.upper),
    "uuid in braces": (Form.UUID, lambda text: f"{{{text}}}"),
    "phone grouped": (Form.PHONE, lambda text: f"{text[:4]} {text[4:7]}-{text[7:10]} ({text[10:13]}) {text[13:]}"),
    "phone without plus": (Form.PHONE, lambda text: text[1:]),
    "phone with zeros": (Form.PHONE, lambda text: "00" + text[1:]),
    "number as JSON": (Form.NUMBER, lambda text: f'{{"id":{text}}}'),
    "number as a float": (Form.NUMBER, lambda text: repr(float(text))),
    "number with cents": (Form.NUMBER, lambda text: f"{text}.00 EUR"),
}


@pytest.mark.parametrize(("form", "respell"), RESPELLED.values(), ids=RESPELLED.keys())
def test_t27_respelled_stand_ins_are_read(form: Form, respell: Callable[[str], str]) -> None:
    """As models write them, each is read as itself and nothing else."""
    text = stand_in(form).text
    assert [read for _, _, read in ids().read(respell(text))] == [text]


@every_form
def test_what_only_holds_a_stand_in_is_none(form: Form) -> None:
    """Part of a longer word or number is something else."""
    text = stand_in(form).text
    longer = {Form.URL: f"{text[:-1]}x", Form.PHONE: f"{text}7"}.get(form, f"7{text}7")
    assert text not in [read for _, _, read in ids().read(longer)]


def test_t27_real_numbers_pass() -> None:
    """Of real 16-digit numbers with an 8 in front about one in ten thousand has the right check."""
    numbers = random.Random(7)
    assert sum(bool(ids().read(str(8 * 10**15 + numbers.randrange(10**15)))) for _ in range(20_000)) < 12
    assert ids().read("4111111111111111 1700000000 9999-12-31 2026-03-12 3f1a9c52-7d0e-4b7c-9a51-0c2d8f6e4b11") == []


@every_form
def test_masking_leaves_a_stand_in_alone(form: Form) -> None:
    """What a tool gives back of it is not masked again, in a field of its type or in prose."""
    text = stand_in(form).text
    fields = {"email": text, "phone": text, "date_of_birth": text, "account_id": text, "note": f"about {text} again"}
    assert MASKER.mask(fields, ids()).value == fields


def test_a_value_is_given_as_a_stand_in_and_has_its_token_too() -> None:
    """Both are to be stored, and nothing else stands in the result."""
    masked = MASKER.mask({"email": "anna.kowalska@mail.example", "full_name": "Anna Kowalska"}, ids())
    token = ids().token("EMAIL_ADDRESS", "anna.kowalska@mail.example")
    name = ids().token("PERSON", "Anna Kowalska")
    assert masked.value == {"email": stand_in(Form.EMAIL).text, "full_name": name.text}
    assert {made.text for made in masked.tokens} == {token.text, name.text, stand_in(Form.EMAIL).text}


def test_of_two_values_with_one_stand_in_the_second_has_none() -> None:
    """Dates have few: never one for two values; the second is given as a token."""
    made = ids(DATE_OF_BIRTH=(Form.DATE,))
    dates = [date.fromordinal(700_000 + number).isoformat() for number in range(4000)]
    found = [made.stand_in(made.token("DATE_OF_BIRTH", value)) for value in dates]
    texts = [each.text for each in found if each is not None]
    assert len(texts) == len(set(texts))
    assert len(texts) < len(dates)


PLACES: dict[str, tuple[dict[str, Any], Form | None, bool]] = {
    "any text": ({"type": "string"}, None, True),
    "nothing said": ({}, None, True),
    "or null": ({"anyOf": [{"type": "string", "format": "email"}, {"type": "null"}]}, Form.EMAIL, True),
    "a list of types": ({"type": ["integer", "null"]}, Form.NUMBER, True),
    "a reference": ({"$ref": "#/$defs/Mail"}, Form.EMAIL, True),
    "all of": ({"allOf": [{"$ref": "#/$defs/Mail"}], "description": "x"}, Form.EMAIL, True),
    "a list": ({"type": "array", "items": {"type": "string", "format": "date"}}, Form.DATE, True),
    "uuid": ({"type": "string", "format": "uuid"}, Form.UUID, True),
    "uri": ({"type": "string", "format": "uri", "maxLength": 2083}, Form.URL, True),
    "date-time": ({"type": "string", "format": "date-time"}, Form.TIME, True),
    "e164": ({"type": "string", "pattern": r"^\+[1-9]\d{1,14}$"}, Form.PHONE, True),
    "digits": ({"type": "string", "pattern": r"^[0-9]{10,16}$"}, Form.NUMBER, True),
    "words": ({"type": "string", "pattern": "^[A-Za-z0-9_]+$"}, None, True),
    "a pattern of its own": ({"type": "string", "pattern": r"^AC-\d{8}$"}, None, False),
    "a pattern RE2 has not": ({"type": "string", "pattern": r"^(?=x)x$"}, None, False),
    "small numbers": ({"type": "integer", "maximum": 1000}, None, False),
    "words to choose from": ({"enum": ["gold", "silver"]}, None, False),
    "one word": ({"const": "gold"}, None, False),
    "short": ({"type": "string", "maxLength": 5}, None, False),
    "in circles": ({"$ref": "#/$defs/Loop"}, None, True),
    "nonsense": ({"type": "string", "maxLength": "x", "anyOf": 7}, None, True),
}
DEFS = {"Mail": {"type": "string", "format": "email"}, "Loop": {"anyOf": [{"$ref": "#/$defs/Loop"}] * 3}}


@pytest.mark.parametrize(("schema", "form", "takes"), PLACES.values(), ids=PLACES.keys())
def test_the_form_that_a_parameter_needs(schema: dict[str, Any], form: Form | None, takes: bool) -> None:
    """None where a token will do, or nothing does; a schema that says too little or too much says nothing."""
    place = Wanted.of({"properties": {"x": schema}, "$defs": DEFS}).at(["x"])
    assert form_wanted(place.takes, "ACCOUNT_ID") is form
    assert takes_placeholder(place.takes, "ACCOUNT_ID") is takes


def restoring(schema: dict[str, Any], *reveals: Reveal, forms: Form = Form.EMAIL) -> Restoring:
    """Restores arguments that may hold the stand-in of one form, or its token."""
    made, its = ids(), stand_in(forms)
    token = made.token(*VALUES[forms])
    return Restoring(
        reveals=by_parameter(reveals),
        resolved={its.text: its, token.text: token},
        schema={"properties": schema},
        read=made.read,
        token_text=lambda found: made.token(found.entity_type, found.value).text,
    )


MAIL = stand_in(Form.EMAIL).text
MAIL_TOKEN = ids().token(*VALUES[Form.EMAIL]).text
ANY = {"type": "string"}


def test_t27_inside_a_text_a_stand_in_becomes_the_token() -> None:
    """No tool gets one for a real address, not even in prose or in JSON within a text."""
    restorer = restoring({"body": ANY})
    told = restorer.restored({"body": f"write to {MAIL}", "json": json.dumps({"to": MAIL}), "whole": MAIL})
    assert told == {"body": f"write to {MAIL_TOKEN}", "json": json.dumps({"to": MAIL_TOKEN}), "whole": MAIL_TOKEN}
    assert [left.stops for left in restorer.left] == [False]


STOPPED: dict[str, tuple[dict[str, Any], dict[str, Any], Why]] = {
    "format": ({"to": {"type": "string", "format": "email"}}, {"to": MAIL}, Why.NOT_REVEALED),
    "token in a format": ({"to": {"type": "string", "format": "email"}}, {"to": MAIL_TOKEN}, Why.NOT_REVEALED),
    "short text": ({"to": {"type": "string", "maxLength": 30}}, {"to": MAIL_TOKEN}, Why.NOT_REVEALED),
    "in a key": ({}, {"to": {MAIL: 1}}, Why.NOT_REVEALED),
    "another session's": ({}, {"to": stand_in(Form.EMAIL, ids("session-2")).text}, Why.UNKNOWN),
    "invented": ({}, {"to": "0123456789@masked.invalid"}, Why.UNKNOWN),
    "another session's date": ({}, {"to": stand_in(Form.DATE, ids("session-2")).text}, Why.UNKNOWN),
    "number that is none": ({}, {"id": int(stand_in(Form.NUMBER).text)}, Why.UNKNOWN),
}


@pytest.mark.parametrize(("schema", "arguments", "why"), STOPPED.values(), ids=STOPPED.keys())
def test_t27_where_only_a_value_can_stand_the_call_stops(
    schema: dict[str, Any], arguments: dict[str, Any], why: Why
) -> None:
    """What is not revealed, invented or another session's is never given to a tool in the place of a value."""
    restorer = restoring(schema)
    restorer.restored(arguments)
    assert [(left.why, left.stops) for left in restorer.left] == [(why, True)]


def test_a_value_is_given_in_the_spelling_and_type_that_the_schema_takes() -> None:
    """As it was spelled where that is taken, else in its one spelling for all, else as a number."""
    phone = restoring(
        {"x": ANY, "y": {"pattern": r"^\+[0-9]+$"}},
        *(Reveal(name, ("PHONE_NUMBER",)) for name in "xy"),
        forms=Form.PHONE,
    )
    number = restoring(
        {"x": ANY, "y": {"type": "integer"}, "z": {"type": "number"}},
        *(Reveal(name, ("ACCOUNT_ID",)) for name in "xyz"),
        forms=Form.NUMBER,
    )
    called, account = stand_in(Form.PHONE).text, int(stand_in(Form.NUMBER).text)
    assert phone.restored({"x": called, "y": called}) == {"x": "+1 202-555-0147", "y": "+12025550147"}
    assert number.restored({"x": str(account), "y": account, "z": float(account)}) == {
        "x": "10045871",
        "y": 10045871,
        "z": 10045871,
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.floats(allow_nan=False) | st.text(max_size=6)
    | st.sampled_from(["string", "integer", "object", "array", "#/$defs/Mail", "#/$defs/Loop", "email", "^[0-9]+$", "(?=x)"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            "type properties items prefixItems additionalProperties anyOf oneOf allOf $ref $defs enum const format pattern maxLength"
            " minLength minimum maximum exclusiveMaximum multipleOf x y".split()
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(JSON, JSON)
def test_t29_no_schema_from_elsewhere_raises_or_goes_on_and_on(schema: Any, value: Any) -> None:
    """What is no JSON Schema says nothing; arguments that don't fit it are restored all the same."""
    root = {"properties": {"x": schema, "y": value}, "$defs": DEFS}
    place = Wanted.of(root).at(["x", "y"])
    assert form_wanted(place.takes, "ACCOUNT_ID") in (None, *Form)
    restorer = Restoring(reveals={}, resolved={}, schema=root, read=ids().read_disguised)
    assert restorer.restored({"x": value, "y": "z"}) == {"x": value, "y": "z"}


PERSONAL = st.fixed_dictionaries(
    {
        "email": st.builds("{}@{}.example".format, st.from_regex("[a-z]{2,8}", fullmatch=True), st.sampled_from("ab")),
        "phone": st.builds("+1 202-555-{:04d}".format, st.integers(100, 199)),
        "date_of_birth": st.dates(date(1930, 1, 1), date(2020, 1, 1)).map(str),
        "customer_id": st.uuids().map(str),
        "account_id": st.integers(10**6, 10**9).map(str),
        "full_name": st.sampled_from(["Anna Kowalska", "Bo Ray"]),
    }
)


@settings(max_examples=100, deadline=None)
@given(PERSONAL)
def test_restoring_gives_back_what_was_masked(customer: dict[str, str]) -> None:
    """Through stand-ins and tokens alike, where every type is revealed; and in a text, where that is revealed."""
    made = ids()
    masked = MASKER.mask({**customer, "note": " / ".join(customer.values())}, made)
    types = tuple({token.entity_type for token in masked.tokens})
    restorer = Restoring(
        reveals=by_parameter(Reveal(name, types, inside_text=True) for name in masked.value),
        resolved={token.text: token for token in masked.tokens},
        read=made.read_disguised,
    )
    assert restorer.restored(masked.value) == {**customer, "note": " / ".join(customer.values())}
    assert not set(masked.value.values()) & set(customer.values())
