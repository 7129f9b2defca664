"""What breaks, and that the call then does not run: servers, disks, processes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentguard.audit import verify
from agentguard.config import journal_keys
from agentguard.errors import CallRefused, Fault, GuardUnavailable, OutcomeUnknown, ResultWithheld
from agentguard.guard.freezing import FRESH_SECONDS
from agentguard.model.approvals import State
from agentguard.model.calls import ToolCall
from agentguard.store.embedded import Embedded, Lease, stop_left_over
from agentguard.store.redis import Connection
from tests.cli.commands import Running
from tests.guard.world import POLICY, World

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ANN = "ann@acme.example"
Agent = Callable[..., Running]

AGENT = """\
import sys, time
from pathlib import Path
from agentguard.config import Settings, open_guard
from agentguard.integrations.functions import FunctionTool
from agentguard.model.calls import ToolCall

folder, url, tenant, how = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
settings = Settings(redis_url=url, state_dir=folder / "state", config_dir=folder / "config")

def refund(order_id: int) -> str:
    with (folder / "runs").open("a") as runs:
        runs.write("ran ")
    time.sleep(60 if how == "hang" else 0)
    return "refunded"

with open_guard(folder / "policies", agent="support", tenant=tenant, settings=settings) as guard:
    with guard.session(user="ann@acme.example", id="thread"):
        call = ToolCall(tool="refund", arguments={"order_id": 1}, id="c1")
        try:
            print(guard.blocking.run(call, FunctionTool.of(refund)), flush=True)
        except Exception as error:
            print(type(error).__name__, error, flush=True)
"""


@pytest.fixture
def own_server(state_dir: Path) -> Iterator[Lease]:
    """A server that a test may stop, start and freeze."""
    with leased(state_dir / "server") as lease:
        yield lease


@contextmanager
def leased(folder: Path) -> Iterator[Lease]:
    """A lease for a moment."""
    lease = Embedded.acquire(folder)
    yield lease
    lease.release()


@pytest.fixture
def own_world(state_dir: Path, own_server: Lease, tenant: str) -> World:
    """A world on that server."""
    return World(folder=state_dir, redis_url=own_server.url, tenant=tenant, deadline="30s")


@pytest.fixture
def agent(begin: Callable[..., Running]) -> Agent:
    """Begins an agent in a process of its own, which makes one call that asks."""
    return lambda world, how="": begin(AGENT, world.folder, world.redis_url, world.tenant, how)


def runs(world: World) -> int:
    """How often the agent's tool ran."""
    file = world.folder / "runs"
    return file.read_text().count("ran") if file.exists() else 0


async def said(process: Running) -> str:
    """What an agent printed at its end."""
    return (await asyncio.to_thread(process.communicate))[0].strip()


def server_pid(lease: Lease) -> int:
    """The process at the other end of a server's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.connect(lease.url.removeprefix("unix://"))
        return int(struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])


async def test_t7_an_agent_killed_while_waiting_finds_its_request_again(world: World, agent: Agent) -> None:
    """The same call after the restart waits on the same request, and runs once."""
    first = agent(world)
    (request,) = await world.waiting()
    first.kill()
    await said(first)
    second = agent(world)
    await asyncio.sleep(1.0)
    assert await world.waiting() == [request]
    await world.decide(request, "bob")
    assert await said(second) == "refunded"
    assert runs(world) == 1


async def test_t4_a_decision_made_while_the_agent_was_dead_is_not_lost(world: World, agent: Agent) -> None:
    """Approved between the kill and the restart: the restarted call runs at once."""
    first = agent(world)
    (request,) = await world.waiting()
    first.kill()
    await said(first)
    await world.decide(request, "bob")
    assert await said(agent(world)) == "refunded"
    assert runs(world) == 1


async def test_t7_an_agent_killed_while_the_tool_runs_never_runs_it_again(world: World, agent: Agent) -> None:
    """The outcome is unknown, and said to be; nothing runs a second time."""
    first = agent(world, "hang")
    (request,) = await world.waiting()
    await world.decide(request, "bob")
    async with asyncio.timeout(10):
        while runs(world) == 0:
            await asyncio.sleep(0.02)
    first.kill()
    await said(first)
    answer = await said(agent(world))
    assert answer.startswith("OutcomeUnknown")
    assert await world.state(request) in (State.EXECUTING, State.UNKNOWN)
    assert runs(world) == 1


async def test_t5_without_redis_a_call_that_must_ask_does_not_run(own_world: World, own_server: Lease) -> None:
    """It fails closed and says what is broken; so does, soon, what needs no Redis: nobody knows what is frozen."""
    with own_world.open() as guard, guard.session(user=ANN):
        assert await own_world.call(guard, "echo", value="hello") == "hello"
        os.kill(server_pid(own_server), signal.SIGKILL)
        with pytest.raises(GuardUnavailable, match="redis"):
            await own_world.call(guard, "refund", "c1", order_id=1)
        await asyncio.sleep(FRESH_SECONDS)
        with pytest.raises(GuardUnavailable, match="redis"):
            await own_world.call(guard, "echo", value="hello")
    assert own_world.tools.ran == [("echo", {"value": "hello"})]


async def test_t5_without_redis_a_result_with_new_personal_data_is_not_shown(
    own_world: World, own_server: Lease
) -> None:
    """The tool ran, but a token that nobody could restore is not handed out."""
    with own_world.open() as guard, guard.session(user=ANN):
        await own_world.call(guard, "echo", value="hello")
        os.kill(server_pid(own_server), signal.SIGKILL)
        with pytest.raises(ResultWithheld, match="redis") as withheld:
            await own_world.call(guard, "find_customer", customer_id=7)
    assert "ran" in str(withheld.value)


async def test_t4_t5_a_waiting_call_goes_on_by_itself_when_redis_is_back(
    own_world: World, own_server: Lease, caplog: pytest.LogCaptureFixture
) -> None:
    """Killed and started again within the deadline: request and vote are there, and the call runs once."""
    with own_world.open() as guard, guard.session(user=ANN):
        call = asyncio.create_task(own_world.call(guard, "refund", "c1", order_id=1))
        (request,) = await own_world.waiting()
        async with asyncio.timeout(10):
            while "waits for a decision" not in caplog.text:  # before that it has not heard that its request is there
                await asyncio.sleep(0.01)
        os.kill(server_pid(own_server), signal.SIGKILL)
        await asyncio.sleep(0.5)
        assert not call.done()
        again = await asyncio.to_thread(Embedded.acquire, own_world.folder / "server")
        await own_world.decide(request, "bob")
        async with asyncio.timeout(15):
            assert await call == "refunded"
    again.release()
    assert len(own_world.tools.ran) == 1


async def test_t5_a_frozen_redis_is_as_good_as_none(own_world: World, own_server: Lease) -> None:
    """SIGSTOP: the call gives up within its budget and does not run."""
    with own_world.open() as guard, guard.session(user=ANN):
        await own_world.call(guard, "find_customer", customer_id=7)
        pid = server_pid(own_server)
        os.kill(pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(20):
                with pytest.raises(GuardUnavailable, match="redis"):
                    await own_world.call(guard, "refund", "c1", order_id=1)
        finally:
            os.kill(pid, signal.SIGCONT)
    assert [name for name, _ in own_world.tools.ran] == ["find_customer"]


async def test_t33_a_journal_that_cannot_be_written_stops_every_call(world: World) -> None:
    """A file stands where its folder should: nothing is on record, so nothing runs."""
    (world.folder / "state").mkdir()
    (world.folder / "state" / "journal").write_text("in the way")
    with world.open() as guard, guard.session(user=ANN), pytest.raises(GuardUnavailable, match="journal"):
        await world.call(guard, "echo", value=1)
    assert world.tools.ran == []


async def test_t1_a_policy_that_became_stricter_makes_an_approval_stale(world: World, agent: Agent) -> None:
    """Approved under the old policy, judged again under the one in force."""
    first = agent(world)
    (request,) = await world.waiting()
    first.kill()
    await said(first)
    await world.decide(request, "bob")
    stricter = POLICY.replace("DEADLINE", world.deadline).replace("refund: {risk: high", "refund: {risk: critical")
    (world.policies / "policy.yaml").write_text(stricter)
    answer = await said(agent(world))
    assert "stale" in answer
    assert runs(world) == 0


async def test_t32_a_request_changed_in_redis_never_runs(world: World) -> None:
    """Its record no longer carries the agent's MAC."""
    with world.open() as guard, guard.session(user=ANN):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (request,) = await world.waiting()
        connection = await Connection.open(world.redis_url)
        (key,) = await connection.execute("KEYS", f"*request:{request}")
        record = await connection.execute("HGET", key, "record")
        await connection.execute("HSET", key, "record", record.replace(b'"risk":"high"', b'"risk":"low"'))
        await connection.close()
        await world.decide(request, "bob")
        with pytest.raises((CallRefused, Fault)):
            await call
    assert world.tools.ran == []


async def test_t32_votes_and_states_written_by_hand_give_no_permit(world: World) -> None:
    """Write access to Redis is not the power to approve."""
    with world.open() as guard, guard.session(user=ANN):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        (request,) = await world.waiting()
        connection = await Connection.open(world.redis_url)
        (key,) = await connection.execute("KEYS", f"*request:{request}")
        votes = key.replace(b":request:", b":votes:").decode()
        await connection.execute("HSET", votes, "resolution", "approved", "version", 1)
        events = key.split(b":request:")[0].decode() + ":events"
        await connection.execute(
            "XADD", events, "*", "request", request, "kind", "voted", "state", "approved", "time_ms", 1
        )
        await connection.close()
        with pytest.raises((CallRefused, Fault)) as refused:
            await call
    assert not isinstance(refused.value, OutcomeUnknown)
    assert world.tools.ran == []


async def test_t5_an_embedded_server_that_died_is_started_again(state_dir: Path, tenant: str) -> None:
    """The call at hand fails closed; the next one brings the server up, and tokens and labels are still there."""
    world = World(folder=state_dir, redis_url="", tenant=tenant)
    with world.open() as guard, guard.session(user=ANN):
        seen = await world.call(guard, "find_customer", customer_id=7)
        with leased(state_dir / "state") as lease:
            os.kill(server_pid(lease), signal.SIGKILL)
        with pytest.raises(GuardUnavailable):
            await world.call(guard, "http_post", url="https://acme.example/x")
        assert await world.call(guard, "http_post", url="https://acme.example/x") == "posted"
        with pytest.raises(CallRefused, match="Customer data would leave"):
            await world.call(guard, "http_post", url="https://mail.example/x")
    assert seen["email"].startswith("[EMAIL_")


async def test_t5_a_guard_closed_while_a_call_waits_is_not_opened_anew_by_its_end(state_dir: Path, tenant: str) -> None:
    """Who waits is told, and neither loop nor server comes back for that, nor for what the call holds of a limit."""
    world = World(folder=state_dir, redis_url="", tenant=tenant)
    with (world.policies / "policy.yaml").open("a") as policy:
        policy.write("limits: {refunds: {tools: [refund], sum: args.amount, max: 100, over: 1h, deny: true}}\n")
    guard = world.open()
    with guard.session(user=ANN):
        call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=1))
        await world.waiting()
        await asyncio.to_thread(guard.close)
        with pytest.raises(GuardUnavailable, match="closed"):
            await call
    assert world.tools.ran == []
    assert guard.freezing.background._line is None
    assert not stop_left_over(state_dir / "state")


async def test_a_closed_guard_that_is_used_once_more_opens_anew_for_many_at_once(world: World) -> None:
    """What they queue on for the line belongs to no loop of before."""
    with world.open() as guard, guard.session(user=ANN):
        for _ in range(2):
            asked = await asyncio.gather(*(guard.waits(f"c{number}") for number in range(10)))
            await asyncio.to_thread(guard.close)
            assert set(asked) == {None}


async def test_a_guard_closed_while_its_server_starts_leaves_none(
    state_dir: Path, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Starting it goes on in a thread when the loop that waits for it is gone; closing waits for that."""
    acquire, starting, go_on = Embedded.acquire, threading.Event(), threading.Event()

    def slowly(folder: Path) -> Lease:
        starting.set()
        go_on.wait(20)
        return acquire(folder)

    monkeypatch.setattr(Embedded, "acquire", slowly)
    world = World(folder=state_dir, redis_url="", tenant=tenant)
    guard = world.open()
    with guard.session(user=ANN):
        call = asyncio.create_task(world.call(guard, "echo", value=1))
        await asyncio.to_thread(starting.wait, 20)
        closing = asyncio.create_task(asyncio.to_thread(guard.close))
        with pytest.raises(GuardUnavailable, match="closed"):
            await call
        go_on.set()
        await closing
    assert world.tools.ran == []
    assert not stop_left_over(state_dir / "state")


async def test_a_forked_child_uses_nothing_of_its_parent(own_world: World, own_server: Lease) -> None:
    """The child makes its own calls and exits; parent, server and both journals are well afterwards."""
    with own_world.open() as guard, guard.session(user=ANN, id="thread"):
        seen = await own_world.call(guard, "find_customer", customer_id=7)
        child = os.fork()
        if child == 0:
            try:
                call = ToolCall(tool="find_customer", arguments={"customer_id": 8})
                same = guard.blocking.run(call, own_world.tools.tool("find_customer")) == seen
                guard.close()
                os._exit(0 if same else 3)
            finally:
                os._exit(4)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        task = asyncio.create_task(own_world.call(guard, "refund", "c1", order_id=1))
        (request,) = await own_world.waiting()
        await own_world.decide(request, "bob")
        assert await task == "refunded"
    report = verify(own_world.folder / "state" / "journal", journal_keys(own_world.settings))
    assert report.ok
    assert len(report.writers) == 2


def test_the_sync_door_works_inside_a_running_loop(world: World) -> None:
    """As in a notebook: a sync call on a thread whose loop runs neither hangs nor complains."""

    async def cell() -> str:
        return str(guard.blocking.run(ToolCall(tool="find_customer", arguments={"customer_id": 7}), tool)["email"])

    tool = world.tools.tool("find_customer")
    with world.open() as guard, guard.session(user=ANN):
        assert asyncio.run(cell()).startswith("[EMAIL_")


async def test_the_guards_own_loop_is_no_place_for_the_sync_door(world: World) -> None:
    """It would wait for itself: it raises."""

    async def there() -> None:
        guard.blocking.run(
            ToolCall(tool="find_customer", arguments={"customer_id": 7}), world.tools.tool("find_customer")
        )

    with world.open() as guard, guard.session(user=ANN), pytest.raises(RuntimeError, match="own loop"):
        await guard.tokens.background.hop(there)
