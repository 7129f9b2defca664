"""The approval channel: requests in Redis, moved only by Lua scripts.

Rules:
- the record in Redis is the truth; every event is a hint;
- each move is one script, which checks, takes Redis's clock, writes, and appends to the tenant's event stream;
- a move that its caller repeats (same request id, same vote, same fence) succeeds again;
- the agent's side puts a MAC on each record (and reads none whose MAC does not verify: `Reading`); the approvers' side has no key for it;
- one agent asks only so much of people at once; whatever would be more opens nothing;
- a move that is refused raises DecisionRefused, whose code says why; where Redis is away, GuardUnavailable.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from agentguard.approval import moves
from agentguard.approval.reading import Reading
from agentguard.approval.schedule import next_step_ms
from agentguard.approval.stored import Stored
from agentguard.errors import AskedTooMuch, DecisionRefused, GuardUnavailable, RequestNotFound
from agentguard.model.approvals import Edit, Request, State, Vote
from agentguard.store.redis import Part, Script

LEASE_MS = 30_000
"""How long a permit counts as running without being renewed."""

PERMIT_MS = 300_000
"""How long after the deadline of the decision an approved request can still be redeemed."""

DEFERRED_PERMIT_MS = 24 * 3600 * 1000
"""The same for a request that nobody holds the line for: so long the call may come back."""

RETENTION_MS = 30 * 24 * 3600 * 1000
"""How long requests are kept after they ended."""

EVENTS_MAX = 100_000
"""About how many events a tenant's stream keeps."""

_OPEN_ATTEMPTS = 5
_log = logging.getLogger("agentguard.approval")


@dataclass(frozen=True, kw_only=True, slots=True)
class Restraint:
    """How much one agent may ask of people, and for how long what it did is held against it. None: any number."""

    pending: int | None = None
    per_minute: int | None = None
    pause_ms: int = 300_000
    after_rejection_ms: int = 0


UNRESTRAINED = Restraint()


class How(StrEnum):
    """How an opened request came about: new; that of the same call id; that of another call with the same digest."""

    CREATED = "created"
    FOUND = "found"
    JOINED = "joined"


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """The request that a call has now."""

    how: How
    stored: Stored


@dataclass(frozen=True, kw_only=True, slots=True)
class Cast:
    """A vote to put: the version of its request that was tallied, and what the tally of all votes then says."""

    vote: Vote
    version: str
    becomes: State


@dataclass(frozen=True, kw_only=True)
class Channel(Reading):
    """One tenant's requests, and the moves that are made with them."""

    retention_ms: int = RETENTION_MS
    events_max: int = EVENTS_MAX

    async def open(self, request: Request, sealed_input: bytes, restraint: Restraint = UNRESTRAINED) -> Opened:
        """Open a request, or find the one that this call has. Its times are set here, on Redis's clock.

        Raises DecisionRefused: call_id_reused, no_approvals, forged; AskedTooMuch.
        """
        if not request.needs:
            raise DecisionRefused("no_approvals", "the request names no approval, so nobody could ever approve it")
        seen = ""
        for _ in range(_OPEN_ATTEMPTS):
            timed = self._timed(request)
            word, other = await self._try_open(timed, sealed_input, seen, restraint)
            match word:
                case How.CREATED:
                    return Opened(how=How.CREATED, stored=await self.read(timed.id))
                case How.FOUND | How.JOINED:
                    return Opened(how=How(word), stored=await self.read(other))
                case "reused":
                    told = "this call id was used before in this session, with other arguments"
                    raise DecisionRefused("call_id_reused", told)
                case "taken":
                    raise DecisionRefused("taken", "another request has this id")
                case "look":
                    seen = other
                case "crowded":
                    raise AskedTooMuch("crowded", f"{restraint.pending} requests of this agent wait already")
                case "paused":
                    told = f"this agent asked more than {restraint.per_minute} times in a minute"
                    raise AskedTooMuch("paused", told, until_ms=int(other))
        raise GuardUnavailable("redis", "could not agree with it on the time, or on which request this call has")

    async def expire_overdue(self, *, at_most: int = 100) -> int:
        """Say of requests whose deadline passed that it did, also where the agent that asked is gone. Gives how many."""
        await self.learn_time()
        overdue = await self.connection.execute(
            "ZRANGEBYSCORE", self.names.pending, "-inf", self.clock.now_ms(), "LIMIT", 0, at_most
        )
        for one in overdue:
            await self._say_expired(one.decode(errors="replace"))
        return len(overdue)

    async def vote(self, vote: Vote, expected_version: str, becomes: State) -> State:
        """Put a vote on its request, and the state that the tally of all votes gives. Gives the state then.

        Raises RequestNotFound, and DecisionRefused: ended (with the state), changed (tally again).
        """
        return await self.vote_together([Cast(vote=vote, version=expected_version, becomes=becomes)])

    async def vote_together(self, casts: Sequence[Cast]) -> State:
        """Put one person's votes, each on its own request: all of them, or none. Gives the state of the last one then.

        Raises RequestNotFound, and DecisionRefused: ended (with the state), changed (tally again).
        """
        keys = [self.names.pending, self.names.ended, self.names.events]
        args: list[Part] = [casts[0].vote.person, self.retention_ms, self.events_max]
        for cast in casts:
            vote = cast.vote
            keys += self._keys(vote.request)
            args += [vote.request, vote.canonical(), cast.version, cast.becomes.value, vote.revision, vote.digest]
        reply = await self._make(moves.VOTE, keys, args)
        word, state = self._heard(reply)
        return self._settled(word, state, reply[3].decode())

    async def edit(self, edit: Edit) -> None:
        """Put a person's change of the arguments, for the agent's side to answer.

        Raises RequestNotFound, and DecisionRefused: ended (with the state), changed (look again).
        """
        word, state = await self._move(
            moves.EDIT, edit.request, "claim", edit.canonical(), edit.revision, edit.digest, self.retention_ms, self.events_max
        )  # fmt: skip
        self._settled(word, state, edit.request)

    async def revise(self, before: Stored, revised: Request, sealed_input: bytes, sealed_changes: bytes) -> None:
        """Answer an edit with the next revision. Raises RequestNotFound, and DecisionRefused: ended, changed."""
        if self.mac is None:
            raise DecisionRefused("not_the_agent", "only the agent's side writes revisions")
        record = revised.canonical().encode()
        following = next_step_ms(revised, self.clock.now_ms())
        await self._answer_edit(
            before, "", record, self.mac.of(record), sealed_input, revised.revision, revised.digest, sealed_changes,
            following=following,
        )  # fmt: skip

    async def refuse_edit(self, before: Stored, why: str) -> None:
        """Answer an edit with a no. Raises RequestNotFound, and DecisionRefused: ended, changed."""
        await self._answer_edit(before, why, "", "", "", "", "", "")

    async def _answer_edit(
        self, before: Stored, why: str, *revision: str | bytes | int, following: int | None = None
    ) -> None:
        request, edit = before.request, before.edit
        looked_at = "" if edit is None else edit.canonical()
        keys = [*self._keys(request.id), self.names.events, self.names.steps]
        args = [request.id, looked_at, request.revision, why, *revision, self.events_max, _or_never(following)]
        self._settled(*self._heard(await self._make(moves.REVISE, keys, args)), request.id)

    async def withdraw(self, request_id: str, reason: str) -> State:
        """Take a request back. Raises RequestNotFound, and DecisionRefused ("ended")."""
        word, state = await self._move(moves.WITHDRAW, request_id, "votes", reason, self.retention_ms, self.events_max)
        return self._settled(word, state, request_id)

    async def defer(self, request_id: str) -> State:
        """Let a request wait on its own, if it is still pending. Gives the state. Raises RequestNotFound."""
        reply = await self._make(moves.DEFER, self._keys(request_id), [request_id])
        return self._settled(*self._heard(reply), request_id)

    async def step(self, request_id: str, due_ms: int, next_ms: int | None, said: str) -> None:
        """Take a step of a request that is due, and say it; `next_ms` is when the one after it is. See `approval.steps`.

        Raises RequestNotFound, and DecisionRefused: ended, changed (not due, or somebody took it).
        """
        keys = [*self._keys(request_id), self.names.steps, self.names.events]
        args: list[Part] = [request_id, due_ms, _or_never(next_ms), said, self.events_max]
        self._settled(*self._heard(await self._make(moves.STEP, keys, args)), request_id)

    async def expire(self, request_id: str) -> State:
        """Say, once among all who try, that the deadline passed, if it did. Gives the state."""
        word, state = await self._move(moves.EXPIRE, request_id, "votes", self.retention_ms, self.events_max)
        return self._settled(word, state, request_id)

    async def redeem(self, stored: Stored, fence: str, *, lease_ms: int = LEASE_MS) -> None:
        """Take the one permit of an approved request, as it was read and verified.

        Raises RequestNotFound, and DecisionRefused: ended, changed, frozen.
        """
        request = stored.request
        keys = [*self._keys(request.id), self.names.events, self.names.freezes]
        args: list[Part] = [
            request.id, stored.version, fence, lease_ms, self.retention_ms, self.events_max, request.principal.agent, request.tool,
        ]  # fmt: skip
        word, state = self._heard(await self._make(moves.REDEEM, keys, args))
        self._settled(word, state, request.id)

    async def renew(self, request_id: str, fence: str, *, lease_ms: int = LEASE_MS) -> None:
        """Say that the call still runs. Raises RequestNotFound, and DecisionRefused ("ended")."""
        reply = await self._make(moves.RENEW, self._keys(request_id), [fence, lease_ms])
        self._settled(*self._heard(reply), request_id)

    async def finish(self, request_id: str, fence: str, state: State) -> None:
        """Say how the run ended: done, failed or unknown. Raises RequestNotFound, and DecisionRefused ("ended")."""
        word, now = await self._move(
            moves.FINISH, request_id, "claim", fence, state.value, self.retention_ms, self.events_max
        )
        self._settled(word, now, request_id)

    async def _say_expired(self, request_id: str) -> None:
        """One that can't be is left to the log, so that it holds up no other."""
        try:
            await self.expire(request_id)
        except DecisionRefused as refused:
            _log.error("request %r can't be said to be expired: %s", request_id[:80], refused)  # no traceback

    def _timed(self, request: Request) -> Request:
        """The request with its times: the shortest deadline of its needs counts."""
        now = self.clock.now_ms()
        deadline = now + 1000 * min(need.deadline_seconds for need in request.needs)
        permit_ms = DEFERRED_PERMIT_MS if request.may_defer else PERMIT_MS
        times = {"opened_ms": now, "deadline_ms": deadline, "redeem_by_ms": deadline + permit_ms}
        return request.model_copy(update=times)

    async def _try_open(
        self, request: Request, sealed_input: bytes, seen: str, restraint: Restraint
    ) -> tuple[str, str]:
        if self.mac is None:
            raise DecisionRefused("not_the_agent", "only the agent's side opens requests")
        principal, record = request.principal, request.canonical().encode()
        own = self._keys(request.id)
        join = self.names.join(principal.session, request.digest)
        call = join if request.call_id is None else self.names.call(principal.session, principal.run, request.call_id)
        other = self._keys(seen) if seen else own
        first = next_step_ms(request, request.opened_ms)
        agent = [f(principal.agent) for f in (self.names.waiting, self.names.asked, self.names.paused)]
        keys = [
            *own, call, join, self.names.pending, self.names.events, *other, self.names.turn(request.turn), self.names.ended,
            *agent, self.names.steps,
        ]  # fmt: skip
        reply = await self._make(
            moves.OPEN,
            keys,
            [
                request.id, record, self.mac.of(record), sealed_input, request.revision, request.digest,
                request.model_digest, request.opened_ms, request.deadline_ms, request.redeem_by_ms,
                "" if request.call_id is None else "1", seen, self.retention_ms, self.events_max, "1" if request.turn else "",
                *("" if most is None else most for most in (restraint.pending, restraint.per_minute)),
                restraint.pause_ms, restraint.after_rejection_ms, _or_never(first),
            ],
        )  # fmt: skip
        return self._heard(reply)

    async def _move(self, script: Script, request_id: str, side: str, *args: str | bytes | int) -> tuple[str, str]:
        indexes = [self.names.pending, self.names.ended] if side == "votes" else []
        keys = [*self._keys(request_id), *indexes, self.names.events]
        return self._heard(await self._make(script, keys, [request_id, *args]))

    def _heard(self, reply: Sequence[Any]) -> tuple[str, str]:
        """The word and the state (or id) in a script's reply; its clock is kept."""
        self.clock.set(reply[1])
        return reply[0].decode(), reply[2].decode()

    def _settled(self, word: str, state: str, request_id: str) -> State:
        match word:
            case "missing":
                raise RequestNotFound(request_id)
            case "ended":
                raise DecisionRefused("ended", f"request {request_id} is already {state}")
            case "frozen":
                raise DecisionRefused("frozen", f"request {request_id} is frozen: nothing runs until that is lifted")
            case "changed":
                raise DecisionRefused("changed", f"request {request_id} changed meanwhile; look at it again")
            case _:
                return State(state)


def _or_never(when_ms: int | None) -> Part:
    return "" if when_ms is None else when_ms
