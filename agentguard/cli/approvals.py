"""`agentguard approvals`: see what waits, and decide it with your own key."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import anyio
import typer

from agentguard.approval import Desk, Shown, Stored
from agentguard.cli.cards import print_card, print_line, request_json
from agentguard.cli.options import Json, Policies, Tenant
from agentguard.cli.screen import say, say_json
from agentguard.config import Settings, open_desk, own_key
from agentguard.errors import ConfigurationError
from agentguard.model.approvals import Decision, Resolution, State

app = typer.Typer(help="See what waits for people, and decide it with your own key.", no_args_is_help=True)

RequestId = Annotated[str, typer.Argument(metavar="ID", help="The request's id, or its first characters (6 or more).")]
Comment = Annotated[str, typer.Option("--comment", "-m", help="Your words; the model reads them when you reject.")]
Name = Annotated[str | None, typer.Option("--as", help="Who you are in approvers.yaml, where you have several keys.")]
Card = Annotated[str | None, typer.Option("--card", help="Digest of the card that you saw; refused if it is another.")]
DEFAULT = Path("tool_policies")
ID_LENGTH = 32
SHORT = 6
"""So many first characters may stand for an id."""


@app.command("list")
def list_(
    policies: Policies = DEFAULT,
    tenant: Tenant = "default",
    everything: Annotated[bool, typer.Option("--all", help="Ended requests too.")] = False,
    json: Json = False,
) -> None:
    """List the requests that wait for a decision."""

    async def listing() -> Sequence[Stored]:
        async with open_desk(policies, Settings(), tenant=tenant) as desk:
            return await desk.list(tuple(State) if everything else [State.PENDING])

    found = anyio.run(listing)
    if json:
        say_json([request_json(stored) for stored in found])
        return
    for stored in found:
        print_line(stored)
    if not found:
        say("nothing waits for a decision")


@app.command()
def show(request_id: RequestId, policies: Policies = DEFAULT, tenant: Tenant = "default", json: Json = False) -> None:
    """Show one request as an approver should see it, whole."""

    async def showing() -> Shown:
        async with open_desk(policies, Settings(), tenant=tenant) as desk:
            return await desk.show(await _whole(desk, request_id))

    shown = anyio.run(showing)
    if json:
        say_json(request_json(shown.stored))
    else:
        print_card(shown)


@app.command()
def approve(
    request_id: RequestId,
    comment: Comment = "",
    name: Name = None,
    card: Card = None,
    policies: Policies = DEFAULT,
    tenant: Tenant = "default",
) -> None:
    """Approve exactly this call, once."""
    _decide(request_id, Decision.APPROVE, comment, name, card, policies, tenant)


@app.command()
def reject(
    request_id: RequestId,
    comment: Comment = "",
    name: Name = None,
    card: Card = None,
    policies: Policies = DEFAULT,
    tenant: Tenant = "default",
) -> None:
    """Reject the call; one rejection ends it."""
    _decide(request_id, Decision.REJECT, comment, name, card, policies, tenant)


def _decide(
    request_id: str,
    decision: Decision,
    comment: str,
    name: str | None,
    card: str | None,
    policies: Path,
    tenant: str,
) -> None:
    settings = Settings()
    person, key = own_key(settings, name)

    async def deciding() -> Resolution:
        async with open_desk(policies, settings, tenant=tenant) as desk:
            shown = await desk.show(await _whole(desk, request_id))
            seen = card or _look_at(shown, decision)
            return await desk.decide(
                shown.stored.request.id, person=person, key=key, decision=decision, comment=comment, card_digest=seen
            )

    resolution = anyio.run(deciding)
    say(f"{decision.value} by {person} is on record; the request is {resolution.state.value}")


async def _whole(desk: Desk, given: str) -> str:
    """The id that these first characters mean; the text itself where they mean none or several."""
    if not SHORT <= len(given) < ID_LENGTH:
        return given
    named = [stored.request.id for stored in await desk.list(tuple(State)) if stored.request.id.startswith(given)]
    return named[0] if len(named) == 1 else given


def _look_at(shown: Shown, decision: Decision) -> str:
    """Show the card and have it confirmed; gives the digest of what was shown."""
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "nobody is at the terminal to look at the card: say which card was seen with --card DIGEST "
            "(`agentguard approvals show ID --json` prints it)"
        )
    print_card(shown)
    if not typer.confirm(f"{decision.value} exactly this call?"):
        raise typer.Abort
    return shown.card_digest
