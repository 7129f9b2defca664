"""Grants: what people granted along with an approval, found and verified again at each use.

Rules:
- a grant is part of signed votes on a request; it holds where the votes that carry it would approve the later call by themselves, by
  today's roster, keys and quorum;
- of several voters' terms the narrowest hold: the fewest uses, the shortest time, the session if any of them says so;
- the index in Redis only says where to look; uses are counted there, on Redis's clock, and a revocation by whomever ends it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from agentguard.approval import moves
from agentguard.approval.channel import RETENTION_MS, Channel
from agentguard.approval.roster import Roster
from agentguard.approval.signing import check_comment, check_signature, signed
from agentguard.approval.stored import Stored
from agentguard.approval.tally import tally
from agentguard.approval.votes import check_vote
from agentguard.errors import DecisionRefused, RequestNotFound
from agentguard.model.approvals import Decision, Grant, Offer, Revocation, State, Vote
from agentguard.model.calls import Principal
from agentguard.model.verdicts import Need
from agentguard.store.keys import SigningKey

LOOKED_AT_MAX = 20
"""How many grants of one agent, user and tool are looked at for a call, those that last longest first."""

_RAN = frozenset({State.EXECUTING, State.DONE, State.FAILED, State.UNKNOWN})
_log = logging.getLogger("agentguard.approval")


@dataclass(frozen=True, kw_only=True, slots=True)
class Granted:
    """A grant as its votes give it: the request that it was given on, what it covers, and until when (Redis's clock)."""

    stored: Stored
    offer: Offer
    terms: Grant
    votes: tuple[Vote, ...]

    @property
    def id(self) -> str:
        """The id of the grant: that of its request."""
        return self.stored.request.id

    @property
    def until_ms(self) -> int:
        """When it ends: so long after the earliest of its votes."""
        return min(vote.time_ms for vote in self.votes) + self.terms.seconds * 1000

    def reaches(self, caller: Principal) -> bool:
        """Whether it is this caller's: the same agent for the same user, and in the same session where it says so."""
        given = self.stored.request.principal
        same = (given.tenant, given.agent, given.user) == (caller.tenant, caller.agent, caller.user)
        return same and (given.session == caller.session or not self.terms.session)


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A grant for people: how often it was used, and whether somebody revoked it."""

    granted: Granted
    used: int
    revoked: bool


def granted_by(stored: Stored) -> Granted | None:
    """The grant that the votes on a request carry, their signatures not yet verified; None where they carry none."""
    votes = tuple(vote for vote in stored.votes if vote.grant is not None and vote.decision is Decision.APPROVE)
    terms = [vote.grant for vote in votes if vote.grant is not None]
    offer = stored.request.card.grant
    if offer is None or not terms or stored.state not in _RAN:
        return None
    narrowest = Grant(
        seconds=min(each.seconds for each in terms),
        uses=min(each.uses for each in terms),
        session=any(each.session for each in terms),
    )
    return Granted(stored=stored, offer=offer, terms=narrowest, votes=votes)


def holds(granted: Granted, needs: Sequence[Need], roster: Roster, caller: Principal) -> bool:
    """Whether the votes that carry a grant verify today, and would meet these needs by themselves."""
    for vote in granted.votes:
        try:
            check_vote(vote, granted.stored.request, roster)
        except DecisionRefused as refused:
            _log.error("grant %s does not hold: a vote on it does not verify (%s)", granted.id, refused.code)
            return False
    given = granted.stored
    times = {"opened_ms": given.request.opened_ms, "now_ms": given.now_ms}
    return tally(needs, granted.votes, roster, caller, **times).state is State.APPROVED


@dataclass(frozen=True, kw_only=True)
class Grants:
    """One tenant's grants. Each coroutine raises GuardUnavailable."""

    channel: Channel

    async def remember(self, granted: Granted) -> None:
        """Note a grant, so that later calls find it."""
        request, names = granted.stored.request, self.channel.names
        principal = request.principal
        keys = [names.grants_of(principal.agent, principal.user or "", request.tool), names.grants]
        await moves.make(
            self.channel.connection, self.channel.names, moves.REMEMBER, keys, [granted.id, granted.until_ms]
        )

    async def of(self, caller: Principal, tool: str, call_id: str | None) -> Sequence[Granted]:
        """The grants that may cover a caller's call of a tool, as their votes give them; nothing is verified yet but the records.

        None covers a call that has a request of its own: whatever became of that is its answer.
        """
        names = self.channel.names
        key = names.grants_of(caller.agent, caller.user or "", tool)
        own = key if call_id is None else names.call(caller.session, caller.run, call_id)
        has_own, ids = await self.channel.connection.pipeline(
            [("EXISTS", own), ("ZREVRANGE", key, 0, LOOKED_AT_MAX - 1)]
        )
        if has_own and call_id is not None:
            return ()
        return tuple(granted for granted in await self._read(ids) if granted.reaches(caller))

    async def use(self, granted: Granted, call: str) -> int:
        """Use a grant for the call of this name: which use of it this is. Raises DecisionRefused: again, over, used_up, revoked, frozen."""
        names, request = self.channel.names, granted.stored.request
        word, now_ms, number = await moves.make(
            self.channel.connection,
            self.channel.names,
            moves.USE,
            [names.uses(granted.id), names.revoked(granted.id), names.freezes],
            [call, granted.until_ms, granted.terms.uses, request.principal.agent, request.tool],
        )
        self.channel.clock.set(now_ms)
        if word != b"used":
            raise DecisionRefused(word.decode(), f"grant {granted.id} gives no permit ({word.decode()})")
        return int(number)

    async def list(self) -> Sequence[Listed]:
        """The grants that are not over, the one that ends first first."""
        await self.channel.learn_time()
        connection, names = self.channel.connection, self.channel.names
        ids = await connection.execute("ZRANGEBYSCORE", names.grants, self.channel.clock.now_ms(), "+inf")
        found = await self._read(ids)
        uses = await connection.pipeline([("HLEN", names.uses(each.id)) for each in found])
        revoked = await connection.pipeline([("EXISTS", names.revoked(each.id)) for each in found])
        return tuple(
            Listed(granted=each, used=int(used), revoked=bool(is_revoked))
            for each, used, is_revoked in zip(found, uses, revoked, strict=True)
        )

    async def revoke(
        self,
        grant_id: str,
        roster: Roster,
        *,
        person: str,
        key: SigningKey,
        reason: str = "",
        signer: str | None = None,
    ) -> Revocation:
        """End a grant. Anybody of approvers.yaml may. Raises RequestNotFound, and DecisionRefused: unknown_person, no_key, ..."""
        who, stored = roster.person(person), await self.channel.read(grant_id)
        if granted_by(stored) is None:
            raise RequestNotFound(grant_id)
        revocation = Revocation(
            tenant=self.channel.names.tenant,
            grant=grant_id,
            reason=check_comment(reason),
            person=who,
            time_ms=self.channel.clock.now_ms(),
            signer=signer or who,
        )
        revocation = signed(revocation, key)
        check_signature(revocation, roster)
        key_name = self.channel.names.revoked(grant_id)
        await self.channel.connection.execute("SET", key_name, revocation.canonical(), "PX", RETENTION_MS)
        return revocation

    async def _read(self, ids: Sequence[bytes]) -> Sequence[Granted]:
        names = [one.decode(errors="replace") for one in ids]
        stored = [each for each in await self.channel.read_all(names) if isinstance(each, Stored)]
        return [granted for each in stored if (granted := granted_by(each)) is not None]
