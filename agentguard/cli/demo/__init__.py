"""`agentguard demo`: the main job, end to end, on made-up data."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from agentguard.errors import ConfigurationError


def demo(
    auto: Annotated[bool, typer.Option("--auto", help="Let the two made-up approvers approve by themselves.")] = False,
) -> None:
    """Watch a real agent work on 500 made-up customers: masked, asked for, denied, on record.

    Everything happens in a temporary folder. Exit code 0 only if every step did what it should.
    """
    try:
        from agentguard.cli.demo.story import tell  # noqa: PLC0415 - only this command needs LangChain's agents
    except ImportError as error:
        raise ConfigurationError(f"the demo needs {error.name}: pip install 'agentguard[langchain]'") from None
    if not auto and not sys.stdin.isatty():
        raise ConfigurationError("nobody is at the terminal to approve: run `agentguard demo --auto`")
    if not tell(auto=auto):
        raise typer.Exit(1)
