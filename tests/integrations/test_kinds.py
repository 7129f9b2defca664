"""Twelve kinds of parameter: with a placeholder in it the permitted tool gets the true value, another one a clear refusal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
from agents import Agent, OpenAIChatCompletionsModel, RunConfig, Runner, ToolCallOutputItem, function_tool
from langchain_core.tools import StructuredTool
from openai import AsyncOpenAI

from agentguard.errors import CallRefused, RefusalReason
from agentguard.guard.pipeline import Guard
from agentguard.integrations.functions import FunctionTool
from agentguard.integrations.langchain import guard_tools
from agentguard.integrations.openai import dispatch
from agentguard.integrations.openai_agents import guarded
from agentguard.model.calls import ToolCall
from tests.guard.world import World
from tests.integrations.fake_openai import FakeOpenAI, call, calls, text
from tests.integrations.kinds import KINDS, Kind, Taken, policy

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys()),
]

REFUSED = (
    "not revealed: value{at} holds what stands for a masked value, and policy does not give other the value there."
)


@pytest.fixture
def kind_guard(kind: Kind, world: World) -> Iterator[Guard]:
    """A guard whose policy reveals one type in one parameter of one tool."""
    (world.policies / "policy.yaml").write_text(policy(kind), encoding="utf-8")
    with world.open() as opened, opened.session(user="dan@acme.example"):
        yield opened


@pytest.fixture
def taken(kind: Kind) -> Taken:
    """The tools, and what they got."""
    return Taken(kind, [])


def _place(kind: Kind) -> str:
    return {"value.email": ".email"}.get(kind.path, ".0" if isinstance(kind.expected, list) else "")


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "unannounced"])
async def test_t27_functions(kind: Kind, kind_guard: Guard, taken: Taken, announced: bool) -> None:
    """Tools that are announced get stand-ins where they need them; those that aren't get tokens, which do as well."""
    tools = {name: FunctionTool.of(function, name=name) for name, function in taken.functions().items()}
    announce: dict[bool, Callable[..., None]] = {True: kind_guard.expect, False: lambda *_: None}
    announce[announced](*tools.values())
    given = await kind_guard.run(ToolCall(tool="give", arguments={}), tools["give"])
    written = {"value": kind.write(given[kind.field])}

    done = await kind_guard.run(ToolCall(tool="take", arguments=written), tools["take"])
    with pytest.raises(CallRefused) as refused:
        await kind_guard.run(ToolCall(tool="other", arguments=written), tools["other"])

    assert str(kind.value) not in json.dumps(given)
    assert done["outcome"] == "done"
    assert str(kind.value) not in json.dumps(done)
    assert taken.values == [kind.expected]
    assert refused.value.reason is RefusalReason.NOT_REVEALED
    assert str(refused.value).startswith(REFUSED.format(at=_place(kind)))


async def test_t27_langchain(kind: Kind, kind_guard: Guard, taken: Taken) -> None:
    """A LangChain tool: the schema stays its own, and the refusal is its error result."""
    bare = {name: StructuredTool.from_function(function, name=name) for name, function in taken.functions().items()}
    tools = {tool.name: tool for tool in guard_tools(kind_guard, list(bare.values()))}
    given = await tools["give"].ainvoke({})
    written = {"value": kind.write(given[kind.field])}

    done = await tools["take"].ainvoke(written)
    refused = await tools["other"].ainvoke({"name": "other", "args": written, "id": "call-1", "type": "tool_call"})

    assert tools["take"].tool_call_schema.model_json_schema() == bare["take"].tool_call_schema.model_json_schema()
    assert done["outcome"] == "done"
    assert str(kind.value) not in json.dumps(done)
    assert taken.values == [kind.expected]
    assert refused.status == "error"
    assert refused.content.startswith(REFUSED.format(at=_place(kind)))


async def test_t27_openai_strict(kind: Kind, kind_guard: Guard, taken: Taken, server: FakeOpenAI) -> None:
    """A strict schema is held to by the API: what the model was given can be written there, and comes back as the value."""
    tools = dispatch(kind_guard, taken.functions())
    messages: list[Any] = [{"role": "user", "content": "Go on"}]
    async with AsyncOpenAI(base_url=server.url, api_key="x", max_retries=0) as client:

        async def step(*written: dict[str, Any]) -> list[str]:
            server.says(calls(*written))
            completion = await client.chat.completions.create(model="scripted", messages=messages, tools=tools.tools)
            answers = await tools.chat(completion.choices[0].message)
            messages.extend([completion.choices[0].message, *answers])
            return [str(answer["content"]) for answer in answers]

        [given] = await step(call("call-1", "give", {}))
        written = {"value": kind.write(json.loads(given)[kind.field])}
        done, refused = await step(call("call-2", "take", written), call("call-3", "other", written))

    taking = next(spec["function"] for spec in tools.tools if spec["function"]["name"] == "take")
    assert taking["strict"] is True
    jsonschema.Draft202012Validator(
        dict(taking["parameters"]), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    ).validate(written)
    assert json.loads(done)["outcome"] == "done"
    assert taken.values == [kind.expected]
    assert refused.startswith(REFUSED.format(at=_place(kind)))
    assert str(kind.value) not in json.dumps([json.loads(sent)["messages"] for sent in server.sent])


async def test_t27_agents_sdk(kind: Kind, kind_guard: Guard, taken: Taken, server: FakeOpenAI) -> None:
    """The real agent with strict tools: what the model was given fits the schema that it was told, and comes back as the value."""
    async with AsyncOpenAI(base_url=server.url, api_key="x", max_retries=0) as client:
        tools: list[Any] = [function_tool(each, name_override=name) for name, each in taken.functions().items()]
        agent = guarded(
            kind_guard, Agent(name="support", tools=tools, model=OpenAIChatCompletionsModel("scripted", client))
        )

        async def step(given: Any, *written: dict[str, Any]) -> tuple[list[Any], Any]:
            server.says(calls(*written), text("Done"))
            result = await Runner.run(agent, given, run_config=RunConfig(tracing_disabled=True))
            return [item.output for item in result.new_items if isinstance(item, ToolCallOutputItem)], result

        [given], first = await step("Go on", call("call-1", "give", {}))
        written = {"value": kind.write(given[kind.field])}
        (done, refused), _ = await step(
            first.to_input_list(), call("call-2", "take", written), call("call-3", "other", written)
        )

    sent = json.loads(server.sent[-1])
    taking = next(spec["function"] for spec in sent["tools"] if spec["function"]["name"] == "take")
    assert taking["strict"] is True
    jsonschema.Draft202012Validator(
        taking["parameters"], format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    ).validate(written)
    assert done["outcome"] == "done"
    assert taken.values == [kind.expected]
    assert refused.startswith(REFUSED.format(at=_place(kind)))
    assert str(kind.value) not in json.dumps([json.loads(sent)["messages"] for sent in server.sent])
