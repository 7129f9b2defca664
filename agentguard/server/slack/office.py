"""Slack, from the settings of a server to what runs beside it: Socket Mode (no public URL), or presses by HTTP."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient
from starlette.datastructures import Headers

from agentguard.approval import Place
from agentguard.errors import ConfigurationError
from agentguard.server.office import Office
from agentguard.server.settings import ServerSettings
from agentguard.server.slack.clicks import Clicks
from agentguard.server.slack.posts import SlackNotifier
from agentguard.server.slack.signing import is_signed
from agentguard.server.webhooks import page_at

SLACK = "slack"
_NAMED = re.compile(r"(?P<name>#?[a-z0-9][a-z0-9._-]{0,79})=(?P<id>[A-Z0-9]{1,32})")
_log = logging.getLogger("agentguard.server")


@dataclass(frozen=True, kw_only=True)
class Slack:
    """One workspace, its channel, and more of them by policy's names.

    `app_token`: Socket Mode; `signing_secret`: presses by HTTP. One of them is enough.
    """

    bot_token: str
    channel: str
    team: str
    app_token: str
    signing_secret: str
    critical: bool
    api_url: str
    public_url: str
    channels: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """What policy calls its channels."""
        return frozenset({SLACK, *(_called(name) for name in self.channels)})

    @asynccontextmanager
    async def open(self, office: Office) -> AsyncIterator[SlackDesk]:
        """What posts cards and hears presses, on the running loop."""
        client = AsyncWebClient(token=self.bot_token, base_url=self.api_url, timeout=10)
        notifiers = {
            name: SlackNotifier(
                client=client,
                channel=channel,
                link=page_at(self.public_url),
                connection=office.channel.connection,
                names=office.channel.names,
            )
            for name, channel in {"": self.channel, **self.channels}.items()
        }
        clicks = Clicks(office=office, client=client, notifier=notifiers[""], team=self.team, critical=self.critical)
        places = tuple(_place(name, notifier) for name, notifier in notifiers.items())
        desk = SlackDesk(places=places, clicks=clicks, signing_secret=self.signing_secret)
        socket = SocketModeClient(self.app_token, web_client=client) if self.app_token else None
        connecting: asyncio.Task[None] | None = None
        try:
            if socket is not None:
                socket.socket_mode_request_listeners.append(desk.heard)
                connecting = asyncio.create_task(
                    _connect(socket)
                )  # it tries until Slack is there; cards wait in the outbox
            yield desk
        finally:
            if socket is not None and connecting is not None:
                connecting.cancel()
                await asyncio.gather(connecting, return_exceptions=True)
                await _close(socket)
            await desk.finish()


@dataclass(frozen=True, kw_only=True)
class SlackDesk:
    """Open while the server runs."""

    places: Sequence[Place]
    clicks: Clicks
    signing_secret: str
    _acting: set[asyncio.Task[None]] = field(default_factory=set)

    async def heard(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        """Acknowledge at once, then act."""
        await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
        if request.type == "interactive":
            self.act_soon(request.payload)

    def is_signed(self, body: bytes, headers: Headers) -> bool:
        """Whether Slack sent this, less than five minutes ago."""
        now_seconds = self.clicks.office.now_ms() // 1000
        return is_signed(body, headers, self.signing_secret, now_seconds=now_seconds)

    def act_soon(self, payload: Mapping[str, Any]) -> None:
        """Act on a verified payload, after whoever sent it was answered."""
        task = asyncio.create_task(self.clicks.act(payload))
        self._acting.add(task)
        task.add_done_callback(self._acting.discard)

    async def finish(self) -> None:
        """Let what is being acted on end."""
        await asyncio.gather(*self._acting, return_exceptions=True)


def _place(name: str, notifier: SlackNotifier) -> Place:
    channel = notifier.channel
    return Place(
        name=_called(name),
        id=f"slack-{channel}",
        where=f"Slack channel {name or channel}",
        notifier=notifier,
    )


def _called(name: str) -> str:
    return f"{SLACK}:{name}" if name else SLACK


async def _connect(socket: SocketModeClient) -> None:
    connect: Any = socket.connect  # untyped
    await connect()


async def _close(socket: SocketModeClient) -> None:
    close: Any = socket.close  # untyped
    await close()


def slack_of(settings: ServerSettings, public_url: str) -> Slack | None:
    """The Slack that the settings ask for; None where they ask for none. Raises ConfigurationError."""
    bot, app = settings.slack_bot_token.get_secret_value(), settings.slack_app_token.get_secret_value()
    secret = settings.slack_signing_secret.get_secret_value()
    if not bot:
        return None
    for name, value in (("SLACK_CHANNEL", settings.slack_channel), ("SLACK_TEAM", settings.slack_team)):
        if not value:
            raise ConfigurationError(
                f"Slack needs AGENTGUARD_SERVER_{name} too; `agentguard slack setup` says what it is"
            )
    if not app and not secret:
        raise ConfigurationError(
            "nobody could press a button: set AGENTGUARD_SERVER_SLACK_APP_TOKEN (Socket Mode) or AGENTGUARD_SERVER_SLACK_SIGNING_SECRET"
        )
    return Slack(
        bot_token=bot,
        channel=settings.slack_channel,
        channels=_channels(settings),
        team=settings.slack_team,
        app_token=app,
        signing_secret=secret,
        critical=settings.slack_approves_critical,
        api_url=settings.slack_api_url,
        public_url=public_url,
    )


def _channels(settings: ServerSettings) -> dict[str, str]:
    """The channels in `NAME=ID`. Raises ConfigurationError."""
    found: dict[str, str] = {}
    for text in settings.slack_channels:
        named = _NAMED.fullmatch(text)
        if named is None or named["name"] in found or named["id"] in (settings.slack_channel, *found.values()):
            raise ConfigurationError(
                "AGENTGUARD_SERVER_SLACK_CHANNELS: write NAME=ID, such as #data-approvals=C012AB3CD, each name and id once"
            )
        found[named["name"]] = named["id"]
    return found
