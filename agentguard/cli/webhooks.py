"""`agentguard webhooks`: messages that could not be sent to webhooks and chats, and sending them again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
import typer

from agentguard.cards import line
from agentguard.cards.outcome import clock
from agentguard.cli.options import Json, Tenant
from agentguard.cli.screen import say, say_json
from agentguard.config import Settings, open_connection
from agentguard.errors import ConfigurationError, DecisionRefused
from agentguard.server.outbox import DEAD_MAX, Delivery, Outbox
from agentguard.store.names import Names

app = typer.Typer(help="Messages that could not be sent to webhooks and chats.", no_args_is_help=True)


@app.command("dead")
def dead(tenant: Tenant = "default", json: Json = False) -> None:
    """List the messages that were given up, the newest first; exit code 1 where there are any."""

    async def listing() -> Sequence[Delivery]:
        async with _outbox(tenant) as outbox:
            return await outbox.dead_letters(DEAD_MAX)

    letters = anyio.run(listing)
    for letter in letters:
        if json:
            say_json(_told(letter))
        else:
            when = clock(letter.turn.time_ms, "%Y-%m-%d %H:%M UTC")
            said = f"{letter.turn.kind} of {when} to {letter.where}: {letter.trouble}"
            say(line(f"{letter.id}  {said} (attempts: {letter.attempts})"))
    if not letters and not json:
        say("every message was sent, or is still tried")
    if letters:
        raise typer.Exit(1)


@app.command("redeliver")
def redeliver(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="The message's id, as `dead` lists it.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Every one of them.")] = False,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Have a message that was given up sent again, under its old id, by the next server that looks."""
    if bool(letter_id) is everything:
        raise ConfigurationError("say which message: its ID, or --all")

    async def redelivering() -> Sequence[Delivery]:
        async with _outbox(tenant) as outbox:
            wanted = [one for one in await outbox.dead_letters(DEAD_MAX) if everything or one.id == letter_id]
            return [one for one in wanted if await outbox.redeliver(one)]

    sent = anyio.run(redelivering)
    if letter_id and not sent:
        raise DecisionRefused("not_found", "no message of this id was given up; `agentguard webhooks dead` lists them")
    for letter in sent:
        if json:
            say_json(_told(letter))
        else:
            say(line(f"{letter.id} is sent to {letter.where} again"))
    if not sent and not json:
        say("there is nothing to send again")


@asynccontextmanager
async def _outbox(tenant: str) -> AsyncIterator[Outbox]:
    async with open_connection(Settings()) as connection:
        yield Outbox(connection=connection, names=Names(tenant))


def _told(letter: Delivery) -> dict[str, Any]:
    """One message for programs."""
    return {
        "id": letter.id,
        "request": letter.turn.request,
        "kind": letter.turn.kind,
        "state": letter.turn.state.value,
        "time_ms": letter.turn.time_ms,
        "where": letter.where,
        "attempts": letter.attempts,
        "trouble": letter.trouble,
    }
