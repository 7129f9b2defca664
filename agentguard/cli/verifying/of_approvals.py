"""Verifies the keys of an approval."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agentguard.approval import Steps
from agentguard.cli.verifying.alone import QUIET, at, base, silent, written
from agentguard.cli.verifying.proof import NotApplicable, Proof
from agentguard.cli.verifying.trials import OUTSIDER, Ground, Observed, Trial, member, told_of
from agentguard.model.approvals import Decision, Grant
from agentguard.model.record import Json
from agentguard.policy.approvals_section import ApprovalEntry
from agentguard.policy.document import GrantsEntry

if TYPE_CHECKING:
    from agentguard.cli.verifying.clauses import Present

_TOOL = "verify_asks"
_DEADLINE_SECONDS = 1
_STEP_SECONDS = 1
_LITTLE_SECONDS = 0.02


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


async def notify(ground: Ground, clause: Present) -> Proof:
    """A request goes to these places alone; without the clause it goes to those without a name. Nobody real is told."""
    names: tuple[str, ...] = clause.owner.notify
    others = (*names, "verify", "verify:named")
    async with ground.trial(_alone(clause, notify=list(names))) as trial:
        told = told_of(await trial.call(_TOOL, {}), others)
    async with ground.trial(_alone(clause)) as trial:
        unsaid = told_of(await trial.call(_TOOL, {}), others)
    named = {name for name in others if ":" in name}
    return Proof(
        holds=told == set(names),
        spares=unsaid == set(others) - named,
        told=f"goes to {', '.join(names)}, and nowhere else",
    )


async def edit(ground: Ground, clause: Present) -> Proof:
    """Whether who decides may change the arguments."""
    person, *_ = _enough(clause.owner)
    may = {}
    for allowed in (True, False):
        async with ground.trial(_alone(clause, edit=allowed)) as trial:
            may[allowed] = await trial.may_edit(await trial.call(_TOOL, {"value": 1}), person, {"value": 2})
    told = "arguments can be changed" if clause.value else "arguments can't be changed"
    return Proof(
        holds=may[bool(clause.value)] is clause.value, spares=may[not clause.value] is not clause.value, told=told
    )


async def grants(ground: Ground, clause: Present) -> Proof:
    """A call like the approved one runs unasked once it is granted, so often as is granted; another one asks."""
    terms = clause.owner.grants
    name, approval = next(iter(clause.document.approvals.items()), (None, None))
    if name is None or approval is None:
        raise NotApplicable("there is no approval to grant it with")
    written_grants = terms.model_dump(mode="json", by_alias=True)
    document = base(clause.document, tools={clause.pattern: {**QUIET, "ask": name, "grants": written_grants}})
    like, unlike = _arguments(terms, "one", 5), _arguments(terms, "two", 6)
    async with ground.trial(document) as trial:
        seen = await trial.call(clause.tool, like)
        grant = Grant(seconds=terms.seconds, uses=1, session=True)
        for person in _enough(approval):
            await trial.vote(seen, person, grant=grant)
        first = await trial.end(seen)
        other = await trial.call(clause.tool, unlike)
        elsewhere = await trial.call(clause.tool, like, session="other")
        covered = await trial.call(clause.tool, like)
        again = await trial.call(clause.tool, like, session="s")
    spared = not (other.ran or elsewhere.ran or again.ran)
    return Proof(holds=first.ran and covered.ran, spares=spared, told="covers one more like it, and nothing else")


def _arguments(terms: GrantsEntry, text: str, number: int) -> dict[str, Json]:
    """Arguments where a grant looks at them."""
    arguments: dict[str, Json] = {}
    for path, value in (*((path, text) for path in terms.same), *((path, number) for path in terms.at_most)):
        arguments |= at(path, value)
    return arguments


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


async def remind(ground: Ground, clause: Present) -> Proof:
    """When so much time passed people are reminded, once; and not before."""
    owner: ApprovalEntry = clause.owner
    async with ground.trial(_alone(clause, remind=owner.remind)) as trial:
        seen = await trial.call(_TOOL, {})
        request = None if seen.stored is None else seen.stored.request
        as_often = request is not None and await _next_step(trial) == request.opened_ms + owner.remind_seconds * 1000
        await Steps(channel=trial.desk.channel).take_due()
        early = await _told(trial, "reminded")
        await _hurry(trial)
        for _ in range(2):
            await Steps(channel=trial.desk.channel).take_due()
        told = await _told(trial, "reminded")
    return Proof(holds=as_often and told == 1, spares=early == 0, told=f"people are reminded every {owner.remind}")


async def escalate(ground: Ground, clause: Present) -> Proof:
    """Whom the first step adds may decide from then on, and not before."""
    owner: ApprovalEntry = clause.owner
    kind, _, name = owner.escalate[0].to[0].partition(":")
    added = name if kind == "person" else member(name, 0)
    step: Json = {"after": f"{_STEP_SECONDS}s", "to": list(owner.escalate[0].to)}
    async with ground.trial(_alone(clause, escalate=[step])) as trial:
        seen = await trial.call(_TOOL, {})
        for person in _enough(owner)[:-1]:
            await trial.vote(seen, person)
        early = await trial.vote(seen, added)
        await asyncio.sleep(_STEP_SECONDS + _LITTLE_SECONDS)
        ended = await trial.end(seen) if await trial.vote(seen, added) else seen
    return Proof(
        holds=ended.ran, spares=not early, told=f"{owner.escalate[0].to[0]} may decide after the step, not before"
    )


async def _next_step(trial: Trial) -> int:
    """When the next step of the only request is due."""
    channel = trial.desk.channel
    found = await channel.connection.execute("ZRANGE", channel.names.steps, 0, 0, "WITHSCORES")
    return int(found[0][1]) if found else 0


async def _hurry(trial: Trial) -> None:
    """Let the next step be due now."""
    channel = trial.desk.channel
    for request_id in await channel.connection.execute("ZRANGE", channel.names.steps, 0, -1):
        await channel.connection.execute("ZADD", channel.names.steps, channel.clock.now_ms() - 1, request_id.decode())


async def _told(trial: Trial, kind: str) -> int:
    """How often this was said."""
    channel = trial.desk.channel
    events = await channel.connection.read_stream(channel.names.events, "0-0", 1)
    return sum(event["kind"] == kind.encode() for _, event in events)


def _alone(clause: Present, **says: Json) -> dict[str, Json]:
    """A tool that asks for this approval."""
    name = str(clause.path[1])
    document = base(clause.document, tools={_TOOL: {**QUIET, "ask": name}})
    entry = {**silent(written(clause.owner)), **says}
    return {**document, "approvals": {name: {key: value for key, value in entry.items() if key in _KEPT | says.keys()}}}


_KEPT = frozenset({"approvers", "quorum", "reject_quorum", "from_each", "deadline", "edit"})
"""Keys of an approval that each trial takes over; what the others say is added where they are tried."""


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
