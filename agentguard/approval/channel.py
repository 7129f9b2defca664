"""The approval channel: requests in Redis, moved only by Lua scripts.

Rules:
- the record in Redis is the truth; every event is a hint;
- each move is one script, which checks, takes Redis's clock, writes, and appends to the tenant's event stream;
- a move that its caller repeats (same request id, same vote, same fence) succeeds again;
- the agent's side puts a MAC on each record and reads none whose MAC does not verify; the approvers' side has no key for it;
- one agent asks only so much of people at once; whatever would be more opens nothing;
- a move that is refused raises DecisionRefused, whose code says why; where Redis is away, GuardUnavailable.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any

from pydantic import ValidationError

from agentguard.approval import moves
from agentguard.approval.clock import RedisClock
from agentguard.approval.schedule import next_step_ms
from agentguard.approval.stored import RecordMac, Stored, read_stored
from agentguard.errors import AskedTooMuch, DecisionRefused, GuardUnavailable, RequestNotFound
from agentguard.model.approvals import Edit, Request, State, Vote
from agentguard.model.calls import Principal
from agentguard.store.names import Names
from agentguard.store.redis import Connection, Part, Script

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

TURN_MAX = 100
"""How many calls of one turn are shown together, and decided together."""

_READ_AT_ONCE = 100
_OPEN_ATTEMPTS = 5
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
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
class Channel:
    """One tenant's requests. `mac` is None on the approvers' side."""

    connection: Connection
    names: Names
    mac: RecordMac | None = None
    retention_ms: int = RETENTION_MS
    events_max: int = EVENTS_MAX
    clock: RedisClock = field(default_factory=RedisClock)

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

    async def read(self, request_id: str) -> Stored:
        """One request as it stands. Raises RequestNotFound, and DecisionRefused ("forged")."""
        stored = (await self._read([request_id], "whole"))[0]
        if isinstance(stored, Stored):
            return stored
        raise stored or RequestNotFound(request_id)

    async def of_call(self, caller: Principal, call_id: str) -> Stored | None:
        """The request that a call of this session and run has, if people were asked about it. Raises DecisionRefused ("forged")."""
        key = self.names.call(caller.session, caller.run, call_id)
        named = (await self.connection.execute("HGET", key, "id") or b"").decode(errors="replace")
        if not _ID.fullmatch(named):
            return None
        stored = await self.read(named)
        return stored if stored.request.principal == caller else None

    async def read_all(self, request_ids: Sequence[str]) -> Sequence[Stored | DecisionRefused | None]:
        """Requests as they stand, without their sealed input, in few round trips."""
        wanted = [request_id for request_id in request_ids if _ID.fullmatch(request_id)]
        return await self._read(wanted, "card")

    async def read_decided(self, request_ids: Sequence[str]) -> Sequence[Stored | DecisionRefused | None]:
        """Those requests that are no longer pending, in few round trips; None for each that still is."""
        return await self._read(request_ids, "decided")

    async def beside(self, request: Request) -> Sequence[str]:
        """The ids of the other requests of a request's turn, as far as Redis names them."""
        if not request.turn:
            return ()
        ids = await self.connection.execute("ZRANGE", self.names.turn(request.turn), 0, TURN_MAX - 1)
        return [id_ for id_ in (one.decode(errors="replace") for one in ids) if id_ != request.id]

    async def together(self, some: Sequence[Stored]) -> Sequence[Sequence[Stored]]:
        """For each of these requests those of its turn, itself among them, the one that was opened first first; without their sealed input.

        What Redis names is a hint: a request that doesn't say itself that it is of this turn, for the same principal, is left out. One
        that Redis doesn't name with its turn stands alone.
        """
        turns = list(dict.fromkeys(stored.request.turn for stored in some if stored.request.turn))
        named = await self.connection.pipeline([("ZRANGE", self.names.turn(turn), 0, TURN_MAX - 1) for turn in turns])
        ids = [[one.decode(errors="replace") for one in each] for each in named]
        read = await self.read_cards([id_ for each in ids for id_ in each])
        known = {stored.request.id: stored for stored in read if stored is not None}
        members = {turn: [known[id_] for id_ in each if id_ in known] for turn, each in zip(turns, ids, strict=True)}
        return [_of_one_turn(stored, members.get(stored.request.turn, ())) for stored in some]

    async def earlier(self, request: Request) -> Request | None:
        """The revision before this one, as it is kept beside it; None for a first one, and for one that can't be read."""
        if request.revision == 1:
            return None
        name = f"record.{request.revision - 1}"
        written = await self.connection.execute("HGET", self.names.request(request.id), name)
        try:
            found = None if written is None else Request.read(written)
        except ValidationError:
            return None
        return found if found is not None and found.id == request.id else None

    async def read_cards(self, request_ids: Sequence[str]) -> Sequence[Stored | None]:
        """Those requests without their sealed input; None for each that is gone, and for each that is forged, which the log says."""
        known = [request_id for request_id in request_ids if _ID.fullmatch(request_id)]
        found = dict(zip(known, await self._read(known, "card"), strict=True))
        return [_told(request_id, found.get(request_id)) for request_id in request_ids]

    async def list(self, states: Collection[State], *, at_most: int = 200) -> Sequence[Stored]:
        """Requests in these states, without their sealed input: pending ones by their deadline, then the newest others.

        One that is forged is left out, and said in the log.
        """
        await self.learn_time()
        now, limit = self.clock.now_ms(), ("LIMIT", 0, at_most)
        queries: Sequence[Sequence[str | int]] = [("ZRANGEBYSCORE", self.names.pending, now, "+inf", *limit)]
        if set(states) - {State.PENDING}:
            queries = [
                *queries,
                ("ZREVRANGEBYSCORE", self.names.pending, now, "-inf", *limit),
                ("ZREVRANGE", self.names.ended, 0, at_most - 1),
            ]
        found = [one.decode(errors="replace") for ids in await self.connection.pipeline(queries) for one in ids]
        wanted = tuple(request_id for request_id in dict.fromkeys(found) if _ID.fullmatch(request_id))
        listed = (stored for stored in await self.read_cards(wanted) if stored is not None)
        return tuple(islice((stored for stored in listed if stored.state in states), at_most))

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

    async def learn_time(self) -> None:
        """Ask Redis for its time."""
        seconds, micros = await self.connection.execute("TIME")
        self.clock.set(int(seconds) * 1000 + int(micros) // 1000)

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

    async def _make(self, move: Script, keys: Sequence[str], args: Sequence[Part]) -> Any:
        return await moves.make(self.connection, self.names, move, keys, args)

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

    async def _read(self, request_ids: Sequence[str], how: str) -> Sequence[Stored | DecisionRefused | None]:
        found: tuple[Stored | DecisionRefused | None, ...] = ()
        for first in range(0, len(request_ids), _READ_AT_ONCE):
            some = request_ids[first : first + _READ_AT_ONCE]
            reply = await self._make(moves.READ, [key for one in some for key in self._keys(one)], [how])
            self.clock.set(reply[0])
            found += tuple(self._stored(one, entry, reply[0]) for one, entry in zip(some, reply[1:], strict=True))
        return found

    def _stored(self, request_id: str, entry: Sequence[Any], now_ms: int) -> Stored | DecisionRefused | None:
        if entry[0] == b"missing":
            return RequestNotFound(request_id)
        if len(entry) == 1:
            return None
        try:
            return read_stored(request_id, self.names.tenant, entry, now_ms=now_ms, mac=self.mac)
        except DecisionRefused as refused:
            return refused

    def _keys(self, request_id: str) -> Sequence[str]:
        if not _ID.fullmatch(request_id):
            raise RequestNotFound(request_id[:80])
        return [self.names.request(request_id), self.names.votes(request_id), self.names.claim(request_id)]


def _of_one_turn(stored: Stored, members: Sequence[Stored]) -> Sequence[Stored]:
    whose = (stored.request.turn, stored.request.principal)
    own = [each for each in members if (each.request.turn, each.request.principal) == whose]
    return own if stored.request.id in {each.request.id for each in own} else [stored]


def _or_never(when_ms: int | None) -> Part:
    return "" if when_ms is None else when_ms


def _told(request_id: str, found: Stored | DecisionRefused | None) -> Stored | None:
    """What can be listed; the log says what can't."""
    if found is None or isinstance(found, Stored):
        return found
    if not isinstance(found, RequestNotFound):
        _log.error("request %s left out of the list: %s", request_id, found)
    return None
