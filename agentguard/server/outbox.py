"""What is still to be sent to others, in Redis: it outlives every server, and any server goes on with it.

Rules:
- the cursor in the tenant's event stream and the deliveries that its events make move in one step, so none is lost or doubled;
- a delivery is claimed for as long as an attempt may last, then it is due again: at least once;
- the first server that ever has webhooks begins with the events from then on;
- dead letters are kept up to a number, and as long as ended requests are.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from agentguard.approval.channel import RETENTION_MS
from agentguard.model.record import Record
from agentguard.server.messages import Turn
from agentguard.store.names import Names
from agentguard.store.redis import Connection, Script

LEASE_MS = 20_000
"""Longer than one attempt may last."""

DEAD_MAX = 10_000

_log = logging.getLogger("agentguard.server")

Outcome = Literal["sent", "again", "dead"]


class Delivery(Record):
    """One message for one endpoint. `attempts` are those that failed; `trouble` is how the last one did."""

    endpoint: str
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


def _read(delivery_id: bytes, text: bytes) -> Delivery:
    """The delivery in a text, if it is the one of this id. Raises ValueError."""
    delivery = Delivery.read(text)
    if delivery.id.encode() != delivery_id:
        raise ValueError("a delivery under another one's id")
    return delivery


def _script(name: str) -> Script:
    return Script(name, (files("agentguard.server") / "scripts" / f"{name}.lua").read_text(encoding="utf-8"))


_TAKE, _CLAIM, _SETTLE = map(_script, ("take", "claim", "settle"))


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
            newest = await self.connection.execute("XREVRANGE", self.names.events, "+", "-", "COUNT", 1)
            await self.connection.execute("SET", self._key("cursor"), newest[0][0] if newest else "0-0", "NX")
            stored = await self.connection.execute("GET", self._key("cursor"))
        return str(stored.decode())

    async def take(self, after: str, last: str, deliveries: Sequence[Delivery]) -> bool:
        """Put in what the events from `after` to `last` make; False where another server did it first."""
        pairs = [part for delivery in deliveries for part in (delivery.id, delivery.canonical())]
        keys = [self._key("cursor"), *self._kept]
        return bool(await self.connection.run(_TAKE, keys, [after, last, RETENTION_MS, *pairs]))

    async def claim(self) -> Claimed:
        """The delivery that is due first, for this server alone until the lease ends."""
        wait_ms, delivery_id, text = await self.connection.run(_CLAIM, self._kept, [self.lease_ms])
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
        await self.connection.run(
            _SETTLE,
            [*self._kept, self._key("dead")],
            [delivery.id, outcome, delivery.canonical(), delay_ms, DEAD_MAX, RETENTION_MS],
        )

    async def dead_letters(self, at_most: int = 100) -> Sequence[Delivery]:
        """What was given up, the newest first."""
        kept = await self.connection.execute("LRANGE", self._key("dead"), 0, at_most - 1)
        return [Delivery.read(text) for text in kept]

    async def _drop(self, delivery_id: bytes) -> None:
        due, deliveries = self._kept
        await self.connection.pipeline([("HDEL", deliveries, delivery_id), ("ZREM", due, delivery_id)])

    @property
    def _kept(self) -> list[str]:
        return [self._key("due"), self._key("deliveries")]

    def _key(self, part: str) -> str:
        return f"{self.names.events}:webhooks:{part}"
