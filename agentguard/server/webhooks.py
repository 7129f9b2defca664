"""The webhooks of a server, from its settings to what sends them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from agentguard.errors import ConfigurationError
from agentguard.server.destinations import check_url
from agentguard.server.notifiers import Notifier, WebhookNotifier
from agentguard.server.outbox import LEASE_MS
from agentguard.server.outgoing import Resolve, open_outgoing, resolve
from agentguard.server.settings import ServerSettings
from agentguard.server.signatures import WebhookSecret
from agentguard.server.teams import TeamsNotifier


@dataclass(frozen=True, kw_only=True)
class Webhooks:
    """Who is told, signed with which secrets, and the Workflows URLs of Teams channels. `public_url` begins each link."""

    endpoints: Sequence[httpx.URL]
    secrets: Sequence[WebhookSecret]
    retry_seconds: Sequence[float]
    public_url: str
    teams: Sequence[httpx.URL] = ()
    allowed_hosts: Collection[str] = ()
    lease_ms: int = LEASE_MS
    resolve: Resolve = resolve
    trust: ssl.SSLContext | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[list[Notifier]]:
        """What tells them, on the running loop."""
        async with open_outgoing(self.allowed_hosts, trust=self.trust, resolve=self.resolve) as outgoing:
            told: list[Notifier] = [
                WebhookNotifier(url=url, secrets=self.secrets, outgoing=outgoing, link=self._link)
                for url in self.endpoints
            ]
            yield told + [TeamsNotifier(url=url, outgoing=outgoing, public_url=self.public_url) for url in self.teams]

    def _link(self, request_id: str) -> str:
        return f"{self.public_url.rstrip('/')}/requests/{request_id}"


def webhooks_of(settings: ServerSettings, public_url: str) -> Webhooks | None:
    """The webhooks and Teams channels that the settings ask for; None where they ask for none. Raises ConfigurationError."""
    allowed = frozenset(host.lower().rstrip(".") for host in settings.webhook_allow_hosts)
    endpoints = tuple(check_url(text, allowed) for text in dict.fromkeys(settings.webhook_urls))
    teams = tuple(check_url(text.get_secret_value(), allowed) for text in dict.fromkeys(settings.teams_urls))
    if not endpoints and not teams:
        return None
    secrets = tuple(WebhookSecret.parse(secret.get_secret_value()) for secret in settings.webhook_secrets)
    if endpoints and not secrets:
        raise ConfigurationError(
            "webhooks without a secret could be forged by anybody: set AGENTGUARD_SERVER_WEBHOOK_SECRETS to whsec_..."
        )
    return Webhooks(
        endpoints=endpoints,
        teams=teams,
        secrets=secrets,
        retry_seconds=settings.webhook_retry_seconds,
        public_url=public_url,
        allowed_hosts=allowed,
    )
