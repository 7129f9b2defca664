"""What a server tells of by itself, through the proxy, to clients of both generations: changes of resources and lists; and completions."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import MCPError
from mcp.server.lowlevel import Server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.subscriptions import ResourceUpdated, ToolsListChanged

from agentguard.guard.pipeline import Guard
from tests.guard.world import World
from tests.integrations.mcp_connecting import proxied_shop

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings(
        "ignore:resources/(un)?subscribe is removed:mcp.shared.exceptions.MCPDeprecationWarning"
    ),
]

POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: deny, critical: deny}
tools: {"*": {risk: low, labels: []}}
"""


@pytest.fixture
def world(world: World) -> World:
    """A policy that lets everything run."""
    (world.policies / "policy.yaml").write_text(POLICY)
    return world


def telling(bus: InMemorySubscriptionBus, *, tells: bool = True) -> Server[Any]:
    """A server with resources that change, completions and a tool."""

    async def nothing(*_: Any) -> types.ListResourcesResult:
        return types.ListResourcesResult(resources=[])

    async def tools(*_: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[types.Tool(name="t", input_schema={"type": "object"})])

    async def call(*_: Any) -> types.CallToolResult:
        return types.CallToolResult(content=[])

    async def complete(_: Any, params: types.CompleteRequestParams) -> types.CompleteResult:
        return types.CompleteResult(
            completion=types.Completion(values=[f"{params.argument.name}={params.argument.value}"])
        )

    listening = {"on_subscriptions_listen": ListenHandler(bus)} if tells else {}
    return Server(
        "telling",
        on_list_resources=nothing,
        on_list_tools=tools,
        on_call_tool=call,
        on_completion=complete,
        **listening,
    )


async def test_a_client_of_the_newer_protocol_hears_of_the_resource_that_it_asked_for(
    guard: Guard, state_dir: Path
) -> None:
    """And of no other one; lists that change are told too."""
    bus = InMemorySubscriptionBus()
    async with proxied_shop(guard, state_dir, server=telling(bus)) as (client, _):
        asked: dict[str, Any] = {"tools_list_changed": True, "resource_subscriptions": ["note://a"]}
        async with client.listen(**asked) as changes:
            for uri in ("note://b", "note://a"):
                await bus.publish(ResourceUpdated(uri=uri))
            await bus.publish(ToolsListChanged())
            with anyio.fail_after(5):
                heard = [await anext(changes), await anext(changes)]

    assert sorted(map(str, heard)) == sorted(map(str, [ResourceUpdated(uri="note://a"), ToolsListChanged()]))


async def test_a_client_of_the_older_protocol_hears_of_it_once_until_it_asks_no_more(
    guard: Guard, state_dir: Path
) -> None:
    """However many requests it made before."""
    bus, heard = InMemorySubscriptionBus(), []

    async def hear(message: Any) -> None:
        heard.append(getattr(message, "params", None) and message.params.uri)

    terms: dict[str, Any] = {"server": telling(bus), "mode": "legacy", "message_handler": hear}
    async with proxied_shop(guard, state_dir, **terms) as (client, _):
        for _ in range(5):
            await client.list_tools()
        await client.session.subscribe_resource("note://a")
        for uri in ("note://b", "note://a"):
            await bus.publish(ResourceUpdated(uri=uri))
        with anyio.fail_after(5):
            while not heard:
                await anyio.sleep(0.01)
        await client.session.unsubscribe_resource("note://a")
        await bus.publish(ResourceUpdated(uri="note://a"))
        await client.list_tools()

    assert heard == ["note://a"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_what_a_server_does_not_tell_of_is_not_promised(guard: Guard, state_dir: Path, mode: str) -> None:
    """A server without subscriptions has none behind the guard."""
    server = telling(InMemorySubscriptionBus(), tells=False)
    async with proxied_shop(guard, state_dir, server=server, mode=mode) as (client, _):
        resources = client.server_capabilities.resources
        with pytest.raises(MCPError):
            await client.session.subscribe_resource("note://a")

    assert resources is not None
    assert mode == "auto" or not resources.subscribe


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_completions_pass(guard: Guard, state_dir: Path, mode: str) -> None:
    """The argument and what was typed so far reach the server."""
    async with proxied_shop(guard, state_dir, server=telling(InMemorySubscriptionBus()), mode=mode) as (client, _):
        completed = await client.complete(types.PromptReference(name="p"), {"name": "city", "value": "par"})

    assert completed.completion.values == ["city=par"]


def kept() -> int:
    """How many clients are remembered."""
    gc.collect()
    return sum(type(each).__name__ == "_Hearing" for each in gc.get_objects())


async def test_a_client_is_one_client_however_many_requests_it_makes(guard: Guard, state_dir: Path) -> None:
    """Nothing is kept for each request."""
    async with proxied_shop(guard, state_dir, server=telling(InMemorySubscriptionBus()), mode="legacy") as (client, _):
        await client.call_tool("t")
        before = kept()
        for _ in range(50):
            await client.call_tool("t")

        assert kept() == before
