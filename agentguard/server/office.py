"""What the server decides with: its line to Redis, today's people, and its own signing key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from agentguard.approval import Channel, Desk, Roster
from agentguard.model.approvals import Decision, Resolution
from agentguard.store.keys import SigningKey


@dataclass(frozen=True, kw_only=True)
class Office:
    """Open while the server runs. `signer` is the server's name under `signers:`, `key` its private key."""

    channel: Channel
    roster: Callable[[], Roster]
    signer: str
    key: SigningKey
    at_work: list[asyncio.Task[None]] = field(default_factory=list)

    def desk(self) -> Desk:
        """The desk with today's people. Raises ConfigurationError."""
        return Desk(channel=self.channel, roster=self.roster())

    async def decide(
        self, request_id: str, person: str, decision: Decision, *, card_digest: str, comment: str
    ) -> Resolution:
        """Put one person's decision, signed by this server. Raises DecisionRefused, GuardUnavailable."""
        return await self.desk().decide(
            request_id,
            person=person,
            key=self.key,
            signer=self.signer,
            decision=decision,
            card_digest=card_digest,
            comment=comment,
        )

    async def ready(self) -> bool:
        """Whether Redis answers and everything that runs beside the API still does. Raises GuardUnavailable."""
        await self.channel.connection.execute("PING")
        return not any(task.done() for task in self.at_work)
