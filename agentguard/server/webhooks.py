"""The webhooks and Teams channels of a server, from its settings to what tells them."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from agentguard.approval import Place
from agentguard.errors import ConfigurationError
from agentguard.server.destinations import check_url, host_of
from agentguard.server.outbox import LEASE_MS
from agentguard.server.outgoing import Resolve, open_outgoing, resolve
from agentguard.server.settings import ServerSettings
from agentguard.server.signatures import WebhookSecret
from agentguard.server.teams import TeamsNotifier
from agentguard.server.webhook import WebhookNotifier, digest_of

WEBHOOK, TEAMS = "webhook", "teams"

_NAMED = re.compile(r"(?:(?P<name>[a-z0-9][a-z0-9._-]{0,63})=)?(?P<url>https?://.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Endpoint:
    """A URL, and policy's name for it; without one it is told of whatever policy sends to no place by name."""

    url: httpx.URL
    name: str = ""

    def called(self, kind: str) -> str:
        """The name of the place that it is."""
        return f"{kind}:{self.name}" if self.name else kind


@dataclass(frozen=True, kw_only=True)
class Webhooks:
    """Who is told, signed with which secrets, and the Workflows URLs of Teams channels. `public_url` begins each link."""

    endpoints: Sequence[Endpoint]
    secrets: Sequence[WebhookSecret]
    public_url: str
    teams: Sequence[Endpoint] = ()
    allowed_hosts: Collection[str] = ()
    lease_ms: int = LEASE_MS
    resolve: Resolve = resolve
    trust: ssl.SSLContext | None = None

    @property
    def names(self) -> frozenset[str]:
        """What policy calls them."""
        return frozenset(
            {*(each.called(WEBHOOK) for each in self.endpoints), *(each.called(TEAMS) for each in self.teams)}
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[list[Place]]:
        """The places, on the running loop."""
        async with open_outgoing(self.allowed_hosts, trust=self.trust, resolve=self.resolve) as outgoing:
            link = page_at(self.public_url)
            told = [
                Place(
                    name=each.called(WEBHOOK),
                    id=digest_of(each.url),
                    where=host_of(each.url),
                    notifier=WebhookNotifier(url=each.url, secrets=self.secrets, outgoing=outgoing, link=link),
                )
                for each in self.endpoints
            ]
            yield told + [
                Place(
                    name=each.called(TEAMS),
                    id=f"teams-{digest_of(each.url)}",
                    where=f"Teams by {host_of(each.url)}",
                    notifier=TeamsNotifier(url=each.url, outgoing=outgoing, link=link),
                )
                for each in self.teams
            ]


def page_at(public_url: str) -> Callable[[str], str]:
    """What gives the page of a request."""
    return lambda request_id: f"{public_url.rstrip('/')}/requests/{request_id}"


def webhooks_of(settings: ServerSettings, public_url: str) -> Webhooks | None:
    """The webhooks and Teams channels that the settings ask for; None where they ask for none. Raises ConfigurationError."""
    allowed = frozenset(host.lower().rstrip(".") for host in settings.webhook_allow_hosts)
    endpoints = _endpoints(settings.webhook_urls, allowed)
    teams = _endpoints((text.get_secret_value() for text in settings.teams_urls), allowed)
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
        public_url=public_url,
        allowed_hosts=allowed,
    )


def _endpoints(written: Iterable[str], allowed: Collection[str]) -> tuple[Endpoint, ...]:
    """The endpoints in `URL` or `NAME=URL`, each once. Raises ConfigurationError."""
    found = tuple(_endpoint(text, allowed) for text in dict.fromkeys(written))
    names = [each.name for each in found if each.name]
    if len(set(names)) < len(names):
        raise ConfigurationError("two webhooks have the same name; give each its own, or leave names out")
    if len({each.url for each in found}) < len(found):
        raise ConfigurationError("a webhook's URL stands there twice; write it once")
    return found


def _endpoint(text: str, allowed: Collection[str]) -> Endpoint:
    named = _NAMED.fullmatch(text)
    url = check_url(named["url"] if named else text, allowed)
    return Endpoint(url=url, name=(named["name"] or "") if named else "")
