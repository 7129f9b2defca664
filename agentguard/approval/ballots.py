"""Ballots: one person's decision becomes a signed vote, or several on the calls of one turn, and is put on their requests.

Rules:
- a decision is on the card that the person saw: if another one waits now, nothing is decided;
- the same decision again is the same vote; another one, while the request is pending, takes its place;
- a decision on several calls is taken for all of them or for none, and only for calls of one turn;
- all votes are checked and counted anew for each vote, and the vote is put only if nothing changed since;
- every refusal says what is wrong and what can be done.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from agentguard.approval.channel import Cast, Channel
from agentguard.approval.reading import TURN_MAX
from agentguard.approval.roster import Roster
from agentguard.approval.signing import check_comment
from agentguard.approval.stored import Stored, forged
from agentguard.approval.tally import Tally, barred, entitled_to, requester_of
from agentguard.approval.votes import check_grant, check_vote, recount, sign_vote
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Decision, Grant, Resolution, State, Vote
from agentguard.model.verdicts import CONFIRM, Need
from agentguard.store.keys import SigningKey

CAST_MS = 300_000
"""How long after it was signed a vote may be put that was signed elsewhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ballot:
    """One person's decision, before it is signed. `signer` is the person, or the server of `signers:` that holds `key`."""

    person: str
    decision: Decision
    comment: str
    signer: str
    key: SigningKey
    within: Collection[str] | None = None
    grant: Grant | None = None


@dataclass(frozen=True, kw_only=True)
class Ballots:
    """Puts ballots on one tenant's requests. `roster` is today's."""

    channel: Channel
    roster: Roster

    async def put(self, cards: Mapping[str, str], ballot: Ballot) -> Sequence[Resolution]:
        """Put a ballot on requests, by the digest of the card that was shown of each: on all of them, or on none."""
        if not 1 <= len(cards) <= TURN_MAX:
            raise DecisionRefused("other_turn", f"1 to {TURN_MAX} calls of one turn are decided together")
        check_comment(ballot.comment)
        for _ in range(len(self.roster.people) + 2):
            together = [(await self.channel.read(request_id), card) for request_id, card in cards.items()]
            _check_one_turn([stored for stored, _ in together])
            for stored, _ in together:
                if stored.state is State.PENDING:
                    self._count(stored, stored.votes)
            if all(_said_before(stored, ballot, card) for stored, card in together):
                return [stored.resolution for stored, _ in together]
            try:
                await self.channel.vote_together([self._cast(stored, ballot, card) for stored, card in together])
                return [(await self.channel.read(request_id)).resolution for request_id in cards]
            except DecisionRefused as refused:
                if refused.code != "changed":
                    raise
        raise DecisionRefused("changed", f"request {next(iter(cards))} keeps changing; look at it again")

    async def unsigned(self, request_id: str, person: str) -> Vote:
        """What a person would sign now to approve a request; not signed. Raises RequestNotFound, and DecisionRefused: ended, ..."""
        name, stored = self.roster.person(person), await self.channel.read(request_id)
        self._must_be_pending(stored)
        request = stored.request
        return Vote(
            tenant=request.principal.tenant,
            request=request.id,
            revision=request.revision,
            digest=request.digest,
            card_digest=request.card.digest(),
            approvals=tuple(self.may_decide(stored, name)),
            person=name,
            groups=self.roster.groups_of(name),
            decision=Decision.APPROVE,
            time_ms=self.channel.clock.now_ms(),
            signer=name,
        )

    async def cast(self, vote: Vote) -> Resolution:
        """Put a vote that its person signed elsewhere with a key of their own, and how the request stands then.

        Raises RequestNotFound, and DecisionRefused: ended, self_approval, not_entitled, bad_comment, bad_signature, no_key, other_card,
        other_person, other_..., late, stale_vote, changed, forged, bad_grant.
        """
        check_comment(vote.comment)
        stored = await self.channel.read(vote.request)
        if stored.state is State.PENDING:
            self._count(stored, stored.votes)
        if vote in stored.votes:
            return stored.resolution
        self._must_be_pending(stored)
        check_vote(vote, stored.request, self.roster)
        self._check_cast(stored, vote)
        others = [other for other in stored.votes if other.person != vote.person]
        becomes = self._count(stored, [*others, vote]).state
        await self.channel.vote(vote, stored.version, becomes)
        return (await self.channel.read(vote.request)).resolution

    def _check_cast(self, stored: Stored, vote: Vote) -> None:
        """Return if this vote is its person's own, theirs to cast, and their newest word. Raises DecisionRefused."""
        if vote.signer != vote.person:
            raise DecisionRefused("other_person", "a vote from outside is signed with its person's own key")
        if not vote.approvals or not set(vote.approvals) <= set(self.may_decide(stored, vote.person)):
            raise DecisionRefused("not_entitled", f"{vote.person} does not decide all that the vote is about")
        if abs(vote.time_ms - self.channel.clock.now_ms()) > CAST_MS or any(
            other.person == vote.person and other.time_ms >= vote.time_ms for other in stored.votes
        ):
            raise DecisionRefused("stale_vote", "the vote is too old, or older than what its person said since")

    def _cast(self, stored: Stored, ballot: Ballot, card_digest: str) -> Cast:
        """The vote of a ballot on one request, signed, and what it makes of it. Raises DecisionRefused."""
        self._must_be_pending(stored)
        needs = self.may_decide(stored, ballot.person, ballot.within)
        check_grant(ballot.grant, ballot.decision, stored.request)
        if not hmac.compare_digest(card_digest.encode(), stored.request.card.digest().encode()):
            raise DecisionRefused("other_card", "what waits now is not what you saw; look at it again, then decide")
        vote = self._signed(stored, ballot, card_digest, needs)
        others = [other for other in stored.votes if other.person != ballot.person]
        return Cast(vote=vote, version=stored.version, becomes=self._count(stored, [*others, vote]).state)

    @staticmethod
    def _must_be_pending(stored: Stored) -> None:
        if stored.state is not State.PENDING:
            raise DecisionRefused(
                "ended", f"request {stored.request.id} is already {stored.state}; nothing was decided"
            )

    def _signed(self, stored: Stored, ballot: Ballot, card_digest: str, needs: Sequence[str]) -> Vote:
        vote = sign_vote(
            stored.request,
            person=ballot.person,
            groups=self.roster.groups_of(ballot.person),
            approvals=needs,
            decision=ballot.decision,
            comment=ballot.comment,
            card_digest=card_digest,
            time_ms=self.channel.clock.now_ms(),
            signer=ballot.signer,
            key=ballot.key,
            grant=ballot.grant,
        )
        check_vote(vote, stored.request, self.roster)
        return vote

    def may_decide(self, stored: Stored, person: str, within: Collection[str] | None = None) -> Sequence[str]:
        """The needs that this person may decide, by the groups that a login confirmed. Raises DecisionRefused.

        Codes: self_approval, not_entitled.
        """
        request = stored.request
        elapsed = self.channel.clock.now_ms() - request.opened_ms
        entitled = {need.name: entitled_to(need, self.roster, request.principal, elapsed) for need in request.needs}
        own = [need for need in request.needs if person in entitled[need.name]]
        needs = [need.name for need in own if self._confirmed(need, person, within, elapsed)]
        if needs:
            return needs
        if own:
            told = f"your login does not say that {person} is in a group that decides this; log in again, or ask who runs the login"
            raise DecisionRefused("not_entitled", told)
        others = ", ".join(sorted(frozenset().union(*entitled.values()))) or "nobody"
        if person != requester_of(request.principal, self.roster) and person in barred(request.principal, self.roster):
            told = f"{person} made the agent's credentials, or is named like it; those who can: {others}"
            raise DecisionRefused("self_approval", told)
        if person == requester_of(request.principal, self.roster):
            told = (
                f"{person} asked for this call and cannot approve it; those who can: {others}. "
                "Where one person should be enough, the policy says `ask: confirm`"
            )
            raise DecisionRefused("self_approval", told)
        wanted = ", ".join(approver for need in request.needs for approver in need.approvers_at(elapsed))
        told = f"{person} is not among those who decide this ({wanted or 'the requester'}); those who can: {others}"
        raise DecisionRefused("not_entitled", told)

    def _confirmed(self, need: Need, person: str, within: Collection[str] | None, elapsed_ms: int) -> bool:
        """Whether an approver entry that means this person is one that the login confirmed: by name, or by such a group."""
        if within is None or need.name == CONFIRM:
            return True
        named = need.approvers_at(elapsed_ms)
        kept = [one for one in named if not one.startswith("group:") or one.removeprefix("group:") in within]
        return person in self.roster.entitled(kept)

    def _count(self, stored: Stored, votes: Sequence[Vote]) -> Tally:
        try:
            return recount(stored.request, votes, self.roster, now_ms=self.channel.clock.now_ms())
        except DecisionRefused as refused:
            raise forged(f"a vote on it does not verify ({refused.code})") from None


def _check_one_turn(together: Sequence[Stored]) -> None:
    """Raise DecisionRefused for requests that were not asked for together."""
    turns = {(stored.request.turn, stored.request.principal) for stored in together}
    if len(together) > 1 and (len(turns) > 1 or not together[0].request.turn):
        raise DecisionRefused("other_turn", "only calls that were asked for in one turn are decided together")


def _said_before(stored: Stored, ballot: Ballot, card_digest: str) -> bool:
    said = (ballot.person, ballot.decision, card_digest, ballot.grant)
    return any((vote.person, vote.decision, vote.card_digest, vote.grant) == said for vote in stored.votes)
