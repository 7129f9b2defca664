"""Where an MCP server is: a URL, or the command that starts it. What a target holds, the `Client` of the SDK connects to."""

from __future__ import annotations

import os
import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client import Transport
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from agentguard.errors import ConfigurationError

_PRIVATE = "AGENTGUARD_"
"""What begins like this is agentguard's own: a server that it starts gets none of it."""


_TIMEOUT = httpx2.Timeout(30.0, read=300.0)
"""What the SDK's own client waits, whose stream of answers is long."""

Target = StdioServerParameters | Transport | str
"""What a client connects to."""


def target(server: str) -> Target:
    """What a client connects to, from one text: a URL, or a command line. Raises ConfigurationError."""
    return server if is_url(server) else started(shlex.split(server))


def started(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None, folder: str | None = None
) -> StdioServerParameters:
    """The server that a command starts, in this environment (and more) without agentguard's own settings. Raises ConfigurationError."""
    if not command:
        raise ConfigurationError("no MCP server is named; write a URL, or the command that starts the server")
    env = {name: value for name, value in os.environ.items() if not name.startswith(_PRIVATE)}
    return StdioServerParameters(
        command=command[0], args=list(command[1:]), env={**env, **(environment or {})}, cwd=folder
    )


def remote(url: str, headers: Mapping[str, str]) -> Target:
    """The server at a URL, which gets these headers with each request."""
    return _with_headers(url, headers) if headers else url


def unreachable(error: Exception) -> ConfigurationError:
    """What to raise where a server can't be connected to, whatever the SDK wraps that in."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    told = "check its URL, or that its command starts a server that speaks MCP"
    return ConfigurationError(f"the MCP server can't be reached ({type(error).__name__}); {told}")


def is_url(server: str) -> bool:
    """Whether the text is a URL that a client can connect to."""
    return server.startswith(("http://", "https://"))


@asynccontextmanager
async def _with_headers(url: str, headers: Mapping[str, str]) -> AsyncIterator[Any]:
    async with (
        httpx2.AsyncClient(headers=dict(headers), timeout=_TIMEOUT) as client,
        streamable_http_client(url, http_client=client) as streams,
    ):
        yield streams
