"""`agentguard vault`: erase what stands for a person's values."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import anyio
import typer

from agentguard.cli.options import Tenant
from agentguard.cli.screen import say
from agentguard.config import Settings, open_erasure
from agentguard.errors import ConfigurationError
from agentguard.guard.erasure import Named
from agentguard.session import Found

app = typer.Typer(help="Erase what stands for a person's values.", no_args_is_help=True)

NOT_ERASED = """\
not erased, since nothing here can:
  the journal: it holds masked text and keyed digests, and is never changed
  requests that people were asked about: sealed arguments, and cards with parts of values, until their retention is over
  calls kept for replay, sealed, until their days are over
  keyed digests of a session's words and of usual recipients, until they lapse
  what tools were given or hold themselves, what the model was shown in clear, and backups of Redis"""


_WRITTEN = (
    "a value is never written on the command line, which the shell's history and other users see: give --value alone, and it is asked"
    " for, or read from standard input; and take that line out of the history"
)


@app.callback()
def options() -> None:
    """Erase what stands for a person's values."""


@app.command(context_settings={"allow_extra_args": True})  # which are refused: typer would print them
def erase(
    ctx: typer.Context,
    value: Annotated[
        bool, typer.Option("--value", help="A value: it is asked for, or read from standard input.")
    ] = False,
    token: Annotated[str | None, typer.Option("--token", help="What this token or stand-in stands for.")] = None,
    session: Annotated[
        str | None,
        typer.Option("--session", help="With --value or --token: in this session alone. By itself: all of it."),
    ] = None,
    tenant: Tenant = "default",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be erased, and erase nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask again.")] = False,
) -> None:
    """Erase from the vaults what stands for a value, in every session of the tenant or in one. Exit code 1: nothing was found."""
    if ctx.args:
        raise ConfigurationError(_WRITTEN)
    named = _named(value, token, session)
    found = anyio.run(_found, named, tenant)
    say(_told("would be erased" if dry_run else "to be erased", found))
    if found.unreadable:
        say(f"{found.unreadable} entries can't be opened with the keys here, so nobody knows what they stand for")
    if dry_run or not found.size:
        raise typer.Exit(0 if found.size else 1)
    _confirm(yes)
    say(_told("erased", anyio.run(_erased, named, tenant)))
    say(NOT_ERASED)


async def _found(named: Named, tenant: str) -> Found:
    async with open_erasure(Settings(), tenant=tenant) as erasure:
        return await erasure.find(named)


async def _erased(named: Named, tenant: str) -> Found:
    """What is there now, erased."""
    async with open_erasure(Settings(), tenant=tenant) as erasure:
        found = await erasure.find(named)
        forgot = await erasure.erase(named, found, by=getpass.getuser())
        say(f"limits that forgot it: {forgot}")
        return found


def _told(what: str, found: Found) -> str:
    types = sorted({entity_type for entity_type, _ in found.identities})
    named = f" ({', '.join(types)})" if types else ""
    return f"{what}: {found.size} tokens and stand-ins{named} in {len(found.tokens)} sessions"


def _named(value: bool, token: str | None, session: str | None) -> Named:
    if value and token is not None:
        raise ConfigurationError("name it by --value or by --token, not by both")
    if value:
        return Named(what="value", text=_asked(), session=session)
    if token is not None:
        return Named(what="token", text=token, session=session)
    if session is not None:
        return Named(what="session", text=session)
    raise ConfigurationError("say what to erase: --value, --token TOKEN or --session ID")


def _asked() -> str:
    """The value: never an argument, which the shell's history and other users would see."""
    text: str = typer.prompt("Value", hide_input=True) if sys.stdin.isatty() else sys.stdin.read()
    if not text.strip():
        raise ConfigurationError("the value is empty")
    return text.strip()


def _confirm(yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError("nobody is at the terminal to say yes: add --yes, or --dry-run to look first")
    typer.confirm("erase this for good?", abort=True)
