"""`agentguard mcp`: a guard in front of an MCP server."""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer
from typer.core import TyperGroup

from agentguard.cli import mcp_install
from agentguard.cli.options import DEFAULT_FOLDER, Policies, Tenant
from agentguard.config import Settings, open_guard
from agentguard.errors import ConfigurationError

_RUN = "run"


class _OrRun(TyperGroup):
    """A group whose first word, where it is none of its commands, belongs to `run`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `run` before arguments that name no command."""
        if args and args[0] not in (*self.commands, *self.get_help_option_names(ctx)):
            args = [_RUN, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_OrRun, help="A guard in front of any MCP server: agentguard mcp -- COMMAND ...", no_args_is_help=True
)


@app.command(_RUN)
def run(
    command: Annotated[list[str] | None, typer.Argument(help="After --: the command that starts the server.")] = None,
    url: Annotated[str | None, typer.Option("--url", help="The server's URL, in place of a command.")] = None,
    url_from: Annotated[
        str | None, typer.Option("--url-from", metavar="VARIABLE", help="The environment variable that holds the URL.")
    ] = None,
    header_from: Annotated[
        list[str] | None,
        typer.Option(
            "--header-from", metavar="NAME=VARIABLE", help="A header for the URL, and the variable that holds it."
        ),
    ] = None,
    listen: Annotated[
        str | None, typer.Option("--listen", metavar="HOST:PORT", help="Serve HTTP at /mcp; left out: stdio.")
    ] = None,
    user: Annotated[str | None, typer.Option("--user", help="On whose behalf the client's agent acts.")] = None,
    autonomous: Annotated[bool, typer.Option("--autonomous", help="There is no user behind the agent.")] = False,
    agent: Annotated[str, typer.Option("--agent", help="The agent's name on cards and in the journal.")] = "mcp",
    session: Annotated[
        str | None, typer.Option("--session", help="The session's id; left out: one for each connection.")
    ] = None,
    hold: Annotated[
        float, typer.Option("--hold", min=0.1, max=86_400, help="Seconds that a call waits for people.")
    ] = 45.0,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Take the tools as they are now for those that were first seen.")
    ] = False,
    policies: Policies = DEFAULT_FOLDER,
    tenant: Tenant = "default",
) -> None:
    """Stand between a client and a server: calls gated, texts masked. Needs the extra `mcp`."""
    try:
        from agentguard.integrations.mcp import serving  # noqa: PLC0415 - only this command needs the extra
        from agentguard.integrations.mcp.target import remote, started  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError(f"this needs {error.name}: pip install 'agentguard[mcp]'") from None
    if url is not None and url_from is not None:
        raise ConfigurationError("which URL? give --url or --url-from, not both")
    url = url if url_from is None else _variable(url_from, "--url-from")
    if command and header_from:
        raise ConfigurationError("--header-from is for a server at a URL; a command is given its own environment")
    if (url is None) == (not command):
        raise ConfigurationError("which server? give --url URL, or the command that starts it after --")
    if (user is None) == (not autonomous):
        raise ConfigurationError("on whose behalf? give --user NAME, or --autonomous where there is nobody")
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="agentguard: %(levelname)s: %(message)s")
    address = None if listen is None else _address(listen)
    headers = _headers(header_from or ())
    target = remote(url, headers) if url is not None else started(command or [])
    terms = serving.Terms(
        user=user,
        autonomous=autonomous,
        session=session,
        hold_seconds=hold,
        first_sight=_first_sight(url or shlex.join(command or [])),
        accept_changes=accept_changes,
    )

    async def serve() -> None:
        async with serving.proxied(guard, target, terms) as server:
            if address is None:
                await serving.serve_stdio(server)
            else:
                await serving.serve_http(server, host=address[0], port=address[1])

    with open_guard(policies, agent=agent, tenant=tenant) as guard:
        anyio.run(serve)


app.command("install")(mcp_install.install)
app.command("uninstall")(mcp_install.uninstall)


def _headers(written: Sequence[str]) -> dict[str, str]:
    """The headers of `--header-from`."""
    named = [each.partition("=") for each in written]
    return {name: _variable(variable, f"--header-from {name}") for name, _, variable in named}


def _variable(name: str, option: str) -> str:
    if not os.environ.get(name):
        raise ConfigurationError(f"{option}: the environment variable {name or '(none)'} is not set")
    return os.environ[name]


def _first_sight(server: str) -> Path:
    """Where it is kept what a server's tools first said of themselves."""
    return Settings().state_dir / "mcp" / f"{hashlib.sha256(server.encode()).hexdigest()[:32]}.json"


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ConfigurationError(f"--listen {text}: write HOST:PORT, such as 127.0.0.1:8650")
    return host.strip("[]"), int(port)
