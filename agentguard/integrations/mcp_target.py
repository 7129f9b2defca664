"""Where an MCP server is: a URL, or the command that starts it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

from mcp.client.stdio import StdioServerParameters

from agentguard.errors import ConfigurationError

_PRIVATE = "AGENTGUARD_"
"""What begins like this is agentguard's own: a server that it starts gets none of it."""


def target(server: str) -> StdioServerParameters | str:
    """What a client connects to, from one text: a URL, or a command line. Raises ConfigurationError."""
    return server if is_url(server) else started(shlex.split(server))


def started(command: Sequence[str]) -> StdioServerParameters:
    """The server that a command starts, in this environment without agentguard's own settings."""
    if not command:
        raise ConfigurationError("no MCP server is named; write a URL, or the command that starts the server")
    env = {name: value for name, value in os.environ.items() if not name.startswith(_PRIVATE)}
    return StdioServerParameters(command=command[0], args=list(command[1:]), env=env)


def is_url(server: str) -> bool:
    """Whether the text is a URL that a client can connect to."""
    return server.startswith(("http://", "https://"))
