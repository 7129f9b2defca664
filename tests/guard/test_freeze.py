"""Freezes reach every guard within a second, and are lifted by a second person alone."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from agentguard.approval import Freezes, Roster
from agentguard.audit import read
from agentguard.config import open_brake
from agentguard.errors import CallRefused, GuardUnavailable, RefusalReason
from agentguard.guard.freezing import FRESH_SECONDS, IDLE_SECONDS, READ_EVERY_SECONDS
from agentguard.guard.pipeline import Guard
from agentguard.model.approvals import Freeze, Scope, State
from agentguard.model.calls import ToolCall
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.guard.world import World

pytestmark = pytest.mark.anyio

ANN = "ann@acme.example"
ROOT = Path(__file__).parents[2]


async def freeze(world: World, scope: Scope, name: str = "", person: str = "bob") -> Freeze:
    """A person's order."""
    async with open_brake(world.policies, world.settings, tenant=world.tenant) as brake:
        return await brake.freeze(scope, name, reason="mail bob@acme.example", person=person, key=world.keys[person])


async def lift(world: World, order: Freeze, person: str = "cem") -> None:
    """A second person's."""
    async with open_brake(world.policies, world.settings, tenant=world.tenant) as brake:
        await brake.lift(order, reason="", person=person, key=world.keys[person])


async def refused(world: World, guard: Guard, tool: str, **arguments: object) -> CallRefused:
    """The refusal that a call gets soon, while it is made again and again (benchmarks/freeze.py measures how soon)."""
    async with asyncio.timeout(20):
        while True:
            try:
                await world.call(guard, tool, **arguments)
            except CallRefused as refusal:
                return refusal
            await asyncio.sleep(0.005)


async def allowed(world: World, guard: Guard, tool: str, **arguments: object) -> None:
    """Return once a call runs again."""
    async with asyncio.timeout(20):
        while True:
            try:
                await world.call(guard, tool, **arguments)
            except CallRefused:
                await asyncio.sleep(0.005)
            else:
                return


@pytest.mark.parametrize(
    ("scope", "name"), [(Scope.AGENT, "support"), (Scope.TOOL, "echo"), (Scope.TENANT, ""), (Scope.ALL, "")]
)
async def test_a_plain_allowed_call_is_refused_too(world: World, guard: Guard, scope: Scope, name: str) -> None:
    """It needs nothing of Redis; the model reads why, masked, and it is on record. Lifted, it runs again."""
    with guard.session(user=ANN):
        await world.call(guard, "echo", value=1)
        order = await freeze(world, scope, name)
        refusal = await refused(world, guard, "echo", value=1)
        await lift(world, order)
        await allowed(world, guard, "echo", value=1)
    assert refusal.reason is RefusalReason.FROZEN
    assert "said: " in str(refusal)
    assert "bob@" not in str(refusal)
    kinds = [(entry.kind, entry.body.get("what")) for entry in read(world.folder / "state" / "journal", since_ms=0)]
    assert kinds.count(("freeze", "stands")) == kinds.count(("freeze", "lifted")) == 1
    assert ("settled", None) in kinds[kinds.index(("freeze", "lifted")) :]


async def test_what_is_not_meant_goes_on(world: World, guard: Guard) -> None:
    """Another agent, another tool."""
    await freeze(world, Scope.AGENT, "billing")
    await freeze(world, Scope.TOOL, "refund")
    with guard.session(user=ANN):
        assert await world.call(guard, "echo", value=1) == 1


async def test_nobody_is_asked_while_frozen(world: World, guard: Guard) -> None:
    """The call is refused before a request is opened."""
    await freeze(world, Scope.TOOL, "refund")
    with guard.session(user=ANN), pytest.raises(CallRefused, match="frozen"):
        await world.call(guard, "refund", "c1", order_id=1)
    assert await world.open_requests() == []


async def test_an_approved_call_does_not_run_while_frozen_and_runs_once_lifted(world: World, guard: Guard) -> None:
    """The same call then finds its request, approved as it was."""
    with guard.session(user=ANN, id="thread"):
        # given
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (request,) = await world.waiting()
        order = await freeze(world, Scope.TENANT)

        # when
        await world.decide(request, "bob")
        with pytest.raises(CallRefused, match="frozen"):
            await call

        # then
        assert await world.state(request) is State.APPROVED
        assert world.tools.ran == []
        await lift(world, order)
        await allowed(world, guard, "echo", value=1)
        assert await world.call(guard, "refund", "c1", order_id=1) == "refunded"


async def test_calls_that_run_already_are_listed_though_nobody_was_asked(world: World, guard: Guard) -> None:
    """Each process says its own; what ended, what was refused and what the freeze doesn't mean are not among them."""
    # given
    tool, echo = world.tools.tool("read_page"), world.tools.tool("echo")
    with guard.session(user=ANN, id="thread"):
        running = await guard.admit(ToolCall(tool="read_page", arguments={"url": "https://a.example"}, id="c1"), tool)
        other = await guard.admit(ToolCall(tool="echo", arguments={"value": 1}, id="c2"), echo)
        await world.call(guard, "read_page", "c3", url="https://a.example")

        # when
        order = await freeze(world, Scope.TOOL, "read_page")
        await refused(world, guard, "read_page", url="https://a.example")
        async with open_brake(world.policies, world.settings, tenant=world.tenant) as brake, asyncio.timeout(20):
            while not (listed := await brake.running(order)):
                await asyncio.sleep(0.05)

        # then
        assert [(one.id, one.attempt.tool, one.attempt.user) for one in listed] == [("thread/c1", "read_page", ANN)]
        assert await guard.settle(running, "hello") == "hello"
        await guard.settle(other, 1)


async def test_what_redis_did_not_take_is_said_again(world: World, guard: Guard, connection: Connection) -> None:
    """The list is in the way of something else at first: that the freeze stands is on record once, and what runs is listed after all."""
    # given
    with guard.session(user=ANN, id="thread"):
        running = await guard.admit(ToolCall(tool="echo", arguments={"value": 1}, id="c1"), world.tools.tool("echo"))
        guard.freezing.close()
        order = await freeze(world, Scope.TOOL, "echo")
        listed = Names(world.tenant).running(order.id)
        await connection.execute("SET", listed, "in the way")

        # when
        with pytest.raises(GuardUnavailable):
            await guard.freezing.know(guard.principals.current(), "echo")
        await connection.execute("DEL", listed)
        await refused(world, guard, "echo", value=1)

        # then
        async with open_brake(world.policies, world.settings, tenant=world.tenant) as brake, asyncio.timeout(20):
            while not (found := await brake.running(order)):
                await asyncio.sleep(0.05)
        await guard.settle(running, 1)
    assert [one.id for one in found] == ["thread/c1"]
    assert [entry.body["what"] for entry in read(world.folder / "state" / "journal") if entry.kind == "freeze"] == [
        "stands"
    ]


async def test_a_long_call_is_listed_though_its_process_makes_no_other(
    world: World, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Freezes are read for as long as something runs; a permit that nobody holds any more runs nothing."""
    monkeypatch.setattr("agentguard.guard.freezing.IDLE_SECONDS", 0.0)
    with guard.session(user=ANN, id="thread"):
        permit = await guard.admit(ToolCall(tool="echo", arguments={"value": 1}, id="c1"), world.tools.tool("echo"))
        order = await freeze(world, Scope.ALL)
        async with open_brake(world.policies, world.settings, tenant=world.tenant) as brake, asyncio.timeout(20):
            while not await brake.running(order):
                await asyncio.sleep(0.05)
        await lift(world, order)
        del permit
        gc.collect()
    assert not guard.freezing.under_way


async def test_the_first_call_after_a_pause_knows_too(world: World, guard: Guard) -> None:
    """Nothing is read while nobody calls, so the call itself asks first."""
    with guard.session(user=ANN):
        await world.call(guard, "echo", value=1)
        guard.freezing._asked_at = time.monotonic() - IDLE_SECONDS
        await asyncio.sleep(FRESH_SECONDS + READ_EVERY_SECONDS + 0.1)
        assert guard.freezing._reading is not None
        assert guard.freezing._reading.done()
        await freeze(world, Scope.TOOL, "echo")
        with pytest.raises(CallRefused, match="frozen"):
            await world.call(guard, "echo", value=1)


async def test_t32_an_order_that_just_vanishes_from_redis_still_stands(world: World, guard: Guard) -> None:
    """Only a second person's signed lift ends it for whoever saw it; also written by hand it must verify."""
    order = await freeze(world, Scope.TOOL, "echo")
    with guard.session(user=ANN):
        await refused(world, guard, "echo", value=1)
        async with open_brake(world.policies, world.settings, tenant=world.tenant) as brake:
            await brake.channel.connection.execute("DEL", Names(world.tenant).freezes)
        await asyncio.sleep(1)
        with pytest.raises(CallRefused, match="frozen"):
            await world.call(guard, "echo", value=1)
    assert order.person == "bob"


async def test_a_frozen_call_stays_frozen_in_a_forked_child(world: World, guard: Guard) -> None:
    """It knows what its parent knew, and reads for itself."""
    await freeze(world, Scope.TOOL, "echo")
    with guard.session(user=ANN):
        await refused(world, guard, "echo", value=1)
        child = os.fork()
        if child == 0:
            code = 3
            try:
                guard.freezing._forget()
                code = 0 if guard.freezing._known else 4
            finally:
                os._exit(code)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.slow
async def test_within_a_second_no_process_gives_a_permit(world: World) -> None:
    """Several processes that call all the time; see benchmarks/freeze.py for fifty."""
    words = [sys.executable, "benchmarks/freeze.py", "--processes", "4", "--seconds", "1.2"]
    ran = await asyncio.to_thread(subprocess.run, words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


async def test_an_order_outlives_the_embedded_server(state_dir: Path) -> None:
    """The server ends with its last user, and the next guard starts it on its files: what was frozen still is."""
    # given
    world = World(folder=state_dir, redis_url="", tenant="default")
    order = await freeze(world, Scope.ALL)

    # when
    with world.open() as guard, guard.session(user=ANN):
        refusal = await refused(world, guard, "echo", value=1)

    # then
    assert refusal.reason is RefusalReason.FROZEN
    await lift(world, order)
    with world.open() as guard, guard.session(user=ANN):
        assert await world.call(guard, "echo", value=1) == 1


async def test_a_refused_call_is_not_listed_as_running_however_long_its_error_is_kept(
    world: World, guard: Guard
) -> None:
    """Errors keep the frames that they came through, and with them the permit that the call did not get."""
    await freeze(world, Scope.TOOL, "echo")
    with guard.session(user=ANN):
        kept = await refused(world, guard, "echo", value=1)
    assert kept.reason is RefusalReason.FROZEN
    assert not guard.freezing.under_way


async def test_a_freeze_that_one_reading_saw_is_not_lost_to_another_that_began_before(
    world: World, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One reading looks for a lift, while the next sees a new order: that one stands when the first is done."""
    with guard.session(user=ANN):
        # given
        first = await freeze(world, Scope.TOOL, "refund")
        await refused(world, guard, "refund", order_id=1)
        lifted, looking, go_on = Freezes.lifted, asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        async def slowly(self: Freezes, freezes: Iterable[Freeze], roster: Roster) -> frozenset[str]:
            monkeypatch.setattr(Freezes, "lifted", lifted)
            loop.call_soon_threadsafe(looking.set)
            while not go_on.is_set():
                await asyncio.sleep(0.01)
            return await lifted(self, freezes, roster)

        monkeypatch.setattr(Freezes, "lifted", slowly)
        await lift(world, first)
        guard.freezing.close()
        earlier = guard.freezing.background.start(guard.freezing._read)
        async with asyncio.timeout(20):
            await looking.wait()

        # when
        second = await freeze(world, Scope.TOOL, "echo")
        await guard.freezing.background.hop(guard.freezing._read)
        go_on.set()
        await guard.freezing.background.follow(earlier)

        # then
        assert list(guard.freezing._known) == [second.id]
