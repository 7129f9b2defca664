"""The webhooks of a server, from its settings to what sends them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agentguard.errors import ConfigurationError
from agentguard.server.deliveries import Deliveries, Endpoint
from agentguard.server.destinations import check_url
from agentguard.server.office import Office
from agentguard.server.outbox import LEASE_MS, Outbox
from agentguard.server.outgoing import Resolve, open_outgoing, resolve
from agentguard.server.settings import ServerSettings
from agentguard.server.signatures import WebhookSecret


@dataclass(frozen=True, kw_only=True)
class Webhooks:
    """Who is told, signed with which secrets. `public_url` begins each link."""

    endpoints: Sequence[Endpoint]
    secrets: Sequence[WebhookSecret]
    retry_seconds: Sequence[float]
    public_url: str
    allowed_hosts: Collection[str] = ()
    lease_ms: int = LEASE_MS
    resolve: Resolve = resolve
    trust: ssl.SSLContext | None = None

    @asynccontextmanager
    async def open(self, office: Office) -> AsyncIterator[Deliveries]:
        """What tells them, on the running loop."""
        channel = office.channel
        async with open_outgoing(self.allowed_hosts, trust=self.trust, resolve=self.resolve) as outgoing:
            yield Deliveries(
                outbox=Outbox(connection=channel.connection, names=channel.names, lease_ms=self.lease_ms),
                desk=office.desk,
                outgoing=outgoing,
                endpoints=self.endpoints,
                secrets=self.secrets,
                retry_seconds=self.retry_seconds,
                link=lambda request_id: f"{self.public_url.rstrip('/')}/api/v1/requests/{request_id}",
            )


def webhooks_of(settings: ServerSettings, public_url: str) -> Webhooks | None:
    """The webhooks that the settings ask for; None where they ask for none. Raises ConfigurationError."""
    allowed = frozenset(host.lower().rstrip(".") for host in settings.webhook_allow_hosts)
    endpoints = tuple(Endpoint(check_url(text, allowed)) for text in dict.fromkeys(settings.webhook_urls))
    if not endpoints:
        return None
    secrets = tuple(WebhookSecret.parse(secret.get_secret_value()) for secret in settings.webhook_secrets)
    if not secrets:
        raise ConfigurationError(
            "webhooks without a secret could be forged by anybody: set AGENTGUARD_SERVER_WEBHOOK_SECRETS to whsec_..."
        )
    return Webhooks(
        endpoints=endpoints,
        secrets=secrets,
        retry_seconds=settings.webhook_retry_seconds,
        public_url=public_url,
        allowed_hosts=allowed,
    )
