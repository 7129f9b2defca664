"""What is still to be sent to others, in Redis: it outlives every server, and any server goes on with it.

Rules:
- the cursor in the tenant's event stream and the deliveries that its events make move in one step, so none is lost or doubled;
- a delivery is claimed for as long as an attempt may last, then it is due again: at least once;
- the first server that ever has webhooks begins with the events from then on;
- dead letters are kept up to a number, and as long as ended requests are; a person may have them sent again;
- what failed stands under its request until it is sent, and after some attempts an event says so, once.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from agentguard.approval import Turn
from agentguard.approval.channel import EVENTS_MAX, RETENTION_MS
from agentguard.model.record import Record
from agentguard.store.names import ANY_TENANT, Names, tenant_in
from agentguard.store.redis import Connection, Part
from agentguard.store.scripts import script_of

LEASE_MS = 20_000
"""Longer than one attempt may last."""

DEAD_MAX = 10_000

LOOKED_AT_MAX = 1_000
"""Deliveries that one look for the next may pass over."""

SAID_AFTER = 2
"""After so many failed attempts to tell a place that a request waits, others are told."""

_log = logging.getLogger("agentguard.server")

Outcome = Literal["sent", "again", "dead"]


class Delivery(Record):
    """One message for one place. `where` is for people. `attempts` are those that failed; `trouble` is how the last one did."""

    endpoint: str
    where: str = ""
    turn: Turn
    attempts: int = 0
    trouble: str = ""

    @property
    def id(self) -> str:
        """One message goes to one endpoint once."""
        return f"{self.turn.message_id}:{self.endpoint}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Claimed:
    """A delivery to attempt now, or how long nothing is due (None: nothing waits at all)."""

    delivery: Delivery | None
    wait_ms: int | None


async def all_counts(connection: Connection) -> dict[str, tuple[int, int]]:
    """How many messages of each tenant wait to be sent, and how many are dead letters, by `tenant_in` their keys. Looks at every key."""
    counts = dict[str, tuple[int, int]]()
    for part, command in (("due", "ZCARD"), ("dead", "LLEN")):
        async for key in connection.keys(f"{ANY_TENANT}events:webhooks:{part}"):
            waiting, dead = counts.get(tenant := tenant_in(key), (0, 0))
            n = int(await connection.execute(command, key))
            counts[tenant] = (n, dead) if part == "due" else (waiting, n)
    return dict(sorted(counts.items()))


def _read(delivery_id: bytes, text: bytes) -> Delivery:
    """The delivery in a text, if it is the one of this id. Raises ValueError."""
    delivery = Delivery.read(text)
    if delivery.id.encode() != delivery_id:
        raise ValueError("a delivery under another one's id")
    return delivery


def _readable(text: bytes) -> Delivery | None:
    try:
        return Delivery.read(text)
    except ValidationError:
        _log.error("a message that agentguard did not write lies among those that could not be sent")  # no value
        return None


_TAKE, _CLAIM, _SETTLE, _REDELIVER = (
    script_of("agentguard.server", name) for name in ("take", "claim", "settle", "redeliver")
)


@dataclass(frozen=True, kw_only=True)
class Outbox:
    """The deliveries of one tenant. Raises GuardUnavailable where Redis is away."""

    connection: Connection
    names: Names
    lease_ms: int = LEASE_MS

    async def cursor(self) -> str:
        """The id of the last event whose deliveries are in the outbox."""
        stored = await self.connection.execute("GET", self._key("cursor"))
        if stored is None:
            newest = await self.connection.newest(self.names.events)
            await self.connection.execute("SET", self._key("cursor"), newest, "NX")
            stored = await self.connection.execute("GET", self._key("cursor"))
        return str(stored.decode())

    async def take(self, after: str, last: str, deliveries: Sequence[Delivery]) -> bool:
        """Put in what the events from `after` to `last` make; False where another server did it first."""
        pairs = [part for delivery in deliveries for part in (delivery.id, delivery.canonical())]
        keys = [self._key("cursor"), *self._kept]
        return bool(await self.connection.run(_TAKE, keys, [after, last, RETENTION_MS, *pairs]))

    async def claim(self, passing_over: Collection[str] = ()) -> Claimed:
        """The delivery that is due first, for this server alone until the lease ends. `passing_over`: places that get nothing now."""
        args: list[Part] = [self.lease_ms, LOOKED_AT_MAX, *passing_over]
        wait_ms, delivery_id, text = await self.connection.run(_CLAIM, self._kept, args)
        if not text:
            return Claimed(delivery=None, wait_ms=wait_ms if wait_ms >= 0 else None)
        try:
            return Claimed(delivery=_read(delivery_id, text), wait_ms=None)
        except ValueError:
            _log.error("a webhook that agentguard did not write was dropped from the outbox")  # no value
            await self._drop(delivery_id)
            return Claimed(delivery=None, wait_ms=0)

    async def settle(self, delivery: Delivery, outcome: Outcome, *, delay_ms: int = 0) -> None:
        """Say how an attempt ended: sent, to be tried again after `delay_ms`, or a dead letter."""
        turn = delivery.turn
        is_due = delivery.attempts == SAID_AFTER or (outcome == "dead" and delivery.attempts < SAID_AFTER)
        says = outcome != "sent" and turn.kind == "request.opened" and is_due
        keys = [*self._kept, self._key("dead"), self.names.undelivered(turn.request), self.names.events]
        args: list[Part] = [delivery.id, outcome, delivery.canonical(), delay_ms, DEAD_MAX, RETENTION_MS]
        args += ["1" if says else "", turn.request, turn.state.value, delivery.endpoint, EVENTS_MAX]
        await self.connection.run(_SETTLE, keys, args)

    async def dead_letters(self, at_most: int = 100) -> Sequence[Delivery]:
        """What was given up, the newest first. What agentguard did not write is left out, and said in the log."""
        kept = await self.connection.execute("LRANGE", self._key("dead"), 0, at_most - 1)
        return [delivery for text in kept if (delivery := _readable(text)) is not None]

    async def redeliver(self, letter: Delivery) -> bool:
        """Have a dead letter sent again, under the same id; False where it is none any more."""
        fresh = letter.model_copy(update={"attempts": 0})
        args: list[Part] = [letter.id, letter.canonical(), fresh.canonical(), RETENTION_MS]
        return bool(await self.connection.run(_REDELIVER, [*self._kept, self._key("dead")], args))

    async def undelivered(self, request: str) -> Sequence[Delivery]:
        """What of a request could not be told so far, by place."""
        return (await self.all_undelivered([request]))[0]

    async def all_undelivered(self, requests: Sequence[str]) -> Sequence[Sequence[Delivery]]:
        """The same of each of several requests."""
        kept = await self.connection.pipeline([("HVALS", self.names.undelivered(request)) for request in requests])
        found = [[delivery for text in texts if (delivery := _readable(text)) is not None] for texts in kept]
        return [sorted(each, key=lambda delivery: (delivery.where, delivery.turn.time_ms)) for each in found]

    async def counts(self) -> tuple[int, int]:
        """How many messages wait to be sent, and how many are dead letters."""
        waiting, dead = await self.connection.pipeline([("ZCARD", self._key("due")), ("LLEN", self._key("dead"))])
        return int(waiting), int(dead)

    async def told(self, requests: Sequence[str]) -> dict[str, Set[str]]:
        """The places that each request was told, by their ids."""
        found = await self.connection.pipeline([("SMEMBERS", self.names.told(request)) for request in requests])
        return {
            request: frozenset(one.decode(errors="replace") for one in members)
            for request, members in zip(requests, found, strict=True)
        }

    async def remember_told(self, more: Mapping[str, Set[str]]) -> None:
        """Add places to those that requests were told."""
        keys = {self.names.told(request): sorted(ids) for request, ids in more.items() if ids}
        await self.connection.pipeline(
            [command for key, ids in keys.items() for command in (("SADD", key, *ids), ("PEXPIRE", key, RETENTION_MS))]
        )

    async def _drop(self, delivery_id: bytes) -> None:
        due, deliveries = self._kept
        await self.connection.pipeline([("HDEL", deliveries, delivery_id), ("ZREM", due, delivery_id)])

    @property
    def _kept(self) -> list[str]:
        return [self._key("due"), self._key("deliveries")]

    def _key(self, part: str) -> str:
        return f"{self.names.events}:webhooks:{part}"
