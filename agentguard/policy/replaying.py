"""What a policy says of a call that was judged before: from what was known of it then. Pure.

Rules:
- what was not looked at then can't be known now: a policy that reads the session of a call whose labels nobody read, or counts what nobody
  counted, leaves the call undecided;
- what was found in its arguments, and whether its tool was as pinned, is as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agentguard.model.calls import Principal
from agentguard.model.facts import Facts
from agentguard.model.limits import Charge
from agentguard.model.record import Json
from agentguard.model.verdicts import Effect, Verdict
from agentguard.policy.conditions import SessionPart
from agentguard.policy.policy import Policy


class Undecided(Exception):
    """What a call would come to can't be said; the reason names no value."""


def judge_kept(
    policy: Policy,
    tool: str,
    arguments: Mapping[str, Json],
    principal: Principal,
    facts: Facts,
    counted: Callable[[Charge], bool],
) -> Verdict:
    """The verdict on a call now. `counted` says of what the call would take whether the same was counted then. Raises Undecided."""
    needs = policy.enforced_needs(tool)
    if needs & {SessionPart.SAID, SessionPart.BROUGHT}:
        raise Undecided("the session's words are not on record")
    if (facts.labels is None and SessionPart.LABELS in needs) or (facts.counts is None and SessionPart.COUNTS in needs):
        raise Undecided("the session's labels were not read then")
    verdict = policy.classify(tool, arguments, principal, facts)
    if verdict.effect is not Effect.DENY:
        uncounted = [charge.limit for charge in policy.charges(tool, arguments, principal) if not counted(charge)]
        if uncounted:
            raise Undecided(f"limit {uncounted[0]} was not counted then")
    return verdict
