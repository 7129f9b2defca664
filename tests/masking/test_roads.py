"""Common values take a short road through masking. It must come to the same place as the long one."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentguard.errors import GuardUnavailable
from agentguard.masking import Limits, Masker
from agentguard.model.keyed import KeyedHash
from tests.masking.samples import IDS, MASKER
from tests.masking.test_properties import ANY, TEXTS, VALUES

quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
LETTER_OUT_OF_FORM = "\uff41"
SOME = st.one_of(TEXTS, st.text(max_size=30), st.integers().map(str), st.just("2026-03-14T09:26:53Z"))
SEVERAL = st.dictionaries(st.sampled_from("abcdefgh"), SOME, min_size=1)


class Written(str):
    """Text of a type of its own, which is looked at with the rarer ones."""


@quick
@given(ANY)
def test_containers_and_text_of_other_types_are_masked_like_plain_ones(value: Any) -> None:
    """A mapping, a tuple and text that are no dict, list or str get the same tokens in the same places."""
    plain, other = MASKER.mask(value, IDS), MASKER.mask(_of_other_types(value), IDS)
    assert _plainly(other.value) == _plainly(plain.value)
    assert set(other.tokens) == set(plain.tokens)
    assert other.entities == plain.entities


@quick
@given(ANY)
def test_a_leaf_that_needs_another_form_changes_nothing_for_the_others(value: Any) -> None:
    """Beside text that has to be brought into plain form first, all else is found as without it."""
    alone = MASKER.mask({"value": value}, IDS).value
    beside = MASKER.mask({"value": value, "odd": LETTER_OUT_OF_FORM}, IDS).value
    assert beside == {**alone, "odd": LETTER_OUT_OF_FORM}


@quick
@given(SEVERAL)
def test_what_is_found_in_a_leaf_by_itself_is_found_among_others(texts: dict[str, str]) -> None:
    """One page for all leaves loses nothing that a page for each would show."""
    together = MASKER.mask(texts, IDS)
    apart = [MASKER.mask({key: text}, IDS) for key, text in texts.items()]
    assert {token.text for masked in apart for token in masked.tokens} <= {token.text for token in together.tokens}


@quick
@given(st.dictionaries(st.sampled_from("abcdefgh"), VALUES, min_size=1))
def test_certain_values_are_masked_the_same_alone_and_together(texts: dict[str, str]) -> None:
    """Where nothing is in doubt, a leaf is masked the same whatever stands beside it."""
    assert MASKER.mask(texts, IDS).value == {
        key: MASKER.mask({key: text}, IDS).value[key] for key, text in texts.items()
    }


@quick
@given(ANY, VALUES)
def test_only_containers_around_a_change_are_new(value: Any, personal: str) -> None:
    """What holds nothing personal is the very object that came in, beside something that does."""
    inert: dict[str, Any] = {"x": [1, "plain", {"y": None}]}
    given_value = {"inert": inert, "value": value, "note": personal}
    masked = MASKER.mask(given_value, IDS).value
    assert masked["inert"] is inert
    assert list(masked) == list(given_value)
    assert given_value["note"] == personal


@pytest.mark.parametrize(
    "word",
    ["YW5uQGFjbWUuZXhhbXBsZQ==", "YUBiLmV4YW1wbGU", "616e6e4061636d652e6578616d706c65", "aGkgYW5uQGFjbWUuZXhhbXBsZQ"],
    ids=["padded", "fifteen characters", "hex", "unpadded"],
)
def test_encoded_words_are_decoded_beside_numbers_with_dashes(word: str) -> None:
    """A telephone number decodes to nothing; an encoded address beside it is still found, whole."""
    masked = MASKER.mask({"a": "+1-202-555-0147", "b": f"see {word} there"}, IDS).value
    assert masked["b"].startswith("see [EMAIL_")
    assert masked["b"].endswith("] there")


@pytest.mark.parametrize("stamp", ["2026-03-14T09:26:53Z", "2026-03-14 09:26", "2026-03-14T09:26:53.123+02:00"])
def test_a_point_in_time_is_left_alone_unless_its_field_says_more(stamp: str) -> None:
    """Nothing is found in a timestamp, but a date of birth is one under its key."""
    assert MASKER.mask({"created_at": stamp}, IDS).changed is False
    assert MASKER.mask({"date_of_birth": stamp}, IDS).changed is True


@pytest.mark.parametrize(
    ("value", "limits"),
    [
        ({str(number): "text" for number in range(50)}, Limits(nodes=40)),
        ([["x"] * 30, ["y"] * 30], Limits(nodes=40)),
        ({"a": "x" * 60, "b": "y" * 60}, Limits(characters=100)),
        ([b"x" * 60, b"y" * 60], Limits(characters=100)),
    ],
    ids=["keys", "lists", "text", "bytes"],
)
def test_t29_the_short_road_counts_as_well(value: Any, limits: Limits) -> None:
    """Values, and characters, over the limit are refused wherever they stand."""
    with pytest.raises(GuardUnavailable):
        Masker(limits=limits).mask(value, IDS)


@quick
@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=200))
def test_the_keyed_hash_is_hmac(key: bytes, prefix: bytes, message: bytes) -> None:
    """For keys of any length it gives what the standard library gives."""
    assert KeyedHash(key).digest(message) == hmac.digest(key, message, "sha256")
    assert KeyedHash(key, prefix).digest(message) == hmac.digest(key, prefix + message, "sha256")


def _of_other_types(value: Any) -> Any:
    match value:
        case dict():
            return OrderedDict((key, _of_other_types(inner)) for key, inner in value.items())
        case list():
            return tuple(_of_other_types(inner) for inner in value)
        case str():
            return Written(value)
        case _:
            return value


def _plainly(value: Any) -> Any:
    match value:
        case dict():
            return {key: _plainly(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plainly(inner) for inner in value]
        case str():
            return str(value)
        case _:
            return value


@pytest.mark.parametrize(
    ("key", "text", "entity"),
    [
        ("email", "ann@mail.example", "EMAIL_ADDRESS"),
        ("email", "https://ann:secret@mail.example/x", "URL"),
        ("email", "ann@mail.example (home)", "EMAIL_ADDRESS"),
        ("phone", "+1-202-555-0147", "PHONE_NUMBER"),
        ("phone", "4111 1111 1111 1111 11", "PHONE_NUMBER"),
        ("credit_card", "4111-1111-1111-1111", "CREDIT_CARD"),
        ("credit_card", "378282246310005", "CREDIT_CARD"),
    ],
)
def test_a_value_that_is_just_what_its_key_says_is_masked_whole(key: str, text: str, entity: str) -> None:
    """The key decides where nothing else could be found; where a pattern sees something of another kind, it still does."""
    masked = MASKER.mask({key: text, "note": f"about {text}"}, IDS)
    assert {token.entity_type for token in masked.tokens} >= {entity}
    assert masked.value[key] == next(token.text for token in masked.tokens if token.value == text)


def test_what_a_key_settled_makes_the_same_value_certain_elsewhere() -> None:
    """A number that is in doubt in prose is masked where a key of the same value says that it is a telephone."""
    masked = MASKER.mask({"phone": "496 464 670 22", "note": "take 496 464 670 22 with you"}, IDS)
    assert "464" not in str(masked.value)


@pytest.mark.parametrize("date", ["2026-03-14", "at 1999-12-31.", "2026-03-14T09:26:53Z", "on 2026-03-14 or later"])
def test_a_date_is_no_number_of_anybody(date: str) -> None:
    """Dates are left out before any detector looks at them."""
    assert MASKER.find(date) == []


def test_a_number_behind_a_date_is_found() -> None:
    """A date with more digits behind it is looked at as a whole."""
    assert [f.entity_type for f in MASKER.find("2026-03-14 202-555-0147")] == ["PHONE_NUMBER"]
