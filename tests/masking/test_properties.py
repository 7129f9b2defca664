"""What holds for every value: masking twice is masking once, the way back is exact, and nothing found survives."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any, NamedTuple

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agentguard.masking import KnownValues, Masker, TokenIds, restore
from tests.masking.samples import IDS, MASKER
from tests.masking.test_embedded import FORMS as EMBEDDED
from tests.masking.test_stream import FORMS

LETTERS = st.text(alphabet="abcdefghij", min_size=2, max_size=8)
VALUES = st.one_of(
    st.builds("{}@{}.example".format, LETTERS, LETTERS),
    st.builds("+1 202-555-{:04d}".format, st.integers(100, 199)),
    st.sampled_from(["4111 1111 1111 1111", "GB29NWBK60161331926819", "536-22-1234", "203.0.113.9"]),
)
WORDS = st.text(alphabet="xyz ,.é😀\n", max_size=10)
TEXTS = st.one_of(WORDS, VALUES, st.builds("{} {} {}".format, WORDS, VALUES, WORDS))
KEYS = st.sampled_from(["note", "full_name", "name", "email", "address", "id", "x", "account_id", "to"])
ANY = st.recursive(
    st.one_of(TEXTS, st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=12)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
TYPES = (
    "EMAIL_ADDRESS PHONE_NUMBER CREDIT_CARD IBAN_CODE US_SSN US_ITIN IP_ADDRESS PERSON ADDRESS ACCOUNT_ID URL API_KEY"
    " MAC_ADDRESS CRYPTO JWT CITY"
).split()
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Everything(NamedTuple):
    """A reveal of all types inside the text of one parameter."""

    parameter: str
    entity_types: tuple[str, ...] = tuple(TYPES)
    inside_text: bool = True


@quick
@given(ANY)
def test_masking_is_idempotent(value: Any) -> None:
    """Masking what was masked changes nothing, for tokens, redactions and parts."""
    once = MASKER.mask(value, IDS)
    assert MASKER.mask(once.value, IDS).value == once.value
    redactor = Masker(actions={"*": "redact"})
    redacted = redactor.mask(value, IDS).value
    assert redactor.mask(redacted, IDS).value == redacted


@quick
@given(st.dictionaries(st.sampled_from(["a", "note", "b"]), TEXTS, min_size=1))
def test_restoring_gives_back_what_was_masked(value: dict[str, str]) -> None:
    """Where every type is revealed the tool gets exactly what was there."""
    once = MASKER.mask(value, IDS)
    resolved = {token.text: token for token in once.tokens}
    assert restore(once.value, [Everything(key) for key in value], resolved) == value


@quick
@given(ANY)
def test_no_value_of_a_token_survives(value: Any) -> None:
    """What tokens stand for stands nowhere in the masked value by itself."""
    once = MASKER.mask(value, IDS)
    told = re.sub(r"\[[A-Z]+_[0-9a-z]{10}\]", "", json.dumps(once.value, ensure_ascii=False))
    assert [token.value for token in once.tokens if token.entity_type in TYPES[:5] and token.value in told] == []


FORMED = st.lists(
    st.sampled_from([*FORMS.values(), *(text for text, _ in EMBEDDED.values()), "and then"]), min_size=1, max_size=3
)
formed = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@formed
@given(FORMED.map("\n\n".join))
def test_masking_text_of_any_form_is_idempotent(text: str) -> None:
    """Tables, records, markup and disguises of which parts are tokens already are left as they are."""
    once = MASKER.mask(text, IDS).value
    assert MASKER.mask(once, IDS).value == once


@formed
@given(FORMED.map("\n\n".join))
def test_no_finding_of_a_text_of_any_form_survives(text: str) -> None:
    """What is found in a text stands nowhere in it afterwards, but in the tokens' own characters."""
    told = re.sub(r"\[[A-Z]+_[0-9a-z]{10}\]", "", MASKER.mask(text, IDS).value)
    found = {text[one.start : one.end] for one in MASKER.find(text) if one.entity_type in TYPES[:8]}
    assert [value for value in found if re.search(rf"(?<!\w){re.escape(value)}(?!\w)", told)] == []


@formed
@given(FORMED.map("\n\n".join))
@example(f"{FORMS['xml']}\n\n{FORMS['private-key-cut-off']}\n\n{FORMS['psql']}")
def test_what_is_restored_in_text_of_any_form_means_the_same(text: str) -> None:
    """Where every type is revealed, the restored text is what was there, in plain spelling: masked again in its session, it is the same.

    In its session: what said that something is a name may stand in what is not given back, behind a key that is cut off.
    """
    ids = TokenIds([b"test key that is long enough, 32"], "acme", "session-1", KnownValues())
    once = MASKER.mask({"note": text}, ids)
    resolved = {token.text: token for token in once.tokens}
    restored = restore(once.value, [Everything("note")], resolved)
    assert MASKER.mask(restored, ids).value == once.value


@quick
@given(ANY)
def test_shape_and_order_stay(value: Any) -> None:
    """Containers, their order and their sizes are those that came in."""
    assert _shape(MASKER.mask(value, IDS).value) == _shape(value)


@quick
@given(ANY)
def test_json_text_is_masked_like_its_value(value: Any) -> None:
    """A value and its JSON text come to the same masked JSON, where the text is an object or a list of them."""
    text = json.dumps({"data": value}, ensure_ascii=False)
    masked = MASKER.mask(text, IDS).value
    assert _shape(json.loads(masked)) == _shape({"data": value})


@quick
@given(st.text(max_size=200))
def test_any_text_is_searched_without_fault(text: str) -> None:
    """Findings lie inside the text, in order, and do not overlap."""
    findings = MASKER.find(text)
    spans = [(finding.start, finding.end) for finding in findings]
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def _shape(value: Any) -> Any:
    match value:
        case dict():
            return [_shape(inner) for inner in value.values()]
        case list():
            return tuple(_shape(inner) for inner in value)
        case _:
            return "leaf"
