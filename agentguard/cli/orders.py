"""`agentguard freeze`, `unfreeze` and `freezes`: stop calls at once, and let them go on with a second person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import anyio
import typer

from agentguard.approval import SEEN_WITHIN_SECONDS, Running
from agentguard.cards import line
from agentguard.cards.outcome import clock
from agentguard.cli.keys import my_key
from agentguard.cli.options import DEFAULT_FOLDER, Json, Name, Policies, Tenant
from agentguard.cli.picking import the_one
from agentguard.cli.screen import say, say_json
from agentguard.config import Settings, open_brake
from agentguard.errors import ConfigurationError
from agentguard.model.approvals import Freeze, Scope

Agent = Annotated[str | None, typer.Option("--agent", help="Calls of this agent.")]
ToolName = Annotated[str | None, typer.Option("--tool", help="Calls of this tool.")]
OfTenant = Annotated[
    str | None, typer.Option("--tenant", help="Every call of this tenant; with --agent or --tool: that tenant's.")
]
Everything = Annotated[bool, typer.Option("--all", help="Every call of every tenant on this Redis.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for people and for the model.")]


def freeze(
    reason: Reason,
    agent: Agent = None,
    tool: ToolName = None,
    tenant: OfTenant = None,
    everything: Everything = False,
    name: Name = None,
    policies: Policies = DEFAULT_FOLDER,
) -> None:
    """Stop calls: within a second no permit is given, whoever approved. What runs already is listed, not stopped."""
    scope, what = _scope(agent, tool, tenant, everything)
    settings = Settings()
    person, key = my_key(settings, name)

    async def freezing() -> tuple[Freeze, Sequence[Running]]:
        async with open_brake(policies, settings, tenant=tenant or "default") as brake:
            standing = await brake.freeze(scope, what, reason=reason, person=person, key=key)
            await anyio.sleep(SEEN_WITHIN_SECONDS)
            return standing, await brake.running(standing)

    standing, running = anyio.run(freezing)
    say(f"{_told(standing)}; it is lifted by somebody else: agentguard unfreeze {standing.id[:8]}")
    for one in running:
        for_whom = one.attempt.user or "nobody (autonomous)"
        say(line(f"still runs: {one.id}  {one.attempt.tool}  by {one.attempt.agent} for {for_whom}"))


def unfreeze(
    freeze_id: Annotated[str, typer.Argument(metavar="ID", help="The freeze's id, or its first characters.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for people.")] = "",
    name: Name = None,
    policies: Policies = DEFAULT_FOLDER,
    tenant: Tenant = "default",
) -> None:
    """Let calls go on; whoever froze them can't."""
    settings = Settings()
    person, key = my_key(settings, name)

    async def lifting() -> Freeze:
        async with open_brake(policies, settings, tenant=tenant) as brake:
            standing = {one.id: one for one in await brake.standing()}
            meant = the_one(standing, freeze_id, kind="freeze", listed_by="agentguard freezes")
            await brake.lift(meant, reason=reason, person=person, key=key)
            return meant

    say(line(f"{anyio.run(lifting)} is no longer frozen, says {person}"))


def freezes(policies: Policies = DEFAULT_FOLDER, tenant: Tenant = "default", json: Json = False) -> None:
    """List what is frozen."""

    async def listing() -> Sequence[Freeze]:
        async with open_brake(policies, Settings(), tenant=tenant) as brake:
            return await brake.standing()

    found = anyio.run(listing)
    if json:
        say_json([one.model_dump(mode="json", exclude={"signature"}) for one in found])
        return
    for one in found:
        say(f"{one.id[:8]}  {_told(one)}")
    if not found:
        say("nothing is frozen")


def _scope(agent: str | None, tool: str | None, tenant: str | None, everything: bool) -> tuple[Scope, str]:
    """What is meant; a tenant beside an agent or a tool only says whose."""
    given = {Scope.AGENT: bool(agent), Scope.TOOL: bool(tool), Scope.ALL: everything}
    chosen = [scope for scope, is_given in given.items() if is_given] or ([Scope.TENANT] if tenant else [])
    if len(chosen) != 1 or (everything and tenant):
        raise ConfigurationError("what is to stop? one of --agent NAME, --tool NAME, --tenant NAME and --all")
    return chosen[0], agent or tool or ""


def _told(freeze: Freeze) -> str:
    when = clock(freeze.time_ms, "%Y-%m-%d %H:%M:%S UTC")
    return line(f'{freeze} is frozen by {freeze.person or "nobody known"} since {when}: "{freeze.reason}"')
