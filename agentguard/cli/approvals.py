"""`agentguard approvals`: see what waits, and decide it with your own key."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import anyio
import typer

from agentguard.approval import Desk, Run, Shown, Stored
from agentguard.cli.cards import print_card, print_line, print_runs, request_json
from agentguard.cli.options import Json, Name, Policies, Tenant
from agentguard.cli.screen import say, say_json
from agentguard.config import Settings, open_desk, own_key
from agentguard.errors import ConfigurationError
from agentguard.model.approvals import Decision, Found, Resolution, Settlement, State

app = typer.Typer(help="See what waits for people, and decide it with your own key.", no_args_is_help=True)

RequestId = Annotated[str, typer.Argument(metavar="ID", help="The request's id, or its first characters (6 or more).")]
Comment = Annotated[str, typer.Option("--comment", "-m", help="Your words; the model reads them when you reject.")]
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
    undone: Annotated[bool, typer.Option("--undone", help="Instead: what may happen once and may have.")] = False,
    json: Json = False,
) -> None:
    """List the requests that wait for a decision."""

    async def listing() -> tuple[Sequence[Stored], Sequence[Run]]:
        async with open_desk(policies, Settings(), tenant=tenant) as desk:
            if undone:
                return (), await desk.undone()
            return await desk.list(tuple(State) if everything else [State.PENDING]), ()

    found, runs = anyio.run(listing)
    if undone:
        print_runs(runs, as_json=json)
        return
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


@app.command()
def settle(
    request_id: Annotated[str, typer.Argument(metavar="ID", help="The id in the refusal, or of the request.")],
    happened: Annotated[
        bool | None, typer.Option("--happened/--did-not", help="What you found out at the tool's other end.")
    ] = None,
    comment: Annotated[str, typer.Option("--comment", "-m", help="How you found out.")] = "",
    name: Name = None,
    policies: Policies = DEFAULT,
    tenant: Tenant = "default",
) -> None:
    """Say whether a call that may have run did."""
    if happened is None:
        raise ConfigurationError("what did you find out? --happened or --did-not")
    settings = Settings()
    person, key = own_key(settings, name)
    found = Found.HAPPENED if happened else Found.DID_NOT

    async def settling() -> Settlement:
        async with open_desk(policies, settings, tenant=tenant) as desk:
            subject = await _whole(desk, request_id)
            return await desk.settle(subject, found, person=person, key=key, comment=comment)

    settlement = anyio.run(settling)
    say(f"{settlement.subject} {found.value.replace('-', ' ')}, says {person}; that is on record")


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
