"""How much one agent may ask of people: the rules of open.lua that keep it to that, on a real server."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest

from agentguard.approval import Channel, How, Opened, RecordMac, Restraint
from agentguard.errors import AskedTooMuch
from agentguard.model.approvals import Decision, State
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.approval.conftest import MAC_KEY
from tests.approval.people import a_principal, a_request, a_vote

pytestmark = pytest.mark.anyio

FEW = Restraint(pending=3)
SLOW = Restraint(per_minute=3, pause_ms=60_000)
REMEMBERS = Restraint(after_rejection_ms=600_000)
FORGETS = Restraint(after_rejection_ms=0)


@pytest.fixture
def agent(connection: Connection, tenant: str) -> Channel:
    """The agent's side, in a tenant of this test's own."""
    return Channel(connection=connection, names=Names(tenant), mac=RecordMac(keys=[MAC_KEY]))


async def ask(agent: Channel, restraint: Restraint, *, name: str = "clerk", **changed: Any) -> Opened:
    """A call of this agent's, asked about."""
    principal = a_principal(tenant=agent.names.tenant, agent=name)
    return await agent.open(a_request(principal=principal, **changed), b"", restraint)


async def reject(agent: Channel, opened: Opened) -> None:
    """Ann's no."""
    stored = opened.stored
    vote = a_vote(stored.request, "ann", Decision.REJECT, time_ms=stored.now_ms)
    await agent.vote(vote, stored.version, State.REJECTED)


async def waits(agent: Channel) -> int:
    """How many requests people see."""
    return len(await agent.list((State.PENDING,)))


async def events(agent: Channel) -> int:
    """How much was told so far."""
    return int(await agent.connection.execute("XLEN", agent.names.events))


async def test_t19_only_so_many_requests_of_one_agent_wait_at_once(agent: Channel) -> None:
    """Whatever would be more opens nothing and tells nobody; another agent still asks."""
    for _ in range(3):
        await ask(agent, FEW)
    told = await events(agent)
    with pytest.raises(AskedTooMuch) as refused:
        await ask(agent, FEW)
    other = await ask(agent, FEW, name="other")

    assert refused.value.code == "crowded"
    assert other.how is How.CREATED
    assert (await waits(agent), await events(agent)) == (4, told + 1)


@pytest.mark.parametrize("end", ["rejected", "withdrawn", "overdue"])
async def test_what_people_are_done_with_waits_no_longer(agent: Channel, end: str) -> None:
    """A decision, a withdrawal and a deadline each make room for one more."""
    first, *_ = [await ask(agent, FEW) for _ in range(3)]
    request = first.stored.request
    match end:
        case "rejected":
            await reject(agent, first)
        case "withdrawn":
            await agent.withdraw(request.id, "not needed")
        case _:
            past = first.stored.now_ms - 1
            await agent.connection.execute("ZADD", agent.names.waiting("clerk"), past, request.id)

    more = await ask(agent, FEW)
    with pytest.raises(AskedTooMuch):
        await ask(agent, FEW)
    assert more.how is How.CREATED


async def test_t19_of_many_that_ask_at_once_no_more_than_may_wait_are_opened(agent: Channel) -> None:
    """Ten thousand would do the same: counting and opening is one move."""
    asked = await asyncio.gather(*(ask(agent, FEW) for _ in range(200)), return_exceptions=True)

    assert sum(isinstance(each, Opened) for each in asked) == 3
    assert sum(isinstance(each, AskedTooMuch) for each in asked) == 197
    assert await waits(agent) == 3


async def test_t19_an_agent_that_asks_too_often_is_paused(agent: Channel) -> None:
    """The fourth in a minute is refused, and so is whatever it asks until the pause is over, also once the minute is."""
    for _ in range(3):
        await ask(agent, SLOW)
    with pytest.raises(AskedTooMuch) as refused:
        await ask(agent, SLOW)
    await agent.connection.execute("DEL", agent.names.asked("clerk"))
    with pytest.raises(AskedTooMuch) as still:
        await ask(agent, SLOW)
    left = await agent.connection.execute("PTTL", agent.names.paused("clerk"))
    await agent.connection.execute("DEL", agent.names.paused("clerk"))
    later = await ask(agent, SLOW)

    assert (refused.value.code, still.value.code) == ("paused", "paused")
    assert refused.value.until_ms == still.value.until_ms > 0
    assert 50_000 < left <= 60_000
    assert later.how is How.CREATED


async def test_a_question_that_is_over_still_counts_in_its_minute(agent: Channel) -> None:
    """Asking and taking back a thousand times tires people as well."""
    for _ in range(3):
        opened = await ask(agent, SLOW)
        await agent.withdraw(opened.stored.request.id, "changed its mind")

    with pytest.raises(AskedTooMuch):
        await ask(agent, SLOW)


async def test_what_opens_nothing_new_is_no_question(agent: Channel) -> None:
    """The same opening once more, the same call again, and one that joins it are let through at the cap."""
    tight = Restraint(pending=1, per_minute=1)
    principal = a_principal(tenant=agent.names.tenant)
    request = a_request(principal=principal)
    first = await agent.open(request, b"", tight)
    found = await agent.open(first.stored.request.model_copy(update={"id": secrets.token_hex(16)}), b"", tight)
    changes = {"id": secrets.token_hex(16), "call_id": "another"}
    joined = await agent.open(first.stored.request.model_copy(update=changes), b"", tight)

    assert (found.how, joined.how) == (How.FOUND, How.JOINED)
    assert {found.stored.request.id, joined.stored.request.id} == {request.id}


async def test_t19_a_call_that_was_just_rejected_finds_that_rejection(agent: Channel) -> None:
    """Under a new call id too: nobody is asked, and the record of the no is what it gets."""
    first = await ask(agent, REMEMBERS, digest="d" * 64)
    await reject(agent, first)
    told = await events(agent)
    again = [await ask(agent, REMEMBERS, digest="d" * 64) for _ in range(3)]

    assert {each.how for each in again} == {How.FOUND}
    assert {each.stored.request.id for each in again} == {first.stored.request.id}
    assert {each.stored.state for each in again} == {State.REJECTED}
    assert await events(agent) == told


@pytest.mark.parametrize("why", ["another digest", "another session", "long ago", "not for long"])
async def test_a_rejection_is_the_answer_to_that_call_alone_and_for_a_while(agent: Channel, why: str) -> None:
    """Other arguments, another session, and the same call after that time ask anew."""
    first = await ask(agent, REMEMBERS, digest="d" * 64)
    await reject(agent, first)
    digest, session, restraint = "d" * 64, "thread-1", REMEMBERS
    match why:
        case "another digest":
            digest = "e" * 64
        case "another session":
            session = "thread-2"
        case "long ago":
            past = first.stored.now_ms - 600_001
            await agent.connection.execute("ZADD", agent.names.ended, past, first.stored.request.id)
        case _:
            restraint = FORGETS
    principal = a_principal(tenant=agent.names.tenant, session=session)
    again = await agent.open(a_request(principal=principal, digest=digest), b"", restraint)

    assert again.how is How.CREATED


async def test_a_rejection_whose_time_is_lost_counts_from_the_deadline(agent: Channel) -> None:
    """Where nobody knows when, it is the answer for as long as it could be."""
    first = await ask(agent, REMEMBERS, digest="d" * 64)
    await reject(agent, first)
    await agent.connection.execute("ZREM", agent.names.ended, first.stored.request.id)

    assert (await ask(agent, REMEMBERS, digest="d" * 64)).how is How.FOUND


async def test_keys_that_bound_an_agent_lapse_by_themselves(agent: Channel) -> None:
    """An agent that never asks again leaves nothing for ever."""
    await ask(agent, Restraint(pending=1, per_minute=1))
    with pytest.raises(AskedTooMuch):
        await ask(agent, Restraint(pending=1, per_minute=1))
    keys = [name("clerk") for name in (agent.names.waiting, agent.names.asked, agent.names.paused)]

    assert all([await agent.connection.execute("PTTL", key) > 0 for key in keys])
