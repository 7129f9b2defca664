"""`agentguard serve` and `agentguard token`."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from agentguard.cli.durations import milliseconds
from agentguard.cli.options import DEFAULT_FOLDER, Policies, Tenant
from agentguard.cli.screen import say
from agentguard.config import Settings, read_roster
from agentguard.config.clock import now_ms
from agentguard.errors import ConfigurationError
from agentguard.server import read_settings, tokens
from agentguard.server.settings import token_path
from agentguard.server.tokens import Scope

tokens_app = typer.Typer(help="Bearer tokens of people, for the HTTP API.", no_args_is_help=True)


def serve(
    policies: Policies = DEFAULT_FOLDER,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; loopback unless you say otherwise.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port to listen on.")] = 8642,
    tenant: Tenant = "default",
    log_in: Annotated[
        str | None,
        typer.Option(
            "--local-login", metavar="NAME", help="Print a link that logs this person in, on this machine alone."
        ),
    ] = None,
) -> None:
    """Serve the web inbox and the HTTP API where people decide, and send the webhooks. Needs the extra `server`."""
    try:
        from agentguard.server.running import serve as run  # noqa: PLC0415 - only this command needs the extra
    except ImportError as error:
        raise ConfigurationError(f"serving needs {error.name}: pip install 'agentguard[server]'") from None
    if not policies.exists():
        raise ConfigurationError(f"{policies}: no such folder; --policies names the one with approvers.yaml")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    run(
        policies,
        settings=Settings(),
        server=read_settings(),
        host=host,
        port=port,
        tenant=tenant,
        log_in=log_in,
        announce=say,
    )


@tokens_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="The person, as in approvers.yaml.")],
    policies: Policies = DEFAULT_FOLDER,
    expires: Annotated[str | None, typer.Option("--expires", help="How long it is good for: 12h, 30d.")] = None,
    scope: Annotated[
        Scope, typer.Option("--scope", help="`read` looks at requests, `decide` decides them too.")
    ] = "decide",
) -> None:
    """Make a token for a person and print it, once; only its hash is kept."""
    now = now_ms()
    until = None if expires is None else now + milliseconds(expires, option="--expires")
    token, secret = tokens.create(_file(), name, read_roster(policies), now_ms=now, expires_ms=until, scope=scope)
    say(secret)
    say(f"token {token.id} of {token.person}; it is not shown again", style="dim")


@tokens_app.command("list")
def list_() -> None:
    """List tokens: whose they are and how long they are good for, never the tokens themselves."""
    found = tokens.read(_file())
    if not found:
        say("there are no tokens; `agentguard token create NAME` makes one")
    for token in found:
        until = "no end" if token.expires_ms is None else _day(token.expires_ms)
        say(f"{token.id}  {token.person}  {token.scope}  since {_day(token.created_ms)}  until {until}")


@tokens_app.command("revoke")
def revoke(token_id: Annotated[str, typer.Argument(metavar="ID", help="The token's id.")]) -> None:
    """Make a token worthless, at once."""
    token = tokens.revoke(_file(), token_id)
    say(f"token {token.id} of {token.person} is revoked")


def _file() -> Path:
    return token_path(Settings(), read_settings())


def _day(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
