"""Verifies the keys of an approval."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agentguard.cli.verifying.alone import QUIET, base, written
from agentguard.cli.verifying.proof import Proof
from agentguard.cli.verifying.trials import OUTSIDER, Ground, Observed, Trial, member
from agentguard.model.approvals import Decision
from agentguard.model.record import Json
from agentguard.policy.document import ApprovalEntry

if TYPE_CHECKING:
    from agentguard.cli.verifying.clauses import Present

_TOOL = "verify_asks"
_DEADLINE_SECONDS = 1


async def approvers(ground: Ground, clause: Present) -> Proof:
    """The votes of those who are named let the call run; those of others count for nothing."""
    owner: ApprovalEntry = clause.owner
    async with ground.trial(_alone(clause)) as trial:
        seen = await trial.call(_TOOL, {})
        stranger = await trial.vote(seen, OUTSIDER)
        waits = not seen.ran
        for person in _enough(owner):
            await trial.vote(seen, person)
        ended = await trial.end(seen)
    return Proof(
        holds=ended.ran, spares=not stranger and waits, told="theirs run it; an outsider's vote does not count"
    )


async def quorum(ground: Ground, clause: Present) -> Proof:
    """It runs with the last vote that is needed, and not before."""
    async with ground.trial(_alone(clause)) as trial:
        seen = await trial.call(_TOOL, {})
        *first, last = _enough(clause.owner)
        for person in (*first, *first):  # a second time counts no more
            await trial.vote(seen, person)
        early = await _has_ended(trial, seen)
        await trial.vote(seen, last)
        ended = await trial.end(seen)
    return Proof(holds=ended.ran, spares=not early, told=f"runs with vote {len(first) + 1}, not with {len(first)}")


async def reject_quorum(ground: Ground, clause: Present) -> Proof:
    """It ends with the last rejection that is needed, and not before."""
    owner: ApprovalEntry = clause.owner
    async with ground.trial(_alone(clause, quorum=max(owner.quorum, owner.reject_quorum))) as trial:
        seen = await trial.call(_TOOL, {})
        *first, last = _enough(owner, owner.reject_quorum)
        for person in first:
            await trial.vote(seen, person, Decision.REJECT)
        early = await _has_ended(trial, seen)
        await trial.vote(seen, last, Decision.REJECT)
        ended = await trial.end(seen)
    return Proof(
        holds=ended.refused.startswith("rejected") and not ended.ran,
        spares=not early,
        told=f"ends with rejection {len(first) + 1}, not with {len(first)}",
    )


async def from_each(ground: Ground, clause: Present) -> Proof:
    """The votes of one group are not enough."""
    owner: ApprovalEntry = clause.owner
    one, *_ = owner.approvers
    if not clause.value:
        return await approvers(ground, clause)
    async with ground.trial(_alone(clause)) as trial:
        seen = await trial.call(_TOOL, {})
        for number in range(owner.quorum + 1):
            await trial.vote(seen, member(one.partition(":")[2], number))
        early = await _has_ended(trial, seen)
        for person in _enough(owner):
            await trial.vote(seen, person)
        ended = await trial.end(seen)
    return Proof(holds=ended.ran, spares=not early, told="needs votes of each group")


async def deadline(ground: Ground, clause: Present) -> Proof:
    """People have so long, and a vote after it counts for nothing."""
    owner: ApprovalEntry = clause.owner
    async with ground.trial(_alone(clause)) as trial:
        seen = await trial.call(_TOOL, {})
        request = seen.stored.request if seen.stored else None
        as_long = request is not None and request.deadline_ms - request.opened_ms == owner.deadline_seconds * 1000
    async with ground.trial(_alone(clause, deadline=f"{_DEADLINE_SECONDS}s")) as trial:
        seen = await trial.call(_TOOL, {})
        waits = seen.stored is not None and not seen.ran
        ended = await trial.end(seen)
    return Proof(
        holds=as_long and ended.refused.startswith("expired") and not ended.ran,
        spares=waits,
        told=f"{owner.deadline_seconds} s; expired when it was over",
    )


def _alone(clause: Present, **says: Json) -> dict[str, Json]:
    """A tool that asks for this approval."""
    name = str(clause.path[1])
    document = base(clause.document, tools={_TOOL: {**QUIET, "ask": name}})
    entry = {**written(clause.owner), **says}
    return {**document, "approvals": {name: {key: value for key, value in entry.items() if key in _KEPT}}}


_KEPT = frozenset({"approvers", "quorum", "reject_quorum", "from_each", "deadline"})


def _enough(owner: ApprovalEntry, many: int = 0) -> list[str]:
    """As many people as it takes to approve, or so many."""
    if owner.from_each:
        people = [member(each.partition(":")[2], number) for each in owner.approvers for number in range(owner.quorum)]
        return people[:many] if many else people
    people = [each.partition(":")[2] for each in owner.approvers if each.startswith("person:")]
    groups = [each.partition(":")[2] for each in owner.approvers if each.startswith("group:")]
    people += [member(group, number) for group in groups for number in range(many or owner.quorum)]
    return people[: many or owner.quorum]


async def _has_ended(trial: Trial, seen: Observed) -> bool:
    """Whether the call went on: whether its request is decided, or its tool ran."""
    await asyncio.sleep(0)
    if seen.stored is None:
        return True
    shown = await trial.desk.show(seen.stored.request.id)
    return seen.ran or shown.stored.state.value != "pending"
