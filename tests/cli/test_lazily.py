"""Groups of commands that are imported when they are run."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from agentguard.cli import app as root
from agentguard.cli import approvals, policy
from agentguard.cli.lazily import lazily

GROUPS = {"agentguard": root.app, "agentguard policy": policy.app, "agentguard approvals": approvals.app}


@pytest.mark.parametrize("name", GROUPS)
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    """The line stands beside the command's home, since the list is printed without looking there."""
    group: Any = typer.main.get_group(GROUPS[name])
    listed = {command: one.help for command, one in group.listed().items()}
    own = {command: " ".join((one.help or "").split("\n\n")[0].split()) for command, one in group.commands.items()}

    assert listed == own
    assert all(listed.values())


@pytest.mark.parametrize("name", GROUPS)
def test_the_list_holds_every_command_under_its_own_name(name: str) -> None:
    """As it is typed, and as its usage shows it."""
    group: Any = typer.main.get_group(GROUPS[name])
    said = CliRunner().invoke(GROUPS[name], ["--help"]).output

    assert [one.name for one in group.commands.values()] == list(group.commands)
    assert all(f"│ {command} " in said for command in group.commands)


def test_a_word_that_is_no_command_is_refused_with_what_is_like_it() -> None:
    """Without running anything."""
    refused = CliRunner().invoke(root.app, ["polic"])

    assert refused.exit_code == 2
    assert "Did you mean 'policy'?" in refused.output


def test_a_command_whose_home_is_gone_fails_when_it_is_run_alone() -> None:
    """The others go on; the list does too."""
    app = typer.Typer(cls=lazily({"gone": ("agentguard.cli.gone:app", "Is gone.")}), no_args_is_help=True)
    app.command("here")(lambda: typer.echo("ran"))
    app.command("there")(lambda: typer.echo("ran"))
    run = CliRunner()

    assert "Is gone." in run.invoke(app, ["--help"]).output
    assert run.invoke(app, ["here"]).output == "ran\n"
    assert isinstance(run.invoke(app, ["gone"]).exception, ModuleNotFoundError)
