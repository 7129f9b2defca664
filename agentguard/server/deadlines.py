"""Says that requests expired, where the agent that opened them is no longer there to say it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from agentguard.approval import Channel
from agentguard.errors import DecisionRefused
from agentguard.server.lasting import pause

INTERVAL_SECONDS = 2.0
_AT_ONCE = 100
_log = logging.getLogger("agentguard.server")


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """One tenant's requests whose deadline passed."""

    channel: Channel
    interval_seconds: float = INTERVAL_SECONDS

    async def tell(self) -> None:
        """One round: each such request's event is written, once among all who try; then a pause."""
        await self.channel.learn_time()
        past = await self.channel.connection.execute(
            "ZRANGE", self.channel.names.pending, "-inf", self.channel.clock.now_ms(), "BYSCORE", "LIMIT", 0, _AT_ONCE
        )
        for one in past:
            await self._expire(one.decode(errors="replace"))
        if len(past) < _AT_ONCE:
            await pause(self.interval_seconds)

    async def _expire(self, request_id: str) -> None:
        try:
            await self.channel.expire(request_id)
        except DecisionRefused as refused:
            _log.error("request %r can't be said to be expired: %s", request_id[:80], refused)  # no traceback
