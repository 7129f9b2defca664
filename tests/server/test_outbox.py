"""The outbox of messages in Redis: each is there once, is given out to one server at a time, and is gone once it was sent."""

from __future__ import annotations

import secrets

import pytest

from agentguard.approval import Channel, Turn
from agentguard.model.approvals import State
from agentguard.server.outbox import Delivery, Outbox
from agentguard.store.redis import Connection
from tests.approval.people import ONE
from tests.server.serving import opened

pytestmark = pytest.mark.anyio


@pytest.fixture
def tenant() -> str:
    """A tenant of one test's own."""
    return f"tenant-{secrets.token_hex(6)}"


@pytest.fixture
async def outbox(connection: Connection, agent: Channel) -> Outbox:
    """One server's look at it."""
    return Outbox(connection=connection, names=agent.names)


@pytest.fixture
async def other(connection: Connection, agent: Channel) -> Outbox:
    """Another server's."""
    return Outbox(connection=connection, names=agent.names)


@pytest.fixture
async def message(outbox: Outbox, agent: Channel) -> Delivery:
    """A message that is to be sent."""
    request = await opened(agent, ONE)
    turn = Turn(kind="request.opened", request=request.id, state=State.PENDING, time_ms=request.opened_ms)
    made = Delivery(endpoint="e" * 16, where="hooks.acme.example", turn=turn, attempts=0, trouble="")
    await put(outbox, made)
    return made


async def put(outbox: Outbox, message: Delivery) -> None:
    """Put a message into the outbox, as whoever reads its event does."""
    cursor = await outbox.cursor()
    await outbox.take(cursor, cursor, [message])


def failed(message: Delivery) -> Delivery:
    """The same after one more attempt that failed."""
    return message.model_copy(update={"attempts": message.attempts + 1, "trouble": "answered 500"})


async def is_given_out(outbox: Outbox) -> bool:
    """Whether something is to be sent now."""
    return (await outbox.claim()).delivery is not None


async def test_a_message_is_given_to_one_server_at_a_time(outbox: Outbox, other: Outbox, message: Delivery) -> None:
    """Until its attempt is over."""
    assert (await outbox.claim()).delivery == message
    assert not await is_given_out(other)


async def test_a_message_that_was_sent_stays_sent_whatever_a_late_server_says(
    outbox: Outbox, other: Outbox, message: Delivery
) -> None:
    """One attempt took longer than its lease, so another server sent it too: what the first says last brings it back to nobody."""
    await outbox.claim()
    await other.settle(message, "sent")

    await outbox.settle(failed(message), "again")

    assert not await is_given_out(other)
    assert await outbox.counts() == (0, 0)
    assert await outbox.undelivered(message.turn.request) == []


async def test_an_event_that_is_read_again_changes_nothing_about_its_message(
    outbox: Outbox, other: Outbox, message: Delivery
) -> None:
    """It waits for its next attempt, and knows how many there were."""
    await outbox.claim()
    await outbox.settle(failed(message), "again", delay_ms=60_000)

    await put(other, message)

    assert not await is_given_out(other)
    assert [each.attempts for each in await outbox.undelivered(message.turn.request)] == [1]
    await outbox.settle(failed(message), "again")
    assert (await other.claim()).delivery == failed(message)


async def test_a_dead_letter_that_two_people_have_sent_again_is_sent_once(
    outbox: Outbox, other: Outbox, message: Delivery
) -> None:
    """Also where it was sent before the second came."""
    await outbox.settle(failed(message), "dead")
    (letter,) = await other.dead_letters()

    first = await outbox.redeliver(letter)
    sent = (await outbox.claim()).delivery
    await outbox.settle(message, "sent")
    second = await other.redeliver(letter)

    assert (first, sent is not None and sent.id, second) == (True, message.id, False)
    assert not await is_given_out(other)


async def test_a_dead_letter_whose_message_is_just_being_sent_is_not_sent_beside_it(
    outbox: Outbox, other: Outbox, message: Delivery
) -> None:
    """Its event was read again after it had been given up."""
    await outbox.settle(failed(message), "dead")
    await put(outbox, message)
    await outbox.claim()

    (letter,) = await other.dead_letters()
    await other.redeliver(letter)

    assert not await is_given_out(other)
    assert await outbox.counts() == (1, 0)
