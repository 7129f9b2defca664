"""Where guarded tools run: on loops of either kind, watched for what blocks them, in threads, forks and new processes, and many at once."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import uvloop
from agents import Agent, RunConfig, Runner
from blockbuster import BlockingError, blockbuster_ctx
from langchain_core.tools import StructuredTool
from openai import AsyncOpenAI

from agentguard.audit import read
from agentguard.errors import NoSession
from agentguard.guard.pipeline import Guard
from agentguard.integrations.langchain import guard_tools
from agentguard.integrations.openai import dispatch
from agentguard.integrations.openai_agents import guarded
from tests.guard.world import World
from tests.integrations.agents_world import model, tool
from tests.integrations.children import echoed
from tests.integrations.fake_openai import FakeOpenAI, call, calls, text

pytestmark = pytest.mark.anyio

EMAIL = "anna.kowalska@mail.example"
USER = "eve@acme.example"
MANY = 1_000


def journal(world: World) -> list[str]:
    """The kinds of records, in order."""
    return [entry.kind for entry in read(world.settings.state_dir / "journal") if entry.kind in ("judged", "settled")]


async def everything(guard: Guard, server: FakeOpenAI, client: AsyncOpenAI) -> list[str]:
    """One masked call by each integration, and one that waits and is taken back."""

    async def echo(value: str) -> str:
        """Echo."""
        return value

    written = {"name": "echo", "arguments": json.dumps({"value": EMAIL})}
    message = {"role": "assistant", "tool_calls": [{"id": "c0", "type": "function", "function": written}]}
    [langchain_tool] = guard_tools(guard, [StructuredTool.from_function(coroutine=echo, description="Echo.")])
    server.says(calls(call("c1", "echo", {"value": EMAIL})), text("Done"))
    agent = guarded(guard, Agent(name="a", tools=[tool(echo)], model=model("responses", client)))
    over = await Runner.run(agent, "Go on", run_config=RunConfig(tracing_disabled=True))
    given = [
        await guard.tool(echo)(EMAIL),
        await langchain_tool.ainvoke({"value": EMAIL}),
        (await dispatch(guard, {"echo": echo}).chat(message))[0]["content"],
        over.new_items[1].output,
    ]
    waiting = asyncio.create_task(guard.tool(name="refund")(echo)("1"))
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return [str(each) for each in given]


@contextmanager
def watched() -> Iterator[None]:
    """A watch that raises where a loop is blocked, but for two looks at local files that are part of a call by design."""
    with blockbuster_ctx() as watch:
        watch.functions["os.write"].can_block_in("agentguard/audit/disk.py", "write")  # a line of the journal
        for function in watch.functions.values():
            function.can_block_in("agentguard/config/watching.py", "_look_once")  # has the policy changed?
        yield


async def test_nothing_blocks_the_event_loop(guard: Guard, server: FakeOpenAI) -> None:
    """Not the callers' and not the guard's own: no wait for Redis, a disk, a lock or a person."""
    # Made before the watch begins: a client looks for the machine's certificates, and that is none of the guard's doing.
    async with AsyncOpenAI(base_url=server.url, api_key="x", max_retries=0) as client:
        with guard.session(user=USER, id="thread-1"):
            await everything(guard, server, client)  # what is imported and opened at the first call is
            with watched():
                given = await everything(guard, server, client)

    assert all("[EMAIL_" in each for each in given)


def test_the_watch_sees_what_blocks() -> None:
    """Else the test above could not fail."""

    async def block() -> None:
        time.sleep(0)  # noqa: ASYNC251 - what must not be

    with watched(), pytest.raises(BlockingError):
        asyncio.run(block())


def test_everything_runs_under_uvloop(guard: Guard, server: FakeOpenAI) -> None:
    """The other loop that people use."""

    async def with_a_client() -> list[str]:
        async with AsyncOpenAI(base_url=server.url, api_key="x", max_retries=0) as client:
            return await everything(guard, server, client)

    with guard.session(user=USER, id="thread-1"):
        given = uvloop.run(with_a_client())

    assert all("[EMAIL_" in each for each in given)
    assert len(set(given)) == 1


async def test_the_sync_door_opens_inside_a_running_loop(guard: Guard, world: World) -> None:
    """As where a notebook, or a sync callback of a framework, calls a sync tool."""
    with guard.session(user=USER, id="thread-1"):
        given = guard.tool(name="echo")(lambda value: value)(EMAIL)

    assert "[EMAIL_" in given
    assert journal(world) == ["judged", "settled"]


def test_threads_have_loops_and_sessions_of_their_own(guard: Guard, world: World) -> None:
    """Each in the session that it opened; none sees another's."""
    start = threading.Barrier(8)

    def run(number: int) -> tuple[str, Any]:
        start.wait()
        with guard.session(user=f"user{number}@acme.example", id=f"thread-{number}"):
            made = guard.tool(name="echo")(lambda value: value)
            return made(EMAIL), asyncio.run(world.call(guard, "echo", value=EMAIL))

    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(run, range(8)))

    assert all(first == second and "[EMAIL_" in first for first, second in given)
    assert len({first for first, _ in given}) == 8


@pytest.mark.slow
def test_a_new_process_opens_the_same_session(guard: Guard, world: World) -> None:
    """Spawned, with nothing of this one: the same value has the same token there."""
    with guard.session(user=USER, id="thread-1"):
        mine = guard.tool(name="echo")(lambda value: value)(EMAIL)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        theirs = pool.apply(echoed, (str(world.folder), world.redis_url, world.tenant, USER, EMAIL))

    assert theirs == mine


@pytest.mark.parametrize("door", ["sync", "async"])
def test_a_forked_child_goes_on_with_its_parents_guard(door: str, guard: Guard, world: World) -> None:
    """And with its session; both write to the record, each in a file of its own."""
    made: Callable[[str], str] = guard.tool(name="echo")(lambda value: value)
    with guard.session(user=USER, id="thread-1"):
        mine = made(EMAIL)
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            given = made(EMAIL) if door == "sync" else asyncio.run(world.call(guard, "echo", value=EMAIL))
            os.write(writing, given.encode())
            os._exit(0)
        os.waitpid(child, 0)
        theirs = os.read(reading, 1_000).decode()
        again = made(EMAIL)
    os.close(reading)
    os.close(writing)

    assert mine == theirs == again
    assert journal(world).count("settled") == 3


@pytest.mark.slow
async def test_a_thousand_calls_at_once_each_have_their_own_answer(guard: Guard, world: World) -> None:
    """Functions, LangChain's tools and a message of OpenAI's: none is lost, none is another's, and each is on record once."""

    async def echo(value: str) -> str:
        """Echo."""
        await asyncio.sleep(0)
        return value

    made = guard.tool(echo)
    [langchain_tool] = guard_tools(guard, [StructuredTool.from_function(coroutine=echo, description="Echo.")])
    tools = dispatch(guard, {"echo": echo})
    values = [f"order {number}" for number in range(MANY)]
    written = [
        {"id": value, "type": "function", "function": {"name": "echo", "arguments": json.dumps({"value": value})}}
        for value in values[:400]
    ]
    with guard.session(user=USER):
        first, *rest = await asyncio.gather(
            tools.chat({"role": "assistant", "tool_calls": written}),
            *map(made, values[400:800]),
            *(langchain_tool.ainvoke({"value": value}) for value in values[800:]),
        )

    assert [*(each["content"] for each in first), *rest] == values
    kinds = journal(world)
    assert (kinds.count("judged"), kinds.count("settled")) == (MANY, MANY)


async def test_a_call_inside_a_call_is_judged_by_itself(guard: Guard, world: World) -> None:
    """A tool that runs another one."""
    inner = guard.tool(name="echo")(lambda value: value)

    @guard.tool(name="read_page")
    async def outer(url: str) -> str:
        return f"{url}: {inner(EMAIL)}"

    with guard.session(user=USER):
        given = await outer("https://acme.example")

    assert "[EMAIL_" in given
    assert journal(world) == ["judged", "judged", "settled", "settled"]


async def test_a_task_from_before_the_session_is_outside_of_it(guard: Guard) -> None:
    """It says so, and runs nothing."""
    made = guard.tool(name="echo")(lambda value: value)
    opened = asyncio.Event()

    async def late() -> Any:
        await opened.wait()
        return made(1)

    task = asyncio.create_task(late())
    with guard.session(user=USER):
        opened.set()
        [ended] = await asyncio.gather(task, return_exceptions=True)

    assert isinstance(ended, NoSession)
