"""What was asked of Redis and may have been done though its reply was lost is taken back: nothing stands in the way for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agentguard.errors import CallRefused, GuardUnavailable
from agentguard.guard.pipeline import Guard
from agentguard.model.approvals import State
from tests.faults.proxy import Fault, Proxy
from tests.guard.world import World

pytestmark = pytest.mark.anyio

ANN = "ann@acme.example"
POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: {ask: on-call}, critical: deny}
tools:
  refund: {risk: high, labels: []}
  close_account: {risk: low, labels: [], once: args.account}
approvals:
  on-call: {approvers: [group:on-call], deadline: 20s}
"""


@pytest.fixture
def world(state_dir: Path, valkey_url: str, tenant: str) -> World:
    """One whose people have good lines."""
    made = World(folder=state_dir, redis_url=valkey_url, tenant=tenant)
    (made.policies / "policy.yaml").write_text(POLICY)
    return made


@pytest.fixture
async def proxy(world: World) -> AsyncIterator[Proxy]:
    """The agent's line."""
    made = Proxy(path=world.folder / "p", upstream=Path(world.redis_url.removeprefix("unix://")))
    await made.start()
    yield made
    await made.close()


@pytest.fixture
def guard(world: World, proxy: Proxy) -> Iterator[Guard]:
    """A guard behind it."""
    url, world.redis_url = world.redis_url, proxy.url
    with world.open() as opened:
        world.redis_url = url
        yield opened


async def called(world: World, guard: Guard, tool: str, call_id: str, **arguments: int) -> object:
    """A call of ann's agent."""
    with guard.session(user=ANN, id="thread"):
        return await world.call(guard, tool, call_id, **arguments)


async def approved(world: World, guard: Guard, call_id: str) -> object:
    """A refund that bob approves."""
    call = asyncio.create_task(called(world, guard, "refund", call_id, order_id=1))
    (request,) = await world.waiting()
    await world.decide(request, "bob")
    return await call


async def test_t7_a_permit_whose_reply_was_lost_is_given_back(world: World, guard: Guard, proxy: Proxy) -> None:
    """The call did not run, and nobody has to find out whether it did."""
    # given
    await approved(world, guard, "c1")
    proxy.at_scripts["redeem"] = Fault.LOSE

    # when
    call = asyncio.create_task(called(world, guard, "refund", "c2", order_id=1))
    (request,) = await world.waiting()
    await world.decide(request, "bob")
    with pytest.raises(GuardUnavailable, match="redis"):
        await call

    # then
    async with asyncio.timeout(10):
        while await world.state(request) is not State.FAILED:
            await asyncio.sleep(0.02)
    assert await approved(world, guard, "c3") == "refunded"
    assert len(world.tools.ran) == 2


async def test_t7_a_deed_whose_beginning_got_no_reply_did_not_begin(world: World, guard: Guard, proxy: Proxy) -> None:
    """The same deed under another call runs, once, and nobody has to settle anything."""
    # given
    await called(world, guard, "close_account", "c1", account=1)
    proxy.at_scripts["begin"] = Fault.LOSE

    # when
    with pytest.raises(GuardUnavailable, match="redis"):
        await called(world, guard, "close_account", "c2", account=2)

    # then
    async with asyncio.timeout(10):
        while not (again := await _tried(world, guard)):
            await asyncio.sleep(0.02)
    assert again == "closed"
    assert [given["account"] for _, given in world.tools.ran] == [1, 2]


async def _tried(world: World, guard: Guard) -> object:
    try:
        return await called(world, guard, "close_account", "c3", account=2)
    except CallRefused:
        return None
