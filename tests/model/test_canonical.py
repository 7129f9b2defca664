"""One text for one value: canonical JSON."""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.errors import NotCanonical
from agentguard.model.canonical import DEPTH_MAX, INTEGER_BITS_MAX, canonical_json, read_canonical

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


class Text(str):
    """Text that says what it pleases when it is asked."""

    __slots__ = ()

    def isascii(self) -> bool:
        return True


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


@given(JSON_VALUES)
def test_reading_the_text_gives_the_value_and_its_types_again(value: Any) -> None:
    """The text holds everything: types, signs of zero and the spelling of numbers."""
    text = canonical_json(value)
    assert canonical_json(json.loads(text)) == text
    assert repr(json.loads(text)) == repr(json.loads(json.dumps(value, sort_keys=True)))
    assert repr(read_canonical(text)) == repr(json.loads(text))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(nested(DEPTH_MAX), id="depth"),
        pytest.param((1 << INTEGER_BITS_MAX) - 1, id="largest integer"),
        pytest.param(1 - (1 << INTEGER_BITS_MAX), id="smallest integer"),
        pytest.param([2**63 - 1, 2**63, 2**64, -(2**63), -(2**63) - 1], id="integers of a machine"),
        pytest.param(
            [5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 9007199254740993.0], id="ends of floats"
        ),
        pytest.param({"": "", "\x00\x7f\u2028": '"\\'}, id="control characters"),
    ],
)
def test_what_has_a_text_is_read_from_it(value: Any) -> None:
    """At the ends of what may be written too."""
    assert repr(read_canonical(canonical_json(value))) == repr(value)


@pytest.mark.parametrize("text", ["", "{", "1 2", '{"a":1}x', "nil"], ids=repr)
def test_what_is_no_value_or_more_than_one_is_not_read(text: str) -> None:
    """Stored text that was cut off or added to stops whoever reads it."""
    with pytest.raises(ValueError, match="line 1"):
        read_canonical(text)


@given(st.dictionaries(st.text(max_size=5), st.integers(), max_size=6))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    """Two dicts that are equal have the same text."""
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(1, 1.0, id="integer and float"),
        pytest.param(1, True, id="integer and true"),
        pytest.param(0, False, id="zero and false"),
        pytest.param(1, "1", id="number and text"),
        pytest.param(0.0, -0.0, id="signs of zero"),
        pytest.param(2**53, 2**53 + 1, id="integers over 53 bits"),
        pytest.param(float(2**53), 2**53, id="large float and integer"),
        pytest.param("\u00e9", "e\u0301", id="NFC and NFD"),
        pytest.param("a", "a\u200b", id="zero-width"),
        pytest.param(None, "null", id="null and text"),
        pytest.param([], {}, id="empty list and dict"),
        pytest.param(["a", "b"], ["a,b"], id="list and joined text"),
        pytest.param({"a": None}, {}, id="null and absent"),
    ],
)
def test_t1_values_that_differ_have_different_texts(one: Any, other: Any) -> None:
    """No two values that a tool could tell apart share a text."""
    assert canonical_json({"x": one}) != canonical_json({"x": other})


@pytest.mark.parametrize(
    ("value", "path"),
    [
        pytest.param({"a": [1, math.nan]}, "$.a[1]", id="NaN"),
        pytest.param({"a": math.inf}, "$.a", id="infinity"),
        pytest.param({"a": "\ud800"}, "$.a", id="lone surrogate"),
        pytest.param({"\ud800": 1}, "$", id="lone surrogate in a key"),
        pytest.param({1: "a"}, "$", id="key that is no text"),
        pytest.param({"a": b"x"}, "$.a", id="bytes"),
        pytest.param({"a": 10**5000}, "$.a", id="an endless integer"),
        pytest.param({"a": {1, 2}}, "$.a", id="set"),
        pytest.param({"a": "\ud83d", "b": "\ude00"}, "$.b", id="halves of one character in two texts"),
        pytest.param({chr(0xD83D): 1, chr(0xDE00): 2}, "$", id="halves of one character in two keys"),
        pytest.param({"a": {}, "b": {"c": (1, {2: 3})}}, "$.b.c[1]", id="a number as a key, further in"),
        pytest.param({"a": Text("b")}, "$.a", id="a kind of text of its own"),
        pytest.param({Text("a"): 1}, "$", id="a key of a kind of its own"),
        pytest.param({"a": HTTPStatus.OK}, "$.a", id="an Enum of numbers"),
        pytest.param({"ann@acme.example": b"x"}, "$.?", id="a key that may be personal is not shown"),
    ],
)
def test_t1_what_has_no_canonical_form_is_refused_with_its_path(value: Any, path: str) -> None:
    """The error says where, and shows no value."""
    with pytest.raises(NotCanonical) as refused:
        canonical_json(value)
    assert refused.value.path == path


def test_t29_nesting_is_capped() -> None:
    """One level over the cap is refused, and so is any depth, without recursion."""
    assert canonical_json(nested(DEPTH_MAX))
    with pytest.raises(NotCanonical):
        canonical_json(nested(DEPTH_MAX + 1))
    with pytest.raises(NotCanonical):
        canonical_json(nested(100_000))


def test_t29_a_cycle_is_refused() -> None:
    """A value that holds itself has no text."""
    value: list[Any] = []
    value.append(value)
    with pytest.raises(NotCanonical):
        canonical_json(value)


def test_t29_a_value_that_holds_itself_many_times_is_refused_at_once() -> None:
    """Each level doubles what there is to see: only one way down is followed."""
    value: list[Any] = []
    value += [value] * 64
    with pytest.raises(NotCanonical, match="nested deeper"):
        canonical_json(value)
