"""Who is told what happens to requests: webhooks, chats and whatever else speaks to people.

A new channel is one class with this form. Rules that each keeps:
- `tell` makes the place say what the request is *now*: told twice, or late, it says the same;
- it raises NotDelivered where it should be tried again, and nothing else for what happens outside this server.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import time
from typing import Protocol

import httpx

from agentguard.approval import Shown
from agentguard.server.destinations import host_of
from agentguard.server.messages import Turn, message_of
from agentguard.server.outgoing import Outgoing
from agentguard.server.signatures import WebhookSecret, signed_headers


class Notifier(Protocol):
    """A place that is told."""

    @property
    def id(self) -> str:
        """The same on every server that tells this place; what stands for it in Redis. No secret."""
        ...

    @property
    def where(self) -> str:
        """The place, for the log. No secret."""
        ...

    def wants(self, turn: Turn) -> bool:
        """Whether the place is told of this turn."""
        ...

    async def tell(self, turn: Turn, shown: Shown) -> None:
        """Tell it. Raises NotDelivered."""
        ...


@dataclass(frozen=True, kw_only=True)
class WebhookNotifier:
    """A URL that gets signed messages. `id` stands for the URL in Redis, where the URL itself, often a secret, is not written."""

    url: httpx.URL
    secrets: Sequence[WebhookSecret]
    outgoing: Outgoing
    link: Callable[[str], str]

    @property
    def id(self) -> str:
        """See Notifier."""
        return hashlib.sha256(str(self.url).encode()).hexdigest()[:16]

    @property
    def where(self) -> str:
        """See Notifier."""
        return host_of(self.url)

    def wants(self, turn: Turn) -> bool:
        """That a request opened, still waits, ended or was carried out."""
        return turn.kind != "request.changed"

    async def tell(self, turn: Turn, shown: Shown) -> None:
        """See Notifier."""
        body = message_of(turn, shown, self.link(turn.request)).canonical().encode()
        headers = signed_headers(turn.message_id, int(time()), body, self.secrets)
        await self.outgoing.post(self.url, body, headers)
