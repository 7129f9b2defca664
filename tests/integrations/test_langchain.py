"""LangChain agents on guarded tools: what the model, callbacks, checkpoints and the tool itself get to see."""

from __future__ import annotations

import asyncio
import copy
import json
import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import BaseTool, InjectedToolArg, StructuredTool, ToolException, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, Send, interrupt
from pydantic import BaseModel, Field, ValidationError, field_validator
from pydantic.v1 import BaseModel as BaseModelV1

from agentguard.audit import read
from agentguard.config import open_desk
from agentguard.errors import ConfigurationError, NoSession, OutcomeUnknown, ResultWithheld
from agentguard.guard.pipeline import Guard
from agentguard.integrations.langchain import guard_tools, guarded
from agentguard.model.approvals import Decision
from tests.approval.server import Server
from tests.guard.world import CUSTOMER, World
from tests.integrations.shapes import Scripted, agent_of, calling, graph_of, sync_function, with_state, written

pytestmark = pytest.mark.anyio

PLANTED = ("anna.kowalska@mail.example", "Kowalska", "202-555-0147")
GO = {"messages": [("user", "Go on")]}


class Notes(BaseCallbackHandler):
    """Everything that tracers are told of tools."""

    raise_error = True

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def on_tool_start(self, serialized: Any, input_str: str, **kwargs: Any) -> None:
        self.told.append(("start", f"{serialized} {input_str} {kwargs.get('inputs')}"))

    def on_tool_end(self, output: Any, **_: Any) -> None:
        self.told.append(("end", repr(output)))

    def on_tool_error(self, error: BaseException, **_: Any) -> None:
        self.told.append(("error", "".join(traceback.format_exception(error)) + repr(error.__context__)))


def _kinds(world: World) -> list[str]:
    return [entry.kind for entry in read(world.settings.state_dir / "journal")][1:]


def _answers(state: dict[str, Any]) -> dict[str, ToolMessage]:
    return {message.tool_call_id: message for message in state["messages"] if isinstance(message, ToolMessage)}


def _lookup_and_mail(world: World) -> list[Callable[..., Any]]:
    return [world.tools.find_customer, world.tools.send_email]


# -- the model and everybody who looks on ---------------------------------------------------------------------------


async def test_t26_nothing_personal_reaches_model_callbacks_events_or_checkpoints(
    guard: Guard, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A looked-up address is a token to all that watch the agent, and itself again to the tool that policy reveals it to."""
    with guard.session(user="ann@acme.example", id="thread-1"):
        find, send = guard_tools(guard, _lookup_and_mail(world))
        token = json.loads((await find.ainvoke(written("find_customer", {"customer_id": 7}))).content)["email"]
        model = Scripted(
            script=[
                calling(written("find_customer", {"customer_id": 7}, "c1")),
                calling(written("send_email", {"to": token, "body": "Hello"}, "c2")),
                AIMessage("Done"),
            ]
        )
        notes, saver = Notes(), InMemorySaver()
        agent: Any = create_agent(model, [find, send], checkpointer=saver)
        config: Any = {"configurable": {"thread_id": "1"}, "callbacks": [notes]}
        events = [event async for event in agent.astream_events(GO, config, version="v2")]

    watched = [
        repr(model.sent),
        repr(notes.told),
        repr(events),
        repr(list(saver.list(None))),
        repr(capsys.readouterr()),
    ]
    assert world.tools.ran[-1] == ("send_email", {"to": CUSTOMER["email"], "body": "Hello"})
    assert [value for value in PLANTED for place in watched if value in place] == []
    assert [kind for kind, _ in notes.told] == ["start", "end", "start", "end"]
    assert token in notes.told[2][1]


def test_the_readme_idiom_gives_an_agent_its_tools(guard: Guard, world: World) -> None:
    """`create_agent(model, **guarded(guard, tools))`, sync."""
    model = Scripted(script=[calling(written("echo", {"value": "hello"})), AIMessage("Done")])
    agent: Any = create_agent(model, **guarded(guard, [world.tools.echo]))

    with guard.session(user="ann@acme.example"):
        state = agent.invoke(GO)

    assert [message.content for message in state["messages"]] == ["Go on", "", "hello", "Done"]


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
async def test_a_refused_call_is_seen_by_callbacks_as_an_error_result(sync: bool, guard: Guard, world: World) -> None:
    """A trace that left it out would tell half the story."""
    (tool,) = guard_tools(guard, [world.tools.forbidden_thing])
    notes = Notes()
    config: Any = {"callbacks": [notes]}

    with guard.session(user="ann@acme.example"):
        call = written("forbidden_thing", {})
        result = tool.invoke(call, config) if sync else await tool.ainvoke(call, config)

    assert result.status == "error"
    assert [kind for kind, _ in notes.told] == ["start", "end"]
    assert "denied by policy" in notes.told[1][1]


async def test_t38_the_calls_of_one_message_each_have_their_own_decision(guard: Guard, world: World) -> None:
    """Denied, allowed, approved and rejected side by side; the run goes on with all four answers."""
    tools = guard_tools(guard, [world.tools.forbidden_thing, world.tools.echo, world.tools.refund])
    agent, _ = agent_of(
        tools,
        calling(
            written("forbidden_thing", {}, "c1"),
            written("echo", {"value": "hello"}, "c2"),
            written("refund", {"order_id": 1}, "c3"),
            written("refund", {"order_id": 2}, "c4"),
        ),
    )

    with guard.session(user="zoe@acme.example"):
        running = asyncio.create_task(agent.ainvoke(GO))
        first, second = await world.waiting(2)
        allowed_meanwhile = list(world.tools.ran)
        await world.decide(first, "ann")
        await world.decide(second, "bob", Decision.REJECT, "Not this one")
        answers = _answers(await running)

    assert allowed_meanwhile == [("echo", {"value": "hello"})]
    assert answers["c1"].content.startswith("denied by policy")  # type: ignore[union-attr]
    assert answers["c2"].content == "hello"
    assert sorted(str(answers[id].content).split(".")[0] for id in ("c3", "c4")) == ["refunded", "rejected by a person"]
    assert sum(name == "refund" for name, _ in world.tools.ran) == 1


async def test_a_sync_agent_waits_for_a_person_in_its_thread(guard: Guard, world: World) -> None:
    """The sync door blocks where the call was made, and nowhere else."""
    agent, _ = agent_of(guard_tools(guard, [world.tools.refund]), calling(written("refund", {"order_id": 1}, "c1")))

    with guard.session(user="zoe@acme.example"):
        running = asyncio.create_task(asyncio.to_thread(agent.invoke, GO))
        (request,) = await world.waiting(1)
        await world.decide(request, "ann")
        answers = _answers(await running)

    assert answers["c1"].content == "refunded"
    assert world.tools.ran == [("refund", {"order_id": 1, "amount": 10.0})]


# -- what runs is what was judged -----------------------------------------------------------------------------------


async def test_t1_what_a_middleware_changed_is_what_is_judged(guard: Guard, world: World) -> None:
    """The gate stands in the tool, behind every middleware, so none can change arguments after an approval."""

    class Changes(AgentMiddleware[Any, Any, Any]):
        async def awrap_tool_call(self, request: Any, handler: Any) -> Any:
            changed = {**request.tool_call, "args": {"order_id": 666}}
            return await handler(request.override(tool_call=changed))

    model = Scripted(script=[calling(written("refund", {"order_id": 1}, "c1")), AIMessage("Done")])
    agent: Any = create_agent(model, **guarded(guard, [world.tools.refund], middleware=[Changes()]))

    with guard.session(user="zoe@acme.example"):
        running = asyncio.create_task(agent.ainvoke(GO))
        (request,) = await world.waiting(1)
        card = (await _card(world, request)).arguments
        await world.decide(request, "ann")
        await running

    assert json.loads(card)["order_id"] == 666
    assert world.tools.ran == [("refund", {"order_id": 666, "amount": 10.0})]


async def test_t1_a_tool_runs_with_the_very_values_that_were_judged(guard: Guard) -> None:
    """Parsing is done once for what runs: a validator that gives something else each time can't slip it in."""
    parsed: list[str] = []
    ran: list[str] = []

    class Arguments(BaseModel):
        text: str

        @field_validator("text")
        @classmethod
        def vary(cls, text: str) -> str:
            parsed.append(f"{text} {len(parsed)}")
            return parsed[-1]

    def echo(text: str) -> None:
        ran.append(text)

    (tool,) = guard_tools(guard, [StructuredTool.from_function(echo, description="Echo.", args_schema=Arguments)])
    with guard.session(user="ann@acme.example"):
        await tool.ainvoke({"text": "a"})

    assert ran == parsed == ["a 0"]


class Line(BaseModel):
    what: str
    id: int = Field(default_factory=lambda: next(NUMBERS))


NUMBERS = iter(range(1_000_000))


async def test_t1_values_that_defaults_made_up_are_approved_and_run(guard: Guard, world: World) -> None:
    """A default factory gives another value each time, at any depth; the approved one runs."""
    ran: list[Any] = []

    class Order(BaseModel):
        lines: list[Line] = Field(alias="items")
        reference: int = Field(default_factory=lambda: next(NUMBERS))

    def refund(lines: list[Line], reference: int) -> str:
        ran.append({"lines": [line.model_dump() for line in lines], "reference": reference})
        return "refunded"

    (tool,) = guard_tools(guard, [StructuredTool.from_function(refund, description="Refund.", args_schema=Order)])
    with guard.session(user="zoe@acme.example"):
        running = asyncio.create_task(
            tool.ainvoke(written("refund", {"items": [{"what": "a"}, {"what": "b", "id": 5}]}))
        )
        (request,) = await world.waiting(1)
        shown = json.loads((await _card(world, request)).arguments)
        await world.decide(request, "ann")
        result = await running

    assert result.content == "refunded"
    assert ran == [shown]
    assert shown["lines"][1] == {"what": "b", "id": 5}


async def test_injected_values_are_no_part_of_the_call(guard: Guard, world: World) -> None:
    """They reach the tool, and neither people, journal nor the model's schema."""
    ran: list[Any] = []

    def refund(order_id: int, secret: Annotated[str, InjectedToolArg]) -> str:
        """Refund."""
        ran.append((order_id, secret))
        return "refunded"

    (tool,) = guard_tools(guard, [refund])
    with guard.session(user="zoe@acme.example"):
        running = asyncio.create_task(tool.ainvoke({"order_id": 1, "secret": "hunter2-planted"}))
        (request,) = await world.waiting(1)
        card = await _card(world, request)
        await world.decide(request, "ann")
        await running

    assert ran == [(1, "hunter2-planted")]
    assert json.loads(card.arguments) == {"order_id": 1}
    assert "hunter2" not in "".join(path.read_text() for path in world.folder.rglob("*.jsonl"))
    assert "secret" not in tool.args


async def test_a_model_cannot_forge_what_the_graph_injects(guard: Guard) -> None:
    """LangGraph strips it before the gate."""
    ran: list[Any] = []
    (tool,) = guard_tools(guard, [with_state(ran, "echo")])
    with guard.session(user="ann@acme.example"):
        forged = written("echo", {"text": "a", "messages": ["forged"] * 9})
        state = await graph_of([tool]).ainvoke({"messages": [calling(forged)]})

    assert state["messages"][-1].content == "a 1"


# -- arguments that the tool refuses --------------------------------------------------------------------------------


def _strict(handle: Any) -> StructuredTool:
    class Arguments(BaseModel):
        to: str
        count: int = Field(ge=1, le=5)

    def echo(to: str, count: int) -> str:
        raise AssertionError("ran")

    return StructuredTool.from_function(
        echo, description="Echo.", args_schema=Arguments, handle_validation_error=handle
    )


@pytest.mark.parametrize("handle", [False, True])
async def test_refused_arguments_are_told_by_path_and_rule(handle: bool, guard: Guard, world: World) -> None:
    """Never by value: the model may not know it."""
    (tool,) = guard_tools(guard, [_strict(handle)])

    with guard.session(user="ann@acme.example"):
        result = await tool.ainvoke(written("echo", {"to": "dan@acme.example", "count": 999}))

    assert result.status == "error"
    assert result.content.startswith("invalid arguments: count: less_than_equal (le=5). The call did not run.")
    assert _kinds(world) == ["refused"]


async def test_a_tools_own_words_for_refused_arguments_are_kept(guard: Guard) -> None:
    """As text, or made by a handler, which gets the rules and none of the values."""
    seen: list[ValidationError] = []

    def handler(error: Any) -> str:
        seen.append(error)
        return f"Wrong: {error.errors()[0]['loc']}"

    (text,) = guard_tools(guard, [_strict("Try again")])
    (made,) = guard_tools(guard, [_strict(handler)])
    with guard.session(user="ann@acme.example"):
        assert await text.ainvoke({"to": "dan@acme.example", "count": 999}) == "Try again"
        assert await made.ainvoke({"to": "dan@acme.example", "count": 999}) == "Wrong: ('count',)"

    assert "999" not in str(seen[0])


@pytest.mark.parametrize(
    "arguments",
    [{"text": object()}, {"text": {1, 2}}, {"text": float("nan")}, {"text": "\ud800"}, {1: "a"}],
    ids=["object", "set", "NaN", "surrogate", "key"],
)
async def test_arguments_that_are_no_json_are_refused(arguments: Any, guard: Guard) -> None:
    """What has no canonical form can't be judged."""
    (tool,) = guard_tools(guard, [sync_function([], "echo")])

    with guard.session(user="ann@acme.example"):
        assert (await tool.ainvoke(arguments)).startswith("invalid arguments: ")


# -- errors and faults ----------------------------------------------------------------------------------------------


class OutOfStock(Exception):
    """An error of the tool's own."""


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
@pytest.mark.parametrize("kind", [OutOfStock, ValueError, ToolException])
async def test_t26_a_tools_error_is_raised_masked_and_alone(sync: bool, kind: type[Exception], guard: Guard) -> None:
    """Its type stays, as the program may catch it; text, cause, context and what callbacks are told hold nothing raw."""

    def fail(text: str) -> str:
        """Fail."""
        try:
            raise KeyError(text)
        except KeyError as cause:
            raise kind(f"no {text}") from cause

    fail.__name__ = "echo"
    (tool,) = guard_tools(guard, [fail])
    notes = Notes()
    config: Any = {"callbacks": [notes]}

    call = written("echo", {"text": "dan@acme.example"})
    with guard.session(user="ann@acme.example"), pytest.raises(kind) as raised:
        _ = tool.invoke(call, config) if sync else await tool.ainvoke(call, config)

    error = raised.value
    assert "[EMAIL_" in str(error)
    assert "dan@" not in "".join(map(str, [error, error.__cause__, error.__context__, error.args]))
    assert "dan@" not in notes.told[1][1]


async def test_a_guard_that_is_unavailable_is_told_and_nothing_runs(lonely_guard: Guard, lonely_world: World) -> None:
    """One thing is certain of a call that could not be checked: it did not run. So the run goes on."""
    agent, _ = agent_of(
        guard_tools(lonely_guard, [lonely_world.tools.refund]), calling(written("refund", {"order_id": 1}, "c1"))
    )

    with lonely_guard.session(user="ann@acme.example"):
        answers = _answers(await agent.ainvoke(GO))

    assert answers["c1"].status == "error"
    assert str(answers["c1"].content).startswith(
        "unavailable: the call could not be checked (redis), so it did not run."
    )
    assert lonely_world.tools.ran == []


async def test_a_result_that_cannot_be_recorded_is_raised_and_not_shown(
    doomed_guard: Guard, doomed_server: Server
) -> None:
    """The tool ran, and a model that is told nothing of it might run it again: a person must look."""

    def send_email() -> str:
        """Give an address, which can't be remembered."""
        doomed_server.kill()
        return "dan@acme.example"

    agent, _ = agent_of(guard_tools(doomed_guard, [send_email]), calling(written("send_email", {}, "c1")))

    with doomed_guard.session(user="ann@acme.example"), pytest.raises(ResultWithheld, match="redis") as raised:
        await agent.ainvoke(GO)

    assert "dan@" not in "".join(traceback.format_exception(raised.value))


async def test_an_outcome_that_nobody_knows_is_raised(world: World) -> None:
    """No model may decide what to do about a call that may have run."""
    started = asyncio.Event()

    async def refund() -> None:
        """Never end."""
        started.set()
        await asyncio.sleep(60)

    call = written("refund", {}, "c1")
    with world.open() as guard, guard.session(user="zoe@acme.example", id="thread-1"):
        (tool,) = guard_tools(guard, [refund])
        running = asyncio.create_task(tool.ainvoke(call))
        (request,) = await world.waiting(1)
        await world.decide(request, "ann")
        await started.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

        with pytest.raises(OutcomeUnknown):
            await tool.ainvoke(call)


async def test_without_a_session_nothing_runs_and_the_programmer_is_told(guard: Guard, world: World) -> None:
    """No model can open one."""
    (tool,) = guard_tools(guard, [world.tools.echo])

    with pytest.raises(NoSession):
        await tool.ainvoke({"value": 1})
    with pytest.raises(NoSession):
        tool.invoke({"value": 1})

    assert world.tools.ran == []


async def test_a_cancelled_wait_takes_its_request_back(guard: Guard, world: World) -> None:
    """Nobody is left deciding on a call that nobody waits for."""
    (tool,) = guard_tools(guard, [world.tools.refund])

    with guard.session(user="zoe@acme.example"):
        waiting = asyncio.create_task(tool.ainvoke(written("refund", {"order_id": 1})))
        (request,) = await world.waiting(1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        async with asyncio.timeout(20):
            while (await world.state(request)).value == "pending":
                await asyncio.sleep(0.01)

    assert (await world.state(request)).value == "withdrawn"
    assert world.tools.ran == []


async def test_a_cancelled_run_of_sync_code_is_unknown(guard: Guard, world: World) -> None:
    """Its thread can't be stopped, so nobody knows what it did."""
    started, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def echo() -> str:
        """Wait."""
        loop.call_soon_threadsafe(started.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(5)
        return "done"

    (tool,) = guard_tools(guard, [echo])
    with guard.session(user="ann@acme.example"):
        running = asyncio.create_task(tool.ainvoke({}))
        await started.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    go_on.set()

    *_, settled = read(world.settings.state_dir / "journal")
    assert settled.body["outcome"] == "unknown"


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
async def test_an_interrupt_in_a_tool_stops_the_graph_and_resumes_it(sync: bool, guard: Guard) -> None:
    """LangGraph's own signals are no failures of the tool, and pass as they are."""

    def echo() -> str:
        """Ask the person in front of the graph."""
        return f"They said {interrupt('really?')}"

    (tool,) = guard_tools(guard, [echo])
    model = Scripted(script=[calling(written("echo", {}, "c1")), AIMessage("Done")])
    agent: Any = create_agent(model, [tool], checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}

    with guard.session(user="ann@acme.example"):
        stopped = agent.invoke(GO, config) if sync else await agent.ainvoke(GO, config)
        resume: Any = Command(resume="yes")
        ended = agent.invoke(resume, config) if sync else await agent.ainvoke(resume, config)

    assert stopped["__interrupt__"][0].value == "really?"
    assert _answers(ended)["c1"].content == "They said yes"


# -- results of every form ------------------------------------------------------------------------------------------


def _command(text: str) -> Any:
    return Command(
        update={"full_name": "Anna Kowalska", "count": 3, "messages": [ToolMessage(text, tool_call_id="c1")]},
        goto=[Send("other", {"text": text})],
    )


class Opaque:
    """An object that masking can't look into."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return f"opaque {self.text}"

    __repr__ = __str__


FORMS: dict[str, Callable[[str], Any]] = {
    "message": lambda text: ToolMessage(text, tool_call_id="c1", artifact={"a": text}, additional_kwargs={"b": text}),
    "blocks": lambda text: ToolMessage([{"type": "text", "text": text}], tool_call_id="c1"),
    "command": _command,
    "messages": lambda text: [ToolMessage(text, tool_call_id="c1"), _command(text)],
    "command of messages": lambda text: Command(update=[ToolMessage(text, tool_call_id="c1")]),
    "ai message": lambda text: Command(update={"messages": [calling(written("other", {"text": text}))]}),
    "pairs": lambda text: Command(update=[("text", text)]),
    "model": lambda text: Line(what=text),
    "models": lambda text: [Line(what=text)],
    "bytes": lambda text: text.encode(),
    "tuple": lambda text: (text, 1),
    "object": Opaque,
    "objects": lambda text: [Opaque(text), 1],
    "error": ValueError,
}


@pytest.mark.parametrize("form", FORMS)
async def test_t26_every_form_of_result_is_masked_inside(form: str, guard: Guard) -> None:
    """Nothing raw in any part; ids, names and shape stay."""

    def echo() -> Any:
        """Give it."""
        return FORMS[form]("dan@acme.example")

    (tool,) = guard_tools(guard, [echo])
    with guard.session(user="ann@acme.example"):
        result = await tool.ainvoke(written("echo", {}, "c1"))

    shown = f"{result!r} {result.model_dump() if isinstance(result, BaseModel) else ''}"
    assert "dan@acme.example" not in shown
    assert "Kowalska" not in shown
    assert "[EMAIL_" in shown


async def test_a_masked_command_keeps_its_ids_and_what_needs_no_masking(guard: Guard) -> None:
    """The graph goes where the tool sent it."""

    def echo() -> Any:
        """Give a command."""
        return _command("dan@acme.example")

    (tool,) = guard_tools(guard, [echo])
    with guard.session(user="ann@acme.example"):
        result = await tool.ainvoke(written("echo", {}, "c1"))

    assert list(result.update) == ["full_name", "count", "messages"]
    assert result.update["full_name"].startswith("[PERSON_")
    assert result.update["count"] == 3
    assert result.update["messages"][0].tool_call_id == "c1"
    assert result.goto[0].node == "other"
    assert result.goto[0].arg["text"].startswith("[EMAIL_")


# -- ways around ----------------------------------------------------------------------------------------------------


def _no_function(tool: Any) -> Any:
    return tool.func("a")


def _no_run(tool: Any) -> Any:
    return tool._run("a", config={})


def _no_arun(tool: Any) -> Any:
    return asyncio.run(tool._arun("a", config={}))


@pytest.mark.parametrize("around", [_no_function, _no_run, _no_arun])
def test_t24_a_guarded_tools_code_runs_inside_an_admitted_call_alone(
    around: Callable[[Any], Any], guard: Guard
) -> None:
    """Some frameworks take a tool's function out of it."""
    ran: list[Any] = []
    (tool,) = guard_tools(guard, [sync_function(ran, "echo")])

    with guard.session(user="ann@acme.example"), pytest.raises(ConfigurationError, match="is guarded"):
        around(tool)

    assert ran == []


async def test_t24_a_tool_calls_another_through_its_own_gate(guard: Guard, world: World) -> None:
    """A call inside a call is admitted by itself; its refusal is what the outer tool gets."""
    (inner,) = guard_tools(guard, [world.tools.forbidden_thing])

    async def echo() -> str:
        """Call another tool."""
        return f"inside: {await inner.ainvoke({})}"

    (outer,) = guard_tools(guard, [echo])
    with guard.session(user="ann@acme.example"):
        result = await outer.ainvoke({})

    assert result.startswith("inside: denied by policy")
    assert world.tools.ran == []
    assert _kinds(world) == ["judged", "judged", "refused", "settled"]


async def test_t24_the_code_of_another_tool_stays_shut_inside_an_admitted_call(guard: Guard) -> None:
    """An admitted call opens one tool, its own."""
    ran: list[Any] = []
    other: Any
    (other,) = guard_tools(guard, [sync_function(ran, "forbidden_echo")])

    def echo() -> str:
        """Reach around the gate of another tool."""
        return str(other.func("a"))

    (tool,) = guard_tools(guard, [echo])
    with guard.session(user="ann@acme.example"), pytest.raises(ConfigurationError, match="is guarded"):
        await tool.ainvoke({})

    assert ran == []


async def test_t24_code_that_outlives_its_call_finds_the_gate_shut(guard: Guard) -> None:
    """A task that a tool left behind has no permit any more."""
    left: list[asyncio.Task[Any]] = []
    tools: list[Any] = []
    go_on = asyncio.Event()

    async def later() -> None:
        await go_on.wait()
        await tools[0].coroutine()

    async def echo() -> str:
        """Leave a task behind."""
        left.append(asyncio.create_task(later()))
        return "done"

    tools += guard_tools(guard, [echo])
    with guard.session(user="ann@acme.example"):
        await tools[0].ainvoke({})
    go_on.set()

    with pytest.raises(ConfigurationError, match="is guarded"):
        await left[0]
    assert len(left) == 1


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda tool: tool.model_copy()], ids=["copy", "deep", "model"]
)
async def test_t24_a_copy_of_a_guarded_tool_is_guarded(copied: Callable[[Any], Any], guard: Guard) -> None:
    """Agents copy their tools."""
    ran: list[Any] = []
    (tool,) = guard_tools(guard, [sync_function(ran, "forbidden_echo")])

    with guard.session(user="ann@acme.example"):
        result = await copied(tool).ainvoke({"text": "a"})

    assert result.startswith("denied by policy")
    assert ran == []


async def test_t23_a_guarded_tool_that_was_renamed_is_judged_by_the_name_it_was_guarded_under(guard: Guard) -> None:
    """A later name is the program's matter; it opens nothing that policy shut."""
    ran: list[Any] = []
    (tool,) = guard_tools(guard, [sync_function(ran, "forbidden_echo")])
    tool.name = "echo"

    with guard.session(user="ann@acme.example"):
        result = await tool.ainvoke({"text": "a"})

    assert result.startswith("denied by policy")
    assert ran == []


# -- what can't be guarded ------------------------------------------------------------------------------------------


class RunsItself(BaseTool):
    """A tool that is its own executor."""

    name: str = "echo"
    description: str = "Echo."

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:  # noqa: A002
        return self._run()

    def _run(self) -> str:
        return "ran"


class OldArguments(BaseModelV1):
    """A schema of pydantic 1."""

    text: str


def _old() -> BaseTool:
    return StructuredTool.from_function(lambda text: text, name="echo", description="Echo.", args_schema=OldArguments)


@pytest.mark.parametrize(
    ("tools", "told"),
    [
        (lambda: [sync_function([], "mail.send")], "rename"),
        (lambda: [sync_function([], "x" * 65)], "rename"),
        (lambda: [sync_function([], "echo"), sync_function([], "echo")], "2 tools are named 'echo'"),
        (lambda: [RunsItself()], r"replaces invoke\(\)"),
        (lambda: [_old()], "pydantic.v1"),
        (lambda: [{"type": "web_search"}], "provider"),
        (lambda: ["echo"], "a str is no tool"),
        (lambda: [BaseTool], "no tool"),
    ],
    ids=["name", "long name", "same name", "own invoke", "pydantic 1", "provider", "text", "class"],
)
def test_what_cannot_be_guarded_is_refused_when_the_agent_is_built(
    tools: Callable[[], list[Any]], told: str, guard: Guard
) -> None:
    """Not at the first call, and never let through."""
    with pytest.raises(ConfigurationError, match=told):
        guard_tools(guard, tools())


def test_a_tool_is_guarded_once(guard: Guard) -> None:
    """Two gates in one tool would ask people twice."""
    wrapped = guard_tools(guard, [sync_function([], "echo")])

    with pytest.raises(ConfigurationError, match="guarded already"):
        guard_tools(guard, wrapped)


def test_functions_become_tools_as_langchain_makes_them(guard: Guard, world: World) -> None:
    """As `create_agent` takes them."""
    (guarded_tool,) = guard_tools(guard, [world.tools.echo])

    assert guarded_tool.args == tool(world.tools.echo).args


def test_only_langchain_core_is_imported() -> None:
    """Tools can be guarded without agents being installed."""
    probe = (
        "import sys, agentguard.integrations.langchain; print({'langchain', 'langgraph', 'openai'} & set(sys.modules))"
    )

    printed = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True).stdout

    assert printed.strip() == "set()"


async def _card(world: World, request: str) -> Any:
    async with open_desk(world.policies, world.settings, tenant=world.tenant) as desk:
        return (await desk.show(request)).stored.request.card
