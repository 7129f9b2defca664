"""Reminders and escalation ladders: what is due of a request, and saying it once among all processes that try.

Rules:
- the times are those of the request's record, counted from when it opened, on Redis's clock; nothing here keeps a timer;
- any live process may look; each step is taken by one move, so nothing is said twice and nobody leads;
- what fell due while nobody looked is said once, when somebody does: the last word of it, which is an escalation where there was one;
- who may decide follows from the time alone: a step that nobody announced counts all the same.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from agentguard.approval.channel import Channel
from agentguard.approval.schedule import escalates, next_step_ms
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Request

AT_ONCE = 100
"""Requests that one look takes the steps of."""

_log = logging.getLogger("agentguard.approval")


@dataclass(frozen=True, kw_only=True)
class Steps:
    """One tenant's steps."""

    channel: Channel

    async def take_due(self, *, at_most: int = AT_ONCE) -> int:
        """Take the steps that are due. Gives how many requests were looked at. Raises GuardUnavailable."""
        channel = self.channel
        await channel.learn_time()
        now, key = channel.clock.now_ms(), channel.names.steps
        found = await channel.connection.execute("ZRANGEBYSCORE", key, "-inf", now, "WITHSCORES", "LIMIT", 0, at_most)
        due = [(member.decode(errors="replace"), int(score)) for member, score in found]
        requests = await channel.read_cards([request_id for request_id, _ in due])
        for (request_id, due_ms), stored in zip(due, requests, strict=True):
            await self._take(request_id, due_ms, None if stored is None else stored.request, now)
        return len(due)

    async def _take(self, request_id: str, due_ms: int, request: Request | None, now_ms: int) -> None:
        """Say what is due of a request; of one that is gone, or is none, nothing more is ever due."""
        following = None if request is None else next_step_ms(request, now_ms)
        said = "" if request is None else "escalated" if escalates(request, due_ms, now_ms) else "reminded"
        try:
            await self.channel.step(request_id, due_ms, following, said)
        except DecisionRefused as refused:
            if refused.code not in ("changed", "ended", "not_found"):
                _log.error("a step of request %r can't be taken: %s", request_id[:80], refused)  # no traceback
