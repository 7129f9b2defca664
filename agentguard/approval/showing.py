"""Requests as people see them: how each stands, and how its votes count by today's people.

Rules:
- each vote's signature is verified anew; one that no key of today verifies is shown as such, and counts for nothing;
- an earlier revision and a word on a run are shown where they are kept beside the request, and only if they are genuine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentguard.approval.channel import Channel
from agentguard.approval.deeds import Deeds
from agentguard.approval.roster import Roster
from agentguard.approval.stored import Stored
from agentguard.approval.tally import Tally, Uncounted, tally
from agentguard.approval.votes import check_vote
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Request, Settlement, State, Vote


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A request as a person sees it: how it stands, and how its votes count. `card_digest` goes into their decision.

    `unverified` are votes that no key of today's roster verifies: forged, or from before a key was changed. They count for nothing.
    `earlier`: the request before an edit, as it is kept beside it. `word`: what a person signed of a run that may have happened.
    `beside`: the ids of the other requests of its turn, which it is decided apart from or together with.
    """

    stored: Stored
    tally: Tally
    unverified: tuple[Uncounted, ...]
    earlier: Request | None = None
    word: Settlement | None = None
    beside: tuple[str, ...] = ()

    @property
    def card_digest(self) -> str:
        """The digest of the card."""
        return self.stored.request.card.digest()


@dataclass(frozen=True, kw_only=True)
class Showing:
    """Reads one tenant's requests for people. Each coroutine raises RequestNotFound, and DecisionRefused ("forged")."""

    channel: Channel
    roster: Roster

    async def show(self, request_id: str) -> Shown:
        """One request with its votes counted. Raises RequestNotFound, and DecisionRefused ("forged")."""
        stored = await self.channel.read(request_id)
        return await self._shown(stored, await self.channel.beside(stored.request))

    async def show_turn(self, request_id: str) -> Sequence[Shown]:
        """The requests of the turn that a request is part of, itself among them; itself alone where nobody knows of a turn.

        Raises RequestNotFound, and DecisionRefused ("forged").
        """
        (together,) = await self.channel.together([await self.channel.read(request_id)])
        ids = [each.request.id for each in together]
        return [await self._shown(each, [id_ for id_ in ids if id_ != each.request.id]) for each in together]

    async def _shown(self, stored: Stored, beside: Sequence[str]) -> Shown:
        request = stored.request
        why = {vote: _why_unverified(vote, request, self.roster) for vote in stored.votes}
        genuine = [vote for vote, fault in why.items() if not fault]
        return Shown(
            stored=stored,
            tally=tally(
                request.needs,
                genuine,
                self.roster,
                request.principal,
                opened_ms=request.opened_ms,
                now_ms=stored.now_ms,
            ),
            unverified=tuple(Uncounted(person=vote.person, why=fault) for vote, fault in why.items() if fault),
            earlier=await self.channel.earlier(request),
            word=await self._word(stored),
            beside=tuple(beside),
        )

    async def _word(self, stored: Stored) -> Settlement | None:
        """What a person verifiably signed of the run of a request that may have happened."""
        if stored.state not in (State.FAILED, State.UNKNOWN):
            return None
        deeds = Deeds(channel=self.channel)
        return await deeds.word_on(await deeds.run_of(stored.request.id), self.roster)


def _why_unverified(vote: Vote, request: Request, roster: Roster) -> str:
    try:
        check_vote(vote, request, roster)
    except DecisionRefused as refused:
        return str(refused)
    return ""
