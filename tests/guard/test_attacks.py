"""Attempts to have a call run that should not, to have it run twice, or to get at what is hidden; all of them fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from contextlib import suppress
from typing import Any, Literal

import pytest

from agentguard.errors import CallRefused, DecisionRefused, Fault, RefusalReason
from agentguard.guard.pipeline import Guard
from agentguard.integrations.functions import FunctionTool
from agentguard.model.approvals import State
from agentguard.model.calls import ToolCall
from agentguard.store.redis import Connection
from tests.guard.world import World

pytestmark = pytest.mark.anyio

ANN = "ann@acme.example"
BOB = "bob@acme.example"

When = Literal["at once", "too late", "again and again"]


class Cancelled:
    """Awaits something, and cancels the task at its n-th wait: before it is over, when it is over, or there and ever after."""

    def __init__(self, inner: Awaitable[Any], number: int, when: When) -> None:
        self.inner, self.number, self.when, self.waits = inner, number, when, 0

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self.inner.__await__()
        told: BaseException | None = None
        while True:
            try:
                future = steps.send(None) if told is None else steps.throw(told)
            except StopIteration as done:
                return done.value
            told = None
            self._cancel(future)
            try:
                yield future
            except BaseException as error:  # noqa: BLE001 - whatever the task is told is handed on
                told = error

    def _cancel(self, future: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.waits += 1
        if self.waits == self.number and self.when == "too late" and future is not None:
            future.add_done_callback(lambda _: task.cancel())
        elif self.waits == self.number or (self.waits > self.number and self.when == "again and again"):
            task.cancel()


async def edit(world: World, request: str, side: str, *command: str) -> None:
    """Write to one of a request's hashes, as who has Redis alone can: HSET field value, or HDEL field."""
    connection = await Connection.open(world.redis_url)
    (key,) = await connection.execute("KEYS", f"ag:{{{world.tenant}}}:request:{request}")
    await connection.execute(command[0], key.decode().replace(":request:", f":{side}:"), *command[1:])
    await connection.close()


async def ended(world: World, request: str) -> State:
    """How a request stands once it stands still."""
    async with asyncio.timeout(5):
        while request in await world.open_requests():
            await asyncio.sleep(0.01)
    return await world.state(request)


async def approved(world: World) -> str:
    """The next request that waits, with Bob's approval if that came in time."""
    (request,) = await world.waiting()
    with suppress(DecisionRefused):
        await world.decide(request, "bob")
    return request


async def taken_back(world: World) -> None:
    """Nothing can be decided or run any more."""
    async with asyncio.timeout(5):
        while await world.open_requests():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("when", ["at once", "too late", "again and again"])
@pytest.mark.parametrize("number", range(3, 10))
async def test_t7_a_call_cancelled_at_any_wait_leaves_nothing_behind(
    world: World, guard: Guard, number: int, when: When
) -> None:
    """Wherever it is cut off: run once at most, no request left open, no permit left running."""

    async def refund(order_id: int) -> str:
        """Refund an order."""
        world.tools.ran.append(("refund", {"order_id": order_id}))
        await asyncio.sleep(0)
        return "refunded"

    async def cut_off() -> Any:
        call = ToolCall(tool="refund", arguments={"order_id": 1}, id="c1")
        return await Cancelled(guard.run(call, FunctionTool.of(refund)), number, when)

    with guard.session(user=ANN):
        bob = asyncio.create_task(approved(world))
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(cut_off())
        bob.cancel()
        await asyncio.gather(bob, return_exceptions=True)
    await taken_back(world)
    assert len(world.tools.ran) == (number > 6)


@pytest.mark.parametrize(("user", "agent"), [(BOB, "support"), (ANN, "billing")], ids=["other user", "other agent"])
async def test_t2_an_approval_is_of_no_use_to_somebody_else_under_the_same_ids(
    world: World, guard: Guard, user: str, agent: str
) -> None:
    """Same session, same call id, same arguments: still another principal, who gets neither permit nor words."""
    with guard.session(user=ANN, id="thread"):
        waiting = asyncio.create_task(world.call(guard, "export_customers", "c1", limit=1))
        (request,) = await world.waiting()
    with world.open(agent=agent) as other, other.session(user=user, id="thread"), pytest.raises(CallRefused) as refused:
        await world.call(other, "export_customers", "c1", limit=1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert refused.value.reason is RefusalReason.CALL_ID_REUSED
    assert request not in str(refused.value)
    assert world.tools.ran == []


async def test_t32_a_call_id_pointed_at_another_approved_request_runs_nothing(world: World, guard: Guard) -> None:
    """Who writes Redis can name another request for a call; the guard sees that it is not of this call."""
    connection = await Connection.open(world.redis_url)
    with guard.session(user=ANN, id="thread"):
        waiting = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (first,) = await world.waiting()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert await ended(world, first) is State.WITHDRAWN
        await edit(world, first, "request", "HDEL", "withdrawn")
        await world.decide(first, "bob")
        second = asyncio.create_task(world.call(guard, "refund", "c2", order_id=2))
        await world.waiting()
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        (index,) = await connection.execute("KEYS", f"ag:{{{world.tenant}}}:call:*:c2")
        await connection.execute("HSET", index, "id", first)
        with pytest.raises(CallRefused) as refused:
            await world.call(guard, "refund", "c2", order_id=2)
    await connection.close()
    assert refused.value.reason is RefusalReason.CALL_ID_REUSED
    assert world.tools.ran == []


async def test_t8_t32_moved_deadlines_give_no_time(world: World) -> None:
    """The times that count are those under the guard's MAC."""
    world.set_deadline("1s")
    with world.open() as guard, guard.session(user=ANN, id="thread"):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (request,) = await world.waiting()
        await edit(world, request, "request", "HSET", "deadline_ms", "99999999999999")
        async with asyncio.timeout(5):
            with pytest.raises((CallRefused, Fault)):
                await call
    assert await world.state(request) is State.EXPIRED
    assert world.tools.ran == []
