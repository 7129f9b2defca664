"""A failover that loses what the old primary had acknowledged: who was told of a decision that is gone gets no run, only a new question."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from agentguard.errors import CallPending, GuardUnavailable
from agentguard.guard.pipeline import Guard
from agentguard.model.approvals import State
from agentguard.model.calls import ToolCall
from agentguard.store.redis import Connection
from tests.guard.world import World
from tests.store.redis_server import needs_redis_server
from tests.store.test_sentinel import Trio, says, trio

pytestmark = [pytest.mark.anyio, pytest.mark.slow, needs_redis_server]

__all__ = ["trio"]

ANN = "ann@acme.example"


async def test_t6_an_approval_that_a_failover_lost_lets_nothing_run(trio: Trio, state_dir: Path) -> None:
    """Without `WAIT`: the replica never had the vote; after the failover the same call still waits, and is decided anew."""
    # given
    primary, replica, sentinel = trio.ports
    await says(primary, "online", "INFO", "replication")
    trio.watch()
    await says(sentinel, "slave-repl-offset", "SENTINEL", "REPLICAS", "main")
    world = World(folder=state_dir, redis_url=trio.url, tenant="default", deadline="60s")
    with world.open() as guard, guard.session(user=ANN, id="thread"):
        assert await _tried(world, guard) == "pending"
        (request,) = await world.waiting()
        await _alone(replica, primary)
        assert (await world.decide(request, "bob")).state is State.APPROVED

        # when
        trio.kill_primary()
        async with asyncio.timeout(40):
            while (after := await _tried(world, guard)) == "unavailable":
                await asyncio.sleep(0.2)

        # then
        assert after == "pending"
        assert world.tools.ran == []
        assert await world.waiting() == [request]
        await world.decide(request, "bob")
        assert await _tried(world, guard) == "permit"


async def _tried(world: World, guard: Guard) -> str:
    call = ToolCall(tool="refund", arguments={"order_id": 1}, id="c1")
    try:
        await guard.admit(call, world.tools.tool("refund"), hold_seconds=0)
    except CallPending:
        return "pending"
    except GuardUnavailable:
        return "unavailable"
    return "permit"


async def _alone(replica: int, primary: int) -> None:
    """Have the replica take everything that is there, and nothing more: it follows a port where nobody is."""
    there, here = (
        await Connection.open(f"redis://127.0.0.1:{primary}"),
        await Connection.open(f"redis://127.0.0.1:{replica}"),
    )
    assert await there.execute("WAIT", 1, 5_000) == 1
    await here.execute("REPLICAOF", "127.0.0.1", 1)
    for line in (there, here):
        with suppress(GuardUnavailable):
            await line.close()
