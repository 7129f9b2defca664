"""What stops a call that its user confirmed: what changed between the question and the run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agentguard.config import open_brake
from agentguard.errors import CallRefused, CallUnconfirmed, RefusalReason
from agentguard.guard.confirming import Confirmation
from agentguard.guard.pipeline import Guard
from agentguard.guard.records import Records
from agentguard.model.approvals import Scope
from agentguard.model.calls import ToolCall
from tests.guard.world import POLICY, World

pytestmark = pytest.mark.anyio

ZOE = "zoe@acme.example"


async def question(world: World, guard: Guard) -> str:
    """The id of the question that the client is given."""
    with pytest.raises(CallUnconfirmed) as asked:
        await admitted(world, guard, Confirmation())
    return str(asked.value.request_id)


async def admitted(world: World, guard: Guard, confirmation: Confirmation) -> Any:
    """The permit of a call that its user must confirm."""
    call, tool = ToolCall(tool="close_account", arguments={"account": 7}), world.tools.tool("close_account")
    return await guard.admit(call, tool, confirmation=confirmation)


LOWER = POLICY.replace("DEADLINE", "20s").replace("close_account: {risk: high", "close_account: {risk: medium")
HIGHER = LOWER.replace("close_account: {risk: medium", "close_account: {risk: high").replace(
    "high: {ask: on-call}", "high: {ask: confirm}"
)


async def in_force(world: World, guard: Guard, policy: str) -> None:
    """Write another policy, and wait until calls are judged by it."""
    file = world.policies / "policy.yaml"
    version, is_another = guard.policy.version, file.read_text() != policy
    file.write_text(policy)
    async with asyncio.timeout(20):
        while is_another and guard.policy.version == version:
            await asyncio.sleep(0.02)


def while_it_is_put_on_record(monkeypatch: pytest.MonkeyPatch, then: Callable[[], Awaitable[None]]) -> None:
    """Have this happen once an answer is on record, before anything follows from it."""
    written = Records.confirmed

    async def and_then(records: Records, *answer: Any) -> None:
        await written(records, *answer)
        await then()

    monkeypatch.setattr(Records, "confirmed", and_then)


async def test_t1_a_higher_risk_meanwhile_is_another_question(world: World) -> None:
    """Though nobody else is asked for it: the user saw the lower one."""
    (world.policies / "policy.yaml").write_text(LOWER)
    with world.open() as guard, guard.session(user=ZOE):
        asked = await question(world, guard)
        await in_force(world, guard, HIGHER)
        with pytest.raises(CallRefused) as refused:
            await admitted(world, guard, Confirmation(question=asked, is_yes=True))

    assert "policy became stricter" in str(refused.value)


@pytest.mark.parametrize(
    ("when_made_again", "once_on_record"), [(LOWER, HIGHER), (HIGHER, LOWER)], ids=["then", "before"]
)
async def test_t1_a_policy_that_is_stricter_at_any_time_up_to_the_run_counts(
    when_made_again: str, once_on_record: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the call is made again with the answer, and once more when that is on record: the user saw the lower risk."""
    (world.policies / "policy.yaml").write_text(LOWER)
    with world.open() as guard, guard.session(user=ZOE):
        asked = await question(world, guard)
        await in_force(world, guard, when_made_again)
        while_it_is_put_on_record(monkeypatch, lambda: in_force(world, guard, once_on_record))
        with pytest.raises(CallRefused) as refused:
            await admitted(world, guard, Confirmation(question=asked, is_yes=True))

    assert "policy became stricter" in str(refused.value)


async def test_t27_a_value_that_policy_reveals_no_more_meanwhile_is_not_given_to_the_tool(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though nothing else of the verdict changed since the user said yes."""
    reveals = POLICY.replace("DEADLINE", "20s").replace(
        "send_email: {risk: medium", "send_email: {risk: high, ask: confirm"
    )
    (world.policies / "policy.yaml").write_text(reveals)
    with world.open() as guard, guard.session(user=ZOE):
        found = await world.call(guard, "find_customer", customer_id=7)
        call = ToolCall(tool="send_email", arguments={"to": found["email"], "body": "hi"})
        with pytest.raises(CallUnconfirmed) as asked:
            await guard.admit(call, world.tools.tool("send_email"), confirmation=Confirmation())
        hides = reveals.replace(" reveal: {to: [EMAIL_ADDRESS]},", "")
        while_it_is_put_on_record(monkeypatch, lambda: in_force(world, guard, hides))
        yes = Confirmation(question=str(asked.value.request_id), is_yes=True)
        with pytest.raises(CallRefused) as refused:
            await guard.admit(call, world.tools.tool("send_email"), confirmation=yes)

    assert refused.value.reason is RefusalReason.STALE


async def test_a_freeze_that_comes_while_the_answer_is_put_on_record_stops_the_call(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked at once more, last of all."""

    async def frozen_meanwhile() -> None:
        async with open_brake(world.policies, world.settings, tenant=world.tenant) as brake:
            await brake.freeze(Scope.TENANT, "", reason="stop", person="bob", key=world.keys["bob"])
        async with asyncio.timeout(20):
            while await runs(guard):
                await asyncio.sleep(0.02)

    async def runs(guard: Guard) -> bool:
        try:
            await guard.freezing.check(guard.principals.current(), "echo")
        except CallRefused:
            return False
        return True

    with world.open() as guard, guard.session(user=ZOE):
        asked = await question(world, guard)
        while_it_is_put_on_record(monkeypatch, frozen_meanwhile)
        with pytest.raises(CallRefused) as refused:
            await admitted(world, guard, Confirmation(question=asked, is_yes=True))

    assert refused.value.reason is RefusalReason.FROZEN
