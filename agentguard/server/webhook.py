"""A URL that gets signed messages, after the Standard Webhooks specification."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import time

import httpx

from agentguard.approval import Shown, Turn
from agentguard.server.messages import message_of
from agentguard.server.outgoing import Outgoing
from agentguard.server.signatures import WebhookSecret, signed_headers


@dataclass(frozen=True, kw_only=True)
class WebhookNotifier:
    """Tells a URL, which is often a secret."""

    url: httpx.URL
    secrets: Sequence[WebhookSecret]
    outgoing: Outgoing
    link: Callable[[str], str]

    def wants(self, turn: Turn) -> bool:
        """That a request opened, ended or was carried out."""
        return turn.kind != "request.changed"

    async def tell(self, turn: Turn, shown: Shown) -> None:
        """See Notifier."""
        body = message_of(turn, shown, self.link(turn.request)).canonical().encode()
        headers = signed_headers(turn.message_id, int(time()), body, self.secrets)
        await self.outgoing.post(self.url, body, headers)


def digest_of(url: httpx.URL) -> str:
    """What stands for a URL in Redis."""
    return hashlib.sha256(str(url).encode()).hexdigest()[:16]
