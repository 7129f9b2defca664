"""Why a condition counted as met: which of its parts were true, and which failed."""

from __future__ import annotations

import pytest

from agentguard.model.facts import Facts
from agentguard.policy.condition_parts import parts_of
from tests.policy.policies import ANN, policy


@pytest.mark.parametrize(
    ("condition", "parts"),
    [
        ("args.x > 1", ["args.x > 1"]),
        ("a && b", ["a", "b"]),
        ("a || b && c", ["a", "b && c"]),
        ("(a || b) && c", ["(a || b)", "c"]),
        ("a.exists(x, x && y) || b", ["a.exists(x, x && y)", "b"]),
        ("'a && b' == c && d", ["'a && b' == c", "d"]),
        ("a ? b : c || d", ["a ? b : c || d"]),
        ("a &&\n    b", ["a", "b"]),
        ("a[b || c] && {'k': d || e}.k", ["a[b || c]", "{'k': d || e}.k"]),
        ("'''it's && x''' == a && b", ["'''it's && x''' == a", "b"]),
        ("", [""]),
    ],
)
def test_a_condition_is_taken_apart_where_it_is_joined(condition: str, parts: list[str]) -> None:
    """Outside of brackets and quotes, by `||` first, and never where `? :` chooses."""
    assert parts_of(condition) == parts


RULES = """\
tools: {pay: {risk: low, params: {url: [u]}}}
rules:
  - {id: both, tools: [pay], when: 'args.a > 1 && args.b > 1', deny: true}
  - {id: either, tools: [pay], when: 'args.a > 5 || args.missing.x > 1 || args.b > 1', deny: true}
  - {id: one, tools: [pay], when: args.a > 1, deny: true}
  - {id: odd, tools: [pay], when: 'args.a > 1 && (args.b > 1 ? true : false)', deny: true}
"""


def test_explain_says_which_parts_made_a_condition_met() -> None:
    """A part that is true, or failed, with its text; one that is not met is left out, and a single part needs no words."""
    judged = policy(RULES)
    call = ("pay", {"a": 2, "b": 3}, ANN, Facts(labels=(), over=()))
    parts = judged.parts(*call)
    assert parts["both"] == ("true: args.a > 1", "true: args.b > 1")
    assert parts["either"] == ("failed with NOT_FOUND: args.missing.x > 1", "true: args.b > 1")
    assert "one" not in parts
    explained = judged.explain(judged.classify(*call), None, parts)
    assert "rule both says deny (its condition is met)\n    true: args.a > 1\n    true: args.b > 1\n" in explained


def test_a_name_that_no_tool_may_have_has_no_parts() -> None:
    """Nothing is evaluated for it."""
    assert policy(RULES).parts("no such tool!", {}, ANN, Facts(labels=(), over=())) == {}
