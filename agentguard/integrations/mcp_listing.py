"""The tools that a live MCP server lists, started by a command or reached at a URL. Needs the extra `mcp`."""

from __future__ import annotations

import os
import shlex

from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.shared.exceptions import MCPError

from agentguard.errors import ConfigurationError
from agentguard.model.listings import Hints, Listing

TIMEOUT_SECONDS = 60.0
_PAGES_MAX = 100
_PRIVATE = "AGENTGUARD_"


async def listed(server: str) -> list[Listing]:
    """Every tool that a server lists; `server` is a URL or a command line. Raises ConfigurationError."""
    try:
        async with Client(_target(server), read_timeout_seconds=TIMEOUT_SECONDS) as client:
            return await _all_pages(client)
    except (OSError, MCPError, TimeoutError, RuntimeError, ExceptionGroup) as error:
        raise ConfigurationError(f"the MCP server can't be reached ({type(error).__name__})") from None


async def _all_pages(client: Client) -> list[Listing]:
    found: list[Listing] = []
    cursor: str | None = None
    for _ in range(_PAGES_MAX):
        page = await client.list_tools(cursor=cursor)
        found += [
            Listing(
                name=tool.name,
                description=tool.description or "",
                input_schema=tool.input_schema,
                hints=Hints.of(tool.annotations.model_dump(by_alias=True) if tool.annotations else None),
            )
            for tool in page.tools
        ]
        cursor = page.next_cursor
        if not cursor:
            return found
    raise ConfigurationError(f"the MCP server lists tools on more than {_PAGES_MAX} pages")


def _target(server: str) -> StdioServerParameters | str:
    """What a client connects to. The server gets nothing of agentguard's own settings."""
    if server.startswith(("http://", "https://")):
        return server
    words = shlex.split(server)
    if not words:
        raise ConfigurationError("--mcp: write a URL, or the command that starts the server")
    env = {name: value for name, value in os.environ.items() if not name.startswith(_PRIVATE)}
    return StdioServerParameters(command=words[0], args=words[1:], env=env)
