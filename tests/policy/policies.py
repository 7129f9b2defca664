"""A small policy to build tests on, and calls to judge by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentguard.model.calls import Principal
from agentguard.model.facts import Facts
from agentguard.model.record import Json
from agentguard.model.verdicts import Verdict
from agentguard.policy import Policy, Source, load

ROOT = """
version: 1
risk:
  low: allow
  medium: allow
  high: {ask: on-call}
  critical: {ask: stewards}
approvals:
  on-call: {approvers: [group:on-call], deadline: 10m}
  stewards: {approvers: [group:data-stewards], quorum: 2, deadline: 15m}
  board: {approvers: [group:data-stewards, group:security], from_each: true, deadline: 4h}
"""

ANN = Principal(tenant="acme", agent="helper", user="ann@acme.example", session="s1")


def source(text: str, file: str = "policy.yaml") -> Source:
    """A file of a policy."""
    return Source(file=file, text=text)


def policy(more: str, *others: str) -> Policy:
    """The small policy with `more` in its root, and other files beside it."""
    beside = [source("version: 1\n" + text, f"other{index}.yaml") for index, text in enumerate(others)]
    return load([source(ROOT + more), *beside])


def judge(
    judged: Policy,
    tool: str,
    arguments: Mapping[str, Json] | None = None,
    *,
    labels: Sequence[str] | None = (),
    entities: Sequence[str] = (),
    origins: Sequence[str] = (),
    principal: Principal = ANN,
) -> Verdict:
    """What a policy says of a call by ann."""
    known = None if labels is None else tuple(labels)
    facts = Facts(labels=known, entities=tuple(entities), origins=tuple(origins))
    return judged.classify(tool, arguments or {}, principal, facts)


def spoke(verdict: Verdict) -> list[str]:
    """The ids of the clauses that spoke."""
    return [clause.id for clause in verdict.clauses]


def needed(verdict: Verdict) -> list[str]:
    """The names of the approvals that a verdict needs."""
    return [need.name for need in verdict.needs]
