"""The card in a channel: posted when a request opens, changed whenever something changes, wherever it was decided.

Rules:
- one message a request, however many servers tell it: who posts has the request's place in Redis first;
- a request that is over before it could be posted is not posted, and one that ends while it is posted changes once it was;
- one that still waits is called to mind below its card;
- Slack down or slow is told by NotDelivered, and tried again; the request is open all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from agentguard.approval import NotDelivered, Shown, Turn
from agentguard.cards import face_of
from agentguard.server.slack.blocks import message_blocks, push_text
from agentguard.store.names import Names
from agentguard.store.redis import Connection

POSTING_MS = 30_000
"""How long whoever posts has the place to itself."""

KEPT_MS = 31 * 24 * 3600 * 1000
TOLD_SECONDS = 10.0

BROKEN = (SlackApiError, SlackClientError, aiohttp.ClientError, TimeoutError, OSError)
"""What its client raises where Slack refuses, or can't be reached."""
_FOR_GOOD = frozenset(
    {"channel_not_found", "not_in_channel", "is_archived", "invalid_auth", "account_inactive", "token_revoked"}
)


@dataclass(frozen=True, kw_only=True)
class SlackNotifier:
    """One channel of one workspace."""

    client: AsyncWebClient
    channel: str
    link: Callable[[str], str]
    connection: Connection
    names: Names

    def wants(self, turn: Turn) -> bool:
        """Everything: the card says what the request is now."""
        return True

    async def tell(self, turn: Turn, shown: Shown) -> None:
        """See Notifier."""
        face, link = face_of(shown), self.link(turn.request)
        told: dict[str, Any] = {"text": push_text(face), "blocks": message_blocks(face, link)}
        place = self.names.posted(self.channel, turn.request)
        posted = await self.connection.execute("GET", place)
        if posted == b"":  # also where it is over: a card that is being posted would keep its buttons
            raise NotDelivered("its card is being posted by another server")
        if posted is not None:
            await self._call(self.client.chat_update(channel=self.channel, ts=posted.decode(), **told))
            if turn.urges:
                await self._urge(turn, push_text(face), posted.decode())
            return
        if not face.is_open:
            return
        if not await self.connection.execute("SET", place, "", "NX", "PX", POSTING_MS):
            raise NotDelivered("its card is being posted by another server")
        try:
            ts = await self._call(self.client.chat_postMessage(channel=self.channel, unfurl_links=False, **told))
        except NotDelivered:
            await self.connection.execute("DEL", place)
            raise
        await self.connection.execute("SET", place, ts, "PX", KEPT_MS)

    async def _urge(self, turn: Turn, text: str, ts: str) -> None:
        """A word below the card, since a card that changes moves nobody; once for each message id."""
        place = self.names.posted(self.channel, turn.message_id)
        if not await self.connection.execute("SET", place, ts, "NX", "PX", KEPT_MS):
            return
        who = "still waits" if turn.kind == "request.reminded" else "more people may decide now"
        try:
            await self._call(
                self.client.chat_postMessage(
                    channel=self.channel, thread_ts=ts, reply_broadcast=True, text=f"{who}: {text}", unfurl_links=False
                )
            )
        except NotDelivered:
            await self.connection.execute("DEL", place)
            raise

    async def _call(self, calling: Any) -> str:
        """The time stamp of the message that a call of Slack's API wrote. Raises NotDelivered."""
        try:
            async with asyncio.timeout(TOLD_SECONDS):
                reply = await calling
        except SlackApiError as error:
            why = str(error.response.get("error", "an error"))
            raise NotDelivered(f"Slack answered {why}", gone=why in _FOR_GOOD) from None
        except BROKEN as error:
            raise NotDelivered(f"could not be sent ({type(error).__name__})") from None
        return str(reply.get("ts") or "")
