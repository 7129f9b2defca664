"""What a person sees who decides: enough to recognise a value, never the whole, and nothing invisible."""

from __future__ import annotations

import json

import pytest

from agentguard.masking import partial, visible
from tests.masking.samples import IDS, MASKER

PARTS = {
    "email": ("EMAIL_ADDRESS", "dan@acme.example", "d***@acme.example"),
    "person": ("PERSON", "Anna Kowalska", "A. K."),
    "card": ("CREDIT_CARD", "4111 1111 1111 1234", "***1234"),
    "iban": ("IBAN_CODE", "GB29NWBK60161331926819", "***6819"),
    "phone": ("PHONE_NUMBER", "+1 202-555-0147", "***0147"),
    "short": ("ACCOUNT_ID", "12345", "***5"),
    "shorter": ("ACCOUNT_ID", "123", "***"),
    "secret": ("PASSWORD", "hunter2", "***"),
    "ip": ("IP_ADDRESS", "203.0.113.9", "203.0.*.*"),
}


@pytest.mark.parametrize(("entity_type", "value", "shown"), PARTS.values(), ids=PARTS.keys())
def test_a_part_by_which_a_value_is_recognised(entity_type: str, value: str, shown: str) -> None:
    """The form of each type; shown again it stays the same."""
    assert partial(entity_type, value) == shown
    assert partial(entity_type, shown) == shown


def test_the_view_for_people_is_json_and_holds_no_whole_value() -> None:
    """Every finding in part; shape as it was."""
    value = {"to": ["dan@acme.example"], "full_name": "Anna Kowalska", "n": 3, "raw": b"4111 1111 1111 1111"}
    assert MASKER.for_people(value) == {"to": ["d***@acme.example"], "full_name": "A. K.", "n": 3, "raw": "***1111"}
    assert json.dumps(MASKER.for_people(value))


def test_tokens_stay_unless_their_values_are_given() -> None:
    """With a token's value at hand its part is shown; the token itself otherwise."""
    one = IDS.token("EMAIL_ADDRESS", "dan@acme.example")
    assert MASKER.for_people({"to": one.text}) == {"to": one.text}
    assert MASKER.for_people({"to": f"x {one.text}"}, {one.text: one}) == {"to": "x d***@acme.example"}


HIDDEN = {
    "bidi": ("a\u202eb", "a\\u202eb"),
    "zero-width": ("a\u200bb", "a\\u200bb"),
    "tag": ("a\U000e0041b", "a\\U000e0041b"),
    "escape": ("a\x1b[31mb", "a\\x1b[31mb"),
    "carriage-return": ("a\rb", "a\\x0db"),
    "line-separator": ("a\u2028b", "a\\u2028b"),
    "private": ("a\ue000b", "a\\ue000b"),
    "surrogate": ("a\ud800b", "a\\ud800b"),
    "filler": ("a\u3164b", "a\\u3164b"),
    "variation": ("a\ufe0fb", "a\\ufe0fb"),
    "plain": ("Zażółć\n\t é 你好", "Zażółć\n\t é 你好"),
}


@pytest.mark.parametrize(("text", "shown"), HIDDEN.values(), ids=HIDDEN.keys())
def test_t16_what_shows_nothing_is_written_as_an_escape(text: str, shown: str) -> None:
    """Control, bidirectional, zero-width, tag and private characters are visible, in values and in keys."""
    assert visible(text) == shown
    assert MASKER.for_people({text: [text]}) == {shown: [shown]}
