"""Many calls that wait at once, many that redeem at once, and votes that nobody cast."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from agentguard.approval import Desk, sign_vote
from agentguard.audit import read
from agentguard.config import open_desk
from agentguard.errors import CallRefused, OutcomeUnknown, RefusalReason
from agentguard.guard.pipeline import Guard
from agentguard.model.approvals import Decision, Request, State, Vote
from agentguard.store.keys import SigningKey
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.guard.world import World

pytestmark = pytest.mark.anyio

ANN = "ann@acme.example"
USER = "user@acme.example"
CALLS = 1_000
TURN = 50
HANDS = 8


@pytest.fixture
def world(state_dir: Path, valkey_url: str, tenant: str) -> World:
    """A world in which nothing expires while a thousand requests are decided."""
    return World(folder=state_dir, redis_url=valkey_url, tenant=tenant, deadline="10m")


async def begun(world: World, guard: Guard, connection: Connection, start: int) -> list[asyncio.Task[Any]]:
    """As many more calls as a turn has, once all of them wait: a busy machine opens all more slowly than Redis may answer."""
    numbers = range(start, start + TURN)
    calls = [asyncio.create_task(world.call(guard, "refund", f"call-{n}", order_id=n)) for n in numbers]
    async with asyncio.timeout(60):
        while await connection.execute("ZCARD", Names(world.tenant).pending) < start + TURN:
            await asyncio.sleep(0.05)
    return calls


@pytest.mark.slow
async def test_t37_a_thousand_waiting_calls_share_few_connections_and_each_wakes_to_its_own_decision(
    world: World, connection: Connection
) -> None:
    """At most 16 connections while all wait; then every approved call runs, every rejected one is refused, and none waits on."""
    # given
    before = await connections(connection)
    with world.open() as guard, guard.session(user=USER):
        async with open_desk(world.policies, world.settings, tenant=world.tenant) as desk:
            calls = [call for start in range(0, CALLS, TURN) for call in await begun(world, guard, connection, start)]
            requests = [stored.request for stored in await desk.list(at_most=2 * CALLS)]
            opened = await connections(connection) - before

            # when
            await asyncio.gather(*(decide(world, desk, requests[hand::HANDS]) for hand in range(HANDS)))
            ends = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 60)

    # then
    assert len(opened) <= 16
    assert len(requests) == CALLS
    assert sorted(arguments["order_id"] for _, arguments in world.tools.ran) == list(range(0, CALLS, 2))
    assert set(ends[::2]) == {"refunded"}
    assert {reason(end) for end in ends[1::2]} == {RefusalReason.REJECTED}


async def test_t2_fifty_redeems_of_one_approved_request_give_one_permit(world: World) -> None:
    """The same call fifty times, in two guards of one session: one request, one run; the others may not run it again."""
    # given
    with world.open() as one, world.open() as other:
        with one.session(user=USER, id="thread"):
            calls = [asyncio.create_task(world.call(one, "refund", f"one-{n}", order_id=1)) for n in range(25)]
        with other.session(user=USER, id="thread"):
            calls += [asyncio.create_task(world.call(other, "refund", f"other-{n}", order_id=1)) for n in range(25)]
        await all_asked(world, 50)
        (request_id,) = await world.waiting()

        # when
        await world.decide(request_id, "ann")
        ends = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 30)

    # then
    assert len(world.tools.ran) == 1
    assert ends.count("refunded") == 1
    assert {type(end) for end in ends if isinstance(end, BaseException)} <= {OutcomeUnknown, CallRefused}
    assert {reason(end) for end in ends if isinstance(end, CallRefused)} <= {RefusalReason.ALREADY_DONE}


def stranger(world: World, request: Request) -> Vote:
    """Ann's vote, signed with a key that is not hers."""
    return a_vote(request, SigningKey.new())


def another_request(world: World, request: Request) -> Vote:
    """A vote that Ann did sign, for another request."""
    signed = a_vote(request.model_copy(update={"id": "0" * 32}), world.keys["ann"])
    return signed.model_copy(update={"request": request.id})


def another_card(world: World, request: Request) -> Vote:
    """A vote of Ann's on another card than the one that is shown."""
    card = request.card.model_copy(update={"arguments": '{"order_id":2}'})
    return a_vote(request.model_copy(update={"card": card}), world.keys["ann"])


def turned_rejection(world: World, request: Request) -> Vote:
    """Ann's own rejection with the word changed."""
    return a_vote(request, world.keys["ann"], Decision.REJECT).model_copy(update={"decision": Decision.APPROVE})


def unsigned(world: World, request: Request) -> Vote:
    """Ann's vote without a signature."""
    return a_vote(request, world.keys["ann"]).model_copy(update={"signature": ""})


def outsider(world: World, request: Request) -> Vote:
    """A vote that its person did sign, who is in no group that may decide this."""
    return a_vote(request, world.keys["zoe"], person="zoe", groups=("on-call",))


@pytest.mark.parametrize(
    "forge",
    [stranger, another_request, another_card, turned_rejection, unsigned, outsider],
    ids=lambda forge: forge.__name__,
)
async def test_t32_a_vote_written_into_redis_by_hand_gives_no_permit(
    world: World, connection: Connection, forge: Callable[[World, Request], Vote]
) -> None:
    """Whoever can write to Redis can make a request look approved; the agent's side verifies, and does not run it."""
    # given
    names = Names(world.tenant)
    with world.open() as guard, guard.session(user=USER):
        call = asyncio.create_task(world.call(guard, "refund", "call-1", order_id=1))
        (request_id,) = await world.waiting()
        async with open_desk(world.policies, world.settings, tenant=world.tenant) as desk:
            request = (await desk.show(request_id)).stored.request
        vote = forge(world, request)

        # when
        await connection.execute(
            "HSET",
            names.votes(request_id),
            "resolution",
            "approved",
            "version",
            1,
            f"vote:{vote.person}",
            vote.canonical(),
        )
        await connection.execute("XADD", names.events, "*", "request", request_id, "kind", "voted", "state", "approved")
        with pytest.raises(CallRefused) as refused:
            await asyncio.wait_for(call, 30)

    # then
    assert refused.value.reason in {RefusalReason.FORGED, RefusalReason.STALE}
    assert world.tools.ran == []


async def test_t32_a_vote_of_an_earlier_request_counts_for_no_later_one(world: World, connection: Connection) -> None:
    """A genuine vote, copied in Redis from the request that it was for to the next one of the same call."""
    # given
    names = Names(world.tenant)
    with world.open() as guard, guard.session(user=USER, id="thread"):
        first = asyncio.create_task(world.call(guard, "refund", "call-1", order_id=1))
        (first_id,) = await world.waiting()
        await world.decide(first_id, "ann")
        await asyncio.wait_for(first, 30)
        second = asyncio.create_task(world.call(guard, "refund", "call-2", order_id=1))
        (second_id,) = await world.waiting()

        # when
        copied = await connection.execute("HGETALL", names.votes(first_id))
        await connection.execute("HSET", names.votes(second_id), *(part for field in copied.items() for part in field))
        await connection.execute("XADD", names.events, "*", "request", second_id, "kind", "voted", "state", "approved")
        with pytest.raises(CallRefused) as refused:
            await asyncio.wait_for(second, 30)

    # then
    assert refused.value.reason is RefusalReason.FORGED
    assert len(world.tools.ran) == 1
    assert await world.state(second_id) is State.WITHDRAWN


def a_vote(
    request: Request,
    key: SigningKey,
    decision: Decision = Decision.APPROVE,
    *,
    person: str = "ann",
    groups: tuple[str, ...] = ("on-call", "stewards"),
) -> Vote:
    """A vote in this person's name, signed with this key."""
    return sign_vote(
        request, person=person, groups=groups, approvals=("on-call",), decision=decision, comment="",
        card_digest=request.card.digest(), time_ms=request.opened_ms + 1, signer=person, key=key,
    )  # fmt: skip


async def connections(connection: Connection) -> set[bytes]:
    """The connections that the server has, each by its number, which none has again."""
    listed: bytes = await connection.execute("CLIENT", "LIST")
    return {line.split()[0] for line in listed.splitlines()}


async def decide(world: World, desk: Desk, requests: Iterable[Request]) -> None:
    """Approve even orders and reject odd ones."""
    for request in requests:
        even = json.loads(request.card.arguments)["order_id"] % 2 == 0
        decision = Decision.APPROVE if even else Decision.REJECT
        await desk.decide(
            request.id, person="ann", key=world.keys["ann"], decision=decision, card_digest=request.card.digest()
        )


async def all_asked(world: World, how_many: int) -> None:
    """Return when so many calls have their request."""
    async with asyncio.timeout(30):
        while Counter(entry.kind for entry in read(world.folder / "state" / "journal"))["asked"] < how_many:
            await asyncio.sleep(0.05)


def reason(end: object) -> RefusalReason | None:
    """Why a call was refused."""
    return end.reason if isinstance(end, CallRefused) else None
