"""What the servers of a client's configuration say of themselves, each asked as the client would start or reach it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import anyio

from agentguard.cli.clients.entries import Entry, NotAskable
from agentguard.errors import ConfigurationError
from agentguard.integrations.mcp.listing import listed_at
from agentguard.integrations.mcp.target import remote, started
from agentguard.model.listings import Listing
from agentguard.policy import unpinnable

TIMEOUT_SECONDS = 60.0
AT_ONCE = 4


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A server and its tools; or, where they can't be had or must not be pinned, why."""

    entry: Entry
    tools: tuple[Listing, ...] = ()
    why_not: str = ""


def ask(entries: Sequence[Entry], *, timeout_seconds: float = TIMEOUT_SECONDS) -> list[Asked]:
    """Ask servers for their tools, a few at once."""
    answers: dict[tuple[str, ...], Asked] = {}
    limit = anyio.CapacityLimiter(AT_ONCE)

    async def one(entry: Entry) -> None:
        async with limit:
            answers[entry.path] = await _asked(entry, timeout_seconds)

    async def every() -> None:
        async with anyio.create_task_group() as tasks:
            for entry in entries:
                tasks.start_soon(one, entry)

    anyio.run(every)
    return [answers[entry.path] for entry in entries]


async def _asked(entry: Entry, timeout_seconds: float) -> Asked:
    try:
        reach = entry.reach()
        target = (
            remote(reach.url, reach.headers)
            if reach.url
            else started(reach.command, environment=reach.environment, folder=reach.folder)
        )
        tools = await listed_at(target, timeout_seconds=timeout_seconds)
    except NotAskable as why:
        return Asked(entry=entry, why_not=str(why))
    except ConfigurationError as error:
        return Asked(entry=entry, why_not=str(error).replace("the MCP server", "it"))
    wrong = [f"{name} {why}" for name, why in unpinnable(tools)]
    return Asked(entry=entry, tools=tuple(sorted(tools, key=lambda each: each.name)), why_not="; ".join(wrong))
