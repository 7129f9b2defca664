"""The real OpenAI client against a scripted server, its tool calls answered through a real guard."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

from agentguard.audit import read
from agentguard.errors import ConfigurationError, NoSession, ResultWithheld
from agentguard.guard.pipeline import Guard
from agentguard.integrations.functions import FunctionTool
from agentguard.integrations.openai import Dispatch, dispatch
from agentguard.model.approvals import Decision
from tests.approval.server import Server
from tests.guard.world import CUSTOMER, World
from tests.integrations.fake_openai import FakeOpenAI, call, calls, free_text, text

pytestmark = pytest.mark.anyio

PLANTED = ("anna.kowalska@mail.example", "Anna Kowalska", "Kowalska", "202-555-0147")


@pytest.fixture
def tools(guard: Guard, world: World) -> Dispatch:
    """The world's tools, for a model to call."""
    names = ["find_customer", "send_email", "refund", "echo", "forbidden_thing"]
    return dispatch(guard, {name: getattr(world.tools, name) for name in names})


@pytest.fixture
async def client(server: FakeOpenAI) -> AsyncIterator[AsyncOpenAI]:
    """The real client."""
    async with AsyncOpenAI(base_url=server.url, api_key="x", max_retries=0) as opened:
        yield opened


@pytest.fixture
def blocking_client(server: FakeOpenAI) -> Iterator[OpenAI]:
    """The real client, sync."""
    with OpenAI(base_url=server.url, api_key="x", max_retries=0) as opened:
        yield opened


class ChatAgent:
    """The loop that every user of chat completions writes."""

    def __init__(self, client: AsyncOpenAI, tools: Dispatch) -> None:
        self.client, self.tools = client, tools
        self.messages: list[Any] = [{"role": "user", "content": "Go on"}]

    async def step(self) -> list[str]:
        """One model call and the answers to its tool calls."""
        completion = await self.client.chat.completions.create(
            model="scripted", messages=self.messages, tools=self.tools.tools
        )
        message = completion.choices[0].message
        answers = await self.tools.chat(message)
        self.messages += [message, *answers]
        return [str(one["content"]) for one in answers]


class ResponsesAgent:
    """The loop that every user of responses writes."""

    def __init__(self, client: AsyncOpenAI, tools: Dispatch) -> None:
        self.client, self.tools = client, tools
        self.items: list[Any] = [{"role": "user", "content": "Go on"}]

    async def step(self) -> list[str]:
        """One model call and the answers to its tool calls."""
        response = await self.client.responses.create(
            model="scripted", input=self.items, tools=self.tools.response_tools
        )
        answers = await self.tools.responses(response.output)
        self.items += [*(item.model_dump(exclude_none=True) for item in response.output), *answers]
        return [str(one["output"]) for one in answers]


async def _chat(tools: Dispatch, name: str, arguments: str) -> str:
    (answer,) = await tools.chat({"tool_calls": [_written("a", name, arguments)]})
    return str(answer["content"])


async def _respond(tools: Dispatch, name: str, arguments: str) -> str:
    (answer,) = await tools.responses([{"type": "function_call", "call_id": "a", "name": name, "arguments": arguments}])
    return str(answer["output"])  # type: ignore[typeddict-item]


FORMS = pytest.mark.parametrize("ask", [_chat, _respond], ids=["chat", "responses"])
AGENTS = pytest.mark.parametrize("kind", [ChatAgent, ResponsesAgent], ids=["chat", "responses"])


@AGENTS
async def test_t26_nothing_personal_reaches_the_model_and_the_tool_gets_it_back(
    kind: Any, guard: Guard, world: World, tools: Dispatch, client: AsyncOpenAI, server: FakeOpenAI
) -> None:
    """A looked-up address is a token to the model, in all it is sent, and itself again to the tool that policy reveals it to."""
    agent = kind(client, tools)
    server.says(calls(call("c1", "find_customer", {"customer_id": 7})))

    with guard.session(user="ann@acme.example"):
        (found,) = await agent.step()
        token = json.loads(found)["email"]
        server.says(calls(call("c2", "send_email", {"to": token, "body": f"Dear {token}"})), text("Done"))
        (sent,) = await agent.step()
        await agent.step()

    assert world.tools.ran[1] == ("send_email", {"to": CUSTOMER["email"], "body": f"Dear {token}"})
    assert sent == f"sent to {token}"
    assert len(server.sent) == 3
    assert [value for value in PLANTED if value in "\n".join(server.sent)] == []


@AGENTS
async def test_a_denied_call_is_answered_and_the_run_goes_on(
    kind: Any, guard: Guard, world: World, tools: Dispatch, client: AsyncOpenAI, server: FakeOpenAI
) -> None:
    """The model reads why, and may go on talking."""
    agent = kind(client, tools)
    server.says(calls(call("c1", "forbidden_thing", {})), text("I may not do that."))

    with guard.session(user="ann@acme.example"):
        (told,) = await agent.step()
        await agent.step()

    assert told.startswith("denied by policy: Nobody may do this")
    assert world.tools.ran == []
    assert "Nobody may do this" in server.sent[1]


@AGENTS
async def test_t38_the_calls_of_one_message_run_together_and_each_by_its_own_decision(
    kind: Any, guard: Guard, world: World, tools: Dispatch, client: AsyncOpenAI, server: FakeOpenAI
) -> None:
    """One is denied, one allowed, one approved and one rejected; none waits for, stops or releases another."""
    agent = kind(client, tools)
    server.says(
        calls(
            call("c1", "forbidden_thing", {}),
            call("c2", "echo", {"value": "hello"}),
            call("c3", "refund", {"order_id": 1, "amount": 5.0}),
            call("c4", "refund", {"order_id": 2, "amount": 5.0}),
        )
    )

    with guard.session(user="zoe@acme.example"):
        step = asyncio.create_task(agent.step())
        first, second = await world.waiting(2)
        allowed_meanwhile = list(world.tools.ran)
        await world.decide(first, "ann")
        await world.decide(second, "bob", Decision.REJECT, "Not this one")
        told = await step

    assert allowed_meanwhile == [("echo", {"value": "hello"})]
    assert told[0].startswith("denied by policy")
    assert told[1] == "hello"
    assert sorted(answer.split(".")[0] for answer in told[2:]) == ["refunded", "rejected by a person"]
    assert sum(name == "refund" for name, _ in world.tools.ran) == 1


@AGENTS
async def test_t19_the_calls_of_one_message_are_asked_about_as_one_turn(
    kind: Any, guard: Guard, world: World, tools: Dispatch, client: AsyncOpenAI, server: FakeOpenAI
) -> None:
    """Two calls of one message share a turn; the same message in another session is another turn."""
    message = calls(call("c1", "refund", {"order_id": 1}), call("c2", "refund", {"order_id": 2}))
    steps = []
    for user in ("zoe@acme.example", "cem@acme.example"):
        server.says(message)
        with guard.session(user=user):
            steps.append(asyncio.create_task(kind(client, tools).step()))
            requests = [await world.stored(request_id) for request_id in await world.waiting(2 * len(steps))]
    for stored in requests:
        await world.decide(stored.request.id, "ann")
    await asyncio.gather(*steps)

    by_user = {user: {stored.request.turn for stored in requests if stored.request.principal.user == user} for user in
               ("zoe@acme.example", "cem@acme.example")}  # fmt: skip
    assert [len(turns) for turns in by_user.values()] == [1, 1]
    assert len({*by_user["zoe@acme.example"], *by_user["cem@acme.example"], ""}) == 3


UNREADABLE = {
    "no JSON": '{"value": ',
    "single quotes": "{'value': 1}",
    "an array": "[1]",
    "text": '"value"',
    "null": "null",
    "duplicate keys": '{"value": 1, "value": 2}',
    "duplicate keys inside": '{"value": {"a": 1, "a": 2}}',
    "NaN": '{"value": NaN}',
    "infinity": '{"value": -Infinity}',
    "too large a float": '{"value": 1e999}',
    "too deep": '{"value": ' + "[" * 200 + "]" * 200 + "}",
    "far too deep": '{"value": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "a number too long": '{"value": ' + "9" * 5_000 + "}",
    "a lone surrogate": '{"value": "\\ud800"}',
    "an unknown argument": '{"valeu": 1}',
}


@FORMS
@pytest.mark.parametrize("written", UNREADABLE.values(), ids=UNREADABLE)
async def test_arguments_that_are_no_plain_object_are_told_to_the_model(
    ask: Any, written: str, guard: Guard, world: World, tools: Dispatch
) -> None:
    """Nothing runs, nothing is raised, the refusal is on record."""
    with guard.session(user="ann@acme.example"):
        told = await ask(tools, "echo", written)

    assert told.startswith("invalid arguments: ")
    assert "did not run" in told
    assert world.tools.ran == []
    assert [entry.kind for entry in read(world.settings.state_dir / "journal")][1:] == ["refused"]


@FORMS
@pytest.mark.parametrize(
    "name", ["delete_everything", "functions.echo", "ECHO", "echo\u200b", "", "a" * 65, "e\u0441ho", None]
)
async def test_t23_a_name_that_no_tool_has_is_refused_on_record(
    ask: Any, name: str, guard: Guard, world: World, tools: Dispatch
) -> None:
    """The model is told the names there are; what it made up runs nothing, however close it comes."""
    with guard.session(user="ann@acme.example"):
        told = await ask(tools, name, '{"value": 1}')

    known = "echo, find_customer, forbidden_thing, refund, send_email"
    assert told == f"no tool has this name; the tools are: {known}. Nothing ran."
    assert world.tools.ran == []
    assert [entry.kind for entry in read(world.settings.state_dir / "journal")][1:] == ["refused"]


@FORMS
async def test_t26_a_made_up_name_that_holds_personal_data_is_not_written_down(
    ask: Any, guard: Guard, world: World, tools: Dispatch
) -> None:
    """No tool can be named so, and a journal line has room for names of tools alone."""
    with guard.session(user="ann@acme.example"):
        told = await ask(tools, "write_to_dan@acme.example", "{}")

    written = "".join(path.read_text(encoding="utf-8") for path in world.folder.rglob("*.jsonl"))
    assert "dan@acme.example" not in told + written


@AGENTS
async def test_free_text_calls_are_refused(
    kind: Any, guard: Guard, world: World, tools: Dispatch, client: AsyncOpenAI, server: FakeOpenAI
) -> None:
    """A custom call has no arguments that a policy could judge."""
    agent = kind(client, tools)
    server.says(calls(free_text("c1", "echo", "rm -rf /")))

    with guard.session(user="ann@acme.example"):
        (told,) = await agent.step()

    assert told.startswith("invalid arguments: arguments: this tool takes JSON arguments, not free text")
    assert world.tools.ran == []


async def test_every_answer_carries_the_id_of_its_call(guard: Guard, tools: Dispatch) -> None:
    """The API refuses a conversation in which a call has no answer, or another's."""
    message = {
        "tool_calls": [_written("a", "echo", '{"value": 1}'), _written("b", "echo", "{"), _written("c", "nope", "{}")]
    }

    with guard.session(user="ann@acme.example"):
        answers = await tools.chat(message)

    assert [answer["tool_call_id"] for answer in answers] == ["a", "b", "c"]


async def test_a_message_without_calls_needs_no_answer(guard: Guard, tools: Dispatch) -> None:
    """Plain talk."""
    assert await tools.chat({"role": "assistant", "content": "Hello", "tool_calls": None}) == []
    assert await tools.responses([{"type": "message", "content": []}, {"type": "web_search_call", "id": "w"}]) == []


async def test_a_tool_that_raises_is_told_masked(guard: Guard, world: World) -> None:
    """The error's text is masked as a result would be."""

    def echo(value: str) -> str:
        raise LookupError(f"no account for {value}")

    tools = dispatch(guard, {"echo": echo})
    with guard.session(user="ann@acme.example"):
        (answer,) = await tools.chat({"tool_calls": [_written("a", "echo", '{"value": "dan@acme.example"}')]})

    assert str(answer["content"]).startswith("the tool failed: LookupError: no account for [EMAIL_")
    assert "dan@" not in str(answer)


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ("plain", "plain"),
        (None, "null"),
        (7, "7"),
        (True, "true"),
        ([1, "a"], '[1,"a"]'),
        ({"b": 1, "a": [None]}, '{"b":1,"a":[null]}'),
        (float("nan"), "NaN"),
        ({"at": b"bytes"}, '{"at":"bytes"}'),
    ],
    ids=repr,
)
async def test_results_are_text_and_json_where_they_are_no_text(guard: Guard, result: Any, told: str) -> None:
    """The API takes text alone."""
    tools = dispatch(guard, {"echo": lambda: result})

    with guard.session(user="ann@acme.example"):
        (answer,) = await tools.chat({"tool_calls": [_written("a", "echo", "{}")]})

    assert answer["content"] == told


async def test_an_object_that_masking_cannot_read_is_told_as_masked_text(guard: Guard) -> None:
    """Its text is all that a model could be shown of it."""

    class Record:
        def __str__(self) -> str:
            return "Record of dan@acme.example"

    def echo() -> Record:
        return Record()

    tools = dispatch(guard, {"echo": echo})
    with guard.session(user="ann@acme.example"):
        (answer,) = await tools.chat({"tool_calls": [_written("a", "echo", "{}")]})

    assert str(answer["content"]).startswith("Record of [EMAIL_")


async def test_without_a_session_nothing_runs_and_the_programmer_is_told(world: World, tools: Dispatch) -> None:
    """No model can open a session, so this is raised."""
    with pytest.raises(NoSession):
        await tools.chat({"tool_calls": [_written("a", "echo", '{"value": 1}')]})

    assert world.tools.ran == []


async def test_a_guard_that_is_unavailable_is_told_and_nothing_runs(lonely_guard: Guard, lonely_world: World) -> None:
    """One thing is certain of a call that could not be checked: it did not run. So the run goes on."""
    tools = dispatch(lonely_guard, {"refund": lonely_world.tools.refund})

    with lonely_guard.session(user="ann@acme.example"):
        (answer,) = await tools.chat({"tool_calls": [_written("a", "refund", '{"order_id": 1, "amount": 1.0}')]})

    assert str(answer["content"]).startswith("unavailable: the call could not be checked (redis), so it did not run.")
    assert lonely_world.tools.ran == []


async def test_a_fault_after_the_tool_ran_is_raised_once_the_other_calls_have_ended(
    doomed_guard: Guard, doomed_server: Server
) -> None:
    """A model that does not know what a call did might do it again, so a person must look; other calls end as ever."""
    ran: list[str] = []

    began, ended = asyncio.Event(), asyncio.Event()

    async def address() -> str:
        await began.wait()
        ran.append("address")
        doomed_server.kill()
        ended.set()
        return "dan@acme.example"  # can't be remembered, so it can't be shown

    async def echo() -> None:
        began.set()
        await ended.wait()
        await asyncio.sleep(0.1)
        ran.append("echo")

    tools = dispatch(doomed_guard, {"send_email": address, "echo": echo})
    with doomed_guard.session(user="ann@acme.example"), pytest.raises(ResultWithheld, match="redis"):
        await tools.chat({"tool_calls": [_written("a", "send_email", "{}"), _written("b", "echo", "{}")]})

    assert ran == ["address", "echo"]


async def test_functions_that_do_not_await_run_in_threads_with_the_session(guard: Guard) -> None:
    """Two that wait for each other both end, and see the session of the caller."""
    both = threading.Barrier(2, timeout=20)

    def echo() -> str:
        both.wait()
        return guard.principals.current().session

    tools = dispatch(guard, {"echo": echo})
    with guard.session(user="ann@acme.example", id="thread-1"):
        answers = await tools.chat({"tool_calls": [_written("a", "echo", "{}"), _written("b", "echo", "{}")]})

    assert [answer["content"] for answer in answers] == ["thread-1", "thread-1"]


async def test_a_cancelled_message_takes_its_requests_back(guard: Guard, world: World, tools: Dispatch) -> None:
    """Nobody is left deciding on a call that nobody waits for."""
    with guard.session(user="zoe@acme.example"):
        waiting = asyncio.create_task(
            tools.chat({"tool_calls": [_written("a", "refund", '{"order_id": 1, "amount": 1.0}')]})
        )
        (request,) = await world.waiting(1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        async with asyncio.timeout(20):
            while (await world.state(request)).value == "pending":
                await asyncio.sleep(0.01)

    assert (await world.state(request)).value == "withdrawn"
    assert world.tools.ran == []


def test_the_sync_twin_answers_the_sync_client(
    guard: Guard, world: World, tools: Dispatch, blocking_client: OpenAI, server: FakeOpenAI
) -> None:
    """Code without an event loop."""
    server.says(
        calls(call("c1", "echo", {"value": 1}), call("c2", "forbidden_thing", {})),
        calls(call("c3", "echo", {"value": 2})),
    )

    with guard.session(user="ann@acme.example"):
        completion = blocking_client.chat.completions.create(model="scripted", messages=[], tools=tools.tools)
        chat = tools.blocking.chat(completion.choices[0].message)
        response = blocking_client.responses.create(model="scripted", input="Go on", tools=tools.response_tools)
        responses = tools.blocking.responses(response.output)

    assert [answer["tool_call_id"] for answer in chat] == ["c1", "c2"]
    assert responses == [{"type": "function_call_output", "call_id": "c3", "output": "2"}]
    assert [arguments for _, arguments in world.tools.ran] == [{"value": 1}, {"value": 2}]


async def test_the_sync_twin_works_inside_a_running_loop(guard: Guard, tools: Dispatch) -> None:
    """A notebook runs a loop of its own; sync code in it must not hang."""
    with guard.session(user="ann@acme.example"):
        (answer,) = tools.blocking.chat({"tool_calls": [_written("a", "echo", '{"value": "x"}')]})

    assert answer["content"] == "x"


def test_schemas_are_strict_where_they_can_be(guard: Guard) -> None:
    """The API then holds the model to them; defaults are told in words."""

    def refund(order_id: int, reason: str | None, amount: float = 10.0) -> str:
        """Refund an order."""
        return ""

    (spec,) = dispatch(guard, {"refund": refund}).tools
    (flat,) = dispatch(guard, {"refund": refund}).response_tools

    assert spec["function"]["name"] == "refund"
    assert spec["function"]["description"] == "Refund an order."
    assert spec["function"]["strict"] is True
    parameters: Any = spec["function"]["parameters"]
    assert parameters["required"] == ["order_id", "reason", "amount"]
    assert parameters["additionalProperties"] is False
    assert parameters["properties"]["amount"]["description"] == "Usually 10.0."
    assert flat == {"type": "function", **spec["function"]}


@pytest.mark.parametrize("annotation", [dict[str, int], Any, list[Any], tuple[int, str]], ids=str)
def test_a_schema_that_cannot_be_strict_is_given_as_it_is(guard: Guard, annotation: Any) -> None:
    """The API would refuse a strict schema of it, and with it the whole request."""

    def echo(value):  # type: ignore[no-untyped-def]
        return value

    echo.__annotations__ = {"value": annotation}
    (spec,) = dispatch(guard, {"echo": echo}).tools

    assert spec["function"]["strict"] is False


@pytest.mark.parametrize("name", ["mail.send", "send mail", "", "x" * 65, "élan", "send\n"])
def test_names_that_models_cannot_call_are_refused_at_once(guard: Guard, name: str) -> None:
    """The API would refuse them at the first call."""
    with pytest.raises(ConfigurationError, match="rename"):
        dispatch(guard, {name: lambda: None})


def test_a_tool_keeps_one_name(guard: Guard) -> None:
    """Policy judges the name that the tool has, models call the one it is listed under: they must be the same."""
    with pytest.raises(ConfigurationError, match="one name"):
        dispatch(guard, {"harmless": FunctionTool.of(lambda: None, name="refund")})


def _written(id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize("wrong", [{"choices": []}, "hello", None], ids=["a whole completion", "text", "nothing"])
async def test_what_is_no_message_is_told_what_to_give(guard: Guard, wrong: Any) -> None:
    """Calls that nobody sees must not go unanswered in silence."""
    with guard.session(user="ann@acme.example"), pytest.raises(ConfigurationError, match=r"choices\[0\]\.message"):
        await dispatch(guard, {}).chat(wrong)


def test_tools_without_names_are_told_how_to_be_given(guard: Guard) -> None:
    """A list has no names for the model."""
    tools: Any = [print]
    with pytest.raises(ConfigurationError, match="by name"):
        dispatch(guard, tools)
