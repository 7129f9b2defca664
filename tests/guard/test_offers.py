"""What a grant covers: calls that keep what people saw, in value and in shape."""

from __future__ import annotations

from typing import Any

import pytest

from agentguard.guard.binding import Binding
from agentguard.guard.offers import Offers
from agentguard.integrations.functions import FunctionTool
from agentguard.model.approvals import Card, Offer
from agentguard.model.calls import Principal
from agentguard.model.canonical import canonical_json
from agentguard.model.facts import Facts
from agentguard.policy import Policy, Source, load

POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: {ask: on-call}, critical: {ask: on-call}}
tools:
  send: {risk: high, labels: [], grants: {for: 30m, uses: 3, GRANT}}
approvals: {on-call: {approvers: [person:ann], deadline: 10m}}
"""
OFFERS = Offers(binding=Binding(key=b"k" * 32))
PRINCIPAL = Principal(tenant="t", agent="a", user="u", session="s")


def _send(to: Any = None, lines: Any = None) -> None:
    """Send."""


TOOL = FunctionTool.of(_send, name="send")


def policy(grant: str) -> Policy:
    """A policy that offers this."""
    return load([Source(file="policy.yaml", text=POLICY.replace("GRANT", grant))])


def offered(grant: str, arguments: dict[str, Any]) -> Offer:
    """The offer of a call with these arguments."""
    rules = policy(grant)
    verdict = rules.classify("send", arguments, PRINCIPAL, Facts())
    card = Card.model_construct(arguments=canonical_json(arguments))
    made = OFFERS.offer(rules, TOOL, verdict, arguments, card)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("grant", "approved", "later"),
    [
        pytest.param("same: [to]", {"to": {"cc": "a", "to": "b"}}, {"to": {"bcc": "a", "to": "b"}}, id="another key"),
        pytest.param("same: [to]", {"to": {"is": "open"}}, {"to": {"is_not": "open"}}, id="a key that says no"),
        pytest.param("same: [to]", {"to": ["a", "b"]}, {"to": [["a"], "b"]}, id="another nesting"),
        pytest.param("same: [to]", {"to": {"x": "a"}}, {"to": "a"}, id="a value in place of an object"),
        pytest.param("same: [to]", {"to": {"x": "a"}}, {"to": {"x": "a", "y": None}}, id="null beside it"),
        pytest.param("same: [to]", {"to": "1"}, {"to": 1}, id="a number in place of text"),
        pytest.param("same: [to]", {"to": 1}, {"to": 1.0}, id="another number type"),
        pytest.param("same: [to]", {"to": "true"}, {"to": True}, id="true in place of text"),
        pytest.param("same: [to.id]", {"to": {"id": "a"}}, {"to": "a"}, id="a value before the end of the path"),
        pytest.param("same: [to.id]", {"to": [{"id": "a"}]}, {"to": {"id": "a"}}, id="no list any more"),
        pytest.param("same: [to.id]", {"to": [{"id": "a"}]}, {"to": [{"id": "a"}, {}]}, id="one more of the list"),
        pytest.param("at_most: [lines.n]", {"lines": [{"n": 5}]}, {"lines": [{"n": 5}, {"n": 5}]}, id="more numbers"),
        pytest.param("at_most: [lines]", {"lines": 5}, {"lines": [5, 5]}, id="numbers in place of one"),
        pytest.param("at_most: [lines]", {"lines": 5}, {"lines": -5}, id="a negative number"),
        pytest.param("at_most: [lines]", {"lines": 5}, {"lines": 5.01}, id="a larger number"),
        pytest.param("at_most: [lines]", {"lines": 5}, {"lines": True}, id="true in place of a number"),
        pytest.param("at_most: [lines]", {"lines": 5}, {"lines": []}, id="no number"),
    ],
)
def test_a_grant_covers_no_call_of_another_value_or_shape(
    grant: str, approved: dict[str, Any], later: dict[str, Any]
) -> None:
    """People saw the one, and not the other."""
    assert not OFFERS.covers(offered(grant, approved), policy(grant), TOOL, later)


@pytest.mark.parametrize(
    ("grant", "approved", "later"),
    [
        pytest.param(
            "same: [to]", {"to": {"cc": "a", "to": "b"}}, {"to": {"to": "b", "cc": "a"}}, id="keys in any order"
        ),
        pytest.param("same: [to]", {"to": "a", "lines": 1}, {"to": "a", "lines": 2}, id="what is not held"),
        pytest.param("same: [to.id]", {"to": {"id": "a"}}, {"to": {"id": "a", "x": 1}}, id="beside the path"),
        pytest.param("at_most: [lines]", {"lines": [5, 7]}, {"lines": [7]}, id="fewer numbers"),
    ],
)
def test_a_grant_covers_what_keeps_to_it(grant: str, approved: dict[str, Any], later: dict[str, Any]) -> None:
    """Whatever else the call says."""
    assert OFFERS.covers(offered(grant, approved), policy(grant), TOOL, later)


@pytest.mark.parametrize(
    ("grant", "approved", "shown"),
    [
        pytest.param("same: [to]", {"to": ["a", "b"]}, "a, b", id="texts"),
        pytest.param("same: [to]", {"to": {"cc": "a"}}, '{"to":{"cc":"a"}}', id="an object, with its keys"),
        pytest.param("same: [to.id]", {"to": [{"id": "a", "x": 1}]}, '{"to":[{"id":"a"}]}', id="objects of a list"),
        pytest.param("at_most: [lines]", {"lines": 5}, "5", id="a number"),
        pytest.param("at_most: [lines]", {"lines": [5, 7]}, "7 each, 2 of them at most", id="numbers"),
    ],
)
def test_people_see_what_is_held(grant: str, approved: dict[str, Any], shown: str) -> None:
    """Where its keys count they are there."""
    (held,) = offered(grant, approved).held
    assert held.shown == shown
