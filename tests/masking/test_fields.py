"""What the names of fields say, and what the keys beside and above them do."""

from __future__ import annotations

import enum
import json
from typing import Any

import pytest

from agentguard.masking import Masker
from tests.masking.samples import IDS, MASKER, masked, token

TELLING = {
    "snake": ("customer_name", "Anna Kowalska", "PERSON"),
    "camel": ("firstName", "Anna", "PERSON"),
    "kebab": ("last-name", "Kowalska", "PERSON"),
    "capitals": ("FULL NAME", "Anna Kowalska", "PERSON"),
    "german": ("Nachname", "Kowalska", "PERSON"),
    "french": ("prénom", "Anne", "PERSON"),
    "spanish": ("apellidos", "García", "PERSON"),
    "prefix": ("primary_contact_name", "Anna Kowalska", "PERSON"),
    "address": ("billing_address", "12 Elm Street", "ADDRESS"),
    "address-line": ("address_line_2", "Flat 4", "ADDRESS"),
    "street-de": ("Straße", "Lindenweg 4", "ADDRESS"),
    "birth": ("date_of_birth", "1980-02-29", "DATE_OF_BIRTH"),
    "birth-short": ("dob", "29/02/1980", "DATE_OF_BIRTH"),
    "account": ("accountNumber", "1234567", "ACCOUNT_ID"),
    "customer": ("customer_id", "C-1042", "CUSTOMER_ID"),
    "password": ("db_password", "hunter2", "PASSWORD"),
    "secret": ("client_secret", "abc123", "API_KEY"),
    "phone": ("mobile", "467 3395", "PHONE_NUMBER"),
    "card": ("card_number", "4111111111111112", "CREDIT_CARD"),
    "iban": ("iban", "DE88370400440532013000", "IBAN_CODE"),
    "ssn": ("ssn", "536221234", "US_SSN"),
    "passport": ("passport_number", "X1234567", "PASSPORT"),
}


@pytest.mark.parametrize(("key", "value", "entity_type"), TELLING.values(), ids=TELLING.keys())
def test_a_telling_key_masks_the_whole_value(key: str, value: str, entity_type: str) -> None:
    """Case styles, prefixes and four languages are read alike."""
    assert masked({key: value}) == {key: token(entity_type, value)}


def test_a_number_under_a_telling_key_becomes_the_token() -> None:
    """A masked number has no other form than its token."""
    assert masked({"account_id": 1234567}) == {"account_id": token("ACCOUNT_ID", "1234567")}


NAMES = {
    "email-beside": ({"name": "Anna Kowalska", "email": None}, True),
    "birth-beside": ({"name": "Anna Kowalska", "birth_date": None}, True),
    "customer-above": ({"customer": {"name": "Anna Kowalska", "id": 1}}, True),
    "users-above": ({"users": [{"name": "Anna Kowalska"}]}, True),
    "alone": ({"name": "Anna Kowalska"}, False),
    "file": ({"name": "Anna Kowalska", "size": 12, "path": "/a"}, False),
    "product": ({"name": "Anna Kowalska", "price": 3, "sku": "A"}, False),
    "company": ({"name": "Anna Kowalska", "industry": "x", "website": "y", "email": None}, False),
}


@pytest.mark.parametrize(("value", "is_person"), NAMES.values(), ids=NAMES.keys())
def test_siblings_decide_what_a_name_is(value: dict[str, Any], is_person: bool) -> None:
    """A bare `name` is a person's only beside or below what people have."""
    assert ("Anna Kowalska" not in str(masked(value))) is is_person


KEPT = {
    "id": {"id": 42},
    "file-name": {"file_name": "Anna Kowalska.pdf"},
    "host-name": {"hostname": "db-1"},
    "memory-address": {"memory_address": "0x7fff"},
    "null-words": {"full_name": "N/A", "address": "unknown", "phone": None, "password": ""},
    "role-with-id": {"assignee": "team-7", "owner": 12, "user": "u_81"},
    "role-with-unit": {"owner": "Platform Team", "customer": "Acme Systems Ltd"},
    "place-holder": {"password": "${DB_PASSWORD}"},
    "place-holder-in-text": {"note": "user = www-data\npassword = ${DB_PASSWORD}\n"},
    "series": {"metric": {"name": "falcon", "job": "node"}},
    "plain-city": {"city": "Paris", "temperature": 12},
}


@pytest.mark.parametrize("value", KEPT.values(), ids=KEPT.keys())
def test_values_that_tell_nothing_stay(value: dict[str, Any]) -> None:
    """Ids, things, units and empty words are the same object afterwards."""
    assert masked(value) is value


def test_a_role_is_a_person_where_the_value_looks_like_a_name() -> None:
    """`assignee` holds ids as often as names; the value decides."""
    assert masked({"assignee": "Anna Kowalska"}) == {"assignee": token("PERSON", "Anna Kowalska")}


def test_an_address_object_is_masked_inside() -> None:
    """Under `address` street, city and postal code are masked, the country is not."""
    value = {"address": {"street": "Elm Street 12", "city": "Springfield", "zip": "62701", "country": "US"}}
    inner = masked(value)["address"]
    assert inner["country"] == "US"
    assert [text.split("_")[0] for text in (inner["street"], inner["city"], inner["zip"])] == [
        "[ADDRESS",
        "[CITY",
        "[ZIP",
    ]


def test_lists_under_a_telling_key_are_masked_item_by_item() -> None:
    """What a key says holds for each item of its list."""
    assert masked({"passengers": ["Ann Lee", "Bo Ray"]}) == {
        "passengers": [token("PERSON", "Ann Lee"), token("PERSON", "Bo Ray")]
    }


PATHS = {
    "anywhere": "**.codename",
    "exact": "agents.codename",
    "one-step": "*.codename",
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
def test_policy_names_fields_by_path(path: str) -> None:
    """A path of the policy reaches through lists and masks whatever stands there."""
    masker = Masker(fields={path: "PERSON"})
    value = {"agents": [{"codename": "falcon"}]}
    assert masker.mask(value, IDS).value == {"agents": [{"codename": token("PERSON", "falcon")}]}


def test_policy_path_does_not_reach_elsewhere() -> None:
    """Other paths stay as they are."""
    masker = Masker(fields={"agents.codename": "PERSON"})
    value = {"birds": [{"codename": "falcon"}]}
    assert masker.mask(value, IDS).value is value


NUMBERS = {
    "account": ({"account": {"number": "55779911"}}, True),
    "card": ({"card": {"number": "4111111111111112"}}, True),
    "document": ({"id_document": {"no": "X1234567"}}, True),
    "order": ({"order": {"number": "55779911"}}, False),
    "issue": ({"pull_request": {"number": 17}}, False),
    "alone": ({"number": "55779911"}, False),
}


@pytest.mark.parametrize(("value", "is_masked"), NUMBERS.values(), ids=NUMBERS.keys())
def test_a_number_is_one_of_what_stands_above(value: dict[str, Any], is_masked: bool) -> None:
    """`number` under `account` is an account number, and under `order` none of a person."""
    assert MASKER.mask(value, IDS).changed is is_masked


@pytest.mark.parametrize("nested", [False, True])
def test_keys_with_escapes_are_read(nested: bool) -> None:
    """JSON as most libraries write it, with escapes for accents in its keys."""
    text = json.dumps({"pr\u00e9nom": "Anne", "Stra\u00dfe": "Lindenweg 4", "x\\y": "z"})
    masked = masked_text(json.dumps({"r": text}) if nested else text)
    assert "Anne" not in masked
    assert "Lindenweg" not in masked
    assert json.loads(masked)


def masked_text(text: str) -> str:
    """A text with tokens in place."""
    return str(masked(text))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"id": 1, "phone": "202-555-0147"}, {"id": 1, "phone": token("PHONE_NUMBER", "202-555-0147")}),
        ({"id": 1, "phone": 2025550147}, {"id": 1, "phone": token("PHONE_NUMBER", "2025550147")}),
        ({"id": 1, "phone": None}, {"id": 1, "phone": None}),
        ({"id": 1, "phone": ["202-555-0147"]}, {"id": 1, "phone": [token("PHONE_NUMBER", "202-555-0147")]}),
        ({"phone": "202-555-0147", "id": 1}, {"phone": token("PHONE_NUMBER", "202-555-0147"), "id": 1}),
        (
            {"id": "1", "phone": {"value": 2025550147}},
            {"id": "1", "phone": {"value": token("PHONE_NUMBER", "2025550147")}},
        ),
    ],
    ids=["text", "number", "none", "list", "other-order", "dict"],
)
def test_the_same_keys_mean_the_same_whatever_stood_under_them_before(value: Any, expected: Any) -> None:
    """An object is walked by what its keys said when they were first seen, and by the types of its own values."""
    masker = Masker()
    first = {"id": 1, "phone": "x"}

    got = [masker.mask(each, IDS).value for each in (first, value, first, value)]

    assert got == [first, expected, first, expected]


class Constant(str, enum.Enum):  # noqa: UP042 - a StrEnum shows what it holds, and this does not
    """Keys as constants, whose own names say nothing."""

    ONE = "full_name"
    TWO = "note"
    LABEL = "label"
    LABELLED = "value"
    COLUMNS = "columns"
    ROWS = "rows"


EQUAL_KEYS: dict[str, tuple[dict[Any, Any], dict[Any, Any]]] = {
    "name": ({Constant.ONE: "Zofia"}, {"full_name": "Zofia"}),
    "named-by-policy": ({Constant.TWO: "Zofia"}, {"note": "Zofia"}),
    "label": ({Constant.LABEL: "First name", Constant.LABELLED: "Zofia"}, {"label": "First name", "value": "Zofia"}),
    "as-label": ({"label": Constant.ONE, "value": "Zofia"}, {"label": "full_name", "value": "Zofia"}),
    "table": (
        {Constant.COLUMNS: [Constant.ONE, "n"], Constant.ROWS: [["Zofia", 1]]},
        {"columns": ["full_name", "n"], "rows": [["Zofia", 1]]},
    ),
    "beside-a-number": ({Constant.ONE: "Zofia", 1: "x"}, {"full_name": "Zofia", True: "x"}),
    "label-beside-a-number": (
        {Constant.LABEL: "First name", Constant.LABELLED: "Zofia", 1: "x"},
        {"label": "First name", "value": "Zofia", 1: "x"},
    ),
}


@pytest.mark.parametrize("turn", [1, -1], ids=["enum-first", "text-first"])
@pytest.mark.parametrize("values", EQUAL_KEYS.values(), ids=EQUAL_KEYS.keys())
def test_keys_that_are_equal_say_the_same_whichever_came_first(
    values: tuple[dict[Any, Any], dict[Any, Any]], turn: int
) -> None:
    """A key that is a member of an Enum is the text that it holds, and never decides what that text says of later values."""
    masker = Masker(fields={"**.note": "PERSON"})

    first, second = [str(masker.mask(value, IDS).value) for value in values[::turn]]

    assert "Zofia" not in first
    assert "Zofia" not in second
