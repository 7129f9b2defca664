"""How the votes on a request stand: pure counting, the one place where votes become an answer.

Rules:
- every need must be met, each on its own; a request that needs nothing is never approved;
- a person is one person, whatever groups they are in and however often they vote; the order of votes never matters;
- who a person is and what they may decide is today's roster, never what a vote claims;
- an approval counts for the needs that its vote names;
- as many rejections as a need's `reject_quorum`, by distinct people entitled to it, end the request;
- whom an escalation ladder adds counts from its step on: by a vote that is signed after that, and not by one from the future;
- the requester is no approver, under whatever name and through whatever group; nor is the agent, nor who made its credentials;
- where no user stands behind the agent, nobody is left out; where only listed people may ask, a user who isn't listed gets no approval;
- the need `confirm` is met by the requester alone, counts in no quorum, and cannot be met for an autonomous agent;
- with `from_each`, `quorum` people are needed of each approver entry, and nobody stands for two of them;
- nobody to ask (no approvers, an unknown or empty group, fewer people than the quorum) never passes, and is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from agentguard.approval.matching import seat, stands_for
from agentguard.approval.roster import Roster
from agentguard.model.approvals import Decision, State, Vote
from agentguard.model.calls import Principal
from agentguard.model.record import Record
from agentguard.model.verdicts import CONFIRM, Need

NEVER = -1
"""No time since a request opened: no step of a ladder was reached."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Since:
    """When a request opened, and what time it is."""

    opened_ms: int
    now_ms: int

    def elapsed_ms(self, votes: Sequence[Vote] = ()) -> int:
        """How long it had been open when the first of these votes was signed; none: how long by now."""
        return min((self.now_ms, *(vote.time_ms for vote in votes))) - self.opened_ms


class Standing(Record):
    """How one need stands. `people` are those who count for it; `missing` says who is still wanted, empty when met."""

    need: str
    people: tuple[str, ...]
    missing: str = ""

    @property
    def met(self) -> bool:
        """Whether nobody more is needed."""
        return not self.missing


class Uncounted(Record):
    """A vote that counts for nothing, and why."""

    person: str
    why: str


class Tally(Record):
    """The answer of the votes so far: pending, approved or rejected.

    `obstacles` say why it can never be approved as things are, whoever votes.
    """

    state: State
    standings: tuple[Standing, ...]
    rejected_by: tuple[str, ...] = ()
    uncounted: tuple[Uncounted, ...] = ()
    obstacles: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Who is still wanted, approval by approval."""
        return tuple(f"{standing.need}: {standing.missing}" for standing in self.standings if standing.missing)


def tally(
    needs: Sequence[Need],
    votes: Iterable[Vote],
    roster: Roster,
    requester: Principal,
    *,
    opened_ms: int = 0,
    now_ms: int = NEVER,
) -> Tally:
    """Count `votes`, whose signatures were verified before, towards `needs`.

    `opened_ms`, `now_ms`: when the request opened and what time it is, on Redis's clock; left out, no step of a ladder was reached.
    """
    by_person = _by_person(votes)
    since = Since(opened_ms=opened_ms, now_ms=now_ms)
    entitled = {need.name: _entitled(need, by_person, roster, requester, since) for need in needs}
    standings = tuple(_standing(need, by_person, entitled[need.name], roster, since) for need in needs)
    rejecting = frozenset(person for person, cast in by_person.items() if _rejects(cast))
    rejected_by = frozenset[str]().union(*(rejecting & people for people in entitled.values()))
    is_rejected = any(len(rejecting & entitled[need.name]) >= _enough_to_reject(need) for need in needs)
    blocked = tuple(obstacles(needs, roster, requester))
    return Tally(
        state=_state(standings, is_rejected, blocked),
        standings=standings,
        rejected_by=tuple(sorted(rejected_by)),
        uncounted=tuple(_uncounted(by_person, entitled, roster, requester)),
        obstacles=blocked,
    )


def entitled_to(need: Need, roster: Roster, requester: Principal, elapsed_ms: int = NEVER) -> frozenset[str]:
    """Whose decision on this need counts today, so long after the request opened."""
    asker = requester_of(requester, roster)
    if need.name == CONFIRM:
        return frozenset() if asker is None else frozenset({asker})
    return roster.entitled(need.approvers_at(elapsed_ms)) - barred(requester, roster)


def barred(requester: Principal, roster: Roster) -> frozenset[str]:
    """Who approves nothing of this agent's for this user: the user, the agent, and who made its credentials."""
    minted = roster.agents[requester.agent].minted_by if requester.agent in roster.agents else ()
    own = (requester_of(requester, roster), roster.find(requester.agent))
    return frozenset({*minted, *(name for name in own if name is not None)})


def requester_of(requester: Principal, roster: Roster) -> str | None:
    """The person on whose behalf the agent acts, if the roster knows them under any name."""
    return None if requester.user is None else roster.find(requester.user)


def obstacles(needs: Sequence[Need], roster: Roster, requester: Principal) -> Iterator[str]:
    """Why these needs can never be met by these people, whoever votes; nothing where they can."""
    if not needs:
        yield "no approval is named, so nothing could approve this"
    if roster.users == "listed" and requester.user is not None and requester_of(requester, roster) is None:
        yield "the user on whose behalf the agent acts is not in approvers.yaml, and only listed users may ask"
    for need in needs:
        yield from _obstacles(need, roster, requester)


def _obstacles(need: Need, roster: Roster, requester: Principal) -> Iterator[str]:
    if need.name == CONFIRM:
        yield from _obstacles_to_confirm(roster, requester)
        return
    people = entitled_to(need, roster, requester, need.deadline_seconds * 1000)
    if not need.approvers:
        yield f"{need.name}: nobody is named who could approve"
    for approver in need.approvers:
        if not roster.members(approver):
            yield f"{need.name}: {approver} means nobody in approvers.yaml"
    if need.quorum < 1:
        yield f"{need.name}: a quorum of {need.quorum} is none"
    elif need.from_each:
        if stands_for(_panels(need, people, roster), need.quorum) is None:
            yield f"{need.name}: too few people besides the requester to have {need.quorum} from each of {', '.join(need.approvers)}"
    elif len(people) < need.quorum:
        yield f"{need.name}: needs {need.quorum} besides the requester, and there are {len(people)}"


def _obstacles_to_confirm(roster: Roster, requester: Principal) -> Iterator[str]:
    if requester.user is None:
        yield "confirm: the agent is autonomous, so there is no user who could confirm"
    elif requester_of(requester, roster) is None:
        yield "confirm: the user on whose behalf the agent acts is not in approvers.yaml"


def _by_person(votes: Iterable[Vote]) -> dict[str, list[Vote]]:
    by_person: dict[str, list[Vote]] = {}
    for vote in votes:
        by_person.setdefault(vote.person, []).append(vote)
    return by_person


def _rejects(cast: Sequence[Vote]) -> bool:
    return any(vote.decision is Decision.REJECT for vote in cast)


def _entitled(
    need: Need, by_person: dict[str, list[Vote]], roster: Roster, requester: Principal, since: Since
) -> frozenset[str]:
    """Whose decision counts: those named from the start, and of those whom a step added the ones who voted after it."""
    always = entitled_to(need, roster, requester)
    later = [person for person in by_person if need.escalate and person not in always]
    return always | {
        person
        for person in later
        if person in entitled_to(need, roster, requester, since.elapsed_ms(by_person[person]))
    }


def _standing(
    need: Need, by_person: dict[str, list[Vote]], entitled: frozenset[str], roster: Roster, since: Since
) -> Standing:
    yes = frozenset(person for person, cast in by_person.items() if person in entitled and _approves(cast, need.name))
    if need.from_each:
        seated = seat(_panels(need, yes, roster), need.quorum)
        lacking = [
            f"{need.quorum - len(people)} of {approver}"
            for approver, people in zip(need.approvers, seated, strict=True)
            if len(people) < need.quorum
        ]
        counted, missing = frozenset().union(*seated), ", ".join(lacking)
    else:
        quorum = 1 if need.name == CONFIRM else need.quorum
        counted = yes
        missing = (
            ""
            if len(yes) >= quorum
            else f"{quorum - len(yes)} of {', '.join(need.approvers_at(since.elapsed_ms())) or 'the requester'}"
        )
    return Standing(need=need.name, people=tuple(sorted(counted)), missing=missing)


def _panels(need: Need, people: frozenset[str], roster: Roster) -> list[frozenset[str]]:
    """For each approver entry of a need, those of `people` whom it means."""
    return [roster.members(approver) & people for approver in need.approvers]


def _approves(cast: Sequence[Vote], need: str) -> bool:
    return not _rejects(cast) and any(need in vote.approvals for vote in cast)


def _enough_to_reject(need: Need) -> int:
    return 1 if need.name == CONFIRM else need.reject_quorum


def _state(standings: Sequence[Standing], is_rejected: bool, blocked: Sequence[str]) -> State:
    if is_rejected:
        return State.REJECTED
    if standings and not blocked and all(standing.met for standing in standings):
        return State.APPROVED
    return State.PENDING


def _uncounted(
    by_person: dict[str, list[Vote]], entitled: dict[str, frozenset[str]], roster: Roster, requester: Principal
) -> Iterator[Uncounted]:
    asker = requester_of(requester, roster)
    for person, cast in sorted(by_person.items()):
        may_decide = {need for need, people in entitled.items() if person in people}
        if person not in roster.people:
            yield Uncounted(person=person, why="is not in approvers.yaml")
        elif not may_decide and person == asker:
            yield Uncounted(person=person, why="is the requester, who never approves their own call")
        elif not may_decide and person in barred(requester, roster):
            yield Uncounted(person=person, why="made the agent's credentials, or is named like it")
        elif not may_decide:
            yield Uncounted(person=person, why="is in none of the groups that may decide this")
        elif not _rejects(cast) and not any(need in vote.approvals for vote in cast for need in may_decide):
            yield Uncounted(person=person, why="did not vote on an approval that they may give")
