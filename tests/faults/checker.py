"""Whether a history broke a promise: the rules, each over everything that anybody noted, none of it read from agentguard.

Rules:
- at most one permit for a request, and at most one run;
- no run of what must be asked about without a quorum of distinct approvers who approved that very revision before it, and none once it
  was rejected;
- no decision that was acknowledged is lost;
- no call waits for ever: each gets its answer, unless its process died; and what was approved runs within WAKES_WITHIN_SECONDS of that;
- no vote counts twice;
- never two runs of one effect, unless a person said in between that it did not happen;
- nobody approves their own call;
- no permit while it is frozen: none that is asked for after a freeze was acknowledged and given before its lift began; an allowed call that
  begins FRESH_SECONDS after the one does not run before the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.faults.history import NEVER, Event

FRESH_SECONDS = 1.0
WAKES_WITHIN_SECONDS = 30.0
"""A lost event is made up for in five seconds, a reply that is swallowed costs seven more; the rest is for slow machines."""

SETTLED = frozenset({"approved", "rejected"})
GIVEN = frozenset({"approved", "executing", "done", "failed", "unknown"})


@dataclass(frozen=True)
class Law:
    """What holds in a schedule: how many of which people must approve a tool (none: it is allowed), and for whom the agents act.

    `clock_jumps`: Redis's own clock jumps, so that an approval may have expired before anybody used it.
    """

    quorum: Mapping[str, int]
    approvers: frozenset[str]
    requester: str
    clock_jumps: bool = False


Rule = Callable[[Sequence[Event], Law], Iterator[str]]


def violations(history: Sequence[Event], law: Law) -> list[str]:
    """Every broken promise, in words."""
    return [f"{rule.__name__}: {found}" for rule in RULES for found in rule(history, law)]


def one_permit_a_request(history: Sequence[Event], law: Law) -> Iterator[str]:
    fences, runs = defaultdict(set), defaultdict(int)
    for event in history:
        if event.kind == "permit" and event.result == "redeemed":
            fences[event.request].add(event.fence)
        if event.kind == "run" and event.request:
            runs[event.request] += 1
    yield from (f"{request} gave {len(found)} permits" for request, found in fences.items() if len(found) > 1)
    yield from (f"{request} ran {count} times" for request, count in runs.items() if count > 1)


def no_run_without_a_quorum(history: Sequence[Event], law: Law) -> Iterator[str]:
    for run in _of("run", history):
        needed = law.quorum[run.tool]
        if not needed:
            continue
        if not run.request:
            yield f"{run} was not asked about"
            continue
        votes = [vote for vote in _of("vote", history) if vote.request == run.request and vote.began < run.began]
        approved = {vote.who for vote in votes if _may_count(vote, "approve") and vote.revision == run.revision}
        if len((approved & law.approvers) - {law.requester}) < needed:
            yield f"{run} with approvals of {sorted(approved)}"
        if any(vote.result == "rejected" and vote.ended < run.began for vote in votes):
            yield f"{run} after its rejection"


def no_lost_decision(history: Sequence[Event], law: Law) -> Iterator[str]:
    stored = {event.request: event for event in _of("stored", history)}
    for vote in _of("vote", history):
        if vote.result not in (*SETTLED, "pending"):
            continue
        now = stored.get(vote.request)
        if now is None:
            yield f"{vote} on a request that is gone"
        elif now.result not in _after(vote.result, law):
            yield f"{vote}, and it is {now.result}"
        elif vote.decision == "approve" and vote.who not in now.people and vote.revision == now.revision:
            later = (other for other in _of("vote", history) if _same_voter(other, vote) and other.ended > vote.began)
            if all(other is vote or other.decision == "approve" for other in later):
                yield f"{vote} does not count: {now.people}"


def no_forgotten_waiter(history: Sequence[Event], law: Law) -> Iterator[str]:
    deaths = [event for event in history if event.kind == "death"]
    for call in _of("call", history):
        if call.result == "stuck":
            yield f"{call} got no answer"
        elif call.ended == NEVER and not any(death.who == call.who and death.began > call.began for death in deaths):
            yield f"{call} ended without an answer, and nobody died"
    calls = {event.call: event for event in _of("call", history)}
    for run in _of("run", history):
        decided = [
            vote.ended for vote in _of("vote", history) if vote.request == run.request and vote.result == "approved"
        ]
        waiting = [calls[run.call].began, *decided[:1]] if run.call in calls else []
        if decided and waiting and run.began > max(waiting) + WAKES_WITHIN_SECONDS:
            yield f"{run} long after its approval"


def no_vote_counts_twice(history: Sequence[Event], law: Law) -> Iterator[str]:
    for now in _of("stored", history):
        if len(set(now.people)) != len(now.people):
            yield f"{now} counts somebody twice"
        voters = {
            vote.who for vote in _of("vote", history) if vote.request == now.request and _may_count(vote, "approve")
        }
        if not set(now.people) <= voters:
            yield f"{now} counts somebody who did not vote"
        if now.result in GIVEN and len(set(now.people) & law.approvers) < law.quorum[now.tool]:
            yield f"{now} with too few people"


def one_run_an_effect(history: Sequence[Event], law: Law) -> Iterator[str]:
    runs = defaultdict(list)
    for run in _of("run", history):
        if run.effect:
            runs[run.effect].append(run)
    for effect, found in runs.items():
        for before, after in pairwise(found):
            words = [event for event in _of("settle", history) if event.effect == effect]
            if not any(
                word.result == "did-not" and before.began < word.ended and word.began < after.began for word in words
            ):
                yield f"{effect} ran again: {before}, {after}"


def no_self_approval(history: Sequence[Event], law: Law) -> Iterator[str]:
    for vote in _of("vote", history):
        if vote.who == law.requester and vote.decision == "approve" and vote.result in (*SETTLED, "pending"):
            yield f"{vote} was taken"
    for now in _of("stored", history):
        if law.requester in now.people:
            yield f"{now} counts the requester"


def nothing_while_frozen(history: Sequence[Event], law: Law) -> Iterator[str]:
    calls = {event.call: event for event in _of("call", history)}
    for freeze in _of("freeze", history):
        if freeze.result != "ok":
            continue
        lifts = [
            event.began for event in _of("lift", history) if event.began > freeze.ended and _same_order(event, freeze)
        ]
        lifted = min(lifts, default=NEVER)
        for permit in _of("permit", history):
            asked_under_it = freeze.ended < permit.began and permit.ended < lifted
            if permit.result == "redeemed" and asked_under_it and freeze.scope != "all" and _stops(freeze, permit):
                yield f"{permit} under {freeze}"
        for run in _of("run", history):
            call = calls.get(run.call)
            late = call is not None and call.began > freeze.ended + FRESH_SECONDS and run.began < lifted
            if late and _stops(freeze, run):
                yield f"{run} under {freeze}"


RULES: tuple[Rule, ...] = (
    one_permit_a_request,
    no_run_without_a_quorum,
    no_lost_decision,
    no_forgotten_waiter,
    no_vote_counts_twice,
    one_run_an_effect,
    no_self_approval,
    nothing_while_frozen,
)


def _of(kind: str, history: Sequence[Event]) -> list[Event]:
    return [event for event in history if event.kind == kind]


def _may_count(vote: Event, decision: str) -> bool:
    """Whether a vote was taken, or may have been: its voter heard nothing."""
    return vote.decision == decision and (vote.result in (*SETTLED, "pending", "fault", "") or vote.ended == NEVER)


def _after(result: str, law: Law) -> frozenset[str]:
    """What a request may be once somebody was told this. An approved one is used or taken back; or it expires, where clocks jump."""
    match result:
        case "rejected":
            return frozenset({"rejected"})
        case "approved":
            return GIVEN | {"withdrawn"} | ({"expired"} if law.clock_jumps else frozenset())
        case _:
            return GIVEN | {"pending", "rejected", "expired", "withdrawn"}


def _same_voter(one: Event, other: Event) -> bool:
    return (one.who, one.request) == (other.who, other.request)


def _same_order(one: Event, other: Event) -> bool:
    return (one.scope, one.name) == (other.scope, other.name)


def _stops(freeze: Event, what: Event) -> bool:
    return freeze.scope in ("tenant", "all") or freeze.name == {"agent": what.agent, "tool": what.tool}[freeze.scope]
