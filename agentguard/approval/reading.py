"""Requests as they stand in Redis.

Rules:
- the agent's side reads no record whose MAC does not verify; the approvers' side has no key for it;
- what an index of Redis names is a hint; the record says what a request is;
- one that is forged is an error where it alone was asked for; among others it is left out, and said in the log.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from pydantic import ValidationError

from agentguard.approval import moves
from agentguard.approval.clock import RedisClock
from agentguard.approval.stored import RecordMac, Stored, read_stored
from agentguard.errors import DecisionRefused, RequestNotFound
from agentguard.model.approvals import REQUEST_ID, Request, State
from agentguard.model.calls import Principal
from agentguard.store.names import Names
from agentguard.store.redis import Connection, Part, Script

TURN_MAX = 100
"""How many calls of one turn are shown together, and decided together."""

_READ_AT_ONCE = 100
_ID = re.compile(REQUEST_ID)
_log = logging.getLogger("agentguard.approval")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One tenant's requests, to be read. `mac` is None on the approvers' side."""

    connection: Connection
    names: Names
    mac: RecordMac | None = None
    clock: RedisClock = field(default_factory=RedisClock)

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

    async def learn_time(self) -> None:
        """Ask Redis for its time."""
        seconds, micros = await self.connection.execute("TIME")
        self.clock.set(int(seconds) * 1000 + int(micros) // 1000)

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

    async def _make(self, move: Script, keys: Sequence[str], args: Sequence[Part]) -> Any:
        return await moves.make(self.connection, self.names, move, keys, args)

    def _keys(self, request_id: str) -> Sequence[str]:
        if not _ID.fullmatch(request_id):
            raise RequestNotFound(request_id[:80])
        return [self.names.request(request_id), self.names.votes(request_id), self.names.claim(request_id)]


def _of_one_turn(stored: Stored, members: Sequence[Stored]) -> Sequence[Stored]:
    whose = (stored.request.turn, stored.request.principal)
    own = [each for each in members if (each.request.turn, each.request.principal) == whose]
    return own if stored.request.id in {each.request.id for each in own} else [stored]


def _told(request_id: str, found: Stored | DecisionRefused | None) -> Stored | None:
    """What can be listed; the log says what can't."""
    if found is None or isinstance(found, Stored):
        return found
    if not isinstance(found, RequestNotFound):
        _log.error("request %s left out of the list: %s", request_id, found)
    return None
