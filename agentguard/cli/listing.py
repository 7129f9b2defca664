"""Where the commands that look at tools find them: an MCP server, a LangChain list, a file of tool JSON."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import anyio
import typer

from agentguard.errors import ConfigurationError
from agentguard.integrations import tool_files
from agentguard.model.listings import Listing

Servers = Annotated[
    list[str] | None,
    typer.Option("--mcp", help="An MCP server: its URL, or the command that starts it. Repeat for more."),
]
Modules = Annotated[
    list[str] | None,
    typer.Option("--tools", help="module:name of a list of LangChain tools or functions. Repeat for more."),
]
Files = Annotated[
    list[Path] | None,
    typer.Option("--json-file", help="A file with tools as they are given to a model. Repeat for more."),
]


def listings(servers: list[str] | None, modules: list[str] | None, files: list[Path] | None) -> list[Listing]:
    """All tools of all these sources, by name. Raises ConfigurationError."""
    if not (servers or modules or files):
        raise ConfigurationError("which tools? give --mcp, --tools or --json-file")
    found = [each for number, server in enumerate(servers or (), 1) for each in _of_one(server, number, servers or ())]
    found += [each for name in modules or () for each in _of_module(name)]
    found += [each for file in files or () for each in tool_files.listed(file)]
    if not found:
        raise ConfigurationError("there is no tool in these sources")
    return sorted(found, key=lambda each: each.name)


def _of_one(server: str, number: int, servers: Sequence[str]) -> list[Listing]:
    """The tools of one of several servers, whose number an error tells."""
    try:
        return _of_server(server)
    except ConfigurationError as error:
        if len(servers) == 1:
            raise
        raise ConfigurationError(f"--mcp number {number} of {len(servers)}{_known_by(server)}: {error}") from None


def _known_by(server: str) -> str:
    """What a person knows a server by: its host, or its program. Whatever else stands there may be a secret."""
    try:
        words = shlex.split(server)
        name = urlsplit(server).hostname if "://" in server else words[0] if words else ""
    except ValueError:
        name = ""
    return f" ({name})" if name else ""


def _of_server(server: str) -> list[Listing]:
    try:
        from agentguard.integrations.mcp.listing import listed  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationError(f"--mcp needs {error.name}: pip install 'agentguard[mcp]'") from None
    return anyio.run(listed, server)


def _of_module(name: str) -> list[Listing]:
    from agentguard.integrations import tool_lists  # noqa: PLC0415 - slow to import

    sys.path.insert(0, str(Path.cwd()))  # as `python -m` finds modules
    try:
        return tool_lists.listed(name)
    finally:
        sys.path.remove(str(Path.cwd()))
