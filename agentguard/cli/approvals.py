"""`agentguard approvals`: see what waits, and decide it with your own key."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import anyio
import typer

from agentguard.approval import Desk, Run, Shown, Steps, Stored
from agentguard.cli.cards import print_card, print_line, print_runs, request_json
from agentguard.cli.durations import milliseconds
from agentguard.cli.keys import my_key
from agentguard.cli.lazily import lazily
from agentguard.cli.options import DEFAULT_FOLDER, Json, Name, Policies, Tenant
from agentguard.cli.screen import say, say_json
from agentguard.config import Settings, open_desk
from agentguard.errors import ConfigurationError, DecisionRefused, RequestNotFound
from agentguard.model.approvals import Because, Decision, Found, Grant, Offer, Resolution, Settlement, State

_COMMANDS = {
    "turn": (
        "agentguard.cli.turns:app",
        "The calls of one turn together: all of them, or none.",
    ),
}

app = typer.Typer(
    cls=lazily(_COMMANDS), help="See what waits for people, and decide it with your own key.", no_args_is_help=True
)

RequestId = Annotated[str, typer.Argument(metavar="ID", help="The request's id, or its first characters (6 or more).")]
Comment = Annotated[str, typer.Option("--comment", "-m", help="Your words; the model reads them when you reject.")]
Usual = Annotated[
    str | None, typer.Option("--because", help=f"A usual reason: {', '.join(each.word for each in Because)}.")
]
Card = Annotated[str | None, typer.Option("--card", help="Digest of the card that you saw; refused if it is another.")]
ID_LENGTH = 32
SHORT = 6
"""So many first characters may stand for an id."""


class _Wanted(NamedTuple):
    """What somebody wants to grant along with an approval; what they don't say is as much as the policy offers."""

    lasting: str | None
    uses: int | None
    any_session: bool

    def of(self, offer: Offer | None) -> Grant:
        """The grant, within or beyond what is offered."""
        seconds = milliseconds(self.lasting, option="--for") // 1000 if self.lasting else offer.seconds if offer else 1
        uses = self.uses if self.uses is not None else offer.uses if offer else 1
        return Grant(seconds=seconds, uses=uses, session=not self.any_session)


@app.command("list")
def list_(
    policies: Policies = DEFAULT_FOLDER,
    tenant: Tenant = "default",
    everything: Annotated[bool, typer.Option("--all", help="Ended requests too.")] = False,
    undone: Annotated[bool, typer.Option("--undone", help="Instead: what may happen once and may have.")] = False,
    json: Json = False,
) -> None:
    """List the requests that wait for a decision."""

    async def listing() -> tuple[Sequence[Stored], Sequence[Run]]:
        async with open_desk(policies, Settings(), tenant=tenant) as desk:
            await Steps(channel=desk.channel).take_due()
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
def show(
    request_id: RequestId, policies: Policies = DEFAULT_FOLDER, tenant: Tenant = "default", json: Json = False
) -> None:
    """Show one request as an approver should see it, whole."""

    async def showing() -> Shown:
        async with open_desk(policies, Settings(), tenant=tenant) as desk:
            return await desk.show(await whole_id(desk, request_id))

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
    policies: Policies = DEFAULT_FOLDER,
    tenant: Tenant = "default",
    lasting: Annotated[
        str | None, typer.Option("--for", help="Grant further calls like this one for so long: 30m, 4h.")
    ] = None,
    uses: Annotated[int | None, typer.Option("--uses", help="Grant so many further calls like this one.")] = None,
    any_session: Annotated[
        bool, typer.Option("--any-session", help="Grant them in other sessions of this agent and user too.")
    ] = False,
) -> None:
    """Approve exactly this call, once; with --for or --uses also further ones like it, where the policy offers that."""
    wanted = _Wanted(lasting, uses, any_session) if lasting or uses is not None or any_session else None
    _decide(request_id, Decision.APPROVE, comment, name, card, policies, tenant, wanted)


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
    """Reject the call; one rejection ends it, unless the policy wants several."""
    _decide(request_id, Decision.REJECT, in_words(because, comment), name, card, policies, tenant)


@app.command()
def edit(
    request_id: RequestId,
    changes: Annotated[
        list[str], typer.Option("--set", help="NAME=VALUE: an argument and its new value, as JSON or plain text.")
    ],
    comment: Annotated[str, typer.Option("--comment", "-m", help="Your words, for the record.")] = "",
    name: Name = None,
    card: Card = None,
    policies: Policies = DEFAULT_FOLDER,
    tenant: Tenant = "default",
) -> None:
    """Change arguments; the changed call is checked by its agent, and waits as a new revision for approval."""
    settings = Settings()
    person, key = my_key(settings, name)
    wanted = dict(map(changed, changes))

    async def editing() -> Shown:
        async with open_desk(policies, settings, tenant=tenant) as desk:
            shown = await desk.show(await whole_id(desk, request_id))
            seen = card or _look_at(shown, "edit")
            made = await desk.edit(
                shown.stored.request.id, wanted, person=person, key=key, card_digest=seen, comment=comment
            )
            await desk.answered(made)
            return await desk.show(made.request)

    shown = anyio.run(editing)
    print_card(shown)
    request = shown.stored.request
    say(
        f"revision {request.revision} waits for approval: agentguard approvals approve {request.id} --card {shown.card_digest}"
    )


@app.command()
def settle(
    request_id: Annotated[str, typer.Argument(metavar="ID", help="The id in the refusal, or of the request.")],
    happened: Annotated[
        bool, typer.Option("--happened", help="You found out at the tool's other end that it did.")
    ] = False,
    did_not: Annotated[bool, typer.Option("--did-not", help="You found out that it did not.")] = False,
    comment: Annotated[str, typer.Option("--comment", "-m", help="How you found out.")] = "",
    name: Name = None,
    policies: Policies = DEFAULT_FOLDER,
    tenant: Tenant = "default",
) -> None:
    """Say whether a call that may have run did."""
    if happened is did_not:
        raise ConfigurationError("what did you find out? write one of --happened and --did-not")
    settings = Settings()
    person, key = my_key(settings, name)
    found = Found.HAPPENED if happened else Found.DID_NOT

    async def settling() -> Settlement:
        async with open_desk(policies, settings, tenant=tenant) as desk:
            subject = await whole_id(desk, request_id)
            try:
                return await desk.settle(subject, found, person=person, key=key, comment=comment)
            except RequestNotFound as error:
                told = f"nothing of {subject[:80]!r} began to run here; `agentguard approvals list --undone` and `list --all` show"
                raise DecisionRefused(error.code, f"{told} what did") from None

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
    wanted: _Wanted | None = None,
) -> None:
    settings = Settings()
    person, key = my_key(settings, name)

    async def deciding() -> Resolution:
        async with open_desk(policies, settings, tenant=tenant) as desk:
            shown = await desk.show(await whole_id(desk, request_id))
            seen = card or _look_at(shown, decision.value)
            return await desk.decide(
                shown.stored.request.id,
                person=person,
                key=key,
                decision=decision,
                comment=comment,
                card_digest=seen,
                grant=wanted and wanted.of(shown.stored.request.card.grant),
            )

    resolution = anyio.run(deciding)
    say(f"{decision.value} by {person} is on record; the request is {resolution.state.value}")


async def whole_id(desk: Desk, given: str) -> str:
    """The id that these first characters mean; the text itself where they mean none or several."""
    if not SHORT <= len(given) < ID_LENGTH:
        return given
    named = [stored.request.id for stored in await desk.list(tuple(State)) if stored.request.id.startswith(given)]
    return named[0] if len(named) == 1 else given


def in_words(because: str | None, comment: str) -> str:
    """Why somebody rejects: the sentence of a usual reason, if they name one, and their own words."""
    if because is None:
        return comment
    found = {each.word: each.value for each in Because}
    if because not in found:
        raise ConfigurationError(f"--because is one of {', '.join(found)}; your own words go to --comment")
    return " ".join(filter(None, [found[because], comment]))


def changed(written: str) -> tuple[str, Any]:
    """The argument and the value in NAME=VALUE."""
    name, sign, value = written.partition("=")
    if not sign or not name:
        raise ConfigurationError("--set takes NAME=VALUE, such as --set amount=50")
    try:
        return name, json_module.loads(value)
    except ValueError:
        return name, value


def _look_at(shown: Shown, decision: str) -> str:
    """Show the card and have it confirmed; gives the digest of what was shown."""
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "nobody is at the terminal to look at the card: say which card was seen with --card DIGEST "
            "(`agentguard approvals show ID --json` prints it)"
        )
    print_card(shown)
    if not typer.confirm(f"{decision} exactly this call?"):
        raise typer.Abort
    return shown.card_digest
