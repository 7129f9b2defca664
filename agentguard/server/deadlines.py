"""Says that requests expired, and whom to remind or ask too, where the agent that opened them is no longer there to say it."""

from __future__ import annotations

from dataclasses import dataclass

from agentguard.approval import Channel, Steps
from agentguard.server.lasting import pause

INTERVAL_SECONDS = 2.0
_AT_ONCE = 100


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """One tenant's requests whose deadline passed, or a step before it."""

    channel: Channel
    interval_seconds: float = INTERVAL_SECONDS

    async def tell(self) -> None:
        """One round: each such request's event is written, once among all who try; then a pause."""
        expired = await self.channel.expire_overdue(at_most=_AT_ONCE)
        stepped = await Steps(channel=self.channel).take_due(at_most=_AT_ONCE)
        if max(expired, stepped) < _AT_ONCE:
            await pause(self.interval_seconds)
