"""Who may decide changes while a call waits: by a ladder's steps, and by what a rota's command says."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from agentguard.config import read_roster
from agentguard.config.rotas import ask_groups
from agentguard.errors import CallRefused, DecisionRefused, RefusalReason
from tests.guard.world import POLICY, World

pytestmark = pytest.mark.anyio

EVE = "eve@acme.example"


def on_rota(world: World, name: str, *, every: str = "5m") -> None:
    """Let a command say who is on call, and ask it."""
    people = world.policies / "approvers.yaml"
    text = people.read_text().split("groups:\n  on-call")[0].replace("[on-call, stewards]", "[stewards]")
    people.write_text(f"{text}groups:\n  on-call: {{command: [echo, {name}], every: {every}}}\n")
    ask_groups(world.policies, read_roster(Path(world.policies)), now_ms=time.time_ns() // 1_000_000)


async def refused(world: World, person: str, request: str) -> str:
    """Why a person may not decide."""
    with pytest.raises(DecisionRefused) as why:
        await world.decide(request, person)
    return why.value.code


async def test_whom_a_step_adds_lets_the_call_run_from_its_time_on_and_not_before(world: World) -> None:
    """Zoe is in no group that was asked at first; the agent's side counts her vote because a second has passed."""
    ladder = "deadline: 20s, escalate: [{after: 1s, to: [group:others]}]}"
    policy = POLICY.replace("[group:on-call], deadline: DEADLINE}", f"[group:on-call], {ladder}")
    (world.policies / "policy.yaml").write_text(policy.replace("DEADLINE", "20s"))
    with world.open() as guard, guard.session(user=EVE):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (request,) = await world.waiting()
        early = await refused(world, "zoe", request)
        opened_ms = (await world.stored(request)).request.opened_ms
        while (await world.stored(request)).now_ms < opened_ms + 1_000:
            await asyncio.sleep(0.02)
        await world.decide(request, "zoe")

        assert await call == "refunded"
    assert early == "not_entitled"


async def test_who_is_on_duty_decides_and_who_was_does_not(world: World) -> None:
    """The command's last answer counts when a person decides, and again when the call would run."""
    on_rota(world, "ann")
    with world.open() as guard, guard.session(user=EVE):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (request,) = await world.waiting()
        on_rota(world, "bob")
        was = await refused(world, "ann", request)
        await world.decide(request, "bob")

        assert await call == "refunded"
    assert was == "not_entitled"


async def test_where_nobody_is_known_to_be_on_duty_the_call_is_refused_and_nobody_is_asked(world: World) -> None:
    """An answer that lapsed is none: it fails closed, in plain words."""
    on_rota(world, "ann", every="1s")
    (world.policies / "approvers.groups.json").unlink()
    with world.open() as guard, guard.session(user=EVE), pytest.raises(CallRefused) as told:
        await world.call(guard, "refund", "c1", order_id=1)

    assert told.value.reason is RefusalReason.DENIED
    assert "group:on-call means nobody" in str(told.value)
    assert await world.open_requests() == []
    assert world.tools.ran == []
