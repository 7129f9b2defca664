"""The tools that a live MCP server lists, started by a command or reached at a URL. Needs the extra `mcp`."""

from __future__ import annotations

import anyio
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import Tool

from agentguard.errors import ConfigurationError
from agentguard.integrations.mcp.target import Target, target, unreachable
from agentguard.integrations.mcp.tool import besides
from agentguard.integrations.mcp.virtual import GET_PROMPT, READ_RESOURCE
from agentguard.model.listings import Hints, Listing

TIMEOUT_SECONDS = 60.0
_PAGES_MAX = 100


async def listed(server: str) -> list[Listing]:
    """Every tool that a server has; `server` is a URL or a command line. Raises ConfigurationError."""
    return await listed_at(target(server))


async def listed_at(server: Target, *, timeout_seconds: float = TIMEOUT_SECONDS) -> list[Listing]:
    """Every tool that a server lists, and what policies judge the reading of its resources and prompts by. Raises ConfigurationError."""
    try:
        with anyio.fail_after(timeout_seconds):
            async with Client(server, read_timeout_seconds=timeout_seconds) as client:
                there = client.server_capabilities
                tools = await all_pages(client) if there.tools is not None else []
                besides = [(there.resources, READ_RESOURCE), (there.prompts, GET_PROMPT)]
                return tools + [listing(tool.listed) for capability, tool in besides if capability is not None]
    except (OSError, MCPError, TimeoutError, RuntimeError, ExceptionGroup) as error:
        raise unreachable(error) from None


def listing(tool: Tool) -> Listing:
    """What one tool says of itself."""
    return Listing(
        name=tool.name,
        description=tool.description or "",
        input_schema=tool.input_schema,
        hints=Hints.of(tool.annotations.model_dump(by_alias=True) if tool.annotations else None),
        besides=besides(tool),
    )


async def all_pages(client: Client) -> list[Listing]:
    """Every tool that the server of a connected client lists. Raises ConfigurationError."""
    found: list[Listing] = []
    cursor: str | None = None
    for _ in range(_PAGES_MAX):
        page = await client.list_tools(cursor=cursor)
        found += map(listing, page.tools)
        cursor = page.next_cursor
        if not cursor:
            return found
    raise ConfigurationError(f"the MCP server lists tools on more than {_PAGES_MAX} pages")
