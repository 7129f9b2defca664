"""The command and its groups, and what a person sees when something is wrong."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from agentguard import __version__
from agentguard.cli import (
    approvals,
    audit,
    demo,
    doctor,
    grants,
    groups,
    inbox,
    init,
    keys,
    mask,
    mcp,
    orders,
    policy,
    redis_acl,
    serve,
    slack,
    turns,
    vault,
    webhooks,
)
from agentguard.cli.screen import complain, say
from agentguard.errors import AgentGuardError, ConfigurationError

app = typer.Typer(
    name="agentguard",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"agentguard {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Stands between an LLM agent and its tools: policy, masking, approvals, journal."""


app.command("init")(init.init)
app.command("demo")(demo.demo)
app.command("inbox")(inbox.inbox)
app.command("mask")(mask.mask)
app.command("freeze")(orders.freeze)
app.command("unfreeze")(orders.unfreeze)
app.command("freezes")(orders.freezes)
app.command("redis-acl")(redis_acl.redis_acl)
app.command("serve")(serve.serve)
app.command("doctor")(doctor.doctor)
app.add_typer(policy.app, name="policy")
app.add_typer(mcp.app, name="mcp")
app.add_typer(slack.app, name="slack")
approvals.app.add_typer(turns.app, name="turn")
app.add_typer(approvals.app, name="approvals")
app.add_typer(grants.app, name="grants")
app.add_typer(groups.app, name="groups")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.add_typer(vault.app, name="vault")
app.add_typer(serve.tokens_app, name="token")
app.add_typer(webhooks.app, name="webhooks")


def main() -> None:
    """Run the command: exit code 0 done, 1 the answer is no or something is broken, 2 wrong use or wrong files."""
    try:
        app()
    except ConfigurationError as error:
        complain(str(error))
        sys.exit(2)
    except AgentGuardError as error:
        complain(str(error))
        sys.exit(1)
