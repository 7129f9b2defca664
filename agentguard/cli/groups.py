"""`agentguard groups`: who is in the groups that a command tells, such as a rota's."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from agentguard.cli.keys import my_key
from agentguard.cli.options import DEFAULT_FOLDER, Name, Policies
from agentguard.cli.screen import say
from agentguard.config import Settings, read_roster
from agentguard.config.clock import now_ms
from agentguard.config.rotas import Asked, ask_groups, read_answers, state_of
from agentguard.errors import ConfigurationError

_LOOK_SECONDS = 5.0
_NONE = "no group is from a command"

app = typer.Typer(no_args_is_help=True, help="Groups that a command tells, such as a rota's.")


@app.command()
def ask(
    policies: Policies = DEFAULT_FOLDER,
    sign: Annotated[
        bool, typer.Option("--sign", help="Sign the answers with your key, for AGENTGUARD_ROSTER_KEYS.")
    ] = False,
    name: Name = None,
    watch: Annotated[bool, typer.Option("--watch", help="Go on asking, as often as each group says.")] = False,
) -> None:
    """Ask each group's command who is in it now, and keep the answers beside approvers.yaml. Exit code 1 where one gave none."""
    if name is not None and not sign:
        raise ConfigurationError("--as says whose key signs the answers: give --sign too, or leave it out")
    key = my_key(Settings(), name)[1] if sign else None
    folder, failed = _folder(policies), False
    if not read_roster(policies).rotas:
        say(_NONE)
    asked = ask_groups(folder, read_roster(policies), now_ms=now_ms(), key=key)
    while True:
        for each in asked:
            failed |= bool(each.wrong)
            _tell(each)
        if not watch:
            break
        time.sleep(_LOOK_SECONDS)
        asked = ask_groups(folder, read_roster(policies), now_ms=now_ms(), key=key, only_due=True)
    if failed:
        raise typer.Exit(1)


@app.command("list")
def list_(policies: Policies = DEFAULT_FOLDER) -> None:
    """List the groups that a command tells, and who is in them by its last answer. Runs nothing."""
    roster, answers = read_roster(policies), read_answers(_folder(policies))
    for group, rota in sorted(roster.rotas.items()):
        _tell(state_of(group, rota, answers.groups.get(group), now_ms()))
    if not roster.rotas:
        say(_NONE)


def _tell(asked: Asked) -> None:
    if asked.wrong:
        say(f"{asked.group}: {asked.wrong}", style="red")
    if asked.people:
        until = datetime.fromtimestamp(asked.until_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
        say(f"{asked.group}: {', '.join(asked.people)}, until {until}")
    else:
        say(f"{asked.group}: nobody, since no answer counts", style="red")


def _folder(policies: Path) -> Path:
    """Where approvers.yaml lies. Raises ConfigurationError where there is no such place."""
    if not policies.exists():
        raise ConfigurationError(f"{policies}: no such folder; --policies names the one with approvers.yaml")
    return policies.parent if policies.is_file() else policies
