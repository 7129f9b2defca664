"""What a model is told of a call that a person edited before approving it, beside whatever its tool gave, in each framework."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from agents import Agent, Runner, ToolOutputImage, set_trace_processors
from langchain_core.messages import ToolMessage
from langchain_core.tools import StructuredTool
from langgraph.types import Command
from openai import AsyncOpenAI
from pydantic import BaseModel, EmailStr

from agentguard.audit import read
from agentguard.guard.pipeline import Guard
from agentguard.integrations.langchain import guard_tools
from agentguard.integrations.openai import dispatch
from agentguard.integrations.openai_agents import guarded
from tests.guard.test_editing import edit
from tests.guard.world import World
from tests.integrations.agents_world import model, tool
from tests.integrations.fake_openai import FakeOpenAI, call, calls, text
from tests.integrations.shapes import agent_of, calling, written

pytestmark = pytest.mark.anyio

EMAIL = "anna.kowalska@mail.example"
WORD = "[A person changed the call before approving it: amount=5.0. This is the result of the changed call.]"
FOUND = {"order": 7, "lines": ["one", "two"]}
URL = "https://acme.example/picture.png"
PICTURE = {"type": "image_url", "image_url": {"url": URL}}
GO = {"messages": [("user", "Go on")]}


@pytest.fixture
async def client(server: FakeOpenAI) -> AsyncIterator[AsyncOpenAI]:
    """The real client."""
    async with AsyncOpenAI(base_url=server.url, api_key="x", max_retries=0) as opened:
        yield opened


async def changed(world: World, asking: Awaitable[Any], **changes: Any) -> Any:
    """What came of a call that waits, once a person changed and approved it."""
    going = asyncio.ensure_future(asking)
    [request] = await world.waiting()
    await edit(world, request, **(changes or {"amount": 5.0}))
    await world.decide(request, "ann")
    return await going


def refund_that_gives(result: Any) -> Callable[..., Any]:
    """A tool that gives this."""

    def refund(order_id: int, amount: float = 10.0) -> Any:
        """Refund an order."""
        return result

    return refund


def _command() -> Command[Any]:
    others = [ToolMessage("of another", tool_call_id="c2"), ToolMessage("done", tool_call_id="c1")]
    return Command(update={"messages": others, "count": 3})


# -- LangChain ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "content"),
    [
        ("done", f"{WORD}\ndone"),
        (FOUND, [{"type": "text", "text": WORD}, {"type": "text", "text": json.dumps(FOUND)}]),
        ([1, 2], [{"type": "text", "text": WORD}, {"type": "text", "text": "[1, 2]"}]),
        (None, [{"type": "text", "text": WORD}, {"type": "text", "text": "null"}]),
        ([PICTURE, "seen"], [{"type": "text", "text": WORD}, PICTURE, {"type": "text", "text": "seen"}]),
        (["a", "b"], [{"type": "text", "text": WORD}, {"type": "text", "text": '["a", "b"]'}]),
        (ToolMessage([PICTURE], tool_call_id="c1"), [{"type": "text", "text": WORD}, PICTURE]),
        (ToolMessage("done", tool_call_id="c1"), f"{WORD}\ndone"),
        (_command(), f"{WORD}\ndone"),
        ([_command()], f"{WORD}\ndone"),
    ],
    ids=["text", "dict", "list", "nothing", "blocks", "texts", "message", "message of text", "command", "commands"],
)
@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
async def test_a_langchain_agent_reads_the_word_before_a_result_of_any_form(
    result: Any, content: Any, sync: bool, guard: Guard, world: World
) -> None:
    """In the message that answers the call; whatever the tool gave stands whole behind it."""
    agent, _ = agent_of(
        guard_tools(guard, [refund_that_gives(result)]), calling(written("refund", {"order_id": 1}, "c1"))
    )
    run = asyncio.to_thread(agent.invoke, GO) if sync else agent.ainvoke(GO)

    with guard.session(user="zoe@acme.example"):
        state = await changed(world, run)

    told = [message.content for message in state["messages"] if getattr(message, "tool_call_id", "") == "c1"]
    assert told == [content]


async def test_an_artifact_of_a_langchain_tool_stays_what_it_is(guard: Guard, world: World) -> None:
    """It is for a program; the content beside it carries the word."""
    bare = StructuredTool.from_function(
        refund_that_gives(([PICTURE], FOUND)),
        name="refund",
        description="Refund",
        response_format="content_and_artifact",
    )
    (gated,) = guard_tools(guard, [bare])

    with guard.session(user="zoe@acme.example"):
        message = await changed(world, gated.ainvoke(written("refund", {"order_id": 1}, "c1")))

    assert message.content == [{"type": "text", "text": WORD}, PICTURE]
    assert message.artifact == FOUND


async def test_other_messages_of_a_langchain_command_stay_as_they_are(guard: Guard, world: World) -> None:
    """So does the rest of its update."""
    (gated,) = guard_tools(guard, [refund_that_gives(_command())])

    with guard.session(user="zoe@acme.example"):
        command = await changed(world, gated.ainvoke(written("refund", {"order_id": 1}, "c1")))

    assert [message.content for message in command.update["messages"]] == ["of another", f"{WORD}\ndone"]
    assert command.update["count"] == 3


async def test_a_program_that_calls_a_langchain_tool_without_an_id_gets_what_it_gave(
    guard: Guard, world: World
) -> None:
    """No message is made that could carry a word."""
    (gated,) = guard_tools(guard, [refund_that_gives(FOUND)])

    with guard.session(user="zoe@acme.example"):
        given = await changed(world, gated.ainvoke({"order_id": 1}))

    assert given == FOUND


# -- chat completions and responses ---------------------------------------------------------------------------------


async def test_a_chat_model_reads_the_word_in_a_text_of_its_own_before_json(
    guard: Guard, world: World, client: AsyncOpenAI, server: FakeOpenAI
) -> None:
    """The JSON is the tool's result, whole; both reach the API as the client sends them."""
    tools = dispatch(guard, {"refund": refund_that_gives(FOUND)})
    server.says(calls(call("c1", "refund", {"order_id": 1})), text("Done"))
    first = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Go"}])
    message = first.choices[0].message

    with guard.session(user="zoe@acme.example"):
        (answer,) = await changed(world, tools.chat(message))
    await client.chat.completions.create(model="m", messages=[message, answer])  # type: ignore[list-item]

    sent = json.loads(server.sent[-1])["messages"][-1]
    assert [part["type"] for part in sent["content"]] == ["text", "text"]
    assert sent["content"][0]["text"] == WORD
    assert json.loads(sent["content"][1]["text"]) == FOUND


async def test_a_model_of_responses_reads_the_word_in_an_item_of_its_own_before_json(
    guard: Guard, world: World, client: AsyncOpenAI, server: FakeOpenAI
) -> None:
    """The JSON is the tool's result, whole; both reach the API as the client sends them."""
    tools = dispatch(guard, {"refund": refund_that_gives(FOUND)})
    server.says(calls(call("c1", "refund", {"order_id": 1})), text("Done"))
    response = await client.responses.create(model="m", input="Go")

    with guard.session(user="zoe@acme.example"):
        (answer,) = await changed(world, tools.responses(response.output))
    await client.responses.create(model="m", input=[answer])

    (sent,) = json.loads(server.sent[-1])["input"]
    assert [part["type"] for part in sent["output"]] == ["input_text", "input_text"]
    assert sent["output"][0]["text"] == WORD
    assert json.loads(sent["output"][1]["text"]) == FOUND


async def test_a_result_of_text_stays_one_text_behind_the_word(guard: Guard, world: World) -> None:
    """In one string, as without an edit."""
    tools = dispatch(guard, {"refund": refund_that_gives("refunded")})
    asked = {
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "refund", "arguments": '{"order_id": 1}'}}]
    }

    with guard.session(user="zoe@acme.example"):
        (answer,) = await changed(world, tools.chat(asked))

    assert answer["content"] == f"{WORD}\nrefunded"


async def test_t26_the_word_beside_json_is_masked_like_the_result_and_on_record(guard: Guard, world: World) -> None:
    """An address that a person typed is a token in it, and counts among what masking found."""

    def refund(order_id: int, note: str = "") -> Any:
        """Refund an order."""
        return {"order": order_id}

    tools = dispatch(guard, {"refund": refund})
    asked = {
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "refund", "arguments": '{"order_id": 1}'}}]
    }

    with guard.session(user="zoe@acme.example"):
        (answer,) = await changed(world, tools.chat(asked), note=f"ask {EMAIL}")

    word, given = (part["text"] for part in answer["content"])
    settled = [entry.body for entry in read(world.settings.state_dir / "journal") if entry.kind == "settled"]
    assert EMAIL not in word
    assert word.startswith('[A person changed the call before approving it: note="ask [EMAIL_')
    assert given == '{"order":1}'
    assert settled[-1]["entities"] == {"EMAIL_ADDRESS": 1}


# -- the Agents SDK -------------------------------------------------------------------------------------------------


class Refunded(BaseModel):
    """What a tool declares to give."""

    order: int
    email: EmailStr


async def told_by_the_sdk(
    guard: Guard, world: World, client: AsyncOpenAI, server: FakeOpenAI, result: Any, **declared: Any
) -> Any:
    """What the API is sent as the output of an edited call."""
    set_trace_processors([])
    given = tool(refund_that_gives(result), **declared)
    agent = guarded(guard, Agent(name="support", tools=[given], model=model("responses", client)))
    server.says(calls(call("c1", "refund", {"order_id": 1})), text("Done"))
    with guard.session(user="zoe@acme.example"):
        await changed(world, Runner.run(agent, "Go on"))
    items = json.loads(server.sent[-1])["input"]
    return next(item["output"] for item in items if item.get("type") == "function_call_output")


@pytest.mark.parametrize(
    ("result", "output"),
    [
        ("refunded", f"{WORD}\nrefunded"),
        (FOUND, f"{WORD}\n{FOUND}"),
        ([], f"{WORD}\n[]"),
        (
            [ToolOutputImage(image_url=URL)],
            [
                {"type": "input_text", "text": WORD},
                {"type": "input_image", "image_url": URL},
            ],
        ),
        (
            {"type": "text", "text": "refunded"},
            [{"type": "input_text", "text": WORD}, {"type": "input_text", "text": "refunded"}],
        ),
    ],
    ids=["text", "dict", "empty", "picture", "part"],
)
async def test_a_model_of_the_agents_sdk_reads_the_word_before_a_result_of_any_form(
    result: Any, output: Any, guard: Guard, world: World, client: AsyncOpenAI, server: FakeOpenAI
) -> None:
    """As a line before text, as a part before parts, each of which stays what it is."""
    assert await told_by_the_sdk(guard, world, client, server, result) == output


@pytest.mark.parametrize(
    ("result", "declared"),
    [
        (Refunded(order=7, email="a@b.example"), {"output_type": Refunded}),
        ('{"order": 7}', {"output_json_schema": {"type": "object", "properties": {"order": {"type": "integer"}}}}),
    ],
    ids=["type", "schema"],
)
async def test_a_result_of_a_form_that_was_declared_to_the_agents_sdk_stays_json(
    result: Any, declared: Any, guard: Guard, world: World, client: AsyncOpenAI, server: FakeOpenAI
) -> None:
    """The SDK holds it to its schema, which has no place for a word."""
    output = await told_by_the_sdk(guard, world, client, server, result, **declared)

    assert json.loads(output)["order"] == 7
