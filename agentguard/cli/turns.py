"""`agentguard approvals turn`: the calls of one turn on one card, and a decision on all of them or on none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import anyio
import typer

from agentguard.cards import TurnFace, turn_of
from agentguard.cli.approvals import Comment, RequestId, Usual, in_words, whole_id
from agentguard.cli.cards import print_turn
from agentguard.cli.keys import my_key
from agentguard.cli.options import DEFAULT_FOLDER, Json, Name, Policies, Tenant
from agentguard.cli.screen import say, say_json
from agentguard.config import Settings, open_desk
from agentguard.errors import ConfigurationError, DecisionRefused
from agentguard.model.approvals import Decision, Resolution

app = typer.Typer(help="The calls of one turn together: all of them, or none.", no_args_is_help=True)

Card = Annotated[
    str | None, typer.Option("--card", help="Digest of the cards that you saw; refused if they are others.")
]


@app.command()
def show(
    request_id: RequestId, policies: Policies = DEFAULT_FOLDER, tenant: Tenant = "default", json: Json = False
) -> None:
    """Show the calls that were asked for in one turn, each card whole."""

    async def showing() -> TurnFace:
        async with open_desk(policies, Settings(), tenant=tenant) as desk:
            return turn_of(await desk.show_turn(await whole_id(desk, request_id)))

    turn = anyio.run(showing)
    if json:
        say_json({"digest": turn.digest, "cards": turn.cards, "requests": [item.id for item in turn.items]})
    else:
        print_turn(turn)


@app.command()
def approve(
    request_id: RequestId,
    comment: Comment = "",
    name: Name = None,
    card: Card = None,
    policies: Policies = DEFAULT_FOLDER,
    tenant: Tenant = "default",
) -> None:
    """Approve exactly the calls of this turn that wait, all of them; if one ended or changed meanwhile, none."""
    _decide(request_id, Decision.APPROVE, comment, name, card, policies, tenant)


@app.command()
def reject(
    request_id: RequestId,
    comment: Comment = "",
    because: Usual = None,
    name: Name = None,
    card: Card = None,
    policies: Policies = DEFAULT_FOLDER,
    tenant: Tenant = "default",
) -> None:
    """Reject the calls of this turn that wait, all of them."""
    _decide(request_id, Decision.REJECT, in_words(because, comment), name, card, policies, tenant)


def _decide(
    request_id: str, decision: Decision, comment: str, name: str | None, card: str | None, policies: Path, tenant: str
) -> None:
    settings = Settings()
    person, key = my_key(settings, name)

    async def deciding() -> list[Resolution]:
        async with open_desk(policies, settings, tenant=tenant) as desk:
            turn = turn_of(await desk.show_turn(await whole_id(desk, request_id)))
            seen = card or _look_at(turn, decision)
            if seen != turn.digest:
                raise DecisionRefused("other_card", "what waits now is not what you saw; look at it again, then decide")
            made = await desk.decide_together(turn.cards, person=person, key=key, decision=decision, comment=comment)
            return list(made)

    for resolution in anyio.run(deciding):
        say(f"{decision.value} by {person} is on record; {resolution.request} is {resolution.state.value}")


def _look_at(turn: TurnFace, decision: Decision) -> str:
    """Show the cards and have them confirmed; gives the digest of what was shown."""
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "nobody is at the terminal to look at the cards: say which were seen with --card DIGEST "
            "(`agentguard approvals turn show ID --json` prints it)"
        )
    print_turn(turn)
    if not typer.confirm(f"{decision.value} exactly these {len(turn.waiting)} calls?"):
        raise typer.Abort
    return turn.digest
