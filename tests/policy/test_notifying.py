"""Where policy sends the requests of a verdict, and which places it may name."""

from __future__ import annotations

import pytest

from agentguard.config.notifiers import notifier_checks
from agentguard.errors import PolicyError
from agentguard.model.calls import Principal
from agentguard.model.facts import Facts
from agentguard.policy import Policy, Source, load

POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: {ask: quiet}, critical: {ask: loud}}
tools: {pay: low, refund: high, wipe: critical, close: {risk: high, ask: confirm}}
rules:
  - {id: large, tools: [pay, close], when: args.amount > 10, ask: loud, notify: ["webhook:pager"]}
  - {id: shadowed, tools: [refund], ask: loud, notify: [teams], mode: shadow}
  - {id: huge, tools: [pay], when: args.amount > 100, ask: quiet}
approvals:
  quiet: {approvers: [person:ann], deadline: 1m}
  loud: {approvers: [person:ann], deadline: 1m, notify: ["slack:#data", webhook]}
"""


def policy_of(text: str) -> Policy:
    return load([Source(file="policy.yaml", text=text)], checks=notifier_checks())


@pytest.mark.parametrize(
    ("tool", "amount", "names"),
    [
        pytest.param("refund", 1, (), id="an approval that says nothing, and a rule in shadow"),
        pytest.param("wipe", 1, ("slack:#data", "webhook"), id="an approval's places"),
        pytest.param("pay", 50, ("slack:#data", "webhook", "webhook:pager"), id="and a rule's"),
        pytest.param(
            "pay", 500, ("*", "slack:#data", "webhook", "webhook:pager"), id="of several approvals each one's"
        ),
        pytest.param("close", 1, (), id="the user's own confirmation"),
        pytest.param(
            "close", 50, ("slack:#data", "webhook", "webhook:pager"), id="goes where the approval beside it goes"
        ),
        pytest.param("pay", 1, (), id="a call that nobody is asked about"),
    ],
)
def test_a_request_goes_to_the_places_of_its_approvals_and_rules(
    tool: str, amount: int, names: tuple[str, ...]
) -> None:
    """Sorted; `*` stands for every place without a name."""
    policy = policy_of(POLICY)
    who = Principal(tenant="t", agent="a", user="ann", session="s")
    verdict = policy.classify(tool, {"amount": amount}, who, Facts())
    assert policy.notified(verdict) == names


@pytest.mark.parametrize(
    ("written", "told"),
    [
        pytest.param("[pidgeon]", "no installed packages have a notifier 'pidgeon'", id="unknown"),
        pytest.param("[slack, slack]", "slack stands here twice", id="twice"),
        pytest.param("['pager:night']", "'pager' has no places with names", id="a name of no built-in kind"),
        pytest.param("[]", "notify", id="none"),
        pytest.param("[Slack]", "'Slack' is not a place to tell", id="form"),
        pytest.param("slack", "notify", id="no list"),
    ],
)
@pytest.mark.parametrize("where", ["webhook]}", '["webhook:pager"]}'], ids=["approval", "rule"])
def test_a_place_that_nobody_could_be_told_at_does_not_load(where: str, written: str, told: str) -> None:
    """With its place in the file."""
    text = POLICY.replace('["slack:#data", webhook]' if where == "webhook]}" else '["webhook:pager"]', written)
    with pytest.raises(PolicyError) as refused:
        policy_of(text)
    assert told in str(refused.value)
    assert "policy.yaml:" in str(refused.value)


def test_a_rule_that_denies_tells_nobody() -> None:
    """A denied call opens no request, so such a clause would be read by nothing."""
    with pytest.raises(PolicyError, match="a call that is denied opens no request to tell of; remove notify"):
        policy_of(POLICY.replace('ask: loud, notify: ["webhook:pager"]', 'deny: true, notify: ["webhook:pager"]'))
