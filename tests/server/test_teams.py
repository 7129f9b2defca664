"""A Teams channel by a Workflows webhook: a card that links to the request's page, and decides nothing."""

from __future__ import annotations

import json
from typing import Any

import anyio
import httpx
import pytest

from agentguard.approval import Channel
from agentguard.server.outbox import Outbox
from agentguard.server.webhooks import Endpoint, Webhooks
from tests.approval.people import ONE, a_request
from tests.server.receiver import Receiver, receiving
from tests.server.serving import opened, parts, serving

pytestmark = pytest.mark.anyio


async def next_card(receiver: Receiver) -> dict[str, Any]:
    """The next Adaptive Card."""
    message = json.loads((await anyio.to_thread.run_sync(receiver.next)).body)
    card: dict[str, Any] = message["attachments"][0]["content"]
    return card


def telling(receiver: Receiver) -> Webhooks:
    """What tells a channel behind this receiver."""
    return Webhooks(
        endpoints=(),
        secrets=(),
        teams=(Endpoint(url=httpx.URL(receiver.url)),),
        public_url="https://approvals.acme.example/",
        allowed_hosts={"127.0.0.1"},
    )


async def test_a_request_and_its_end_are_told_with_a_link_to_its_page(valkey_url: str, agent: Channel) -> None:
    """One card when it opens, one when it is over; the only action opens the page."""
    await Outbox(connection=agent.connection, names=agent.names).cursor()
    with (
        receiving() as receiver,
        serving(parts(valkey_url, agent.names.tenant, webhooks=telling(receiver), retry_seconds=(0.01, 0.02))),
    ):
        request = await opened(agent, ONE)
        first = await next_card(receiver)
        await agent.withdraw(request.id, "the agent gave up")
        last = await next_card(receiver)

    link = f"https://approvals.acme.example/requests/{request.id}"
    assert [(each["type"], each["url"]) for card in (first, last) for each in card["actions"]] == [
        ("Action.OpenUrl", link),
        ("Action.OpenUrl", link),
    ]
    assert "Export 500 customers" in json.dumps(first)
    assert "taken back (the agent gave up)" in json.dumps(last)


async def test_t16_nothing_that_an_agent_writes_does_anything_in_teams(valkey_url: str, agent: Channel) -> None:
    """Every text is a run of plain text, and what nobody sees is written out."""
    evil = "<at>Everyone</at> [Approve](https://evil.example) **bold**\u202e"
    card = a_request(ONE).card.model_copy(
        update={"title": evil, "arguments": json.dumps({"to": evil, "long": "x" * 5000})}
    )
    await Outbox(connection=agent.connection, names=agent.names).cursor()
    with (
        receiving() as receiver,
        serving(parts(valkey_url, agent.names.tenant, webhooks=telling(receiver), retry_seconds=(0.01, 0.02))),
    ):
        await opened(agent, ONE, card=card)
        told = await next_card(receiver)

    assert {block["type"] for block in told["body"]} == {"RichTextBlock"}
    assert "\u202e" not in json.dumps(told, ensure_ascii=False)
    assert "characters hidden here" in json.dumps(told)
    assert len(json.dumps(told)) < 28_000
