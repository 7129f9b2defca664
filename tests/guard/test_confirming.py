"""What stops a call that its user confirmed: what changed between the question and the run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentguard.config import open_brake
from agentguard.errors import CallRefused, CallUnconfirmed, RefusalReason
from agentguard.guard.confirming import Confirmation
from agentguard.guard.pipeline import Guard
from agentguard.guard.records import Records
from agentguard.model.approvals import Scope
from agentguard.model.calls import ToolCall
from tests.guard.world import World

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


async def test_t1_a_higher_risk_meanwhile_is_another_question(world: World) -> None:
    """Though nobody else is asked for it: the user saw the lower one."""
    policy = world.policies / "policy.yaml"
    lower = policy.read_text().replace("close_account: {risk: high", "close_account: {risk: medium")
    higher = lower.replace("close_account: {risk: medium", "close_account: {risk: high").replace(
        "high: {ask: on-call}", "high: {ask: confirm}"
    )
    policy.write_text(lower)
    with world.open() as guard, guard.session(user=ZOE):
        asked, version = await question(world, guard), guard.policy.version
        policy.write_text(higher)
        async with asyncio.timeout(20):
            while guard.policy.version == version:
                await asyncio.sleep(0.02)
        with pytest.raises(CallRefused) as refused:
            await admitted(world, guard, Confirmation(question=asked, is_yes=True))

    assert "policy became stricter" in str(refused.value)


async def test_a_freeze_that_comes_while_the_answer_is_put_on_record_stops_the_call(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked at once more, last of all."""
    written = Records.confirmed

    async def frozen_meanwhile(records: Records, case: Any, *answer: Any) -> None:
        await written(records, case, *answer)
        async with open_brake(world.policies, world.settings, tenant=world.tenant) as brake:
            await brake.freeze(Scope.TENANT, "", reason="stop", person="bob", key=world.keys["bob"])
        async with asyncio.timeout(20):
            while await runs(guard, case):
                await asyncio.sleep(0.02)

    async def runs(guard: Guard, case: Any) -> bool:
        try:
            await guard.freezing.check(case.principal, "echo")
        except CallRefused:
            return False
        return True

    with world.open() as guard, guard.session(user=ZOE):
        asked = await question(world, guard)
        monkeypatch.setattr(Records, "confirmed", frozen_meanwhile)
        with pytest.raises(CallRefused) as refused:
            await admitted(world, guard, Confirmation(question=asked, is_yes=True))

    assert refused.value.reason is RefusalReason.FROZEN
