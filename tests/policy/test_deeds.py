"""What a call does once: which clauses name it, and by what."""

from __future__ import annotations

import pytest

from agentguard.errors import PolicyError
from agentguard.model.record import Json
from agentguard.policy import NoDeed, Policy
from tests.policy.policies import judge, policy

ONE = policy(
    """
tools:
  refund: {risk: low, once: args.order.id}
  "send_*": {risk: low, once: params.recipient, params: {recipient: [to, cc]}}
  plain: low
  shadowed: {risk: low, once: args.id, mode: shadow}
rules:
  - {id: welcome, tools: ["send_*", plain], when: "has(args.kind)", once: args.kind}
"""
)


def deeds(judged: Policy, tool: str, **arguments: Json) -> tuple[str, ...]:
    """The deeds of a call."""
    return judged.deeds(arguments, judge(judged, tool, arguments))


def test_the_same_value_is_the_same_deed() -> None:
    """Whatever else the call says."""
    assert deeds(ONE, "refund", order={"id": 1}) == deeds(ONE, "refund", order={"id": 1, "note": "x"}, amount=3)
    assert deeds(ONE, "refund", order={"id": 1}) != deeds(ONE, "refund", order={"id": 2})


@pytest.mark.parametrize("value", ["1", " 1", 1])
def test_another_spelling_is_the_same_deed(value: Json) -> None:
    """A number, its text, and blanks around it."""
    assert deeds(ONE, "refund", order={"id": value}) == deeds(ONE, "refund", order={"id": 1})


def test_another_normal_form_is_the_same_deed() -> None:
    """Composed or decomposed, it is one name."""
    assert deeds(ONE, "refund", order={"id": "caf\u00e9"}) == deeds(ONE, "refund", order={"id": "cafe\u0301"})


def test_the_order_of_a_list_makes_no_difference() -> None:
    """The same people are the same mail."""
    assert deeds(ONE, "send_mail", to=["a", "b"]) == deeds(ONE, "send_mail", to=["b"], cc="a")


def test_each_tool_of_an_entry_has_its_own_deeds_and_a_rule_has_one_for_all() -> None:
    """A letter is no mail; the welcome is one."""
    mail, letter = (deeds(ONE, tool, to="a", kind="x") for tool in ("send_mail", "send_letter"))
    assert mail[0] != letter[0]
    assert mail[1] == letter[1] == deeds(ONE, "plain", kind="x")[0]


def test_what_no_clause_names_happens_any_number_of_times() -> None:
    """No clause, one whose condition is not met, one in shadow."""
    assert deeds(ONE, "plain") == ()
    assert len(deeds(ONE, "send_mail", to="a")) == 1
    shadow = policy("mode: shadow\ntools: {a: {risk: low, once: args.id}}\n")
    assert deeds(shadow, "a", id=1) == ()


@pytest.mark.parametrize("order", [{}, {"id": None}, {"id": ""}, {"id": "  "}, {"id": []}, None])
def test_a_call_without_the_value_names_no_deed(order: Json) -> None:
    """It is not let through: nobody could tell it from the next one."""
    with pytest.raises(NoDeed) as missing:
        deeds(ONE, "refund", order=order)
    assert (missing.value.clause.id, missing.value.written) == ("refund", "args.order.id")


@pytest.mark.parametrize("written", ["order_id", "args", "args.", "params.in.x", "args.a b", "labels.x"])
def test_what_names_nothing_does_not_load(written: str) -> None:
    """A path into the arguments, or a role."""
    with pytest.raises(PolicyError, match="is not what names a deed"):
        policy(f"tools: {{a: {{risk: low, once: '{written}'}}}}\n")
