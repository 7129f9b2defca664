"""A failover that loses what the old primary had acknowledged: who was told of a decision that is gone gets no run, only a new question."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from agentguard.audit import read
from agentguard.errors import CallPending, GuardUnavailable
from agentguard.guard.pipeline import Guard
from agentguard.model.approvals import State
from agentguard.model.calls import ToolCall
from agentguard.store.redis import Connection
from tests.guard.world import World
from tests.store.redis_server import needs_redis_server
from tests.store.test_sentinel import Trio, says, trio

pytestmark = pytest.mark.anyio

__all__ = ["trio"]

ANN = "ann@acme.example"


@pytest.mark.slow
@needs_redis_server
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


async def test_t6_a_run_whose_request_a_failover_lost_still_gives_its_result(
    state_dir: Path, valkey_url: str, tenant: str
) -> None:
    """The tool ran, the journal has it, and what it gave is masked and handed out; nobody gets an error in its place."""
    # given
    world = World(folder=state_dir, redis_url=valkey_url, tenant=tenant)
    tool = world.tools.tool("refund")
    with world.open() as guard, guard.session(user=ANN, id="thread"):
        assert await _tried(world, guard) == "pending"
        await world.decide((await world.waiting())[0], "bob")
        permit = await guard.admit(ToolCall(tool="refund", arguments={"order_id": 1}, id="c1"), tool, hold_seconds=0)

        # when
        connection = await Connection.open(valkey_url)
        keys = await connection.execute("KEYS", f"ag:{{{tenant}}}:*")
        await connection.execute("DEL", *keys)
        await connection.close()

        # then
        assert await guard.settle(permit, "refunded") == "refunded"
    lines = [entry.body for entry in read(state_dir / "state" / "journal", since_ms=0) if entry.kind == "settled"]
    assert [line["outcome"] for line in lines] == ["done"]


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
