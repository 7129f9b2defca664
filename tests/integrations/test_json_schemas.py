"""Schemas of servers that nobody vouches for: a check of them ends, and what can't be checked is refused."""

from __future__ import annotations

import re
import socket
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.integrations.mcp.json_schemas import Uncheckable, json_schema
from agentguard.integrations.mcp.linear_patterns import NotLinear, linear_pattern

CATASTROPHIC = "^(a+)+$"
TEXT = "a" * 50_000 + "!"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"
DOUBLING = {"d40": True, **{f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(40)}}
DEPENDING = {
    "d40": True,
    **{f"d{i}": {"dependentSchemas": {key: {"$ref": f"#/$defs/d{i + 1}"} for key in ("a", "b")}} for i in range(40)},
}
WITHOUT_MORE = {"$ref": "#/$defs/d0", "unevaluatedProperties": False}
SOON_SECONDS = 5.0
"""Of the processor: long beside the milliseconds that a check takes, short beside the ages that a catastrophic pattern would."""


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"pattern": CATASTROPHIC}}},
        {"properties": {"a": {"$schema": DRAFT_7, "pattern": CATASTROPHIC}}},
        {"properties": {"a": {"$schema": DRAFT_2020, "not": {"not": {"pattern": CATASTROPHIC}}}}},
        {"$schema": DRAFT_7, "properties": {"a": {"anyOf": [{"pattern": CATASTROPHIC}]}}},
        {"$dynamicAnchor": "meta", "properties": {"a": {"pattern": CATASTROPHIC}}, "allOf": [{"$ref": DRAFT_2020}]},
        {"$defs": {"x": {"pattern": CATASTROPHIC}}, "properties": {"a": {"$ref": "#/$defs/x"}}},
    ],
    ids=["plain", "another dialect inside", "its own dialect inside", "draft 7", "by the metaschema", "by reference"],
)
def test_t28_a_catastrophic_pattern_is_checked_in_time_linear_in_the_text(schema: dict[str, Any]) -> None:
    """Wherever it hides, and whatever dialect the schema around it says that it is of."""
    started = time.process_time()
    fits = json_schema({"type": "object", **schema}).is_valid({"a": TEXT})

    assert not fits
    assert time.process_time() - started < SOON_SECONDS


@pytest.mark.parametrize(
    "schema",
    [
        {"patternProperties": {CATASTROPHIC: {"type": "null"}}, "additionalProperties": False},
        {"$schema": DRAFT_7, "patternProperties": {CATASTROPHIC: True}, "additionalProperties": False},
        {"propertyNames": {"pattern": CATASTROPHIC}},
    ],
)
def test_t28_names_of_fields_are_held_against_patterns_in_linear_time_too(schema: dict[str, Any]) -> None:
    """Under each keyword that reads them."""
    started = time.process_time()
    fits = json_schema({"type": "object", **schema}).is_valid({TEXT: 1})

    assert not fits
    assert time.process_time() - started < SOON_SECONDS


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        pytest.param({"$defs": DOUBLING, "$ref": "#/$defs/d0"}, "takes more than 2 s", marks=pytest.mark.slow),
        pytest.param({"$defs": DEPENDING, **WITHOUT_MORE}, "takes more than 2 s", marks=pytest.mark.slow),
        ({"$ref": "#"}, "it is too deep, or refers to itself without end"),
        ({"$ref": "#/$defs/none"}, "it refers to a schema that is not in it"),
        ({"$ref": "#/x", "x": {"properties": 5}}, "it has a form that no schema has"),
        ({"properties": {"a": {"pattern": r"(?<=x)y"}}}, r"its pattern (?<=x)y has what takes more than linear time"),
        ({"not": {"properties": {"a": {"pattern": r"(a)\1"}}}}, r"its pattern (a)\1 has what"),
        ({"anyOf": [{"properties": {"a": {"pattern": "x(?=y)"}}}, True]}, "its pattern x(?=y) has what"),
        ({"properties": {"a": {"pattern": "(?=\u202e"}}}, r"its pattern (?=\u202e has what"),
        ({"properties": {"a": {"pattern": f"x(?=y){'z' * 200}"}}}, "z... has what"),
    ],
    ids=[
        "doubling",
        "doubling of dependent schemas",
        "itself",
        "nothing",
        "no schema",
        "look-behind",
        "back-reference under not",
        "look-ahead beside what fits",
        "hidden text",
        "long",
    ],
)
def test_t28_what_cant_be_checked_is_an_error_and_says_why(schema: dict[str, Any], why: str) -> None:
    """Soon, and never a yes: not where another branch would fit, nor where `not` stands around it."""
    started = time.process_time()
    with pytest.raises(Uncheckable) as refused:
        json_schema({"type": "object", **schema}).is_valid({"a": TEXT, "b": 1})

    assert why in str(refused.value)
    assert "aaaa" not in str(refused.value)
    assert time.process_time() - started < SOON_SECONDS


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "nothing"}, "it is none"),
        ({"properties": 5}, "it is none"),
        (
            {"patternProperties": {"^a": True}, "unevaluatedProperties": False},
            "it has both patternProperties and unevaluatedProperties",
        ),
    ],
)
def test_a_schema_that_never_can_be_checked_is_refused_as_a_whole(schema: dict[str, Any], why: str) -> None:
    """Whatever the value is."""
    with pytest.raises(Uncheckable, match=why):
        json_schema(schema)


def test_t30_no_other_document_is_fetched_for_a_reference() -> None:
    """A server's schema can't make the guard call an address inside."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        schema = json_schema({"$ref": f"http://127.0.0.1:{listening.getsockname()[1]}/schema.json"})
        with pytest.raises(Uncheckable, match="refers to a schema that is not in it"):
            schema.is_valid({})
        with pytest.raises(TimeoutError):
            listening.accept()


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"patternProperties": {"^x-": {"type": "integer"}}}, {"x-a": 1, "b": "c"}, {"x-a": "no"}),
        ({"patternProperties": {"^x-": {}}, "additionalProperties": False}, {"x-a": 1}, {"y": 1}),
        ({"patternProperties": {"^x-": {}}, "additionalProperties": {"type": "null"}}, {"x-a": 1, "b": None}, {"b": 1}),
        ({"properties": {"a": {"pattern": "^[\\u4e00-\\u9fa5]+$"}}}, {"a": "\u4e2d"}, {"a": "x"}),
        ({"properties": {"a": {"pattern": "^x$"}}}, {"a": "x"}, {"a": "x\n"}),
        ({"properties": {"a": {"pattern": "b"}}}, {"a": 5}, {"a": "c"}),
        ({"$schema": DRAFT_7, "dependencies": {"a": ["b"]}}, {"a": 1, "b": 1}, {"a": 1}),
        ({"unevaluatedProperties": False, "allOf": [{"properties": {"a": {}}}]}, {"a": 1}, {"b": 1}),
        ({"properties": {"a": {"$ref": DRAFT_7}}}, {"a": {"type": "string"}}, {"a": {"type": 5}}),
    ],
)
def test_schemas_mean_what_the_standard_says(schema: dict[str, Any], good: Any, bad: Any) -> None:
    """Patterns search, and hold for text alone; a field that a pattern took is no further one."""
    check = json_schema({"type": "object", **schema})

    assert check.is_valid(good)
    assert not check.is_valid(bad)


ZOD_EMAIL = (
    r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$"  # no value
)


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (ZOD_EMAIL, "mira@mail.example", ".mira@mail.example"),
        (ZOD_EMAIL, "m.j@mail.example", "m..j@mail.example"),
        (r"^(?=.*[A-Z])(?=.*[0-9]).{4,}$", "abcD5", "abcd5"),
        (r"^(?!(admin|root)$)[a-z]+$", "roots", "root"),
        (r"^(?=[)(]x).+$", ")x", "x)"),
    ],
)
def test_a_pattern_that_looks_ahead_from_the_beginning_can_be_checked(pattern: str, good: str, bad: str) -> None:
    """As makers of schemas write them for addresses and passwords."""
    assert linear_pattern(pattern).is_in(good)
    assert not linear_pattern(pattern).is_in(bad)


@pytest.mark.parametrize(
    "pattern", [r"^(?!a)b|c", r"^(?=a)*b", r"^(?!a){0}b", r"^(?=a", r"^(?=[]a])b", r"(?!a)b", r"^x(?!a)", r"^(?=(a))\1"]
)
def test_what_looks_around_elsewhere_is_not_guessed_at(pattern: str) -> None:
    """Nor is what is repeated, or one choice of several."""
    with pytest.raises(NotLinear):
        linear_pattern(pattern)


PIECES = st.sampled_from(["a", "b", "[ab]", "(a|b)", "(?:ab)", ".", "a*", "[^a]", "b?", r"\.", "[(]", r"\)"])
SOME = st.lists(PIECES, min_size=1, max_size=4).map("".join)


@given(
    ahead=st.lists(st.tuples(st.sampled_from(["(?=", "(?!"]), SOME, st.sampled_from(["", "$"])), max_size=3),
    rest=SOME,
    text=st.text(alphabet="ab.()", max_size=6),
)
def test_patterns_that_look_ahead_find_what_pythons_own_do(
    ahead: list[tuple[str, str, str]], rest: str, text: str
) -> None:
    """Split in several, they are the same pattern."""
    pattern = "^" + "".join(f"{kind}{inner}{end})" for kind, inner, end in ahead) + rest

    assert linear_pattern(pattern).is_in(text) == (re.search(pattern, text) is not None)
