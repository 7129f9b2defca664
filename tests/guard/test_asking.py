"""How much an agent may ask of people, through the guard: what it is told, and what is on record."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from agentguard.audit import read
from agentguard.errors import CallRefused, RefusalReason
from agentguard.guard.pipeline import Guard
from agentguard.model.approvals import Decision, State
from tests.cli.commands import Running
from tests.guard.world import POLICY, World

pytestmark = pytest.mark.anyio

EVE = "eve@acme.example"


def under(world: World, asking: str) -> None:
    """Bound what agents ask, from the next guard on."""
    policy = POLICY.replace("DEADLINE", "20s").replace("pending: 5000, per_minute: 5000", asking)
    (world.policies / "policy.yaml").write_text(
        policy.replace("refund: {risk: high,", "refund: {risk: high, wait: defer,")
    )


@pytest.fixture
def guard(world: World) -> Iterator[Guard]:
    """A guard that lets three requests wait, in a session with a name."""
    under(world, "pending: 3")
    with world.open() as opened, opened.session(user=EVE, id="thread-1"):
        yield opened


async def refusal(world: World, guard: Guard, **arguments: object) -> CallRefused:
    """Why a refund is refused."""
    with pytest.raises(CallRefused) as refused:
        await world.call(guard, "refund", **arguments)
    return refused.value


async def test_t19_a_flood_reaches_people_as_few_requests_and_each_refusal_is_on_record(
    guard: Guard, world: World
) -> None:
    """Whatever the model tries, three requests wait; the rest is refused, told so, and nothing runs."""
    tried = [await refusal(world, guard, order_id=number) for number in range(50)]

    reasons = [each.reason for each in tried]
    written = [entry.body["reason"] for entry in read(world.settings.state_dir / "journal") if entry.kind == "refused"]
    assert reasons == [RefusalReason.PENDING] * 3 + [RefusalReason.ASKED_TOO_MUCH] * 47
    assert written == [reason.value for reason in reasons]
    assert str(tried[-1]).startswith("asked too much: 3 requests of this agent wait already.")
    assert str(tried[-1]).endswith("What bounds it is asking.pending in policy.yaml.")
    assert len(await world.open_requests()) == 3
    assert world.tools.ran == []


async def test_t19_what_was_refused_can_never_be_approved_later(guard: Guard, world: World) -> None:
    """It opened nothing: once there is room the same call asks anew."""
    for number in range(4):
        await refusal(world, guard, order_id=number)
    first = (await world.open_requests())[0]
    await world.decide(first, "ann", Decision.REJECT)
    again = await refusal(world, guard, order_id=3)

    assert again.reason is RefusalReason.PENDING
    assert (await world.stored(str(again.request_id))).state is State.PENDING


async def test_t19_two_processes_of_one_agent_are_counted_together(guard: Guard, world: World) -> None:
    """The cap is the agent's, not a process's; another agent has its own."""
    for number in range(3):
        await refusal(world, guard, order_id=number)
    with world.open() as twin, twin.session(user=EVE):
        crowded = await refusal(world, twin, order_id=9)
    with world.open(agent="other") as other, other.session(user=EVE):
        asked = await refusal(world, other, order_id=9)

    assert (crowded.reason, asked.reason) == (RefusalReason.ASKED_TOO_MUCH, RefusalReason.PENDING)


async def test_t19_an_agent_that_asks_too_often_is_told_until_when_nobody_is_asked(world: World) -> None:
    """It is paused, and the words say so; what policy allows still runs."""
    under(world, "per_minute: 2, pause: 1h")
    with world.open() as guard, guard.session(user=EVE):
        tried = [await refusal(world, guard, order_id=number) for number in range(4)]
        echoed = await world.call(guard, "echo", value="hello")

    assert [each.reason for each in tried[2:]] == [RefusalReason.ASKED_TOO_MUCH] * 2
    assert re.search(r"Nobody is asked until \d{4}-\d\d-\d\d \d\d:\d\d UTC", str(tried[3]))
    assert all(str(each).endswith("What bounds it is asking.per_minute in policy.yaml.") for each in tried[2:])
    assert echoed == "hello"


AGENT = """\
import sys
from pathlib import Path
from agentguard.config import Settings, open_guard
from agentguard.errors import CallRefused
from agentguard.integrations.functions import FunctionTool
from agentguard.model.calls import ToolCall

folder, url, tenant, first = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
settings = Settings(redis_url=url, state_dir=folder / "state", config_dir=folder / "config")

def refund(order_id: int) -> str:
    raise AssertionError("nobody said yes")

with open_guard(folder / "policies", agent="support", tenant=tenant, settings=settings) as guard:
    with guard.session(user="eve@acme.example"):
        for order in range(first, first + 2):
            try:
                guard.blocking.run(ToolCall(tool="refund", arguments={"order_id": order}), FunctionTool.of(refund))
            except CallRefused as refused:
                print(refused.reason.value, flush=True)
"""


def test_t19_an_agent_of_several_processes_asks_no_more_than_one_of_a_single_process(
    world: World, begin: Callable[..., Running]
) -> None:
    """Three in a minute together: the second process has one left, and then both are paused."""
    under(world, "per_minute: 3")
    agents = [begin(AGENT, world.folder, world.redis_url, world.tenant, first) for first in (1, 3)]

    told = "".join(agent.communicate()[0] for agent in agents).splitlines()

    assert sorted(told) == ["asked too much", "pending", "pending", "pending"]


def until(told: str) -> timedelta:
    """How far off the time is that a refusal names; it has no seconds."""
    found = re.search(r"[Uu]ntil (\d{4}-\d\d-\d\d \d\d:\d\d) UTC", told)
    assert found is not None
    return datetime.fromisoformat(f"{found[1]}+00:00") - datetime.now(UTC)


async def test_t19_the_pause_is_as_long_as_policy_says(world: World) -> None:
    """And not as long as where it says nothing, which is five minutes."""
    under(world, "per_minute: 1, pause: 3h")
    with world.open() as guard, guard.session(user=EVE):
        await refusal(world, guard, order_id=1)
        paused = await refusal(world, guard, order_id=2)

    assert timedelta(hours=2, minutes=50) < until(str(paused)) <= timedelta(hours=3)


async def test_t19_a_rejection_is_the_answer_for_as_long_as_policy_says(world: World) -> None:
    """And no longer: a second later the same call asks anew."""
    bounded = POLICY.replace("DEADLINE", "20s").replace("pending: 5000", "pending: 5000, after_rejection: 1s")
    (world.policies / "policy.yaml").write_text(bounded)
    with world.open() as guard, guard.session(user=EVE, id="thread-1"):
        waiting = asyncio.create_task(world.call(guard, "refund", "call-1", order_id=1))
        (request,) = await world.waiting()
        await world.decide(request, "ann", Decision.REJECT)
        with pytest.raises(CallRefused):
            await waiting
        rejected_ms = max(vote.time_ms for vote in (await world.stored(request)).votes)
        async with asyncio.timeout(20):
            while (await world.stored(request)).now_ms <= rejected_ms + 1500:
                await asyncio.sleep(0.05)
        again = asyncio.create_task(world.call(guard, "refund", "call-2", order_id=1))
        await world.decide((await world.waiting())[0], "ann")

        assert await again == "refunded"


async def test_t19_a_rejected_call_is_told_who_why_and_until_when_and_asks_nobody(world: World) -> None:
    """Made again under another id by an agent that waits: at once, in the person's words, masked."""
    world.set_deadline("20s")
    with world.open() as guard, guard.session(user=EVE, id="thread-1"):
        waiting = asyncio.create_task(world.call(guard, "refund", "call-1", order_id=1))
        (request,) = await world.waiting()
        await world.decide(request, "ann", Decision.REJECT, "Ask dan@acme.example first")
        with pytest.raises(CallRefused) as first:
            await waiting
        again = await refusal(world, guard, order_id=1)
        other = asyncio.create_task(world.call(guard, "refund", "call-3", order_id=2))
        await world.decide((await world.waiting())[0], "ann")

        assert await other == "refunded"
    for told in (first.value, again):
        assert told.reason is RefusalReason.REJECTED
        assert told.request_id == request
        assert "Who rejected it: ann." in str(told)
        assert "dan@acme.example" not in str(told)
        assert re.search(r"Until \d{4}-\d\d-\d\d \d\d:\d\d UTC the same call is refused", str(told))


async def test_who_rejected_is_named_only_where_the_roster_knows_them(guard: Guard, world: World) -> None:
    """Names come from Redis, where others may write: one that is nobody's is not passed on to the model."""
    pending = await refusal(world, guard, order_id=1)
    await world.decide(str(pending.request_id), "ann", Decision.REJECT, "No")
    people = world.policies / "approvers.yaml"
    people.write_text(people.read_text().replace("ann:", "anna:").replace("ann@", "anna@"))
    told = await refusal(world, guard, order_id=1)

    assert told.reason is RefusalReason.REJECTED
    assert "Who rejected it" not in str(told)
