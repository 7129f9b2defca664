"""Waiting calls learn of every decision, whatever happens to the line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from agentguard.approval import Channel, Desk, RecordMac, Stored, Waiter, Waiters
from agentguard.errors import DecisionRefused, GuardUnavailable, RequestNotFound
from agentguard.model.approvals import Decision, State
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.approval.conftest import MAC_KEY
from tests.approval.people import KEYS, ROSTER, TENANT, a_request
from tests.approval.server import Server

pytestmark = pytest.mark.anyio

NEVER = 3_600.0
"""Seconds between re-readings where a test wants to see that events alone wake."""


@pytest.fixture
async def waiters(agent: Channel) -> AsyncIterator[Waiters]:
    """Waiters that only events wake."""
    waiters = Waiters(channel=agent, reread_seconds=NEVER)
    yield waiters
    await waiters.close()


async def opened(agent: Channel) -> Stored:
    """A new request."""
    return (await agent.open(a_request(), b"sealed")).stored


def waiting(waiters: Waiters, stored: Stored, deadline_ms: int | None = None) -> asyncio.Task[Stored]:
    """A call that waits."""
    return asyncio.create_task(waiters.wait(stored.request.id, deadline_ms or stored.request.deadline_ms))


async def approve(desk: Desk, stored: Stored) -> None:
    """Ann approves."""
    await desk.decide(
        stored.request.id, person="ann", key=KEYS["ann"], decision=Decision.APPROVE, card_digest=stored.request.card.digest()
    )  # fmt: skip


async def listening(waiters: Waiters) -> None:
    """Return once everybody who waits was read and the reader stands in its blocking read."""
    while waiters._due or not waiters._tasks:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.05)


class Looked(dict[str, list[Waiter]]):
    """Those who wait; counts how often somebody goes through all of them."""

    times = 0

    def __iter__(self) -> Iterator[str]:
        self.times += 1
        return super().__iter__()


async def test_a_decision_wakes_its_waiter(agent: Channel, desk: Desk, waiters: Waiters) -> None:
    """The waiter gets the record, with votes and sealed input."""
    # given
    stored = await opened(agent)
    call = waiting(waiters, stored)
    await listening(waiters)

    # when
    await approve(desk, stored)
    answer = await asyncio.wait_for(call, 10)

    # then
    assert (answer.state, answer.sealed_input, [vote.person for vote in answer.votes]) == (
        State.APPROVED,
        b"sealed",
        ["ann"],
    )


async def test_t4_what_was_decided_before_the_wait_is_seen(agent: Channel, desk: Desk, waiters: Waiters) -> None:
    """No event comes any more; the first reading tells."""
    stored = await opened(agent)
    await approve(desk, stored)
    assert (await asyncio.wait_for(waiting(waiters, stored), 10)).state is State.APPROVED


async def test_t38_each_call_has_its_own_answer(agent: Channel, desk: Desk, waiters: Waiters) -> None:
    """Deciding one wakes it alone."""
    # given
    one, other = await opened(agent), await opened(agent)
    calls = [waiting(waiters, one), waiting(waiters, other)]
    await listening(waiters)

    # when
    await approve(desk, one)
    await asyncio.wait_for(calls[0], 10)

    # then
    assert not calls[1].done()
    await agent.withdraw(other.request.id, "")
    assert (await asyncio.wait_for(calls[1], 10)).state is State.WITHDRAWN


async def test_t37_a_decision_is_no_work_for_whoever_waits_beside_it(agent: Channel, desk: Desk) -> None:
    """With thousands that wait, looking at each of them once for each event would be most of the work."""
    beside = Looked()
    waiters = Waiters(channel=agent, reread_seconds=NEVER, _waiting=beside)
    stored = [await opened(agent) for _ in range(2)]
    calls = [waiting(waiters, each) for each in stored]
    await listening(waiters)
    beside.times = 0

    await approve(desk, stored[0])
    await asyncio.wait_for(calls[0], 10)

    assert (beside.times, calls[1].done()) == (0, False)
    calls[1].cancel()
    await waiters.close()


async def test_several_may_wait_for_one_request(agent: Channel, desk: Desk, waiters: Waiters) -> None:
    """All of them learn."""
    stored = await opened(agent)
    calls = [waiting(waiters, stored) for _ in range(5)]
    await listening(waiters)
    await approve(desk, stored)
    assert {answer.state for answer in await asyncio.wait_for(asyncio.gather(*calls), 10)} == {State.APPROVED}


async def test_t4_without_any_event_the_record_is_read_again(agent: Channel, desk: Desk) -> None:
    """An event that never came costs a few seconds, not the decision."""
    # given
    waiters = Waiters(channel=agent, reread_seconds=0.1)
    deaf = replace(desk, channel=replace(desk.channel, names=_Elsewhere(TENANT)))
    stored = await opened(agent)
    call = waiting(waiters, stored)
    await listening(waiters)

    # when
    await approve(deaf, stored)

    # then
    assert (await asyncio.wait_for(call, 10)).state is State.APPROVED
    await waiters.close()


class _Elsewhere(Names):
    """The tenant's keys, with the events somewhere that nobody listens to."""

    @property
    def events(self) -> str:
        return f"{super().events}:elsewhere"


async def test_at_its_deadline_a_call_is_expired(agent: Channel, waiters: Waiters) -> None:
    """By Redis's clock; the end is announced."""
    # given
    stored = await opened(agent)
    soon = agent.clock.now_ms() + 100
    await agent.connection.execute("HSET", agent.names.request(stored.request.id), "deadline_ms", soon)

    # when
    answer = await asyncio.wait_for(waiting(waiters, stored, soon), 10)

    # then
    assert (answer.state, answer.now_ms >= soon) == (State.EXPIRED, True)
    events = await agent.connection.execute("XRANGE", agent.names.events, "-", "+")
    assert [fields[b"kind"] for _, fields in events] == [b"opened", b"expired"]


async def test_a_waiter_that_is_cancelled_is_forgotten(agent: Channel, waiters: Waiters) -> None:
    """Nothing is kept for it."""
    # given
    stored = await opened(agent)
    call = waiting(waiters, stored)
    await listening(waiters)

    # when
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)

    # then
    assert waiters._waiting == {}
    assert (await agent.read(stored.request.id)).state is State.PENDING


async def test_many_that_were_forgotten_leave_nothing_behind(agent: Channel, waiters: Waiters) -> None:
    """Calls that give up long before their deadline are not kept until then."""
    stored = await opened(agent)
    kept = waiting(waiters, stored)
    await asyncio.sleep(0)
    gone = [Waiter(f"{number:032x}", stored.request.deadline_ms, lambda _: None) for number in range(1_000)]
    for waiter in gone:
        waiters.begin(waiter)
    for waiter in gone:
        waiters.forget(waiter)

    assert len(waiters._deadlines) < 100
    assert list(waiters._waiting) == [stored.request.id]
    kept.cancel()
    await asyncio.gather(kept, return_exceptions=True)


async def test_a_waiter_that_gave_up_before_it_began_is_told_nothing(agent: Channel, waiters: Waiters) -> None:
    """Its caller went while it was on its way to the reader's loop."""
    stored = await opened(agent)
    told: list[object] = []
    waiter = Waiter(stored.request.id, stored.request.deadline_ms, told.append)
    waiter.tell = None
    waiters.begin(waiter)
    await agent.withdraw(stored.request.id, "")

    assert (told, waiters._waiting) == ([], {})


async def test_each_deadline_ends_its_own_wait(agent: Channel, waiters: Waiters) -> None:
    """One timer for all: the first deadline ends the first, whatever order they began in; the others wait on."""
    later, sooner = await opened(agent), await opened(agent)
    now = agent.clock.now_ms()
    for stored, deadline in ((later, now + 600_000), (sooner, now + 60)):
        await agent.connection.execute("HSET", agent.names.request(stored.request.id), "deadline_ms", deadline)
    waits_on = waiting(waiters, later, now + 600_000)
    ended = await asyncio.wait_for(waiting(waiters, sooner, now + 60), 10)

    assert (ended.request.id, ended.state) == (sooner.request.id, State.EXPIRED)
    assert not waits_on.done()
    waits_on.cancel()
    await asyncio.gather(waits_on, return_exceptions=True)


async def test_waiting_for_nothing_is_not_found(agent: Channel, waiters: Waiters) -> None:
    """An id that nobody opened."""
    with pytest.raises(RequestNotFound):
        await asyncio.wait_for(waiters.wait("nobody", agent.clock.now_ms() + 60_000), 10)


async def test_t32_a_forged_record_ends_the_wait(agent: Channel, waiters: Waiters) -> None:
    """The waiter is told, and does not run."""
    # given
    stored = await opened(agent)
    await agent.connection.execute("HSET", agent.names.request(stored.request.id), "record", "{}")
    await agent.connection.execute("HSET", agent.names.votes(stored.request.id), "resolution", "approved")

    # when / then
    with pytest.raises(DecisionRefused) as refused:
        await asyncio.wait_for(waiting(waiters, stored), 10)
    assert refused.value.code == "forged"


async def test_closing_tells_who_still_waits(agent: Channel, waiters: Waiters) -> None:
    """A guard that closes leaves nobody hanging."""
    stored = await opened(agent)
    call = waiting(waiters, stored)
    await listening(waiters)
    await waiters.close()
    with pytest.raises(GuardUnavailable):
        await asyncio.wait_for(call, 10)


async def test_when_nobody_waits_nothing_reads(agent: Channel, desk: Desk) -> None:
    """The readers end with their last waiter, and start again with the next."""
    # given
    waiters = Waiters(channel=agent, block_ms=50)
    first, second = await opened(agent), await opened(agent)
    call = waiting(waiters, first)
    await approve(desk, first)
    await asyncio.wait_for(call, 10)

    # when
    readers = list(waiters._tasks)
    await asyncio.wait_for(asyncio.gather(*readers, return_exceptions=True), 10)

    # then
    assert waiters._tasks == []
    call = waiting(waiters, second)
    await approve(desk, second)
    assert (await asyncio.wait_for(call, 10)).state is State.APPROVED
    await waiters.close()


@pytest.mark.slow
async def test_t37_a_thousand_waiters_each_wake(own_server: Server) -> None:
    """One process, a thousand calls, at most 16 connections to the server in all, each answered with its own request."""
    # given
    agent = await _side(own_server, MAC_KEY)
    waiters = Waiters(channel=agent, reread_seconds=NEVER)
    stored = [await opened(agent) for _ in range(1_000)]
    calls = [waiting(waiters, one) for one in stored]
    await listening(waiters)

    # when
    clients = await agent.connection.execute("CLIENT", "LIST")
    for start in range(0, 1_000, 50):
        await asyncio.gather(*(agent.withdraw(one.request.id, "") for one in stored[start : start + 50]))
    answers = await asyncio.wait_for(asyncio.gather(*calls), 20)

    # then
    assert [answer.request.id for answer in answers] == [one.request.id for one in stored]
    assert len(clients.splitlines()) <= 16
    await waiters.close()
    await agent.connection.close()


async def _side(server: Server, key: bytes | None) -> Channel:
    connection = await Connection.open(server.url)
    return Channel(connection=connection, names=Names(TENANT), mac=None if key is None else RecordMac(keys=[key]))


async def decided_by_a_new_line(server: Server, stored: Stored) -> None:
    """Ann approves over a connection of her own."""
    channel = await _side(server, None)
    await approve(Desk(channel=channel, roster=ROSTER), stored)
    await channel.connection.close()


@pytest.mark.parametrize("downtime_seconds", [0.0, 0.3])
async def test_t4_a_waiter_survives_the_death_of_its_server(own_server: Server, downtime_seconds: float) -> None:
    """Killed, started again on its data, decided meanwhile: the waiter learns by itself."""
    # given
    agent = await _side(own_server, MAC_KEY)
    waiters = Waiters(channel=agent, reread_seconds=NEVER)
    stored = await opened(agent)
    call = waiting(waiters, stored)
    await listening(waiters)

    # when
    own_server.kill()
    await asyncio.sleep(downtime_seconds)
    own_server.start()
    await decided_by_a_new_line(own_server, stored)

    # then
    assert (await asyncio.wait_for(call, 8)).state is State.APPROVED
    await waiters.close()
    await agent.connection.close()


async def test_t4_a_waiter_survives_links_that_are_cut(agent: Channel, desk: Desk, waiters: Waiters) -> None:
    """Every connection is closed by the server; the decision comes through."""
    # given
    stored = await opened(agent)
    call = waiting(waiters, stored)
    await listening(waiters)

    # when
    await desk.channel.connection.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await approve(desk, stored)

    # then
    assert (await asyncio.wait_for(call, 8)).state is State.APPROVED


async def test_t5_the_deadline_holds_while_the_server_is_away(own_server: Server) -> None:
    """The call does not run and does not hang: the error says that Redis is away."""
    # given
    agent = await _side(own_server, MAC_KEY)
    waiters = Waiters(channel=agent)
    stored = await opened(agent)
    call = waiting(waiters, stored, agent.clock.now_ms() + 500)
    await listening(waiters)

    # when
    own_server.kill()

    # then
    with pytest.raises(GuardUnavailable):
        await asyncio.wait_for(call, 8)
    await waiters.close()
    await agent.connection.close()


@pytest.mark.slow
async def test_t4_a_waiter_survives_a_server_that_was_frozen(own_server: Server) -> None:
    """A server that answered nobody for a while, and goes on."""
    # given
    agent = await _side(own_server, MAC_KEY)
    waiters = Waiters(channel=agent, block_ms=200, reread_seconds=0.2)
    stored = await opened(agent)
    call = waiting(waiters, stored)
    await listening(waiters)

    # when
    own_server.freeze()
    await asyncio.sleep(1.0)
    own_server.thaw()
    await decided_by_a_new_line(own_server, stored)

    # then
    assert (await asyncio.wait_for(call, 10)).state is State.APPROVED
    await waiters.close()
    await agent.connection.close()
