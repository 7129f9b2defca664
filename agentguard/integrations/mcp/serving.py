"""Serves one MCP server behind a guard, over stdio or streamable HTTP, to clients of either generation of the protocol.

What the server can do is what the proxy says it can, but for what no guard stands before: sampling, roots, log messages.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import anyio
import uvicorn
from mcp import Client
from mcp.client.session import IncomingMessage
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from agentguard import __version__
from agentguard.guard.pipeline import Guard
from agentguard.integrations.mcp.events import Events
from agentguard.integrations.mcp.exchanges import ANSWERED_WITHIN_SECONDS, Exchanges
from agentguard.integrations.mcp.first_sight import FirstSight
from agentguard.integrations.mcp.gate import Gate
from agentguard.integrations.mcp.listing import all_pages
from agentguard.integrations.mcp.proxy import Answered, Proxy
from agentguard.integrations.mcp.target import Target, unreachable
from agentguard.integrations.mcp.watching import Watching
from agentguard.masking import visible

_CHANGES = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
_CANT_CONNECT = (OSError, MCPError, TimeoutError, RuntimeError, ExceptionGroup)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On whose behalf the proxy calls, how long a call may wait for people, and where it is kept what tools first said of themselves.

    `answer_seconds`: how long a user may take to answer what a server asks, where their client calls again with the answer.
    """

    user: str | None
    autonomous: bool = False
    session: str | None = None
    hold_seconds: float = 45.0
    answer_seconds: float = ANSWERED_WITHIN_SECONDS
    first_sight: Path
    accept_changes: bool = False


@asynccontextmanager
async def proxied(guard: Guard, target: Target, terms: Terms) -> AsyncIterator[Server[Any]]:
    """A server that stands in for the one at `target`, connected as long as the block lasts. Raises ConfigurationError."""

    def shown(value: Any) -> Any:
        return guard.masker.for_people(value)

    events, tells_unasked = Events(shown=shown), Event()

    async def heard(message: IncomingMessage) -> None:
        if tells_unasked.is_set():
            await events.heard(message)

    client = Client(target, elicitation_callback=events.asked, message_handler=heard, cache=None)
    try:
        await client.__aenter__()
    except _CANT_CONNECT as error:
        raise unreachable(error) from None
    client.session.validate_tool_result = _left_to_the_tool  # type: ignore[method-assign]
    if client.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        tells_unasked.set()
    try:
        gate = Gate(
            guard=guard,
            user=terms.user,
            autonomous=terms.autonomous,
            session=terms.session,
            hold_seconds=terms.hold_seconds,
        )
        seen = FirstSight.read(terms.first_sight)
        if terms.accept_changes:
            seen.accept(await all_pages(client))
        async with anyio.create_task_group() as listening:
            listening.start_soon(_listen, client, events)
            watching = Watching(upstream=client, events=events, tasks=listening)
            exchanges: Exchanges[Answered] = Exchanges(tasks=listening, within_seconds=terms.answer_seconds)
            yield server_of(
                Proxy(
                    gate=gate,
                    upstream=client,
                    events=events,
                    watching=watching,
                    first_sight=seen,
                    exchanges=exchanges,
                )
            )
            listening.cancel_scope.cancel()
    finally:
        await client.__aexit__(None, None, None)


async def _left_to_the_tool(name: str, result: CallToolResult) -> None:
    """The SDK's own check of a result, which would run the server's patterns in time without bound; `McpTool.check_given` does it."""


def server_of(proxy: Proxy) -> Server[Any]:
    """A server with the handlers for what the one behind it can do."""
    there = proxy.upstream.server_capabilities
    info, said = proxy.upstream.server_info, proxy.upstream.instructions
    shown = proxy.events.shown
    offered: dict[str, Any] = {"on_subscriptions_listen": proxy.watching.listen} if _tells(proxy.upstream) else {}
    if there.tools is not None:
        offered |= {"on_list_tools": proxy.list_tools, "on_call_tool": proxy.call_tool}
    if there.resources is not None:
        offered |= {
            "on_list_resources": proxy.list_resources,
            "on_list_resource_templates": proxy.list_resource_templates,
            "on_read_resource": proxy.read_resource,
        }
        if there.resources.subscribe:
            offered |= {"on_subscribe_resource": proxy.subscribe, "on_unsubscribe_resource": proxy.unsubscribe}
    if there.prompts is not None:
        offered |= {"on_list_prompts": proxy.list_prompts, "on_get_prompt": proxy.get_prompt}
    if there.completions is not None:
        offered |= {"on_completion": proxy.complete}
    return Server(
        visible(shown(info.name)) if info else "agentguard",
        version=visible(shown(info.version)) if info else __version__,
        instructions=None if said is None else visible(shown(said)),
        **offered,
    )


def _tells(upstream: Client) -> bool:
    """Whether the server may tell of changes: one of the older protocol may without a word, one of the newer says that it can be asked."""
    there = upstream.server_capabilities
    lists = [part for part in (there.tools, there.resources, there.prompts) if part is not None]
    return upstream.protocol_version not in MODERN_PROTOCOL_VERSIONS or any(part.list_changed for part in lists)


async def serve_stdio(server: Server[Any]) -> None:
    """Answer the client that started this process, until it closes."""
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options(_CHANGES))


async def serve_http(server: Server[Any], *, host: str, port: int) -> None:
    """Answer clients at http://HOST:PORT/mcp, until cancelled."""
    app = server.streamable_http_app(host=host)
    config = uvicorn.Config(app, host=host, port=port, log_level="warning", lifespan="on")
    running = uvicorn.Server(config)
    try:
        await running.serve()
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            running.force_exit = True
            await running.shutdown()
        raise


async def _listen(client: Client, events: Events) -> None:
    """Hear of the server's changes where its protocol wants to be asked for them; older ones send them anyway."""
    try:
        async with client.listen(
            tools_list_changed=True, prompts_list_changed=True, resources_list_changed=True
        ) as changes:
            async for event in changes:
                await events.tell(event)
    except (ListenNotSupportedError, SubscriptionLost, MCPError):
        return
