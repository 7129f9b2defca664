"""One scenario through every integration: values in a result, in an error and in the user's words, looked for in every place there is."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis
from agents import Agent, set_trace_processors
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.tools import StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from openai import AsyncOpenAI

from agentguard.guard.pipeline import Guard
from agentguard.integrations import openai_agents
from agentguard.integrations.langchain import guarded
from agentguard.integrations.langgraph_checkpoints import sealed_serializer
from agentguard.integrations.openai import dispatch, guard_client
from tests.guard.world import CUSTOMER, POLICY, World
from tests.integrations.agents_world import Events, Told, model, tool
from tests.integrations.fake_openai import FakeOpenAI, call, calls, text
from tests.integrations.shapes import Scripted, calling, written

pytestmark = pytest.mark.anyio

NAME, EMAIL, MINE = str(CUSTOMER["full_name"]), str(CUSTOMER["email"]), "me.myself@mail.example"
PLANTED = (NAME, "Kowalska", EMAIL, "202-555-0147", MINE)
USER = "eve@acme.example"
ASKED = f"I am {MINE}, find customer 7"


@pytest.fixture
def world(world: World) -> World:
    """The usual policies, with one more tool."""
    (world.policies / "policy.yaml").write_text(
        POLICY.replace("DEADLINE", "20s").replace("  echo:", "  fail: {risk: low, labels: []}\n  echo:")
    )
    return world


def find_customer(customer_id: int) -> dict[str, Any]:
    """Look up a customer."""
    return dict(CUSTOMER)


def fail() -> str:
    """Fail."""
    raise LookupError(f"no mail for {EMAIL}") from ValueError(f"not {EMAIL}")


async def functions(guard: Guard, server: FakeOpenAI) -> str:
    """`@guard.tool`, and pieces."""

    @guard.tool(name="echo")
    def pieces() -> Iterator[str]:
        yield from ("write to anna.kowal", "ska@mail.exam", "ple, said Anna Kowal", "ska to us")

    await guard.user_said(ASKED)
    told = [str(guard.tool(find_customer)(7)), *pieces()]
    try:
        guard.tool(fail)()
    except LookupError as error:
        told.append(repr((error, error.__cause__, error.__context__)))
    return "".join(told)


async def chat_dispatch(guard: Guard, server: FakeOpenAI) -> str:
    """Chat completions through a bare client; what the user wrote is the application's own to send."""
    tools = dispatch(guard, {"find_customer": find_customer, "fail": fail})
    messages: list[Any] = [{"role": "user", "content": "Find customer 7"}]
    server.says(calls(call("c1", "find_customer", {"customer_id": 7}), call("c2", "fail", {})), text("Done"))
    async with AsyncOpenAI(base_url=server.url, api_key="x", max_retries=0) as client:
        for _ in range(2):
            completion = await client.chat.completions.create(model="m", messages=messages, tools=tools.tools)
            answered = await tools.chat(completion.choices[0].message, messages=[{"role": "user", "content": ASKED}])
            messages += [completion.choices[0].message, *answered]
    return str(messages)


async def guarded_responses(guard: Guard, server: FakeOpenAI) -> str:
    """Responses through a guarded client, at once and as a stream."""
    tools = dispatch(guard, {"find_customer": find_customer, "fail": fail})
    items: list[Any] = [{"role": "user", "content": ASKED}]
    server.says(calls(call("c1", "find_customer", {"customer_id": 7}), call("c2", "fail", {})), text("Done"))
    async with AsyncOpenAI(base_url=server.url, api_key="x", max_retries=0) as bare:
        client = guard_client(guard, bare)
        response = await client.responses.create(model="m", input=items, tools=tools.response_tools)
        answers = await tools.responses(response.output, given=ASKED)
        items += [*[each.model_dump(exclude_none=True) for each in response.output], *answers]
        events = [event async for event in await client.responses.create(model="m", input=items, stream=True)]
        await client.close()
    return str(answers) + str(events)


async def langchain_agent(guard: Guard, server: FakeOpenAI) -> str:
    """An agent with sealed checkpoints; its events from the first model call on, since the first one has what it was given."""
    saver = InMemorySaver(serde=sealed_serializer(guard))
    script = [calling(written("find_customer", {"customer_id": 7}, "c1"), written("fail", {}, "c2")), AIMessage("Done")]
    said = Scripted(script=script)
    failing = StructuredTool.from_function(fail, name="fail", description="Fail.", handle_tool_error=True)
    agent: Any = create_agent(said, checkpointer=saver, **guarded(guard, [find_customer, failing]))
    told = ""
    with suppress(LookupError):
        async for event in agent.astream_events(
            {"messages": [("user", ASKED)]}, {"configurable": {"thread_id": "1"}}, version="v2"
        ):
            told += repr(event) if event["event"].startswith(("on_tool", "on_chat_model")) else ""
    stored = repr(dict(saver.storage)) + repr(dict(saver.writes)) + repr(dict(saver.blobs))
    return told + stored + str(said.sent)


async def agents_sdk(guard: Guard, server: FakeOpenAI) -> str:
    """An agent whose events and traces are kept."""
    traces, events = Told(), Events(streams=True)
    set_trace_processors([traces])
    server.says(calls(call("c1", "find_customer", {"customer_id": 7}), call("c2", "fail", {})), text("Done"))
    async with AsyncOpenAI(base_url=server.url, api_key="x", max_retries=0) as client:
        tools = [tool(find_customer), tool(fail, failure_error_function=lambda _, error: f"failed: {error}")]
        agent = openai_agents.guarded(guard, Agent(name="a", tools=tools, model=model("responses", client)))
        result = await events.run(agent, ASKED)
    set_trace_processors([])
    sealed = openai_agents.sealed_state(guard, result.to_state())
    return traces.text + events.text + repr(sealed) + repr([item.raw_item for item in result.new_items])


WAYS = (functions, chat_dispatch, guarded_responses, langchain_agent, agents_sdk)


def kept_in_redis(world: World) -> str:
    """Every key of the tenant with all that it holds."""
    client = redis.Redis(unix_socket_path=world.redis_url.removeprefix("unix://"))
    read: dict[bytes, Callable[[bytes], Any]] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"stream": client.xrange,
        b"list": lambda key: client.lrange(key, 0, -1),
    }
    kinds: list[tuple[bytes, Any]] = [(key, client.type(key)) for key in client.scan_iter(f"*{world.tenant}*")]
    held = repr([(key, read[kind](key)) for key, kind in kinds])
    client.close()
    return held


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_t26_a_planted_value_is_nowhere(
    way: Callable[[Guard, FakeOpenAI], Awaitable[str]], guard: Guard, world: World, server: FakeOpenAI,
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """What the model is sent, what is streamed, traced and checkpointed, logs, standard output, journal and Redis."""
    caplog.set_level(logging.DEBUG, logger="agentguard")
    with guard.session(user=USER, id="thread-1"):
        told = await way(guard, server)

    printed = capfd.readouterr()
    places = {
        "told": told,
        "model": "".join(server.sent),
        "log": "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("agentguard")),
        "printed": printed.out + printed.err,
        "journal": "".join(file.read_text() for file in (world.settings.state_dir / "journal").iterdir()),
        "redis": kept_in_redis(world),
    }
    assert {(place, value) for place, held in places.items() for value in PLANTED if value in held} == set()
    assert "[EMAIL_" in told
    assert json.dumps(USER)[1:-1] in places["journal"]
    assert world.tenant in places["redis"]
