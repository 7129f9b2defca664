"""What happens to a finding: each action, which one applies, and that what it leaves is not masked again."""

from __future__ import annotations

import datetime
import gc
import json
from typing import Any

import pytest

from agentguard.masking import Action, Masker, TokenIds
from agentguard.masking.acting import Acting
from agentguard.masking.coarser import coarser
from tests.masking.samples import IDS, token

RECORD = {"email": "ann@acme.example", "ssn": "219-09-9999", "dob": "1980-02-29", "client_ip": "203.0.113.77"}

CARRIED_OUT = {
    "allow": ("allow", "219-09-9999"),
    "token": ("token", token("US_SSN", "219-09-9999")),
    "redact": ("redact", "[US_SSN redacted]"),
    "mask": ("mask", "***9999"),
    "mask-none": (Action("mask", 0), "***"),
    "mask-two": (Action("mask", 2), "***99"),
    "mask-never-all": (Action("mask", 12), "***99999"),
    "drop": ("drop", ""),
}


@pytest.mark.parametrize(("action", "shown"), CARRIED_OUT.values(), ids=CARRIED_OUT.keys())
def test_each_action_is_carried_out(action: str | Action, shown: str) -> None:
    """In a value, in JSON text and in prose the same stands in a finding's place."""
    masker = Masker(actions={"US_SSN": action})
    assert masker.mask({"ssn": "219-09-9999"}, IDS).value == {"ssn": shown}
    assert json.loads(masker.mask('{"ssn": "219-09-9999"}', IDS).value) == {"ssn": shown}
    assert masker.mask("SSN 219-09-9999.", IDS).value == f"SSN {shown}."


def test_a_keyed_hash_is_the_same_in_all_sessions_and_cant_be_guessed() -> None:
    """`hmac` joins what belongs together across sessions of a tenant; another tenant or key gives another one."""
    masker = Masker(actions={"*": "hmac"})
    other = {
        "session": TokenIds([b"test key that is long enough, 32"], "acme", "session-2"),
        "tenant": TokenIds([b"test key that is long enough, 32"], "globex", "session-1"),
        "key": TokenIds([b"another key, also long enough 32"], "acme", "session-1"),
    }

    shown = masker.mask(RECORD["email"], IDS)

    assert shown.value.startswith("[EMAIL_ADDRESS hmac ")
    assert shown.tokens == ()
    assert masker.mask(RECORD["email"], other["session"]).value == shown.value
    assert masker.mask("ann@ACME.example", IDS).value == shown.value
    assert len({shown.value, *(masker.mask(RECORD["email"], ids).value for ids in other.values())}) == 3


COARSER = {
    "birth": ("DATE_OF_BIRTH", "1980-02-29", "1980"),
    "birth-words": ("DATE_OF_BIRTH", "29 February 1980", "1980"),
    "birth-digits": ("DATE_OF_BIRTH", "19800229", "1980"),
    "birth-no-year": ("DATE_OF_BIRTH", "29/02/80", None),
    "age": ("AGE", "47", "40-49"),
    "age-small": ("AGE", "3", "0-9"),
    "age-none": ("AGE", "470", None),
    "zip": ("ZIP_CODE", "62701", "62***"),
    "zip-uk": ("ZIP_CODE", "SW1A 1AA", "SW1A"),
    "ipv4": ("IP_ADDRESS", "203.0.113.77", "203.0.113.0/24"),
    "ipv6": ("IP_ADDRESS", "2001:db8:1:2::7", "2001:db8:1::/48"),
    "gps": ("GPS", "48.85661, 2.35222", "48.9, 2.4"),
    "email": ("EMAIL_ADDRESS", "ann@acme.example", "***@acme.example"),
    "phone": ("PHONE_NUMBER", "+49 30 901820", "+49 ***"),
    "phone-1": ("PHONE_NUMBER", "+12025550147", "+1 ***"),
    "phone-00": ("PHONE_NUMBER", "0044 7700 900123", "+44 ***"),
    "phone-national": ("PHONE_NUMBER", "202-555-0147", None),
    "number": ("SALARY", "84250", "84000"),
    "number-decimal": ("SALARY", "84250.50", "84000"),
    "number-small": ("SCORE", "0.1234", "0.12"),
    "date": ("HIRED", "2019-03-01", "2019-XX-XX"),
    "words": ("NOTE", "likes tea", None),
    "never-ssn": ("US_SSN", "536221234", None),
    "never-account": ("ACCOUNT_ID", "1234567", None),
}


@pytest.mark.parametrize(("entity_type", "value", "expected"), COARSER.values(), ids=COARSER.keys())
def test_values_are_made_coarser(entity_type: str, value: str, expected: str | None) -> None:
    """Each type has its own measure, and what is coarse stays as it is when it is made coarser again."""
    assert coarser(entity_type, value) == expected
    assert expected is None or coarser(entity_type, expected) == expected


def test_what_has_nothing_coarser_is_redacted() -> None:
    """`"*": generalise` passes no value of which nothing coarser is known."""
    masker = Masker(actions={"*": "generalise"})
    assert masker.mask({**RECORD, "full_name": "Anna Kowalska"}, IDS).value == {
        "email": "***@acme.example",
        "ssn": "[US_SSN redacted]",
        "dob": "1980",
        "client_ip": "203.0.113.0/24",
        "full_name": "[PERSON redacted]",
    }


NUMBERS: dict[str, tuple[Any, Any]] = {
    "int": ({"salary": 84250}, {"salary": 84000}),
    "float": ({"salary": 84250.75}, {"salary": 84000}),
    "list": ({"salary": [84250, 61999]}, {"salary": [84000, 62000]}),
    "json": ('{"salary": 84250, "x": 1}', '{"salary": 84000, "x": 1}'),
    "json-twice": (r'{"a": "{\"salary\": 84250}"}', r'{"a": "{\"salary\": 84000}"}'),
}


@pytest.mark.parametrize(("value", "expected"), NUMBERS.values(), ids=NUMBERS.keys())
def test_a_coarser_number_is_still_a_number(value: Any, expected: Any) -> None:
    """In a value and in JSON text the type stays."""
    masker = Masker(fields={"**.salary": "SALARY"}, actions={"SALARY": "generalise"})
    masked = masker.mask(value, IDS).value
    assert masked == expected
    assert json.dumps(masked) == json.dumps(expected)


def test_what_is_dropped_leaves_nothing_of_its_kind() -> None:
    """Text becomes empty and a number null, so that shapes stay; in JSON text too."""
    masker = Masker(actions={"*": "drop"})
    value = {
        "ssn": "219-09-9999",
        "account_id": 1234567,
        "dob": datetime.date(1980, 2, 29),
        "note": "mail ann@acme.example now",
    }
    assert masker.mask(value, IDS).value == {"ssn": "", "account_id": None, "dob": "", "note": "mail  now"}
    assert masker.mask('{"ssn": "219-09-9999", "account_id": 1234567}', IDS).value == '{"ssn": "", "account_id": null}'


@pytest.mark.parametrize("action", ["redact", "mask", "hmac", "generalise", "drop", "token"])
def test_masking_again_changes_nothing(action: str) -> None:
    """What an action leaves is not masked once more."""
    masker = Masker(actions={"*": action})
    value = {
        **RECORD,
        "full_name": "Anna Kowalska",
        "zip": "62701",
        "note": "from 203.0.113.77 by ann@acme.example, SSN 219-09-9999",
    }
    once = masker.mask(value, IDS).value
    assert masker.mask(once, IDS).value == once


def test_a_secret_written_as_a_redaction_is_masked_all_the_same() -> None:
    """What a tool writes in the form of a keyed hash passes only where it holds twenty letters and no value."""
    masked = Masker().mask("[CARD hmac 4111111111111111] [EMAIL_ADDRESS hmac ann@acme.example]", IDS).value
    assert "4111111111111111" not in masked
    assert "ann@acme.example" not in masked


LAYERS = {
    "nothing-said": ({}, {}, "token"),
    "type": ({"EMAIL_ADDRESS": "redact"}, {}, "redact"),
    "others": ({"*": "redact"}, {}, "redact"),
    "type-over-others": ({"*": "redact", "EMAIL_ADDRESS": "drop"}, {}, "drop"),
    "path-over-type": ({"EMAIL_ADDRESS": "drop", "**.mail": "redact"}, {}, "redact"),
    "longer-path": ({"**.mail": "redact", "customer.mail": "drop"}, {}, "drop"),
    "path-of-another-type": ({"**.mail": {"PERSON": "redact"}, "EMAIL_ADDRESS": "drop"}, {}, "drop"),
    "path-by-type": ({"**.mail": {"EMAIL_ADDRESS": "redact", "*": "drop"}}, {}, "redact"),
    "path-others": ({"**.mail": {"PERSON": "redact", "*": "drop"}}, {}, "drop"),
    "other-path": ({"**.phone": "redact", "*": "drop"}, {}, "drop"),
    "closer-type": ({"EMAIL_ADDRESS": "redact"}, {"EMAIL_ADDRESS": "drop"}, "drop"),
    "closer-others-over-type": ({"EMAIL_ADDRESS": "redact"}, {"*": "drop"}, "drop"),
    "closer-silent": ({"EMAIL_ADDRESS": "redact"}, {"PERSON": "drop"}, "redact"),
    "closer-over-path": ({"**.mail": "redact"}, {"EMAIL_ADDRESS": "drop"}, "drop"),
    "further-path-counts": ({"**.mail": "redact"}, {"PERSON": "drop"}, "redact"),
    "closer-path": ({"EMAIL_ADDRESS": "redact"}, {"customer.*": "drop"}, "drop"),
}


@pytest.mark.parametrize(("written", "closer", "expected"), LAYERS.values(), ids=LAYERS.keys())
def test_the_closest_word_counts(written: dict[str, Any], closer: dict[str, Any], expected: str) -> None:
    """A tool's own words, then the policy's; in each the path that names most, then the type, then `*`."""
    masker = Masker(actions=written).under(closer) if closer else Masker(actions=written)
    shown = {"redact": "[EMAIL_ADDRESS redacted]", "drop": "", "token": token("EMAIL_ADDRESS", "ann@acme.example")}
    value = {"customer": {"mail": "ann@acme.example"}}
    assert masker.mask(value, IDS).value == {"customer": {"mail": shown[expected]}}
    assert json.loads(masker.mask(json.dumps(value), IDS).value) == {"customer": {"mail": shown[expected]}}


def test_a_path_reaches_through_lists_tables_and_text_but_not_elsewhere() -> None:
    """Findings under the path are redacted wherever they stand in the leaf; others become tokens."""
    masker = Masker(actions={"**.note": "redact"})
    value = {
        "rows": [{"note": ["mail ann@acme.example"], "mail": "ann@acme.example"}],
        "csv": "id,note\n1,ann@acme.example\n",
    }
    masked = masker.mask(value, IDS).value
    assert masked == {
        "rows": [{"note": ["mail [EMAIL_ADDRESS redacted]"], "mail": token("EMAIL_ADDRESS", "ann@acme.example")}],
        "csv": "id,note\n1,[EMAIL_ADDRESS redacted]\n",
    }


@pytest.mark.parametrize(
    "note",
    [
        "mail ann@acme.example",
        "https://acme.example/?mail=ann@acme.example",
        '{"a": {"b": "ann@acme.example"}}',
        "a,b\n1,ann@acme.example",
    ],
)
def test_a_path_to_a_text_leads_to_all_that_is_in_it(note: str) -> None:
    """Whatever form the text has: prose, a URL, JSON, a table."""
    masked = Masker(actions={"**.note": "redact"}).mask({"note": note}, IDS).value
    assert masked == {"note": note.replace("ann@acme.example", "[EMAIL_ADDRESS redacted]")}


def test_an_error_is_masked_by_the_same_actions() -> None:
    """What a tool raises is no way around an action."""
    masker = Masker(actions={"EMAIL_ADDRESS": "drop"})
    error, _ = masker.mask_error(ValueError("no ann@acme.example here"), IDS)
    assert str(error) == "no  here"


def test_masking_leaves_nothing_for_the_garbage_collector() -> None:
    """What acts on the findings of one value goes with it, with the values that it saw, however seldom anybody collects."""
    gc.collect()
    gc.disable()
    try:
        Masker().mask(RECORD, IDS)
        left = [one for one in gc.get_objects() if type(one) is Acting]
    finally:
        gc.enable()
    assert left == []
