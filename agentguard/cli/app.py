"""The command and its groups, and what a person sees when something is wrong."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from agentguard import __version__
from agentguard.cli.lazily import lazily
from agentguard.cli.screen import complain, say
from agentguard.cli.trouble import told
from agentguard.errors import AgentGuardError, ConfigurationError

_COMMANDS = {
    "init": (
        "agentguard.cli.init:init",
        "Write a first policy, an approvers file with you in it, and your key. Overwrites nothing.",
    ),
    "demo": (
        "agentguard.cli.demo:demo",
        "Watch a real agent work on 500 made-up customers: masked, asked for, denied, on record.",
    ),
    "inbox": (
        "agentguard.cli.inbox:inbox",
        "See what waits as it comes, and decide it with your own key: arrows choose, `a` approves, `r` rejects, `e` edits, `q` quits.",
    ),
    "mask": (
        "agentguard.cli.mask:mask",
        "Print FILE as the model would see it. Nothing is stored; the tokens are those of a made-up session.",
    ),
    "freeze": (
        "agentguard.cli.orders:freeze",
        "Stop calls: within a second no permit is given, whoever approved. What runs already is listed, not stopped.",
    ),
    "unfreeze": (
        "agentguard.cli.orders:unfreeze",
        "Let calls go on; whoever froze them can't.",
    ),
    "freezes": (
        "agentguard.cli.orders:freezes",
        "List what is frozen.",
    ),
    "redis-acl": (
        "agentguard.cli.redis_acl:redis_acl",
        "Print the lines of an ACL file for the agent's and the approvers' user; their new passwords go to stderr, once.",
    ),
    "serve": (
        "agentguard.cli.serve:serve",
        "Serve the web inbox and the HTTP API where people decide, and send the webhooks. Needs the extra `server`.",
    ),
    "doctor": (
        "agentguard.cli.doctor:doctor",
        "Check policies, the guards that run under them, Redis and journal; exit code 1 where something is wrong.",
    ),
    "policy": (
        "agentguard.cli.policy:app",
        "Check, test and explain policies.",
    ),
    "mcp": (
        "agentguard.cli.mcp:app",
        "A guard in front of any MCP server: agentguard mcp -- COMMAND ...",
    ),
    "slack": (
        "agentguard.cli.slack:app",
        "Cards in a Slack channel.",
    ),
    "approvals": (
        "agentguard.cli.approvals:app",
        "See what waits for people, and decide it with your own key.",
    ),
    "grants": (
        "agentguard.cli.grants:app",
        "What people granted along with approvals, and how it ends.",
    ),
    "groups": (
        "agentguard.cli.groups:app",
        "Groups that a command tells, such as a rota's.",
    ),
    "keys": (
        "agentguard.cli.keys:app",
        "Your own signing key.",
    ),
    "audit": (
        "agentguard.cli.audit:app",
        "Read and verify the journal.",
    ),
    "vault": (
        "agentguard.cli.vault:app",
        "Erase what stands for a person's values.",
    ),
    "token": (
        "agentguard.cli.serve:tokens_app",
        "Bearer tokens of people, for the HTTP API.",
    ),
    "webhooks": (
        "agentguard.cli.webhooks:app",
        "Messages that could not be sent to webhooks and chats.",
    ),
}

app = typer.Typer(
    name="agentguard",
    cls=lazily(_COMMANDS),
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


def main() -> None:
    """Run the command: exit code 0 done, 1 the answer is no or something is broken, 2 wrong use or wrong files."""
    try:
        app()
    except ConfigurationError as error:
        complain(str(error))
        sys.exit(2)
    except AgentGuardError as error:
        complain(told(error))
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        complain(f"{error.filename}: {error.strerror}; name another place, or make this one fit to be read and written")
        sys.exit(2)
