"""Our own notifiers keep the contract that is shipped, and the contract finds those that don't."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar
from uuid import uuid4

import httpx
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from agentguard.approval import NotDelivered, Notifier, Shown, Turn
from agentguard.cards import face_of
from agentguard.server.outgoing import open_outgoing
from agentguard.server.signatures import WebhookSecret
from agentguard.server.slack.posts import SlackNotifier
from agentguard.server.teams import TeamsNotifier
from agentguard.server.webhook import WebhookNotifier
from agentguard.server.webhooks import page_at
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from agentguard.testing import NotifierContract, Trying, a_shown, a_turn
from tests.server.fake_slack import CHANNEL, FakeSlack
from tests.server.receiver import Receiver, receiving

LINK = page_at("https://approvals.acme.example")
HOSTS = {"127.0.0.1"}


def bodies(receiver: Receiver) -> list[str]:
    """What people saw, as text."""
    return [json.dumps(json.loads(each.body), ensure_ascii=False) for each in list(receiver._came.queue)]


class TestWebhook(NotifierContract):
    """Standard Webhooks."""

    @asynccontextmanager
    async def trying(self) -> AsyncIterator[Trying]:
        """A receiver on loopback."""
        with receiving() as receiver:
            async with open_outgoing(HOSTS) as outgoing:
                made = WebhookNotifier(
                    url=httpx.URL(receiver.url), secrets=[WebhookSecret.new()], outgoing=outgoing, link=LINK
                )
                yield Trying(
                    notifier=made, told=lambda: bodies(receiver), fail=lambda: receiver.answers.append((500, {}))
                )


class TestTeams(NotifierContract):
    """Adaptive Cards."""

    @asynccontextmanager
    async def trying(self) -> AsyncIterator[Trying]:
        """A receiver on loopback."""
        with receiving() as receiver:
            async with open_outgoing(HOSTS) as outgoing:
                made = TeamsNotifier(url=httpx.URL(receiver.url), outgoing=outgoing, link=LINK)
                yield Trying(
                    notifier=made, told=lambda: bodies(receiver), fail=lambda: receiver.answers.append((429, {}))
                )


class TestSlack(NotifierContract):
    """Block Kit, with Slack's own client."""

    url: ClassVar[str] = ""

    @pytest.fixture(autouse=True)
    def _server(self, valkey_url: str) -> None:
        type(self).url = valkey_url

    @asynccontextmanager
    async def trying(self) -> AsyncIterator[Trying]:
        """A workspace on loopback."""
        with FakeSlack() as slack:
            connection = await Connection.open(self.url)
            client = AsyncWebClient(token="xoxb-1", base_url=slack.url, timeout=10)
            made = SlackNotifier(
                client=client, channel=CHANNEL, link=LINK, connection=connection, names=Names(f"t-{uuid4().hex[:8]}")
            )

            def told() -> list[str]:
                return [json.dumps([body["text"], body["blocks"]], ensure_ascii=False) for _, body in slack.calls]

            try:
                yield Trying(notifier=made, told=told, fail=lambda: slack.failing.append("internal_error"))
            finally:
                await connection.close()


class Careless:
    """A notifier that keeps nothing of the contract."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.down = False

    def wants(self, turn: Turn) -> bool:
        """Everything but what waits."""
        return turn.kind != "request.opened"

    async def tell(self, turn: Turn, shown: Shown) -> None:
        """Whatever comes to mind."""
        if self.down:
            raise OSError("the place is down")
        request = shown.stored.request
        self.texts.append(f"Approve {request.digest} {request.card.says} {len(self.texts)}")


class TestTheContract:
    """It is worth something: each rule is broken by somebody."""

    @pytest.fixture
    def careless(self) -> NotifierContract:
        """The contract over a careless notifier."""

        class Over(NotifierContract):
            @asynccontextmanager
            async def trying(self) -> AsyncIterator[Trying]:
                made = Careless()
                yield Trying(notifier=made, told=lambda: made.texts, fail=lambda: setattr(made, "down", True))

        return Over()

    RULES: ClassVar[list[str]] = [
        name for name in vars(NotifierContract) if name.startswith("test_") and "long" not in name
    ]

    @pytest.mark.parametrize("rule", RULES)
    def test_a_careless_notifier_fails_it(self, careless: NotifierContract, rule: str) -> None:
        """Every rule but the one that it keeps by chance."""
        with pytest.raises((AssertionError, OSError)):
            getattr(careless, rule)()

    def test_nothing_to_try_is_said_so(self) -> None:
        """A subclass that says nothing tests nothing."""
        with pytest.raises(NotImplementedError, match="say what is tried"):
            NotifierContract().test_told_again_it_says_the_same()

    def test_made_up_requests_are_what_notifiers_get(self) -> None:
        """A face can be made of them, and a turn be told."""
        shown = a_shown(title="Pay")
        assert face_of(shown).title == "Pay"
        assert a_turn(shown).message_id.startswith("msg_")
        assert isinstance(Careless(), Notifier)
        assert issubclass(NotDelivered, Exception)
