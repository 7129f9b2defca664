"""`agentguard policy verify`: proof that each clause is enforced."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import anyio
import typer

from agentguard.cli.options import Json
from agentguard.cli.screen import complain, say, say_json
from agentguard.cli.verifying import Outcome, Present, Verified, open_ground, present, verified
from agentguard.config import case_sources, read_library
from agentguard.policy import read_cases

_STYLES = {Outcome.ENFORCED: "green", Outcome.NOT_ENFORCED: "bold red", Outcome.NOT_APPLICABLE: ""}


def verify(
    path: Annotated[Path, typer.Argument(help="A folder with policy.yaml.")],
    as_json: Json = False,
) -> None:
    """Try each clause with a call that it is about and one that it is not, the whole road long. Exit code 1: one is not enforced."""
    policy = read_library(path)
    cases = [case for source in case_sources(path) for case, _ in read_cases(source)]
    found = anyio.run(_verified, list(present(policy, cases)), as_json)
    outcomes = Counter(each.outcome for each in found)
    total = ", ".join(f"{outcomes[outcome]} {outcome}" for outcome in Outcome)
    if as_json:
        say_json([each.model_dump(mode="json") for each in found])
    if outcomes[Outcome.NOT_ENFORCED]:
        complain(total)
        raise typer.Exit(1)
    if not as_json:
        say(total)


@asynccontextmanager
async def _in_silence() -> AsyncIterator[None]:
    """Without the log's calls to decide: these calls are made up."""
    log = logging.getLogger("agentguard")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


async def _verified(clauses: Sequence[Present], quiet: bool) -> list[Verified]:
    found: list[Verified] = []
    async with _in_silence(), open_ground() as ground:
        async for each in verified(ground, clauses):
            found.append(each)
            if not quiet:
                say(f"{each.outcome:<14}  {each.place}: {each.clause}: {each.told}", style=_STYLES[each.outcome])
    return found
