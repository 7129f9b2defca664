"""Calls that do not wait: the agent is told to come back, and comes back for exactly the answer that people gave."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from agentguard.errors import CallPending, CallRefused, OutcomeUnknown, RefusalReason, RequestNotFound
from agentguard.guard.pipeline import Guard
from agentguard.integrations.functions import FunctionTool
from agentguard.model.approvals import Decision, State
from agentguard.model.calls import ToolCall
from tests.guard.world import World

pytestmark = pytest.mark.anyio

EVE = "eve@acme.example"
DEFERRED = """\
version: 1
risk: {low: allow, medium: allow, high: {ask: on-call}, critical: {ask: on-call}}
tools:
  refund: {risk: high, labels: [], wait: defer}
  close_account: {risk: high, labels: []}
  echo: {risk: low, labels: []}
rules:
  - {id: large, tools: [echo], when: args.value == "large", ask: on-call, wait: defer}
approvals:
  on-call: {approvers: [group:on-call], deadline: 20s}
"""


@pytest.fixture
def guard(world: World) -> Iterator[Guard]:
    """A guard under a policy that defers, in a session with a name."""
    (world.policies / "policy.yaml").write_text(DEFERRED)
    with world.open() as opened, opened.session(user=EVE, id="thread-1"):
        yield opened


async def pending(world: World, guard: Guard, tool: str = "refund", **arguments: object) -> str:
    """Make a call that is told to come back; the id of its request."""
    with pytest.raises(CallPending) as told:
        await world.call(guard, tool, **(arguments or {"order_id": 1}))
    assert told.value.request_id is not None
    return told.value.request_id


async def test_a_deferred_call_is_told_who_is_asked_and_until_when_and_runs_once_it_comes_back(
    guard: Guard, world: World
) -> None:
    """The same call again, without any id, finds its own request; once it ran, the next one asks anew."""
    with pytest.raises(CallPending) as told:
        await world.call(guard, "refund", order_id=1)
    await world.decide(str(told.value.request_id), "ann")
    ran = await world.call(guard, "refund", order_id=1)
    again = await pending(world, guard)

    assert told.value.reason is RefusalReason.PENDING
    assert "on-call: 1 of group:on-call" in str(told.value)
    assert str(told.value.request_id) in str(told.value)
    assert ran == "refunded"
    assert world.tools.ran == [("refund", {"order_id": 1, "amount": 10.0})]
    assert again != told.value.request_id


async def test_a_rule_may_defer(guard: Guard, world: World) -> None:
    """Where its condition is met."""
    request = await pending(world, guard, "echo", value="large")
    small = await world.call(guard, "echo", value="small")

    assert small == "small"
    assert (await world.stored(request)).state is State.PENDING


async def test_a_call_that_comes_back_too_early_is_told_the_same_and_asks_nobody_again(
    guard: Guard, world: World
) -> None:
    """One request, however often the model calls."""
    requests = {await pending(world, guard) for _ in range(3)}

    assert len(requests) == 1
    assert await world.open_requests() == list(requests)


async def test_a_rejection_is_told_to_whoever_comes_back_each_time(guard: Guard, world: World) -> None:
    """An identical call does not ask the same people again."""
    request = await pending(world, guard)
    await world.decide(request, "ann", Decision.REJECT, "Not twice")
    refusals = [await _refusal(world, guard) for _ in range(2)]

    assert [each.reason for each in refusals] == [RefusalReason.REJECTED] * 2
    assert all("Not twice" in str(each) for each in refusals)
    assert world.tools.ran == []


async def test_another_process_of_the_session_comes_back_for_it_and_another_session_does_not(
    guard: Guard, world: World
) -> None:
    """The conversation's own id is all that a new process needs."""
    request = await pending(world, guard)
    await world.decide(request, "ann")
    with world.open() as other:
        with other.session(user=EVE, id="thread-2"):
            stranger = await pending(world, other)
        with other.session(user=EVE, id="thread-1"):
            ran = await world.call(other, "refund", order_id=1)

    assert stranger != request
    assert ran == "refunded"
    assert (await world.stored(request)).state is State.DONE


async def test_t2_many_that_come_back_at_once_get_one_run(guard: Guard, world: World) -> None:
    """The approval is spent once."""
    request = await pending(world, guard)
    await world.decide(request, "ann")
    ended = await asyncio.gather(*(world.call(guard, "refund", order_id=1) for _ in range(10)), return_exceptions=True)

    assert ended.count("refunded") == 1
    assert len(world.tools.ran) == 1
    assert all(isinstance(each, (CallRefused, OutcomeUnknown)) for each in ended if each != "refunded")


async def test_t1_a_call_with_other_arguments_does_not_come_back_for_it(guard: Guard, world: World) -> None:
    """It is another call, and asks for itself."""
    request = await pending(world, guard)
    await world.decide(request, "ann")
    other = await pending(world, guard, order_id=2)

    assert other != request
    assert world.tools.ran == []


async def test_t7_a_call_that_may_have_run_is_not_run_again_by_coming_back(guard: Guard, world: World) -> None:
    """A permit that was never settled is for a person to look at."""
    request = await pending(world, guard)
    await world.decide(request, "ann")
    tool = FunctionTool.of(world.tools.refund)
    await guard.admit(ToolCall(tool="refund", arguments={"order_id": 1}), tool)

    with pytest.raises(OutcomeUnknown):
        await world.call(guard, "refund", order_id=1)
    assert world.tools.ran == []


async def test_the_caller_may_say_how_long_it_holds_the_line(guard: Guard, world: World) -> None:
    """After that its request waits on its own, also where nothing in the policy defers; a decision in time is answered in time."""
    tool = FunctionTool.of(world.tools.close_account)
    call = ToolCall(tool="close_account", arguments={"account": 7})
    with pytest.raises(CallPending) as told:
        await guard.admit(call, tool, hold_seconds=0.05)
    coming_back = asyncio.create_task(guard.admit(call, tool, hold_seconds=10))
    await world.decide(str(told.value.request_id), "ann")
    permit = await coming_back

    assert permit.input == {"account": 7}


async def test_the_sync_door_defers_too(guard: Guard, world: World) -> None:
    """Whoever does not await is told to come back as well."""
    tool = FunctionTool.of(world.tools.close_account)
    call = ToolCall(tool="close_account", arguments={"account": 7})

    def admit() -> None:
        with guard.session(user=EVE, id="thread-1"):
            guard.blocking.admit(call, tool, hold_seconds=0.05)

    with pytest.raises(CallPending):
        await asyncio.to_thread(admit)


async def test_how_a_request_stands_is_told_to_its_own_session_alone(guard: Guard, world: World) -> None:
    """Pending, then approved, in words that say what to do; to others there is no such request."""
    request = await pending(world, guard)
    before = await guard.standing(request)
    waiting = asyncio.create_task(guard.standing(request, hold_seconds=10))
    await world.decide(request, "ann")
    after = await waiting
    with world.open() as other, other.session(user=EVE, id="thread-2"), pytest.raises(RequestNotFound):
        await other.standing(request)

    assert before.startswith("pending: ")
    assert after.startswith("approved: call refund again now, with exactly the same arguments")
    assert world.tools.ran == []


async def _refusal(world: World, guard: Guard) -> CallRefused:
    with pytest.raises(CallRefused) as refusal:
        await world.call(guard, "refund", order_id=1)
    return refusal.value


async def test_a_framework_learns_whether_a_call_still_waits(guard: Guard, world: World) -> None:
    """By the call's id, in its own session and on its own user's behalf; asking runs nothing and opens nothing."""
    with pytest.raises(CallPending) as told:
        await world.call(guard, "refund", "call-1", order_id=1)

    assert await guard.waits("call-1") is True
    assert await guard.waits("call-2") is None
    with guard.session(user=EVE, id="thread-2"):
        assert await guard.waits("call-1") is None
    with guard.session(user="dan@acme.example", id="thread-1"):
        assert await guard.waits("call-1") is None
    await world.decide(str(told.value.request_id), "ann", Decision.REJECT)
    assert await guard.waits("call-1") is False
    assert world.tools.ran == []
