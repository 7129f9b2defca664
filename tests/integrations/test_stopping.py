"""Tools that raise what is no `Exception`: it stops the program as before, whichever way the call came, and shows no value."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest
from agents import Agent
from agents.tool_context import ToolContext
from langchain_core.tools import StructuredTool

from agentguard.audit import read
from agentguard.guard.pipeline import Guard
from agentguard.integrations.functions import FunctionTool
from agentguard.integrations.langchain import guard_tools
from agentguard.integrations.openai import dispatch
from agentguard.integrations.openai_agents import guarded
from agentguard.model.calls import ToolCall
from agentguard.store.doors import drive
from tests.guard.world import POLICY, World
from tests.integrations.agents_world import tool

MAIL = "anna.kowalska@mail.example"
USER = "dan@acme.example"


class Halt(BaseException):
    """Stops a program, with a text that its code makes."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.holder = lambda: address

    def __str__(self) -> str:
        return f"halted by {self.holder()}"


def _group() -> BaseException:
    return BaseExceptionGroup(f"all of {MAIL}", [KeyboardInterrupt(MAIL), ValueError(MAIL)])


STOPS: dict[str, tuple[Callable[[], BaseException], type[BaseException]]] = {
    "exit": (lambda: SystemExit(f"no row for {MAIL}"), SystemExit),
    "interrupt": (lambda: KeyboardInterrupt(MAIL), KeyboardInterrupt),
    "cancelled": (lambda: asyncio.CancelledError(f"gave up on {MAIL}"), asyncio.CancelledError),
    "own": (lambda: Halt(MAIL), BaseException),
    "group": (_group, BaseExceptionGroup),
}
EACH_STOP = pytest.mark.parametrize(("make", "kind"), STOPS.values(), ids=STOPS.keys())


async def coroutine_function(guard: Guard, echo: Callable[[], str]) -> Any:
    """`@guard.tool`, async."""

    async def code() -> str:
        return echo()

    return await guard.tool(code, name="echo")()


async def function(guard: Guard, echo: Callable[[], str]) -> Any:
    """`@guard.tool`, sync."""
    return guard.tool(echo)()


async def generator(guard: Guard, echo: Callable[[], str]) -> Any:
    """`@guard.tool`, in pieces."""

    def code() -> Iterator[str]:
        yield "one "
        yield echo()

    return list(guard.tool(code, name="echo")())


async def async_generator(guard: Guard, echo: Callable[[], str]) -> Any:
    """`@guard.tool`, in pieces, async."""

    async def code() -> AsyncIterator[str]:
        yield "one "
        yield echo()

    return [piece async for piece in guard.tool(code, name="echo")()]


async def sync_langchain(guard: Guard, echo: Callable[[], str]) -> Any:
    """LangChain's `invoke`."""
    (made,) = guard_tools(guard, [StructuredTool.from_function(echo, name="echo", description="Echo.")])
    return made.invoke({})


async def async_langchain(guard: Guard, echo: Callable[[], str]) -> Any:
    """LangChain's `ainvoke`, of a coroutine."""

    async def code() -> str:
        return echo()

    (made,) = guard_tools(guard, [StructuredTool.from_function(coroutine=code, name="echo", description="Echo.")])
    return await made.ainvoke({})


async def chat(guard: Guard, echo: Callable[[], str]) -> Any:
    """OpenAI's dispatch, in a thread."""
    written = {"id": "c1", "type": "function", "function": {"name": "echo", "arguments": "{}"}}
    return await dispatch(guard, {"echo": echo}).chat({"role": "assistant", "tool_calls": [written]})


async def agents_sdk(guard: Guard, echo: Callable[[], str]) -> Any:
    """The Agents SDK."""
    return await _run(guard, tool(echo, name_override="echo"))


async def agents_sdk_in_time(guard: Guard, echo: Callable[[], str]) -> Any:
    """The Agents SDK, which runs a tool with a timeout in a task of its own."""

    async def code() -> str:
        return echo()

    return await _run(guard, tool(code, name_override="echo", timeout=20))


async def _run(guard: Guard, made: Any) -> Any:
    """As the SDK's runner does, which takes a while to come down when its loop is stopped."""
    (gated,) = guarded(guard, Agent(name="support", tools=[made])).tools
    context = ToolContext(context=None, tool_name="echo", tool_call_id="c1", tool_arguments="{}")
    return await gated.on_invoke_tool(context, "{}")


WAYS = {
    way.__name__: way
    for way in (
        coroutine_function,
        function,
        generator,
        async_generator,
        sync_langchain,
        async_langchain,
        chat,
        agents_sdk,
        agents_sdk_in_time,
    )
}


def _told(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))


def _everything(error: BaseException | None) -> str:
    """What anybody could read of an error, and of all that hangs on it."""
    if error is None:
        return ""
    members = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return _told(error) + "".join(map(_everything, (error.__cause__, error.__context__, *members)))


def _ended(world: World) -> list[str]:
    return [entry.body["outcome"] for entry in read(world.settings.state_dir / "journal") if entry.kind == "settled"]


@EACH_STOP
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_t26_what_stops_a_program_shows_no_value(
    way: Callable[..., Coroutine[Any, Any, Any]],
    make: Callable[[], BaseException],
    kind: type[BaseException],
    world: World,
    guard: Guard,
) -> None:
    """It is raised as what it is, masked with all that hangs on it; nobody knows what the tool did, and the journal says so."""

    def echo() -> str:
        raise make() from ValueError(MAIL)

    with guard.session(user=USER), asyncio.Runner() as runner, pytest.raises(kind) as caught:
        runner.run(way(guard, echo))
    assert not isinstance(caught.value, Exception)
    assert "owalsk" not in _everything(caught.value)
    assert _ended(world) == ["unknown"]


@EACH_STOP
def test_who_runs_the_tool_themselves_gets_the_same(
    make: Callable[[], BaseException], kind: type[BaseException], world: World, guard: Guard
) -> None:
    """`settle_error` gives what to raise: something that stops the program too."""
    with guard.session(user=USER):
        permit = guard.blocking.admit(ToolCall(tool="echo", arguments={}), world.tools.tool("echo"))
        shown = guard.blocking.settle_error(permit, make())
    assert isinstance(shown, kind)
    assert not isinstance(shown, Exception)
    assert "owalsk" not in _everything(shown)
    assert _ended(world) == ["unknown"]


@pytest.mark.parametrize("action", ["redis", "journal"])
def test_what_can_not_be_settled_stops_the_program_all_the_same(action: str, world: World, guard: Guard) -> None:
    """The journal is closed, or its token can't be kept: no fault in its place, and nothing of what it said."""
    breaks: dict[str, Callable[[], object]] = {
        "redis": guard.close,
        "journal": guard.records.journal.close,
    }

    def echo() -> str:
        breaks[action]()
        raise SystemExit(f"no row for {MAIL}")

    with guard.session(user=USER), pytest.raises(SystemExit) as caught:
        guard.tool(echo)()
    assert "owalsk" not in _everything(caught.value)


def test_what_shows_more_people_than_a_limit_has_room_for_stops_the_program_without_them(world: World) -> None:
    """Nothing is told of them, not by tokens either."""
    limit = "limits: {people: {tools: [echo], distinct: EMAIL_ADDRESS, max: 1, per: session, deny: true}}\n"
    (world.policies / "policy.yaml").write_text(POLICY.replace("DEADLINE", "20s") + limit, encoding="utf-8")

    def echo() -> str:
        raise SystemExit(f"no rows for {MAIL} and bo.ray@mail.example")

    with world.open() as guard, guard.session(user=USER), pytest.raises(SystemExit) as caught:
        guard.tool(echo)()
    assert str(caught.value) == "its text can't be shown"


@pytest.mark.parametrize("status", [0, 3, None], ids=["done", "failed", "none"])
def test_an_exit_keeps_its_status(status: int | None, world: World, guard: Guard) -> None:
    """A tool that ends the program ends it with the number that it said."""

    def echo() -> str:
        raise SystemExit(status)

    with guard.session(user=USER), pytest.raises(SystemExit) as caught:
        guard.tool(echo)()
    assert caught.value.code == status
    assert _ended(world) == ["unknown"]


def test_an_interrupt_passes_as_it_is(world: World, guard: Guard) -> None:
    """The very object, traceback and all, where it says nothing."""
    stop = KeyboardInterrupt()

    def echo() -> str:
        raise stop

    with guard.session(user=USER), pytest.raises(KeyboardInterrupt) as caught:
        guard.tool(echo)()
    assert caught.value is stop


async def _cancelled(guard: Guard, begun: asyncio.Event) -> None:
    async def echo() -> str:
        begun.set()
        try:
            raise ValueError(MAIL)
        except ValueError:
            await asyncio.Event().wait()
        return ""

    await guard.run(ToolCall(tool="echo", arguments={}), FunctionTool.of(echo))


@pytest.mark.anyio
async def test_a_call_that_is_cancelled_in_the_middle_of_an_error_shows_none_of_it(world: World, guard: Guard) -> None:
    """The cancellation passes, and what the tool was handling when it came is masked."""
    begun = asyncio.Event()
    with guard.session(user=USER):
        task = asyncio.create_task(_cancelled(guard, begun))
        await begun.wait()
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
    assert "owalsk" not in _everything(caught.value)
    assert _ended(world) == ["unknown"]


@pytest.mark.anyio
async def test_a_call_that_is_cancelled_while_its_end_goes_to_the_disk_has_one_record_of_it(
    world: World, guard: Guard
) -> None:
    """What came of it was written already, and stands."""
    call = ToolCall(tool="refund", arguments={"order_id": 1})
    with guard.session(user=USER):
        admitting = asyncio.create_task(guard.admit(call, world.tools.tool("refund")))
        (request,) = await world.waiting()
        await world.decide(request, "ann")
        settling = asyncio.create_task(guard.settle(await admitting, "refunded"))
        await asyncio.sleep(0)  # as far as it comes without waiting: what people approved waits for the disk
        settling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await settling
    assert _ended(world) == ["done"]


def test_a_validator_that_stops_the_program_shows_no_value(world: World, guard: Guard) -> None:
    """Code that reads arguments may stop the program; what it was reading is not told, and nothing ran."""

    class Reading(FunctionTool):
        def parse(self, arguments: Any) -> Any:
            raise SystemExit(f"no such person: {arguments['value']}")

    echo = world.tools.tool("echo")
    made = Reading(name="echo", description="Echo.", function=echo.function, model=echo.model)
    with guard.session(user=USER), pytest.raises(SystemExit) as caught:
        drive(guard.admit(ToolCall(tool="echo", arguments={"value": MAIL}), made))
    assert "owalsk" not in _everything(caught.value)
    assert world.tools.ran == []
