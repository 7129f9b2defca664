"""Tools that give text in pieces, and what the model writes in pieces: masked part by part, with the session's tokens, on record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from agentguard.audit import read
from agentguard.errors import CallRefused, ConfigurationError, NoSession, ResultRefused, ResultWithheld
from agentguard.guard.pipeline import Guard
from agentguard.integrations.functions import FunctionTool, StreamTool
from agentguard.model.calls import ToolCall
from tests.guard.world import World

pytestmark = pytest.mark.anyio

PIECES = (
    "Full name: Anna Kow",
    "alska\nwrite to anna.kowal",
    "ska@mail.exam",
    "ple, said Anna ",
    "Kowalska to us all today",
)


async def echo() -> AsyncIterator[str]:
    """A customer, in pieces."""
    for piece in PIECES:
        yield piece


def talk() -> Iterator[str]:
    """Many words, one after the other."""
    while True:
        yield "some words that say nothing of anybody at all, and go on and on "


def broken() -> Iterator[str]:
    """Half of a customer, then an error that names them."""
    yield from PIECES[:3]
    raise ValueError("no row for anna.kowalska@mail.example")


def numbers() -> Iterator[Any]:
    """No text."""
    yield "one "
    yield 2


def _call(name: str = "echo") -> ToolCall:
    return ToolCall(tool=name, arguments={})


async def _streamed(guard: Guard, tool: StreamTool) -> list[str]:
    return [shown async for shown in guard.stream(_call(), tool)]


def _ended(world: World) -> list[str]:
    return [entry.body["outcome"] for entry in read(world.settings.state_dir / "journal") if entry.kind == "settled"]


async def test_a_result_in_pieces_is_masked_and_its_tokens_come_back(world: World, guard: Guard) -> None:
    """What comes out is what masking the whole gives, and the token that the model saw reaches the next tool as the value."""
    with guard.session(user="dan@acme.example"):
        shown = "".join(await _streamed(guard, StreamTool.of(echo)))
        whole = await guard.run(ToolCall(tool="echo", arguments={"value": "".join(PIECES)}), world.tools.tool("echo"))
        assert shown == whole
        assert "owalsk" not in shown
        address = shown[shown.index("[EMAIL_") :].split("]")[0] + "]"
        await world.call(guard, "send_email", to=address)
    assert world.tools.ran[-1] == ("send_email", {"to": "anna.kowalska@mail.example", "body": ""})
    assert _ended(world) == ["done", "done", "done"]


async def test_a_tool_that_raises_in_the_middle(world: World, guard: Guard) -> None:
    """What it gave is shown, masked; its error comes after it, masked too; the journal says failed."""
    shown: list[str] = []

    async def read_all() -> None:
        async for part in guard.stream(_call(), StreamTool.of(broken, name="echo")):
            shown.append(part)

    with (
        guard.session(user="dan@acme.example"),
        pytest.raises(ValueError, match=r"^no row for \[EMAIL_\w{10}\]$") as caught,
    ):
        await read_all()
    assert "".join(shown).startswith("Full name: [PERSON_")
    assert "owalsk" not in "".join(shown) + repr(caught.value) + repr(caught.value.__context__)
    assert _ended(world) == ["failed"]


async def test_what_is_no_text_ends_the_stream(world: World, guard: Guard) -> None:
    """A piece that can't be masked as text is never shown; that the tool ran is told."""
    with (
        guard.session(user="dan@acme.example"),
        pytest.raises(ResultWithheld, match="a stream of text was given a int"),
    ):
        await _streamed(guard, StreamTool.of(numbers, name="echo"))
    assert _ended(world) == ["done"]


async def test_a_refused_call_gives_nothing(world: World, guard: Guard) -> None:
    """The tool of a call that policy denies is never begun."""
    parts = guard.stream(_call("forbidden_echo"), StreamTool.of(echo, name="forbidden_echo"))
    with guard.session(user="dan@acme.example"), pytest.raises(CallRefused):
        await anext(parts)


async def test_a_reader_who_leaves_makes_the_outcome_unknown(world: World, guard: Guard) -> None:
    """Nobody knows what a tool did that was not heard to its end."""
    with guard.session(user="dan@acme.example"):
        parts = guard.stream(_call(), StreamTool.of(talk, name="echo"))
        await anext(parts)
        await parts.aclose()
    assert _ended(world) == ["unknown"]


def test_the_sync_door_streams_too(world: World, guard: Guard) -> None:
    """The same parts, for code that doesn't await."""
    with guard.session(user="dan@acme.example"):
        shown = "".join(guard.blocking.stream(_call(), StreamTool.of(echo)))
        masking = guard.blocking.masking(origin="model")
        said = "".join([*map(masking.feed, PIECES), masking.finish()])
    assert shown == said
    assert "owalsk" not in shown


async def test_what_the_model_writes_gets_the_sessions_tokens(world: World, guard: Guard) -> None:
    """A customer whom a result showed is found in text of any origin, and without a session there is none."""
    with pytest.raises(NoSession):
        guard.masking(origin="model")
    with guard.session(user="dan@acme.example"):
        seen = await world.call(guard, "find_customer", customer_id=7)
        masking = guard.masking(origin="model")
        said = "".join([await masking.feed("I asked Anna Ko"), await masking.feed("walska."), await masking.finish()])
    assert said == f"I asked {seen['full_name']}."


async def test_a_limit_on_people_is_kept_before_anything_is_shown(world: World) -> None:
    """A result that shows more people than may be shown is kept back whole."""
    policy = world.policies / "policy.yaml"
    limit = "limits:\n  shown: {tools: [echo], distinct: EMAIL_ADDRESS, max: 1, per: session, deny: true}\n"
    policy.write_text(policy.read_text(encoding="utf-8") + limit, encoding="utf-8")

    async def several() -> AsyncIterator[str]:
        """Two people."""
        yield "ann@acme.example, then many words that say nothing of anybody, "
        yield "and bob@acme.example"

    with world.open() as guard, guard.session(user="dan@acme.example"):
        parts = guard.stream(_call(), StreamTool.of(several, name="echo"))
        with pytest.raises(ResultRefused):
            await anext(parts)


def test_a_function_that_yields_is_a_stream_tool_alone() -> None:
    """Either kind refuses the other's functions, and says what to write."""
    with pytest.raises(ConfigurationError, match="return a list, or make it a StreamTool"):
        FunctionTool.of(echo)
    with pytest.raises(ConfigurationError, match="it yields nothing; make it a FunctionTool"):
        StreamTool.of(lambda: "x", name="echo")
