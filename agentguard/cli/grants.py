"""`agentguard grants`: what people granted along with approvals, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import anyio
import typer

from agentguard.approval import Grants, Listed
from agentguard.cards import line
from agentguard.cards.outcome import clock
from agentguard.cli.keys import my_key
from agentguard.cli.options import DEFAULT_FOLDER, Json, Name, Policies, Tenant
from agentguard.cli.picking import the_one
from agentguard.cli.screen import say, say_json
from agentguard.config import Settings, open_desk

app = typer.Typer(help="What people granted along with approvals, and how it ends.", no_args_is_help=True)


@app.command("list")
def list_(policies: Policies = DEFAULT_FOLDER, tenant: Tenant = "default", json: Json = False) -> None:
    """List the grants that are not over."""

    async def listing() -> Sequence[Listed]:
        async with open_desk(policies, Settings(), tenant=tenant) as desk:
            return await Grants(channel=desk.channel).list()

    found = anyio.run(listing)
    if json:
        say_json([_json(each) for each in found])
        return
    for each in found:
        say(_line(each))
    if not found:
        say("nothing is granted")


@app.command()
def revoke(
    grant_id: Annotated[str, typer.Argument(metavar="ID", help="The grant's id, or its first characters.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for people.")] = "",
    name: Name = None,
    policies: Policies = DEFAULT_FOLDER,
    tenant: Tenant = "default",
) -> None:
    """End a grant at once; anybody in approvers.yaml may."""
    settings = Settings()
    person, key = my_key(settings, name)

    async def revoking() -> str:
        async with open_desk(policies, settings, tenant=tenant) as desk:
            grants = Grants(channel=desk.channel)
            there = {each.granted.id: each.granted.id for each in await grants.list()}
            meant = the_one(there, grant_id, kind="grant", listed_by="agentguard grants list")
            await grants.revoke(meant, desk.roster, person=person, key=key, reason=reason)
            return meant

    say(f"{anyio.run(revoking)} is revoked by {person}; no further call runs under it")


def _line(each: Listed) -> str:
    granted, request = each.granted, each.granted.stored.request
    by = ", ".join(vote.person for vote in granted.votes)
    until = clock(granted.until_ms, "%Y-%m-%d %H:%M:%S UTC")
    state = "revoked" if each.revoked else f"{each.used} of {granted.terms.uses} used"
    whom = request.principal.user or "nobody (autonomous)"
    told = f"{granted.id[:8]}  {state}, until {until}  {granted.offer.words(request.tool)}  {request.principal.agent} for {whom}, by {by}"
    return line(told)


def _json(each: Listed) -> dict[str, object]:
    granted, request = each.granted, each.granted.stored.request
    return {
        "id": granted.id,
        "tool": request.tool,
        "agent": request.principal.agent,
        "user": request.principal.user,
        "covers": granted.offer.words(request.tool),
        "by": [vote.person for vote in granted.votes],
        "uses": granted.terms.uses,
        "used": each.used,
        "session": request.principal.session if granted.terms.session else None,
        "until_ms": granted.until_ms,
        "revoked": each.revoked,
    }
