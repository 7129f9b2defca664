"""Where people decide: what the command line and the server use.

Rules:
- who decides is a person of approvers.yaml, named by whoever authenticated them; the key is theirs, or a signer's;
- what they see and what they decide stand in `showing` and `ballots`; an edit and a word on a run are signed in the same way;
- every refusal says what is wrong and what can be done.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from agentguard.approval.ballots import Ballot, Ballots
from agentguard.approval.channel import Channel
from agentguard.approval.deeds import Deeds, Run
from agentguard.approval.edits import check_edit, may_edit, sign_edit
from agentguard.approval.roster import Roster
from agentguard.approval.showing import Showing, Shown
from agentguard.approval.signing import check_comment, check_signature, signed
from agentguard.approval.stored import Stored
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Decision, Edit, Found, Grant, Resolution, Settlement, State, Vote
from agentguard.model.record import Json
from agentguard.store.keys import SigningKey

ANSWER_SECONDS = 10.0
"""How long a person waits for the agent's side to answer their edit."""

_LOOK_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class Desk:
    """One tenant's requests, for people. `roster` is today's."""

    channel: Channel
    roster: Roster

    async def list(self, states: Collection[State] = (State.PENDING,), *, at_most: int = 200) -> Sequence[Stored]:
        """Requests in these states, the most urgent first."""
        return await self.channel.list(states, at_most=at_most)

    async def show(self, request_id: str) -> Shown:
        """One request with its votes counted. Raises RequestNotFound, and DecisionRefused ("forged")."""
        return await self._showing.show(request_id)

    async def show_turn(self, request_id: str) -> Sequence[Shown]:
        """The requests of the turn that a request is part of, itself among them; itself alone where nobody knows of a turn.

        Raises RequestNotFound, and DecisionRefused ("forged").
        """
        return await self._showing.show_turn(request_id)

    async def decide(
        self,
        request_id: str,
        *,
        person: str,
        key: SigningKey,
        decision: Decision,
        card_digest: str,
        comment: str = "",
        signer: str | None = None,
        within: Collection[str] | None = None,
        grant: Grant | None = None,
    ) -> Resolution:
        """Sign and put one person's decision, and how the request stands then. `signer` is a server's name, if one signs.

        `within`: the groups that the person's login confirmed; they decide for no other. None: for all that approvers.yaml says.
        `grant`: what they grant along with an approval, within what the card offers.

        Raises RequestNotFound, and DecisionRefused: ended, self_approval, not_entitled, unknown_person, bad_comment,
        bad_signature, no_key, unknown_signer, other_card, changed, forged, bad_grant.
        """
        name = self.roster.person(person)
        ballot = Ballot(
            person=name,
            decision=decision,
            comment=comment,
            signer=signer or name,
            key=key,
            within=within,
            grant=grant,
        )
        (resolution,) = await self._ballots.put({request_id: card_digest}, ballot)
        return resolution

    async def ballot(self, request_id: str, person: str) -> Vote:
        """What a person would sign now to approve a request; not signed. Raises RequestNotFound, and DecisionRefused: ended, ..."""
        return await self._ballots.unsigned(request_id, person)

    async def cast(self, vote: Vote) -> Resolution:
        """Put a vote that its person signed elsewhere with a key of their own, and how the request stands then.

        Raises RequestNotFound, and DecisionRefused: ended, self_approval, not_entitled, bad_comment, bad_signature, no_key, other_card,
        other_person, other_..., late, stale_vote, changed, forged, bad_grant.
        """
        return await self._ballots.cast(vote)

    async def decide_together(
        self,
        cards: Mapping[str, str],
        *,
        person: str,
        key: SigningKey,
        decision: Decision,
        comment: str = "",
        signer: str | None = None,
        within: Collection[str] | None = None,
    ) -> Sequence[Resolution]:
        """Sign and put one person's decision on several calls of one turn: on all of them, or on none.

        `cards`: the digest of the card that they were shown, by request. Raises what `decide` raises, and DecisionRefused ("other_turn").
        """
        name = self.roster.person(person)
        ballot = Ballot(
            person=name,
            decision=decision,
            comment=comment,
            signer=signer or name,
            key=key,
            within=within,
        )
        return await self._ballots.put(cards, ballot)

    async def edit(
        self,
        request_id: str,
        changes: Mapping[str, Json],
        *,
        person: str,
        key: SigningKey,
        card_digest: str,
        comment: str = "",
        signer: str | None = None,
    ) -> Edit:
        """Sign and put a person's change of some arguments; the agent's side answers it with a new revision, or refuses it.

        Raises RequestNotFound, and DecisionRefused: ended, not_editable, not_entitled, bad_edit, other_card, changed, unknown_person, ...
        """
        who, stored = self.roster.person(person), await self.channel.read(request_id)
        if stored.state is not State.PENDING:
            raise DecisionRefused("ended", f"request {request_id} is already {stored.state}; nothing was edited")
        may_edit(who, stored.request, self.roster, now_ms=stored.now_ms)
        edit = sign_edit(
            stored.request,
            changes,
            person=who,
            comment=comment,
            card_digest=card_digest,
            time_ms=self.channel.clock.now_ms(),
            signer=signer or who,
            key=key,
        )
        if not hmac.compare_digest(card_digest.encode(), stored.request.card.digest().encode()):
            raise DecisionRefused("other_card", "what waits now is not what you saw; look at it again, then edit")
        check_edit(edit, stored.request, self.roster, now_ms=edit.time_ms)
        await self.channel.edit(edit)
        return edit

    async def answered(self, edit: Edit, *, seconds: float = ANSWER_SECONDS) -> Stored:
        """The request once the agent's side answered an edit of it. Raises DecisionRefused: edit_waits, edit_refused."""
        until = time.monotonic() + seconds
        while True:
            stored = await self.channel.read(edit.request)
            if stored.edit != edit:
                raise DecisionRefused("changed", "somebody else edited it meanwhile; look at it again")
            if not stored.edit_waits and stored.edit_refused:
                raise DecisionRefused("edit_refused", stored.edit_refused)
            if not stored.edit_waits:
                return stored
            if time.monotonic() > until:
                raise DecisionRefused("edit_waits", "the agent did not answer yet; look at the request again later")
            await asyncio.sleep(_LOOK_SECONDS)

    async def undone(self) -> Sequence[Run]:
        """The deeds that began and are not known to be done, the newest first."""
        return await Deeds(channel=self.channel).undone()

    async def settle(
        self, subject: str, found: Found, *, person: str, key: SigningKey, comment: str = "", signer: str | None = None
    ) -> Settlement:
        """Sign and put a person's word on a run that may have happened: that of a request, or of a deed.

        Raises RequestNotFound, and DecisionRefused: still_runs, ended, settled_otherwise, unknown_person, bad_comment, no_key, ...
        """
        await self.channel.learn_time()
        who, deeds = self.roster.person(person), Deeds(channel=self.channel)
        run = await deeds.run_of(subject)
        settlement = Settlement(
            tenant=self.channel.names.tenant,
            subject=subject,
            fence=run.fence,
            found=found,
            comment=check_comment(comment),
            person=who,
            time_ms=self.channel.clock.now_ms(),
            signer=signer or who,
        )
        settlement = signed(settlement, key)
        check_signature(settlement, self.roster)
        await deeds.settle(settlement)
        return settlement

    def may_decide(self, stored: Stored, person: str, within: Collection[str] | None = None) -> Sequence[str]:
        """The needs that this person may decide, by the groups that a login confirmed. Raises DecisionRefused.

        Codes: self_approval, not_entitled.
        """
        return self._ballots.may_decide(stored, person, within)

    @property
    def _showing(self) -> Showing:
        return Showing(channel=self.channel, roster=self.roster)

    @property
    def _ballots(self) -> Ballots:
        return Ballots(channel=self.channel, roster=self.roster)
