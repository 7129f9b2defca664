"""Tells others what happens to requests: from the event stream into the outbox, from the outbox to each endpoint.

Rules:
- an endpoint that is slow or down holds up no other message: each delivery waits for its own next attempt, and no endpoint has more
  than a quarter of the attempts that run at the same time;
- what a message says is read from the record when it is sent, with its votes verified; a forged one is not sent;
- a message that no attempt could deliver, and one that nothing can be said of, is a dead letter and in the log;
- a channel that breaks or hangs is one that did not deliver: nothing that it raises ends the server.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agentguard.approval import Desk, NotDelivered, Place, Shown, Turn
from agentguard.errors import ConfigurationError, DecisionRefused, GuardUnavailable
from agentguard.model.approvals import State
from agentguard.server.addressing import Addressing
from agentguard.server.lasting import lasting, pause
from agentguard.server.messages import supported
from agentguard.server.metrics import Metrics
from agentguard.server.outbox import Delivery, Outbox

AT_ONCE = 16
"""Attempts that run at the same time."""

AT_ONCE_EACH = AT_ONCE // 4
"""Of those, for one place."""

BLOCK_MS = 2_000
TELL_SECONDS = 18.0
"""How long a channel may take for one attempt: less than the lease of a delivery."""

IDLE_SECONDS = 5.0
"""How long the outbox is not looked at when nothing is known to be due: another server may have filled it."""

_log = logging.getLogger("agentguard.server")


class NothingToSay(Exception):
    """A turn of which no message can be made: its request is gone, or is not what it should be."""


@dataclass(frozen=True, kw_only=True)
class Deliveries:
    """What one tenant's places are told. `desk` gives the desk with today's roster."""

    addressing: Addressing
    desk: Callable[[], Desk]
    retry_seconds: Sequence[float]
    metrics: Metrics = field(default_factory=Metrics)
    tell_seconds: float = TELL_SECONDS
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _running: Counter[str] = field(default_factory=Counter)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Tell others until cancelled; what is being sent then is sent again by the next server."""
        async with asyncio.TaskGroup() as group:
            group.create_task(lasting("reading events for notifiers", self._fill))
            group.create_task(lasting("telling others", lambda: self._start_one(group)))

    async def _fill(self) -> None:
        """One read of the stream, and what it makes put into the outbox."""
        after = await self.outbox.cursor()
        events = await self.outbox.connection.read_stream(self.outbox.names.events, after, BLOCK_MS)
        if not events:
            return
        made = await self.addressing.deliveries([event for _, event in events])
        await self.outbox.take(after, events[-1][0], made)
        self._news.set()

    async def _start_one(self, group: asyncio.TaskGroup) -> None:
        """Start the attempt that is due first, or wait until one is."""
        await self._slots.acquire()
        delivery, wait_ms = None, None
        try:
            self._news.clear()
            busy = [place for place, running in self._running.items() if running >= AT_ONCE_EACH]
            claimed = await self.outbox.claim(passing_over=busy)
            delivery, wait_ms = claimed.delivery, claimed.wait_ms
        finally:
            if delivery is None:
                self._slots.release()
        if delivery is not None:
            self._running[delivery.endpoint] += 1
            group.create_task(self._deliver(delivery))
            return
        await pause(IDLE_SECONDS if wait_ms is None else min(wait_ms / 1000, IDLE_SECONDS), self._news)

    async def _deliver(self, delivery: Delivery) -> None:
        """One attempt, and what follows from it. Where Redis is away at its end, its lease runs out and it is sent again."""
        try:
            await self._settle(delivery, await self._attempt(delivery))
        except GuardUnavailable as error:
            _log.warning("notice %s: its outcome could not be kept, it will be sent again: %s", delivery.id, error)
        finally:
            self._running[delivery.endpoint] -= 1
            self._slots.release()
            self._news.set()  # what was passed over may go now

    async def _attempt(self, delivery: Delivery) -> Exception | None:
        """None where it was sent, else why not."""
        try:
            place, shown = self._place(delivery), await self._shown(delivery.turn)
            if delivery.turn.urges and shown.stored.state is not State.PENDING:
                return None
            await _tell(place, delivery.turn, shown, self.tell_seconds)
        except (NotDelivered, NothingToSay) as failure:
            return failure
        except ConfigurationError:
            return NotDelivered("approvers.yaml can't be read, so its votes can't be verified")
        return None

    async def _settle(self, delivery: Delivery, failure: Exception | None) -> None:
        if failure is None:
            self.metrics.count("agentguard_messages_total", outcome="sent")
            await self.outbox.settle(delivery, "sent")
            return
        failed = delivery.model_copy(update={"attempts": delivery.attempts + 1, "trouble": str(failure)[:300]})
        where = delivery.where
        useless = isinstance(failure, NothingToSay) or (isinstance(failure, NotDelivered) and failure.gone)
        if useless or delivery.attempts >= len(self.retry_seconds):
            _log.error("notice %s to %s given up after %s attempts: %s", failed.id, where, failed.attempts, failure)
            self.metrics.count("agentguard_messages_total", outcome="given_up")
            await self.outbox.settle(failed, "dead")
            return
        delay = self.retry_seconds[delivery.attempts]
        _log.warning("notice %s to %s: %s; next attempt in %g s", failed.id, where, failure, delay)
        self.metrics.count("agentguard_messages_total", outcome="failed")
        await self.outbox.settle(failed, "again", delay_ms=int(delay * 1000))
        self._news.set()

    async def _shown(self, turn: Turn) -> Shown:
        """The request that is told of. Raises NothingToSay, GuardUnavailable, ConfigurationError."""
        try:
            shown = await self.desk().show(turn.request)
        except DecisionRefused as refused:
            raise NothingToSay(f"nothing can be said of its request ({refused.code})") from None
        if not supported(turn, shown):
            raise NothingToSay(f"its votes do not make it {turn.state}")
        return shown

    def _place(self, delivery: Delivery) -> Place:
        for place in self.addressing.places:
            if place.id == delivery.endpoint:
                return place
        raise NothingToSay("its place is no longer configured")

    @property
    def outbox(self) -> Outbox:
        """What is still to be sent."""
        return self.addressing.outbox


async def _tell(place: Place, turn: Turn, shown: Shown, seconds: float) -> None:
    """One attempt of a place's channel, which may be foreign code. Raises NotDelivered, GuardUnavailable."""
    try:
        async with asyncio.timeout(seconds):
            await place.notifier.tell(turn, shown)
    except (NotDelivered, GuardUnavailable):
        raise
    except Exception as error:  # noqa: BLE001 - its text may hold anything
        raise NotDelivered(f"its channel broke ({type(error).__name__})") from None
